// What the types refuse is tested here.
// @effect-diagnostics missingEffectError:off
import { describe, it } from "@effect/vitest"
import { JsonRpc } from "@hawser/core"
import { Data, Effect, Layer } from "effect"
import { expectTypeOf } from "vitest"
import { Concurrency, RateLimit } from "../src/index.ts"

class Broken extends Data.TaggedError("Broken")<{ readonly n: number }> {}
class Shut extends Data.TaggedError("Shut")<{ readonly n: number }> {}

const up = Layer.succeed(JsonRpc.upstream<Broken>())({
  name: "a",
  request: () => Effect.succeed(1),
  inspect: () => ({ name: "a" })
})

const client = Layer.succeed(JsonRpc.client<Broken>())({
  name: "pool",
  request: () => Effect.succeed(1),
  inspect: () => ({ name: "pool" })
})

type UpstreamOf<E> = Layer.Layer<JsonRpc.Upstream<E>>

describe("layers", () => {
  it("add their refusal to the errors, exactly", () => {
    const limit = RateLimit.layer({ limit: 25, window: "1 second" })
    const places = Concurrency.layer({ limit: 20 })
    expectTypeOf(up.pipe(limit)).toEqualTypeOf<UpstreamOf<Broken | RateLimit.RateLimited>>()
    expectTypeOf(up.pipe(places)).toEqualTypeOf<UpstreamOf<Broken | Concurrency.ConcurrencyFull>>()
    expectTypeOf(up.pipe(places, limit)).toEqualTypeOf<
      UpstreamOf<Broken | Concurrency.ConcurrencyFull | RateLimit.RateLimited>
    >()
    expectTypeOf(up.pipe(RateLimit.layer())).toEqualTypeOf<UpstreamOf<Broken | RateLimit.RateLimited>>()
  })

  it("guard one upstream, not a client", () => {
    // @ts-expect-error: a client is not an upstream
    client.pipe(RateLimit.layer())
    // @ts-expect-error: a client is not an upstream
    client.pipe(Concurrency.layer({ limit: 1 }))
  })

  it("show predicates the errors below them and no others", () => {
    up.pipe(
      RateLimit.layer({
        limit: 1,
        window: 1,
        learn: {
          when: (error) => {
            expectTypeOf(error).toEqualTypeOf<Broken>()
            return error.n > 0
          }
        }
      })
    )
    up.pipe(
      Concurrency.layer({
        limit: 1,
        adaptive: {
          sample: (error) => {
            expectTypeOf(error).toEqualTypeOf<Broken>()
            return "ignored"
          }
        }
      })
    )
    const shut = (error: Shut) => error.n > 0
    const anything = (error: unknown) => error !== null
    // @ts-expect-error: what fails below is not what this takes
    up.pipe(RateLimit.layer({ limit: 1, window: 1, learn: { when: shut } }))
    const kept = RateLimit.layer({ limit: 1, window: 1, learn: { when: shut } })
    // @ts-expect-error: nor when it was kept in a const first
    up.pipe(kept)
    const wide = RateLimit.layer({ limit: 1, window: 1, learn: { when: anything } })
    expectTypeOf(up.pipe(wide)).toEqualTypeOf<UpstreamOf<Broken | RateLimit.RateLimited>>()
    const shutSample = (error: Shut) => (error.n > 0 ? "dropped" : "ignored")
    // @ts-expect-error: what fails below is not what this takes
    up.pipe(Concurrency.layer({ limit: 1, adaptive: { sample: shutSample } }))
  })
})

describe("policies", () => {
  it("add their refusal to the errors of an effect, exactly", () => {
    const use = (limit: RateLimit.RateLimit, places: Concurrency.Concurrency) => {
      expectTypeOf(limit.execute(Effect.succeed(1))).toEqualTypeOf<Effect.Effect<number, RateLimit.RateLimited>>()
      expectTypeOf(places.execute(Effect.fail(new Shut({ n: 1 })))).toEqualTypeOf<
        Effect.Effect<never, Shut | Concurrency.ConcurrencyFull>
      >()
    }
    expectTypeOf(use).toBeFunction()
    expectTypeOf(RateLimit.make()).toEqualTypeOf<Effect.Effect<RateLimit.RateLimit>>()
    expectTypeOf(Concurrency.make({ limit: 1 })).toEqualTypeOf<Effect.Effect<Concurrency.Concurrency>>()
  })

  it("whose predicate names an error take effects that fail with it, and no others", () => {
    const made = RateLimit.make({ limit: 1, window: 1, learn: { when: (error: Shut) => error.n > 0 } })
    const use = (limit: Effect.Success<typeof made>) => [
      limit.execute(Effect.fail(new Shut({ n: 1 }))),
      // @ts-expect-error: the predicate cannot take this error
      limit.execute(Effect.fail(new Broken({ n: 1 })))
    ]
    expectTypeOf(use).toBeFunction()
  })

  it("a concurrency limit needs its number", () => {
    // @ts-expect-error: how many at once?
    const make = () => Concurrency.make({})
    expectTypeOf(make).toBeFunction()
  })
})
