import { FetchRequest, JsonRpcProvider, Network } from "ethers"
import { type Contender, attemptMillis, chainId } from "../Contender.ts"

/** ethers' provider of one node, with a timeout of its own in place of five minutes. */
export const provider = (url: string, batchMaxCount = 100): JsonRpcProvider => {
  const request = new FetchRequest(url)
  request.timeout = attemptMillis
  return new JsonRpcProvider(request, chainId, { batchMaxCount, staticNetwork: Network.from(chainId) })
}

// It batches by default, after waiting 10 milliseconds for others to come along.
const contender = (batched: boolean): Contender => ({
  title: batched ? "ethers JsonRpcProvider" : "ethers, batchMaxCount 1",
  under: "ethers",
  batched,
  configuration:
    "new JsonRpcProvider(request, 1, { " +
    (batched ? "" : "batchMaxCount: 1, ") +
    "staticNetwork }), request = new FetchRequest(url) with timeout 4_000",
  packages: ["ethers"],
  make: ([url]) => {
    const one = provider(url!, batched ? undefined : 1)
    return {
      call: ({ method, params }) => one.send(method, params as Array<unknown>),
      close: () => one.destroy()
    }
  }
})

export const single = contender(false)
export const batched = contender(true)
