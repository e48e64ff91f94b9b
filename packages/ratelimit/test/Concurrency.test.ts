import { assert, describe, it } from "@effect/vitest"
import { Call, Events, JsonRpc, Outcome } from "@hawser/core"
import { Interruption } from "@hawser/testkit"
import { Cause, Context, Data, Deferred, Duration, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Concurrency } from "../src/index.ts"

class TimeoutError extends Data.TaggedError("TimeoutError") {}

class Throttled extends Data.TaggedError("Throttled") {
  readonly [Outcome.TypeId] = Outcome.verdict({ retryAfter: Duration.seconds(1) })
}

class Reverted extends Data.TaggedError("Reverted") {
  readonly [Outcome.TypeId] = Outcome.verdict({ counts: "success", again: "nowhere" })
}

class Refused extends Data.TaggedError("Refused") {
  readonly [Outcome.TypeId] = Outcome.refusal(Duration.seconds(9))
}

const start = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

const inCall = (fields: Partial<Pick<Call.Call, "deadline" | "pooled">>) => {
  const call = Object.assign(new Call.Call(), fields)
  return Effect.provideService(Call.Current, call)
}

const pooled = inCall({ pooled: true })
const insisting = Effect.provideService(Call.Insist, "wait" as const)

const refusal = (self: Effect.Effect<unknown, unknown>) =>
  Effect.map(Effect.flip(self), (error) => {
    if (!Concurrency.isConcurrencyFull(error)) throw new Error(`not refused: ${String(error)}`)
    return [error.reason, error.limit, error.queueable]
  })

