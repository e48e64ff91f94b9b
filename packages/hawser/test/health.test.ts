/**
 * Invariants of health checks.
 *
 * HC5, that a result for a node that was replaced is dropped, has nothing to hold: a check runs in the scope of its
 * upstream's layer and writes to that layer alone, so that no result outlives its node.
 */
import { assert, describe, it } from "@effect/vitest"
import { Interruption } from "@hawser/testkit"
import { Clock, Effect, Layer, Random } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { Events, JsonRpc } from "hawser"
import * as Health from "../src/internal/health.ts"
import { Broken, inVirtualTime, node, type Upstream } from "./support/upstream.ts"

const every = 1_000
const timeout = 300
/** The longest from one check's start to the next one's. */
const longest = 1.1 * every + timeout + 2

const checked = (upstream: Upstream, options?: Partial<Health.Options>) =>
  Effect.gen(function* () {
    const layer = Health.layer({ every, timeout, ...options })(upstream)
    const service = yield* Effect.provide(JsonRpc.upstream<any>(), yield* Layer.build(layer))
    return { request: service.request, health: () => (service.inspect() as any).health as Health.Inspection }
  })

describe("a check", () => {
  const checks = (seed: number, answer: (nth: number) => Effect.Effect<unknown, Broken>) => {
    const { counts, layer } = node("a", answer)
    return Effect.map(Random.withSeed(checked(layer), seed), ({ health }) => ({ counts, health }))
  }

  it("HC2, HC3: one at a time, spread by a tenth, the first at a random time within the first interval", () =>
    fc.assert(
      fc.asyncProperty(fc.integer(), fc.nat(400), (seed, lasts) =>
        inVirtualTime(
          Effect.gen(function* () {
            const { counts } = yield* checks(seed, () => Effect.delay(Effect.succeed("0x1"), lasts))
            yield* TestClock.adjust("20 seconds")
            assert.isAtMost(counts.most, 1)
            assert.isAtMost(counts.at[0]!, every)
            const took = Math.min(lasts, timeout)
            for (const [i, at] of counts.at.entries()) {
              if (i === 0) continue
              const gap = at - counts.at[i - 1]! - took
              assert.isTrue(gap >= 0.9 * every - 2 && gap <= 1.1 * every + 2, `a gap of ${gap}`)
            }
          }),
          seed
        )
      ),
      { numRuns: 40 }
    ))

  it.effect("HC3: the first ones of many clients are spread over the interval", () =>
    Effect.gen(function* () {
      const firsts: Array<number> = []
      for (let seed = 0; seed < 200; seed++) {
        const scope = Effect.scoped(
          Effect.gen(function* () {
            const start = (yield* Clock.Clock).currentTimeMillisUnsafe()
            const { counts } = yield* checks(seed, () => Effect.succeed("0x1"))
            yield* TestClock.adjust(every)
            firsts.push(counts.at[0]! - start)
          })
        )
        yield* scope
      }
      for (let tenth = 0; tenth < 10; tenth++) {
        const inside = firsts.filter((at) => Math.floor(at / (every / 10)) === tenth).length
        assert.isAbove(inside, 5, `between ${tenth} and ${tenth + 1} tenths`)
      }
    })
  )

  it.effect("HC4: that hangs has failed", () =>
    Effect.gen(function* () {
      const { health } = yield* checks(1, (nth) => (nth === 1 ? Effect.succeed("0x10") : Effect.never))
      assert.deepStrictEqual(health(), { head: undefined, checked: undefined, ok: undefined, streak: 0 })
      yield* TestClock.adjust(every)
      assert.deepInclude(health(), { head: 16, ok: true, streak: 0 })
      yield* TestClock.adjust(longest)
      assert.deepInclude(health(), { head: 16, ok: true, streak: 1 })
      yield* TestClock.adjust(longest)
      assert.deepInclude(health(), { head: 16, ok: false, streak: 2 })
    }).pipe(Effect.scoped)
  )

  it.effect("HC4, HC6: closing leaves none under way and no timer, wherever it happens", () =>
    Interruption.everywhere(
      Effect.sync(() => {
        const seen: Array<{ readonly running: number }> = []
        return {
          run: Effect.scoped(
            Effect.gen(function* () {
              const { counts } = yield* checks(3, () => Effect.delay(Effect.succeed("0x1"), "50 millis"))
              seen.push(counts)
              yield* Effect.sleep("1 second")
            })
          ),
          check: () => {
            for (const { running } of seen) assert.strictEqual(running, 0)
          }
        }
      })
    )
  )

  // Nothing need turn unknown with age, since none of it grows old: a check always ends, and another follows.
  it("HC7: what is shown is no older than an interval and a check", () =>
    fc.assert(
      fc.asyncProperty(fc.integer(), fc.array(fc.option(fc.nat(400)), { minLength: 1 }), (seed, lasts) =>
        inVirtualTime(
          Effect.gen(function* () {
            const { health } = yield* checks(seed, (nth) => {
              const millis = lasts[nth % lasts.length]!
              return millis === null ? Effect.never : Effect.delay(Effect.succeed("0x1"), millis)
            })
            yield* TestClock.adjust(longest)
            for (let i = 0; i < 50; i++) {
              yield* TestClock.adjust(every / 7)
              assert.isAtMost(health().checked!, longest)
            }
          }),
          seed
        )
      ),
      { numRuns: 40 }
    ))
})

describe("thresholds", () => {
  /** What results in a row say, the latest word first: each that many alike, or the first of all. */
  const model = (results: ReadonlyArray<boolean>, unhealthy: number, healthy: number): boolean | undefined => {
    const alike = (result: boolean, end: number, many: number) =>
      end >= many && results.slice(end - many, end).every((one) => one === result)
    for (let end = results.length; end > 1; end--) {
      if (alike(false, end, unhealthy)) return false
      if (alike(true, end, healthy)) return true
    }
    return results[0]
  }

  it("HC1: unhealthy after exactly u failures in a row, healthy after exactly h successes; the first decides alone", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.array(fc.constantFrom("answers", "fails", "hangs" as const), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 4 }),
        (seed, results, unhealthyThreshold, healthyThreshold) =>
          inVirtualTime(
            Effect.gen(function* () {
              const shown: Array<boolean | undefined> = []
              const { layer } = node("a", (nth) => {
                if (nth <= results.length + 1) shown.push(health().ok)
                const result = results[nth - 1]
                if (result === "answers") return Effect.succeed("0x1")
                return result === "fails" ? Effect.fail(new Broken()) : Effect.never
              })
              const hub = Events.make<JsonRpc.Event>()
              const told: Array<string> = []
              hub.on(({ type }) => told.push(type))
              const { health } = yield* Effect.provideService(
                checked(layer, { unhealthyThreshold, healthyThreshold }),
                JsonRpc.Observer,
                hub
              )
              yield* TestClock.adjust((results.length + 1) * longest)
              const expected = Array.from({ length: results.length + 1 }, (_, n) =>
                model(
                  results.slice(0, n).map((result) => result === "answers"),
                  unhealthyThreshold,
                  healthyThreshold
                )
              )
              assert.deepStrictEqual(shown, expected)
              const turns = expected.filter((ok, n) => n > 0 && ok !== expected[n - 1])
              assert.deepStrictEqual(
                told.slice(0, turns.length),
                turns.map((ok) => (ok ? "healthy" : "unhealthy"))
              )
            }),
            seed
          )
      ),
      { numRuns: 200 }
    ))
})
