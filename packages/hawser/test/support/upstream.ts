/** Upstreams that do as they are told, and what it takes to run them in virtual time. */
import { Clock, Data, Effect, Layer, Random } from "effect"
import { TestClock } from "effect/testing"
import { JsonRpc } from "hawser"

export class Broken extends Data.TaggedError("Broken")<{}> {}

export type Client = Layer.Layer<JsonRpc.Client<any>>
export type Upstream = Layer.Layer<JsonRpc.Upstream<any>>

export const read = JsonRpc.makeRequest("eth_getBalance", ["0x00000000000000000000000000000000000000aa", "latest"])

/** An upstream that does as it is told, and knows who is under way. */
export const node = (
  name: string,
  answer: (nth: number, request: JsonRpc.Request) => Effect.Effect<unknown, unknown>
) => {
  const counts = { asked: 0, running: 0, most: 0, at: [] as Array<number> }
  const request = (request: JsonRpc.Request) =>
    Effect.flatMap(Clock.Clock, (clock) =>
      Effect.acquireUseRelease(
        Effect.sync(() => {
          counts.most = Math.max(counts.most, ++counts.running)
          counts.at.push(clock.currentTimeMillisUnsafe())
          return ++counts.asked
        }),
        (nth) => answer(nth, request),
        () => Effect.sync(() => void counts.running--)
      )
    )
  const layer: Upstream = Layer.succeed(JsonRpc.upstream<any>())({ name, request, inspect: () => ({ name }) })
  return { counts, layer }
}

export const build = (client: Client) =>
  Effect.flatMap(Layer.build(client), (context) => Effect.provide(JsonRpc.client<any>(), context))

export const inVirtualTime = <A, E>(self: Effect.Effect<A, E, any>, seed: number) =>
  Effect.runPromise(
    self.pipe(Effect.scoped, Random.withSeed(seed), Effect.provide(TestClock.layer())) as Effect.Effect<A, E>
  )
