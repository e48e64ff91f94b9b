/**
 * Asks a second time before the first has failed: when an answer takes longer than nearly all answers take, another
 * request goes out, and the first success counts. Cuts the slowest answers short for a few percent of extra load.
 *
 * How long to wait is learnt: the quantile of what answers have taken over the last half to whole minute. Whatever the
 * latencies are, about a share of 1 − quantile of the calls is hedged. The extra requests draw on the call's attempts
 * and on the budget, and stop while nearly every call is slow, when they would only double the load.
 *
 * Only reads are hedged. A hedge asks the pool below for an upstream of the same tier that has not been tried; where
 * there is none, it has no effect.
 */
import { Call, Events, JsonRpc, Options as Read } from "@hawser/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import type * as Budget from "./Budget.ts"
import { type Alarm, alarmOf } from "./internal/alarm.ts"
import * as Attempts from "./internal/attempts.ts"
import * as Budgets from "./internal/budget.ts"
import { Pace } from "./internal/pace.ts"
import { type Denial, type Listener, Race, type Rules } from "./internal/race.ts"
import { wait } from "./internal/work.ts"

export interface Options {
  /** The share of calls that answer in time, between 0 and 1. Default 0.95: about one call in twenty is hedged. */
  readonly quantile?: number | undefined
  /** The shortest delay. Default 50 milliseconds. */
  readonly min?: Duration.Input | undefined
  /** The longest delay. While the quantile is as long as this, nothing is hedged. Default 2 seconds. */
  readonly max?: Duration.Input | undefined
  /** Answers that must be known before the quantile is trusted. Default 20. */
  readonly samples?: number | undefined
  /** The delay until then. Default 500 milliseconds. */
  readonly initial?: Duration.Input | undefined
  /** A fixed delay, in place of all the above. */
  readonly delay?: Duration.Input | undefined
  /** Extra requests per call at most, each after a further delay. From 1 to 5. Default 1. */
  readonly hedges?: number | undefined
  /** The budget, its options, or `false` for none. Default: one of its own. An outer layer's goes first. */
  readonly budget?: Call.Budget | Budget.Options | false | undefined
}

/** Times are milliseconds since the first request of the call. */
export type Event =
  | { readonly type: "hedging"; readonly after: number }
  | { readonly type: "won"; readonly after: number }
  | { readonly type: "denied"; readonly why: "attempts" | "deadline" | "budget" }

export interface Inspection {
  /** Milliseconds that the next call waits before it hedges; `undefined` while nearly every call is slow. */
  readonly delay: number | undefined
  /** Latencies known, of the last half to whole minute. */
  readonly samples: number
  /** Hedges started, and those whose answer was used. */
  readonly hedges: number
  readonly won: number
  /** Hedges that nobody below would take. */
  readonly refused: number
  readonly denied: { readonly attempts: number; readonly deadline: number; readonly budget: number }
}

export interface Hedge {
  /**
   * Runs an effect, and again if it takes too long. The first success wins; a failure that may be tried again starts
   * the hedge at once; an answer that would be the same anywhere ends both. If all fail, the failure is the first's.
   *
   * Each runs on a fiber of its own. The losers are interrupted, and the caller does not wait for their finalizers. A
   * caller who is interrupted interrupts all and does wait.
   */
  readonly execute: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  readonly inspect: () => Inspection
  readonly events: Events.Events<Event>
}

/** Makes a hedge for any effect that may run twice at the same time. */
export const make = (options?: Options): Effect.Effect<Hedge> => {
  const settings = read(options)
  return Effect.withFiber((fiber) => {
    const events = Events.make<Event>()
    const hedger = new Hedger(settings, events, fiber)
    return Effect.succeed({ execute: (self) => hedger.run(() => self), inspect: () => hedger.inspect(), events })
  })
}

/** Hedges the reads of a client. */
export const layer = (options?: Options) => {
  const settings = read(options)
  return <E, LE, R>(self: Layer.Layer<JsonRpc.Client<E>, LE, R>): Layer.Layer<JsonRpc.Client<E>, LE, R> =>
    JsonRpc.transform(self, "hedge", (below, events) =>
      Effect.withFiber((fiber) => {
        const hedger = new Hedger(settings, events, fiber)
        return Effect.succeed({
          request: (request: JsonRpc.Request) =>
            request.nature === "read" ? hedger.run(() => below.request(request)) : below.request(request),
          submit: (request: JsonRpc.Request, caller: JsonRpc.Caller) =>
            request.nature === "read"
              ? hedger.submit(() => below.request(request), caller)
              : below.submit?.(request, caller),
          inspect: () => hedger.inspect()
        })
      })
    )
}

