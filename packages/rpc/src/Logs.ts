/**
 * Log queries over any range.
 *
 * Providers limit `eth_getLogs` each in its own way: by blocks, by results, by bytes, by addresses, by time. A query is
 * asked whole unless its upstreams are known not to take it. Where every upstream that could answer says that it is too
 * much, it is taken apart: as far as they say, else in halves; by blocks, and where a single block is too much by
 * addresses, then by topics. The parts run several at once, each a call of its own with the caller's deadline. The answer
 * is the one that a node without limits would give: complete, in the order of the chain, without duplicates.
 *
 * What is no refusal of the query's size is no reason to take it apart: not a rate limit, not an outage, not a timeout of
 * our own.
 *
 * A limit that a node names costs one request to find out, one that it does not name a few (the logarithm of the range).
 * Then it is remembered, for each upstream, and parts grow beyond it again and again, so that no wrong word lasts. With
 * a limit of L blocks at most 2·⌈range/L⌉ parts are asked for, and a twentieth more to find out whether it still holds.
 *
 * **Not promised.** Above the finalized block the parts may come from two branches if a reorganisation falls between
 * them; one that is noticed (see `heads`) has the parts it touched asked for again. Ask up to `finalized`
 * where that must not be. A range that reaches to the head or beyond, and is taken apart, ends at the head of the moment it
 * began, as `eth_blockNumber` tells it.
 */
import { type Call, type Events, JsonRpc, Options as Read } from "@hawser/core"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import type { Heads } from "./internal/heads.ts"
import { chunks } from "./internal/logs/chunks.ts"
import { Splitter } from "./internal/logs/splitter.ts"
import type { Trouble } from "./internal/logs/trouble.ts"

export { Reorganised, TooManyLogs, type Trouble } from "./internal/logs/trouble.ts"

export interface Options {
  /** Parts of one query that are asked for at once. Default 4. */
  readonly concurrency?: number | undefined
  /** The most blocks that one request may span, for nodes that do not say so themselves. Default: what they say. */
  readonly maxBlocks?: number | undefined
  /** A query that was taken apart fails with {@link TooManyLogs} beyond this, to spare memory. Default 500,000. */
  readonly maxLogs?: number | undefined
  /** How long a limit is believed after it was last heard of. Default 10 minutes. */
  readonly remember?: Duration.Input | undefined
  /** What tells of reorganisations. */
  readonly heads?: Pick<Heads, "on"> | undefined
}

/** A query was taken apart. */
export interface Event {
  readonly type: "split"
  readonly blocks: number
}

export interface Inspection {
  /** Queries that were taken apart, the parts asked for, and the requests refused as too much. */
  readonly split: number
  readonly parts: number
  readonly refused: number
  /** Times that blocks were asked for again because they had been replaced. */
  readonly repeated: number
  /** What each upstream is believed to take in one request. */
  readonly maxBlocks: Readonly<Record<string, number>>
  readonly maxAddresses: Readonly<Record<string, number>>
}

/**
 * Takes log queries apart that are too much for the client's upstreams. Belongs above whatever asks again and above a
 * cache, which then keeps each part.
 *
 * A query by block hash, up to the pending block, or with fields that are not known is passed on as it is.
 *
 * ```ts
 * const client = UpstreamPool.layer(upstreams).pipe(Retry.layer(), Logs.layer({ concurrency: 8 }))
 * ```
 *
 * @throws `InvalidOption` at once.
 */
export const layer = (options?: Options) => {
  const settings = read(options)
  return <E, LE, R>(
    self: Layer.Layer<JsonRpc.Client<E>, LE, R>
  ): Layer.Layer<JsonRpc.Client<E | Call.NoAnswer<Trouble>>, LE, R> =>
    JsonRpc.transform(self, "logs", (below: JsonRpc.Service<E>, events: Events.Sink<Event>) =>
      Effect.map(Clock.Clock, (clock) => new Splitter(below, settings, clock, events))
    )
}

const concurrency = Read.integer({ min: 1, default: 4 })
const remember = Read.duration({ default: "10 minutes" })

const read = (options: unknown) => {
  const given = Read.read("Logs", options, {
    concurrency,
    maxBlocks: Read.integer({ min: 1, default: undefined }),
    maxLogs: Read.integer({ min: 1, default: 500_000 }),
    remember,
    heads: Read.any<Pick<Heads, "on">>()
  })
  return { ...given, maxBlocks: given.maxBlocks ?? Infinity }
}

