import { assert, describe, it } from "@effect/vitest"
import { Call, Events, JsonRpc, Outcome } from "@hawser/core"
import { Interruption } from "@hawser/testkit"
import { Cause, Clock, Context, Data, Duration, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { RateLimit } from "../src/index.ts"

class Throttled extends Data.TaggedError("Throttled")<{ readonly after: Duration.Input }> {
  get [Outcome.TypeId](): Outcome.Verdict {
    return Outcome.verdict({ retryAfter: Duration.fromInputUnsafe(this.after) })
  }
}

class Refused extends Data.TaggedError("Refused") {
  readonly [Outcome.TypeId] = Outcome.refusal(Duration.seconds(9))
}

const start = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

/** Runs an effect for a call made by hand. */
const inCall = (fields: Partial<Pick<Call.Call, "deadline" | "pooled">>) => {
  const call = Object.assign(new Call.Call(), fields)
  return Effect.provideService(Call.Current, call)
}

/** Starts work that notes its name when it starts. */
const makeLog = (limiter: RateLimit.RateLimit) => {
  const order: Array<string> = []
  const enter = (name: string, options?: RateLimit.Pass) =>
    start(
      limiter.execute(
        Effect.sync(() => void order.push(name)),
        options
      )
    )
  return { order, enter }
}

const refusal = (self: Effect.Effect<unknown, unknown>) =>
  Effect.map(Effect.flip(self), (error) => {
    if (!RateLimit.isRateLimited(error)) throw new Error(`not refused: ${String(error)}`)
    const { queueable, reason, retryAfter } = error
    return [reason, retryAfter === undefined ? undefined : Duration.toMillis(retryAfter), queueable]
  })

describe("a limit", () => {
  it.effect("lets the burst through, then one after the other", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ limit: 25, window: "1 second" })
      const { enter, order } = makeLog(limiter)
      for (const name of "abcde") yield* enter(name)
      assert.deepStrictEqual(order.join(""), "abc")
      yield* TestClock.adjust("39 millis")
      assert.deepStrictEqual(order.join(""), "abc")
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(order.join(""), "abcd")
      yield* TestClock.adjust("40 millis")
      assert.deepStrictEqual(order.join(""), "abcde")
      assert.deepStrictEqual(limiter.inspect(), {
        available: 0,
        share: 1,
        pausedFor: 0,
        waiting: 0,
        admitted: 5,
        queued: 2,
        refused: 0,
        abandoned: 0
      })
    })
  )

  it.effect("leaves the exit of the work as it is", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ limit: 1, window: "1 second", burst: 10 })
      assert.strictEqual(yield* limiter.execute(Effect.succeed(7)), 7)
      assert.strictEqual(yield* Effect.flip(limiter.execute(Effect.fail("no"))), "no")
      const died = yield* Effect.exit(limiter.execute(Effect.die("bug")))
      assert.deepStrictEqual(died, Exit.die("bug"))
    })
  )

  it.effect("RL4: what can never pass is refused at once, for good", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ name: "node", limit: 10, window: "1 second" })
      const error = yield* Effect.flip(limiter.execute(Effect.void, { weight: 11 }))
      assert.strictEqual(error.reason, "weight")
      assert.isUndefined(error.retryAfter)
      assert.strictEqual(error.message, "A request of weight 11 never fits the rate limit of node")
      assert.isUndefined(Outcome.of(error).insist)
      assert.isUndefined(limiter.peek(11))
      yield* limiter.execute(Effect.void, { weight: 10 })
    })
  )

  it.effect("RL5: a weight of 0 takes nothing and stands in no line", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ limit: 1, window: "1 second" })
      const { enter, order } = makeLog(limiter)
      yield* enter("a")
      yield* enter("b")
      yield* enter("free", { weight: 0 })
      assert.deepStrictEqual(order, ["a", "free"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(order, ["a", "free", "b"])
    })
  )

  it.effect("RL8: a heavy head is not overtaken by light ones", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ limit: 10, window: "1 second", burst: 5 })
      const { enter, order } = makeLog(limiter)
      yield* enter("a", { weight: 4 })
      yield* enter("heavy", { weight: 5 })
      yield* enter("light")
      assert.deepStrictEqual(order, ["a"])
      yield* TestClock.adjust("399 millis")
      assert.deepStrictEqual(order, ["a"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(order, ["a", "heavy"])
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(order, ["a", "heavy", "light"])
    })
  )

  it.effect("RL16: per second and per day, all or nothing", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({
        limits: [
          { limit: 2, window: "1 second", burst: 2 },
          { limit: 3, window: "1 day", burst: 3 }
        ],
        maxWait: Infinity
      })
      const { enter, order } = makeLog(limiter)
      for (const name of "abcd") yield* enter(name)
      assert.deepStrictEqual(order.join(""), "ab")
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(order.join(""), "abc")
      yield* TestClock.adjust("7 hours")
      assert.deepStrictEqual(order.join(""), "abc")
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(order.join(""), "abcd")
    })
  )

  it.effect("peek tells when and changes nothing", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ limit: 10, window: "1 second", burst: 2 })
      const before = limiter.inspect()
      for (let i = 0; i < 5; i++) assert.deepStrictEqual(limiter.peek(), Duration.zero)
      assert.deepStrictEqual(limiter.inspect(), before)
      yield* limiter.execute(Effect.void, { weight: 2 })
      assert.deepStrictEqual(limiter.peek(), Duration.millis(100))
      assert.deepStrictEqual(limiter.peek(2), Duration.millis(200))
      yield* start(limiter.execute(Effect.void))
      assert.deepStrictEqual(limiter.peek(), Duration.millis(200))
    })
  )

  it.effect("without a limit nothing is limited", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make()
      for (let i = 0; i < 1000; i++) yield* limiter.execute(Effect.void, { weight: i })
      assert.isUndefined(limiter.inspect().available)
    })
  )

  it.effect("ten thousand in line are served without a deep stack", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ limit: 1, window: "1 second", maxQueue: 20_000, maxWait: Infinity })
      yield* limiter.execute(Effect.void)
      limiter.pause("1 second")
      const { enter, order } = makeLog(limiter)
      for (let i = 0; i < 10_000; i++) yield* enter(String(i), { weight: i === 0 ? 1 : 0 })
      assert.lengthOf(order, 0)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(
        order,
        Array.from({ length: 10_000 }, (_, i) => String(i))
      )
    })
  )
})

