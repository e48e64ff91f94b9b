/**
 * Many upstreams as one client: each request goes to the cheaper of two drawn at random, and on to another when it
 * fails.
 *
 * Cost is the latency to expect (a peak average) and the share of failures times a penalty, times the requests already
 * under way: an upstream that fails at once attracts nothing, one that hangs soon attracts nothing, either gets a
 * request now and then to show that it is back.
 *
 * Each upstream is asked at most once in a round. One that refuses before it was asked (its breaker is open, its limit
 * reached) costs nothing. When all refuse, the pool waits in the line that moves first, if the caller's deadline
 * allows; when only open breakers are left, it sends one request to each as a probe while other callers wait for its
 * outcome, so that the first call after an outage succeeds.
 *
 * A tier hands on what it cannot take: for want of health (see `overflow`) and for want of room (see `capacity`).
 */
import { type Call, Events, JsonRpc, type Outcome } from "@hawser/core"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { build } from "./internal/build.ts"
import { client } from "./internal/client.ts"
import type { Event } from "./internal/ground.ts"
import { isAnswer } from "./internal/job.ts"
import type { Disagreement } from "./internal/quorum.ts"
import { readLayers, readMembers, readOptions, readQuorum } from "./internal/settings.ts"

export type { Event } from "./internal/ground.ts"
export { Disagreement, type Group } from "./internal/quorum.ts"

export interface Options<in E = any> {
  /**
   * `latency` (default): the cheaper of two drawn at random, cost being latency, failures and requests under way.
   * `weight`: in turn, in proportion to their weights, whatever they cost.
   */
  readonly balance?: "latency" | "weight" | undefined
  /**
   * How fast the averages of latency and of failures forget: the time in which they fall to a third (1/e) while nothing
   * else is seen. Default 10 seconds.
   */
  readonly decay?: Duration.Input | undefined
  /** What an upstream that fails every request costs, as latency. Default 5 seconds. */
  readonly penalty?: Duration.Input | undefined
  /**
   * A tier keeps all traffic while its share of upstreams in order, times this, is at least one; below that the rest
   * goes to the next tier first. Default 1.4: from two thirds up, everything.
   */
  readonly overflow?: number | undefined
  /** The time over which an upstream that is new, or back, takes up its share, from a tenth on. Default 0: at once. */
  readonly slowStart?: Duration.Input | undefined
  /** Puts upstreams aside that fail; for those that have no breaker of their own. Default `false`. */
  readonly ejection?: Ejection | boolean | undefined
  /** Ignores ejections while less than this share of the upstreams is left. From 0 (never) to 1. Default 0.5. */
  readonly panic?: number | undefined
  /**
   * Sends what is asked in one turn of the event loop to one upstream, as far as that can take it: for upstreams that send
   * requests together. Default false.
   */
  readonly gather?: boolean | undefined
  /**
   * What a call does while all breakers are open and their upstreams are down. `wait` (default): until one is back, as long as
   * its deadline allows; one request at a time goes to each upstream, every 50 ms at first and every second later. Over
   * JSON-RPC it is an `eth_blockNumber` that is no attempt of any call.
   * `fail`, and without a deadline: as soon as each has been asked.
   */
  readonly outage?: "wait" | "fail" | undefined
  /** What an error means, where its own verdict is not to be followed. */
  readonly judge?: ((error: E) => Outcome.Verdict) | undefined
}

export interface Ejection {
  /** Failures in a row that eject. Default 5. */
  readonly consecutive?: number | undefined
  /** The share of failures that ejects. Default 0.5. */
  readonly rate?: number | undefined
  /** Requests within one to two `interval`s before the share counts. Default 20. */
  readonly minimum?: number | undefined
  /** Default 10 seconds. */
  readonly interval?: Duration.Input | undefined
  /** How long the first ejection lasts; the k-th in a row lasts k times as long. Default 30 seconds. */
  readonly base?: Duration.Input | undefined
  /** The longest. Default 5 minutes. */
  readonly max?: Duration.Input | undefined
  /** The share by which an ejection may be longer, at random. Default 0.1. */
  readonly jitter?: number | undefined
  /** The share of the upstreams that may be out at once; one may in any case, the last never. Default 0.5. */
  readonly share?: number | undefined
}

