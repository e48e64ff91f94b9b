/** A chain of logs, and nodes that limit how many of them they tell. */
import type { JsonRpc } from "@hawser/core"
import { RpcError } from "@hawser/rpc"

/** xorshift: enough for draws that must repeat. */
export const seeded = (seed: number) => {
  let x = (seed * 2 + 1) | 1
  const next = () => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>> 0) / 2 ** 32
  }
  for (let i = 0; i < 8; i++) next()
  return {
    next,
    below: (n: number) => Math.floor(next() * n),
    pick: <A>(list: ReadonlyArray<A>): A => list[Math.floor(next() * list.length)]!
  }
}

export type Draw = ReturnType<typeof seeded>

export const hex = (n: number) => `0x${n.toString(16)}`
const word = (n: number) => `0x${n.toString(16).padStart(64, "0")}`
export const addressOf = (n: number) => `0x${n.toString(16).padStart(40, "0")}`
export const topicOf = word

/** A log with its numbers, and as it goes over the wire. */
export interface Entry {
  readonly block: number
  readonly index: number
  readonly address: string
  readonly topics: ReadonlyArray<string>
  readonly wire: ReturnType<typeof wireOf>
}

const wireOf = (block: number, index: number, address: string, topics: ReadonlyArray<string>, branch = 0) => ({
  address,
  topics,
  data: "0x",
  blockNumber: hex(block),
  blockHash: word(block * 16 + branch),
  transactionHash: word(block * 1_000 + index),
  transactionIndex: hex(index),
  logIndex: hex(index),
  removed: false
})

export const entry = (
  block: number,
  index: number,
  address: string,
  topics: ReadonlyArray<string>,
  branch = 0
): Entry => ({
  block,
  index,
  address,
  topics,
  wire: wireOf(block, index, address, topics, branch)
})

/** Logs in clusters and in deserts, in the order of the chain. */
export const chainOf = (draw: Draw, blocks: number, addresses: number): ReadonlyArray<Entry> => {
  const entries: Array<Entry> = []
  let dense = 0
  for (let block = 0; block < blocks; block++) {
    if (draw.below(40) === 0) dense = draw.pick([0, 0, 0.3, 2, 6])
    const count = Math.floor(draw.next() * (dense + 0.2) + dense / 2)
    for (let index = 0; index < count; index++) {
      const topics = Array.from({ length: draw.below(4) }, () => topicOf(draw.below(4)))
      entries.push(entry(block, index, addressOf(draw.below(addresses)), topics))
    }
  }
  return entries
}

export interface Filter {
  readonly fromBlock?: unknown
  readonly toBlock?: unknown
  readonly address?: unknown
  readonly topics?: unknown
}

const same = (a: unknown, b: string) => typeof a === "string" && a.toLowerCase() === b.toLowerCase()

/** Whether a log is among those that a filter asks for, as the specification says. */
export const matches = ({ address, topics }: Filter, log: Entry): boolean => {
  const allowed = (wanted: unknown, value: string | undefined): boolean => {
    if (wanted === null || wanted === undefined) return true
    if (!Array.isArray(wanted)) return value !== undefined && same(wanted, value)
    return wanted.length === 0 || wanted.some((one) => value !== undefined && same(one, value))
  }
  if (!allowed(address, log.address)) return false
  if (!Array.isArray(topics)) return true
  return log.topics.length >= topics.length && topics.every((wanted, i) => allowed(wanted, log.topics[i]))
}

/** What a node does not do at once. */
export interface Limits {
  readonly blocks?: number
  readonly results?: number
  readonly addresses?: number
  /** Alternatives in one place of the topics. */
  readonly topics?: number
}

/** How many things of each sort a request asks for beyond what is allowed. */
export type Excess = { readonly what: "blocks" | "results" | "addresses"; readonly most: number }

export const excessOf = (limits: Limits, filter: Filter, blocks: number, found: number): Excess | undefined => {
  const count = (value: unknown) =>
    Array.isArray(value) ? new Set(value.map((one) => String(one).toLowerCase())).size : 1
  const topics = Array.isArray(filter.topics) ? filter.topics : []
  if (count(filter.address) > (limits.addresses ?? Infinity)) return { what: "addresses", most: limits.addresses! }
  if (topics.some((one) => count(one) > (limits.topics ?? Infinity))) return { what: "addresses", most: limits.topics! }
  if (blocks > (limits.blocks ?? Infinity)) return { what: "blocks", most: limits.blocks! }
  return found > (limits.results ?? Infinity) ? { what: "results", most: limits.results! } : undefined
}