describe("a fixed limit", () => {
  it.effect("lets so many run, the rest in order of arrival", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({ limit: 2 })
      const order: Array<string> = []
      const gates = new Map<string, Deferred.Deferred<void>>()
      const enter = (name: string, options?: Concurrency.Pass) => {
        const gate = Deferred.makeUnsafe<void>()
        gates.set(name, gate)
        return start(
          limiter.execute(
            Effect.suspend(() => (order.push(name), Deferred.await(gate))),
            options
          )
        )
      }
      const leave = (name: string) => Deferred.succeed(gates.get(name)!, undefined)
      for (const name of "abcd") yield* enter(name)
      yield* enter("high", { priority: 1 })
      assert.deepStrictEqual(order, ["a", "b"])
      yield* leave("b")
      assert.deepStrictEqual(order, ["a", "b", "high"])
      yield* leave("a")
      yield* leave("high")
      assert.deepStrictEqual(order, ["a", "b", "high", "c", "d"])
      assert.deepStrictEqual(limiter.inspect(), {
        limit: 2,
        inflight: 2,
        waiting: 0,
        admitted: 5,
        queued: 3,
        refused: 0,
        abandoned: 0
      })
    })
  )

  it.effect("BH3: success, failure, defect and interruption give the place back", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({ limit: 1 })
      assert.strictEqual(yield* limiter.execute(Effect.succeed(7)), 7)
      assert.strictEqual(yield* Effect.flip(limiter.execute(Effect.fail("no"))), "no")
      assert.deepStrictEqual(yield* Effect.exit(limiter.execute(Effect.die("bug"))), Exit.die("bug"))
      const fiber = yield* start(limiter.execute(Effect.never))
      assert.strictEqual(limiter.inspect().inflight, 1)
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(limiter.inspect().inflight, 0)
      assert.strictEqual(limiter.inspect().admitted, 4)
    })
  )

  it.effect("one effect value run many times at once holds one place each", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({ limit: 3 })
      const work = limiter.execute(Effect.never)
      const fibers = [yield* start(work), yield* start(work)]
      assert.strictEqual(limiter.inspect().inflight, 2)
      for (const fiber of fibers) yield* Fiber.interrupt(fiber)
      assert.strictEqual(limiter.inspect().inflight, 0)
    })
  )

  it.effect("BH2, BH13: the line is bounded; a higher priority takes the last place of a lower one", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({ limit: 1, maxQueue: 1 })
      yield* start(limiter.execute(Effect.never))
      const low = yield* start(limiter.execute(Effect.void, { priority: -3 }))
      assert.deepStrictEqual(yield* refusal(limiter.execute(Effect.void, { priority: -3 })), ["queue", 1, false])
      const high = yield* start(limiter.execute(Effect.void))
      assert.deepStrictEqual(yield* refusal(Fiber.join(low)), ["queue", 1, false])
      assert.isUndefined(high.pollUnsafe())
    })
  )

  it.effect("BH7: refuses at maxWait or at the deadline sharp, and never starts late", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({ limit: 1, maxWait: "2 seconds" })
      yield* start(limiter.execute(Effect.sleep("2 seconds")))
      let started = 0
      const work = Effect.sync(() => void started++)
      const hurried = yield* start(inCall({ deadline: 500 })(limiter.execute(work)))
      const first = yield* start(limiter.execute(Effect.andThen(work, Effect.sleep("1 second"))))
      const second = yield* start(limiter.execute(work))
      yield* TestClock.adjust("499 millis")
      assert.isUndefined(hurried.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* refusal(Fiber.join(hurried)), ["limit", 1, false])
      assert.deepStrictEqual(yield* refusal(inCall({ deadline: 500 })(limiter.execute(work))), ["limit", 1, false])
      // The place becomes free at the very moment at which both give up: one of them gets it, or none.
      yield* TestClock.adjust("1500 millis")
      yield* TestClock.adjust("1 second")
      const ends = [yield* Fiber.await(first), yield* Fiber.await(second)]
      assert.strictEqual(started, ends.filter(Exit.isSuccess).length)
      assert.isAtLeast(ends.filter(Exit.isFailure).length, 1)
      assert.deepStrictEqual([limiter.inspect().inflight, limiter.inspect().waiting], [0, 0])
    })
  )

  it.effect("a deadline that falls on the release is too late", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({ limit: 1 })
      yield* start(limiter.execute(Effect.sleep("1 second")))
      const late = yield* start(inCall({ deadline: 1000 })(limiter.execute(Effect.void)))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* refusal(Fiber.join(late)), ["limit", 1, false])
    })
  )

  it.effect("ten thousand in line are served without a deep stack", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({ limit: 1, maxQueue: 10_000 })
      const gate = yield* Deferred.make<void>()
      yield* start(limiter.execute(Deferred.await(gate)))
      let served = 0
      for (let i = 0; i < 10_000; i++) yield* start(limiter.execute(Effect.sync(() => void served++)))
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(served, 10_000)
    })
  )

  it.effect("BH3, BH5, BH6: interruption at every step leaves nothing behind", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.gen(function* () {
          const limiter = yield* Concurrency.make({ limit: 1, maxWait: "1 second", adaptive: { max: 1 } })
          let running = 0
          const work = limiter.execute(
            Effect.acquireUseRelease(
              Effect.sync(() => assert.strictEqual(++running, 1)),
              () => Effect.sleep("10 millis"),
              () => Effect.sync(() => void running--)
            )
          )
          return {
            run: Effect.all([work, work, work], { concurrency: "unbounded" }),
            check: (exit: Exit.Exit<unknown, unknown>) => {
              const { inflight, waiting } = limiter.inspect()
              assert.deepStrictEqual([running, inflight, waiting], [0, 0, 0])
              if (Exit.isSuccess(exit)) assert.strictEqual(limiter.inspect().admitted, 3)
            }
          }
        })
      )
      assert.isAbove(steps, 30)
    })
  )

  it.effect("BH5: whoever is interrupted while his turn comes passes it on", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.gen(function* () {
          const limiter = yield* Concurrency.make({ limit: 1 })
          const gate = yield* Deferred.make<void>()
          let isServed = false
          const waiting = Effect.gen(function* () {
            const holder = yield* start(limiter.execute(Deferred.await(gate)))
            const next = yield* start(limiter.execute(Effect.sleep("10 millis")))
            const last = yield* start(limiter.execute(Effect.sync(() => void (isServed = true))))
            yield* start(Deferred.succeed(gate, undefined))
            yield* Fiber.interrupt(next)
            yield* Fiber.join(last)
            yield* Fiber.join(holder)
          })
          return {
            run: waiting,
            check: (exit: Exit.Exit<void, unknown>) => {
              assert.strictEqual(limiter.inspect().inflight, 0)
              assert.strictEqual(limiter.inspect().waiting, 0)
              if (Exit.isSuccess(exit)) assert.isTrue(isServed)
            }
          }
        })
      )
      assert.isAbove(steps, 30)
    })
  )
})

