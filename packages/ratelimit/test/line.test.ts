// What can happen between the moment someone in line is called and the moment he moves: his fiber may have to wait for
// its scheduler meanwhile.
import { assert, describe, it } from "@effect/vitest"
import { Call } from "@hawser/core"
import { Clock, Deferred, Effect, Exit, type Fiber, Scheduler } from "effect"
import { TestClock } from "effect/testing"
import { Concurrency } from "../src/index.ts"

/** Holds back every step of a fiber until it is let go. */
class Holding implements Scheduler.Scheduler {
  readonly executionMode = "async"
  isHolding = false
  private readonly held: Array<() => void> = []

  shouldYield(): boolean {
    return this.isHolding
  }

  makeDispatcher(): Scheduler.SchedulerDispatcher {
    return {
      scheduleTask: (task) => (this.isHolding ? void this.held.push(task) : queueMicrotask(task)),
      flush: () => this.letGo()
    }
  }

  letGo(): void {
    this.isHolding = false
    for (const task of this.held.splice(0)) task()
  }
}

const scene = (options?: { readonly maxQueue?: number; readonly deadline?: number }) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const limiter = yield* Concurrency.make({ limit: 1, maxQueue: options?.maxQueue ?? 10, maxWait: "10 seconds" })
    const gate = yield* Deferred.make<void>()
    const order: Array<string> = []
    const scheduler = new Holding()
    const run = (name: string, pass?: Concurrency.Pass): Fiber.Fiber<void, Concurrency.ConcurrencyFull> =>
      Effect.runFork(
        limiter
          .execute(
            Effect.sync(() => void order.push(name)),
            pass
          )
          .pipe(Effect.provideService(Clock.Clock, clock))
      )
    const holder = Effect.runFork(limiter.execute(Deferred.await(gate)))
    const call = Object.assign(new Call.Call(), { deadline: options?.deadline ?? Infinity })
    const slow = Effect.runFork(
      limiter
        .execute(Effect.sync(() => void order.push("slow")))
        .pipe(Effect.provideService(Call.Current, call), Effect.provideService(Scheduler.Scheduler, scheduler))
    )
    return {
      limiter,
      order,
      run,
      slow,
      scheduler,
      /** The place becomes free; whoever is called is held back. */
      call: Effect.suspend(() => {
        scheduler.isHolding = true
        Deferred.doneUnsafe(gate, Effect.void)
        assert.isDefined(holder.pollUnsafe())
        return Effect.void
      })
    }
  })

const atRest = (limiter: Concurrency.Concurrency) => {
  const { inflight, waiting } = limiter.inspect()
  assert.deepStrictEqual([inflight, waiting], [0, 0])
}

describe("called, but not yet moved", () => {
  it.effect("BH4: nobody overtakes", () =>
    Effect.gen(function* () {
      const { call, limiter, order, run, scheduler } = yield* scene()
      yield* call
      run("newcomer")
      run("high", { priority: 5 })
      assert.deepStrictEqual(order, [])
      scheduler.letGo()
      assert.sameMembers(order, ["slow", "high", "newcomer"])
      atRest(limiter)
    })
  )

  it.effect("BH5, BH6: if he is interrupted, the next is called", () =>
    Effect.gen(function* () {
      const { call, limiter, order, run, scheduler, slow } = yield* scene()
      yield* call
      run("next")
      slow.interruptUnsafe()
      scheduler.letGo()
      assert.deepStrictEqual(order, ["next"])
      assert.isTrue(Exit.hasInterrupts(slow.pollUnsafe()!))
      atRest(limiter)
    })
  )

  it.effect("BH7: if his deadline passes, he does not start", () =>
    Effect.gen(function* () {
      const { call, limiter, order, run, scheduler, slow } = yield* scene({ deadline: 1000 })
      yield* call
      run("next")
      yield* TestClock.adjust("1 second")
      scheduler.letGo()
      assert.deepStrictEqual(order, ["next"])
      assert.isTrue(Exit.isFailure(slow.pollUnsafe()!))
      atRest(limiter)
    })
  )

  it.effect("BH13: if he is displaced, he does not start, and who displaced him does", () =>
    Effect.gen(function* () {
      const { call, limiter, order, run, scheduler, slow } = yield* scene({ maxQueue: 1 })
      yield* call
      run("high", { priority: 1 })
      scheduler.letGo()
      assert.deepStrictEqual(order, ["high"])
      assert.isTrue(Exit.isFailure(slow.pollUnsafe()!))
      atRest(limiter)
    })
  )
})

describe("in line, but not yet waiting", () => {
  it.effect("BH13: whoever is displaced before his fiber waits is refused all the same", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({ limit: 1, maxQueue: 1 })
      Effect.runFork(limiter.execute(Effect.never))
      const scheduler = new Holding()
      let steps = 0
      // Held back right after it has joined.
      scheduler.shouldYield = () => {
        if (limiter.inspect().waiting === 1 && steps++ === 0) scheduler.isHolding = true
        return scheduler.isHolding
      }
      const early = Effect.runFork(Effect.provideService(limiter.execute(Effect.void), Scheduler.Scheduler, scheduler))
      assert.isUndefined(early.pollUnsafe())
      const high = Effect.runFork(limiter.execute(Effect.void, { priority: 1 }))
      scheduler.letGo()
      assert.isTrue(Exit.isFailure(early.pollUnsafe()!))
      assert.isUndefined(high.pollUnsafe())
      high.interruptUnsafe()
    })
  )
})
