/**
 * The whole: every layer, in an order that works, with defaults that work. One file says both.
 */
import { Breaker } from "@hawser/breaker"
import type { ResponseCache } from "@hawser/cache"
import { type Call, JsonRpc, Options as Read, Trace } from "@hawser/core"
import { UpstreamPool } from "@hawser/pool"
import { Concurrency, RateLimit } from "@hawser/ratelimit"
import { Deadline, Hedge, Retry, Timeout } from "@hawser/retry"
import {
  Chain,
  Filters,
  Head,
  Http,
  Logs,
  Method,
  Multicall,
  type RpcError,
  Snapshot,
  Subscription,
  Write,
  Ws
} from "@hawser/rpc"
import type * as Duration from "effect/Duration"
import type * as Layer from "effect/Layer"
import * as Finality from "./internal/finality.ts"
import * as Gather from "./internal/gather.ts"
import * as Health from "./internal/health.ts"
import * as Names from "./internal/names.ts"
import { under } from "./internal/under.ts"

/** One upstream, by its URL or as a layer of your own, with what is particular to it. */
export type Upstream = (
  | {
      /** `http:`, `https:`, `ws:` or `wss:`. A user and password in it become basic authentication. */
      readonly url: string | URL
      /** Sent with every request. Their values appear nowhere. */
      readonly headers?: Readonly<Record<string, string>> | undefined
      /** Whether reads asked at once travel together, in place of the stack's. Over HTTP only. */
      readonly batch?: boolean | Http.BatchOptions | undefined
    }
  | {
      /** Whatever else answers JSON-RPC. It is guarded like the others. */
      readonly layer: Layer.Layer<JsonRpc.Upstream<unknown>>
    }
) &
  Particulars

export interface Particulars {
  /** What it is called in errors, logs and metrics. Default: the URL's host, then `host#2`; `upstream#n` for a layer. */
  readonly name?: string | undefined
  /** Lower tiers first; a later tier takes what the earlier ones cannot. Default 0. */
  readonly tier?: number | undefined
  /** Its share of the traffic beside others of its tier. Default 1. */
  readonly weight?: number | undefined
  /**
   * Requests under way at which others with room are asked instead, those of later tiers included. Default: the limit of
   * `concurrency`, if it is fixed.
   */
  readonly capacity?: number | undefined
  /** What its plan allows. Default: no limit. The pause a `Retry-After` asks for is kept in any case. */
  readonly rateLimit?: RateLimit.LayerOptions | undefined
  /** Requests that may be under way at once. Default: no limit. */
  readonly concurrency?: Concurrency.LayerOptions | undefined
  /** How long an attempt at this upstream may take, in place of the stack's. */
  readonly timeout?: Time | false | undefined
  /** Which methods it serves. Default: all. */
  readonly methods?: Method.Served | undefined
}

/** A time, or what a function makes of the request: heavy methods need longer. */
export type Time = Duration.Input | ((request: JsonRpc.Request) => Duration.Input)

/** Each names a layer and takes its options, or `false` to leave it out. */
export interface Options {
  /** Where to ask. A flat list is balanced; `tier` puts some before others. */
  readonly upstreams: ReadonlyArray<string | URL | Layer.Layer<JsonRpc.Upstream<unknown>> | Upstream>
  /** The chain they must be of. Default: that of the first which is verified. */
  readonly chainId?: number | undefined
  /** How long a call may take in all. Default 10 seconds; for heavy requests 60. */
  readonly deadline?: Time | false | undefined
  /**
   * Which upstream knows what of the chain, and that what is told of the head does not go back in time. Default: an upstream
   * is late when it is more than 3 blocks and 15 seconds behind; reads of the head wait up to one block time.
   */
  readonly head?: Head.Options | false | undefined
  /** How blocks and logs are followed for those who subscribe. Default: by an upstream that tells, else by looking. */
  readonly subscription?: Subscription.Options | false | undefined
  /** How filters are kept here rather than at a node. Default: until nobody has asked for them for 5 minutes. */
  readonly filters?: Filters.Options | false | undefined
  /** What is kept, and for how long. Default: what is final, up to 10,000 answers, and what is not until it may change. */
  readonly cache?: Finality.Options | false | undefined
  /** When to ask again. Default: six attempts, full jitter from 100 ms up to 5 s, half an extra request per call. */
  readonly retry?: Retry.Options | false | undefined
  /** How log queries are taken apart that are too wide for a node. Default: as the nodes say, four parts at once. */
  readonly logs?: Logs.Options | false | undefined
  /** How signed transactions are sent. Default: to one upstream, looked for when its answer is lost, then sent again. */
  readonly write?: Write.Options | false | undefined
  /** When to ask a second upstream before the first has failed. Default: at the 95th percentile, 50 ms to 2 s. */
  readonly hedge?: Hedge.Options | false | undefined
  /** How upstreams are compared. */
  readonly pool?: UpstreamPool.Options | undefined
  /** Puts reads to several upstreams at once, and takes the answer that enough of them give. Default: none. */
  readonly quorum?: UpstreamPool.LayerQuorum | false | undefined
  /** When an upstream is left alone. Default: half of at least 20 calls in 10 s failed, or ten in a row. */
  readonly breaker?: (Breaker.Options & Breaker.Sharing) | false | undefined
  /** How long one attempt may take. Default 4 seconds; for heavy requests 30. */
  readonly timeout?: Time | false | undefined
  /**
   * Asks each upstream for its head now and then, and shows who is healthy: unhealthy after two checks in a row that failed,
   * healthy again after one that did not. It leaves nobody out. Default: off; what counts is learned from traffic.
   */
  readonly health?: Health.Options | false | undefined
  /**
   * Sends reads that are asked in one turn of the event loop as one JSON-RPC batch to their upstream. They go through the layers
   * as one, too, unless an option or a listener has to do with single requests. Default: off.
   */
  readonly batch?: boolean | Http.BatchOptions | undefined
  /** Merges calls on the same block that are asked at once into one call to Multicall3. Default: off. */
  readonly multicall?: Multicall.Options | false | undefined
  /** Rules that come before the built-in ones when an error is classified. */
  readonly errors?: ReadonlyArray<RpcError.Row> | undefined
  /** Tells listeners what happened to each call, and makes spans where they are asked for. Default: no spans. */
  readonly trace?: Trace.Options | false | undefined
}

