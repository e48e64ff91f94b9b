import { assert, describe, it } from "@effect/vitest"
import { Breaker } from "@hawser/breaker"
import { Options } from "@hawser/core"
import { Cause, Duration, Effect, Exit, Random, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { broken, Busy, opened, touchy } from "./support.ts"

describe("make", () => {
  it.effect("opens after ten failures in a row, for about five seconds", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker.make({ name: "payments" })
      for (let i = 0; i < 9; i++) yield* Effect.exit(breaker.execute(broken))
      assert.strictEqual(breaker.inspect().state, "closed")
      yield* Effect.exit(breaker.execute(broken))
      const error = yield* Effect.flip(breaker.execute(Effect.die("must not run")))
      assert.isTrue(Breaker.isCircuitOpen(error))
      assert.strictEqual(error.upstream, "payments")
      assert.strictEqual(error.reason, "open")
      const millis = Duration.toMillis(error.retryAfter)
      assert.isTrue(millis > 4_000 && millis <= 5_000)
      yield* TestClock.adjust(error.retryAfter)
      assert.strictEqual(yield* breaker.execute(Effect.succeed(7)), 7)
      assert.strictEqual(breaker.inspect().state, "closed")
    })
  )

  it.effect("opens when half of twenty calls within ten seconds have failed, not of nineteen, not of older ones", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker.make()
      const pair = Effect.andThen(Effect.exit(breaker.execute(broken)), breaker.execute(Effect.void))
      for (let i = 0; i < 9; i++) yield* pair
      yield* TestClock.adjust("10 seconds")
      for (let i = 0; i < 9; i++) yield* pair
      assert.strictEqual(breaker.inspect().total, 18)
      yield* Effect.exit(breaker.execute(broken))
      assert.strictEqual(breaker.inspect().state, "closed")
      yield* breaker.execute(Effect.void)
      assert.strictEqual(breaker.inspect().state, "open")
    })
  )

  it.effect("waits twice as long after each opening in a row, up to the cap", () =>
    Effect.gen(function* () {
      const breaker = yield* opened({ maxOpenFor: "5 seconds" })
      const times: Array<number> = []
      for (let i = 0; i < 5; i++) {
        times.push(breaker.inspect().retryAfter!)
        yield* TestClock.adjust(breaker.inspect().retryAfter!)
        yield* Effect.exit(breaker.execute(broken))
      }
      assert.deepStrictEqual(times, [1_000, 2_000, 4_000, 5_000, 5_000])
      // Closed for as long as it was open: the row is over.
      yield* TestClock.adjust("5 seconds")
      yield* breaker.execute(Effect.void)
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(breaker.inspect().openings, 6)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(breaker.inspect().openings, 0)
      yield* Effect.exit(breaker.execute(broken))
      assert.strictEqual(breaker.inspect().retryAfter, 1_000)
    })
  )

  it.effect("takes a schedule, replayed for each opening, the last delay for ever; and caps it", () =>
    Effect.gen(function* () {
      const openFor = Schedule.exponential("300 millis", 3).pipe(Schedule.upTo({ times: 3 }))
      const breaker = yield* opened({ openFor, maxOpenFor: "2 seconds" })
      const times: Array<number> = []
      for (let i = 0; i < 5; i++) {
        times.push(breaker.inspect().retryAfter!)
        yield* TestClock.adjust(breaker.inspect().retryAfter!)
        yield* Effect.exit(breaker.execute(broken))
      }
      assert.deepStrictEqual(times, [300, 900, 2_000, 2_000, 2_000])
    })
  )

  it.effect("a schedule's elapsed time is the time spent open", () =>
    Effect.gen(function* () {
      const openFor = Schedule.concat(
        Schedule.spaced("1 second").pipe(Schedule.upTo({ duration: "2500 millis" })),
        Schedule.spaced("4 seconds")
      )
      const breaker = yield* opened({ openFor })
      const times: Array<number> = []
      for (let i = 0; i < 5; i++) {
        times.push(breaker.inspect().retryAfter!)
        yield* TestClock.adjust(breaker.inspect().retryAfter!)
        yield* Effect.exit(breaker.execute(broken))
      }
      assert.deepStrictEqual(times, [1_000, 1_000, 1_000, 4_000, 4_000])
    })
  )

  it.effect("a schedule costs the same after a million openings in a row", () =>
    Effect.gen(function* () {
      let steps = 0
      const openFor = Schedule.map(Schedule.exponential("1 millis"), () => Effect.sync(() => void steps++))
      const breaker = yield* Breaker.make({ ...touchy, openFor })
      breaker.restore({ ...breaker.snapshot(), state: "half-open", openings: 1_000_000 })
      yield* Effect.exit(breaker.execute(broken))
      assert.strictEqual(breaker.inspect().openings, 1_000_001)
      assert.strictEqual(breaker.inspect().retryAfter, 120_000)
      assert.isAtMost(steps, 101)
    })
  )

  it.effect("an open time beyond two minutes is its own cap, unless another is given", () =>
    Effect.gen(function* () {
      const breaker = yield* opened({ openFor: "5 minutes" })
      assert.strictEqual(breaker.inspect().retryAfter, 300_000)
    })
  )

  it.effect("shortens each opening at random, at the cap, too", () =>
    Effect.gen(function* () {
      const times = new Set<number>()
      for (let i = 0; i < 200; i++) {
        const breaker = yield* opened({ jitter: 0.5, openFor: "1 second", maxOpenFor: "1 second" })
        times.add(breaker.inspect().retryAfter!)
      }
      assert.isAbove(times.size, 190)
      assert.isTrue([...times].every((time) => time > 500 && time <= 1_000))
      assert.isAbove(Math.max(...times) - Math.min(...times), 400)
    }).pipe(Random.withSeed("jitter"))
  )

  it.effect("what the upstream says about coming back only lengthens, and is capped", () =>
    Effect.gen(function* () {
      for (const [says, expected] of [
        ["10 millis", 1_000],
        ["3 seconds", 3_000],
        ["1 hour", 60_000],
        [Duration.infinity, 60_000]
      ] as const) {
        const breaker = yield* Breaker.make({ ...touchy, maxOpenFor: "1 minute" })
        yield* Effect.exit(breaker.execute(Effect.fail(new Busy({ retryAfter: Duration.fromInputUnsafe(says) }))))
        assert.strictEqual(breaker.inspect().retryAfter, expected)
      }
    })
  )

  it("options that mean nothing are refused where they are given", () => {
    const refused = (options: object): string => {
      try {
        void Breaker.make(options)
      } catch (error) {
        assert.instanceOf(error, Options.InvalidOption)
        return error.message
      }
      return "taken"
    }
    assert.strictEqual(refused({ consecutive: 0 }), "Breaker.consecutive takes a whole number of at least 1, got 0")
    assert.strictEqual(refused({ rate: 1.1 }), "Breaker.rate takes a number above 0 and at most 1, got 1.1")
    assert.match(refused({ window: { calls: 0 } }), /^Breaker\.window\.calls takes a whole number from 1 to 1000000/)
    assert.match(refused({ window: { calls: undefined } }), /^Breaker\.window\.calls takes a whole number/)
    assert.match(refused({ window: "soon" }), /^Breaker\.window takes a duration/)
    assert.match(refused({ slow: {} }), /^Breaker\.slow\.after takes a duration/)
    assert.match(refused({ slow: { after: 5, ratio: 1 } }), /^Breaker\.slow\.ratio takes no value/)
    assert.match(
      refused({ window: { calls: 5 }, minimumCalls: 6 }),
      /^Breaker\.minimumCalls takes at most the window's 5/
    )
    assert.match(refused({ probes: 2, successes: 3 }), /^Breaker\.successes takes at most as many as there are probes/)
    assert.match(
      refused({ openFor: "1 minute", maxOpenFor: "5 seconds" }),
      /^Breaker\.maxOpenFor takes a duration of at/
    )
    assert.match(
      refused({ failureRate: 0.5 }),
      /^Breaker\.failureRate takes no value: the options are consecutive, rate/
    )
    assert.strictEqual(refused({ consecutive: false, rate: false, slow: false, openFor: "1 hour" }), "taken")
    assert.throws(() => Breaker.layer({ probes: 0 }), /Breaker\.probes/)
    assert.throws(() => Breaker.makeKeyed({ idle: "1 second" }), /Breaker\.idle takes a duration of at least/)
  })

  it.effect("a schedule that has no delay, or waits to tell it, is refused when the breaker is made", () =>
    Effect.gen(function* () {
      const waits = Schedule.modifyDelay(Schedule.spaced(1), () => Effect.as(Effect.sleep(1), 1))
      for (const openFor of [Schedule.recurs(0), waits]) {
        const exit = yield* Effect.exit(Breaker.make({ openFor }))
        assert.match(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), /Breaker\.openFor takes a schedule/)
      }
    })
  )
})