describe("BH4", () => {
  /** What is common to limiters and their mutants. */
  type Enter = (work: Effect.Effect<void>) => Effect.Effect<void, unknown>

  // A newcomer comes in the very turn in which the place is given back.
  const orderOf = (enter: Enter) =>
    Effect.gen(function* () {
      const order: Array<string> = []
      const gate = yield* Deferred.make<void>()
      const named = (name: string) => enter(Effect.sync(() => void order.push(name)))
      const holder = enter(Deferred.await(gate)).pipe(Effect.andThen(named("newcomer")))
      const fibers = [yield* start(holder), yield* start(named("first")), yield* start(named("second"))]
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("1 second")
      for (const fiber of fibers) yield* Effect.exit(Fiber.join(fiber))
      return order
    })

  it.effect("the place goes to the head in the turn in which it is given back", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({ limit: 1 })
      assert.deepStrictEqual(yield* orderOf((work) => limiter.execute(work)), ["first", "second", "newcomer"])
    })
  )

  it.effect("mutant: release, wake, take again lets the newcomer overtake", () =>
    Effect.gen(function* () {
      let isFree = true
      const line: Array<() => void> = []
      const take: Effect.Effect<void> = Effect.suspend(() => {
        if (isFree) {
          isFree = false
          return Effect.void
        }
        return Effect.andThen(
          Effect.callback<void>((resume) => void line.push(() => resume(Effect.yieldNow))),
          take
        )
      })
      const release = Effect.sync(() => {
        isFree = true
        line.shift()?.()
      })
      const order = yield* orderOf((work) =>
        Effect.acquireUseRelease(
          take,
          () => work,
          () => release
        )
      )
      assert.notDeepEqual(order, ["first", "second", "newcomer"])
    })
  )
})

describe("in a pool", () => {
  it.effect("refuses at once, unless told to stand in line", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({ name: "node", limit: 1, maxQueue: 1 })
      const gate = yield* Deferred.make<void>()
      yield* start(pooled(limiter.execute(Deferred.await(gate))))
      const error = yield* Effect.flip(pooled(limiter.execute(Effect.void)))
      assert.deepStrictEqual(Outcome.of(error), Outcome.refusal(undefined, "wait"))
      assert.strictEqual(error.message, "All 1 places at node are taken")
      assert.notInclude(error.stack ?? "", "Concurrency.ts")
      const waiting = yield* start(pooled(insisting(limiter.execute(Effect.succeed("done")))))
      assert.deepStrictEqual(yield* refusal(pooled(limiter.execute(Effect.void))), ["limit", 1, false])
      assert.deepStrictEqual(yield* refusal(pooled(insisting(limiter.execute(Effect.void)))), ["queue", 1, false])
      yield* Deferred.succeed(gate, undefined)
      assert.strictEqual(yield* Fiber.join(waiting), "done")
    })
  )

  it.effect("a wait is told in the report of a call, once it is over", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({ limit: 1 })
      yield* start(limiter.execute(Effect.sleep("300 millis")))
      yield* TestClock.adjust("100 millis")
      const fiber = yield* start(JsonRpc.explain(limiter.execute(Effect.void)))
      yield* TestClock.adjust("200 millis")
      const { report } = yield* Fiber.join(fiber)
      assert.deepStrictEqual(report.steps, [{ at: 0, step: "wait", for: 200, why: "concurrency limit" }])
    })
  )
})

