// What the types refuse is tested here.
// @effect-diagnostics missingEffectError:off missingEffectContext:off
import { assert, describe, it } from "@effect/vitest"
import { Call, Events, JsonRpc } from "@hawser/core"
import { Context, Data, Effect, Layer } from "effect"
import { expectTypeOf } from "vitest"

class Broken extends Data.TaggedError("Broken")<{ readonly n: number }> {}
class Slow extends Data.TaggedError("Slow")<{ readonly n: number }> {}
class Shut extends Data.TaggedError("Shut")<{ readonly n: number }> {}

/** An upstream that answers with its name and counts how often it was built. */
const node = (name: string, builds: Array<string> = []) =>
  Layer.effect(JsonRpc.upstream<Broken>())(
    Effect.sync(() => {
      builds.push(name)
      return { name, request: (r) => Effect.succeed(`${name}:${r.method}`), inspect: () => ({ name }) }
    })
  )

/** A combinator legal on both tiers, whose predicate sees what lies below. */
const counting =
  <EP = any>(options: { readonly label: string; readonly while?: (error: EP) => boolean }) =>
  <T extends JsonRpc.Tier, E, LE, R>(
    self: JsonRpc.Over<T, E, EP, LE, R>
  ): Layer.Layer<JsonRpc.JsonRpc<T, E | Slow>, LE, R> =>
    JsonRpc.transform(self, options.label, (below, events) =>
      Effect.sync(() => {
        let calls = 0
        return {
          request: (r) =>
            Effect.suspend(() => {
              calls++
              if (events.active) events.emit({ type: "counted" })
              return below.request(r)
            }),
          inspect: () => ({ calls })
        }
      })
    )

/** A combinator for the upstream tier only. */
const guarding =
  (label = "guard") =>
  <E, LE, R>(self: Layer.Layer<JsonRpc.Upstream<E>, LE, R>): Layer.Layer<JsonRpc.Upstream<E | Shut>, LE, R> =>
    JsonRpc.transform(self, label, (below) => Effect.succeed({ request: below.request }))

/** The bridge between the tiers: serves everything from the first upstream. */
const first = <L extends Layer.Layer<any, any, any>>(
  upstreams: ReadonlyArray<L>
): Layer.Layer<JsonRpc.Client<JsonRpc.ErrorOf<L>>, Layer.Error<L>, Layer.Services<L>> =>
  Layer.effect(JsonRpc.client<any>())(
    Effect.map(Layer.build(upstreams[0]!), (context) => Context.get(context, JsonRpc.upstream<any>() as never))
  ) as never

const ask = (method = "eth_chainId") =>
  Effect.flatMap(JsonRpc.client<any>(), (client) => client.request(JsonRpc.makeRequest(method)))

const inspected = Effect.map(JsonRpc.client<any>(), (client) => client.inspect())

