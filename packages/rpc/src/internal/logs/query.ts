// A log query that can be taken apart, and its pieces as requests.
import { JsonRpc } from "@hawser/core"
import { blocksOf } from "../block.ts"
import { quantity } from "../quantity.ts"

/** The end of a range: a block, or a tag that stands for one. */
export type End = number | "latest" | "safe" | "finalized" | "earliest"

export interface Bounds {
  readonly from: number
  readonly to: number
}

/** A part of what is asked for: blocks, and of them the logs of these addresses with these topics. */
export interface Piece extends Bounds {
  /** Different addresses, or `undefined` where there is nothing to take apart. */
  readonly addresses: ReadonlyArray<string> | undefined
  readonly topics: unknown
  /** It is as wide as a limit allowed, not as wide as it could be. */
  readonly cut: boolean
}

export interface Query {
  readonly from: End
  readonly to: End
  readonly addresses: ReadonlyArray<string> | undefined
  readonly filter: Readonly<Record<string, unknown>>
}

const fields: ReadonlySet<string> = new Set(["fromBlock", "toBlock", "blockHash", "address", "topics"])

/**
 * Reads a query over a range. `undefined` for what is one block's by its hash, goes up to the pending block, or says
 * something that is not understood: such a query is the node's alone.
 */
export const read = (request: JsonRpc.Request): Query | undefined => {
  if (request.method !== "eth_getLogs" || request.params.length !== 1) return undefined
  const blocks = blocksOf(request)
  if (blocks === undefined) return undefined
  const { from, to } = blocks
  if (!isEnd(from) || !isEnd(to)) return undefined
  const filter = request.params[0] as Query["filter"]
  return Object.keys(filter).every((field) => fields.has(field))
    ? { from, to, addresses: listOf(filter["address"]), filter }
    : undefined
}

const isEnd = (ref: unknown): ref is End => typeof ref !== "object" && ref !== "pending"

/** The whole of a query as one piece. */
export const whole = ({ addresses, filter }: Query, { from, to }: Bounds): Piece => ({
  from,
  to,
  addresses,
  topics: filter["topics"],
  cut: false
})

/** Asks for a piece, in the caller's own words where it was not taken apart. */
export const requestOf = (query: Query, { addresses, from, to, topics }: Piece): JsonRpc.Request =>
  JsonRpc.makeRequest("eth_getLogs", [
    {
      ...query.filter,
      fromBlock: quantity(from),
      toBlock: quantity(to),
      ...(addresses === query.addresses ? {} : { address: addresses }),
      ...(topics === query.filter["topics"] ? {} : { topics })
    }
  ])

export const span = ({ from, to }: Bounds): number => to - from + 1

/** The different values of a list that has at least two; with a double in both halves its logs would come twice. */
export const listOf = (value: unknown): ReadonlyArray<string> | undefined => {
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string")) return undefined
  const different = new Map<string, string>()
  for (const item of value) if (!different.has(item.toLowerCase())) different.set(item.toLowerCase(), item)
  return different.size < 2 ? undefined : Array.from(different.values())
}
