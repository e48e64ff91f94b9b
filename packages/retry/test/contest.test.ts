import { assert, describe, it } from "@effect/vitest"
import { type Context, Deferred, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { type Alarm, alarmOf } from "../src/internal/alarm.ts"
import { Contest } from "../src/internal/contest.ts"
import { wait } from "../src/internal/work.ts"
import { now, sleep, work } from "./support.ts"

/** The first to end decides. */
class Sprint<E> extends Contest<number, E, never> {
  private readonly efforts: ReadonlyArray<Effect.Effect<number, E>>
  private readonly context: Context.Context<never>

  constructor(alarm: Alarm, context: Context.Context<never>, efforts: ReadonlyArray<Effect.Effect<number, E>>) {
    super(alarm)
    this.context = context
    this.efforts = efforts
  }

  protected open(): void {
    for (const [i, effort] of this.efforts.entries()) {
      const exit = this.start(effort, this.context, i === 0)
      if (exit !== undefined) this.decide(exit)
    }
  }

  protected ended(exit: Exit.Exit<number, E>): void {
    this.decide(exit)
  }

  protected rings(): void {}

  protected closes(): void {}
}

describe("contest", () => {
  const first = <E = never>(...efforts: ReadonlyArray<Effect.Effect<number, E>>): Effect.Effect<number, E> =>
    Effect.withFiber((caller) => wait(new Sprint(alarmOf(caller), caller.context, efforts)))

  it.effect("the first decides, the others are interrupted, and their finalizers keep nobody waiting", () =>
    Effect.gen(function* () {
      const finalized: Array<number> = []
      const slow = Effect.never.pipe(
        Effect.onInterrupt(() => Effect.map(Effect.andThen(sleep(5000), now), (at) => finalized.push(at)))
      )
      const fiber = yield* Effect.forkChild(
        Effect.flatMap(first(slow, Effect.as(sleep(10), 2)), (n) => Effect.map(now, (at) => [n, at]))
      )
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual(yield* Fiber.join(fiber), [2, 10])
      assert.deepStrictEqual(finalized, [])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(finalized, [5010])
    })
  )

  it.effect("a caller who is interrupted waits for the finalizers of all", () =>
    Effect.gen(function* () {
      const slow = Effect.never.pipe(Effect.onInterrupt(() => sleep(5000)))
      const fiber = yield* Effect.forkChild(first(slow, Effect.never), { startImmediately: true })
      const interruption = yield* Effect.forkChild(Effect.andThen(Fiber.interrupt(fiber), now))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(interruption), 5000)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
    })
  )

  it.effect("one that is started by whoever ends the contest does not live on", () =>
    Effect.gen(function* () {
      const done = Deferred.makeUnsafe<number>()
      const { counts, effect } = work(1000)
      // Ends the contest in the very turn in which it is started.
      const traitor = Effect.andThen(Deferred.succeed(done, 7), effect)
      assert.strictEqual(yield* first(Deferred.await(done), traitor), 7)
      assert.deepStrictEqual(counts, { started: 1, interrupted: 1, finished: 1 })
    })
  )

  it.effect("works in an uninterruptible region, where it can still interrupt the others", () =>
    Effect.gen(function* () {
      const { counts, effect } = work(1000)
      const fiber = yield* Effect.forkChild(Effect.uninterruptible(first(effect, Effect.as(sleep(10), 2))))
      yield* TestClock.adjust("10 millis")
      assert.strictEqual(yield* Fiber.join(fiber), 2)
      assert.strictEqual(counts.interrupted, 1)
    })
  )
})
