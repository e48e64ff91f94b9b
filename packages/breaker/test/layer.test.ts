// What the types refuse is tested here.
// @effect-diagnostics missingEffectError:off floatingEffect:off
import { assert, describe, it } from "@effect/vitest"
import { Breaker } from "@hawser/breaker"
import { Call, Events, JsonRpc, Outcome } from "@hawser/core"
import { Context, Data, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { expectTypeOf } from "vitest"

class Broken extends Data.TaggedError("Broken")<{ readonly n: number }> {}
class Other extends Data.TaggedError("Other")<{ readonly m: string }> {}

/** An upstream that fails as often as it is told to, and counts how often it was asked. */
const node = (name: string, failures = Infinity) => {
  const asked: Array<string> = []
  const layer = Layer.succeed(JsonRpc.upstream<Broken>())({
    name,
    request: ({ method }) => {
      asked.push(method)
      return asked.length <= failures
        ? Effect.fail(new Broken({ n: asked.length }))
        : Effect.succeed(`${name}:${method}`)
    },
    inspect: () => ({ name })
  })
  return { asked, layer }
}

const touchy = { consecutive: 1, openFor: "1 second", jitter: 0 } as const

const request = JsonRpc.makeRequest("eth_chainId")

const built = <E>(layer: Layer.Layer<JsonRpc.Upstream<E>>) =>
  Effect.map(Layer.build(layer), (context) => Context.get(context, JsonRpc.upstream<E>()))

describe("layer", () => {
  it.effect("guards one upstream: refusals name it, the upstream is not asked", () =>
    Effect.gen(function* () {
      const a = node("a", 1)
      const upstream = yield* built(a.layer.pipe(Breaker.layer(touchy)))
      assert.instanceOf(yield* Effect.flip(upstream.request(request)), Broken)
      const error = yield* Effect.flip(upstream.request(request))
      assert.isTrue(Breaker.isCircuitOpen(error))
      assert.strictEqual((error as Breaker.CircuitOpen).upstream, "a")
      assert.isTrue(Outcome.of(error).refused)
      assert.strictEqual(a.asked.length, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* upstream.request(request), "a:eth_chainId")
    })
  )

  it.effect("a last resort goes through an open circuit", () =>
    Effect.gen(function* () {
      const upstream = yield* built(node("a", 1).layer.pipe(Breaker.layer(touchy)))
      yield* Effect.exit(upstream.request(request))
      const answer = yield* upstream.request(request).pipe(Effect.provideService(Call.Insist, "probe"))
      assert.strictEqual(answer, "a:eth_chainId")
      assert.strictEqual(yield* upstream.request(request), "a:eth_chainId")
    })
  )

  it.effect("one combinator over two upstreams makes two circuits", () =>
    Effect.gen(function* () {
      const guard = Breaker.layer(touchy)
      const a = yield* built(node("a").layer.pipe(guard))
      const b = yield* built(node("b", 0).layer.pipe(guard))
      yield* Effect.exit(a.request(request))
      assert.strictEqual(yield* b.request(request), "b:eth_chainId")
      assert.strictEqual((a.inspect()["breaker"] as Breaker.Inspection).state, "open")
      assert.strictEqual((b.inspect()["breaker"] as Breaker.Inspection).state, "closed")
      assert.strictEqual(b.inspect().name, "b")
    })
  )

  it.effect("an upstream that throws before it gives an effect has failed like any other", () =>
    Effect.gen(function* () {
      const thrower = Layer.succeed(JsonRpc.upstream<never>())({
        name: "a",
        request: () => {
          throw new Error("bug")
        },
        inspect: () => ({ name: "a" })
      })
      const upstream = yield* built(thrower.pipe(Breaker.layer(touchy)))
      yield* Effect.exit(upstream.request(request))
      assert.strictEqual((upstream.inspect()["breaker"] as Breaker.Inspection).state, "open")
    })
  )

  it.effect("tells its transitions to the observer", () => {
    const hub = Events.make<JsonRpc.Event>()
    const heard: Array<JsonRpc.Event> = []
    hub.on((event) => heard.push(event))
    return Effect.gen(function* () {
      const upstream = yield* built(node("a").layer.pipe(Breaker.layer(touchy)))
      yield* Effect.exit(upstream.request(request))
      assert.deepStrictEqual(heard, [
        {
          layer: "breaker",
          upstream: "a",
          type: "transition",
          from: "closed",
          to: "open",
          why: "consecutive",
          openings: 1,
          openFor: 1_000
        }
      ])
    }).pipe(Effect.provideService(JsonRpc.Observer, hub))
  })
})

describe("types", () => {
  const up = node("a").layer
  type UpstreamOf<E> = Layer.Layer<JsonRpc.Upstream<E>>

  it("a layer adds its refusal to the errors below, exactly, also when kept in a const", () => {
    expectTypeOf(up.pipe(Breaker.layer())).toEqualTypeOf<UpstreamOf<Broken | Breaker.CircuitOpen>>()
    const guard = Breaker.layer({ consecutive: 5 })
    expectTypeOf(up.pipe(guard)).toEqualTypeOf<UpstreamOf<Broken | Breaker.CircuitOpen>>()
  })

  it("a breaker does not go above the pool", () => {
    const client = up as unknown as Layer.Layer<JsonRpc.Client<Broken>>
    // @ts-expect-error: a client is not an upstream
    assert.isDefined(client.pipe(Breaker.layer()))
  })

  it("a judge takes what lies below, and nothing that does not", () => {
    up.pipe(
      Breaker.layer({
        judge: (error) => {
          expectTypeOf(error).toEqualTypeOf<Broken>()
          return error.n > 1 ? "neutral" : undefined
        }
      })
    )
    // @ts-expect-error: nothing below fails with m
    up.pipe(Breaker.layer({ judge: (error) => (error.m === "" ? "neutral" : undefined) }))
    const other = (error: Other) => (error.m === "" ? "neutral" : "failure")
    const guard = Breaker.layer({ judge: other })
    // @ts-expect-error: what fails below is not what this takes
    up.pipe(guard)
    const wide = (error: Broken | Other) => (error._tag === "Other" ? "neutral" : "failure")
    expectTypeOf(up.pipe(Breaker.layer({ judge: wide }))).toEqualTypeOf<UpstreamOf<Broken | Breaker.CircuitOpen>>()
  })

  it("make takes any effect, unless its judge says otherwise", () => {
    const program = Effect.gen(function* () {
      const any = yield* Breaker.make()
      expectTypeOf(any).toEqualTypeOf<Breaker.Breaker>()
      expectTypeOf(any.execute(Effect.fail(new Broken({ n: 1 })))).toEqualTypeOf<
        Effect.Effect<never, Broken | Breaker.CircuitOpen>
      >()
      expectTypeOf(any.execute(Effect.succeed(1))).toEqualTypeOf<Effect.Effect<number, Breaker.CircuitOpen>>()
      const picky = yield* Breaker.make({ judge: (error: Broken) => (error.n > 1 ? "neutral" : "failure") })
      expectTypeOf(picky).toEqualTypeOf<Breaker.Breaker<Broken>>()
      expectTypeOf(picky.execute(Effect.fail(new Broken({ n: 1 })))).toEqualTypeOf<
        Effect.Effect<never, Broken | Breaker.CircuitOpen>
      >()
      // @ts-expect-error: its judge cannot tell
      picky.execute(Effect.fail(new Other({ m: "" })))
      const keyed = yield* Breaker.makeKeyed({ judge: (error: Broken) => (error.n > 1 ? "neutral" : "failure") })
      // @ts-expect-error: its judge cannot tell
      keyed.execute("key", Effect.fail(new Other({ m: "" })))
    })
    expectTypeOf(program).toEqualTypeOf<Effect.Effect<void>>()
  })

  it("options are checked", () => {
    // @ts-expect-error: no such option
    assert.throws(() => Breaker.layer({ failureRate: 0.5 }))
    // @ts-expect-error: a window is a time or a number of calls
    assert.throws(() => Breaker.layer({ window: { call: 5 } }))
    // @ts-expect-error: a layer's circuits are named by their upstreams
    assert.throws(() => Breaker.layer({ name: "a" }))
  })
})