/** Why an upstream of the stack gave no answer. */
export type UpstreamError =
  | Exclude<Http.HttpError, JsonRpc.Rejected>
  | Timeout.TimeoutError
  | Concurrency.ConcurrencyFull
  | RateLimit.RateLimited
  | Breaker.CircuitOpen
  | Chain.WrongChain
  | Chain.Unverified
  | Head.HeadError
  | Method.NotServed

/** What a client of the stack fails with: the chain's own answer, nobody's answer, or no time left. */
export type Error = JsonRpc.Rejected | Call.NoAnswer<UpstreamError | Call.Defect | Logs.Trouble> | Call.DeadlineExceeded

/**
 * The default stack.
 *
 * ```ts
 * const live = Stack.layer({ chainId: 1, upstreams: ["https://a", "https://b"] })
 * ```
 *
 * @throws `InvalidOption` at once.
 */
export const layer = (options: Options): Layer.Layer<JsonRpc.Client<Error>> => {
  const given = read(options)
  const chain = Chain.make(given.chainId)
  const head = under("Stack.head", given.head, () => Head.make(given.head === false ? undefined : given.head))
  const upstreams = given.upstreams.map((upstream, i) => ({
    upstream: guarded(upstream, `Stack.upstreams[${i}]`, given, chain, head),
    tier: upstream.tier,
    weight: upstream.weight,
    capacity: upstream.capacity ?? room(upstream)
  }))
  const gather = given.upstreams.some(({ batch }) => (batch ?? given.batch ?? false) !== false)
  const quorum = given.quorum === false ? undefined : given.quorum
  const pool = under(
    (part) => (part.startsWith(".quorum") ? "Stack" : "Stack.pool"),
    {},
    () => UpstreamPool.layer(upstreams, { gather, ...given.pool, quorum })
  )
  return pool.pipe(
    unless("Stack.hedge", given.hedge, Hedge.layer),
    unless("Stack.retry", given.retry, Retry.layer),
    unless("Stack.multicall", given.multicall ?? false, Multicall.layer),
    unless("Stack.write", given.write, Write.layer),
    unless("Stack.cache", given.cache, (cache) => Finality.layer(head, cache, given.chainId)),
    unless("Stack.head", given.head, () => Head.client(head)),
    unless("Stack.logs", given.logs, (logs) => Logs.layer({ heads: head, ...logs })),
    Snapshot.layer,
    unless("Stack.subscription", given.subscription, Subscription.layer),
    unless("Stack.filters", given.filters, Filters.layer),
    unless("Stack.deadline", given.deadline, (deadline = byWeight("10 seconds", "60 seconds")) =>
      Deadline.layer(deadline)
    ),
    unless("Stack.trace", given.trace, Trace.layer),
    unless("Stack.batch", Gather.settings(given), (settings) => Gather.layer(settings!))
  )
}

const room = ({ concurrency }: Names.Given): number | undefined =>
  concurrency?.adaptive === undefined || concurrency.adaptive === false ? concurrency?.limit : undefined

