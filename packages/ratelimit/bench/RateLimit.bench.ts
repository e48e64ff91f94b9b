/**
 * What a free limiter costs, and what a long line costs: `node packages/ratelimit/bench/RateLimit.bench.ts`.
 *
 * Each row of the first table is the best of several rounds that take turns, as a multiple of a bare `Effect.sync` in
 * the same process. "alone" runs every call in a fiber of its own, "within" runs them one after the other inside one
 * fiber. The second table is the time of one operation while so many stand in line. The numbers say nothing about
 * latency under load.
 */
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Theirs from "effect/persistence/RateLimiter"
import * as Semaphore from "effect/Semaphore"
import { Concurrency, RateLimit } from "../src/index.ts"

const rounds = 15
const calls = 50_000

const work = Effect.sync(() => 1)

const rate = { limit: 1_000_000_000, window: "1 second", burst: 1_000_000_000 } as const
const unlimited = Effect.runSync(RateLimit.make())
const one = Effect.runSync(RateLimit.make(rate))
const two = Effect.runSync(RateLimit.make({ limits: [rate, { ...rate, window: "1 day" }] }))
const places = Effect.runSync(Concurrency.make({ limit: 100 }))
const aimd = Effect.runSync(Concurrency.make({ limit: 100, adaptive: true }))
const gradient = Effect.runSync(Concurrency.make({ limit: 100, adaptive: { algorithm: "gradient" } }))
const semaphore = Semaphore.makeUnsafe(100)
const limited = Effect.runSync(
  Effect.provide(Theirs.makeWithRateLimiter, Theirs.layer.pipe(Layer.provide(Theirs.layerStoreMemory)))
)({ key: "a", algorithm: "token-bucket", onExceeded: "delay", limit: 1_000_000_000, window: "1 second" })

const cases: Record<string, Effect.Effect<unknown, unknown>> = {
  "Effect.sync": work,
  "RateLimit, without a limit": unlimited.execute(work),
  "RateLimit, one limit": one.execute(work),
  "RateLimit, two limits": two.execute(work),
  "effect/persistence RateLimiter": limited(work),
  "Concurrency, fixed": places.execute(work),
  "Concurrency, aimd": aimd.execute(work),
  "Concurrency, gradient": gradient.execute(work),
  "effect Semaphore": semaphore.withPermit(work)
}

const alone = (self: Effect.Effect<unknown, unknown>): void => {
  for (let i = 0; i < calls; i++) Effect.runSync(self)
}

const within = (self: Effect.Effect<unknown, unknown>): void => {
  let i = 0
  Effect.runSync(Effect.whileLoop({ while: () => i < calls, body: () => self, step: () => void i++ }))
}

const nanos = (count: number, run: () => void): number => {
  const start = process.hrtime.bigint()
  run()
  return Number(process.hrtime.bigint() - start) / count
}

const best = (run: (self: Effect.Effect<unknown, unknown>) => void): Record<string, number> => {
  const result: Record<string, number> = {}
  for (let round = 0; round < rounds; round++) {
    for (const [name, self] of Object.entries(cases)) {
      const spent = nanos(calls, () => run(self))
      result[name] = Math.min(result[name] ?? Infinity, spent)
    }
  }
  return result
}

const [a, w] = [best(alone), best(within)]
console.log(`${"".padEnd(32)}      alone         within`)
for (const name of Object.keys(cases)) {
  const column = (all: Record<string, number>) =>
    `${all[name]!.toFixed(0)} ns`.padStart(9) + ` ×${(all[name]! / all["Effect.sync"]!).toFixed(2)}`.padEnd(7)
  console.log(name.padEnd(32), column(a), column(w))
}

type Limit = (self: Effect.Effect<void>) => Effect.Effect<void, unknown>

/** One holds the only place, so many wait for it. */
const crowd = (limit: Limit, waiting: number) => {
  const gate = Deferred.makeUnsafe<void>()
  Effect.runFork(limit(Deferred.await(gate)))
  const fibers: Array<Fiber.Fiber<void, unknown>> = []
  for (let i = 0; i < waiting; i++) fibers.push(Effect.runFork(limit(Effect.void)))
  return { gate, fibers }
}

const inLine = async (limit: () => Limit, waiting: number) => {
  const some = 1000
  const serving = crowd(limit(), waiting)
  const start = process.hrtime.bigint()
  Deferred.doneUnsafe(serving.gate, Effect.void)
  const last = serving.fibers[some - 1]!
  while (last.pollUnsafe() === undefined) await new Promise((resolve) => setImmediate(resolve))
  const served = serving.fibers.findLastIndex((fiber) => fiber.pollUnsafe() !== undefined) + 1
  const serve = Number(process.hrtime.bigint() - start) / served
  const leaving = crowd(limit(), waiting)
  const leave = nanos(some, () => {
    for (let i = 0; i < some; i++) leaving.fibers[(i * 7919) % waiting]!.interruptUnsafe()
  })
  return `${(serve / 1000).toFixed(1)} µs`.padStart(10) + `${(leave / 1000).toFixed(1)} µs`.padStart(10)
}

const ours = (): Limit => Effect.runSync(Concurrency.make({ limit: 1, maxQueue: 1_000_000 })).execute
const theirs = (): Limit => {
  const semaphore = Semaphore.makeUnsafe(1)
  return (self) => semaphore.withPermit(self)
}

console.log(`\n${"in line".padEnd(12)}  Concurrency: serve, leave    Semaphore: serve, leave`)
for (const waiting of [1_000, 10_000, 100_000]) {
  const us = await inLine(ours, waiting)
  // A release of theirs copies the whole line, so the longest would take minutes.
  const them = waiting > 10_000 ? "" : await inLine(theirs, waiting)
  console.log(String(waiting).padEnd(18), us, "     ", them)
}
process.exit(0)
