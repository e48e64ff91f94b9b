import { assert, describe, it } from "@effect/vitest"
import { Breaker } from "@hawser/breaker"
import { Clock, Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { Broken, broken, heard, opened, path, touchy } from "./support.ts"

describe("events", () => {
  it.effect("CB6: many failures at once open it once, and the path is connected", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker.make(touchy)
      const events = heard(breaker.events)
      const gate = yield* Deferred.make<never, Broken>()
      const calls = Array.from({ length: 20 }, () => breaker.execute(Deferred.await(gate)))
      const all = yield* Effect.forkChild(Effect.all(calls, { concurrency: "unbounded", mode: "result" }), {
        startImmediately: true
      })
      yield* Deferred.fail(gate, new Broken({ n: 1 }))
      yield* Fiber.join(all)
      yield* TestClock.adjust("1 second")
      yield* breaker.execute(Effect.void)
      breaker.isolate()
      breaker.isolate()
      breaker.reset()
      breaker.reset()
      assert.deepStrictEqual(path(events), [
        "closed > open: consecutive",
        "open > half-open: elapsed",
        "half-open > closed: probe",
        "closed > isolated: manual",
        "isolated > closed: manual"
      ])
      assert.deepStrictEqual(events[0], {
        type: "transition",
        from: "closed",
        to: "open",
        why: "consecutive",
        openings: 1,
        openFor: 1_000
      })
    })
  )

  it.effect("CB6: a listener that changes the state is told of it after what it heard, and so are the others", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker.make(touchy)
      breaker.events.on(({ to }) => {
        if (to === "open") breaker.reset()
      })
      const events = heard(breaker.events)
      yield* Effect.exit(breaker.execute(broken))
      assert.deepStrictEqual(path(events), ["closed > open: consecutive", "open > closed: manual"])
      assert.strictEqual(breaker.inspect().state, "closed")
    })
  )
})

describe("by hand", () => {
  it.effect("isolated until reset; calls under way no longer count", () =>
    Effect.gen(function* () {
      const breaker = yield* Breaker.make(touchy)
      const gate = yield* Deferred.make<never, Broken>()
      const running = yield* Effect.forkChild(Effect.exit(breaker.execute(Deferred.await(gate))), {
        startImmediately: true
      })
      breaker.isolate()
      yield* TestClock.adjust("1 day")
      assert.strictEqual((yield* Effect.flip(breaker.execute(Effect.void))).reason, "isolated")
      assert.isUndefined(breaker.inspect().retryAfter)
      breaker.reset()
      yield* Deferred.fail(gate, new Broken({ n: 1 }))
      yield* Fiber.join(running)
      assert.strictEqual(breaker.inspect().state, "closed")
      assert.strictEqual(breaker.inspect().counters.failures, 0)
    })
  )

  it.effect("a snapshot goes through JSON into another breaker, under another clock", () =>
    Effect.gen(function* () {
      const breaker = yield* opened({ openFor: "10 seconds" })
      yield* TestClock.adjust("4 seconds")
      const json = JSON.stringify(breaker.snapshot())
      yield* TestClock.adjust("1 day")
      const other = yield* Breaker.make(touchy)
      const events = heard(other.events)
      other.restore(JSON.parse(json) as Breaker.Snapshot)
      assert.strictEqual(other.inspect().retryAfter, 6_000)
      assert.strictEqual(other.inspect().openings, 1)
      assert.deepStrictEqual(path(events), ["closed > open: restored"])
      assert.throws(
        () => other.restore(JSON.parse("{}") as Breaker.Snapshot),
        /Breaker\.restore takes what `snapshot` gave/
      )
    })
  )
})

describe("in a program", () => {
  it.effect("costs no timer: nothing sleeps, whatever the state", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let slept = 0
      const counting: Clock.Clock = {
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
        currentTimeMillis: clock.currentTimeMillis,
        currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
        currentTimeNanos: clock.currentTimeNanos,
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
        monotonicTimeNanos: clock.monotonicTimeNanos,
        sleep: (duration) => Effect.suspend(() => (slept++, clock.sleep(duration)))
      }
      const breaker = yield* Effect.provideService(opened({ recovery: "1 minute" }), Clock.Clock, counting)
      yield* Effect.exit(breaker.execute(Effect.void))
      yield* TestClock.adjust("1 second")
      yield* breaker.execute(Effect.void)
      yield* Effect.exit(breaker.execute(Effect.void))
      assert.strictEqual(slept, 0)
    })
  )
})