/** One upstream as a pool takes it. */
export interface MemberOptions {
  /** Lower tiers first; a later tier is asked for what the earlier ones cannot answer. Default 0. */
  readonly tier?: number | undefined
  /** Its share of the traffic beside others of its tier, all else being equal. Default 1. */
  readonly weight?: number | undefined
  /**
   * Requests under way at which it is passed over while others have room, those of later tiers included. No limit: when all
   * are at capacity the first tier takes more, and a concurrency limit is what queues or refuses. Default: none.
   */
  readonly capacity?: number | undefined
}

/** A snapshot of one upstream, as the pool sees it. */
export interface MemberInspection {
  readonly name: string
  readonly tier: number
  readonly weight: number
  readonly capacity: number | undefined
  readonly inflight: number
  /** Why nothing is sent to it at present: `at capacity` while others have room. */
  readonly out: "refused" | "ejected" | "draining" | "at capacity" | undefined
  /** Milliseconds an answer is expected to take. */
  readonly latency: number
  /** The share of requests that fail, from 0 to 1. */
  readonly failing: number
  /** What the next request would cost, in milliseconds: the lower, the likelier it goes here. */
  readonly cost: number
  readonly asked: number
  readonly successes: number
  readonly failures: number
  readonly neutrals: number
  readonly refusals: number
  /** The refusal or the failures for which nothing is sent to it, while that holds. */
  readonly leftOut: string | undefined
  readonly lastError: string | undefined
}

/** What one execution asks for. */
export interface Execution<in U = any> {
  /** Whether it may run twice. Default true. What must not is handed on only where it provably did not run. */
  readonly repeatable?: boolean | undefined
  /**
   * All executions of one scope go to one upstream, at capacity or not, and to another only when that one fails or is
   * excluded. Default: `Call.Sticky`.
   */
  readonly scope?: string | undefined
  /** Names of upstreams that are not asked; where nobody else is left, nobody is. Default: `Call.Exclude`. */
  readonly exclude?: ReadonlyArray<string> | undefined
  /**
   * A request that costs little and may run at any time, whose answer shows that an upstream is back. While all are down,
   * it is sent in place of the execution's own, which keeps its attempts. Default: none, so that the attempts are spread
   * over the time that is left, and an upstream may have been back for seconds before it is asked.
   */
  readonly check?: ((upstream: U) => Effect.Effect<unknown, unknown>) | undefined
}

export interface Quorum<in A = any> {
  /** How many upstreams are asked at once. */
  readonly of: number
  /** How many must give the same answer. */
  readonly agree: number
  /** When two answers are the same. Default: when their JSON is. */
  readonly equal?: ((a: A, b: A) => boolean) | undefined
}

/** One upstream as `make` and `set` take it. */
export interface Upstreams<out U> extends MemberOptions {
  readonly name: string
  readonly upstream: U
}