describe("an adaptive limit", () => {
  it("knows what a failure says", () => {
    const domTimeout = Object.assign(new Error("timed out"), { name: "TimeoutError" })
    for (const error of [new TimeoutError(), new Cause.TimeoutError(), domTimeout, new Throttled()]) {
      assert.strictEqual(Concurrency.sampleOf(error), "dropped")
    }
    assert.strictEqual(Concurrency.sampleOf(new Reverted()), "success")
    for (const error of [new Refused(), new Error("502"), "no", undefined]) {
      assert.strictEqual(Concurrency.sampleOf(error), "ignored")
    }
  })

  it.effect("BH10: falls when something is dropped, once in a window, and tells", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({ limit: 10, adaptive: true })
      const heard: Array<Concurrency.Event> = []
      limiter.events.on((event) => heard.push(event))
      const drop = Effect.exit(limiter.execute(Effect.fail(new TimeoutError())))
      yield* drop
      yield* drop
      assert.strictEqual(limiter.inspect().limit, 9)
      yield* TestClock.adjust("1 second")
      yield* drop
      assert.strictEqual(limiter.inspect().limit, 8)
      assert.deepStrictEqual(heard, [
        { type: "limit", limit: 9, previous: 10 },
        { type: "limit", limit: 8, previous: 9 }
      ])
    })
  )

  it.effect("BH10: failures at once, refusals, defects and interruption change nothing", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({ limit: 10, adaptive: true })
      yield* Effect.exit(limiter.execute(Effect.fail("502")))
      yield* Effect.exit(limiter.execute(Effect.fail(new Refused())))
      yield* Effect.exit(limiter.execute(Effect.die("bug")))
      const both = Cause.combine(Cause.fail(new TimeoutError()), Cause.die("bug"))
      yield* Effect.exit(limiter.execute(Effect.failCause(both)))
      yield* Fiber.interrupt(yield* start(limiter.execute(Effect.never)))
      assert.strictEqual(limiter.inspect().limit, 10)
    })
  )

  it.effect("BH1: shrinks below what runs, cancels nothing, and lets nobody in until enough have ended", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({ limit: 4, adaptive: { decrease: 0.5 } })
      const gate = yield* Deferred.make<void>()
      const failing = yield* start(
        Effect.exit(limiter.execute(Effect.delay(Effect.fail(new TimeoutError()), "1 second")))
      )
      const running = []
      for (let i = 1; i <= 3; i++) running.push(yield* start(limiter.execute(Effect.sleep(`${i + 1} seconds`))))
      const waiting = yield* start(limiter.execute(Deferred.await(gate)))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(failing)
      assert.containSubset(limiter.inspect(), { limit: 2, inflight: 3, waiting: 1 })
      yield* TestClock.adjust("1 second")
      assert.containSubset(limiter.inspect(), { limit: 2, inflight: 2, waiting: 1 })
      yield* TestClock.adjust("1 second")
      assert.containSubset(limiter.inspect(), { limit: 2, inflight: 2, waiting: 0 })
      yield* Deferred.succeed(gate, undefined)
      yield* TestClock.adjust("1 second")
      for (const fiber of [...running, waiting]) yield* Fiber.join(fiber)
    })
  )

  it.effect("rises while it is in use, and lets the line in as it does", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({ limit: 1, adaptive: { max: 3 } })
      for (let i = 0; i < 10; i++) yield* limiter.execute(Effect.void)
      assert.strictEqual(limiter.inspect().limit, 2)
      const work = limiter.execute(Effect.sleep("1 second"))
      for (let i = 0; i < 20; i++) yield* start(work)
      assert.strictEqual(limiter.inspect().inflight, 2)
      yield* TestClock.adjust("3 seconds")
      assert.containSubset(limiter.inspect(), { limit: 3, inflight: 3 })
    })
  )

  it.effect("gradient falls when answers take longer, before anything is dropped", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({ limit: 20, adaptive: { algorithm: "gradient" } })
      const round = (took: Duration.Input) =>
        Effect.gen(function* () {
          for (let i = 0; i < 20; i++) yield* start(limiter.execute(Effect.sleep(took), { class: "eth_call" }))
          yield* TestClock.adjust("1 second")
        })
      for (let i = 0; i < 3; i++) yield* round("100 millis")
      const before = limiter.inspect().limit
      assert.isAtLeast(before, 20)
      for (let i = 0; i < 10; i++) yield* round("900 millis")
      assert.isBelow(limiter.inspect().limit, before)
    })
  )

  it.effect("a rule that throws does not keep the place", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({
        limit: 1,
        adaptive: {
          sample: () => {
            throw new Error("bug")
          }
        }
      })
      assert.isTrue(Exit.hasDies(yield* Effect.exit(limiter.execute(Effect.fail("no")))))
      assert.strictEqual(limiter.inspect().inflight, 0)
      assert.strictEqual(yield* limiter.execute(Effect.succeed(1)), 1)
    })
  )
})

