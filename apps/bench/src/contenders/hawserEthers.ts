import { HawserProvider } from "@hawser/ethers"
import { type Contender, chainId } from "../Contender.ts"

// Nobody else keeps answers, so this one keeps none either.
const contender = (batched: boolean): Contender => ({
  title: batched ? "Hawser, ethers, batched" : "Hawser, ethers",
  under: "ethers",
  batched,
  configuration: batched
    ? "new HawserProvider(urls, 1, { batch: true, cache: false })"
    : "new HawserProvider(urls, 1, { cache: false })",
  packages: ["hawser", "@hawser/ethers", "ethers"],
  make: (urls) => {
    const batch: object = batched ? { batch: true } : {}
    const provider = new HawserProvider(urls, chainId, { cache: false, ...batch })
    return {
      call: ({ method, params }) => provider.send(method, params as Array<unknown>),
      close: () => provider.destroy()
    }
  }
})

export const single = contender(false)
export const batched = contender(true)
