/**
 * Asks again: waits, forgets whom the call has asked, and starts a new round.
 *
 * What the error says decides by default, so `Retry.layer()` does the right thing: a revert is not asked again, a write
 * only where the failed one provably did not run, nothing before the time an upstream asked for. All rounds draw on the
 * attempts of one call and on a budget over all calls (`Budget`), and none starts at or after the deadline: a wait that
 * does not fit fails now. Whoever gives up returns the last failure as it is.
 */
import { type Call, Events, JsonRpc, Options as Read } from "@hawser/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type * as Budget from "./Budget.ts"
import * as Budgets from "./internal/budget.ts"
import { delay, type Jitter } from "./internal/backoff.ts"
import { Retrier } from "./internal/retrier.ts"
import type { Denial } from "./internal/rounds.ts"

export interface Options<in E = any> {
  /** The waits between rounds, and how many. Its input is the failure. Default {@link backoff}, without end. */
  readonly schedule?: Schedule.Schedule<unknown, E> | undefined
  /**
   * Rounds at most, the first included. Also the attempts of the whole call, failovers and hedges included, unless an
   * outer layer has set them. Default: the call's, which are 6.
   */
  readonly attempts?: number | undefined
  /**
   * Which failures deserve another round, in place of what the error's verdict says. What must not run twice is
   * repeated only where it provably did not run, whatever this says.
   */
  readonly while?: ((error: E) => boolean) | undefined
  /** The budget, its options, or `false` for none. Default: one of its own. An outer layer's goes first. */
  readonly budget?: Call.Budget | Budget.Options | false | undefined
  /** The longest time an upstream may ask to be left alone; for more, gives up at once. Default 60 seconds. */
  readonly maxRetryAfter?: Duration.Input | undefined
}

/** Another round will start in `delay` milliseconds; or none will, although the failure deserved one. */
export type Event =
  | { readonly type: "retrying"; readonly round: number; readonly delay: number; readonly error: unknown }
  | { readonly type: "denied"; readonly why: Denial; readonly error: unknown }

export interface Inspection {
  /** Rounds started beyond the first. */
  readonly retries: number
  /** Calls given up because their schedule had ended. */
  readonly exhausted: number
  /** Calls given up although their schedule had not ended. */
  readonly denied: { readonly [why in Exclude<Denial, "schedule">]: number }
  /** Its own budget; `undefined` if it has none or one that does not tell. */
  readonly budget: Budget.Inspection | undefined
}

export interface Retry<in E = any> {
  /** Runs an effect until it succeeds, or until nothing more can be done. The effect must be fit to run again. */
  readonly execute: <A, E2 extends E, R>(self: Effect.Effect<A, E2, R>) => Effect.Effect<A, E2, R>
  readonly inspect: () => Inspection
  readonly events: Events.Events<Event>
}

/**
 * Makes a retry for any effect.
 *
 * ```ts
 * const retry = yield* Retry.make({ attempts: 4, schedule: Retry.backoff({ base: "50 millis" }) })
 * const answer = yield* retry.execute(fetchQuote)
 * ```
 */
export const make = <E = any>(options?: Options<E>): Effect.Effect<Retry<E>> => {
  const settings = read(options)
  return Effect.withFiber((fiber) => {
    const events = Events.make<Event>()
    const retrier = new Retrier(settings, events, fiber)
    return Effect.succeed({
      execute: (self) => retrier.run(() => self, true),
      inspect: () => retrier.inspect(),
      events
    })
  })
}

/** Retries the requests of a client, or of one upstream where no other can answer. */
export const layer = <EP = any>(options?: Options<EP>) => {
  const settings = read(options)
  return <T extends JsonRpc.Tier, E, LE, R>(
    self: JsonRpc.Over<T, E, EP, LE, R>
  ): Layer.Layer<JsonRpc.JsonRpc<T, E>, LE, R> =>
    JsonRpc.transform(self, "retry", (below, events) =>
      Effect.withFiber((fiber) => {
        const retrier = new Retrier(settings, events, fiber)
        return Effect.succeed({
          request: (request: JsonRpc.Request) => retrier.run(() => below.request(request), request.nature === "read"),
          submit: (request: JsonRpc.Request, caller: JsonRpc.Caller) => retrier.submit(below, request, caller),
          inspect: () => retrier.inspect()
        })
      })
    )
}

export interface BackoffOptions {
  /** The first delay, before jitter. Default 100 milliseconds. */
  readonly base?: Duration.Input | undefined
  /** The longest delay. Default 5 seconds. */
  readonly cap?: Duration.Input | undefined
  /**
   * How delays are spread, b being min(cap, base · 2ⁿ): `full` over [0, b], `equal` over [b/2, b], `decorrelated` over
   * [base, min(cap, 3 · previous)], `none` not at all. Default `full`: of the four it sends a crowd back most evenly.
   */
  readonly jitter?: Jitter | undefined
}

/** A schedule of exponential delays with jitter, without end. Its randomness is Effect's `Random`. */
export const backoff = (options?: BackoffOptions): Schedule.Schedule<Duration.Duration> => {
  const { base, cap, jitter } = Read.read("Retry.backoff", options, {
    base: Read.duration({ default: "100 millis" }),
    cap: Read.duration({ default: "5 seconds" }),
    jitter: Read.oneOf<Jitter>(["full", "equal", "decorrelated", "none"], "full")
  })
  if (cap < base) Read.reject("Retry.backoff.cap", `a duration of at least the base, ${base} ms`, options?.cap)
  return Schedule.fromStep(
    Effect.sync(() => {
      let retry = 0
      let previous = base
      return () =>
        Effect.map(Random.next, (random) => {
          previous = delay(jitter, base, cap, ++retry, previous, random)
          const duration = Duration.millis(previous)
          return [duration, duration]
        })
    })
  )
}

const read = (options: unknown) => {
  const settings = Read.read("Retry", options, {
    schedule: Read.any<Schedule.Schedule<unknown, any>>(),
    attempts: Read.integer({ min: 1, default: undefined }),
    while: Read.fn<(error: never) => boolean, undefined>({ default: undefined }),
    budget: Read.any<unknown>(),
    maxRetryAfter: Read.duration({ min: 0, infinite: true, default: "60 seconds" })
  })
  const { schedule = backoff() } = settings
  if (!Schedule.isSchedule(schedule)) Read.reject("Retry.schedule", "a Schedule, as Retry.backoff gives", schedule)
  // Checked here, made anew for each policy.
  Budgets.read("Retry.budget", settings.budget)
  return { ...settings, schedule }
}