describe("options", () => {
  it("a wrong one names itself and what it takes", () => {
    const wrong: Array<readonly [any, RegExp]> = [
      [undefined, /Concurrency\.limit takes a whole number of at least 1, got undefined/],
      [{ limit: 0 }, /Concurrency\.limit takes/],
      [{ limit: 5, adaptive: { min: 6 } }, /Concurrency\.limit takes a number from min to max \(6 to 200\), got 5/],
      [{ limit: 5, adaptive: { max: 4 } }, /Concurrency\.limit takes a number from min to max \(1 to 4\), got 5/],
      [
        { limit: 5, adaptive: { algorithm: "vegas" } },
        /Concurrency\.adaptive\.algorithm takes one of "aimd", "gradient"/
      ],
      [{ limit: 5, adaptive: "aimd" }, /Concurrency\.adaptive takes a record of options/],
      [{ limit: 5, maxWait: "soon" }, /Concurrency\.maxWait takes/],
      [{ limit: 5, permits: 5 }, /Concurrency\.permits takes no value/]
    ]
    for (const [options, message] of wrong) {
      assert.throws(() => Concurrency.make(options), message)
      assert.throws(() => Concurrency.layer(options), message)
    }
  })

  it.effect("a wrong priority is a defect that says so", () =>
    Effect.gen(function* () {
      const limiter = yield* Concurrency.make({ limit: 1 })
      const exit = yield* Effect.exit(limiter.execute(Effect.void, { priority: 0.5 }))
      assert.match(String(Exit.isFailure(exit) && Cause.squash(exit.cause)), /Concurrency\.priority takes a whole/)
      assert.strictEqual(limiter.inspect().inflight, 0)
    })
  )
})

describe("the layer", () => {
  it.effect("limits one upstream, orders requests, shows itself, tells the observer", () =>
    Effect.gen(function* () {
      const hub = Events.make<JsonRpc.Event>()
      const heard: Array<JsonRpc.Event> = []
      hub.on((event) => heard.push(event))
      const asked: Array<string> = []
      const node = (name: string) =>
        Layer.succeed(JsonRpc.upstream<TimeoutError>())({
          name,
          request: ({ method }) => {
            asked.push(method)
            return method === "eth_getLogs"
              ? Effect.delay(Effect.fail(new TimeoutError()), 100)
              : Effect.succeed(method)
          },
          inspect: () => ({ name })
        })
      const combinator = Concurrency.layer({
        limit: 1,
        adaptive: { min: 1, max: 2 },
        priority: ({ method }) => (method === "eth_blockNumber" ? 1 : 0)
      })
      const tag = JsonRpc.upstream<TimeoutError | Concurrency.ConcurrencyFull>()
      const build = (name: string) =>
        Effect.map(
          Layer.build(node(name).pipe(combinator, Layer.provide(Layer.succeed(JsonRpc.Observer)(hub)))),
          Context.get(tag)
        )
      const upstream = yield* build("node.example")
      const other = yield* build("other.example")
      const ask = (method: string) => start(Effect.exit(upstream.request(JsonRpc.makeRequest(method))))
      yield* ask("eth_getLogs")
      yield* ask("eth_call")
      yield* ask("eth_blockNumber")
      const refused = yield* Effect.flip(pooled(upstream.request(JsonRpc.makeRequest("eth_call"))))
      assert.strictEqual(refused._tag === "ConcurrencyFull" && refused.upstream, "node.example")
      assert.containSubset(other.inspect(), { name: "other.example", concurrency: { inflight: 0, admitted: 0 } })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(asked.length, 4)
      for (let i = 0; i < 2; i++) yield* ask("eth_call")
      assert.containSubset(upstream.inspect(), { name: "node.example", concurrency: { limit: 2, inflight: 0 } })
      assert.deepStrictEqual(heard, [
        { layer: "concurrency", upstream: "node.example", type: "limit", limit: 2, previous: 1 }
      ])
    })
  )
})
