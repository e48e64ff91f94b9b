import { assert, describe, it } from "@effect/vitest"
import { Call, Outcome } from "@hawser/core"
import { Clock, Effect, Exit } from "effect"
import { Commits, type Event, type Settings } from "../src/internal/commits.ts"
import { Entries } from "../src/internal/entries.ts"
import { Flight } from "../src/internal/flight.ts"
import { type Policy, readPolicy } from "../src/internal/policy.ts"

class Reverted extends Error {
  readonly [Outcome.TypeId] = Outcome.verdict({ counts: "success", again: "nowhere" })
}

const scene = (options: Partial<Settings> = {}) =>
  Effect.map(Clock.Clock, (clock) => {
    const entries = new Entries({ entries: 100, weight: Infinity })
    const heard: Array<Event> = []
    const commits = new Commits(
      entries,
      undefined,
      { jitter: 0, random: () => 0.5, weigh: undefined, staleOn: () => true, refreshBackoff: 100, ...options },
      clock,
      { active: true, emit: (event) => void heard.push(event) }
    )
    const flight = (policy: Policy, refresh = false) => new Flight("key", Effect.never, readPolicy(policy), refresh)
    /** Ends a load of the key's own, and says what a caller gets. */
    const settle = (flight: Flight, exit: Exit.Exit<unknown, unknown>, now = 0, own = true) =>
      commits.settle(flight, exit, own, now)
    return { commits, entries, flight, heard, settle }
  })

const held = (entries: Entries, now = 0) => entries.find("key", now)?.payload

describe("a value", () => {
  it.effect("is kept if any of its phases has a length", () =>
    Effect.gen(function* () {
      for (const [fresh, stale, spare] of [
        [10, 0, 0],
        [0, 10, 0],
        [0, 0, 10],
        [0, 10, 10],
        [0, 0, 0]
      ]) {
        const { entries, flight, settle } = yield* scene()
        settle(flight({ ttl: fresh!, staleWhileRevalidate: stale, staleIfError: spare }), Exit.succeed(1))
        assert.strictEqual(held(entries) !== undefined, fresh! + stale! + spare! > 0, `${fresh} ${stale} ${spare}`)
      }
    })
  )

  it.effect("may weigh nothing", () =>
    Effect.gen(function* () {
      const { entries, flight, settle } = yield* scene({ weigh: () => 0 })
      assert.deepStrictEqual(settle(flight({ ttl: 10 }), Exit.succeed(1))(undefined), Exit.succeed(1))
      assert.isDefined(held(entries))
    })
  )

  it.effect("a defect in the user's function is what the caller gets", () =>
    Effect.gen(function* () {
      const defect = new Error("weigh")
      const { entries, flight, settle } = yield* scene({
        weigh: () => {
          throw defect
        }
      })
      assert.deepStrictEqual(settle(flight({ ttl: 10 }), Exit.succeed(1))(undefined), Exit.die(defect))
      assert.isUndefined(held(entries))
    })
  )
})

describe("a value from the second level", () => {
  const found = (flight: Flight, stale: boolean) =>
    Object.assign(flight, { found: { value: 1, age: 7, ages: { fresh: 10, stale: 10, spare: 0 }, tags: [], stale } })

  it.effect("is kept with its age, unless the key has a newer load", () =>
    Effect.gen(function* () {
      const { entries, flight, settle } = yield* scene()
      settle(found(flight({ ttl: 10 }), false), Exit.succeed(1), 100, false)
      assert.isUndefined(held(entries, 100))
      settle(found(flight({ ttl: 10 }), false), Exit.succeed(1), 100)
      assert.strictEqual(entries.find("key", 100)?.freshUntil, 103)
    })
  )

  it.effect("is told as a hit, or as stale while it is being replaced", () =>
    Effect.gen(function* () {
      for (const stale of [false, true]) {
        const { commits, flight, heard, settle } = yield* scene()
        const call = new Call.Call(new Call.Recorder())
        const answer = settle(found(flight({ ttl: 10 }), stale), Exit.succeed(1), 100)
        assert.deepStrictEqual(answer(call), Exit.succeed(1))
        assert.deepStrictEqual(call.recorder!.steps, [
          { at: 0, step: "cache", verdict: stale ? "stale" : "hit", age: 7 }
        ])
        assert.strictEqual(commits.counts.stale.revalidate, stale ? 1 : 0)
        assert.deepStrictEqual(heard, stale ? [{ type: "stale", key: "key", why: "revalidate", age: 7 }] : [])
        assert.deepStrictEqual(answer(undefined), Exit.succeed(1))
      }
    })
  )
})

