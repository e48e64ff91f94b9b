import { Provider } from "hawser"
import type { Contender } from "../Contender.ts"

// Under no other library. Nobody else keeps answers, so this one keeps none either.
export const hawser: Contender = {
  title: "Hawser, alone",
  under: "nothing",
  batched: false,
  configuration: "Provider.make({ upstreams: urls, chainId: 1, cache: false })",
  packages: ["hawser"],
  make: (urls) => {
    const provider = Provider.make({ upstreams: urls, chainId: 1, cache: false })
    return { call: (request) => provider.request(request), close: () => provider.close() }
  }
}
