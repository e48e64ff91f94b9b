import { assert, describe, it } from "@effect/vitest"
import { Call, Outcome } from "@hawser/core"
import { Clock, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"

describe("use", () => {
  it.effect("the outermost opens the call, those below find it", () =>
    Effect.gen(function* () {
      const seen: Array<Call.Call> = []
      const inner = Call.use((call) => Effect.sync(() => void seen.push(call)))
      yield* Call.use((call) =>
        Effect.andThen(
          Effect.sync(() => void seen.push(call)),
          inner
        )
      )
      assert.strictEqual(seen[0], seen[1])
      yield* inner
      assert.notStrictEqual(seen[2], seen[0])
      assert.isUndefined(yield* Call.Current)
    })
  )

  it.effect("a forked fiber works for the same call", () =>
    Call.use((call) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(Call.use((inner) => Effect.succeed(inner)))
        assert.strictEqual(yield* Fiber.join(fiber), call)
      })
    )
  )
})

describe("attempts", () => {
  it("six unless somebody said otherwise; the outermost word counts", () => {
    const call = new Call.Call()
    let sent = 0
    while (Call.spend(call)) sent++
    assert.strictEqual(sent, 6)
    const limited = new Call.Call()
    assert.strictEqual(Call.limit(limited, 2), 2)
    assert.strictEqual(Call.limit(limited, 10), 2)
  })

  it("one attempt that passes through several layers is counted once", () => {
    const call = new Call.Call()
    assert.isTrue(Call.spend(call))
    call.prepaid = true
    assert.isTrue(Call.spend(call))
    assert.isTrue(Call.spend(call))
    assert.strictEqual(call.sent, 2)
    assert.strictEqual(call.attempts, 4)
  })

  it("a refund gives back what never reached an upstream", () => {
    const call = new Call.Call()
    Call.spend(call)
    Call.refund(call)
    assert.strictEqual(call.sent, 0)
    assert.strictEqual(call.attempts, 6)
  })
})

describe("time", () => {
  it.effect("is monotonic: a wall clock set back changes nothing", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const before = Call.now(clock)
      yield* TestClock.adjust("1500 millis")
      assert.strictEqual(Call.now(clock) - before, 1500)
      yield* TestClock.setTime(0)
      assert.isAtLeast(Call.now(clock) - before, 1500)
    })
  )

  it("a wait fits when it ends before the deadline", () => {
    const call = new Call.Call()
    assert.isTrue(Call.fits(call, 0, 1e12))
    call.deadline = 1000
    assert.isTrue(Call.fits(call, 400, 599))
    assert.isFalse(Call.fits(call, 400, 600))
  })
})

describe("errors", () => {
  it("NoAnswer names every upstream and its cause", () => {
    const call = new Call.Call()
    Call.fail(call, "a", new Error("HTTP 500"))
    Call.fail(call, "b", { _tag: "CircuitOpen" })
    Call.fail(call, "a", new Error("HTTP 502"))
    const error = new Call.NoAnswer({ causes: Call.failures(call), [Outcome.TypeId]: Outcome.verdict() })
    assert.strictEqual(error.message, "No upstream answered: a: HTTP 502; b: CircuitOpen")
    assert.strictEqual(
      new Call.NoAnswer({ causes: [], [Outcome.TypeId]: Outcome.verdict() }).message,
      "No upstream was asked"
    )
  })

  it("DeadlineExceeded tells the limit and what is known", () => {
    const error = new Call.DeadlineExceeded({
      limit: Duration.seconds(10),
      causes: [{ upstream: "a", error: new Error("HTTP 500") }]
    })
    assert.strictEqual(error.message, "No answer within 10s: a: HTTP 500")
    assert.strictEqual(
      new Call.DeadlineExceeded({ limit: Duration.millis(1500), causes: [] }).message,
      "No answer within 1s 500ms"
    )
  })
})