export interface UpstreamPool<in out U> {
  /**
   * Asks one upstream after another until one answers.
   *
   * An error whose verdict is "nowhere" and not a failure is an answer and is returned as it is; any other ends, when no
   * upstream is left, in `NoAnswer` with one cause for each.
   */
  readonly execute: <A, E, R>(
    ask: (upstream: U) => Effect.Effect<A, E, R>,
    options?: Execution
  ) => Effect.Effect<A, E | Call.NoAnswer<E | Call.Defect>, R>
  /**
   * Asks several upstreams at once until enough give the same answer. The rest is interrupted. An upstream that fails is
   * replaced by another, as in `execute`; each place is a call of its own, with attempts of its own.
   */
  readonly quorum: <A, E, R>(
    ask: (upstream: U) => Effect.Effect<A, E, R>,
    options: Quorum<A>
  ) => Effect.Effect<A, E | Disagreement | Call.NoAnswer<E | Call.Defect>, R>
  /**
   * Replaces the upstreams. One that stays (the same name, upstream, tier and weight) keeps what is known of it, whatever
   * its capacity is now; requests to one that goes end as they will.
   */
  readonly set: (upstreams: ReadonlyArray<Upstreams<U>>) => Effect.Effect<void>
  /** Sends nothing more to an upstream, and waits until what is under way there has ended. */
  readonly drain: (name: string) => Effect.Effect<void>
  readonly inspect: () => ReadonlyArray<MemberInspection>
  readonly events: Events.Events<Event>
}

/**
 * Makes a pool of anything: clients, connections, endpoints.
 *
 * ```ts
 * const pool = yield* UpstreamPool.make([
 *   { name: "a", upstream: clientA },
 *   { name: "b", upstream: clientB, tier: 1 }
 * ])
 * const answer = yield* pool.execute((client) => client.get("/status"))
 * ```
 */
export const make = <U, E = any>(
  upstreams: ReadonlyArray<Upstreams<U>>,
  options?: Options<E>
): Effect.Effect<UpstreamPool<U>> => {
  const settings = readOptions(options)
  const specs = readMembers(upstreams)
  return Effect.suspend(() => {
    const events = Events.make<Event>()
    return Effect.map(build(specs, settings, events), ({ run, ...pool }) => ({
      ...pool,
      execute: (ask, options) =>
        run({ ask, check: options?.check, repeatable: options?.repeatable ?? true, isAnswer }, options),
      events
    }))
  })
}

type UpstreamLayer = Layer.Layer<JsonRpc.Upstream<any>, any, any>

/** An upstream's layer, or the layer with its tier and weight. */
export type Upstream<L extends UpstreamLayer = UpstreamLayer> = L | ({ readonly upstream: L } & MemberOptions)

type LayerOf<U> = U extends { readonly upstream: infer L extends UpstreamLayer }
  ? L
  : U extends UpstreamLayer
    ? U
    : never

/** Which reads are put to several upstreams at once. */
export interface LayerQuorum extends Quorum {
  /** Default: all reads. Answers about the newest block differ between upstreams that are both right. */
  readonly only?: ((request: JsonRpc.Request) => boolean) | undefined
}

/** Options of the pool, and for its requests. */
export interface LayerOptions<in E = any> extends Options<E> {
  /**
   * Asks several upstreams and takes the answer that enough of them give; a `Disagreement` is the cause of a `NoAnswer` then.
   * Default: none.
   */
  readonly quorum?: LayerQuorum | undefined
}

/** What a client above a pool of upstreams that fail with `E` can fail with. */
export type ClientError<E> = Extract<E, JsonRpc.Rejected> | Call.NoAnswer<Exclude<E, JsonRpc.Rejected> | Call.Defect>

/**
 * Builds one client from many upstreams. It fails with the chain's own answer (`Rejected`) or with nobody's
 * (`NoAnswer`), which holds one cause for each upstream.
 */
export const layer = <const Us extends ReadonlyArray<Upstream>>(
  upstreams: Us,
  options?: LayerOptions<JsonRpc.ErrorOf<LayerOf<Us[number]>>>
): Layer.Layer<
  JsonRpc.Client<ClientError<JsonRpc.ErrorOf<LayerOf<Us[number]>>>>,
  Layer.Error<LayerOf<Us[number]>>,
  Layer.Services<LayerOf<Us[number]>>
> => {
  const { quorum: given, ...rest } = options ?? {}
  const settings = readOptions(rest)
  const quorum = given === undefined ? undefined : readQuorum(given)
  return Layer.effect(JsonRpc.client<any>())(client(readLayers(upstreams), settings, quorum)) as never
}
