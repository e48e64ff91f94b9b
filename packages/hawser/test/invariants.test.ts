/** Invariants that take several packages to hold: of a hedge over a pool, of fallback and cache, of any stack. */
import { assert, describe, it } from "@effect/vitest"
import { Interruption } from "@hawser/testkit"
import { Clock, Duration, Effect, Exit, Fiber, Random } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import {
  Breaker,
  Concurrency,
  Deadline,
  Fallback,
  Hedge,
  RateLimit,
  ResponseCache,
  Retry,
  Timeout,
  UpstreamPool
} from "hawser"
import { Broken, build, type Client, inVirtualTime, node, read, type Upstream } from "./support/upstream.ts"

const pool = (...upstreams: ReadonlyArray<Upstream>): Client => UpstreamPool.layer(upstreams)

/** Runs to the end in virtual time. */
const ended = <A, E>(self: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(self, { startImmediately: true })
    yield* TestClock.adjust("1 hour")
    return yield* Fiber.await(fiber)
  })

describe("a hedge over a pool", () => {
  it("HG11: no two attempts of one call go to one upstream until all have been asked", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.integer({ min: 2, max: 4 }),
        fc.integer({ min: 1, max: 3 }),
        (seed, n, hedges) =>
          inVirtualTime(
            Effect.gen(function* () {
              const nodes = Array.from({ length: n }, (_, i) =>
                node(`${i}`, () => Effect.delay(Effect.succeed(i), "10 seconds"))
              )
              const hedge = Hedge.layer({ delay: "100 millis", hedges, budget: false })
              const rpc = yield* build(hedge(pool(...nodes.map(({ layer }) => layer))))
              yield* ended(rpc.request(read))
              for (const { counts } of nodes) assert.isAtMost(counts.asked, 1)
              assert.strictEqual(
                nodes.reduce((sum, { counts }) => sum + counts.asked, 0),
                Math.min(n, 1 + hedges)
              )
            }),
            seed
          )
      ),
      { numRuns: 40 }
    ))
})

describe("a fallback over a cache and a pool", () => {
  it.effect("FB4, FB7: its answer is not kept for the upstream's, nor counted for it", () =>
    Effect.gen(function* () {
      let up = false
      const { counts, layer } = node("a", () => (up ? Effect.succeed("real") : Effect.fail(new Broken())))
      const client = pool(Breaker.layer()(layer)).pipe(
        ResponseCache.layer({ policy: () => ({ ttl: "1 hour" }), jitter: 0 }),
        Fallback.layer({ on: "NoAnswer" as never, run: () => Effect.succeed("instead") })
      )
      const rpc = yield* build(client)
      for (let i = 1; i <= 3; i++) {
        assert.strictEqual(yield* rpc.request(read), "instead")
        assert.strictEqual(counts.asked, i)
      }
      const { upstreams } = rpc.inspect() as any
      assert.deepInclude(upstreams[0].pool, { successes: 0, failures: 3 })
      assert.strictEqual(upstreams[0].breaker.streak, 3)
      up = true
      assert.strictEqual(yield* rpc.request(read), "real")
      up = false
      assert.strictEqual(yield* rpc.request(read), "real")
      assert.strictEqual(counts.asked, 4)
    }).pipe(Effect.scoped)
  )
})

