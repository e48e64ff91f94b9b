/**
 * How long a call may take in all: waits, retries and failovers included.
 *
 * The deadline is an instant, kept in the call's record, where every layer below reads it: none starts an attempt that
 * could not end in time, and none waits into it. When it has come, whatever still runs is interrupted and the caller
 * learns at that very moment what each upstream had said so far. Deadlines only ever come closer: a layer further in
 * may set an earlier one, never a later.
 */
import { Call, Events, JsonRpc, Outcome } from "@hawser/core"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import { type Alarm, alarmOf, isDue } from "./internal/alarm.ts"
import { type Limit, readLimit } from "./internal/limit.ts"
import { Within } from "./internal/within.ts"
import { Asking, Forked, wait, type Work } from "./internal/work.ts"

/** Times are milliseconds. */
export interface Event {
  readonly type: "exceeded"
  readonly limit: number
}

export interface Inspection {
  readonly exceeded: number
}

export interface Deadline {
  /**
   * Runs an effect on a fiber of its own, in the context of the caller, and gives up on it when the call's time is
   * over; if it is over already, does not start it.
   *
   * Opens a call if there is none. What ends at exactly the deadline has missed it. The error's `limit` is the time the
   * call had left when it came here. A caller who is interrupted interrupts the work and waits for its finalizers.
   */
  readonly execute: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | Call.DeadlineExceeded, R>
  readonly inspect: () => Inspection
  readonly events: Events.Events<Event>
}

/**
 * Makes a deadline for any effect: at least one millisecond, or `Infinity` for that of an outer layer alone.
 *
 * Not promised: that nothing is sent after it. A request on its way is interrupted, not undone.
 */
export const make = (limit: Duration.Input): Effect.Effect<Deadline> => {
  const millis = readLimit<void>("Deadline.limit", limit)
  return Effect.withFiber((fiber) => {
    const events = Events.make<Event>()
    const timer = new Timer(events, alarmOf(fiber))
    return Effect.succeed({ execute: (self) => timer.run(self, millis), inspect: () => timer.inspect(), events })
  })
}

/** Gives each call of a client the time given, or what a function makes of the request: heavy methods may take longer. */
export const layer = (limit: Limit<JsonRpc.Request>) => {
  const limitOf = readLimit("Deadline.limit", limit)
  return <E, LE, R>(
    self: Layer.Layer<JsonRpc.Client<E>, LE, R>
  ): Layer.Layer<JsonRpc.Client<E | Call.DeadlineExceeded>, LE, R> =>
    JsonRpc.transform(self, "deadline", (below, events) =>
      Effect.withFiber((fiber) => {
        const timer = new Timer(events, alarmOf(fiber))
        return Effect.succeed({
          request: (request: JsonRpc.Request) => timer.run(below.request(request), () => limitOf(request)),
          submit: (request: JsonRpc.Request, caller: JsonRpc.Caller) => timer.submit(below, request, limitOf, caller),
          inspect: () => timer.inspect()
        })
      })
    )
}

class Timer {
  private readonly events: Events.Sink<Event>
  private readonly alarm: Alarm
  private exceeded = 0

  constructor(events: Events.Sink<Event>, alarm: Alarm) {
    this.events = events
    this.alarm = alarm
  }

  inspect(): Inspection {
    return { exceeded: this.exceeded }
  }

  run<A, E, R>(self: Effect.Effect<A, E, R>, limitOf: () => number): Effect.Effect<A, E | Call.DeadlineExceeded, R> {
    return Effect.withFiber((caller): Effect.Effect<A, E | Call.DeadlineExceeded, R> => {
      const found = caller.getRef(Call.Current)
      const call = found ?? new Call.Call()
      const limit = this.limit(call, limitOf())
      if (isDue(limit, 0)) return Effect.fail(this.late(call, 0))
      if (call.deadline === Infinity)
        return found === undefined ? Effect.provideService(self, Call.Current, call) : self
      const context = found === undefined ? Context.add(caller.context, Call.Current, call) : caller.context
      return wait(new Timed(new Forked(self, context), this.alarm, call, limit, this))
    })
  }

  /** For a caller without a fiber. */
  submit(
    below: JsonRpc.Service<unknown>,
    request: JsonRpc.Request,
    limitOf: (request: JsonRpc.Request) => number,
    caller: JsonRpc.Caller
  ): JsonRpc.Place {
    const call = caller.call ?? new Call.Call()
    const limit = this.limit(call, limitOf(request))
    if (isDue(limit, 0)) {
      caller.end(Exit.fail(this.late(call, 0)))
      return JsonRpc.nowhere
    }
    return new Timed(new Asking(below, request), this.alarm, call, limit, this).begin(caller)
  }

  /** Sets the call's deadline, and gives the time that it has. */
  private limit(call: Call.Call, most: number): number {
    const now = this.alarm.now()
    const limit = Math.min(most, call.deadline - now)
    call.deadline = Math.min(call.deadline, now + most)
    return limit
  }

  late(call: Call.Call, limit: number): Call.DeadlineExceeded {
    this.exceeded++
    if (this.events.active) this.events.emit({ type: "exceeded", limit })
    const causes = [...Call.failures(call), ...Call.unanswered(call)]
    return Outcome.stackless(() => new Call.DeadlineExceeded({ limit: Duration.millis(limit), causes }))
  }
}

class Timed extends Within {
  readonly call: Call.Call
  private readonly limit: number
  private readonly timer: Timer

  constructor(work: Work, alarm: Alarm, call: Call.Call, limit: number, timer: Timer) {
    super(work, alarm, call.deadline)
    this.call = call
    this.limit = limit
    this.timer = timer
  }

  protected late(): Exit.Exit<never, Call.DeadlineExceeded> {
    return Exit.fail(this.timer.late(this.call, this.limit))
  }
}
