/**
 * How long one attempt may take.
 *
 * The work is interrupted when its time is over, and the caller gets a `TimeoutError` at that very moment: nobody waits
 * for the work's finalizers, which run on by themselves. A retry above starts each attempt with the full time; the time
 * for all attempts together is a `Deadline`.
 */
import { Events, JsonRpc, Outcome } from "@hawser/core"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import { type Alarm, alarmOf } from "./internal/alarm.ts"
import { type Limit, readLimit } from "./internal/limit.ts"
import { Within } from "./internal/within.ts"
import { Asking, Forked, wait, type Work } from "./internal/work.ts"

/** An attempt took too long. A failure; the request may be tried anywhere, unless it must not run twice. */
export class TimeoutError extends Data.TaggedError("TimeoutError")<{
  /** Who did not answer; `undefined` when the work was an effect of the user's. */
  readonly upstream: string | undefined
  readonly limit: Duration.Duration
}> {
  override get message(): string {
    return `No answer${this.upstream === undefined ? "" : ` from ${this.upstream}`} within ${Duration.format(this.limit)}`
  }
}

export const isTimeoutError = (u: unknown): u is TimeoutError => Predicate.isTagged(u, "TimeoutError") && "limit" in u

/** Times are milliseconds. */
export interface Event {
  readonly type: "timed-out"
  readonly limit: number
}

export interface Inspection {
  readonly timeouts: number
}

export interface Timeout {
  /**
   * Runs an effect on a fiber of its own, in the context of the caller, and gives up on it when its time is over.
   *
   * What ends at exactly the limit has missed it, whichever fiber is woken first. Work that never waits is not timed
   * and cannot be interrupted. A caller who is interrupted interrupts the work and waits for its finalizers, as always.
   */
  readonly execute: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | TimeoutError, R>
  readonly inspect: () => Inspection
  readonly events: Events.Events<Event>
}

/** Makes a timeout for any effect: at least one millisecond, or `Infinity` for none. */
export const make = (limit: Duration.Input): Effect.Effect<Timeout> => {
  const millis = readLimit<void>("Timeout.limit", limit)
  return Effect.withFiber((fiber) => {
    const events = Events.make<Event>()
    const timer = new Timer(undefined, events, alarmOf(fiber))
    return Effect.succeed({ execute: (self) => timer.run(self, millis), inspect: () => timer.inspect(), events })
  })
}

/**
 * Limits each request to the time given, or to what a function makes of the request: heavy methods may take longer.
 *
 * ```ts
 * Timeout.layer((request) => (request.method.startsWith("trace_") ? "60 seconds" : "4 seconds"))
 * ```
 */
export const layer = (limit: Limit<JsonRpc.Request>) => {
  const limitOf = readLimit("Timeout.limit", limit)
  return <T extends JsonRpc.Tier, E, LE, R>(
    self: Layer.Layer<JsonRpc.JsonRpc<T, E>, LE, R>
  ): Layer.Layer<JsonRpc.JsonRpc<T, E | TimeoutError>, LE, R> =>
    JsonRpc.transform(self, "timeout", (below, events) =>
      Effect.withFiber((fiber) => {
        const timer = new Timer(below.name, events, alarmOf(fiber))
        return Effect.succeed({
          request: (request: JsonRpc.Request) => timer.ask(below, request, limitOf),
          inspect: () => timer.inspect()
        })
      })
    )
}

class Timer {
  private readonly upstream: string | undefined
  private readonly events: Events.Sink<Event>
  private readonly alarm: Alarm
  private timeouts = 0

  constructor(upstream: string | undefined, events: Events.Sink<Event>, alarm: Alarm) {
    this.upstream = upstream
    this.events = events
    this.alarm = alarm
  }

  inspect(): Inspection {
    return { timeouts: this.timeouts }
  }

  run<A, E, R>(self: Effect.Effect<A, E, R>, limitOf: () => number): Effect.Effect<A, E | TimeoutError, R> {
    return Effect.withFiber((caller): Effect.Effect<A, E | TimeoutError, R> => {
      const limit = limitOf()
      return limit === Infinity ? self : wait(new Attempt(new Forked(self, caller.context), this.alarm, limit, this))
    })
  }

  /** Asks a service, without a fiber of its own if that reads nothing of the caller's. */
  ask<E>(
    below: JsonRpc.Service<E>,
    request: JsonRpc.Request,
    limitOf: (request: JsonRpc.Request) => number
  ): Effect.Effect<unknown, E | TimeoutError> {
    return Effect.withFiber((caller) => {
      const limit = limitOf(request)
      if (limit === Infinity) return below.request(request)
      const work =
        below.contextFree === true
          ? new Asking(below, request)
          : new Forked(
              Effect.suspend(() => below.request(request)),
              caller.context
            )
      return wait(new Attempt(work, this.alarm, limit, this))
    })
  }

  late(limit: number): TimeoutError {
    this.timeouts++
    if (this.events.active) this.events.emit({ type: "timed-out", limit })
    const { upstream } = this
    return Outcome.stackless(() => new TimeoutError({ upstream, limit: Duration.millis(limit) }))
  }
}

class Attempt extends Within {
  private readonly limit: number
  private readonly timer: Timer

  constructor(work: Work, alarm: Alarm, limit: number, timer: Timer) {
    super(work, alarm, alarm.now() + limit)
    this.limit = limit
    this.timer = timer
  }

  protected late(): Exit.Exit<never, TimeoutError> {
    return Exit.fail(this.timer.late(this.limit))
  }
}