describe("composition", () => {
  it.effect("one combinator applied to two upstreams shares nothing", () =>
    Effect.gen(function* () {
      const combinator = counting({ label: "count" })
      const a = yield* Layer.build(node("a").pipe(combinator))
      const b = yield* Layer.build(node("b").pipe(combinator))
      const tag = JsonRpc.upstream<Broken | Slow>()
      assert.strictEqual(yield* Context.get(a, tag).request(JsonRpc.makeRequest("x")), "a:x")
      assert.strictEqual(yield* Context.get(b, tag).request(JsonRpc.makeRequest("x")), "b:x")
      assert.deepStrictEqual(Context.get(a, tag).inspect(), { name: "a", count: { calls: 1 } })
      assert.deepStrictEqual(Context.get(b, tag).inspect(), { name: "b", count: { calls: 1 } })
    })
  )

  it.effect("a composed value used twice is built once and shared", () => {
    const builds: Array<string> = []
    const shared = first([node("a", builds).pipe(counting({ label: "count" }))])
    class One extends Context.Service<One, string>()("One") {}
    class Two extends Context.Service<Two, string>()("Two") {}
    return Effect.gen(function* () {
      yield* One
      yield* Two
      assert.deepStrictEqual(yield* inspected, { name: "a", count: { calls: 2 } })
      assert.deepStrictEqual(builds, ["a"])
    }).pipe(
      Effect.provide(
        Layer.mergeAll(
          Layer.effect(One)(ask() as Effect.Effect<any>),
          Layer.effect(Two)(ask() as Effect.Effect<any>)
        ).pipe(Layer.provideMerge(shared))
      )
    )
  })

  it.effect("the same combinator stacked twice counts twice", () =>
    Effect.gen(function* () {
      yield* ask()
      assert.deepStrictEqual(yield* inspected, { name: "a", inner: { calls: 1 }, outer: { calls: 1 } })
    }).pipe(Effect.provide(first([node("a").pipe(counting({ label: "inner" }))]).pipe(counting({ label: "outer" }))))
  )

  it.effect("two chains live in one program", () => {
    class Mainnet extends JsonRpc.Client<Mainnet>()("test/Mainnet") {}
    class Base extends JsonRpc.Client<Base>()("test/Base") {}
    const live = Layer.mergeAll(
      first([node("mainnet") as Layer.Layer<JsonRpc.Upstream<never>>]).pipe(JsonRpc.as(Mainnet)),
      first([node("base") as Layer.Layer<JsonRpc.Upstream<never>>]).pipe(JsonRpc.as(Base))
    )
    expectTypeOf(live).toEqualTypeOf<Layer.Layer<Mainnet | Base>>()
    return Effect.gen(function* () {
      const request = JsonRpc.makeRequest("eth_blockNumber")
      assert.strictEqual(yield* (yield* Mainnet).request(request), "mainnet:eth_blockNumber")
      assert.strictEqual(yield* (yield* Base).request(request), "base:eth_blockNumber")
    }).pipe(Effect.provide(live))
  })

  it.effect("a service can go by another name", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* inspected, { name: "mine" })
      assert.strictEqual(yield* ask("eth_chainId"), "a:eth_chainId")
    }).pipe(Effect.provide(first([node("a").pipe(JsonRpc.named("mine"))])))
  )

  it.effect("an observer hears every layer built under it", () => {
    const hub = Events.make<JsonRpc.Event>()
    const heard: Array<JsonRpc.Event> = []
    hub.on((event) => heard.push(event))
    return Effect.gen(function* () {
      yield* ask()
      assert.deepStrictEqual(heard, [{ layer: "count", upstream: "a", type: "counted" }])
    }).pipe(
      Effect.provide(
        first([node("a").pipe(counting({ label: "count" }))]).pipe(Layer.provide(Layer.succeed(JsonRpc.Observer)(hub)))
      )
    )
  })
})

