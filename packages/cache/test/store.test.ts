import { assert, describe, it } from "@effect/vitest"
import { Call } from "@hawser/core"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { ResponseCache } from "../src/index.ts"

/** A store in memory that keeps JSON texts, as another process would see them, and can be made to misbehave. */
class Memory implements ResponseCache.Store {
  readonly texts = new Map<string, string>()
  readonly asked: Array<string> = []
  trouble: Effect.Effect<void, unknown> = Effect.void

  private does<A>(what: string, f: () => A): Effect.Effect<A, unknown> {
    return Effect.suspend(() => {
      this.asked.push(what)
      return Effect.map(this.trouble, f)
    })
  }

  get = (key: string) =>
    this.does(`get ${key}`, () => {
      const text = this.texts.get(key)
      return text === undefined ? undefined : (JSON.parse(text) as ResponseCache.Stored)
    })
  set = (key: string, entry: ResponseCache.Stored, ttl: number) =>
    this.does(`set ${key} ${ttl}`, () => void this.texts.set(key, JSON.stringify(entry)))
  invalidate = (key: string) => this.does(`invalidate ${key}`, () => void this.texts.delete(key))
  invalidateTag = (tag: string) =>
    this.does(`invalidateTag ${tag}`, () => {
      for (const [key, text] of this.texts) if (JSON.parse(text).tags.includes(tag)) this.texts.delete(key)
    })
  clear = () => this.does("clear", () => this.texts.clear())
}

const make = (store: ResponseCache.Store, options: ResponseCache.Options = {}) =>
  ResponseCache.make({ jitter: 0, store, ...options })

const fork = <A, E>(self: Effect.Effect<A, E>) => Effect.forkChild(self, { startImmediately: true })

const policy = { ttl: 1_000, staleWhileRevalidate: 1_000, staleIfError: 1_000 } as const