/** Which logs: those of these addresses whose topics are these, place by place. A list holds alternatives. */
export interface Filter {
  readonly address?: string | ReadonlyArray<string> | undefined
  readonly topics?: ReadonlyArray<string | ReadonlyArray<string> | null> | undefined
}

/** A log as it comes over the wire: numbers are hexadecimal. */
export interface Log {
  readonly address: string
  readonly topics: ReadonlyArray<string>
  readonly data: string
  readonly blockNumber: string
  readonly blockHash: string
  readonly transactionHash: string
  readonly transactionIndex: string
  readonly logIndex: string
  readonly removed?: boolean
}

/** How far a reader has come: through a whole block, or through one log of it. Plain data, to be kept as JSON. */
export interface Cursor {
  readonly block: number
  readonly logIndex?: number | undefined
}

/** The logs of some blocks, and the cursor from which to go on after them. */
export interface Chunk {
  readonly from: number
  readonly to: number
  readonly logs: ReadonlyArray<Log>
  readonly cursor: Cursor
}

/** A block by its number or its tag. */
export type Block = number | "earliest" | "finalized" | "safe" | "latest"

export interface StreamOptions {
  /** The first block. Not needed with a cursor, which goes first. */
  readonly from?: Block | undefined
  /** The last block, resolved when the stream starts. Default `"finalized"`: nothing that was told is taken back. */
  readonly to?: Block | undefined
  /** Where an earlier reader got to. */
  readonly cursor?: Cursor | undefined
  /** Logs that a chunk should have, roughly. Default 10,000. */
  readonly chunk?: number | undefined
  /** Requests of one chunk that may be under way at once. Default 4. */
  readonly concurrency?: number | undefined
}

/**
 * All logs of a range, chunk after chunk, in the order of the chain. Whoever keeps each chunk's cursor with what was made
 * of it can go on from there: no log is missed and none comes twice.
 *
 * ```ts
 * Logs.stream(client, { address }, { from: 20_000_000 }).pipe(
 *   Stream.runForEach(({ cursor, logs }) => store(logs, cursor))
 * )
 * ```
 *
 * Chunks are as many blocks as have about the logs wanted and take at most some five seconds; one without logs comes,
 * too, for the sake of its cursor. One is held in memory at a time. What has more than eight times the logs wanted is given
 * up for less, where it was put together from parts (the client's own {@link layer} puts together up to its `maxLogs`).
 *
 * Takes apart by itself what is too much for the client's upstreams, with {@link layer} or without. Fails as the client does,
 * which has retried by then.
 *
 * Not promised: that logs above the finalized block stay true.
 *
 * @throws `InvalidOption` at once.
 */
export const stream = <E>(
  client: JsonRpc.Service<E>,
  filter: Filter,
  options: StreamOptions
): Stream.Stream<Chunk, E | Call.NoAnswer<Trouble>> => {
  const given = Read.read("Logs.stream", options, {
    from: block,
    to: block,
    cursor: readCursor,
    chunk: Read.integer({ min: 1, default: 10_000 }),
    concurrency
  })
  const { cursor, from, to = "finalized" } = given
  if (from === undefined && cursor === undefined)
    Read.reject("Logs.stream.from", "a block, or a cursor beside it", from)
  const settings = { ...given, to, remember: remember("", undefined) }
  return Stream.unwrap(Effect.map(Clock.Clock, (clock) => chunks(client, filter, settings, clock)))
}

/** The cursor of a reader who has got through this log, for those who keep logs one by one. */
export const after = (log: Pick<Log, "blockNumber" | "logIndex">): Cursor => ({
  block: Number(log.blockNumber),
  logIndex: Number(log.logIndex)
})

const tags: ReadonlySet<unknown> = new Set(["earliest", "finalized", "safe", "latest"])

const number = Read.integer({ min: 0 })

const block = (option: string, received: unknown): Block | undefined => {
  if (received === undefined || tags.has(received)) return received as Block | undefined
  return typeof received === "number"
    ? number(option, received)
    : Read.reject(option, `a block's number or "earliest", "finalized", "safe" or "latest"`, received)
}

const readCursor = (option: string, received: unknown): Cursor | undefined =>
  received === undefined
    ? undefined
    : Read.read(option, received, { block: number, logIndex: Read.integer({ min: 0, default: undefined }) })
