// What every store must do, however it does it. Time is virtual, and the store is killed and restarted in the middle.
import { assert, describe, it } from "@effect/vitest"
import { Breaker } from "@hawser/breaker"
import { ResponseCache } from "@hawser/cache"
import { Call } from "@hawser/core"
import { RateLimit } from "@hawser/ratelimit"
import { Clock, Deferred, Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import type { Store } from "../src/index.ts"
import { perform } from "./support/breakerTrace.ts"
import { CacheModel } from "./support/cacheModel.ts"
import { Busy, eventually, fork, forEachSeed, Refused } from "./support/help.ts"
import { excess, LimitModel } from "./support/limitModel.ts"
import { memory, type Subject, type World } from "./support/worlds.ts"

const now = Clock.currentTimeMillis

// A server takes its time to start on a busy machine.
const patient = { timeout: 60_000 }

export const conformance = (subject: Subject): void => {
  describe("a shared rate limit", patient, () => {
    limits(subject)
  })
  describe("a shared breaker", patient, () => {
    breakers(subject)
  })
  describe("a second level", patient, () => {
    caches(subject)
  })
}

const limits = ({ scenarios, world }: Subject): void => {
  const quotas = (world: World, rates: ReadonlyArray<RateLimit.Rate>, count = 3) =>
    Effect.forEach(Array.from({ length: count }), () =>
      Effect.flatMap(world.open, (store) => store.rateLimit().quota("node", rates))
    )

  const taken = (quota: RateLimit.Quota, weight = 1) =>
    Effect.map(quota.take(weight), (answer) => {
      assert.isDefined(answer, "the store does not answer")
      return answer
    })

  it.effect("RL1 RL2 RL3 RL9 RL14 RL16: is that of the model, for several processes and through restarts", () =>
    forEachSeed(scenarios, (dice) =>
      Effect.scoped(
        Effect.gen(function* () {
          const here = yield* world
          const rates = dice.of([
            [{ limit: 10, window: 1_000, burst: 1 }],
            [{ limit: 4, window: 1_000, burst: 6 }],
            [
              { limit: 5, window: 1_000, burst: 2 },
              { limit: 20, window: 10_000, burst: 8 }
            ]
          ])
          const model = new LimitModel(rates)
          let processes = yield* quotas(here, rates)
          const start = yield* now
          const permits: Array<{
            readonly number: number
            readonly permit: RateLimit.Permit
            readonly weight: number
          }> = []
          for (let round = 0; round < 90; round++) {
            if (round === 30 || round === 60) {
              yield* here.restart
              processes = yield* quotas(here, rates)
            }
            const micros = ((yield* now) - start) * 1000
            const quota = dice.of(processes)
            const recent = permits.slice(-4)
            const what = dice.next()
            if (what < 0.55) {
              const weight = 1 + dice.below(4)
              const wait = model.wait(micros, weight)
              const answer = yield* taken(quota, weight)
              assert.closeTo(answer.wait, wait / 1000, 1e-6)
              const number = model.take(micros, weight)
              assert.strictEqual(answer.permit === undefined, number === undefined)
              assert.strictEqual(answer.available, model.available(micros))
              assert.closeTo(answer.pausedFor, Math.max(0, model.pausedUntil - micros) / 1000, 1e-6)
              if (number !== undefined) permits.push({ number, permit: answer.permit!, weight })
            } else if (what < 0.65 && recent.length > 0) {
              const { number, permit, weight } = dice.of(recent)
              yield* quota.undo(permit, weight)
              model.undo(micros, number)
              permits.splice(0)
            } else if (what < 0.7 && recent.length > 0) {
              const { number, permit } = dice.of(recent)
              const millis = 1 + dice.below(3_000)
              if (micros - model.takes[number]!.at > 30e6) continue
              yield* quota.pause(millis, permit)
              model.pause(micros, millis * 1000, number)
            } else {
              // Often to the very moment at which something passes again.
              const wait = model.wait(micros, 1 + dice.below(3))
              yield* TestClock.adjust(dice.below(3) === 0 ? dice.below(3_000) : Math.ceil(wait / 1000))
            }
          }
          const kept = model.takes.filter(({ undone }) => !undone)
          for (const rate of rates) assert.isUndefined(excess(kept, rate))
        })
      )
    )
  )

  it.effect("RL1: holds where the ticks do not come out even", () =>
    forEachSeed(scenarios, (dice) =>
      Effect.scoped(
        Effect.gen(function* () {
          const here = yield* world
          const rate = { limit: 7 + dice.below(50), window: 997, burst: 1 + dice.below(5) }
          const processes = yield* quotas(here, [rate])
          const kept: Array<{ readonly at: number; readonly weight: number }> = []
          for (let round = 0; round < 80; round++) {
            const at = (yield* now) * 1000
            const weight = 1 + dice.below(3)
            const { permit, wait } = yield* taken(dice.of(processes), weight)
            if (permit !== undefined) kept.push({ at, weight })
            else if (dice.below(2) === 0) yield* TestClock.adjust(Math.ceil(wait))
            yield* TestClock.adjust(dice.below(20))
          }
          assert.isUndefined(excess(kept, rate))
        })
      )
    )
  )

  it.effect("RL6: after a pause exactly the burst passes at once", () =>
    Effect.gen(function* () {
      const [one, two] = yield* quotas(yield* world, [{ limit: 10, window: 1_000, burst: 3 }], 2)
      yield* TestClock.adjust("1 hour")
      const answers = yield* Effect.forEach([one!, two!, one!, two!], (quota) => taken(quota))
      assert.deepStrictEqual(
        answers.map(({ permit }) => permit !== undefined),
        [true, true, true, false]
      )
    })
  )

  it.effect("limits of other upstreams and of other rates are other limits", () =>
    Effect.gen(function* () {
      const store = yield* (yield* world).open
      const rate = { limit: 1, window: 1_000, burst: 1 }
      for (const [name, rates] of [
        ["a", [rate]],
        ["b", [rate]],
        ["a", [{ ...rate, limit: 2 }]]
      ] as const) {
        const quota = yield* store.rateLimit().quota(name, rates)
        assert.isDefined((yield* taken(quota)).permit)
        assert.isUndefined((yield* taken(quota)).permit)
      }
    })
  )

  it.effect("limits of one upstream are apart if they are told so", () =>
    Effect.gen(function* () {
      const store = yield* (yield* world).open
      const rates = [{ limit: 1, window: 1_000, burst: 1 }]
      for (const name of [undefined, "a", "a:b", "%"]) {
        const quota = yield* store.rateLimit({ name }).quota("node", rates)
        assert.isDefined((yield* taken(quota)).permit)
        assert.isUndefined((yield* taken(quota)).permit)
      }
    })
  )

  const make = (store: Store.Store, options?: RateLimit.Options) =>
    RateLimit.make({ name: "node", limit: 2, window: "1 second", burst: 1, shared: store.rateLimit(), ...options })

  it.effect("RL8: who must wait stands in the line of his process, and passes when the store lets him", () =>
    Effect.gen(function* () {
      const here = yield* world
      const one = yield* make(yield* here.open)
      const two = yield* make(yield* here.open)
      const log: Array<string> = []
      const say = (what: string) => Effect.sync(() => void log.push(what))
      yield* one.execute(say("one"))
      const first = yield* fork(two.execute(say("first")))
      const second = yield* fork(two.execute(say("second")))
      yield* eventually(() => two.inspect().waiting === 2)
      assert.deepStrictEqual(log, ["one"])
      yield* TestClock.adjust(499)
      assert.deepStrictEqual(log, ["one"])
      yield* TestClock.adjust(1)
      yield* Fiber.join(first)
      yield* eventually(() => two.peek(1) !== undefined && Duration.toMillis(two.peek(1)!) > 0)
      yield* TestClock.adjust(500)
      yield* Fiber.join(second)
      assert.deepStrictEqual(log, ["one", "first", "second"])
      assert.deepInclude(two.inspect(), { admitted: 2, queued: 2, waiting: 0 })
    })
  )

  it.effect("RL7: who leaves the line has taken nothing", () =>
    Effect.gen(function* () {
      const here = yield* world
      const limit = yield* make(yield* here.open)
      yield* limit.execute(Effect.void)
      const gone = yield* fork(limit.execute(Effect.void))
      yield* eventually(() => limit.inspect().waiting === 1)
      const next = yield* fork(limit.execute(Effect.succeed("next")))
      yield* eventually(() => limit.inspect().waiting === 2)
      yield* Fiber.interrupt(gone)
      yield* TestClock.adjust(500)
      assert.strictEqual(yield* Fiber.join(next), "next")
      assert.deepInclude(limit.inspect(), { abandoned: 1, admitted: 2 })
    })
  )

  it.effect("in a pool, and before a deadline, it refuses at once and says when", () =>
    Effect.gen(function* () {
      const here = yield* world
      const limit = yield* make(yield* here.open)
      yield* limit.execute(Effect.void)
      const call = new Call.Call()
      call.pooled = true
      const refused = yield* Effect.flip(Effect.provideService(limit.execute(Effect.void), Call.Current, call))
      assert.deepInclude(refused, { reason: "limit", queueable: true, retryAfter: Duration.millis(500) })
      const hurried = new Call.Call()
      hurried.deadline = 400
      const late = yield* Effect.flip(Effect.provideService(limit.execute(Effect.void), Call.Current, hurried))
      assert.deepInclude(late, { reason: "limit", queueable: false })
      // RL4
      const never = yield* Effect.flip(limit.execute(Effect.void, { weight: 3 }))
      assert.deepInclude(never, { reason: "weight", retryAfter: undefined })
    })
  )

  it.effect("RL9: a pause that one process is asked for is kept by all, those in line included", () =>
    Effect.gen(function* () {
      const here = yield* world
      const options = { limit: 10, window: "1 second", burst: 10 } as const
      const one = yield* make(yield* here.open, options)
      const two = yield* make(yield* here.open, options)
      yield* Effect.exit(one.execute(Effect.fail(new Busy({ millis: 3_000 }))))
      const call = new Call.Call()
      call.pooled = true
      const refused = yield* Effect.flip(Effect.provideService(two.execute(Effect.void), Call.Current, call))
      assert.deepInclude(refused, { reason: "paused", retryAfter: Duration.millis(3_000) })
      const waiting = yield* fork(two.execute(now))
      yield* eventually(() => two.inspect().waiting === 1)
      yield* TestClock.adjust(3_000)
      assert.strictEqual(yield* Fiber.join(waiting), 3_000)
    })
  )

  it.effect("gives back what was taken for a request that a layer below refused to send", () =>
    Effect.gen(function* () {
      const here = yield* world
      const one = yield* make(yield* here.open)
      const two = yield* make(yield* here.open)
      yield* Effect.exit(one.execute(Effect.fail(new Refused())))
      assert.strictEqual(yield* two.execute(Effect.succeed("passed")), "passed")
    })
  )
}

const breakers = ({ scenarios, world }: Subject): void => {
  const options = { name: "node", consecutive: 1, openFor: "4 seconds", jitter: 0 } as const
  const make = (here: World, given?: Breaker.Options) =>
    Effect.flatMap(here.open, (store) => Breaker.make({ ...options, ...given, shared: store.breaker() }))
  const broken = Effect.fail("broken")
  const opened = (breaker: Breaker.Breaker) => Effect.exit(breaker.execute(broken))
  const passes = (breaker: Breaker.Breaker) => Effect.map(Effect.exit(breaker.execute(Effect.void)), Exit.isSuccess)
  const refusal = (breaker: Breaker.Breaker) => Effect.flip(breaker.execute(Effect.void))

  /** A call that runs until it is told how to end. */
  const held = (breaker: Breaker.Breaker) =>
    Effect.gen(function* () {
      const started = yield* Deferred.make<void>()
      const end = yield* Deferred.make<void, string>()
      const fiber = yield* fork(
        breaker.execute(Effect.andThen(Deferred.succeed(started, undefined), Deferred.await(end)))
      )
      yield* Deferred.await(started)
      return { fiber, end }
    })

  it.effect("CB1: when one opens, the others refuse, a second later at the latest", () =>
    Effect.gen(function* () {
      const here = yield* world
      const [one, two, three] = [yield* make(here), yield* make(here), yield* make(here)]
      assert.isTrue(yield* passes(two))
      yield* TestClock.adjust(100)
      yield* opened(one)
      // Three has not asked yet; two has, and does so only once a second.
      assert.deepInclude(yield* refusal(three), { reason: "open", retryAfter: Duration.seconds(4) })
      assert.isTrue(yield* passes(two))
      yield* TestClock.adjust(899)
      assert.isTrue(yield* passes(two))
      yield* TestClock.adjust(1)
      assert.deepInclude(yield* refusal(two), { reason: "open", retryAfter: Duration.millis(3_100) })
    })
  )

  it.effect("CB2: one probe over all processes; when it succeeds all close", () =>
    Effect.gen(function* () {
      const here = yield* world
      const [one, two] = [yield* make(here), yield* make(here)]
      yield* opened(one)
      assert.isFalse(yield* passes(two))
      yield* TestClock.adjust(4_000)
      const probe = yield* held(two)
      assert.deepInclude(yield* refusal(one), { reason: "half-open" })
      assert.deepInclude(yield* refusal(two), { reason: "half-open" })
      yield* Deferred.succeed(probe.end, undefined)
      yield* Fiber.join(probe.fiber)
      yield* TestClock.adjust(1_000)
      assert.isTrue(yield* passes(one))
      assert.strictEqual(one.inspect().state, "closed")
    })
  )

  it.effect("CB2: successes count together", () =>
    Effect.gen(function* () {
      const here = yield* world
      const three = { probes: 3, successes: 3 }
      const [one, two] = [yield* make(here, three), yield* make(here, three)]
      yield* opened(one)
      yield* passes(two)
      yield* TestClock.adjust(4_000)
      const probes = [yield* held(one), yield* held(two), yield* held(two)]
      for (const { end, fiber } of probes) {
        // Those that have succeeded keep their places.
        yield* TestClock.adjust(50)
        assert.deepInclude(yield* refusal(one), { reason: "half-open" })
        yield* Deferred.succeed(end, undefined)
        yield* Fiber.join(fiber)
      }
      assert.strictEqual(two.inspect().state, "closed")
      yield* TestClock.adjust(1_000)
      assert.isTrue(yield* passes(one))
      assert.strictEqual(one.inspect().state, "closed")
    })
  )

  it.effect("CB4: a probe that is interrupted gives its place back", () =>
    Effect.gen(function* () {
      const here = yield* world
      const [one, two] = [yield* make(here), yield* make(here)]
      yield* opened(one)
      yield* passes(two)
      yield* TestClock.adjust(4_000)
      const probe = yield* held(one)
      assert.isFalse(yield* passes(two))
      yield* Fiber.interrupt(probe.fiber)
      yield* TestClock.adjust(50)
      assert.isTrue(yield* passes(two))
    })
  )

  it.effect("CB5: a probe that never ends keeps its place for its lease", () =>
    Effect.gen(function* () {
      const here = yield* world
      const [one, two] = [
        yield* make(here, { probeLease: "10 seconds" }),
        yield* make(here, { probeLease: "10 seconds" })
      ]
      yield* opened(one)
      yield* passes(two)
      yield* TestClock.adjust(4_000)
      yield* held(one)
      yield* TestClock.adjust(9_999)
      assert.isFalse(yield* passes(two))
      yield* TestClock.adjust(1)
      assert.isTrue(yield* passes(two))
    })
  )

  it.effect("CB9: a probe that fails opens for all, for twice as long", () =>
    Effect.gen(function* () {
      const here = yield* world
      const [one, two] = [yield* make(here), yield* make(here)]
      yield* opened(one)
      yield* passes(two)
      yield* TestClock.adjust(4_000)
      yield* opened(two)
      assert.deepInclude(yield* refusal(one), { reason: "open", retryAfter: Duration.seconds(8) })
      assert.deepInclude(two.inspect(), { state: "open", openings: 2 })
      yield* TestClock.adjust(8_000)
      yield* opened(one)
      assert.deepInclude(one.inspect(), { state: "open", openings: 3 })
    })
  )

  it.effect("the last resort of a pool is one probe over all, too", () =>
    Effect.gen(function* () {
      const here = yield* world
      const [one, two] = [yield* make(here), yield* make(here)]
      const forced = Effect.provideService(Call.Insist, "probe")
      yield* opened(one)
      yield* passes(two)
      const first = yield* fork(forced(one.execute(Effect.never)))
      yield* eventually(() => one.inspect().probes === 1)
      assert.deepInclude(yield* Effect.flip(forced(two.execute(Effect.void))), { reason: "open" })
      yield* Fiber.interrupt(first)
      yield* forced(two.execute(Effect.void))
      yield* TestClock.adjust(1_000)
      assert.isTrue(yield* passes(one))
    })
  )

  it.effect("a health check that succeeds lets a probe through", () =>
    Effect.gen(function* () {
      const here = yield* world
      const one = yield* make(here)
      yield* opened(one)
      yield* Effect.provideService(one.execute(Effect.void), Call.Insist, "health")
      assert.isTrue(yield* passes(one))
      assert.strictEqual(one.inspect().state, "closed")
    })
  )

  it.effect("other upstreams have other circuits", () =>
    Effect.gen(function* () {
      const store = yield* (yield* world).open
      const one = yield* Breaker.make({ ...options, shared: store.breaker() })
      const two = yield* Breaker.make({ ...options, name: "other", shared: store.breaker() })
      const three = yield* Breaker.make({ ...options, shared: store.breaker({ name: "sepolia" }) })
      yield* opened(one)
      assert.isTrue(yield* passes(two))
      assert.isTrue(yield* passes(three))
    })
  )

  it.effect("CB1 CB2 CB3 CB5: holds for any history of several processes, which is the same in every store", () =>
    forEachSeed(scenarios, (dice) =>
      Effect.gen(function* () {
        const here = yield* Effect.scoped(Effect.flatMap(world, (world) => perform(dice, world)))
        const there = yield* Effect.scoped(Effect.flatMap(memory.world, (world) => perform(dice.again(), world)))
        assert.deepStrictEqual(here, there)
      })
    )
  )
}

const caches = ({ scenarios, world }: Subject): void => {
  const policy = { ttl: 60_000, staleWhileRevalidate: 60_000, tags: ["x"] } as const

  it.effect("CA1 CA6 CA14: is that of the model, for several processes and through restarts", () =>
    forEachSeed(scenarios, (dice) =>
      Effect.scoped(
        Effect.gen(function* () {
          const here = yield* world
          const model = new CacheModel()
          const open = Effect.forEach([1, 2], () => Effect.map(here.open, (store) => store.cache({ name: "mainnet" })))
          let processes = yield* open
          for (let round = 0; round < 90; round++) {
            if (round === 30 || round === 60) {
              yield* here.restart
              processes = yield* open
            }
            const cache = dice.of(processes)
            const key = dice.of(["a", "b", "c:1", "c", "%"])
            const tag = dice.of(["x", "y", "z"])
            const time = yield* now
            const what = dice.next()
            if (what < 0.45) {
              model.check(key, yield* cache.get(key), time)
            } else if (what < 0.75) {
              // Redis goes by real time here: nothing may end while the test runs.
              const ttl = 60_000 + dice.below(60_000)
              const entry: ResponseCache.Stored = {
                value: dice.of([undefined, null, 0, "", false, round, { round, text: "ü" }]),
                writtenAt: time,
                ttl,
                staleWhileRevalidate: 0,
                staleIfError: 0,
                tags: ["x", "y", "z"].filter(() => dice.below(3) === 0)
              }
              yield* cache.set(key, entry, ttl + dice.next())
              model.set(key, entry, time + ttl)
            } else if (what < 0.82) {
              yield* cache.invalidate(key)
              model.invalidate(key)
            } else if (what < 0.89) {
              yield* cache.invalidateTag(tag)
              model.invalidateTag(tag)
            } else if (what < 0.91) {
              yield* cache.clear()
              model.clear()
            } else yield* TestClock.adjust(dice.below(30_000))
          }
        })
      )
    )
  )

  it.effect("what one process has loaded another has, for what is left of its life", () =>
    Effect.gen(function* () {
      const here = yield* world
      const [one, two] = yield* Effect.forEach([1, 2], () =>
        Effect.flatMap(here.open, (store) => ResponseCache.make({ jitter: 0, store: store.cache({ name: "mainnet" }) }))
      )
      yield* one!.set("a", { block: 1 }, policy)
      yield* TestClock.adjust(600)
      assert.deepStrictEqual(yield* two!.execute("a", Effect.never, policy), { block: 1 })
      assert.deepInclude(two!.get("a"), { age: 600, stale: false })
      yield* one!.invalidateTag("x")
      yield* TestClock.adjust(1)
      const three = yield* Effect.flatMap(here.open, (store) =>
        ResponseCache.make({ store: store.cache({ name: "mainnet" }) })
      )
      assert.strictEqual(yield* three.execute("a", Effect.succeed("new"), policy), "new")
    })
  )

  it.effect("CA16: caches of other names share nothing", () =>
    Effect.gen(function* () {
      const store = yield* (yield* world).open
      const [one, two] = [store.cache({ name: "a" }), store.cache({ name: "a:e" })]
      const entry = { value: 1, writtenAt: 0, ttl: 1_000, staleWhileRevalidate: 0, staleIfError: 0, tags: ["x"] }
      yield* one.set("e:k", entry, 60_000)
      yield* two.set("k", entry, 60_000)
      yield* two.invalidateTag("x")
      yield* two.clear()
      assert.deepStrictEqual(yield* one.get("e:k"), entry)
      assert.isUndefined(yield* two.get("k"))
    })
  )

  it.effect("what is too large is not kept, nor is what it replaces; what has no JSON form fails", () =>
    Effect.gen(function* () {
      const store = yield* (yield* world).open
      const cache = store.cache({ name: "a", maxEntryBytes: 200 })
      const entry = { value: "small", writtenAt: 0, ttl: 1_000, staleWhileRevalidate: 0, staleIfError: 0, tags: [] }
      yield* cache.set("k", entry, 60_000)
      assert.isDefined(yield* cache.get("k"))
      yield* cache.set("k", { ...entry, value: "ü".repeat(100) }, 60_000)
      assert.isUndefined(yield* cache.get("k"))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(cache.set("k", { ...entry, value: 1n }, 60_000))))
    })
  )

  it.effect("a life without end is kept", () =>
    Effect.gen(function* () {
      const store = yield* (yield* world).open
      const cache = yield* ResponseCache.make({ store: store.cache({ name: "a" }) })
      yield* cache.set("k", 1, { ttl: Infinity, tags: ["x"] })
      yield* TestClock.adjust("365 days")
      const other = yield* ResponseCache.make({ store: store.cache({ name: "a" }) })
      assert.strictEqual(yield* other.execute("k", Effect.never, { ttl: Infinity }), 1)
    })
  )
}
