import { assert, describe, it } from "@effect/vitest"
import { Breaker } from "@hawser/breaker"
import { Interruption } from "@hawser/testkit"
import { Clock, Deferred, Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Busy, opened, probe } from "./support.ts"

describe("interruption", () => {
  it.effect("at every step gives the probe's place back and counts nothing", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const steps = yield* Interruption.everywhere(
        Effect.gen(function* () {
          const breaker = yield* opened()
          yield* Effect.provideService(TestClock.adjust("1 second"), Clock.Clock, clock)
          return {
            run: breaker.execute(Effect.as(Effect.sleep("20 millis"), 1)),
            check: (exit: Exit.Exit<number, Breaker.CircuitOpen>) => {
              const { counters, probes, state } = breaker.inspect()
              assert.strictEqual(probes, 0)
              assert.strictEqual(counters.failures, 1)
              assert.strictEqual(counters.successes, state === "closed" ? 1 : 0)
              assert.strictEqual(counters.admitted, 1 + counters.successes + counters.neutrals)
              if (Exit.isSuccess(exit)) assert.strictEqual(state, "closed")
            }
          }
        })
      )
      assert.isAbove(steps, 5)
    })
  )

  it.effect("at every step of a forced probe lets the next one through", () =>
    Interruption.everywhere(
      Effect.gen(function* () {
        const breaker = yield* opened({ openFor: "1 hour" })
        return {
          run: probe(breaker.execute(Effect.sleep("20 millis"))),
          check: () => assert.strictEqual(breaker.inspect().probes, 0)
        }
      })
    )
  )

  it.effect("CB13: a call that is cancelled after it has waited too long counts as slow", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker.make({ slow: { after: "1 second", rate: 0.5 }, minimumCalls: 3 })
      for (let i = 0; i < 3; i++) {
        assert.strictEqual(breaker.inspect().state, "closed")
        yield* Effect.exit(
          Effect.raceFirst(breaker.execute(Effect.never), Effect.sleep("1 second")).pipe(
            Effect.forkChild({ startImmediately: true }),
            Effect.tap(() => TestClock.adjust("1 second")),
            Effect.flatMap(Fiber.join)
          )
        )
      }
      const { counters, state } = breaker.inspect()
      assert.strictEqual(state, "open")
      assert.deepStrictEqual([counters.neutrals, counters.slow, counters.failures], [3, 3, 0])
    })
  )
})

describe("a caller that insists", () => {
  it.effect("gets one probe at a time through an open circuit", () =>
    Effect.gen(function* () {
      const breaker = yield* opened()
      const gate = yield* Deferred.make<number>()
      const first = yield* Effect.forkChild(probe(breaker.execute(Deferred.await(gate))), { startImmediately: true })
      const second = yield* Effect.flip(probe(breaker.execute(Effect.void)))
      assert.strictEqual(second.reason, "open")
      assert.strictEqual((yield* Effect.flip(breaker.execute(Effect.void))).reason, "open")
      yield* Deferred.succeed(gate, 7)
      assert.strictEqual(yield* Fiber.join(first), 7)
      assert.strictEqual(breaker.inspect().state, "closed")
    })
  )

  it.effect("and fails: nothing changes; and is cancelled: the next may try", () =>
    Effect.gen(function* () {
      const breaker = yield* opened()
      yield* TestClock.adjust("300 millis")
      yield* Effect.exit(probe(breaker.execute(Effect.fail(new Busy({ retryAfter: Duration.hours(1) })))))
      assert.strictEqual(breaker.inspect().retryAfter, 700)
      assert.strictEqual(breaker.inspect().openings, 1)
      const running = yield* Effect.forkChild(probe(breaker.execute(Effect.never)), { startImmediately: true })
      yield* Fiber.interrupt(running)
      yield* probe(breaker.execute(Effect.void))
      assert.strictEqual(breaker.inspect().state, "closed")
    })
  )

  it.effect("is not let through an isolated one", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker.make()
      breaker.isolate()
      assert.strictEqual((yield* Effect.flip(probe(breaker.execute(Effect.void)))).reason, "isolated")
    })
  )

  it.effect("insists for itself only", () =>
    Effect.gen(function* () {
      const breaker = yield* opened()
      const plain = yield* Effect.forkDetach(Effect.exit(breaker.execute(Effect.void)), { startImmediately: true })
      assert.isTrue(Exit.isFailure(yield* Fiber.join(plain)))
      yield* probe(breaker.execute(Effect.void))
    })
  )
})