// One upstream with all that guards it, innermost first.
const guarded = (upstream: Names.Given, path: string, stack: Given, chain: Chain.Chain, head: Head.Head) =>
  transport(upstream, path, stack).pipe(
    unless(
      upstream.timeout === undefined ? "Stack.timeout" : `${path}.timeout`,
      upstream.timeout ?? stack.timeout,
      (limit = byWeight("4 seconds", "30 seconds")) => Timeout.layer(limit)
    ),
    unless(`${path}.concurrency`, upstream.concurrency ?? false, (concurrency) => Concurrency.layer(concurrency!)),
    // Never off: without a limit it keeps the pause that an upstream asks for.
    under(`${path}.rateLimit`, upstream.rateLimit, () => RateLimit.layer(upstream.rateLimit)),
    unless("Stack.breaker", stack.breaker, Breaker.layer),
    Chain.layer(chain),
    unless("Stack.head", stack.head, () => Head.upstream(head)),
    unless(`${path}.methods`, upstream.methods ?? false, (methods) => Method.layer(methods!)),
    unless(path, isHttp(upstream) ? undefined : false, () =>
      Method.layer({ exclude: ["eth_subscribe", "eth_unsubscribe"] })
    ),
    unless("Stack.health", stack.health ?? false, (health) => Health.layer(health!))
  ) as Layer.Layer<JsonRpc.Upstream<UpstreamError | JsonRpc.Rejected>>

const transport = ({ batch, headers, layer, name, url }: Names.Given, path: string, stack: Given) => {
  if (layer !== undefined) return layer.pipe(JsonRpc.named(name))
  const common = { url: url!, name, headers, errors: stack.errors }
  const isOfAll = (part: string) => part.startsWith(".errors") || (batch === undefined && part.startsWith(".batch"))
  return under(
    (part) => (isOfAll(part) ? "Stack" : path),
    common,
    () => (isWebSocket(url) ? Ws.layer(common) : Http.layer({ ...common, batch: batch ?? stack.batch }))
  )
}

const isWebSocket = (url: string | URL | undefined): boolean => /^wss?:/i.test(String(url))

const isHttp = ({ layer, url }: Names.Given): boolean => layer === undefined && !isWebSocket(url)

const byWeight =
  (light: Duration.Input, heavy: Duration.Input) =>
  (request: JsonRpc.Request): Duration.Input =>
    Method.weight(request) === "heavy" ? heavy : light

/** Applies a layer, unless it is switched off. The types are those of the whole stack, switched off or not. */
const unless =
  <O>(path: string, option: O | false | undefined, layer: (option: O | undefined) => (self: never) => unknown) =>
  <L>(self: L): L =>
    option === false ? self : (under(path, option, () => layer(option))(self as never) as L)

type Given = ReturnType<typeof read>

const read = (options: Options) => {
  const given = Read.read("Stack", options, {
    upstreams: Names.upstreams,
    chainId: Read.integer({ min: 1, default: undefined }),
    deadline: Read.any<Options["deadline"]>(),
    head: Read.any<Options["head"]>(),
    subscription: Read.any<Options["subscription"]>(),
    filters: Read.any<Options["filters"]>(),
    cache: Read.any<Options["cache"]>(),
    retry: Read.any<Options["retry"]>(),
    hedge: Read.any<Options["hedge"]>(),
    pool: Read.any<Options["pool"]>(),
    quorum: Read.any<Options["quorum"]>(),
    breaker: Read.any<Options["breaker"]>(),
    timeout: Read.any<Options["timeout"]>(),
    health: Read.any<Options["health"]>(),
    logs: Read.any<Options["logs"]>(),
    write: Read.any<Options["write"]>(),
    batch: Read.any<Options["batch"]>(),
    multicall: Read.any<Options["multicall"]>(),
    errors: Read.any<Options["errors"]>(),
    trace: Read.any<Options["trace"]>()
  })
  return given
}

/** Whether an upstream tells of new blocks by itself: is a WebSocket. */
export const isPushing = (options: Options): boolean => read(options).upstreams.some(({ url }) => isWebSocket(url))

/** The names of the upstreams, as they appear in errors and snapshots. */
export const names = (options: Options): ReadonlyArray<string> => read(options).upstreams.map(({ name }) => name)

/** A snapshot of a stack. What a layer shows of itself is there if the layer is. */
export interface Status {
  readonly upstreams: ReadonlyArray<UpstreamStatus>
  readonly hedge?: Hedge.Inspection
  readonly retry?: Retry.Inspection
  readonly multicall?: Multicall.Inspection
  readonly write?: Write.Inspection
  readonly logs?: Logs.Inspection
  readonly head?: Head.Inspection
  readonly subscription?: Subscription.Inspection
  readonly filters?: Filters.Inspection
  readonly cache?: ResponseCache.Inspection
  readonly deadline?: Deadline.Inspection
}

export interface UpstreamStatus {
  readonly name: string
  readonly pool?: UpstreamPool.MemberInspection
  readonly chain?: Chain.Inspection
  readonly head?: Head.UpstreamInspection
  readonly breaker?: Breaker.Inspection
  readonly rateLimit?: RateLimit.Inspection
  readonly concurrency?: Concurrency.Inspection
  readonly timeout?: Timeout.Inspection
  readonly health?: Health.Inspection
  readonly http?: Http.Inspection
  readonly ws?: Ws.Inspection
}

/** Reads a snapshot as that of a stack. */
export const status = (inspection: JsonRpc.Inspection): Status => ({ upstreams: [], ...inspection })
