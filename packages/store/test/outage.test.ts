// A store that fails, hangs or says nonsense: nobody depends on it.
import { assert, describe, it } from "@effect/vitest"
import { Breaker } from "@hawser/breaker"
import { ResponseCache } from "@hawser/cache"
import { RateLimit } from "@hawser/ratelimit"
import { Clock, Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { type Memory, Redis } from "../src/index.ts"
import { assemble } from "../src/internal/assemble.ts"
import { type States, step } from "../src/internal/program.ts"
import { excess } from "./support/limitModel.ts"
import { eventually, fork } from "./support/help.ts"

/** States in this process that can be made to misbehave. */
class Moody implements States {
  trouble: Effect.Effect<void, any> = Effect.void
  asked = 0
  private readonly texts = new Map<string, string>()
  private readonly clock: Clock.Clock

  constructor(clock: Clock.Clock) {
    this.clock = clock
  }

  readonly run: States["run"] = (program, key, args) =>
    Effect.suspend(() => {
      this.asked++
      return Effect.map(this.trouble, () => {
        const now = this.clock.currentTimeMillisUnsafe() * 1000
        const { reply, text } = step(program, this.texts.get(key), now, args)
        if (text !== undefined) this.texts.set(key, text)
        return reply
      })
    })
}

const noCache = () => assert.fail("no cache here")

const moody = Effect.map(Clock.Clock, (clock) => {
  const states = new Moody(clock)
  return { states, store: assemble(states, noCache) }
})

const troubles: ReadonlyArray<readonly [string, Effect.Effect<void, unknown>, number]> = [
  ["fails", Effect.fail("down"), 0],
  ["dies", Effect.die("bug"), 0],
  ["hangs", Effect.never, 50]
]

describe("RL12: while the store does not answer", () => {
  const limit = { name: "node", limit: 8, window: "1 second", burst: 8 } as const

  for (const [how, trouble, millis] of troubles) {
    it.effect(`because it ${how}, a limit is kept by each process for itself, at its share`, () =>
      Effect.gen(function* () {
        const { states, store } = yield* moody
        const events: Array<unknown> = []
        store.events.on((event) => events.push(event.type))
        states.trouble = trouble
        const passed: Array<{ readonly at: number; readonly weight: number }> = []
        const processes = yield* Effect.forEach([1, 2, 3, 4], () =>
          RateLimit.make({ ...limit, maxWait: "1 minute", shared: store.rateLimit({ share: 0.25 }) })
        )
        const send = Effect.map(Clock.currentTimeMillis, (now) => void passed.push({ at: now * 1000, weight: 1 }))
        const fibers = []
        for (const one of processes) for (let i = 0; i < 10; i++) fibers.push(yield* fork(one.execute(send)))
        yield* TestClock.adjust(millis)
        // A quarter of the burst each.
        assert.strictEqual(passed.length, 8)
        yield* TestClock.adjust("10 seconds")
        yield* Effect.forEach(fibers, Fiber.join)
        assert.strictEqual(passed.length, 40)
        assert.isUndefined(excess(passed, { limit: 8, window: 1_000, burst: 8 }))
        assert.isAtLeast(events.length, 1)
      })
    )
  }

  it.effect("there is no limit if it is told so", () =>
    Effect.gen(function* () {
      const { states, store } = yield* moody
      states.trouble = Effect.fail("down")
      const one = yield* RateLimit.make({ ...limit, shared: store.rateLimit({ onFailure: "open" }) })
      for (let i = 0; i < 100; i++) yield* one.execute(Effect.void)
    })
  )

  it.effect("it costs one timeout a second, and is asked again after that", () =>
    Effect.gen(function* () {
      const { states, store } = yield* moody
      const one = yield* RateLimit.make({ ...limit, shared: store.rateLimit() })
      states.trouble = Effect.never
      const first = yield* fork(one.execute(Effect.void))
      yield* TestClock.adjust(49)
      assert.isUndefined(first.pollUnsafe())
      yield* TestClock.adjust(1)
      yield* Fiber.join(first)
      yield* one.execute(Effect.void)
      assert.strictEqual(states.asked, 1)
      states.trouble = Effect.void
      yield* TestClock.adjust(1_000)
      yield* one.execute(Effect.void)
      assert.strictEqual(states.asked, 2)
      assert.strictEqual(one.inspect().available, 7)
    })
  )

  it.effect("what weighs more than a process's share waits for the store", () =>
    Effect.gen(function* () {
      const { states, store } = yield* moody
      states.trouble = Effect.fail("down")
      const one = yield* RateLimit.make({ ...limit, shared: store.rateLimit({ share: 0.25 }) })
      const heavy = yield* fork(one.execute(Effect.succeed("heavy"), { weight: 5 }))
      yield* TestClock.adjust("5 seconds")
      assert.isUndefined(heavy.pollUnsafe())
      states.trouble = Effect.void
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(heavy), "heavy")
    })
  )

  it.effect("who leaves while it is asked leaves at once, and nobody waits for him", () =>
    Effect.gen(function* () {
      const { states, store } = yield* moody
      const one = yield* RateLimit.make({ ...limit, burst: 1, shared: store.rateLimit() })
      yield* one.execute(Effect.void)
      const gone = yield* fork(one.execute(Effect.void))
      const next = yield* fork(one.execute(Effect.succeed("next")))
      states.trouble = Effect.never
      yield* TestClock.adjust(125)
      assert.strictEqual(states.asked, 3)
      states.trouble = Effect.void
      yield* Fiber.interrupt(gone)
      assert.strictEqual(yield* Fiber.join(next), "next")
    })
  )

  it.effect("a turn that comes after the deadline is given back", () =>
    Effect.gen(function* () {
      const { states, store } = yield* moody
      const one = yield* RateLimit.make({ ...limit, burst: 1, maxWait: 130, shared: store.rateLimit() })
      yield* one.execute(Effect.void)
      const late = yield* fork(Effect.flip(one.execute(Effect.void)))
      states.trouble = Effect.sleep(20)
      yield* TestClock.adjust(125)
      states.trouble = Effect.void
      // The line refuses nobody while it asks; the pause does.
      one.pause("1 second")
      yield* TestClock.adjust(20)
      assert.deepInclude(yield* Fiber.join(late), { _tag: "RateLimited", reason: "paused" })
      one.pause(0)
      assert.strictEqual(yield* one.execute(Effect.succeed("passed")), "passed")
      assert.strictEqual(one.inspect().admitted, 2)
    })
  )
})

