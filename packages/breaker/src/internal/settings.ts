import { Options } from "@hawser/core"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import type { Judge, Settings } from "./state.ts"
import type { Span } from "./window.ts"

const owner = "Breaker"

const share = (fallback: number) => Options.number({ above: 0, max: 1, default: fallback })

// A rule that is off has a threshold that nothing reaches.
const unlessFalse =
  <A>(reader: Options.Reader<A>, off: A): Options.Reader<A> =>
  (option, received) =>
    received === false ? off : reader(option, received)

const window: Options.Reader<Span> = (option, received) =>
  typeof received === "object" && received !== null && "calls" in received
    ? Options.read(option, received, { calls: Options.integer({ min: 1, max: 1_000_000 }) })
    : { millis: Options.duration({ default: "10 seconds" })(option, received) }

const noSlowRule = { after: Infinity, rate: Infinity }

const slow: Options.Reader<{ readonly after: number; readonly rate: number }> = (option, received) =>
  received === undefined ? noSlowRule : Options.read(option, received, { after: Options.duration(), rate: share(0.5) })

type Delays = Schedule.Schedule<unknown, number>

const openFor: Options.Reader<number | Delays> = (option, received) =>
  Schedule.isSchedule(received) ? (received as Delays) : Options.duration({ default: "5 seconds" })(option, received)

/** The options that every breaker takes. */
export const readers = {
  consecutive: unlessFalse(Options.integer({ min: 1, default: 10 }), Infinity),
  rate: unlessFalse(share(0.5), Infinity),
  minimumCalls: Options.integer({ min: 1, default: undefined }),
  window,
  slow: unlessFalse(slow, noSlowRule),
  openFor,
  maxOpenFor: Options.duration({ default: undefined }),
  jitter: Options.number({ min: 0, max: 1, default: 0.2 }),
  probes: Options.integer({ min: 1, default: 1 }),
  successes: Options.integer({ min: 1, default: undefined }),
  probeLease: Options.duration({ default: "1 minute" }),
  recovery: Options.duration({ min: 0, default: 0 }),
  judge: Options.fn<Judge<never>, undefined>({ default: undefined })
}

type Given = { readonly [K in keyof typeof readers]: ReturnType<(typeof readers)[K]> }

/** Settings that lack what belongs to the program that runs them: its random numbers. */
export type Draft = (context: Context.Context<never>) => Settings

/** Fills in the defaults that follow from other options, and refuses options that contradict each other. */
export const draft = (given: Given): Draft => {
  const calls = "calls" in given.window ? given.window.calls : Infinity
  const minimumCalls = given.minimumCalls ?? Math.min(20, calls)
  if (minimumCalls > calls) Options.reject(`${owner}.minimumCalls`, `at most the window's ${calls} calls`, minimumCalls)
  const successes = given.successes ?? given.probes
  if (successes > given.probes) {
    Options.reject(`${owner}.successes`, `at most as many as there are probes (${given.probes})`, successes)
  }
  const maxOpenFor = limit(given)
  return (context) => ({
    consecutive: given.consecutive,
    rate: given.rate,
    minimumCalls,
    window: given.window,
    slowAfter: given.slow.after,
    slowRate: given.slow.rate,
    openFor: typeof given.openFor === "number" ? doubling(given.openFor) : replay(given.openFor, context),
    maxOpenFor,
    jitter: given.jitter,
    probes: given.probes,
    successes,
    probeLease: given.probeLease,
    recovery: given.recovery,
    random: randomOf(context)
  })
}

const limit = ({ maxOpenFor, openFor }: Given): number => {
  const first = typeof openFor === "number" ? openFor : 0
  if (maxOpenFor === undefined) return Math.max(120_000, first)
  return maxOpenFor >= first
    ? maxOpenFor
    : Options.reject(`${owner}.maxOpenFor`, "a duration of at least `openFor`", maxOpenFor)
}

/** How long an idle circuit is kept: long enough that forgetting it changes nothing that still counts. */
export const idle = (given: Given & { readonly idle: number | undefined }): number => {
  const maxOpenFor = limit(given)
  const least = Math.max(maxOpenFor, "millis" in given.window ? given.window.millis : 0)
  if (given.idle === undefined) return Math.max(600_000, least)
  return given.idle >= least
    ? given.idle
    : Options.reject(`${owner}.idle`, "a duration of at least `maxOpenFor` and `window`", given.idle)
}

const randomOf = (context: Context.Context<never>): (() => number) => {
  const random = Context.get(context, Random.Random)
  return () => random.nextDoubleUnsafe()
}

// The exponent is bounded, so that no number of openings makes the time infinite.
const doubling = (first: number) => (opening: number) => first * 2 ** Math.min(opening - 1, 500)

/** Later openings last as long as this one, so that a dead upstream does not cost ever more. */
const mostSteps = 100

/**
 * The k-th delay of a schedule, found by replaying it against a clock of its own, so that what it says about elapsed
 * time is about the time spent open. A schedule that ends keeps its last delay.
 */
const replay = (schedule: Delays, context: Context.Context<never>): ((opening: number) => number) => {
  const run = Effect.runSyncExitWith(context)
  const delayOf = (opening: number): number | undefined => {
    const step = run(Schedule.toStep(schedule))
    if (Exit.isFailure(step)) return undefined
    let delay: number | undefined
    for (let attempt = 1, now = 0; attempt <= Math.min(opening, mostSteps); attempt++) {
      const exit = run(step.value(now, attempt))
      if (Exit.isFailure(exit)) break
      delay = Duration.toMillis(exit.value[1])
      now += delay
    }
    return delay
  }
  const first = delayOf(1)
  return first === undefined
    ? Options.reject(`${owner}.openFor`, "a schedule that has a delay and does not wait to tell it", schedule)
    : (opening) => delayOf(opening) ?? first
}
