// Every ordered pair of layers over the same bad weather, with the exact number of requests that reach the upstreams.
// The tables say what the order of two layers means; docs/layers.md says which one to take.
import { assert, describe, it } from "@effect/vitest"
import { Clock, Data, Effect, Exit, Fiber, Layer, Random } from "effect"
import { TestClock } from "effect/testing"
import {
  Breaker,
  Chain,
  Concurrency,
  Deadline,
  Fallback,
  Hedge,
  JsonRpc,
  Method,
  RateLimit,
  ResponseCache,
  Retry,
  Timeout,
  UpstreamPool
} from "hawser"

class Broken extends Data.TaggedError("Broken")<{}> {}

/** What an upstream does with its nth request. */
type Weather = (nth: number) => Effect.Effect<unknown, Broken>

const failing: Weather = () => Effect.fail(new Broken())
const hanging: Weather = () => Effect.never
const slow: Weather = () => Effect.delay(Effect.succeed("0x1"), "1 second")
const quick: Weather = () => Effect.delay(Effect.succeed("0x1"), "10 millis")
const failingOnce: Weather = (nth) => (nth === 1 ? Effect.fail(new Broken()) : quick(nth))

/** An upstream that counts what reaches it, chain checks apart. */
const upstream = (weather: Weather) => {
  const sent = { requests: 0, checks: 0 }
  const layer = Layer.succeed(JsonRpc.upstream<any>())({
    name: "node",
    request: ({ method }) =>
      Effect.suspend(() => {
        if (method === "eth_chainId") {
          sent.checks++
          return Effect.succeed("0x1")
        }
        return weather(++sent.requests)
      }),
    inspect: () => ({ name: "node" })
  })
  return { layer, sent }
}

/** Runs to the end, however much virtual time it takes, and says how it ended. */
const ended = (self: Effect.Effect<unknown, any>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(self, { startImmediately: true })
    const clock = yield* Clock.Clock
    const started = clock.currentTimeMillisUnsafe()
    // What hangs for ever is cut off after a day.
    for (let step = 1; fiber.pollUnsafe() === undefined; step = Math.min(step * 2, 3_600_000)) {
      if (clock.currentTimeMillisUnsafe() - started > 86_400_000) {
        yield* Fiber.interrupt(fiber)
        return "hangs"
      }
      yield* TestClock.adjust(clock.currentTimeMillisUnsafe() - started < 20_000 ? 10 : step)
    }
    const exit = fiber.pollUnsafe()!
    return Exit.isSuccess(exit) ? String(exit.value) : tagOf(exit)
  })

const tagOf = (exit: Exit.Failure<unknown, any>): string => {
  const [reason] = exit.cause.reasons
  return reason?._tag === "Fail" ? (reason.error._tag as string) : String(reason?._tag)
}

const request = JsonRpc.makeRequest("eth_getBalance", ["0x00000000000000000000000000000000000000aa", "latest"])