describe("while the store does not answer", () => {
  const options = { name: "node", consecutive: 1, openFor: "4 seconds", jitter: 0 } as const
  const broken = Effect.fail("broken")

  for (const [how, trouble, millis] of troubles) {
    it.effect(`because it ${how}, a breaker learns for itself, and tells later`, () =>
      Effect.gen(function* () {
        const { states, store } = yield* moody
        const [one, two] = yield* Effect.forEach([1, 2], () => Breaker.make({ ...options, shared: store.breaker() }))
        const patiently = <A, E>(self: Effect.Effect<A, E>) =>
          Effect.gen(function* () {
            const fiber = yield* fork(self)
            yield* TestClock.adjust(millis)
            return yield* Fiber.join(fiber)
          })
        states.trouble = trouble
        yield* patiently(Effect.exit(one!.execute(broken)))
        assert.deepInclude(yield* Effect.flip(one!.execute(Effect.void)), { reason: "open" })
        states.trouble = Effect.void
        yield* TestClock.adjust(1_100)
        yield* Effect.flip(one!.execute(Effect.void))
        assert.deepInclude(yield* Effect.flip(two!.execute(Effect.void)), { reason: "open" })
        states.trouble = trouble
        yield* TestClock.adjust(3_000)
        // Alone again: it probes for itself.
        assert.strictEqual(yield* patiently(one!.execute(Effect.succeed("works"))), "works")
        assert.strictEqual(one!.inspect().state, "closed")
      })
    )
  }

  it.effect("CB2: a state that was lost is what the next prober says", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let states = new Moody(clock)
      const store = assemble({ run: (program, key, args) => states.run(program, key, args) }, noCache)
      const [one, two] = yield* Effect.forEach([1, 2], () => Breaker.make({ ...options, shared: store.breaker() }))
      yield* Effect.exit(one!.execute(broken))
      yield* Effect.exit(two!.execute(Effect.void))
      states = new Moody(clock)
      yield* TestClock.adjust(4_000)
      const probe = yield* fork(one!.execute(Effect.never))
      yield* eventually(() => one!.inspect().probes === 1)
      assert.deepInclude(yield* Effect.flip(two!.execute(Effect.void)), { reason: "half-open" })
      yield* Fiber.interrupt(probe)
    })
  )
})

