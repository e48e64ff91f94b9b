import { type Block, FallbackProvider, toQuantity } from "ethers"
import { type Contender, chainId, type Request } from "../Contender.ts"
import { provider } from "./ethers.ts"

/** It has no `send`, so it is asked by its methods, and its answers are turned back into what the node said. */
export const fallback: Contender = {
  title: "ethers FallbackProvider",
  under: "ethers",
  batched: true,
  configuration: "new FallbackProvider(urls.map(jsonRpcProvider), 1): a quorum of two, 400 ms before another is asked",
  packages: ["ethers"],
  make: (urls) => {
    const all = new FallbackProvider(
      urls.map((url) => provider(url)),
      chainId
    )
    return { call: (request) => ask(all, request), close: () => all.destroy() }
  }
}

const ask = async (provider: FallbackProvider, { method, params }: Request): Promise<unknown> => {
  const [first, second] = params as ReadonlyArray<string>
  switch (method) {
    case "eth_blockNumber":
      return toQuantity(await provider.getBlockNumber())
    case "eth_getBalance":
      return toQuantity(await provider.getBalance(first!, second))
    case "eth_call":
      return provider.call({ ...(params[0] as { to: string; data: string }), blockTag: second! })
    default:
      return written(await provider.getBlock(first!))
  }
}

const written = (block: Block | null): unknown => block && { number: toQuantity(block.number), hash: block.hash }