describe("the line", () => {
  const single = { limit: 1, window: "1 second" } as const

  it.effect("BH2: is bounded, and full refuses in the same turn", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ ...single, maxQueue: 2 })
      const { enter } = makeLog(limiter)
      for (const name of "abc") yield* enter(name)
      assert.deepStrictEqual(yield* refusal(limiter.execute(Effect.void)), ["queue", 3000, false])
      const none = yield* RateLimit.make({ ...single, maxQueue: 0 })
      yield* none.execute(Effect.void)
      assert.deepStrictEqual(yield* refusal(none.execute(Effect.void)), ["limit", 1000, false])
    })
  )

  it.effect("refuses at once whom it could not serve in time", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ ...single, maxWait: "2 seconds" })
      const { enter, order } = makeLog(limiter)
      for (const name of "abc") yield* enter(name)
      assert.deepStrictEqual(yield* refusal(limiter.execute(Effect.void)), ["limit", 3000, false])
      // The turn of the third comes after two seconds sharp: in time.
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(order, ["a", "b", "c"])
      const hurried = inCall({ deadline: 3000 })
      assert.deepStrictEqual(yield* refusal(hurried(limiter.execute(Effect.void))), ["limit", 1000, false])
      const patient = yield* start(inCall({ deadline: 3001 })(limiter.execute(Effect.void)))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(patient)
    })
  )

  it.effect("BH7: refuses at maxWait sharp when a turn comes later than foreseen", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ ...single, maxWait: "5 seconds" })
      const { enter } = makeLog(limiter)
      yield* enter("a")
      const low = yield* start(limiter.execute(Effect.void))
      for (let i = 0; i < 7; i++) yield* enter(String(i), { priority: 1 })
      yield* TestClock.adjust("4999 millis")
      assert.isUndefined(low.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* refusal(Fiber.join(low)), ["limit", 1000, false])
    })
  )

  it.effect("RL7: who leaves has no effect on others, who then start sooner", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ limit: 10, window: "1 second", burst: 1 })
      const { enter, order } = makeLog(limiter)
      yield* enter("a")
      const leaving = [yield* enter("x", { weight: 1 }), yield* enter("y", { weight: 1 }), yield* enter("z")]
      yield* enter("b")
      yield* TestClock.adjust("50 millis")
      for (const fiber of leaving) yield* Fiber.interrupt(fiber)
      assert.strictEqual(limiter.inspect().waiting, 1)
      assert.strictEqual(limiter.inspect().abandoned, 3)
      yield* TestClock.adjust("50 millis")
      assert.deepStrictEqual(order, ["a", "b"])
    })
  )

  it.effect("a heavy head that leaves makes way at once", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ limit: 10, window: "1 second", burst: 5 })
      const { enter, order } = makeLog(limiter)
      yield* enter("a", { weight: 4 })
      const heavy = yield* enter("heavy", { weight: 5 })
      yield* enter("light")
      yield* Fiber.interrupt(heavy)
      assert.deepStrictEqual(order, ["a", "light"])
    })
  )

  it.effect("interactive work goes before background work, which never starves", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make(single)
      const { enter, order } = makeLog(limiter)
      yield* enter("first")
      yield* enter("background", { priority: -1 })
      for (let i = 0; i < 12; i++) yield* enter(`i${i}`)
      yield* TestClock.adjust("13 seconds")
      assert.deepStrictEqual(order, "first i0 i1 i2 i3 i4 i5 i6 i7 i8 background i9 i10 i11".split(" "))
    })
  )

  it.effect("BH13: a newcomer takes the place of the last of a lower priority, and of no other", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ ...single, maxQueue: 3 })
      const { enter, order } = makeLog(limiter)
      yield* enter("first")
      yield* enter("low 1", { priority: -1 })
      const low2 = yield* start(limiter.execute(Effect.void, { priority: -1 }))
      yield* enter("normal")
      assert.deepStrictEqual(yield* refusal(limiter.execute(Effect.void, { priority: -1 })), ["queue", 4000, false])
      yield* enter("high", { priority: 1 })
      assert.deepStrictEqual(yield* refusal(Fiber.join(low2)), ["queue", 4000, false])
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(order, ["first", "high", "normal", "low 1"])
    })
  )

  it.effect("RL14: nothing sleeps while nobody waits", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let sleeping = 0
      let slept = 0
      const counting: Clock.Clock = Object.create(clock, {
        sleep: {
          value: (duration: Duration.Duration) =>
            Outcome.guard(
              clock.sleep(duration),
              () => ({ asleep: ++sleeping, times: ++slept }),
              () => void sleeping--
            )
        }
      })
      const limiter = yield* Effect.provideService(RateLimit.make(single), Clock.Clock, counting)
      const { enter } = makeLog(limiter)
      yield* enter("a")
      assert.strictEqual(sleeping, 0)
      const waiting = []
      for (let i = 0; i < 10; i++) waiting.push(yield* enter("b"))
      assert.strictEqual(sleeping, 1)
      for (const fiber of waiting) yield* Fiber.interrupt(fiber)
      assert.strictEqual(sleeping, 0)
      assert.strictEqual(slept, 1)
    })
  )

  it.effect("RL7, BH5: interruption at every step leaves nothing behind", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.gen(function* () {
          const limiter = yield* RateLimit.make({ limit: 10, window: "1 second", burst: 1 })
          let before = 0
          return {
            run: Effect.gen(function* () {
              yield* limiter.execute(Effect.void)
              before = limiter.inspect().admitted
              yield* Effect.all([limiter.execute(Effect.void), limiter.execute(Effect.sleep("10 millis"))], {
                concurrency: "unbounded"
              })
            }),
            check: (exit: Exit.Exit<void, RateLimit.RateLimited>) => {
              const { abandoned, admitted, queued, refused, waiting } = limiter.inspect()
              assert.deepStrictEqual([waiting, refused], [0, 0])
              // Whoever stood in line has either left or passed; whoever left has taken nothing.
              if (before > 0) assert.strictEqual(admitted - before, queued - abandoned)
              if (Exit.isSuccess(exit)) assert.strictEqual(admitted, 3)
            }
          }
        })
      )
      assert.isAbove(steps, 30)
    })
  )

  it.effect("is told in the report of a call", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make(single)
      yield* limiter.execute(Effect.void)
      const fiber = yield* start(JsonRpc.explain(limiter.execute(Effect.void)))
      yield* TestClock.adjust("1 second")
      const { report } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(report.steps, [{ at: 0, step: "wait", for: 1000, why: "rate limit" }])
      // A pool says for itself that it made a call wait.
      const insisting = Effect.provideService(Call.Insist, "wait" as const)
      const quiet = yield* start(
        JsonRpc.explain(
          Call.use((call) => {
            call.pooled = true
            return insisting(limiter.execute(Effect.void))
          })
        )
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* Fiber.join(quiet)).report.steps, [])
    })
  )
})

