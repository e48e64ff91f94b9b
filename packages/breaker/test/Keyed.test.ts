import { assert, describe, it } from "@effect/vitest"
import { Breaker } from "@hawser/breaker"
import { Interruption } from "@hawser/testkit"
import { Clock, Deferred, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { Registry } from "../src/internal/registry.ts"

const touchy = { consecutive: 1, openFor: "1 second", jitter: 0, idle: "5 minutes" } as const

const broken = Effect.fail("broken")

const keys = (breakers: Breaker.Keyed): ReadonlyArray<string> => Object.keys(breakers.inspect())

describe("makeKeyed", () => {
  it.effect("CB14: what happens to one key changes nothing for another", () =>
    Effect.gen(function* () {
      const breakers = yield* Breaker.makeKeyed(touchy)
      yield* Effect.exit(breakers.execute("a", broken))
      yield* breakers.execute("b", Effect.void)
      const { a, b } = breakers.inspect()
      assert.strictEqual(a!.state, "open")
      assert.strictEqual(b!.state, "closed")
      assert.strictEqual(b!.counters.failures, 0)
      const error = yield* Effect.flip(breakers.execute("a", Effect.void))
      assert.strictEqual(error.upstream, "a")
    })
  )

  it.effect("CB14: once all keys have been idle for long enough, nothing is kept", () =>
    Effect.gen(function* () {
      const breakers = yield* Breaker.makeKeyed(touchy)
      for (let i = 0; i < 1_000; i++) {
        yield* Effect.exit(breakers.execute(`key ${i}`, i % 2 === 0 ? broken : Effect.void))
      }
      yield* TestClock.adjust("299 seconds")
      assert.strictEqual(keys(breakers).length, 1_000)
      yield* breakers.execute("key 7", Effect.void)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(keys(breakers), ["key 7"])
      yield* TestClock.adjust("299 seconds")
      assert.deepStrictEqual(keys(breakers), [])
      // Not by looking only: any call will do.
      yield* breakers.execute("a", Effect.void)
      yield* TestClock.adjust("5 minutes")
      yield* breakers.execute("b", Effect.void)
      assert.deepStrictEqual(keys(breakers), ["b"])
    })
  )

  it.effect("keeps what is isolated, and what has calls under way", () =>
    Effect.gen(function* () {
      const breakers = yield* Breaker.makeKeyed(touchy)
      breakers.isolate("isolated")
      const gate = yield* Deferred.make<void>()
      const running = yield* Effect.forkChild(breakers.execute("busy", Deferred.await(gate)), {
        startImmediately: true
      })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(keys(breakers).toSorted(), ["busy", "isolated"])
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(running)
      breakers.reset("isolated")
      breakers.reset("never heard of")
      yield* TestClock.adjust("299 seconds")
      assert.strictEqual(breakers.inspect()["busy"]!.counters.successes, 1)
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(keys(breakers).length, 0)
    })
  )

  it.effect("a circuit is idle from the end of its last call", () =>
    Effect.gen(function* () {
      const breakers = yield* Breaker.makeKeyed(touchy)
      const gate = yield* Deferred.make<void>()
      const running = yield* Effect.forkChild(breakers.execute("a", Deferred.await(gate)), { startImmediately: true })
      yield* TestClock.adjust("200 seconds")
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(running)
      yield* TestClock.adjust("299 seconds")
      assert.deepStrictEqual(keys(breakers), ["a"])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(keys(breakers), [])
    })
  )

  it.effect("CB6: the path of each key is connected, also when its circuit is forgotten while open", () =>
    Effect.gen(function* () {
      const breakers = yield* Breaker.makeKeyed(touchy)
      const path: Array<string> = []
      breakers.events.on(({ from, to, upstream, why }) => path.push(`${upstream}: ${from} > ${to}, ${why}`))
      yield* Effect.exit(breakers.execute("a", broken))
      yield* TestClock.adjust("5 minutes")
      yield* Effect.exit(breakers.execute("a", broken))
      assert.deepStrictEqual(path, [
        "a: closed > open, consecutive",
        "a: open > closed, idle",
        "a: closed > open, consecutive"
      ])
    })
  )

  it.effect("interruption at every step leaves no call under way behind", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
      yield* Interruption.everywhere(
        Effect.gen(function* () {
          // The time comes from here, so that a check can look into the future.
          let later = 0
          const own: Clock.Clock = Object.create(clock, {
            monotonicTimeNanosUnsafe: { value: () => BigInt(Math.round((now() + later) * 1e6)) }
          })
          const breakers = yield* Effect.provideService(Breaker.makeKeyed(touchy), Clock.Clock, own)
          return {
            run: breakers.execute("a", Effect.sleep("20 millis")),
            check: () => {
              later = 300_000
              assert.deepStrictEqual(keys(breakers), [])
            }
          }
        })
      )
    })
  )

  it.effect("snapshots go through JSON, whatever the keys are called", () =>
    Effect.gen(function* () {
      const breakers = yield* Breaker.makeKeyed(touchy)
      for (const key of ["a", "__proto__", ""]) yield* Effect.exit(breakers.execute(key, broken))
      yield* TestClock.adjust("400 millis")
      const others = yield* Breaker.makeKeyed(touchy)
      others.restore(JSON.parse(JSON.stringify(breakers.snapshot())) as ReturnType<typeof breakers.snapshot>)
      for (const key of ["a", "__proto__", ""]) {
        const exit = yield* Effect.exit(others.execute(key, Effect.void))
        assert.isTrue(Exit.isFailure(exit), key)
      }
      assert.deepStrictEqual(
        Object.values(others.inspect()).map(({ retryAfter }) => retryAfter),
        [600, 600, 600]
      )
    })
  )
})

describe("Registry", () => {
  it("CB14: keeps exactly what was used within the time, is in use, or does not want to go", () => {
    const actions = fc.array(
      fc.record({
        do: fc.constantFrom("touch", "start", "stop", "wait", "sweep"),
        key: fc.constantFrom("a", "b", "c", "stubborn"),
        wait: fc.constantFrom(1, 5, 9, 10, 11)
      }),
      { maxLength: 40, size: "max" }
    )
    fc.assert(
      fc.property(actions, (actions) => {
        const registry = new Registry(
          10,
          (key) => key,
          (key) => key !== "stubborn"
        )
        const used = new Map<string, number>()
        const running = new Map<string, number>()
        let now = 0
        for (const { do: what, key, wait } of actions) {
          if (what === "wait") now += wait
          if (what === "touch" || what === "start") {
            const entry = registry.touch(key, now)
            assert.strictEqual(entry.value, key)
            used.set(key, now)
            if (what === "start") {
              entry.running++
              running.set(key, (running.get(key) ?? 0) + 1)
            }
          }
          if (what === "stop" && (running.get(key) ?? 0) > 0) {
            const entry = registry.entries.get(key)!
            entry.running--
            registry.renew(entry, now)
            used.set(key, now)
            running.set(key, running.get(key)! - 1)
          }
          registry.sweep(now)
          for (const [key, at] of used) {
            if (now - at >= 10 && (running.get(key) ?? 0) === 0 && key !== "stubborn") used.delete(key)
          }
          assert.deepStrictEqual([...registry.entries.keys()].toSorted(), [...used.keys()].toSorted())
        }
      })
    )
  })
})
