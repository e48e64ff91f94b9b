import { assert, describe, it } from "@effect/vitest"
import type { ResponseCache } from "@hawser/cache"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { type ChildProcessByStdio, spawn } from "node:child_process"
import { once } from "node:events"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import type { Readable, Writable } from "node:stream"
import { DatabaseSync } from "node:sqlite"
import { Sqlite } from "../src/index.ts"
import { conformance } from "./conformance.ts"
import { fork } from "./support/help.ts"
import { rates } from "./support/rates.ts"
import { folder, sqlite } from "./support/worlds.ts"

describe("Sqlite", () => {
  conformance(sqlite)

  const file = Effect.map(folder, (path) => join(path, "store.db"))

  const entry = (value: unknown, tags: ReadonlyArray<string> = []): ResponseCache.Stored => ({
    value,
    writtenAt: 0,
    ttl: 1_000,
    staleWhileRevalidate: 0,
    staleIfError: 0,
    tags
  })

  const count = (path: string, table: string): number => {
    const db = new DatabaseSync(path)
    const row = db.prepare(`SELECT count(*) AS n FROM ${table}`).get()
    db.close()
    return Number(row?.["n"])
  }

  it.effect("CA10: holds no more than it may; the oldest goes first, from whichever cache", () =>
    Effect.gen(function* () {
      const path = yield* file
      const store = yield* Sqlite.make({ path, maxBytes: 1_000 })
      const [a, b] = [store.cache({ name: "a" }), store.cache({ name: "b" })]
      for (let i = 0; i < 40; i++) yield* (i % 2 === 0 ? a : b).set(`k${i}`, entry("x".repeat(20), ["t"]), 60_000)
      assert.isUndefined(yield* a.get("k0"))
      assert.isDefined(yield* b.get("k39"))
      const rows = count(path, "hawser_cache")
      assert.isAbove(rows, 4)
      assert.isBelow(rows, 12)
      assert.strictEqual(count(path, "hawser_tag"), rows)
      yield* a.set("huge", entry("x".repeat(2_000)), 60_000)
      assert.strictEqual(count(path, "hawser_cache"), rows)
      yield* a.clear()
      yield* b.invalidateTag("t")
      assert.strictEqual(count(path, "hawser_cache"), 0)
      assert.strictEqual(count(path, "hawser_tag"), 0)
    })
  )

  it.effect("RL14 CB14: what means nothing any more goes, without a timer", () =>
    Effect.gen(function* () {
      const path = yield* file
      const store = yield* Sqlite.make({ path })
      const rates = [{ limit: 10, window: 1_000, burst: 10 }]
      for (let i = 0; i < 20; i++) yield* (yield* store.rateLimit().quota(`node${i}`, rates)).take(1)
      const cache = store.cache({ name: "a" })
      for (let i = 0; i < 20; i++) yield* cache.set(`k${i}`, entry(i), 500)
      yield* TestClock.adjust(1_000)
      const quota = yield* store.rateLimit().quota("node", rates)
      for (let i = 0; i < 10; i++) yield* quota.take(1)
      for (let i = 0; i < 10; i++) yield* cache.set("k", entry(i), 500)
      assert.strictEqual(count(path, "hawser_state"), 1)
      assert.strictEqual(count(path, "hawser_cache"), 1)
    })
  )

  it.effect("waits while somebody else is at work in the file, without holding up the thread", () =>
    Effect.gen(function* () {
      const path = yield* file
      const cache = (yield* Sqlite.make({ path })).cache({ name: "a" })
      const other = new DatabaseSync(path)
      other.exec("BEGIN IMMEDIATE")
      const writing = yield* fork(cache.set("k", entry(1), 1_000))
      yield* TestClock.adjust(100)
      assert.isUndefined(writing.pollUnsafe())
      other.exec("COMMIT")
      other.close()
      yield* TestClock.adjust(5)
      yield* Fiber.join(writing)
      assert.deepStrictEqual(yield* cache.get("k"), entry(1))
    })
  )

  it.effect("who gives up waiting has written nothing", () =>
    Effect.gen(function* () {
      const path = yield* file
      const cache = (yield* Sqlite.make({ path })).cache({ name: "a" })
      const other = new DatabaseSync(path)
      other.exec("BEGIN IMMEDIATE")
      const writing = yield* fork(cache.set("k", entry(1), 1_000))
      yield* Fiber.interrupt(writing)
      other.exec("COMMIT")
      other.close()
      yield* TestClock.adjust(100)
      assert.isUndefined(yield* cache.get("k"))
    })
  )

  it.effect("a file that is no database, or cannot be made, is an error that says nothing of it", () =>
    Effect.gen(function* () {
      const path = yield* file
      writeFileSync(path, "no database ".repeat(100))
      for (const wrong of [path, join(path, "secret")]) {
        const error = yield* Effect.flip(Sqlite.make({ path: wrong }))
        assert.strictEqual(error.message, "SQLite did not do what it was asked")
      }
    })
  )

  it.effect("fails, and does not die, when it is closed", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const store = yield* Scope.provide(Sqlite.make({ path: ":memory:" }), scope)
      yield* Scope.close(scope, Exit.void)
      const error = yield* Effect.flip(store.cache({ name: "a" }).get("k"))
      assert.include(error, { _tag: "StoreError" })
    })
  )

  // Two processes take from one limit as fast as they can, and one is killed while it does.
  it.live(
    "RL1: holds for processes that compete, one of which is killed",
    () =>
      Effect.gen(function* () {
        const path = yield* file
        const store = yield* Sqlite.make({ path })
        const takers = yield* Effect.forEach([1, 2], () =>
          Effect.acquireRelease(
            Effect.sync(() => new Taker(path)),
            (taker) => Effect.sync(() => taker.child.kill("SIGKILL"))
          )
        )
        const [one, two] = takers as [Taker, Taker]
        for (const taker of takers) yield* taker.until(() => taker.said.startsWith("ready"))
        for (const { child } of takers) child.stdin.write("go")
        yield* one.until(() => one.taken > 20)
        one.child.kill("SIGKILL")
        for (const taker of takers) yield* taker.until(() => taker.ended)
        const quota = yield* store.rateLimit({ timeout: "1 minute" }).quota("node", rates)
        const rest = yield* quota.take(1)
        assert.isDefined(rest)
        assert.isUndefined(rest.permit)
        // What the killed one took last it may not have told.
        assert.isAtMost(one.taken + two.taken, rates[0]!.burst)
        assert.isAtLeast(one.taken + two.taken, rates[0]!.burst - 1)
      }),
    60_000
  )
})

/** A process of its own, and what it tells. */
class Taker {
  said = ""
  ended = false
  readonly child: ChildProcessByStdio<Writable, Readable, null>

  constructor(path: string) {
    this.child = spawn(process.execPath, [join(import.meta.dirname, "support/taker.ts"), path], {
      stdio: ["pipe", "pipe", "inherit"]
    })
    this.child.stdin.on("error", () => {})
    this.child.stdout.on("data", (data) => (this.said += String(data)))
    this.child.on("close", () => (this.ended = true))
  }

  /** Waits for what it tells, or for its end. */
  until(condition: () => boolean): Effect.Effect<void> {
    return Effect.promise(async () => {
      const closed = once(this.child, "close")
      while (!condition() && !this.ended) {
        const waiting = new AbortController()
        await Promise.race([once(this.child.stdout, "data", { signal: waiting.signal }), closed]).finally(() =>
          waiting.abort()
        )
      }
    })
  }

  get taken(): number {
    return this.said.split(".").length - 1
  }
}