describe("in a pool", () => {
  const pooled = inCall({ pooled: true })
  const insisting = Effect.provideService(Call.Insist, "wait" as const)

  it.effect("refuses at once, with the exact time", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ limit: 2, window: "1 second", maxQueue: 1 })
      yield* pooled(limiter.execute(Effect.void))
      yield* TestClock.adjust("200 millis")
      assert.deepStrictEqual(yield* refusal(pooled(limiter.execute(Effect.void))), ["limit", 300, true])
      const error = yield* Effect.flip(pooled(limiter.execute(Effect.void)))
      assert.deepStrictEqual(Outcome.of(error), Outcome.refusal(Duration.millis(300), "wait"))
      assert.strictEqual(error.message, "The rate limit of upstream is reached; free in 300ms")
      assert.notInclude(error.stack ?? "", "RateLimit.ts")
      assert.strictEqual(limiter.inspect().waiting, 0)
    })
  )

  it.effect("stands in line when told to, and others then refuse behind it", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ limit: 2, window: "1 second", maxQueue: 1 })
      yield* limiter.execute(Effect.void)
      const waiting = yield* start(pooled(insisting(limiter.execute(Effect.succeed("done")))))
      assert.strictEqual(limiter.inspect().waiting, 1)
      // The line is full: insisting would not help.
      assert.deepStrictEqual(yield* refusal(pooled(limiter.execute(Effect.void))), ["limit", 1000, false])
      assert.deepStrictEqual(yield* refusal(pooled(insisting(limiter.execute(Effect.void)))), ["queue", 1000, false])
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* Fiber.join(waiting), "done")
    })
  )

  it.effect("does not send into a line that takes too long", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ limit: 1, window: "1 minute" })
      yield* limiter.execute(Effect.void)
      assert.deepStrictEqual(yield* refusal(pooled(limiter.execute(Effect.void))), ["limit", 60_000, false])
    })
  )
})

