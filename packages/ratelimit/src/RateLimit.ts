/**
 * May we spend on it now? A rate limit that is never exceeded, a line that is fair and can be left at any moment, and
 * the pause that an upstream asks for, kept for everybody.
 *
 * The limit is a token bucket in its GCRA form. **The exact bound**: in any closed interval of length `W` at most
 * `burst + floor(W * limit / window)` pass (`burst` being the heaviest request, if one weighs more). So a bucket as
 * large as the limit lets twice the limit pass in one window: all it held and all that came in meanwhile. Most
 * providers count windows and would refuse half of that, which is why `burst` is a tenth of the limit by default: at
 * most 10 % too many in the worst window, enough to make up for late timers, and of a daily quota still 2.4 hours at
 * once. Set it to the limit where the provider's own bucket is that large; set it to 1 to space requests evenly.
 */
import { Events, JsonRpc, Options as Read, Outcome } from "@hawser/core"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import { open, type RateLimited } from "./internal/limiter.ts"
import type { MeterEvent } from "./internal/meter.ts"
import { layerReaders, makeReaders, ratesOf } from "./internal/rateSettings.ts"
import type { Shared } from "./internal/remote.ts"

export type { Rate } from "./internal/gcra.ts"
export { RateLimited } from "./internal/limiter.ts"
export type { Answer, Permit, Quota, Shared } from "./internal/remote.ts"

/** How much may pass in how long. */
export interface Limit {
  /** Units of weight that may pass in one `window`, from 1 to 1,000,000,000. */
  readonly limit: number
  /** One millisecond at least. */
  readonly window: Duration.Input
  /** Units that may pass at once after a pause, from 1 to 100 times the limit. Default: a tenth of the limit. */
  readonly burst?: number | undefined
}

/** How the rate follows what the server says. A share is a number from 0 to 1. */
export interface Learning<in E = any> {
  /** What each decrease leaves of the rate. Default 0.7. */
  readonly decrease?: number | undefined
  /** The share of the configured rate that each window without a decrease gives back. Default 0.05. */
  readonly recover?: number | undefined
  /** The least share of the configured rate. Default 0.1. */
  readonly floor?: number | undefined
  /** Which errors mean that the rate is too high. Default: those whose verdict says when to come back. */
  readonly when?: ((error: E) => boolean) | undefined
}

export interface Options<in E = any> {
  /** Units of weight that may pass in one `window`. Without it there is no limit, only the pause. */
  readonly limit?: number | undefined
  /** Needed with `limit`. */
  readonly window?: Duration.Input | undefined
  /** Units that may pass at once after a pause. Default: a tenth of the limit, at least 1. */
  readonly burst?: number | undefined
  /** Several limits at once instead of one, such as per second and per day: what passes, passes all of them. */
  readonly limits?: ReadonlyArray<Limit> | undefined
  /** How many may stand in line. 0 refuses whatever may not pass at once. Default 1,000. */
  readonly maxQueue?: number | undefined
  /** How long one may stand in line; `Infinity` is a value. Default 30 seconds. */
  readonly maxWait?: Duration.Input | undefined
  /** The longest pause that an upstream may impose. 0 ignores what it asks for. Default 60 seconds. */
  readonly maxPause?: Duration.Input | undefined
  /** Lowers the rate when the server says it is too high, and lets it recover. Default false. */
  readonly learn?: boolean | Learning<E> | undefined
  /** What an error means, where its own verdict is not to be followed. */
  readonly judge?: ((error: E) => Outcome.Verdict) | undefined
  /**
   * Keeps the limit and its pauses where other processes draw on them, too: what the `rateLimit` of a store gives.
   * Every request then asks the store; the line stays in this process. Not together with `learn`.
   */
  readonly shared?: Shared | undefined
}

export interface LayerOptions<in E = any> extends Options<E> {
  /** What a request costs, a whole number of units. Default 1. */
  readonly weight?: ((request: JsonRpc.Request) => number) | undefined
  /** Who goes first, a whole number from -10 to 10: see {@link Pass.priority}. Default 0. */
  readonly priority?: ((request: JsonRpc.Request) => number) | undefined
}

/** What one execution asks for. */
export interface Pass {
  /**
   * What it costs, in units: a whole number. Default 1. What weighs more than `burst` waits until the bucket is full
   * and overdraws it; what weighs more than the limit (and `burst`) is refused at once, for good. 0 is free and stands
   * in line only during a pause.
   */
  readonly weight?: number | undefined
  /**
   * Who goes first, a whole number from -10 to 10; within a priority, first come, first served. Default 0. One turn in
   * ten goes to whoever has waited longest, so that nobody starves. When the line is full, a newcomer takes the place
   * of the last to come of the lowest priority, if that is lower than its own.
   */
  readonly priority?: number | undefined
}

/** Whether an error is a rate limit's refusal. */
export const isRateLimited = (u: unknown): u is RateLimited =>
  Predicate.isTagged(u, "RateLimited") && Outcome.TypeId in u

