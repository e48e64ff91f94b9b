// What the types refuse is tested here.
// @effect-diagnostics missingEffectError:off missingEffectContext:off floatingEffect:off returnEffectInGen:off
import { assert, describe, it } from "@effect/vitest"
import { Call, Events, JsonRpc, Options } from "@hawser/core"
import { Context, Data, Effect, Exit, Fiber, Layer, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { expectTypeOf } from "vitest"
import { ResponseCache } from "../src/index.ts"

class Broken extends Data.TaggedError("Broken")<{ readonly n: number }> {}
class Slow extends Data.TaggedError("Slow")<{ readonly n: number }> {}

/** A client that counts what it is asked and answers with the count. */
const node = (asked: Array<JsonRpc.Request> = [], answer: Effect.Effect<unknown, Broken> = Effect.void) =>
  Layer.succeed(JsonRpc.client<Broken>())({
    name: "node",
    request: (request) =>
      Effect.suspend(() => {
        const count = asked.push(request)
        return Effect.as(answer, count)
      }),
    inspect: () => ({ name: "node" })
  })

const clientOf = <E>(layer: Layer.Layer<JsonRpc.Client<E>>) =>
  Effect.map(Layer.build(layer), (context) => Context.get(context, JsonRpc.client<E>()))

const read = (method = "eth_chainId", ...params: ReadonlyArray<unknown>) => JsonRpc.makeRequest(method, params)

describe("layer", () => {
  it.effect("answers from the cache what the policy says, by method and parameters", () =>
    Effect.gen(function* () {
      const client = yield* clientOf(node().pipe(ResponseCache.layer({ policy: () => ({ ttl: "1 hour" }) })))
      assert.strictEqual(yield* client.request(read("eth_chainId")), 1)
      assert.strictEqual(yield* client.request(read("eth_chainId")), 1)
      assert.strictEqual(yield* client.request(read("eth_call", ["a", "b"])), 2)
      assert.strictEqual(yield* client.request(read("eth_call", "a", "b")), 3)
      assert.strictEqual(yield* client.request(read("eth_call", ["a", "b"])), 2)
      const { cache, name } = client.inspect()
      assert.strictEqual(name, "node")
      assert.deepInclude(cache, { hits: 2, misses: 3, size: 3 })
    })
  )

  it.effect("never caches a write or a session, whatever the policy", () =>
    Effect.gen(function* () {
      const client = yield* clientOf(node().pipe(ResponseCache.layer({ policy: () => ({ ttl: "1 hour" }) })))
      const methods = ["eth_sendTransaction", "eth_newFilter", "vendor_unheardOf"]
      const counts: Array<unknown> = []
      for (const method of [...methods, ...methods]) counts.push(yield* client.request(read(method)))
      assert.deepStrictEqual(counts, [1, 2, 3, 4, 5, 6])
      const known = JsonRpc.makeRequest("vendor_unheardOf", [], "read")
      assert.strictEqual(yield* client.request(known), 7)
      assert.strictEqual(yield* client.request(known), 7)
    })
  )

  it.effect("what is not cached runs as the caller's own", () =>
    Effect.gen(function* () {
      const own = new Call.Call()
      const seen: Array<boolean> = []
      const below = node(
        [],
        Call.use((call) => Effect.sync(() => void seen.push(call === own)))
      )
      const client = yield* clientOf(
        below.pipe(
          ResponseCache.layer({
            policy: ({ method }) => (method === "eth_call" ? undefined : { ttl: 0 }),
            key: ({ method }) => (method === "eth_getLogs" ? undefined : method)
          })
        )
      )
      for (const method of ["eth_call", "eth_getLogs", "eth_chainId"]) {
        yield* Effect.provideService(client.request(read(method)), Call.Current, own)
      }
      yield* Effect.provideService(client.request(read("eth_chainId", 1n)), Call.Current, own)
      assert.deepStrictEqual(seen, [true, true, false, false])
      assert.deepInclude(client.inspect()["cache"], { misses: 2 })
    })
  )

  it.effect("a request without a JSON form is neither kept nor shared", () =>
    Effect.gen(function* () {
      const client = yield* clientOf(node().pipe(ResponseCache.layer({ policy: () => ({ ttl: "1 hour" }) })))
      assert.strictEqual(yield* client.request(read("eth_call", 1n)), 1)
      assert.strictEqual(yield* client.request(read("eth_call", 1n)), 2)
    })
  )

  it.effect("without options reads share their load and nothing is kept", () =>
    Effect.gen(function* () {
      const client = yield* clientOf(node([], Effect.sleep(10)).pipe(ResponseCache.layer()))
      const both = yield* Effect.forkChild(
        Effect.all([client.request(read()), client.request(read())], { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(both.pollUnsafe(), Exit.succeed([1, 1] as [unknown, unknown]))
      assert.deepInclude(client.inspect()["cache"], { size: 0, misses: 1, joined: 1 })
    })
  )

  it.effect("the policy is asked each time, when the request runs", () =>
    Effect.gen(function* () {
      let open = false
      const client = yield* clientOf(
        node().pipe(ResponseCache.layer({ policy: () => (open ? { ttl: "1 hour" } : undefined) }))
      )
      const request = client.request(read())
      assert.strictEqual(yield* request, 1)
      assert.strictEqual(yield* request, 2)
      open = true
      assert.strictEqual(yield* request, 3)
      assert.strictEqual(yield* request, 3)
    })
  )

  it.effect("each application has a cache of its own, and an observer hears it", () =>
    Effect.gen(function* () {
      const hub = Events.make<JsonRpc.Event>()
      const heard: Array<JsonRpc.Event> = []
      hub.on((event) => heard.push(event))
      const cached = ResponseCache.layer({ policy: () => ({ ttl: 0, staleWhileRevalidate: "1 hour" }) })
      const observed = node().pipe(cached, Layer.provide(Layer.succeed(JsonRpc.Observer)(hub)))
      const [one, two] = [yield* clientOf(observed), yield* clientOf(node().pipe(cached))]
      assert.strictEqual(yield* one.request(read()), 1)
      assert.strictEqual(yield* one.request(read()), 1)
      assert.strictEqual(yield* two.request(read()), 1)
      assert.deepStrictEqual(heard, [
        { layer: "cache", upstream: "node", type: "stale", key: "eth_chainId", why: "revalidate", age: 0 }
      ])
    })
  )

  it.effect("over a cache that the program has in hand", () =>
    Effect.gen(function* () {
      const cache = yield* ResponseCache.make()
      const client = yield* clientOf(
        node().pipe(ResponseCache.layerOver(cache, { policy: () => ({ ttl: "1 hour", tags: ["head"] }) }))
      )
      assert.strictEqual(yield* client.request(read()), 1)
      yield* cache.invalidateTag("head")
      assert.strictEqual(yield* client.request(read()), 2)
      assert.strictEqual(cache.get("eth_chainId")?.value, 2)
    })
  )

  it("takes a cache from make and from nowhere else", () => {
    assert.throws(() => ResponseCache.layerOver({} as never), Options.InvalidOption, "ResponseCache.layerOver")
  })

  it.effect("explain tells a hit, a miss, and a stale answer with its age", () =>
    Effect.gen(function* () {
      const client = yield* clientOf(
        node().pipe(ResponseCache.layer({ jitter: 0, policy: () => ({ ttl: 10, staleWhileRevalidate: 10 }) }))
      )
      const steps = Effect.map(JsonRpc.explain(client.request(read())), ({ report }) => report.steps)
      assert.deepStrictEqual(yield* steps, [{ at: 0, step: "cache", verdict: "miss" }])
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(yield* steps, [{ at: 0, step: "cache", verdict: "hit", age: 5 }])
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(yield* steps, [{ at: 0, step: "cache", verdict: "stale", age: 10 }])
    })
  )
})

describe("a caller without a fiber", () => {
  /** A client of which a load ends when the test says so, and a caller for each request. */
  const stage = (options: ResponseCache.Options & ResponseCache.Routing) =>
    Effect.gen(function* () {
      const ends: Array<(exit: Exit.Exit<unknown, Broken>) => void> = []
      let left = 0
      const below = Layer.succeed(JsonRpc.client<Broken>())({
        name: "node",
        inspect: () => ({ name: "node" }),
        request: () =>
          Effect.callback<unknown, Broken>((resume) => {
            ends.push(resume)
            return Effect.sync(() => void left++)
          })
      })
      const client = yield* clientOf(below.pipe(ResponseCache.layer(options)))
      const ask = (call?: Call.Call, request = read()) => {
        const told: Array<Exit.Exit<unknown, unknown>> = []
        const place = client.submit!(request, { call, end: (exit) => void told.push(exit) })
        return { told, place: place! }
      }
      return { client, ask, ends, left: () => left, shown: () => client.inspect()["cache"] as ResponseCache.Inspection }
    })

  it.effect("starts a load, shares it, and has what is kept at once", () =>
    Effect.gen(function* () {
      const { ask, client, ends, shown } = yield* stage({ policy: () => ({ ttl: "1 hour" }) })
      const first = ask()
      const second = ask(new Call.Call())
      const fiber = yield* Effect.forkChild(client.request(read()), { startImmediately: true })
      assert.strictEqual(ends.length, 1)
      assert.deepStrictEqual(first.told, [])
      ends[0]!(Exit.succeed("0x1"))
      assert.deepStrictEqual([first.told, second.told], [[Exit.succeed("0x1")], [Exit.succeed("0x1")]])
      assert.strictEqual(yield* Fiber.join(fiber), "0x1")
      assert.deepStrictEqual(ask().told, [Exit.succeed("0x1")])
      assert.deepInclude(shown(), { hits: 1, misses: 1, joined: 2, inFlight: 0 })
    })
  )

  it.effect("that leaves is told of nothing, and the last to leave ends the load", () =>
    Effect.gen(function* () {
      const { ask, ends, left, shown } = yield* stage({ policy: () => ({ ttl: 0 }) })
      const [first, second] = [ask(), ask()]
      yield* first.place.leave()
      assert.deepStrictEqual([left(), shown().inFlight], [0, 1])
      yield* second.place.leave()
      assert.deepStrictEqual([left(), shown().inFlight], [1, 0])
      ends[0]!(Exit.succeed("0x1"))
      assert.deepStrictEqual([...first.told, ...second.told], [])
    })
  )

  it.effect("has an old value while a new one comes, in place of a failure, and shortly before its deadline", () =>
    Effect.gen(function* () {
      const ages = { ttl: 1000, staleWhileRevalidate: 1000, staleIfError: "1 hour" } as const
      const { ask, ends, shown } = yield* stage({ policy: () => ages, jitter: 0 })
      ask()
      ends[0]!(Exit.succeed("old"))
      yield* TestClock.adjust(1500)
      assert.deepStrictEqual(ask().told, [Exit.succeed("old")])
      assert.strictEqual(ends.length, 2)
      ends[1]!(Exit.fail(new Broken({ n: 1 })))
      yield* TestClock.adjust(1000)
      const failed = ask()
      ends[2]!(Exit.fail(new Broken({ n: 2 })))
      assert.deepStrictEqual(failed.told, [Exit.succeed("old")])
      const call = new Call.Call()
      call.deadline = 2500 + 1000
      const hurried = ask(call)
      yield* TestClock.adjust(950)
      assert.deepStrictEqual(hurried.told, [Exit.succeed("old")])
      assert.deepStrictEqual(shown().stale, { revalidate: 1, error: 1, deadline: 1 })
    })
  )

  it.effect("is handed on where nothing is cached, and needs a fiber below a client that does", () =>
    Effect.gen(function* () {
      const { client, ask, ends } = yield* stage({ policy: () => undefined })
      assert.isUndefined(client.submit!(read(), { end: () => assert.fail("told") }))
      assert.isUndefined(client.submit!(JsonRpc.makeBatch([read()]), { end: () => assert.fail("told") }))
      assert.isUndefined(ask(undefined, JsonRpc.makeRequest("eth_sendRawTransaction", ["0x"])).place)
      assert.deepStrictEqual(ends, [])
    })
  )
})

describe("types", () => {
  const client = node()

  it("errors are unchanged", () => {
    expectTypeOf(client.pipe(ResponseCache.layer())).toEqualTypeOf<Layer.Layer<JsonRpc.Client<Broken>>>()
    const cached = ResponseCache.layer({ policy: () => ({ ttl: 0 }) })
    expectTypeOf(client.pipe(cached)).toEqualTypeOf<Layer.Layer<JsonRpc.Client<Broken>>>()
    const wide = (error: Broken | Slow) => error.n > 0
    expectTypeOf(client.pipe(ResponseCache.layer({ staleOn: wide }))).toEqualTypeOf<
      Layer.Layer<JsonRpc.Client<Broken>>
    >()
  })

  it("a predicate sees the errors below it and no others", () => {
    client.pipe(
      ResponseCache.layer({
        staleOn: (error) => {
          expectTypeOf(error).toEqualTypeOf<Broken>()
          return error._tag === "Broken"
        }
      })
    )
    client.pipe(
      ResponseCache.layer({
        policy: () => ({
          ttl: (value) => {
            expectTypeOf(value).toEqualTypeOf<unknown>()
            return 1
          },
          negative: {
            ttl: 1,
            when: (error) => {
              expectTypeOf(error).toEqualTypeOf<Broken>()
              return error.n > 0
            }
          }
        })
      })
    )
    // @ts-expect-error: nothing below fails with Slow
    client.pipe(ResponseCache.layer({ staleOn: (error) => error._tag === "Slow" }))
    const slow = (error: Slow) => error.n > 0
    // @ts-expect-error: what fails below is not what this takes
    client.pipe(ResponseCache.layer({ staleOn: slow }))
    const cached = ResponseCache.layer({ staleOn: slow })
    // @ts-expect-error: nor when it was kept in a const first
    client.pipe(cached)
    // @ts-expect-error: nor in a policy
    client.pipe(ResponseCache.layer({ policy: () => ({ ttl: 0, negative: { ttl: 1, when: slow } }) }))
  })

  it("does not go below the pool", () => {
    const upstream = Layer.succeed(JsonRpc.upstream<Broken>())({} as never)
    // @ts-expect-error: an upstream is not a client
    upstream.pipe(ResponseCache.layer())
  })

  it("execute keeps the types of its effect, and says what its loads need", () => {
    class Db extends Context.Service<Db, string>()("test/Db") {}
    const program = Effect.gen(function* () {
      const cache = yield* ResponseCache.make<Db>({ capacity: 5 })
      return cache.execute("a", Effect.andThen(Db, Effect.fail(new Broken({ n: 1 }))), {
        ttl: (value) => {
          expectTypeOf(value).toEqualTypeOf<never>()
          return 1
        },
        negative: { ttl: 1, when: (error) => error._tag === "Broken" }
      })
    })
    expectTypeOf(program).toExtend<Effect.Effect<Effect.Effect<never, Broken>, never, Db | Scope.Scope>>()
    const plain = Effect.map(ResponseCache.make(), (cache) => {
      // @ts-expect-error: nobody provided a Db
      cache.execute("a", Db, { ttl: 1 })
      return cache.execute("a", Effect.succeed(1), { ttl: 1 })
    })
    expectTypeOf<Effect.Success<typeof plain>>().toEqualTypeOf<Effect.Effect<number>>()
  })
})
