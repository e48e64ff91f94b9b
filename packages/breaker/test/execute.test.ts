import { assert, describe, it } from "@effect/vitest"
import { Breaker } from "@hawser/breaker"
import { Outcome } from "@hawser/core"
import { Cause, Duration, Effect, Exit, Fiber, Random } from "effect"
import { TestClock } from "effect/testing"
import { ajar, Broken, broken, Busy, opened, touchy, Unwell } from "./support.ts"

describe("execute", () => {
  it.effect("CB12: leaves every exit as it is", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker.make()
      const effects: ReadonlyArray<Effect.Effect<number, Broken>> = [
        Effect.succeed(1),
        broken,
        Effect.die("defect"),
        Effect.interrupt
      ]
      for (const self of effects) {
        const exit: Exit.Exit<number, Broken | Breaker.CircuitOpen> = yield* Effect.exit(breaker.execute(self))
        assert.deepStrictEqual(exit, yield* Effect.exit(self))
      }
      const { counters } = breaker.inspect()
      assert.deepStrictEqual(counters, {
        admitted: 4,
        refused: 0,
        successes: 1,
        failures: 2,
        neutrals: 1,
        slow: 0,
        opened: 0
      })
    })
  )

  it.effect("CB12: a judge that throws loses neither the permit nor the exit", () =>
    Effect.gen(function* () {
      const mine = new Error("mine")
      const breaker = yield* ajar({
        judge: (): Outcome.Outcome => {
          throw mine
        }
      })
      assert.strictEqual(breaker.inspect().state, "open")
      const exit = yield* Effect.exit(breaker.execute(broken))
      assert.isTrue(Exit.isFailure(exit))
      const reasons = Exit.isFailure(exit) ? exit.cause.reasons : []
      assert.deepStrictEqual(
        reasons.map((reason) => (Cause.isDieReason(reason) ? reason.defect : reason)),
        [new Broken({ n: 1 }), mine]
      )
      assert.strictEqual(breaker.inspect().probes, 0)
      assert.strictEqual(breaker.inspect().openings, 2)
    })
  )

  it.effect("errors count as they say themselves, or as the user judges", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker.make({
        judge: (error: Broken | Unwell | Busy) =>
          error._tag !== "Broken"
            ? undefined
            : error.n === 1
              ? "success"
              : error.n === 2
                ? Outcome.verdict({ counts: "neutral" })
                : undefined
      })
      for (const n of [1, 2, 3]) yield* Effect.exit(breaker.execute(Effect.fail(new Broken({ n }))))
      yield* Effect.exit(breaker.execute(Effect.fail(new Unwell())))
      const { failures, neutrals, successes } = breaker.inspect().counters
      assert.deepStrictEqual([successes, neutrals, failures], [1, 2, 1])
    })
  )

  it.effect("a judge that says only how an error counts keeps what the error says about coming back", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker.make({ ...touchy, judge: () => "failure" })
      yield* Effect.exit(breaker.execute(Effect.fail(new Busy({ retryAfter: Duration.seconds(9) }))))
      assert.strictEqual(breaker.inspect().retryAfter, 9_000)
    })
  )

  it.effect("a refusal is neutral, goes elsewhere, was not run, has no stack", () =>
    Effect.gen(function* () {
      const breaker = yield* opened()
      const error = yield* Effect.flip(breaker.execute(Effect.void))
      assert.deepStrictEqual(Outcome.of(error), Outcome.refusal(Duration.seconds(1), "probe"))
      assert.notInclude(error.stack ?? "", "    at ")
      assert.strictEqual(error.message, "Circuit open for another 1s")
      yield* TestClock.adjust("1 second")
      const running = yield* Effect.forkChild(breaker.execute(Effect.never), { startImmediately: true })
      const second = yield* Effect.flip(breaker.execute(Effect.void))
      assert.strictEqual(second.reason, "half-open")
      assert.deepStrictEqual(Outcome.of(second), Outcome.refusal(Duration.millis(50), "probe"))
      yield* Fiber.interrupt(running)
      breaker.isolate()
      const third = yield* Effect.flip(breaker.execute(Effect.void))
      assert.strictEqual(third.message, "Circuit isolated: closed to all calls until it is reset")
      assert.isFalse(Duration.isFinite(third.retryAfter))
      assert.deepStrictEqual(Outcome.of(third), Outcome.refusal())
      assert.isFalse(Breaker.isCircuitOpen({ _tag: "CircuitOpen" }))
    })
  )

  it.effect("a recovering circuit refuses some, by the program's own dice", () =>
    Effect.gen(function* () {
      const breaker = yield* ajar({ recovery: "10 seconds" })
      yield* breaker.execute(Effect.void)
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(breaker.inspect().share, 0.5)
      let refused = 0
      for (let i = 0; i < 200; i++) {
        const exit = yield* Effect.exit(breaker.execute(Effect.void))
        if (Exit.isFailure(exit)) refused++
      }
      assert.isTrue(refused > 70 && refused < 130)
      assert.strictEqual(breaker.inspect().counters.refused, refused)
      yield* TestClock.adjust("5 seconds")
      for (let i = 0; i < 50; i++) yield* breaker.execute(Effect.void)
    }).pipe(Random.withSeed("recovery"))
  )

  it.effect("CB11: a wall clock set back changes nothing", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 day")
      const breaker = yield* opened()
      yield* TestClock.adjust("400 millis")
      yield* TestClock.setTime(0)
      assert.strictEqual(breaker.inspect().retryAfter, 600)
      yield* TestClock.adjust("600 millis")
      yield* breaker.execute(Effect.void)
    })
  )
})
