// Elapsed time is monotonic: a wall clock that is set changes nothing, and a long pause wedges nothing.
import { assert, describe, it } from "@effect/vitest"
import { Clock, Data, Duration, Effect, Exit, Fiber, Layer, Random } from "effect"
import { TestClock } from "effect/testing"
import { Call, Events, JsonRpc, Outcome, Stack } from "hawser"

class Broken extends Data.TaggedError("Broken")<{}> {}

/** Asks for a pause, as a 429 with `Retry-After` does. */
class Throttled extends Data.TaggedError("Throttled")<{}> {
  readonly [Outcome.TypeId] = Outcome.verdict({ retryAfter: Duration.seconds(3) })
}

/** An upstream that answers, fails, throttles or hangs at random. */
const moody = (name: string) =>
  Layer.succeed(JsonRpc.upstream<unknown>())({
    name,
    request: ({ method }) =>
      Effect.gen(function* () {
        if (method === "eth_chainId") return "0x1"
        yield* Effect.sleep((yield* Random.next) * 200)
        const draw = yield* Random.next
        if (draw < 0.5) return yield* Effect.fail(new Broken())
        if (draw < 0.6) return yield* Effect.fail(new Throttled())
        if (draw < 0.7) return yield* Effect.never
        return "0x1"
      }),
    inspect: () => ({ name })
  })

const stack = () =>
  Stack.layer({
    chainId: 1,
    upstreams: ["a", "b"].map((name) => ({
      layer: moody(name),
      rateLimit: { limit: 50, window: "1 second" as const }
    })),
    cache: { policy: () => ({ ttl: 500, staleIfError: "1 second" }) }
  })

const balanceOf = (i: number) => JsonRpc.makeRequest("eth_getBalance", [`0x${i}`, "latest"])

/** A clock whose wall time can be set while what elapses goes on. */
const settable = Effect.map(Clock.Clock, (clock) => {
  let offset = 0
  const shifted: Clock.Clock = Object.create(clock, {
    currentTimeMillisUnsafe: { value: () => clock.currentTimeMillisUnsafe() + offset },
    currentTimeMillis: { value: Effect.sync(() => clock.currentTimeMillisUnsafe() + offset) },
    currentTimeNanosUnsafe: { value: () => clock.currentTimeNanosUnsafe() + BigInt(offset) * 1_000_000n },
    currentTimeNanos: { value: Effect.sync(() => clock.currentTimeNanosUnsafe() + BigInt(offset) * 1_000_000n) }
  })
  return { clock: shifted, set: (by: number) => void (offset += by) }
})

/** Everything the stack tells, and when, over two minutes of bad weather; `jump` sets the wall clock now and then. */
const story = (jump: (second: number) => number) =>
  Effect.gen(function* () {
    const told: Array<string> = []
    const { clock, set } = yield* settable
    yield* Effect.gen(function* () {
      const hub = Events.make<JsonRpc.Event>()
      hub.on((event) => told.push(`${Call.now(clock)} ${JSON.stringify(event)}`))
      const context = yield* Layer.build(Layer.provide(stack(), Layer.succeed(JsonRpc.Observer)(hub)))
      const rpc = yield* Effect.provide(JsonRpc.client<Stack.Error>(), context)
      for (let second = 0; second < 120; second++) {
        set(jump(second))
        for (let i = 0; i < 8; i++) yield* Effect.forkChild(Effect.exit(rpc.request(balanceOf(i))))
        yield* TestClock.adjust("1 second")
      }
      yield* TestClock.adjust("1 minute")
    }).pipe(Effect.provideService(Clock.Clock, clock), Effect.scoped, Random.withSeed("clock"))
    return told
  })

describe("a wall clock that is set", () => {
  for (const [name, jump] of [
    ["an hour back", (second: number) => (second === 60 ? -3_600_000 : 0)],
    ["an hour forward", (second: number) => (second === 60 ? 3_600_000 : 0)],
    ["to and fro", (second: number) => (second % 7 === 0 ? (second % 2 === 0 ? 3_600_000 : -3_600_000) : 0)]
  ] as const) {
    it.effect(`${name}: nothing else happens, or at another time`, () =>
      Effect.gen(function* () {
        const undisturbed = yield* Effect.provide(
          story(() => 0),
          TestClock.layer()
        )
        const disturbed = yield* Effect.provide(story(jump), TestClock.layer())
        assert.isAbove(undisturbed.length, 400)
        for (const layer of ["breaker", "rateLimit", "retry", "hedge", "cache"]) {
          assert.isTrue(
            undisturbed.some((line) => line.includes(`"layer":"${layer}"`)),
            layer
          )
        }
        assert.deepStrictEqual(disturbed, undisturbed)
      })
    )
  }
})

describe("a long pause", () => {
  it.effect("ends what was under way, and the next call is answered", () =>
    Effect.gen(function* () {
      let down = true
      const node = (name: string) =>
        Layer.succeed(JsonRpc.upstream<unknown>())({
          name,
          request: ({ method }) =>
            Effect.suspend(() => (method === "eth_chainId" || !down ? Effect.succeed("0x1") : Effect.never)),
          inspect: () => ({ name })
        })
      const rpc = yield* Effect.provide(
        JsonRpc.client<Stack.Error>(),
        yield* Layer.build(Stack.layer({ upstreams: ["a", "b"].map(node), chainId: 1 }))
      )
      for (let round = 0; round < 5; round++) {
        down = true
        const waiting = yield* Effect.forEach(
          Array.from({ length: 20 }, (_, i) => i),
          (i) => Effect.forkChild(Effect.exit(rpc.request(balanceOf(i))), { startImmediately: true })
        )
        yield* TestClock.adjust("1 second")
        yield* TestClock.adjust("8 hours")
        for (const fiber of waiting) assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
        down = false
        for (let i = 0; i < 20; i++) assert.strictEqual(yield* rpc.request(balanceOf(i)), "0x1")
      }
    })
  )
})
