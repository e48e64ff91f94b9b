/**
 * A world in one thread: a clock that jumps to whatever is due next, a scheduler whose tasks run in order, random numbers
 * that follow from a seed. Nothing in it takes real time, and the same seed gives the same history, to the byte.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import { createHash } from "node:crypto"
import { Agenda, type Due } from "./Agenda.ts"

export class World {
  /** Milliseconds since the world began. */
  now = 0
  readonly random: () => number
  private readonly agenda = new Agenda()
  private readonly history = createHash("sha256")
  private tasks: Array<() => void> = []

  constructor(seed: number) {
    this.random = draws(seed)
  }

  /** Calls `f` at `time`. */
  at(time: number, f: () => void): Due {
    return this.agenda.add(Math.max(time, this.now), f)
  }

  cancel(due: Due): void {
    this.agenda.remove(due)
  }

  /** How many wait for a time to come. */
  get waiting(): number {
    return this.agenda.size
  }

  /** Lets happen what is to happen until `end`, or until nothing is. */
  run(end: number): void {
    for (;;) {
      for (let tasks = this.tasks; tasks.length > 0; tasks = this.tasks) {
        this.tasks = []
        for (const task of tasks) task()
      }
      const next = this.agenda.first
      if (next === undefined || next.at > end) return
      this.agenda.remove(next)
      this.now = next.at
      next.f()
    }
  }

  /** Adds a line to the history. */
  note(...words: ReadonlyArray<string | number>): void {
    this.history.update(`${this.now.toFixed(3)} ${words.join(" ")}\n`)
  }

  /** What tells one history from another. */
  get trace(): string {
    return this.history.copy().digest("hex").slice(0, 16)
  }

  /** What an effect needs to live in this world. */
  context(): Context.Context<never> {
    return Context.make(Clock.Clock, this.clock()).pipe(
      Context.add(Scheduler.Scheduler, this.scheduler()),
      Context.add(Random.Random, {
        nextDoubleUnsafe: this.random,
        nextIntUnsafe: () => Math.floor(this.random() * Number.MAX_SAFE_INTEGER)
      })
    )
  }

  private clock(): Clock.Clock {
    // Some day in 2026, so that nothing happens at the beginning of time.
    const origin = 1_790_000_000_000
    const millis = () => origin + Math.floor(this.now)
    const nanos = () => BigInt(Math.round(this.now * 1e6))
    const wallNanos = () => BigInt(origin) * 1_000_000n + nanos()
    return {
      currentTimeMillisUnsafe: millis,
      currentTimeMillis: Effect.sync(millis),
      currentTimeNanosUnsafe: wallNanos,
      currentTimeNanos: Effect.sync(wallNanos),
      monotonicTimeNanosUnsafe: nanos,
      monotonicTimeNanos: Effect.sync(nanos),
      sleep: (duration) =>
        Effect.callback((resume) => {
          const millis = Duration.toMillis(duration)
          if (millis === Infinity) return undefined
          const due = this.at(this.now + millis, () => resume(Effect.void))
          return Effect.sync(() => this.cancel(due))
        })
    }
  }

  private scheduler(): Scheduler.Scheduler {
    const dispatcher: Scheduler.SchedulerDispatcher = {
      scheduleTask: (task) => void this.tasks.push(task),
      flush: () => {}
    }
    return {
      executionMode: "async",
      shouldYield: (fiber) => fiber.currentOpCount >= 2048,
      makeDispatcher: () => dispatcher
    }
  }
}

/** Numbers from 0 up to 1 (mulberry32). */
export const draws = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }
}