const read = (options: Options | undefined) => {
  const settings = Read.read("Hedge", options, {
    quantile: Read.number({ above: 0, max: 0.9999, default: 0.95 }),
    min: Read.duration({ default: "50 millis" }),
    max: Read.duration({ default: "2 seconds" }),
    samples: Read.integer({ min: 1, max: 100_000, default: 20 }),
    initial: Read.duration({ default: "500 millis" }),
    delay: Read.duration({ default: undefined }),
    hedges: Read.integer({ min: 1, max: 5, default: 1 }),
    budget: Read.any<unknown>()
  })
  if (settings.max < settings.min)
    Read.reject("Hedge.max", `a duration of at least min, ${settings.min} ms`, options?.max)
  const learning = (["quantile", "min", "max", "samples", "initial"] as const).find(
    (name) => options?.[name] !== undefined
  )
  if (settings.delay !== undefined && learning !== undefined) {
    Read.reject("Hedge.delay", `no value beside ${learning}: the delay is fixed or learnt`, options?.delay)
  }
  Budgets.read("Hedge.budget", settings.budget)
  return settings
}

class Hedger implements Listener {
  private readonly events: Events.Sink<Event>
  private readonly clock: Clock.Clock
  private readonly alarm: Alarm
  private readonly budget: Call.Budget | undefined
  private readonly rules: Rules
  private hedges = 0
  private victories = 0
  private refusals = 0
  private readonly denials = { attempts: 0, deadline: 0, budget: 0 }

  constructor(settings: ReturnType<typeof read>, events: Events.Sink<Event>, maker: Fiber.Fiber<unknown, unknown>) {
    this.events = events
    this.clock = maker.getRef(Clock.Clock)
    this.alarm = alarmOf(maker)
    this.budget = Budgets.read("Hedge.budget", settings.budget)
    this.rules = {
      pace: new Pace({ ...settings, fixed: settings.delay }),
      hedges: settings.hedges,
      budgeted: this.budget !== undefined,
      now: () => this.alarm.now(),
      listener: this
    }
  }

  inspect(): Inspection {
    const { pace } = this.rules
    const now = this.alarm.now()
    const delay = pace.delay(now)
    return {
      delay: delay === Infinity ? undefined : delay,
      samples: pace.known(now),
      hedges: this.hedges,
      won: this.victories,
      refused: this.refusals,
      denied: { ...this.denials }
    }
  }

  run<A, E, R>(attempt: () => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.withFiber((caller) => {
      const found = caller.getRef(Call.Current)
      const call = found ?? new Call.Call()
      const context = found === undefined ? Context.add(caller.context, Call.Current, call) : caller.context
      Attempts.enroll(call, this.budget, this.clock)
      return wait<A, E, R>(new Race(this.rules, attempt, call, context, this.alarm))
    })
  }

  /** For a caller without a fiber. */
  submit<A, E>(attempt: () => Effect.Effect<A, E>, caller: JsonRpc.Caller): JsonRpc.Place {
    const call = caller.call ?? new Call.Call()
    Attempts.enroll(call, this.budget, this.clock)
    return new Race(this.rules, attempt, call, Context.make(Call.Current, call), this.alarm).begin(caller)
  }

  hedging(call: Call.Call, after: number): void {
    this.hedges++
    Call.note(call, this.clock, () => ({ step: "hedge", after }))
    if (this.events.active) this.events.emit({ type: "hedging", after })
  }

  won(after: number): void {
    this.victories++
    if (this.events.active) this.events.emit({ type: "won", after })
  }

  refused(): void {
    this.refusals++
  }

  denied(call: Call.Call, why: Denial): void {
    this.denials[why]++
    Call.note(call, this.clock, () => ({ step: "denied", what: "hedge", why }))
    if (this.events.active) this.events.emit({ type: "denied", why })
  }
}