describe("a pause", () => {
  it.effect("RL9: holds for everybody, whoever waits included", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ limit: 1, window: "1 second", burst: 2 })
      const { enter, order } = makeLog(limiter)
      yield* enter("a")
      const sent = yield* start(limiter.execute(Effect.delay(Effect.fail(new Throttled({ after: "5 seconds" })), 900)))
      yield* enter("b")
      yield* TestClock.adjust("900 millis")
      assert.isDefined(sent.pollUnsafe())
      yield* enter("c")
      assert.strictEqual(limiter.inspect().pausedFor, 5000)
      yield* TestClock.adjust("4999 millis")
      assert.deepStrictEqual(order, ["a"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(order, ["a", "b", "c"])
    })
  )

  it.effect("RL9: late news of the same does not extend it", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make()
      for (const after of [0, 100, 200]) {
        yield* start(
          Effect.exit(limiter.execute(Effect.delay(Effect.fail(new Throttled({ after: "1 second" })), after)))
        )
      }
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(limiter.inspect().pausedFor, 500)
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(yield* limiter.execute(Effect.succeed("through")), "through")
    })
  )

  it.effect("fails at once whoever cannot wait that long, and refuses newcomers with the time", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ limit: 1, window: "1 second", maxWait: "1 minute" })
      yield* limiter.execute(Effect.void)
      const hurried = yield* start(inCall({ deadline: 10_000 })(limiter.execute(Effect.void)))
      const patient = yield* start(inCall({ deadline: 40_000 })(limiter.execute(Effect.void)))
      const sent = yield* start(
        Effect.exit(limiter.execute(Effect.fail(new Throttled({ after: "20 seconds" })), { weight: 0 }))
      )
      yield* Fiber.join(sent)
      assert.deepStrictEqual(yield* refusal(Fiber.join(hurried)), ["paused", 21_000, false])
      assert.deepStrictEqual(yield* refusal(inCall({ pooled: true })(limiter.execute(Effect.void))), [
        "paused",
        21_000,
        true
      ])
      assert.isUndefined(patient.pollUnsafe())
      yield* TestClock.adjust("20 seconds")
      yield* Fiber.join(patient)
    })
  )

  it.effect("that ends when a wait does lets it pass", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ limit: 1, window: "1 second", maxWait: "5 seconds" })
      yield* limiter.execute(Effect.void)
      const waiting = yield* start(limiter.execute(Effect.void))
      limiter.pause("5 seconds")
      yield* TestClock.adjust(4_999)
      assert.isUndefined(waiting.pollUnsafe())
      yield* TestClock.adjust(1)
      yield* Fiber.join(waiting)
    })
  )

  it.effect("lasts no longer than maxPause; a refusal and an interruption ask for none", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ maxPause: "2 seconds" })
      yield* Effect.exit(limiter.execute(Effect.fail(new Refused())))
      assert.strictEqual(limiter.inspect().pausedFor, 0)
      const fiber = yield* start(limiter.execute(Effect.never))
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(limiter.inspect().pausedFor, 0)
      yield* Effect.exit(limiter.execute(Effect.fail(new Throttled({ after: "1 hour" }))))
      assert.strictEqual(limiter.inspect().pausedFor, 2000)
      const deaf = yield* RateLimit.make({ maxPause: 0 })
      yield* Effect.exit(deaf.execute(Effect.fail(new Throttled({ after: "1 hour" }))))
      assert.strictEqual(deaf.inspect().pausedFor, 0)
    })
  )

  it.effect("can be made, replaced and ended by hand", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make()
      const heard: Array<RateLimit.Event> = []
      limiter.events.on((event) => heard.push(event))
      limiter.pause("10 seconds")
      const { enter, order } = makeLog(limiter)
      yield* enter("a")
      limiter.pause("3 seconds")
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(order, ["a"])
      limiter.pause("1 day")
      yield* enter("refused, for a day is more than it may wait")
      limiter.pause("5 seconds")
      yield* enter("b")
      limiter.pause(0)
      assert.deepStrictEqual(order, ["a", "b"])
      assert.deepStrictEqual(
        heard.map(({ type }) => type),
        ["paused", "paused", "resumed", "paused", "paused", "resumed"]
      )
    })
  )

  it.effect("what a layer below refused before it was sent is given back", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ limit: 10, window: "1 second", burst: 2 })
      for (let i = 0; i < 10; i++) yield* Effect.exit(limiter.execute(Effect.fail(new Refused()), { weight: 2 }))
      assert.strictEqual(limiter.inspect().available, 2)
      assert.strictEqual(limiter.inspect().admitted, 0)
      // Whoever waits may pass at once.
      yield* limiter.execute(Effect.void)
      yield* start(Effect.exit(limiter.execute(Effect.delay(Effect.fail(new Refused()), 10))))
      const waiting = yield* start(limiter.execute(Effect.void))
      yield* TestClock.adjust("10 millis")
      yield* Fiber.join(waiting)
    })
  )
})