/**
 * What a limiter tells as it happens: a pause begins (`for` milliseconds) or is over, the rate in force changes to a
 * `share` of the configured one. Nothing runs to watch for it: the end of a pause is told by the first to pass, a
 * recovery likewise.
 */
export type Event = MeterEvent

export interface Inspection {
  /** Units that may pass at once; below zero when overdrawn, `undefined` without a limit. If shared, as last heard. */
  readonly available: number | undefined
  /** The share of the configured rate in force. */
  readonly share: number
  /** Milliseconds until the pause is over, or 0. */
  readonly pausedFor: number
  readonly waiting: number
  readonly admitted: number
  /** How many have stood in line. */
  readonly queued: number
  readonly refused: number
  /** How many left the line of their own accord. */
  readonly abandoned: number
}

/** One limit, for effects that fail with at most `E`. */
export interface RateLimit<in E = unknown> {
  /** Runs the effect once it may pass. Inside a pool it never waits unless told to: another upstream may be free. */
  readonly execute: <A, E1 extends E, R>(
    self: Effect.Effect<A, E1, R>,
    options?: Pass
  ) => Effect.Effect<A, E1 | RateLimited, R>
  /** How long something of this weight would wait; `undefined` if it never passes. Changes nothing. */
  readonly peek: (weight?: number) => Duration.Duration | undefined
  /** Pauses for this long from now, whatever pause there is already; 0 ends it. Running work goes on. */
  readonly pause: (duration: Duration.Input) => void
  readonly inspect: () => Inspection
  readonly events: Events.Events<Event>
}

/**
 * Makes a rate limit for any effect.
 *
 * ```ts
 * const etherscan = yield* RateLimit.make({ name: "etherscan", limit: 5, window: "1 second" })
 * const page = yield* etherscan.execute(fetchPage(1))
 * ```
 */
export const make = <E = unknown>(
  options?: Options<E> & {
    /** What refusals call the upstream. Default "upstream". */
    readonly name?: string | undefined
  }
): Effect.Effect<RateLimit<E>> => {
  const settings = Read.read("RateLimit", options, makeReaders)
  const rates = ratesOf(settings)
  return Effect.suspend(() => {
    const events = Events.make<Event>()
    return Effect.map(open(settings, rates, settings.name, events), (limiter) => ({
      execute: (self, pass) => Effect.suspend(() => limiter.admit(self, pass?.weight ?? 1, pass?.priority ?? 0)),
      peek: (weight) => limiter.peek(weight),
      pause: (duration) => limiter.pause(duration),
      inspect: () => limiter.inspect(),
      events
    }))
  })
}

/**
 * Limits what is sent to one upstream.
 *
 * ```ts
 * Http.layer({ url }).pipe(RateLimit.layer({ limit: 25, window: "1 second" }))
 * ```
 *
 * Without options it limits nothing and only keeps the pause that the upstream asks for.
 */
export const layer = <EP = any>(
  options?: LayerOptions<EP>
): (<E, LE, R>(
  self: JsonRpc.Over<"upstream", E, EP, LE, R>
) => Layer.Layer<JsonRpc.Upstream<E | RateLimited>, LE, R>) => {
  const settings = Read.read("RateLimit", options, layerReaders)
  const rates = ratesOf(settings)
  return (self) =>
    JsonRpc.transform(self, "rateLimit", (below, events) =>
      Effect.map(open(settings, rates, below.name, events), (limiter) => ({
        request: (request) =>
          Effect.suspend(() => {
            const asked = below.request(request)
            const weight = settings.weight(request)
            const priority = settings.priority(request)
            return request.batch === undefined
              ? limiter.admit(asked, weight, priority)
              : heeding(
                  (self) => limiter.admit(self, weight, priority),
                  asked as Effect.Effect<JsonRpc.Answers, Effect.Error<typeof asked>>
                )
          }),
        inspect: () => limiter.inspect()
      }))
    )
}

/** A pause that one answer of a batch asks for is kept as if the batch had failed with it; the others are answers all the same. */
const heeding = <E, E2>(
  take: (self: Effect.Effect<JsonRpc.Answers, E>) => Effect.Effect<JsonRpc.Answers, E | E2>,
  asked: Effect.Effect<JsonRpc.Answers, E>
): Effect.Effect<JsonRpc.Answers, E | E2> => {
  let kept: JsonRpc.Answers | undefined
  const failing = Effect.flatMap(asked, (answers) => {
    const pausing = answers.find(asksForPause)
    if (pausing === undefined) return Effect.succeed(answers)
    kept = answers
    return pausing as Exit.Exit<never, E>
  })
  return Effect.catchCause(take(failing), (cause) =>
    kept === undefined ? Effect.failCause(cause) : Effect.succeed(kept)
  )
}

const asksForPause = (exit: Exit.Exit<unknown, unknown>): boolean =>
  exit._tag === "Failure" &&
  exit.cause.reasons.some((reason) => reason._tag === "Fail" && Outcome.of(reason.error).retryAfter !== undefined)