describe("types", () => {
  const up = node("a")
  type UpstreamOf<E> = Layer.Layer<JsonRpc.Upstream<E>>

  it("errors grow with each layer, exactly", () => {
    expectTypeOf(up).toEqualTypeOf<UpstreamOf<Broken>>()
    expectTypeOf(up.pipe(counting({ label: "x" }))).toEqualTypeOf<UpstreamOf<Broken | Slow>>()
    expectTypeOf(up.pipe(counting({ label: "x" }), guarding())).toEqualTypeOf<UpstreamOf<Broken | Slow | Shut>>()
    expectTypeOf(first([up.pipe(guarding())])).toEqualTypeOf<Layer.Layer<JsonRpc.Client<Broken | Shut>>>()
  })

  it("stay exact when a combinator is kept in a const first", () => {
    const combinator = counting({ label: "x" })
    expectTypeOf(up.pipe(combinator)).toEqualTypeOf<UpstreamOf<Broken | Slow>>()
    expectTypeOf(up.pipe(guarding(), combinator)).toEqualTypeOf<UpstreamOf<Broken | Slow | Shut>>()
  })

  it("stay exact when a predicate is declared elsewhere", () => {
    const wide = (error: Broken | Slow | Shut) => error.n > 0
    const anything = (error: unknown) => error !== null
    const combinator = counting({ label: "x", while: wide })
    expectTypeOf(up.pipe(combinator)).toEqualTypeOf<UpstreamOf<Broken | Slow>>()
    expectTypeOf(up.pipe(counting({ label: "x", while: wide }))).toEqualTypeOf<UpstreamOf<Broken | Slow>>()
    expectTypeOf(up.pipe(counting({ label: "x", while: anything }))).toEqualTypeOf<UpstreamOf<Broken | Slow>>()
  })

  it("stay exact when the list of upstreams is dynamic", () => {
    const list = ["a", "b"].map((name) => node(name).pipe(guarding()))
    expectTypeOf(first(list)).toEqualTypeOf<Layer.Layer<JsonRpc.Client<Broken | Shut>>>()
    const mixed = [node("a"), node("b").pipe(guarding())]
    expectTypeOf(first(mixed)).toEqualTypeOf<Layer.Layer<JsonRpc.Client<Broken | Shut>>>()
  })

  it("a predicate sees the errors below it and no others", () => {
    up.pipe(
      counting({
        label: "x",
        while: (error) => {
          expectTypeOf(error).toEqualTypeOf<Broken>()
          return error._tag === "Broken"
        }
      })
    )
    // @ts-expect-error: nothing below fails with Shut
    up.pipe(counting({ label: "x", while: (error) => error._tag === "Shut" }))
    const shut = (error: Shut) => error.n > 0
    // @ts-expect-error: what fails below is not what this takes
    up.pipe(counting({ label: "x", while: shut }))
    const combinator = counting({ label: "x", while: shut })
    // @ts-expect-error: nor when it was kept in a const first
    up.pipe(combinator)
  })

  it("a guard of one upstream does not go above the pool", () => {
    // @ts-expect-error: a client is not an upstream
    first([up]).pipe(guarding())
    expectTypeOf(first([up]).pipe(counting({ label: "x" }))).toEqualTypeOf<Layer.Layer<JsonRpc.Client<Broken | Slow>>>()
  })

  it("an upstream is not a client, and a missing stack is a missing service", () => {
    const program = Effect.flatMap(JsonRpc.client<Broken>(), (c) => c.request(JsonRpc.makeRequest("eth_chainId")))
    const provided = program.pipe(Effect.provide(up))
    expectTypeOf(provided).toEqualTypeOf<Effect.Effect<unknown, Broken, JsonRpc.Client<Broken>>>()
    expectTypeOf(program.pipe(Effect.provide(first([up])))).toEqualTypeOf<Effect.Effect<unknown, Broken>>()
    // @ts-expect-error: the client is still missing
    const run: () => Promise<unknown> = () => Effect.runPromise(provided)
    expectTypeOf(run).toBeFunction()
  })

  it("a stack that fails less serves a program that expects more, not the reverse", () => {
    const tolerant = Effect.flatMap(JsonRpc.client<Broken | Slow>(), (c) => c.request(JsonRpc.makeRequest("x")))
    expectTypeOf(tolerant.pipe(Effect.provide(first([up])))).toEqualTypeOf<Effect.Effect<unknown, Broken | Slow>>()
    const strict = Effect.flatMap(JsonRpc.client<Broken>(), (c) => c.request(JsonRpc.makeRequest("x")))
    expectTypeOf(strict.pipe(Effect.provide(first([up.pipe(guarding())])))).toEqualTypeOf<
      Effect.Effect<unknown, Broken, JsonRpc.Client<Broken>>
    >()
  })

  it("a stack whose own needs are not provided says so", () => {
    class Store extends Context.Service<Store, { readonly get: string }>()("test/Store") {}
    const stored = <T extends JsonRpc.Tier, E, LE, R>(
      self: Layer.Layer<JsonRpc.JsonRpc<T, E>, LE, R>
    ): Layer.Layer<JsonRpc.JsonRpc<T, E>, LE, R | Store> =>
      JsonRpc.transform(self, "stored", (below) => Effect.as(Store, { request: below.request }))
    const live = first([up]).pipe(stored)
    expectTypeOf(live).toEqualTypeOf<Layer.Layer<JsonRpc.Client<Broken>, never, Store>>()
    // @ts-expect-error: the store is still missing
    const run: () => Promise<unknown> = () => Effect.runPromise(Effect.provide(ask(), live))
    expectTypeOf(run).toBeFunction()
  })

  it("names take only clients that fail no worse than announced", () => {
    class Exact extends JsonRpc.Client<Exact, Broken>()("test/Exact") {}
    expectTypeOf(first([up]).pipe(JsonRpc.as(Exact))).toEqualTypeOf<Layer.Layer<Exact>>()
    // @ts-expect-error: fails with Shut, too
    first([up.pipe(guarding())]).pipe(JsonRpc.as(Exact))
    // @ts-expect-error: an upstream has no name of its own
    up.pipe(JsonRpc.as(Exact))
  })
})