describe("learning", () => {
  it.effect("halves the rate after a hint and gets it back", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({
        limit: 10,
        window: "1 second",
        learn: { decrease: 0.5, recover: 0.25, floor: 0.2 }
      })
      const heard: Array<RateLimit.Event> = []
      limiter.events.on((event) => heard.push(event))
      yield* Effect.exit(limiter.execute(Effect.fail(new Throttled({ after: "100 millis" }))))
      assert.strictEqual(limiter.inspect().share, 0.5)
      yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(limiter.peek(), Duration.millis(100))
      for (const share of [0.75, 1]) {
        yield* TestClock.adjust("900 millis")
        yield* limiter.execute(Effect.void)
        assert.strictEqual(limiter.inspect().share, share)
        yield* TestClock.adjust("100 millis")
      }
      assert.deepStrictEqual(heard, [
        { type: "rate", share: 0.5 },
        { type: "paused", for: 100 },
        { type: "resumed" },
        { type: "rate", share: 0.75 },
        { type: "rate", share: 1 }
      ])
    })
  )

  it.effect("from errors of the user's choice", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make<string>({
        limit: 10,
        window: "1 second",
        burst: 10,
        learn: { when: (error) => error === "slow down" }
      })
      yield* Effect.exit(limiter.execute(Effect.fail("broken")))
      assert.strictEqual(limiter.inspect().share, 1)
      yield* Effect.exit(limiter.execute(Effect.fail("slow down")))
      assert.strictEqual(limiter.inspect().share, 0.7)
      assert.strictEqual(limiter.inspect().pausedFor, 0)
    })
  )
})