describe("any stack", () => {
  const above: ReadonlyArray<(self: Client) => Client> = [
    Hedge.layer({ delay: "30 millis" }),
    Retry.layer({ schedule: Retry.backoff({ base: "10 millis", cap: "50 millis" }) }),
    ResponseCache.layer({ policy: () => ({ ttl: "1 hour" }) }),
    Deadline.layer("200 millis")
  ]
  const below: ReadonlyArray<(self: Upstream) => Upstream> = [
    Timeout.layer("60 millis"),
    Concurrency.layer({ limit: 1 }),
    RateLimit.layer({ limit: 3, window: "100 millis" }),
    Breaker.layer({ consecutive: 2, openFor: "50 millis" })
  ]
  const some = <T>(all: ReadonlyArray<(self: T) => T>, mask: number, self: T) =>
    all.reduce((self, layer, i) => ((mask >> i) & 1 ? layer(self) : self), self)

  for (const mask of [0b1111_1111, 0b1111_0000, 0b0101_1010, 0b1001_0110]) {
    it.effect(
      `ST1: interrupted at any step, leaves nothing under way (layers ${mask.toString(2).padStart(8, "0")})`,
      () =>
        Effect.gen(function* () {
          const steps = yield* Interruption.everywhere(
            Effect.sync(() => {
              const nodes = ["a", "b"].map((name, i) =>
                node(name, (nth) =>
                  nth % 3 === i
                    ? Effect.delay(Effect.fail(new Broken()), "10 millis")
                    : Effect.delay(Effect.succeed(1), "40 millis")
                )
              )
              const rpc: { inspect?: () => any } = {}
              const run = Effect.scoped(
                Effect.gen(function* () {
                  const upstreams = nodes.map(({ layer }) => some(below, mask & 15, layer))
                  const client = yield* build(some(above, mask >> 4, pool(...upstreams)))
                  rpc.inspect = () => client.inspect()
                  yield* Effect.all([Effect.exit(client.request(read)), Effect.exit(client.request(read))], {
                    concurrency: "unbounded"
                  })
                })
              ).pipe(Random.withSeed(mask))
              return {
                run,
                check: () => {
                  for (const { counts } of nodes) assert.strictEqual(counts.running, 0)
                  for (const upstream of rpc.inspect?.().upstreams ?? []) {
                    assert.strictEqual(upstream.pool.inflight, 0)
                    assert.strictEqual(upstream.concurrency?.inflight ?? 0, 0)
                    assert.strictEqual(upstream.breaker?.probes ?? 0, 0)
                  }
                }
              }
            })
          )
          assert.isAbove(steps, 50)
        })
    )
  }

  it("ST2: what inner layers refuse is no failure of the upstream's, to nobody", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 5, max: 40 }),
        (seed, limit, calls) =>
          inVirtualTime(
            Effect.gen(function* () {
              const { layer } = node("a", () => Effect.delay(Effect.succeed(1), "100 millis"))
              const guarded = layer.pipe(
                Concurrency.layer({ limit: 1 }),
                RateLimit.layer({ limit, window: "1 minute" }),
                Breaker.layer({ consecutive: 2 })
              ) as Upstream
              const rpc = yield* build(pool(guarded))
              yield* ended(
                Effect.forEach(
                  Array.from({ length: calls }),
                  (_, i) => Effect.delay(Effect.exit(rpc.request(read)), 20 * i),
                  { concurrency: "unbounded" }
                )
              )
              const [upstream] = (rpc.inspect() as any).upstreams
              assert.isAbove(upstream.pool.refusals, 0)
              assert.deepInclude(upstream.pool, { failures: 0, failing: 0, inflight: 0 })
              assert.deepInclude(upstream.breaker, { state: "closed", failures: 0, streak: 0 })
            }),
            seed
          )
      ),
      { numRuns: 30 }
    ))

  it("ST3: when all fails, extra requests stay within the budget, however retries are nested", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.integer({ min: 1, max: 3 }),
        fc.integer({ min: 10, max: 80 }),
        fc.integer({ min: 0, max: 500 }),
        (seed, depth, calls, apart) =>
          inVirtualTime(
            Effect.gen(function* () {
              const { counts, layer } = node("a", () => Effect.fail(new Broken()))
              const nested = Array.from({ length: depth }).reduce<Client>((self) => Retry.layer()(self), pool(layer))
              const rpc = yield* build(Deadline.layer("10 seconds")(nested))
              yield* ended(
                Effect.forEach(
                  Array.from({ length: calls }),
                  (_, i) => Effect.delay(Effect.exit(rpc.request(read)), apart * i),
                  { concurrency: "unbounded" }
                )
              )
              const windows = Math.ceil((calls * apart + 10_000) / 10_000)
              assert.isAtMost(counts.asked, 1.5 * calls + 10 * windows)
            }),
            seed
          )
      ),
      { numRuns: 30 }
    ))

  it("ST4: layers without limits leave an effect as it is", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.nat(100),
        fc.constantFrom("value", "failure", "defect", "interruption" as const),
        (seed, lasts, how) =>
          inVirtualTime(
            Effect.gen(function* () {
              const ends: Effect.Effect<string, Broken> = {
                value: Effect.succeed("value"),
                failure: Effect.fail(new Broken()),
                defect: Effect.die("bug"),
                interruption: Effect.interrupt
              }[how]
              const bare = lasts === 0 ? ends : Effect.delay(ends, Duration.millis(lasts))
              const layers = [
                yield* Timeout.make(Infinity),
                yield* Concurrency.make({ limit: 1e6 }),
                yield* RateLimit.make(),
                yield* Breaker.make({ consecutive: false, rate: false }),
                yield* Hedge.make({ delay: "1 hour" }),
                yield* Retry.make({ attempts: 1 }),
                yield* Deadline.make(Infinity),
                yield* Fallback.make({ on: () => false, run: () => Effect.succeed("instead") })
              ]
              const order = yield* Random.shuffle(layers)
              const all = Array.from(order).reduce<Effect.Effect<string, any>>(
                (self, layer: any) => layer.execute(self),
                bare
              )
              const clock = yield* Clock.Clock
              const run = (self: Effect.Effect<string, any>) =>
                Effect.gen(function* () {
                  const start = clock.currentTimeMillisUnsafe()
                  let took = -1
                  const exit = yield* ended(
                    Effect.onExit(self, () => Effect.sync(() => void (took = clock.currentTimeMillisUnsafe() - start)))
                  )
                  const reasons = Exit.isSuccess(exit) ? exit.value : exit.cause.reasons.map((reason) => reason._tag)
                  return { reasons, took }
                })
              assert.deepStrictEqual(yield* run(all), yield* run(bare))
            }),
            seed
          )
      ),
      { numRuns: 60 }
    ))
})
