// One sleeping fiber for all who want to be called at some time, over all policies that share a clock. It sleeps while
// somebody waits and no longer.
//
// Both are seen to at the end of a turn. Most calls set several alarms at once (their deadline, their hedge, their
// timeout), and a call that ends in the same turn has cost no timer at all; nor has one that begins in the turn in which
// the last before it has ended.
import { Call } from "@hawser/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import { Agenda, type Entry } from "./agenda.ts"

/** Who may ask to be called, once at a time: what waits is the alarm's own entry, so that an alarm costs no object. */
export abstract class Ring implements Entry {
  at = Infinity
  place = -1

  /** Called when the time has come. */
  abstract ring(): void
}

// Clocks count in whole nanoseconds and sleeps in fractions of milliseconds: a microsecond apart is the same time.
const tolerance = 0.001

/** Whether a time has come. */
export const isDue = (at: number, now: number): boolean => at - now < tolerance

export class Alarm {
  private readonly agenda = new Agenda<Ring>()
  private readonly clock: Clock.Clock
  private readonly fork: (sleep: Effect.Effect<void>) => Fiber.Fiber<void>
  private readonly dispatcher: Scheduler.SchedulerDispatcher
  private sleeper: Fiber.Fiber<void> | undefined = undefined
  private wakes = Infinity
  private settling = false

  /** The sleeper runs in a context of its own: it lives longer than whoever sets the first alarm. */
  constructor(clock: Clock.Clock, scheduler: Scheduler.Scheduler) {
    this.clock = clock
    this.fork = Effect.runForkWith(Context.make(Scheduler.Scheduler, scheduler))
    this.dispatcher = scheduler.makeDispatcher()
  }

  now(): number {
    return Call.now(this.clock)
  }

  /** Calls `who` at `at`, in place of when it was to be called before. */
  set(who: Ring, at: number): void {
    this.agenda.remove(who)
    who.at = at
    this.agenda.add(who)
    if (at < this.wakes) this.settleSoon()
  }

  /** Calls it no more. */
  cancel(who: Ring): void {
    if (who.place < 0) return
    this.agenda.remove(who)
    if (this.agenda.size === 0) this.settleSoon()
  }

  private settleSoon(): void {
    if (this.settling) return
    this.settling = true
    this.dispatcher.scheduleTask(this.settle, 0)
  }

  /** Sees to it that the sleeper wakes in time, and not at all if nobody waits. */
  private readonly settle = (): void => {
    this.settling = false
    const next = this.agenda.first
    if (next === undefined) return this.stop()
    if (next.at >= this.wakes) return
    this.stop()
    this.wakes = next.at
    const sleeper = this.fork(this.clock.sleep(remaining(next.at, this.now())))
    this.sleeper = sleeper
    sleeper.addObserver(() => {
      if (this.sleeper === sleeper) this.awake()
    })
  }

  private stop(): void {
    const { sleeper } = this
    this.sleeper = undefined
    this.wakes = Infinity
    sleeper?.interruptUnsafe()
  }

  private awake(): void {
    this.sleeper = undefined
    this.wakes = Infinity
    // What is set while others are called is seen to afterwards, once for all.
    this.settling = true
    try {
      const now = this.now()
      for (let next = this.agenda.first; next !== undefined && isDue(next.at, now); next = this.agenda.first) {
        this.agenda.remove(next)
        next.ring()
      }
    } finally {
      this.settle()
    }
  }
}

// A time a rounding error away from a whole millisecond is that millisecond.
const remaining = (at: number, now: number): Duration.Duration => {
  const millis = Math.max(tolerance, at - now)
  const whole = Math.round(millis)
  return Duration.millis(Math.abs(millis - whole) < tolerance ? whole : millis)
}

const alarms = new WeakMap<Clock.Clock, Alarm>()

/** The alarm of the clock that the maker of a policy has. */
export const alarmOf = (maker: Fiber.Fiber<unknown, unknown>): Alarm => {
  const clock = maker.getRef(Clock.Clock)
  let alarm = alarms.get(clock)
  if (alarm === undefined) {
    alarm = new Alarm(clock, maker.getRef(Scheduler.Scheduler))
    alarms.set(clock, alarm)
  }
  return alarm
}