describe("options", () => {
  it("a wrong one names itself and what it takes", () => {
    const wrong: Array<readonly [object, RegExp]> = [
      [{ limit: 5 }, /RateLimit\.window takes a duration/],
      [{ window: "1 second" }, /RateLimit\.limit takes a whole number from 1 to 1000000000, got undefined/],
      [{ limit: 0, window: "1 second" }, /RateLimit\.limit takes/],
      [{ limit: 2.5, window: "1 second" }, /RateLimit\.limit takes/],
      [{ limit: 1, window: "1 second", burst: 101 }, /RateLimit\.burst takes at most 100 times the limit, got 101/],
      [{ limit: 1, window: "400 days" }, /RateLimit\.window takes at most 366 days/],
      [{ limits: [] }, /RateLimit\.limits takes a list of limits/],
      [{ limits: [{ limit: 1, window: "1 second" }, { limit: 1 }] }, /RateLimit\.limits\[1\]\.window/],
      [{ limit: 1, window: 1, limits: [{ limit: 1, window: 1 }] }, /RateLimit\.limits takes no value beside/],
      [{ learn: true }, /RateLimit\.learn takes a limit/],
      [{ limit: 1, window: 1, learn: { floor: 2 } }, /RateLimit\.learn\.floor takes/],
      [{ maxQueue: -1 }, /RateLimit\.maxQueue takes/],
      [{ rate: 5 }, /RateLimit\.rate takes no value: the options are/]
    ]
    for (const [options, message] of wrong) {
      assert.throws(() => RateLimit.make(options), message)
      assert.throws(() => RateLimit.layer(options), message)
    }
  })

  it.effect("a wrong weight or priority is a defect that says so, and takes nothing", () =>
    Effect.gen(function* () {
      const limiter = yield* RateLimit.make({ limit: 1, window: "1 second" })
      for (const pass of [{ weight: -1 }, { weight: NaN }, { weight: 0.5 }, { priority: 11 }, { priority: 0.1 }]) {
        const exit = yield* Effect.exit(limiter.execute(Effect.void, pass))
        assert.match(
          String(Exit.isFailure(exit) && Cause.squash(exit.cause)),
          /RateLimit\.(weight|priority) takes a whole/
        )
      }
      assert.throws(() => limiter.pause(-5), /RateLimit\.pause takes/)
      assert.strictEqual(limiter.inspect().available, 1)
    })
  )

  it.effect("a judge that throws does not hide what happened", () =>
    Effect.gen(function* () {
      const bug = new Error("bug")
      const limiter = yield* RateLimit.make({
        judge: () => {
          throw bug
        }
      })
      const exit = yield* Effect.exit(limiter.execute(Effect.fail("broken")))
      // What was a typed error is a defect beside another.
      const reasons = Exit.isFailure(exit) ? exit.cause.reasons : []
      assert.sameDeepMembers(
        reasons.map((reason) => (Cause.isDieReason(reason) ? reason.defect : reason)),
        ["broken", bug]
      )
      assert.strictEqual(yield* limiter.execute(Effect.succeed(1)), 1)
    })
  )
})