describe("a second level", () => {
  it.effect("has what another cache has loaded, for what is left of its life", () =>
    Effect.gen(function* () {
      const store = new Memory()
      const [one, two] = [yield* make(store), yield* make(store)]
      assert.strictEqual(yield* one.execute("a", Effect.succeed(1), { ...policy, tags: ["x"] }), 1)
      yield* TestClock.adjust(600)
      const ask = Effect.andThen(two.execute("a", Effect.succeed(2), policy), (value) =>
        Effect.sync(() => [value, two.get("a")])
      )
      assert.deepStrictEqual(yield* ask, [1, { value: 1, age: 600, stale: false }])
      yield* TestClock.adjust(400)
      assert.strictEqual(two.get("a")?.stale, true)
      yield* two.invalidateTag("x")
      assert.isUndefined(two.get("a"))
      assert.deepStrictEqual(store.asked, ["get a", "set a 3000", "get a", "invalidateTag x"])
      assert.deepStrictEqual(two.inspect().store, { hits: 1, failures: 0 })
    })
  )

  it.effect("its stale values are returned at once and say so, while one load is under way", () =>
    Effect.gen(function* () {
      const store = new Memory()
      const [one, two] = [yield* make(store), yield* make(store)]
      yield* one.set("a", "old", policy)
      yield* TestClock.adjust(1_500)
      const report = new Call.Recorder()
      const asked = two.execute("a", Effect.as(Effect.sleep(10), "new"), policy)
      assert.strictEqual(yield* Effect.provideService(asked, Call.Current, new Call.Call(report)), "old")
      assert.isTrue(report.stale)
      assert.deepInclude(two.inspect(), { refreshing: 1, misses: 1 })
      yield* TestClock.adjust(10)
      assert.strictEqual(two.get("a")?.value, "new")
      assert.strictEqual(JSON.parse(store.texts.get("a")!).value, "new")
    })
  )

  it.effect("its spares stand in for a failure, and before a deadline", () =>
    Effect.gen(function* () {
      const store = new Memory()
      const one = yield* make(store)
      yield* one.set("a", "old", policy)
      yield* TestClock.adjust(2_500)
      const two = yield* make(store)
      assert.strictEqual(yield* two.execute("a", Effect.fail("broken"), policy), "old")
      const three = yield* make(store)
      const call = new Call.Call()
      call.deadline = 2_600
      const caller = yield* fork(Effect.provideService(three.execute("a", Effect.never, policy), Call.Current, call))
      yield* TestClock.adjust(90)
      assert.strictEqual(yield* Fiber.join(caller), "old")
      assert.strictEqual(three.inspect().inFlight, 0)
    })
  )

  it.effect("a refresh takes a fresh value from it, and no stale one", () =>
    Effect.gen(function* () {
      const store = new Memory()
      const [one, two] = [yield* make(store), yield* make(store)]
      yield* one.set("a", 1, policy)
      yield* TestClock.adjust(1_100)
      yield* two.set("a", 2, policy)
      assert.strictEqual(yield* one.execute("a", Effect.succeed(3), policy), 1)
      assert.strictEqual(one.get("a")?.value, 2)
      yield* TestClock.adjust(1_100)
      assert.strictEqual(yield* one.execute("a", Effect.succeed(3), policy), 2)
      assert.strictEqual(one.get("a")?.value, 3)
    })
  )

  it.effect("an older value in it does not replace a newer one here", () =>
    Effect.gen(function* () {
      const store = new Memory()
      const cache = yield* make(store)
      const stale = { ttl: 0, staleWhileRevalidate: "1 hour" } as const
      yield* (yield* make(store)).set("a", "older", { ttl: "1 hour" })
      const older = store.texts.get("a")!
      yield* TestClock.adjust(10)
      yield* cache.set("a", "newer", stale)
      store.texts.set("a", older)
      yield* TestClock.adjust(10)
      assert.strictEqual(yield* cache.execute("a", Effect.never, stale), "newer")
      assert.strictEqual(cache.get("a")?.value, "newer")
      assert.strictEqual(cache.inspect().refreshing, 1)
    })
  )

  it.effect("one that fails, hangs, or cannot be interrupted is a miss, after its timeout at the latest", () =>
    Effect.gen(function* () {
      const troubles: ReadonlyArray<readonly [Effect.Effect<void, unknown>, number]> = [
        [Effect.fail("down"), 0],
        [Effect.die("bug"), 0],
        [Effect.interrupt, 0],
        [Effect.never, 50],
        [Effect.uninterruptible(Effect.sleep("1 hour")), 50]
      ]
      for (const [trouble, millis] of troubles) {
        const store = new Memory()
        store.trouble = trouble
        const cache = yield* make(store)
        const failed: Array<unknown> = []
        cache.events.on((event) => failed.push(event.type))
        const caller = yield* fork(cache.execute("a", Effect.succeed(1), policy))
        if (millis > 0) {
          yield* TestClock.adjust(millis - 1)
          assert.isUndefined(caller.pollUnsafe())
          yield* TestClock.adjust(1)
        }
        assert.strictEqual(yield* Fiber.join(caller), 1)
        yield* TestClock.adjust(50)
        assert.strictEqual(cache.get("a")?.value, 1)
        const invalidated = yield* fork(cache.invalidate("a"))
        yield* TestClock.adjust(50)
        assert.deepStrictEqual(invalidated.pollUnsafe(), Exit.void)
        assert.isAtLeast(cache.inspect().store!.failures, 2)
        assert.isAtLeast(failed.length, 2)
      }
    })
  )

  it.effect("one that hangs costs one timeout a second", () =>
    Effect.gen(function* () {
      const store = new Memory()
      store.trouble = Effect.never
      const cache = yield* make(store)
      const first = yield* fork(cache.execute("a", Effect.succeed(1), policy))
      yield* TestClock.adjust(50)
      yield* Fiber.join(first)
      assert.strictEqual(yield* cache.execute("b", Effect.succeed(1), policy), 1)
      store.trouble = Effect.void
      yield* TestClock.adjust(1_000)
      yield* cache.execute("c", Effect.succeed(1), policy)
      assert.deepStrictEqual(store.asked, ["get a", "get c", "set c 3000"])
    })
  )

  it.effect("nonsense from a store is a miss", () =>
    Effect.gen(function* () {
      const store = new Memory()
      const cache = yield* make(store)
      for (const text of ["null", "7", "{}", '{"tags":[]}', '{"tags":[],"writtenAt":0,"value":1}']) {
        store.texts.set("a", text)
        assert.strictEqual(yield* cache.execute("a", Effect.succeed(2), { ttl: 0 }), 2)
      }
    })
  )

  it.effect("CA6: does not bring back what was invalidated, even if it was not told", () =>
    Effect.gen(function* () {
      const drops: ReadonlyArray<(cache: ResponseCache.ResponseCache) => Effect.Effect<void>> = [
        (cache) => cache.invalidate("a"),
        (cache) => cache.invalidateTag("x"),
        (cache) => cache.clear()
      ]
      for (const drop of drops) {
        const store = new Memory()
        const cache = yield* make(store)
        yield* cache.set("a", "old", { ...policy, tags: ["x"] })
        yield* TestClock.adjust(1)
        store.trouble = Effect.fail("down")
        yield* drop(cache)
        store.trouble = Effect.void
        assert.isTrue(store.texts.has("a"))
        assert.strictEqual(yield* cache.execute("a", Effect.succeed("new"), policy), "new")
      }
    })
  )

  it.effect("CA6: a value that was set replaces what the store had, even if it was not told", () =>
    Effect.gen(function* () {
      const store = new Memory()
      const cache = yield* make(store, { capacity: 1 })
      yield* cache.set("a", "old", policy)
      yield* TestClock.adjust(1)
      store.trouble = Effect.fail("down")
      yield* cache.set("a", "set", policy)
      store.trouble = Effect.void
      yield* cache.set("b", 1, policy)
      yield* cache.set("c", 1, policy)
      assert.isUndefined(cache.get("a"))
      assert.strictEqual(yield* cache.execute("a", Effect.succeed("new"), policy), "new")
    })
  )

  it.effect("ages in it follow the wall clock; what comes from the future is not believed", () =>
    Effect.gen(function* () {
      const store = new Memory()
      const one = yield* make(store)
      yield* one.set("a", 1, policy)
      const entry = JSON.parse(store.texts.get("a")!)
      store.texts.set("a", JSON.stringify({ ...entry, writtenAt: 5_000 }))
      const two = yield* make(store)
      assert.strictEqual(yield* two.execute("a", Effect.succeed(2), { ttl: 0 }), 2)
    })
  )

  it.effect("a life without end has a JSON form", () =>
    Effect.gen(function* () {
      const store = new Memory()
      const one = yield* make(store)
      yield* one.set("a", 1, { ttl: Infinity })
      assert.deepStrictEqual(store.asked, [`set a ${Number.MAX_SAFE_INTEGER}`])
      yield* TestClock.adjust("365 days")
      const two = yield* make(store)
      assert.strictEqual(yield* two.execute("a", Effect.succeed(2), { ttl: Infinity }), 1)
    })
  )

  it.effect("failures, and what is not kept, do not reach it", () =>
    Effect.gen(function* () {
      const store = new Memory()
      const cache = yield* make(store)
      yield* Effect.flip(cache.execute("a", Effect.fail("no"), { ttl: 10, negative: { ttl: 10, when: () => true } }))
      yield* cache.execute("b", Effect.succeed(null), { ttl: () => undefined })
      yield* cache.execute("c", Effect.succeed(null), { ttl: 0 })
      assert.strictEqual(store.texts.size, 0)
    })
  )

  it.effect("callers do not wait for it to be written, and the scope does not either", () =>
    Effect.gen(function* () {
      const store = new Memory()
      const scope = yield* Scope.make()
      const cache = yield* Effect.provideService(make(store), Scope.Scope, scope)
      const load = Effect.sync(() => {
        store.trouble = Effect.never
        return 1
      })
      assert.strictEqual(yield* cache.execute("a", load, policy), 1)
      yield* Scope.close(scope, Exit.void)
    })
  )
})