describe("a store that has lost its state", () => {
  it.effect("hears of an open circuit from those who know of it", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let states = new Moody(clock)
      const store = assemble({ run: (program, key, args) => states.run(program, key, args) }, noCache)
      const make = Breaker.make({ consecutive: 1, openFor: "10 seconds", jitter: 0, shared: store.breaker() })
      const [one, two] = [yield* make, yield* make]
      yield* Effect.exit(one.execute(Effect.fail("broken")))
      states = new Moody(clock)
      yield* two.execute(Effect.void)
      for (let i = 0; i < 3; i++) {
        yield* TestClock.adjust("1 second")
        yield* Effect.exit(one.execute(Effect.void))
      }
      assert.strictEqual(one.inspect().state, "open")
      assert.deepInclude(yield* Effect.flip(two.execute(Effect.void)), { retryAfter: Duration.seconds(7) })
    })
  )
})

describe("a store that says nonsense", () => {
  const nonsense: ReadonlyArray<unknown> = [null, "OK", 7, [], ["x"], [null], [1.5], { a: 1 }]
  const talking = (reply: unknown): Effect.Effect<Effect.Success<ReturnType<typeof Memory.make>>> =>
    Redis.make({ send: () => Promise.resolve(reply) })

  it.effect("limits and guards nothing, and keeps nothing", () =>
    Effect.forEach(nonsense, (reply) =>
      Effect.gen(function* () {
        const store = yield* talking(reply)
        const limit = yield* RateLimit.make({ limit: 1, window: "1 second", shared: store.rateLimit() })
        yield* limit.execute(Effect.void)
        assert.deepStrictEqual(limit.peek(), Duration.zero)
        const breaker = yield* Breaker.make({ shared: store.breaker() })
        yield* breaker.execute(Effect.void)
        const cache = yield* ResponseCache.make({ store: store.cache({ name: "a" }) })
        assert.strictEqual(yield* cache.execute("k", Effect.succeed(1), { ttl: 0 }), 1)
      })
    )
  )
})

describe("options", () => {
  it.effect("are checked where they are given", () =>
    Effect.gen(function* () {
      const { store } = yield* moody
      const wrong: ReadonlyArray<() => unknown> = [
        () => store.rateLimit({ share: 0 }),
        () => store.rateLimit({ onFailure: "closed" as never }),
        () => store.breaker({ timeout: -1 }),
        () => store.cache({} as never),
        () => Redis.make({} as never),
        () => Redis.make({ send: () => Promise.resolve(), prefix: "" }),
        () => RateLimit.make({ shared: store.rateLimit() }),
        () => RateLimit.make({ limit: 1, window: 1, learn: true, shared: store.rateLimit() }),
        () => RateLimit.make({ limit: 1, window: 1, shared: {} as never }),
        () => Breaker.make({ shared: {} as never })
      ]
      for (const make of wrong) assert.throws(make, /takes/)
    })
  )
})