describe("the layer", () => {
  const node = (name: string, request: JsonRpc.Service<Throttled>["request"]) =>
    Layer.succeed(JsonRpc.upstream<Throttled>())({ name, request, inspect: () => ({ name }) })
  const tag = JsonRpc.upstream<Throttled | RateLimit.RateLimited>()
  const hub = Events.make<JsonRpc.Event>()

  it.effect("weighs and orders requests, names the upstream, shows itself, tells the observer", () =>
    Effect.gen(function* () {
      const heard: Array<JsonRpc.Event> = []
      const off = hub.on((event) => heard.push(event))
      const asked: Array<string> = []
      const combinator = RateLimit.layer({
        limit: 10,
        window: "1 second",
        burst: 10,
        weight: ({ method }) => (method === "eth_getLogs" ? 10 : 1),
        priority: ({ method }) => (method === "eth_getLogs" ? -1 : 0)
      })
      const answer = ({ method }: JsonRpc.Request) =>
        method === "limited"
          ? Effect.fail(new Throttled({ after: "2 seconds" }))
          : Effect.sync(() => void asked.push(method))
      const build = (name: string) =>
        Layer.build(node(name, answer).pipe(combinator, Layer.provide(Layer.succeed(JsonRpc.Observer)(hub))))
      const upstream = Context.get(yield* build("node.example"), tag)
      const other = Context.get(yield* build("other.example"), tag)
      const ask = (method: string) => upstream.request(JsonRpc.makeRequest(method))

      yield* ask("eth_getLogs")
      const refused = yield* Effect.flip(inCall({ pooled: true })(ask("eth_call")))
      assert.strictEqual(refused._tag === "RateLimited" && refused.upstream, "node.example")
      yield* start(ask("eth_getLogs"))
      yield* start(ask("eth_blockNumber"))
      yield* TestClock.adjust("1100 millis")
      assert.deepStrictEqual(asked, ["eth_getLogs", "eth_blockNumber", "eth_getLogs"])

      yield* TestClock.adjust("1 second")
      yield* Effect.exit(ask("limited"))
      assert.deepStrictEqual(heard, [{ layer: "rateLimit", upstream: "node.example", type: "paused", for: 2000 }])
      assert.containSubset(upstream.inspect(), { name: "node.example", rateLimit: { pausedFor: 2000, admitted: 4 } })
      assert.containSubset(other.inspect(), { name: "other.example", rateLimit: { pausedFor: 0, admitted: 0 } })
      off()
    })
  )

  it.effect("a weight that throws is a defect and takes nothing", () =>
    Effect.gen(function* () {
      const broken = RateLimit.layer({
        limit: 1,
        window: "1 second",
        weight: () => {
          throw new Error("bug")
        }
      })
      const upstream = Context.get(yield* Layer.build(node("a", () => Effect.succeed(1)).pipe(broken)), tag)
      const exit = yield* Effect.exit(upstream.request(JsonRpc.makeRequest("eth_call")))
      assert.isTrue(Exit.hasDies(exit))
      assert.containSubset(upstream.inspect(), { rateLimit: { available: 1, waiting: 0 } })
    })
  )
})
