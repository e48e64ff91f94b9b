// A request about the latest block, as one about a given block.
import type { JsonRpc } from "@hawser/core"
import { blocksOf } from "../block.ts"
import { methods } from "../methods.ts"
import { quantity } from "../quantity.ts"

/** What a request is pinned to; without a hash, by its number alone. */
export interface Pin {
  readonly number: number
  readonly hash: string | undefined
}

/** Methods that take a block's hash in an object (EIP-1898), as every node understands it. */
const byObject = new Set([
  "eth_getBalance",
  "eth_getCode",
  "eth_getTransactionCount",
  "eth_getStorageAt",
  "eth_getProof",
  "eth_call"
])

/** And those that have a sister by hash. */
const byName: ReadonlyMap<string, string> = new Map([
  ["eth_getBlockByNumber", "eth_getBlockByHash"],
  ["eth_getBlockTransactionCountByNumber", "eth_getBlockTransactionCountByHash"],
  ["eth_getTransactionByBlockNumberAndIndex", "eth_getTransactionByBlockHashAndIndex"],
  ["eth_getUncleCountByBlockNumber", "eth_getUncleCountByBlockHash"],
  ["eth_getUncleByBlockNumberAndIndex", "eth_getUncleByBlockHashAndIndex"],
  ["debug_traceBlockByNumber", "debug_traceBlockByHash"],
  ["eth_getBlockReceipts", "eth_getBlockReceipts"]
])

/** Whether a request is about the latest block, and could be about another. */
export const isPinnable = (request: JsonRpc.Request): boolean =>
  blocksOf(request)?.to === "latest" &&
  (request.method === "eth_blockNumber" || (methods.get(request.method)?.place ?? -1) >= 0)

/** The request with the block in place of `latest`, or as it is. */
export const pinned = (request: JsonRpc.Request, pin: Pin): JsonRpc.Request => {
  const method = methods.get(request.method)
  if (method === undefined || method.place < 0) return request
  const { params } = request
  const { place } = method
  if (method.params[place] === "filter") {
    const filter = pinnedFilter(params[place] as Readonly<Record<string, unknown>>, pin, blocksOf(request)!.from)
    return { ...request, params: params.with(place, filter) }
  }
  const with_ = (block: unknown) =>
    place < params.length ? params.with(place, block) : [...params, ...Array(place - params.length).fill(null), block]
  if (pin.hash === undefined) return { ...request, params: with_(quantity(pin.number)) }
  const sister = byName.get(request.method)
  if (sister !== undefined) return { ...request, method: sister, params: with_(pin.hash) }
  return { ...request, params: with_(byObject.has(request.method) ? { blockHash: pin.hash } : quantity(pin.number)) }
}

const pinnedFilter = (filter: Readonly<Record<string, unknown>>, pin: Pin, from: unknown): unknown => {
  const { fromBlock, toBlock: _, ...rest } = filter
  if (from !== "latest") return { ...rest, fromBlock, toBlock: quantity(pin.number) }
  return pin.hash === undefined
    ? { ...rest, fromBlock: quantity(pin.number), toBlock: quantity(pin.number) }
    : { ...rest, blockHash: pin.hash }
}
