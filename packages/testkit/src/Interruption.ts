/**
 * Interrupts a program at its first step, at its second, and so on until it ends by itself.
 *
 * A fiber can be interrupted between any two operations, not only where it waits; most leaks hide there. The program
 * runs under a scheduler that stops after every operation, in virtual time, so every run is the same.
 */
import { Outcome } from "@hawser/core"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Scheduler from "effect/Scheduler"
import { TestClock } from "effect/testing"

/** One run of a program: what to run, and what must hold once it has ended, however it ended. */
export interface Scenario<A, E> {
  readonly run: Effect.Effect<A, E>
  readonly check: (exit: Exit.Exit<A, E>, step: number) => void
}

/**
 * Makes a scenario afresh for each step, interrupts it there, lets everything it started come to rest, and checks it.
 * Fails if a fiber still sleeps afterwards. Returns the number of steps at which it interrupted.
 *
 * Takes a `TestClock`, as `it.effect` provides it.
 */
export const everywhere = <A, E, E2, R>(scenario: Effect.Effect<Scenario<A, E>, E2, R>): Effect.Effect<number, E2, R> =>
  Effect.gen(function* () {
    for (let step = 0; ; step++) {
      if (yield* at(scenario, step)) return step
    }
  })

const at = <A, E, E2, R>(scenario: Effect.Effect<Scenario<A, E>, E2, R>, step: number) =>
  Effect.gen(function* () {
    const testClock = yield* Clock.Clock
    const sleepers = counting(testClock)
    const scheduler = new Stepper()
    const { check, run } = yield* Effect.provideService(scenario, Clock.Clock, sleepers)
    const context = yield* Effect.context()
    const fiber = Effect.runForkWith(context)(
      run.pipe(Effect.provideService(Clock.Clock, sleepers), Effect.provideService(Scheduler.Scheduler, scheduler))
    )
    let steps = 0
    while (fiber.pollUnsafe() === undefined && steps < step) {
      steps++
      yield* advance(scheduler, steps)
    }
    const ended = fiber.pollUnsafe() !== undefined
    fiber.interruptUnsafe()
    while (fiber.pollUnsafe() === undefined) yield* advance(scheduler, ++steps)
    const exit = yield* Fiber.await(fiber)
    scheduler.letGo()
    // What was made outside of the program sees to its own at the end of the turn.
    yield* Effect.yieldNow
    check(exit, step)
    if (sleepers.sleeping > 0) {
      return yield* Effect.die(new Error(`${sleepers.sleeping} fibers still sleep, interrupted at step ${step}`))
    }
    return ended
  })

// Where nobody can go on, time passes.
const advance = (scheduler: Stepper, steps: number): Effect.Effect<void> =>
  scheduler.step()
    ? Effect.void
    : steps > 100_000
      ? Effect.die(new Error("the program does not end"))
      : TestClock.adjust("10 millis")

const counting = (clock: Clock.Clock): Clock.Clock & { sleeping: number } => ({
  sleeping: 0,
  currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
  currentTimeMillis: clock.currentTimeMillis,
  currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
  currentTimeNanos: clock.currentTimeNanos,
  monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
  monotonicTimeNanos: clock.monotonicTimeNanos,
  sleep(duration: Duration.Duration) {
    return Outcome.guard(
      clock.sleep(duration),
      () => {
        this.sleeping++
        return this
      },
      () => void this.sleeping--
    )
  }
})

class Stepper implements Scheduler.Scheduler {
  readonly executionMode = "async"
  private readonly tasks: Array<() => void> = []
  private stepping = true

  // A resumed fiber needs two operations to get past its own yield; then it runs one and yields again.
  shouldYield(fiber: Fiber.Fiber<unknown, unknown>): boolean {
    return fiber.currentOpCount >= 3
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return {
      scheduleTask: (task) => (this.stepping ? void this.tasks.push(task) : queueMicrotask(task)),
      flush: () => this.runAll()
    }
  }

  /** Runs all that is left, and from now on whatever comes. */
  letGo(): void {
    this.runAll()
    this.stepping = false
  }

  private runAll(): void {
    while (this.step()) continue
  }

  step(): boolean {
    const task = this.tasks.shift()
    task?.()
    return task !== undefined
  }
}
