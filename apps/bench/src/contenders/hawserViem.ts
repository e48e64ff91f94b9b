import { hawser } from "@hawser/viem"
import { createPublicClient } from "viem"
import { mainnet } from "viem/chains"
import type { Contender } from "../Contender.ts"

// Nobody else keeps answers, so this one keeps none either.
const contender = (batched: boolean): Contender => ({
  title: batched ? "Hawser, viem, batched" : "Hawser, viem",
  under: "viem",
  batched,
  configuration: batched ? "hawser(urls, { batch: true, cache: false })" : "hawser(urls, { cache: false })",
  packages: ["hawser", "@hawser/viem", "viem"],
  make: (urls) => {
    const batch: object = batched ? { batch: true } : {}
    const client = createPublicClient({ chain: mainnet, transport: hawser(urls, { cache: false, ...batch }) })
    return {
      call: (request) => client.request(request as never),
      close: () => client.transport.close()
    }
  }
})

export const single = contender(false)
export const batched = contender(true)