describe("above the pool", () => {
  type Apply = (self: Layer.Layer<JsonRpc.Client<any>>) => Layer.Layer<JsonRpc.Client<any>>
  const layers: Record<string, Apply> = {
    none: (self) => self,
    deadline: Deadline.layer("10 seconds"),
    cache: ResponseCache.layer({ policy: () => ({ ttl: "1 minute" }), jitter: 0 }),
    retry: Retry.layer(),
    hedge: Hedge.layer({ delay: "500 millis" }),
    fallback: Fallback.layer({ on: ["NoAnswer", "DeadlineExceeded"] as never, run: () => Effect.succeed("instead") })
  }

  const run = (outer: string, inner: string, weathers: ReadonlyArray<Weather>, calls: "one" | "twice" | "again") =>
    Effect.gen(function* () {
      const nodes = weathers.map(upstream)
      const client = layers[outer]!(layers[inner]!(UpstreamPool.layer(nodes.map(({ layer }) => layer)) as never))
      const rpc = yield* Effect.provide(JsonRpc.client<any>(), yield* Layer.build(client))
      const ask = rpc.request(request)
      const how = yield* ended(
        calls === "one"
          ? ask
          : Effect.map(Effect.all([ask, ask], { concurrency: calls === "twice" ? 2 : 1 }), ([first]) => first)
      )
      return `${nodes.reduce((sum, { sent }) => sum + sent.requests, 0)} ${how}`
    }).pipe(Effect.scoped, Random.withSeed("matrix"))

  // Requests sent, and how the (first) call ended: two upstreams that fail, hang, take a second, fail once; then two equal
  // calls at once, and one after the other.
  //
  // A fallback below the retry leaves it nothing to do. A cache below the retry or the hedge makes every load a call with
  // attempts of its own, and hides from a hedge that its request has joined another. A deadline below the fallback bounds
  // what the fallback is for; above it, nothing can answer in its place.
  const table: ReadonlyArray<readonly [outer: string, inner: string, ...ends: ReadonlyArray<string>]> = [
    //                      failing         hanging                slow     failing once   at once  in turn
    ["none", "none", "2 NoAnswer", "1 hangs", "1 0x1", "2 NoAnswer", "2 0x1", "2 0x1"],
    ["none", "deadline", "2 NoAnswer", "1 DeadlineExceeded", "1 0x1", "2 NoAnswer", "2 0x1", "2 0x1"],
    ["none", "cache", "2 NoAnswer", "1 hangs", "1 0x1", "2 NoAnswer", "1 0x1", "1 0x1"],
    ["none", "retry", "6 NoAnswer", "1 hangs", "1 0x1", "3 0x1", "2 0x1", "2 0x1"],
    ["none", "hedge", "2 NoAnswer", "2 hangs", "2 0x1", "2 NoAnswer", "2 0x1", "2 0x1"],
    ["none", "fallback", "2 instead", "1 hangs", "1 0x1", "2 instead", "2 0x1", "2 0x1"],
    ["deadline", "cache", "2 NoAnswer", "1 DeadlineExceeded", "1 0x1", "2 NoAnswer", "1 0x1", "1 0x1"],
    ["deadline", "retry", "6 NoAnswer", "1 DeadlineExceeded", "1 0x1", "3 0x1", "2 0x1", "2 0x1"],
    ["deadline", "hedge", "2 NoAnswer", "2 DeadlineExceeded", "2 0x1", "2 NoAnswer", "2 0x1", "2 0x1"],
    ["deadline", "fallback", "2 instead", "1 DeadlineExceeded", "1 0x1", "2 instead", "2 0x1", "2 0x1"],
    ["cache", "deadline", "2 NoAnswer", "1 DeadlineExceeded", "1 0x1", "2 NoAnswer", "1 0x1", "1 0x1"],
    ["cache", "retry", "6 NoAnswer", "1 hangs", "1 0x1", "3 0x1", "1 0x1", "1 0x1"],
    ["cache", "hedge", "2 NoAnswer", "2 hangs", "2 0x1", "2 NoAnswer", "1 0x1", "1 0x1"],
    ["cache", "fallback", "2 instead", "1 hangs", "1 0x1", "2 instead", "1 0x1", "1 0x1"],
    ["retry", "deadline", "6 NoAnswer", "1 DeadlineExceeded", "1 0x1", "3 0x1", "2 0x1", "2 0x1"],
    ["retry", "cache", "12 NoAnswer", "1 hangs", "1 0x1", "3 0x1", "1 0x1", "1 0x1"],
    ["retry", "hedge", "6 NoAnswer", "2 hangs", "2 0x1", "3 0x1", "2 0x1", "2 0x1"],
    ["retry", "fallback", "2 instead", "1 hangs", "1 0x1", "2 instead", "2 0x1", "2 0x1"],
    ["hedge", "deadline", "2 NoAnswer", "2 DeadlineExceeded", "2 0x1", "2 NoAnswer", "2 0x1", "2 0x1"],
    ["hedge", "cache", "4 NoAnswer", "1 hangs", "1 0x1", "3 0x1", "1 0x1", "1 0x1"],
    ["hedge", "retry", "6 NoAnswer", "2 hangs", "2 0x1", "3 0x1", "2 0x1", "2 0x1"],
    ["hedge", "fallback", "2 instead", "2 hangs", "2 0x1", "2 instead", "2 0x1", "2 0x1"],
    ["fallback", "deadline", "2 instead", "1 instead", "1 0x1", "2 instead", "2 0x1", "2 0x1"],
    ["fallback", "cache", "2 instead", "1 hangs", "1 0x1", "2 instead", "1 0x1", "1 0x1"],
    ["fallback", "retry", "6 instead", "1 hangs", "1 0x1", "3 0x1", "2 0x1", "2 0x1"],
    ["fallback", "hedge", "2 instead", "2 hangs", "2 0x1", "2 instead", "2 0x1", "2 0x1"]
  ]

  for (const [outer, inner, ...ends] of table) {
    it.effect(outer === "none" ? `${inner} alone` : `${outer} over ${inner}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(
          [
            yield* run(outer, inner, [failing, failing], "one"),
            yield* run(outer, inner, [hanging, hanging], "one"),
            yield* run(outer, inner, [slow, slow], "one"),
            yield* run(outer, inner, [failingOnce, failingOnce], "one"),
            yield* run(outer, inner, [quick, quick], "twice"),
            yield* run(outer, inner, [quick, quick], "again")
          ],
          ends
        )
      })
    )
  }
})

describe("below the pool", () => {
  type Apply = (self: Layer.Layer<JsonRpc.Upstream<any>>) => Layer.Layer<JsonRpc.Upstream<any>>
  const layers: Record<string, Apply> = {
    none: (self) => self,
    methods: Method.layer({ exclude: ["debug_*"] }),
    chain: Chain.layer(1),
    breaker: Breaker.layer(),
    rateLimit: RateLimit.layer({ limit: 3, window: "1 minute", burst: 3, maxQueue: 0 }),
    concurrency: Concurrency.layer({ limit: 2, maxQueue: 0 }),
    timeout: Timeout.layer("4 seconds")
  }
  const run = (
    outer: string,
    inner: string,
    weather: Weather,
    calls: number,
    concurrency: number,
    method = request.method
  ) =>
    Effect.gen(function* () {
      const { layer, sent } = upstream(weather)
      const rpc = yield* Effect.provide(
        JsonRpc.upstream<any>(),
        yield* Layer.build(layers[outer]!(layers[inner]!(layer)))
      )
      const ask = Effect.exit(rpc.request(JsonRpc.makeRequest(method, request.params)))
      const how = yield* ended(
        Effect.map(
          Effect.all(
            Array.from({ length: calls }, () => ask),
            { concurrency }
          ),
          (exits) => {
            const last = exits.at(-1)!
            return Exit.isSuccess(last) ? String(last.value) : tagOf(last)
          }
        )
      )
      return `${sent.requests}${sent.checks > 0 ? `+${sent.checks}` : ""} ${how}`
    }).pipe(Effect.scoped, Random.withSeed("matrix"))

  // Requests sent (+ chain checks), and how the last call ended: twelve in turn that fail, and that hang; five in turn, and
  // five at once, that succeed; one that is not served.
  //
  // A breaker below the timeout never learns that calls are given up; below the rate limit every refusal of it has cost a
  // token. A chain check above a limit counts against it, below it does not.
  const table: ReadonlyArray<readonly [outer: string, inner: string, ...ends: ReadonlyArray<string>]> = [
    //                       failing           hanging            in turn          at once               not served
    ["none", "none", "12 Broken", "1 hangs", "5 0x1", "5 0x1", "1 0x1"],
    ["none", "methods", "12 Broken", "1 hangs", "5 0x1", "5 0x1", "0 NotServed"],
    ["none", "chain", "12 Broken", "1 hangs", "5+1 0x1", "5+1 0x1", "1+1 0x1"],
    ["none", "breaker", "10 CircuitOpen", "1 hangs", "5 0x1", "5 0x1", "1 0x1"],
    ["none", "rateLimit", "3 RateLimited", "1 hangs", "3 RateLimited", "3 RateLimited", "1 0x1"],
    ["none", "concurrency", "12 Broken", "1 hangs", "5 0x1", "2 ConcurrencyFull", "1 0x1"],
    ["none", "timeout", "12 Broken", "12 TimeoutError", "5 0x1", "5 0x1", "1 0x1"],
    ["methods", "chain", "12 Broken", "1 hangs", "5+1 0x1", "5+1 0x1", "0 NotServed"],
    ["methods", "breaker", "10 CircuitOpen", "1 hangs", "5 0x1", "5 0x1", "0 NotServed"],
    ["methods", "rateLimit", "3 RateLimited", "1 hangs", "3 RateLimited", "3 RateLimited", "0 NotServed"],
    ["methods", "concurrency", "12 Broken", "1 hangs", "5 0x1", "2 ConcurrencyFull", "0 NotServed"],
    ["methods", "timeout", "12 Broken", "12 TimeoutError", "5 0x1", "5 0x1", "0 NotServed"],
    ["chain", "methods", "12 Broken", "1 hangs", "5+1 0x1", "5+1 0x1", "0 NotServed"],
    ["chain", "breaker", "10 CircuitOpen", "1 hangs", "5+1 0x1", "5+1 0x1", "1+1 0x1"],
    ["chain", "rateLimit", "3 RateLimited", "1 hangs", "2+1 RateLimited", "3 RateLimited", "1+1 0x1"],
    ["chain", "concurrency", "12 Broken", "1 hangs", "5+1 0x1", "2+1 ConcurrencyFull", "1+1 0x1"],
    ["chain", "timeout", "12 Broken", "12 TimeoutError", "5+1 0x1", "5+1 0x1", "1+1 0x1"],
    ["breaker", "methods", "10 CircuitOpen", "1 hangs", "5 0x1", "5 0x1", "0 NotServed"],
    ["breaker", "chain", "10 CircuitOpen", "1 hangs", "5+1 0x1", "5+1 0x1", "1+1 0x1"],
    ["breaker", "rateLimit", "3 RateLimited", "1 hangs", "3 RateLimited", "3 RateLimited", "1 0x1"],
    ["breaker", "concurrency", "10 CircuitOpen", "1 hangs", "5 0x1", "2 ConcurrencyFull", "1 0x1"],
    ["breaker", "timeout", "10 CircuitOpen", "10 CircuitOpen", "5 0x1", "5 0x1", "1 0x1"],
    ["rateLimit", "methods", "3 RateLimited", "1 hangs", "3 RateLimited", "3 RateLimited", "0 NotServed"],
    ["rateLimit", "chain", "3 RateLimited", "1 hangs", "3+1 RateLimited", "3+1 RateLimited", "1+1 0x1"],
    ["rateLimit", "breaker", "3 RateLimited", "1 hangs", "3 RateLimited", "3 RateLimited", "1 0x1"],
    ["rateLimit", "concurrency", "3 RateLimited", "1 hangs", "3 RateLimited", "2 ConcurrencyFull", "1 0x1"],
    ["rateLimit", "timeout", "3 RateLimited", "3 RateLimited", "3 RateLimited", "3 RateLimited", "1 0x1"],
    ["concurrency", "methods", "12 Broken", "1 hangs", "5 0x1", "2 ConcurrencyFull", "0 NotServed"],
    ["concurrency", "chain", "12 Broken", "1 hangs", "5+1 0x1", "2+1 ConcurrencyFull", "1+1 0x1"],
    ["concurrency", "breaker", "10 CircuitOpen", "1 hangs", "5 0x1", "2 ConcurrencyFull", "1 0x1"],
    ["concurrency", "rateLimit", "3 RateLimited", "1 hangs", "3 RateLimited", "2 ConcurrencyFull", "1 0x1"],
    ["concurrency", "timeout", "12 Broken", "12 TimeoutError", "5 0x1", "2 ConcurrencyFull", "1 0x1"],
    ["timeout", "methods", "12 Broken", "12 TimeoutError", "5 0x1", "5 0x1", "0 NotServed"],
    ["timeout", "chain", "12 Broken", "12 TimeoutError", "5+1 0x1", "5+1 0x1", "1+1 0x1"],
    ["timeout", "breaker", "10 CircuitOpen", "12 TimeoutError", "5 0x1", "5 0x1", "1 0x1"],
    ["timeout", "rateLimit", "3 RateLimited", "3 RateLimited", "3 RateLimited", "3 RateLimited", "1 0x1"],
    ["timeout", "concurrency", "12 Broken", "12 TimeoutError", "5 0x1", "2 ConcurrencyFull", "1 0x1"]
  ]

  for (const [outer, inner, ...ends] of table) {
    it.effect(outer === "none" ? `${inner} alone` : `${outer} over ${inner}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(
          [
            yield* run(outer, inner, failing, 12, 1),
            yield* run(outer, inner, hanging, 12, 1),
            yield* run(outer, inner, quick, 5, 1),
            yield* run(outer, inner, quick, 5, 5),
            yield* run(outer, inner, quick, 1, 1, "debug_traceCall")
          ],
          ends
        )
      })
    )
  }
})