/** How a provider says that it is too much. `suggest`: a range that would do. */
export type Dialect = (excess: Excess, from: number, to: number, suggest: number) => readonly [number, string]

const silent = (what: Excess["what"]): string =>
  what === "blocks"
    ? "Block range is too large"
    : what === "results"
      ? "query returned more than 10000 results"
      : "exceed max addresses or topics per search position"

const names =
  (text: (most: number) => string): Dialect =>
  ({ most, what }) => [-32000, what === "blocks" ? text(most) : silent(what)]

/** Real words, of those who name their limit and of those who do not. */
export const dialects: Readonly<Record<string, Dialect>> = {
  silent: ({ what }) => [-32000, silent(what)],
  quicknode: names((most) => `eth_getLogs is limited to a ${most.toLocaleString("en")} range`),
  cloudflare: names((most) => `Invalid eth_getLogs request. 'fromBlock'-'toBlock' range too large. Max range: ${most}`),
  avalanche: names((most) => `requested too many blocks from 1 to 9, maximum is set to ${most}`),
  reth: ({ most, what }, from, _to, suggest) => [
    -32603,
    what === "results"
      ? `query exceeds max results ${most}, retry with the range ${from}-${from + suggest - 1}`
      : what === "blocks"
        ? `query exceeds max block range ${most}`
        : silent(what)
  ],
  infura: ({ most, what }, from, _to, suggest) => [
    -32005,
    what === "addresses"
      ? `This query contains ${most + 7} filters. The current limit is ${most}.`
      : what === "blocks"
        ? `range 1000000 exceeds limit of ${most}`
        : `query returned more than ${most} results. Try with this block range [${hex(from)}, ${hex(from + suggest - 1)}].`
  ],
  alchemy: ({ most, what }, from, _to, suggest) => [
    -32602,
    what === "blocks"
      ? `You can make eth_getLogs requests with up to a ${most} block range. Based on your parameters, this block range should work: [${hex(from)}, ${hex(from + most - 1)}]`
      : what === "results"
        ? `Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the response size, or you can request any block range with a cap of 10K logs in the response. Based on your parameters and the response size limit, this block range should work: [${hex(from)}, ${hex(from + suggest - 1)}]`
        : silent(what)
  ],
  // The same words with wrong numbers.
  one: ({ what }) => [-32000, what === "addresses" ? silent(what) : "block range greater than 1 max"],
  huge: ({ what }) => [-32000, what === "addresses" ? silent(what) : "exceed maximum block range: 5000000"],
  stubborn: ({ what }, from, to) => [
    -32603,
    what === "addresses" ? silent(what) : `query exceeds max results 20000, retry with the range ${from}-${to}`
  ],
  almost: ({ what }, from, to) => [
    -32603,
    what === "addresses"
      ? silent(what)
      : `query exceeds max results 20000, retry with the range ${from}-${Math.max(from, to - 1)}`
  ],
  elsewhere: ({ what }) => [
    -32602,
    what === "addresses" ? silent(what) : "Log response size exceeded. this block range should work: [0x0, 0x1]"
  ]
}

/** Those whose numbers are of use. */
export const honest = ["silent", "quicknode", "cloudflare", "avalanche", "reth", "infura", "alchemy"]

export const errorOf = (upstream: string, code: number, message: string): JsonRpc.Rejected | RpcError.ResponseError => {
  const reply = { method: "eth_getLogs", nature: "read", status: 200, error: { code, message } } as const
  return RpcError.make(upstream, reply, RpcError.classify(reply, 0))
}

/** One node: what it answers to a filter of which both ends are numbers. */
export class Node {
  asked = 0
  refused = 0
  readonly name: string
  private readonly chain: ReadonlyArray<Entry>
  readonly limits: Limits
  private readonly dialect: Dialect

  constructor(name: string, chain: ReadonlyArray<Entry>, limits: Limits, dialect: Dialect) {
    this.name = name
    this.chain = chain
    this.limits = limits
    this.dialect = dialect
  }

  search(filter: Filter): ReturnType<typeof errorOf> | ReadonlyArray<Entry["wire"]> {
    this.asked++
    const [from, to] = [Number(filter.fromBlock), Number(filter.toBlock)]
    const found = this.chain.filter((log) => log.block >= from && log.block <= to && matches(filter, log))
    const excess = excessOf(this.limits, filter, to - from + 1, found.length)
    if (excess === undefined) return found.map(({ wire }) => wire)
    this.refused++
    // As many blocks as have no more than the limit, at least one.
    const fits = found[this.limits.results ?? 0]?.block ?? to
    const [code, message] = this.dialect(excess, from, to, Math.max(1, fits - from))
    return errorOf(this.name, code, message)
  }
}
