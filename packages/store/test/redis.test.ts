import { NodeRedis } from "@effect/platform-node"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Breaker } from "@hawser/breaker"
import type { ResponseCache } from "@hawser/cache"
import { RateLimit } from "@hawser/ratelimit"
import { Clock, Effect } from "effect"
import { TestClock } from "effect/testing"
import { join } from "node:path"
import { Redis } from "../src/index.ts"
import * as Circuit from "../src/internal/circuit.ts"
import * as Limit from "../src/internal/limit.ts"
import { type Program, step } from "../src/internal/program.ts"
import { type Send, statesOf } from "../src/internal/redis.ts"
import { conformance } from "./conformance.ts"
import { forEachSeed } from "./support/help.ts"
import { excess } from "./support/limitModel.ts"
import { isInstalled, Server } from "./support/redisServer.ts"
import { redis, virtualTime } from "./support/worlds.ts"

if (!isInstalled) console.log("There is no redis-server on the PATH: the tests of Redis are skipped.")

describe.skipIf(!isInstalled)("Redis", { timeout: 60_000 }, () => {
  const server = new Server()
  beforeAll(() => server.start(), 60_000)
  afterAll(() => server.stop())

  conformance(redis(server))

  let worlds = 0
  const make = Effect.suspend(() => {
    const prefix = `own${++worlds}:`
    return Effect.map(Redis.make({ send: server.send, prefix }), (store) => ({ store, prefix }))
  })
  const keys = (prefix: string) => Effect.promise(() => server.client.keys(`${prefix}*`))
  const entry: ResponseCache.Stored = {
    value: { block: "0x1" },
    writtenAt: 0,
    ttl: 1_000,
    staleWhileRevalidate: 0,
    staleIfError: 0,
    tags: ["x"]
  }

  it.effect("RL10 RL13: its scripts say what the programs in TypeScript say, and keep the same", () =>
    forEachSeed(6, (dice) =>
      Effect.gen(function* () {
        const prefix = `own${++worlds}:`
        let now = 1e15
        const send: Send = (command) =>
          Effect.tryPromise(() => server.send(command[0]!.startsWith("EVAL") ? [...command, String(now)] : command))
        const states = statesOf(send, prefix, virtualTime)
        const rates = [
          { limit: 1 + dice.below(1_000), window: 1 + dice.below(5_000), burst: 1 + dice.below(20) },
          { limit: 1 + dice.below(50), window: 60_000, burst: 1 + dice.below(20) }
        ].slice(dice.below(2))
        const ticks = Limit.argsOf(rates)
        const texts = new Map<string, string>()
        const slots = [[0, 0]]
        const leases = [1, 2]
        const commands: ReadonlyArray<() => readonly [Program, ReadonlyArray<number>]> = [
          () => [Limit.take, [1 + dice.below(8), ...ticks]],
          () => [Limit.take, [1 + dice.below(8), ...ticks]],
          () => [Limit.undo, [1 + dice.below(8), ...dice.of(slots.slice(-3)), ...ticks]],
          () => [Limit.pause, [dice.below(2e6), dice.of(slots.slice(-3))[0]!, ...ticks]],
          () => [Circuit.read, []],
          () => [Circuit.trip, [dice.below(4e6), dice.below(5)]],
          () => [
            Circuit.probe,
            [dice.of(leases), dice.below(3), epoch, 1 + dice.below(3), dice.below(9e6), dice.below(5), dice.below(4e6)]
          ],
          () => [Circuit.settle, [dice.of(leases), dice.below(3), 1 + dice.below(3), dice.below(4e6), dice.below(5)]]
        ]
        let epoch = 0
        for (let round = 0; round < 300; round++) {
          now += dice.of([0, 1, 500, 40_000, 3_000_000, -1_000_000])
          const [program, args] = dice.of(commands)()
          const isLimit = ticks.every((tick, i) => args.slice(-ticks.length)[i] === tick)
          const key = isLimit ? "limit" : "circuit"
          const reply = yield* states.run(program, key, args)
          const expected = step(program, texts.get(key), now, args)
          assert.deepStrictEqual(reply, expected.reply)
          if (expected.text !== undefined) texts.set(key, expected.text)
          assert.strictEqual(yield* Effect.promise(() => server.client.get(prefix + key)), texts.get(key) ?? null)
          if (program === Limit.take && reply[0] === 0) slots.push([reply[2]!, reply[3]!])
          if (!isLimit) epoch = reply[0]!
        }
      })
    )
  )

  it.effect("RL11: clients whose clocks differ keep one limit, in the server's time", () =>
    Effect.gen(function* () {
      const rate = { limit: 50, window: 1_000, burst: 5 }
      const { store } = yield* make
      const serverTime = Effect.map(
        Effect.promise(() => server.send(["TIME"])),
        (time) => Number((time as [string, string])[0]) * 1e6 + Number((time as [string, string])[1])
      )
      // One lives by the real clock, one by that of the test.
      const quota = store.rateLimit({ timeout: "1 minute" }).quota("node", [rate])
      const quotas = [yield* quota, yield* Effect.provideService(quota, Clock.Clock, Clock.Clock.defaultValue())]
      const begin = yield* serverTime
      let taken = 0
      for (let i = 0; i < 200; i++) {
        yield* TestClock.adjust("1 day")
        const answer = yield* quotas[i % 2]!.take(1)
        if (answer?.permit !== undefined) taken++
      }
      const width = (yield* serverTime) - begin
      assert.isAtMost(taken, rate.burst + Math.floor((width * rate.limit) / 1e6))
      assert.isAtLeast(taken, rate.burst)
    })
  )

  it.effect("RL14: a limit is one key, and it lives as long as it means something", () =>
    Effect.gen(function* () {
      const { prefix, store } = yield* make
      const quota = yield* store.rateLimit().quota("node", [
        { limit: 10, window: 1_000, burst: 10 },
        { limit: 100, window: 3_600_000, burst: 10 }
      ])
      yield* quota.take(4)
      const [key, ...others] = yield* keys(prefix)
      assert.deepStrictEqual(others, [])
      const left = yield* Effect.promise(() => server.client.pTTL(key!))
      // Four of a hundred an hour come back in 144 seconds.
      assert.isAtMost(left, 144_002)
      assert.isAbove(left, 0)
    })
  )

  it.effect("a circuit is one key, and what a cache keeps ends by itself", () =>
    Effect.gen(function* () {
      const { prefix, store } = yield* make
      const breaker = yield* Breaker.make({ consecutive: 1, shared: store.breaker() })
      yield* Effect.exit(breaker.execute(Effect.fail("broken")))
      assert.strictEqual((yield* keys(prefix)).length, 1)
      yield* store.cache({ name: "a" }).set("k", entry, 60_000)
      for (const key of yield* keys(prefix)) {
        const left = yield* Effect.promise(() => server.client.pTTL(key))
        if (key.endsWith(":v")) assert.strictEqual(left, -1)
        else assert.isTrue(left > 0 && left <= 720_000, key)
      }
    })
  )

  it.effect("every command touches the one key it is sent with", () =>
    Effect.gen(function* () {
      const commands: Array<readonly [ReadonlyArray<string>, string]> = []
      const store = yield* Redis.make({
        prefix: `own${++worlds}:`,
        send: (command, key) => {
          commands.push([command, key])
          return server.send(command)
        }
      })
      const cache = store.cache({ name: "a" })
      yield* cache.set("k", entry, 60_000)
      assert.deepStrictEqual(yield* cache.get("k"), entry)
      yield* cache.invalidate("k")
      yield* cache.invalidateTag("x")
      yield* cache.clear()
      const limit = yield* RateLimit.make({ limit: 1, window: 1_000, shared: store.rateLimit() })
      yield* limit.execute(Effect.void)
      const breaker = yield* Breaker.make({ consecutive: 1, shared: store.breaker() })
      yield* Effect.exit(breaker.execute(Effect.fail("broken")))
      for (const [command, key] of commands) {
        if (command[0]!.startsWith("EVAL")) assert.deepStrictEqual(command.slice(2, 4), ["1", key])
        else assert.strictEqual(command[1], key)
      }
    })
  )

  it.effect("CA6: what Redis gives up for want of room is a miss, never an old value", () =>
    Effect.gen(function* () {
      const { prefix, store } = yield* make
      const cache = store.cache({ name: "a" })
      for (const lost of [`${prefix}cache:a:v`, `${prefix}cache:a:t:x`, `${prefix}cache:a:e:k`]) {
        yield* cache.set("k", entry, 60_000)
        assert.isDefined(yield* cache.get("k"))
        yield* Effect.promise(() => server.client.del(lost))
        assert.isUndefined(yield* cache.get("k"), lost)
        // Somebody writes another entry, and with it new versions.
        yield* cache.set("other", entry, 60_000)
        assert.isUndefined(yield* cache.get("k"), lost)
      }
    })
  )

  it.effect("what it cannot read is a miss", () =>
    Effect.gen(function* () {
      const { prefix, store } = yield* make
      const cache = store.cache({ name: "a" })
      for (const text of ["", "nonsense", "null", "{}", '{"versions":[],"entry":{"tags":[]}}']) {
        yield* cache.set("k", entry, 60_000)
        yield* Effect.promise(() => server.client.set(`${prefix}cache:a:e:k`, text))
        assert.isUndefined(yield* cache.get("k"))
      }
    })
  )

  it.effect("is served again after it was killed, by the stores that were made before", () =>
    Effect.gen(function* () {
      const { store } = yield* make
      const rate = { limit: 10, window: 86_400_000, burst: 4 }
      const limit = yield* RateLimit.make({
        ...rate,
        shared: store.rateLimit({ share: 0.5, timeout: "1 minute" }),
        maxQueue: 0
      })
      const breaker = yield* Breaker.make({ shared: store.breaker({ timeout: "1 minute" }) })
      const cache = store.cache({ name: "a" })
      yield* cache.set("k", entry, 60_000)
      yield* limit.execute(Effect.void, { weight: 2 })
      yield* Effect.promise(() => server.kill())
      // By itself: half of the limit, and of the burst.
      yield* limit.execute(Effect.void, { weight: 2 })
      assert.isTrue(RateLimit.isRateLimited(yield* Effect.flip(limit.execute(Effect.void))))
      yield* breaker.execute(Effect.void)
      assert.propertyVal(yield* Effect.flip(cache.get("k")), "_tag", "StoreError")
      yield* Effect.promise(() => server.revive())
      assert.deepStrictEqual(yield* cache.get("k"), entry)
      // What was taken before is still taken, what this process took by itself is not.
      yield* TestClock.adjust("1 day")
      yield* limit.execute(Effect.void, { weight: 2 })
      assert.strictEqual(limit.inspect().available, 0)
      yield* breaker.execute(Effect.void)
    })
  )

  it.effect("RL1: holds through a restart in the server's own time", () =>
    Effect.gen(function* () {
      const { store } = yield* make
      const rate = { limit: 10, window: 86_400_000, burst: 5 }
      const quota = yield* store.rateLimit({ timeout: "1 minute" }).quota("node", [rate])
      let granted = 0
      for (let i = 0; i < 12; i++) {
        if (i === 3 || i === 8) yield* Effect.promise(() => server.restart())
        if ((yield* quota.take(1))?.permit !== undefined) granted++
      }
      assert.strictEqual(granted, 5)
      assert.isUndefined(
        excess(
          Array.from({ length: granted }, () => ({ at: 0, weight: 1 })),
          rate
        )
      )
    })
  )

  it.effect("works through Effect's own Redis", () =>
    Effect.gen(function* () {
      const store = yield* Redis.fromEffect({ prefix: `own${++worlds}:` })
      const cache = store.cache({ name: "a" })
      yield* cache.set("k", entry, 60_000)
      assert.deepStrictEqual(yield* cache.get("k"), entry)
      yield* Effect.promise(() => server.send(["SCRIPT", "FLUSH"]))
      const quota = yield* store.rateLimit().quota("node", [{ limit: 1, window: 86_400_000, burst: 1 }])
      assert.isDefined((yield* quota.take(1))?.permit)
      assert.isUndefined((yield* quota.take(1))?.permit)
    }).pipe(
      Effect.provide(NodeRedis.layer({ socket: { path: join(server.path, "socket"), tls: false } })),
      Effect.provideService(Clock.Clock, Clock.Clock.defaultValue())
    )
  )
})
