/**
 * What a hit costs, as a ratio to `Effect.sync` in the same run, beside Effect's own `Cache`.
 *
 *     node packages/cache/bench/hit.bench.ts
 *
 * Each case is one fiber that runs it many times in a row. Rounds are interleaved and the median is taken, so that a
 * busy machine bends all cases alike. The ratios say nothing about a load, which costs what the load costs.
 */
import { JsonRpc } from "@hawser/core"
import * as Cache from "effect/Cache"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ResponseCache } from "../src/index.ts"

const times = 20_000
const rounds = 41

// As in a program: the effect is made, then run.
const repeat = (make: () => Effect.Effect<unknown, unknown>): Effect.Effect<unknown, unknown> =>
  Effect.gen(function* () {
    for (let i = 0; i < times; i++) yield* make()
  })

const program = Effect.gen(function* () {
  const cache = yield* ResponseCache.make()
  const theirs = yield* Cache.make({ capacity: 10_000, lookup: (key: string) => Effect.succeed(key) })
  const below = Layer.succeed(JsonRpc.client<never>())({
    name: "bench",
    request: () => Effect.succeed("0x1"),
    inspect: () => ({ name: "bench" })
  })
  const context = yield* Layer.build(
    below.pipe(ResponseCache.layer({ capacity: 10_000, policy: () => policy, jitter: 0 }))
  )
  const client = Context.get(context, JsonRpc.client<never>())
  const policy = { ttl: "1 hour" } as const
  const plain = JsonRpc.makeRequest("eth_chainId")
  const params = JsonRpc.makeRequest("eth_getBalance", ["0x52908400098527886E0F7030069857D2E4169EE7", "0x10d4f"])
  const value = Effect.succeed(1)
  return {
    "Effect.sync": () => Effect.sync(() => 1),
    "execute, ttl of an hour": () => cache.execute("hour", value, policy),
    "execute, ttl without end": () => cache.execute("for ever", value, { ttl: Infinity }),
    "layer, no parameters": () => client.request(plain),
    "layer, two parameters": () => client.request(params),
    "Effect's Cache.get": () => Cache.get(theirs, "key")
  }
})

const median = (numbers: Array<number>) => numbers.toSorted((a, b) => a - b)[numbers.length >> 1]!

const main = Effect.scoped(
  Effect.gen(function* () {
    const cases = Object.entries(yield* program).map(([name, make]) => ({
      name,
      self: repeat(make),
      nanos: [] as Array<number>
    }))
    for (let round = 0; round < rounds; round++) {
      for (const { nanos, self } of cases) {
        const start = process.hrtime.bigint()
        yield* self
        nanos.push(Number(process.hrtime.bigint() - start) / times)
      }
    }
    const base = median(cases[0]!.nanos)
    for (const { name, nanos } of cases) {
      const ns = median(nanos)
      console.log(`${name.padEnd(36)} ${ns.toFixed(0).padStart(6)} ns ${(ns / base).toFixed(2).padStart(6)} x`)
    }
  })
)

await Effect.runPromise(main)
