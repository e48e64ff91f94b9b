import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Random, Result } from "effect"
import { TestClock } from "effect/testing"
import * as Visitors from "../src/Visitors.ts"

const visit = (visitors: Visitors.Visitors, client: string) =>
  Effect.map(
    Effect.result(visitors.admit(client)),
    Result.match({ onSuccess: () => 0, onFailure: ({ retryAfter }) => Duration.toMillis(retryAfter) })
  )

describe("admit", () => {
  it.effect("lets in what a log of all visits would let in", () =>
    Effect.gen(function* () {
      const visitors = yield* Visitors.make({ limit: 5, window: 100, capacity: 10 })
      let log: ReadonlyArray<number> = []
      let now = 0
      for (let n = 0; n < 2000; n++) {
        const pause = yield* Random.nextIntBetween(0, 40)
        now += pause
        yield* TestClock.adjust(pause)
        log = log.filter((time) => now - time < 100)
        const expected = log.length < 5 ? 0 : log[0]! + 100 - now
        assert.strictEqual(yield* visit(visitors, "a"), expected)
        if (expected === 0) log = [...log, now]
      }
    }).pipe(Random.withSeed("visitors"))
  )

  it.effect("counts each client on its own", () =>
    Effect.gen(function* () {
      const visitors = yield* Visitors.make({ limit: 1, window: 100, capacity: 10 })
      assert.strictEqual(yield* visit(visitors, "a"), 0)
      assert.strictEqual(yield* visit(visitors, "b"), 0)
      assert.strictEqual(yield* visit(visitors, "a"), 100)
    })
  )

  it.effect("remembers no more clients than it may, those who came last", () =>
    Effect.gen(function* () {
      const visitors = yield* Visitors.make({ limit: 1, window: 100, capacity: 3 })
      for (const client of ["a", "b", "c", "a", "d"]) yield* visit(visitors, client)
      assert.strictEqual(visitors.size(), 3)
      assert.strictEqual(yield* visit(visitors, "a"), 100)
      assert.strictEqual(yield* visit(visitors, "b"), 0)
      for (let n = 0; n < 1000; n++) yield* visit(visitors, `client ${n}`)
      assert.strictEqual(visitors.size(), 3)
    })
  )

  it.effect("forgets who has been away for a window", () =>
    Effect.gen(function* () {
      const visitors = yield* Visitors.make({ limit: 1, window: 100, capacity: 1000 })
      for (let n = 0; n < 100; n++) yield* visit(visitors, `client ${n}`)
      yield* TestClock.adjust(100)
      yield* visit(visitors, "a")
      assert.strictEqual(visitors.size(), 1)
    })
  )
})
