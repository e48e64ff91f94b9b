import { assert, describe, it } from "@effect/vitest"
import { type Call, Options } from "@hawser/core"
import { Budget, Hedge, Retry } from "@hawser/retry"
import { Effect, Fiber, Random, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { expectTypeOf } from "vitest"
import { Boom, built, client, now, read, sleep } from "./support.ts"

describe("make", () => {
  it("grants the floor and the ratio of the deposits, and tells what is left", () => {
    const budget = Budget.make({ ratio: 0.5, floor: 2, window: "10 seconds" })
    for (let i = 0; i < 4; i++) budget.deposit(0)
    assert.deepStrictEqual(budget.inspect(0), { deposits: 4, withdrawals: 0, balance: 4 })
    assert.deepStrictEqual(
      Array.from({ length: 5 }, () => budget.withdraw(5000)),
      [true, true, true, true, false]
    )
    assert.deepStrictEqual(budget.inspect(5000), { deposits: 4, withdrawals: 4, balance: 0 })
    budget.refund(5000)
    assert.isTrue(budget.withdraw(5000))
  })

  it("failovers are never denied: they run into debt, and the window forgets it", () => {
    const budget = Budget.make({ ratio: 0.5, floor: 2, window: "10 seconds" })
    for (let i = 0; i < 7; i++) budget.charge(0)
    assert.deepStrictEqual(budget.inspect(0), { deposits: 0, withdrawals: 7, balance: -5 })
    assert.isFalse(budget.withdraw(9999))
    assert.isTrue(budget.withdraw(10_000))
  })

  it("has sensible defaults: half a request per call and ten every ten seconds", () => {
    const budget = Budget.make()
    for (let i = 0; i < 100; i++) budget.deposit(0)
    let granted = 0
    while (budget.withdraw(0)) granted++
    assert.strictEqual(granted, 60)
  })

  it("is told from its options, and checks them", () => {
    assert.isTrue(Budget.isBudget(Budget.make()))
    assert.isFalse(Budget.isBudget({ ratio: 0.5 }))
    assert.isFalse(Budget.isBudget(undefined))
    for (const options of [{ ratio: -1 }, { ratio: Infinity }, { floor: 0.5 }, { window: 0 }, { size: 1 }]) {
      assert.throws(() => Budget.make(options), Options.InvalidOption, "Budget.")
    }
    expectTypeOf(Budget.make()).toExtend<Call.Budget>()
  })
})

describe("sharing", () => {
  /** Takes between nothing and half a second, and fails half the time. */
  const shaky = (asked: { times: Array<number> }) =>
    Effect.gen(function* () {
      asked.times.push(yield* now)
      yield* sleep(Math.round((yield* Random.next) * 500))
      if ((yield* Random.next) < 0.5) return yield* new Boom({ n: 1 })
      return "ok"
    })

  it.effect("RB8: one budget bounds the sum of all who share it, in every window", () =>
    Effect.gen(function* () {
      const budget = Budget.make({ ratio: 0.2, floor: 3, window: "1 second" })
      const asked = { times: [] as Array<number> }
      const calls: Array<number> = []
      const stack = () =>
        client(() => shaky(asked)).pipe(
          Hedge.layer({ delay: 100, budget }),
          Retry.layer({ schedule: Schedule.spaced("50 millis"), budget })
        )
      const services = [yield* built(stack()), yield* built(stack())]
      const fiber = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 400 }),
          (_, i) =>
            Effect.gen(function* () {
              yield* sleep(Math.round((yield* Random.next) * 4000))
              calls.push(yield* now)
              yield* Effect.ignore(services[i % 2]!.request(read))
            }),
          { concurrency: "unbounded" }
        )
      )
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(fiber)
      assert.isAbove(asked.times.length, 400)
      // An extra request is sent up to 50 ms after it was granted.
      for (const end of asked.times) {
        const within = (times: ReadonlyArray<number>, from: number) =>
          times.filter((at) => at > from && at <= end).length
        const first = within(calls, end - 1000)
        const extra = within(asked.times, end - 1000) - first
        assert.isAtMost(extra, 0.2 * within(calls, end - 1050) + 3)
      }
    }).pipe(Random.withSeed("shaky"))
  )

  it.effect("within one call retries and hedges share the budget of the outermost layer", () =>
    Effect.gen(function* () {
      const budget = Budget.make({ ratio: 0, floor: 100 })
      const service = yield* built(
        client(() => Effect.andThen(sleep(150), new Boom({ n: 1 }))).pipe(
          Hedge.layer({ delay: 100 }),
          Retry.layer({ schedule: Schedule.spaced("10 millis"), budget })
        )
      )
      const fiber = yield* Effect.forkChild(Effect.ignore(service.request(read)))
      yield* TestClock.adjust("5 seconds")
      yield* Fiber.join(fiber)
      // Three rounds with a hedge each: five extra requests, one deposit.
      assert.deepStrictEqual(budget.inspect(yield* now), { deposits: 1, withdrawals: 5, balance: 95 })
    })
  )
})