describe("makeRequest", () => {
  it("knows reads, writes and sessions by name", () => {
    const natures = {
      read: [
        "eth_call",
        "eth_callMany",
        "eth_blockNumber",
        "eth_getBalance",
        "eth_getTransactionReceipt",
        "eth_estimateGas",
        "eth_feeHistory",
        "eth_simulateV1",
        "alchemy_getAssetTransfers",
        "zks_estimateFee",
        "debug_traceTransaction",
        "debug_getRawBlock",
        "trace_block",
        "txpool_content",
        "net_version",
        "web3_clientVersion"
      ],
      write: [
        "eth_sendRawTransaction",
        "eth_sendRawTransactionSync",
        "eth_sendTransaction",
        "eth_sign",
        "eth_signTypedData_v4",
        "personal_sendTransaction",
        "eth_submitWork",
        "evm_mine",
        "anvil_setBalance",
        "debug_setHead",
        "admin_addPeer",
        "vendor_callback",
        "vendor_unheardOf",
        ""
      ],
      session: ["eth_newFilter", "eth_getFilterChanges", "eth_getFilterLogs", "eth_uninstallFilter", "eth_subscribe"]
    } as const
    for (const [nature, methods] of Object.entries(natures)) {
      for (const method of methods) assert.strictEqual(JsonRpc.makeRequest(method).nature, nature, method)
    }
  })

  it("takes the caller's word over the name", () => {
    assert.deepStrictEqual(JsonRpc.makeRequest("vendor_ping", [1], "read"), {
      method: "vendor_ping",
      params: [1],
      nature: "read"
    })
  })

  it("keeps no memory of names without end", () => {
    for (let i = 0; i < 5_000; i++) JsonRpc.makeRequest(`vendor_${i}`)
    assert.strictEqual(JsonRpc.makeRequest("eth_getBalance").nature, "read")
  })
})

describe("explain", () => {
  it.effect("opens a call that records its steps", () =>
    Effect.gen(function* () {
      const { report, value } = yield* JsonRpc.explain(
        Effect.clockWith((clock) =>
          Call.use((call) =>
            Effect.sync(() => {
              Call.note(call, clock, () => ({ step: "ask", upstream: "a", attempt: 1 }))
              Call.note(call, clock, () => ({ step: "answer", upstream: "a", outcome: "success" }))
              return 7
            })
          )
        )
      )
      assert.strictEqual(value, 7)
      assert.strictEqual(report.answeredBy, "a")
      assert.isFalse(report.stale)
      assert.deepStrictEqual(report.steps, [
        { at: 0, step: "ask", upstream: "a", attempt: 1 },
        { at: 0, step: "answer", upstream: "a", outcome: "success" }
      ])
    })
  )
})
