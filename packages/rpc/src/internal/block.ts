/** Which blocks a request is about. */
import type { JsonRpc } from "@hawser/core"
import { fromTheFirst, methods } from "./methods.ts"
import { isHash, numberOf } from "./quantity.ts"

/**
 * Which block a request names: by number, by tag, or by hash. With `requireCanonical` a node refuses a block that has
 * left the canonical chain; without, it answers for it all the same.
 */
export type Ref =
  | number
  | "latest"
  | "safe"
  | "finalized"
  | "pending"
  | "earliest"
  | { readonly hash: string; readonly requireCanonical?: boolean }

/** The lowest and highest block whose content the answer may depend on, as the request names them. */
export interface Blocks {
  readonly from: Ref
  readonly to: Ref
}

/**
 * The blocks a request names or, where it names none, those its method takes then. `undefined`: it depends on none, or
 * nobody can tell, since the method is not known or its parameters are not as they should be.
 *
 * `earliest` is not block 0 everywhere: nodes that have dropped old history mean the first they still have.
 */
export const blocksOf = (request: JsonRpc.Request): Blocks | undefined => {
  const method = methods.get(request.method)
  if (method === undefined) return undefined
  if (method.basis === "head") return latest
  const { params: kinds, place } = method
  if (place < 0) return undefined
  const { params } = request
  if (kinds[place] === "filter") return rangeOf(params[place], fromTheFirst(request.method))
  // Some nodes let the list before the block be left out, others then read a block as the list.
  if (place > 0 && kinds[place - 1] === "list" && !Array.isArray(params[place - 1])) return undefined
  const to = kinds[place] === "hash" ? hashOf(params[place]) : refOf(params[place])
  if (to === undefined) return undefined
  if (to === "latest") return latest
  if (typeof to !== "number" || place === 0 || kinds[place - 1] !== "count") return { from: to, to }
  const count = numberOf(params[place - 1])
  return count === undefined ? undefined : { from: Math.max(0, to - Math.max(1, count) + 1), to }
}

const latest: Blocks = { from: "latest", to: "latest" }

const hashOf = (value: unknown): Ref | undefined => (isHash(value) ? { hash: value.toLowerCase() } : undefined)

const refOf = (value: unknown): Ref | undefined => {
  if (typeof value === "string") return named(value)
  if (value === undefined || value === null) return "latest"
  if (typeof value !== "object" || Array.isArray(value)) return undefined
  const { blockHash, blockNumber, requireCanonical } = value as Record<string, unknown>
  if (blockHash === undefined) return typeof blockNumber === "string" ? named(blockNumber) : undefined
  if (blockNumber !== undefined || !isHash(blockHash)) return undefined
  return { hash: blockHash.toLowerCase(), ...(requireCanonical === true ? { requireCanonical } : {}) }
}

const named = (value: string): Ref | undefined => {
  switch (value) {
    case "latest":
    case "safe":
    case "finalized":
    case "pending":
    case "earliest":
      return value
    default:
      return hashOf(value) ?? numberOf(value)
  }
}

const rangeOf = (filter: unknown, fromTheFirst: boolean): Blocks | undefined => {
  if (typeof filter !== "object" || filter === null || Array.isArray(filter)) return undefined
  const { blockHash, fromBlock, toBlock } = filter as Record<string, unknown>
  if (blockHash !== undefined && blockHash !== null) {
    if (!isHash(blockHash) || (fromBlock ?? toBlock ?? undefined) !== undefined) return undefined
    const ref = { hash: blockHash.toLowerCase() }
    return { from: ref, to: ref }
  }
  const from = endOf(fromBlock, fromTheFirst ? "earliest" : "latest")
  const to = endOf(toBlock, "latest")
  return from === undefined || to === undefined ? undefined : { from, to }
}

const endOf = (value: unknown, omitted: Ref): Ref | undefined => {
  if (value === undefined || value === null) return omitted
  const ref = typeof value === "string" ? named(value) : undefined
  return typeof ref === "object" ? undefined : ref
}
