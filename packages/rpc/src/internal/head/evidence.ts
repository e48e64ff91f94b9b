// What an answer shows of the chain behind the upstream that gave it.
import type { JsonRpc } from "@hawser/core"
import { numberOf } from "../quantity.ts"

/** A block as an answer shows it; without a hash, only its number. */
export interface Evidence {
  /**
   * `head`, `safe`, `finalized`: what the upstream takes for it. `block`: a block of its chain. `has`: a block that it has,
   * though its chain may not.
   */
  readonly kind: "head" | "safe" | "finalized" | "block" | "has"
  readonly number: number
  readonly hash: string | undefined
  readonly parentHash: string | undefined
  readonly timestamp: number | undefined
}

/** Reads an answer; `undefined`: it shows nothing. */
export type Reader = (params: ReadonlyArray<unknown>, result: unknown) => Evidence | undefined

export const height = (number: number): Evidence => ({
  kind: "head",
  number,
  hash: undefined,
  parentHash: undefined,
  timestamp: undefined
})

const tags: Readonly<Record<string, Evidence["kind"] | "none">> = {
  latest: "head",
  safe: "safe",
  finalized: "finalized",
  // It is not of the chain yet.
  pending: "none"
}

const kindOf = (tag: unknown): Evidence["kind"] | "none" =>
  tag === undefined || tag === null ? "head" : ((typeof tag === "string" ? tags[tag] : undefined) ?? "block")

const hashOf = (value: unknown): string | undefined =>
  typeof value === "string" && value.length === 66 ? value.toLowerCase() : undefined

/** A block in full, or its header. */
const block = (kind: Evidence["kind"] | "none", result: unknown): Evidence | undefined => {
  if (typeof result !== "object" || result === null || kind === "none") return undefined
  const { hash, number, parentHash, timestamp } = result as Record<string, unknown>
  const n = numberOf(number)
  const own = hashOf(hash)
  return n === undefined || n < 0 || own === undefined
    ? undefined
    : { kind, number: n, hash: own, parentHash: hashOf(parentHash), timestamp: numberOf(timestamp) }
}

/** Something that says in which block it is. */
const within = (kind: Evidence["kind"], result: unknown): Evidence | undefined => {
  if (typeof result !== "object" || result === null) return undefined
  const { blockHash, blockNumber, removed } = result as Record<string, unknown>
  const number = numberOf(blockNumber)
  const hash = hashOf(blockHash)
  return number === undefined || hash === undefined || removed === true
    ? undefined
    : { kind, number, hash, parentHash: undefined, timestamp: undefined }
}

/** The last of a list is the newest. */
const last = (kind: Evidence["kind"], result: unknown): Evidence | undefined =>
  Array.isArray(result) ? within(kind, result.at(-1)) : undefined

const namesHash = (param: unknown): boolean =>
  (typeof param === "string" && param.length === 66) ||
  (typeof param === "object" && param !== null && "blockHash" in param && param.blockHash != null)

const readers: ReadonlyMap<string, Reader> = new Map<string, Reader>([
  ["eth_getBlockByNumber", (params, result) => block(kindOf(params[0]), result)],
  ["eth_getBlockByHash", (_, result) => block("has", result)],
  ["eth_getTransactionReceipt", (_, result) => within("block", result)],
  ["eth_getTransactionByHash", (_, result) => within("block", result)],
  ["eth_getTransactionByBlockNumberAndIndex", (_, result) => within("block", result)],
  ["eth_getBlockReceipts", (params, result) => last(namesHash(params[0]) ? "has" : "block", result)],
  ["eth_getLogs", (params, result) => last(namesHash(params[0]) ? "has" : "block", result)]
])

/** How to read the answers to a request, if they show anything. `eth_blockNumber` is not among them. */
export const readerOf = (request: JsonRpc.Request): Reader | undefined => readers.get(request.method)
