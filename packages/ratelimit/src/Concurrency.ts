/**
 * How much may be under way at once? A fixed number, or one that follows what the upstream can take.
 *
 * What finds no room waits in a line that is fair and can be left at any moment. Work that runs is never cancelled: a
 * limit that shrinks lets nobody in until enough have ended.
 */
import { Events, JsonRpc, Options as Read, Outcome } from "@hawser/core"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type { Sample as AdaptiveSample } from "./internal/adaptive.ts"
import { adaptiveOf, layerReaders, makeReaders } from "./internal/concurrencySettings.ts"
import { type ConcurrencyFull, open } from "./internal/places.ts"

export { ConcurrencyFull, sampleOf } from "./internal/places.ts"

/**
 * What one request says about the capacity of the upstream: it was answered, it was dropped (no answer in time, or
 * too much asked), or nothing.
 */
export type Sample = AdaptiveSample

/** How the limit follows the upstream. */
export interface Adaptive<in E = any> {
  /**
   * `aimd` (default): one more for each round of answers, a tenth less when something is dropped. `gradient`: also
   * less when answers take longer than usual (Netflix's Gradient2); it needs requests of one kind to take a similar
   * time.
   */
  readonly algorithm?: "aimd" | "gradient" | undefined
  /** The least. Default 1. */
  readonly min?: number | undefined
  /** The most. Default 200, or ten times `limit` if that is more. */
  readonly max?: number | undefined
  /** What a decrease leaves of the limit, above 0, at most 1. Default 0.9. */
  readonly decrease?: number | undefined
  /** At most one decrease in this time. Default 1 second. */
  readonly window?: Duration.Input | undefined
  /** What a failure says. Default {@link sampleOf}. Defects and interruption say nothing. */
  readonly sample?: ((error: E) => Sample) | undefined
}

export interface Options<in E = any> {
  /** How many at once; where an adaptive limit starts. */
  readonly limit: number
  /** Lets the limit follow what the upstream can take. Default false. */
  readonly adaptive?: boolean | Adaptive<E> | undefined
  /** How many may stand in line. 0 refuses whatever finds no room. Default 1,000. */
  readonly maxQueue?: number | undefined
  /** How long one may stand in line; `Infinity` is a value. Default 30 seconds. */
  readonly maxWait?: Duration.Input | undefined
}

export interface LayerOptions<in E = any> extends Options<E> {
  /** Which requests take a similar time. Default: the method. At most 64 classes are told apart. */
  readonly classOf?: ((request: JsonRpc.Request) => string) | undefined
  /** Who goes first, a whole number from -10 to 10: see {@link Pass.priority}. Default 0. */
  readonly priority?: ((request: JsonRpc.Request) => number) | undefined
}

/** What one execution asks for. */
export interface Pass {
  /**
   * Who goes first, a whole number from -10 to 10; within a priority, first come, first served. Default 0. One turn in
   * ten goes to whoever has waited longest, so that nobody starves. When the line is full, a newcomer takes the place
   * of the last to come of the lowest priority, if that is lower than its own.
   */
  readonly priority?: number | undefined
  /** The class of work it belongs to; work of one class takes a similar time. */
  readonly class?: string | undefined
}

/** Whether an error is a concurrency limit's refusal. */
export const isConcurrencyFull = (u: unknown): u is ConcurrencyFull =>
  Predicate.isTagged(u, "ConcurrencyFull") && Outcome.TypeId in u

/** What a limiter tells as it happens. */
export interface Event {
  readonly type: "limit"
  readonly limit: number
  readonly previous: number
}

export interface Inspection {
  /** How many may run at once. */
  readonly limit: number
  readonly inflight: number
  readonly waiting: number
  readonly admitted: number
  /** How many have stood in line. */
  readonly queued: number
  readonly refused: number
  /** How many left the line of their own accord. */
  readonly abandoned: number
}

/** One limit, for effects that fail with at most `E`. */
export interface Concurrency<in E = unknown> {
  /** Runs the effect once there is room. Inside a pool it never waits unless told to: another upstream may be free. */
  readonly execute: <A, E1 extends E, R>(
    self: Effect.Effect<A, E1, R>,
    options?: Pass
  ) => Effect.Effect<A, E1 | ConcurrencyFull, R>
  readonly inspect: () => Inspection
  readonly events: Events.Events<Event>
}

/**
 * Makes a concurrency limit for any effect.
 *
 * ```ts
 * const uploads = yield* Concurrency.make({ limit: 4 })
 * yield* Effect.forEach(files, (file) => uploads.execute(upload(file)), { concurrency: "unbounded" })
 * ```
 */
export const make = <E = unknown>(
  options: Options<E> & {
    /** What refusals call the upstream. Default "upstream". */
    readonly name?: string | undefined
  }
): Effect.Effect<Concurrency<E>> => {
  const settings = Read.read("Concurrency", options, makeReaders)
  const adaptive = adaptiveOf(settings)
  return Effect.suspend(() => {
    const events = Events.make<Event>()
    return Effect.map(open(settings, adaptive, settings.name, events), (places) => ({
      execute: (self, pass) => Effect.suspend(() => places.admit(self, pass?.class ?? "", pass?.priority ?? 0)),
      inspect: () => places.inspect(),
      events
    }))
  })
}

/**
 * Limits how many requests one upstream has to do at once.
 *
 * ```ts
 * Http.layer({ url }).pipe(Timeout.layer("4 seconds"), Concurrency.layer({ limit: 20, adaptive: true }))
 * ```
 *
 * An adaptive limit belongs above the timeout: what it does not see time out, it cannot learn from.
 */
export const layer = <EP = any>(
  options: LayerOptions<EP>
): (<E, LE, R>(
  self: JsonRpc.Over<"upstream", E, EP, LE, R>
) => Layer.Layer<JsonRpc.Upstream<E | ConcurrencyFull>, LE, R>) => {
  const settings = Read.read("Concurrency", options, layerReaders)
  const adaptive = adaptiveOf(settings)
  return (self) =>
    JsonRpc.transform(self, "concurrency", (below, events) =>
      Effect.map(open(settings, adaptive, below.name, events), (places) => ({
        request: (request) =>
          Effect.suspend(() =>
            places.admit(below.request(request), settings.classOf(request), settings.priority(request))
          ),
        inspect: () => places.inspect()
      }))
    )
}