describe("retry, hedge and failover together", () => {
  const seeds = Array.from({ length: 20 }, (_, seed) => seed)

  for (const seed of seeds) {
    it.effect(`never send more than six requests a call, nor more than the budget allows (seed ${seed})`, () =>
      Effect.gen(function* () {
        // Fails or takes its time, at random.
        const moody: Weather = () =>
          Effect.gen(function* () {
            yield* Effect.sleep((yield* Random.next) * 1_000)
            if ((yield* Random.next) < 0.7) return yield* Effect.fail(new Broken())
            return "0x1"
          })
        const nodes = Array.from({ length: 3 }, () => upstream(moody))
        const client = UpstreamPool.layer(nodes.map(({ layer }) => layer)).pipe(
          Hedge.layer({ delay: "300 millis" }),
          Retry.layer(),
          Deadline.layer("10 seconds")
        )
        const rpc = yield* Effect.provide(JsonRpc.client<any>(), yield* Layer.build(client))
        const sent = () => nodes.reduce((sum, { sent }) => sum + sent.requests, 0)
        const calls = 200
        const clock = yield* Clock.Clock
        const started = clock.currentTimeMillisUnsafe()
        let most = 0
        const worker = Effect.gen(function* () {
          for (let i = 0; i < calls / 10; i++) {
            const { value: _, report } = yield* JsonRpc.explain(Effect.exit(rpc.request(request)))
            most = Math.max(most, report.steps.filter(({ step }) => step === "ask").length)
          }
        })
        yield* ended(
          Effect.all(
            Array.from({ length: 10 }, () => worker),
            { concurrency: "unbounded", discard: true }
          )
        )
        assert.isAtMost(most, 6)
        const { hedge, retry } = rpc.inspect() as unknown as {
          readonly hedge: Hedge.Inspection
          readonly retry: Retry.Inspection
        }
        // Half an extra request a call, and ten in ten seconds in any case, for retries and hedges together. A failover is
        // charged but never denied: in each round at most one to each of the others.
        const windows = Math.ceil((clock.currentTimeMillisUnsafe() - started) / 10_000)
        assert.isAtMost(retry.retries + hedge.hedges, 0.5 * calls + 10 * windows)
        assert.isAtMost(sent(), (calls + retry.retries) * nodes.length)
      }).pipe(Random.withSeed(seed))
    )
  }
})
