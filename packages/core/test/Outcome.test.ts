import { assert, describe, it } from "@effect/vitest"
import { Outcome } from "@hawser/core"
import { Cause, Data, Duration, Effect, Exit, Fiber } from "effect"

class Busy extends Data.TaggedError("Busy")<{ readonly [Outcome.TypeId]: Outcome.Verdict }> {}

describe("of", () => {
  it("an error that says nothing is a failure and may be tried anywhere", () => {
    for (const error of [new Error("x"), "text", undefined, null, 7, {}]) {
      assert.deepStrictEqual(Outcome.of(error), {
        counts: "failure",
        again: "anywhere",
        ran: "maybe",
        refused: false,
        insist: undefined,
        retryAfter: undefined
      })
    }
  })

  it("an error that carries a verdict is taken at its word", () => {
    const verdict = Outcome.refusal(Duration.seconds(3), "wait")
    const error = new Busy({ [Outcome.TypeId]: verdict })
    assert.strictEqual(Outcome.of(error), verdict)
    assert.deepStrictEqual(verdict, {
      counts: "neutral",
      again: "elsewhere",
      ran: "no",
      refused: true,
      insist: "wait",
      retryAfter: Duration.seconds(3)
    })
  })
})

describe("ofExit", () => {
  const neutral = new Busy({ [Outcome.TypeId]: Outcome.verdict({ counts: "neutral" }) })

  it("tells the three outcomes apart", () => {
    assert.strictEqual(Outcome.ofExit(Exit.succeed(1)), "success")
    assert.strictEqual(Outcome.ofExit(Exit.fail("x")), "failure")
    assert.strictEqual(Outcome.ofExit(Exit.die("x")), "failure")
    assert.strictEqual(Outcome.ofExit(Exit.fail(neutral)), "neutral")
    assert.strictEqual(Outcome.ofExit(Exit.failCause(Cause.interrupt(1))), "neutral")
  })

  it("interruption beside a failure leaves the failure, a defect beside anything is a failure", () => {
    assert.strictEqual(Outcome.ofExit(Exit.failCause(Cause.combine(Cause.interrupt(1), Cause.fail("x")))), "failure")
    assert.strictEqual(Outcome.ofExit(Exit.failCause(Cause.combine(Cause.fail(neutral), Cause.die("x")))), "failure")
  })

  it("lets the user judge", () => {
    assert.strictEqual(
      Outcome.ofExit(Exit.fail("x"), () => Outcome.verdict({ counts: "success" })),
      "success"
    )
  })
})

describe("guard", () => {
  class Refused extends Data.TaggedError("Refused")<{}> {}

  it.effect("releases with the exit, once, whatever the exit", () =>
    Effect.gen(function* () {
      for (const self of [Effect.succeed(1), Effect.fail("x"), Effect.die("x"), Effect.interrupt]) {
        const released: Array<Exit.Exit<unknown, unknown>> = []
        const exit = yield* Effect.exit(
          Outcome.guard(
            self,
            () => ({}),
            (_, exit) => released.push(exit)
          )
        )
        assert.deepStrictEqual(released, [exit])
      }
    })
  )

  it.effect("a refusal fails without running or releasing", () =>
    Effect.gen(function* () {
      let ran = false
      let released = false
      const error = yield* Effect.flip(
        Outcome.guard(
          Effect.sync(() => void (ran = true)),
          () => new Refused(),
          () => void (released = true)
        )
      )
      assert.instanceOf(error, Refused)
      assert.isFalse(ran || released)
    })
  )

  it.effect("a permit is released although the fiber is interrupted in the moment it is acquired", () =>
    Effect.gen(function* () {
      let held = 0
      const exit = yield* Effect.withFiber((fiber) =>
        Outcome.guard(
          Effect.succeed(1),
          () => {
            held++
            fiber.interruptUnsafe()
            return {}
          },
          () => void held--
        )
      ).pipe(Effect.forkChild, Effect.flatMap(Fiber.await))
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual(held, 0)
    })
  )
})

describe("stackless", () => {
  it("builds an error without frames and leaves the limit as it was", () => {
    const limit = Error.stackTraceLimit
    const error = Outcome.stackless(() => new Error("quick"))
    assert.notInclude(error.stack ?? "", "    at ")
    assert.strictEqual(Error.stackTraceLimit, limit)
    assert.throws(() =>
      Outcome.stackless(() => {
        throw new Error("x")
      })
    )
    assert.strictEqual(Error.stackTraceLimit, limit)
  })
})