describe("a failure", () => {
  const busy = new Error("busy")
  const reverted = new Reverted()
  const negative = { ttl: 10, when: () => true }

  it.effect("the old value stands in for it to the end of its last phase, and no longer", () =>
    Effect.gen(function* () {
      const { entries, flight, settle } = yield* scene()
      settle(flight({ ttl: 10, staleIfError: 10 }), Exit.succeed(1))
      const spare = entries.find("key", 0)
      const failing = () => Object.assign(flight({ ttl: 10 }), { spare })
      assert.deepStrictEqual(settle(failing(), Exit.fail(busy), 19)(undefined), Exit.succeed(1))
      assert.deepStrictEqual(settle(failing(), Exit.fail(busy), 20)(undefined), Exit.fail(busy))
    })
  )

  it.effect("is kept where there is no value; one that is the chain's answer also where there is one", () =>
    Effect.gen(function* () {
      for (const error of [busy, reverted]) {
        const { entries, flight, settle } = yield* scene()
        settle(flight({ ttl: 10, negative }), Exit.fail(error))
        assert.deepStrictEqual(held(entries), Exit.fail(error))
        const other = yield* scene()
        other.settle(other.flight({ ttl: 10 }), Exit.succeed(1))
        other.settle(other.flight({ ttl: 10, negative }), Exit.fail(error))
        assert.deepStrictEqual(held(other.entries), error === busy ? Exit.succeed(1) : Exit.fail(error))
      }
    })
  )

  it.effect("that is kept ends a refresh as well as a value does; one that is not makes the next wait", () =>
    Effect.gen(function* () {
      for (const [policy, fails] of [
        [{ ttl: 10, negative }, 0],
        [{ ttl: 10, negative: { ttl: 0, when: () => true } }, 1],
        [{ ttl: 10, negative: { ttl: 10, when: () => false } }, 1],
        [{ ttl: 10 }, 1]
      ] as const) {
        const { commits, entries, flight, heard, settle } = yield* scene()
        settle(flight({ ttl: 10 }), Exit.succeed(1))
        settle(flight(policy, true), Exit.fail(reverted), 5)
        assert.strictEqual(commits.counts.refreshFailures, fails)
        assert.deepStrictEqual(
          heard,
          fails ? [{ type: "refresh-failed", key: "key", error: reverted, again: 100 }] : []
        )
        assert.deepStrictEqual(held(entries, 5), fails ? Exit.succeed(1) : Exit.fail(reverted))
      }
      // Where there is already a value, any other failure is not kept.
      const { commits, flight, settle } = yield* scene()
      settle(flight({ ttl: 10 }), Exit.succeed(1))
      settle(flight({ ttl: 10, negative }, true), Exit.fail(busy), 5)
      assert.strictEqual(commits.counts.refreshFailures, 1)
    })
  )

  it.effect("a defect is never kept, and a refresh that died is told with its cause", () =>
    Effect.gen(function* () {
      const defect = Exit.die(new Error("defect"))
      const { entries, flight, heard, settle } = yield* scene()
      assert.deepStrictEqual(settle(flight({ ttl: 10, negative }), defect)(undefined), defect)
      assert.isUndefined(held(entries))
      settle(flight({ ttl: 10 }), Exit.succeed(1))
      assert.deepStrictEqual(settle(flight({ ttl: 10 }, true), defect)(undefined), defect)
      const error = Exit.isFailure(defect) ? defect.cause : undefined
      assert.deepStrictEqual(heard, [{ type: "refresh-failed", key: "key", error, again: 100 }])
    })
  )

  it.effect("is kept for its own time, shortened at random, under the tags that need no value", () =>
    Effect.gen(function* () {
      for (const tags of [["tag"], () => assert.fail("there is no value")]) {
        const { entries, flight, settle } = yield* scene({ jitter: 0.5 })
        settle(flight({ ttl: 10, negative: { ttl: 100, when: () => true }, tags }), Exit.fail(busy))
        assert.strictEqual(entries.find("key", 0)?.freshUntil, 75)
        entries.deleteTag("tag")
        assert.strictEqual(held(entries) === undefined, Array.isArray(tags))
      }
    })
  )
})
