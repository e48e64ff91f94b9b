import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import { Breaker, Concurrency, RateLimit, Timeout } from "hawser"
import { LRUCache } from "lru-cache"
import { RateLimiterMemory } from "rate-limiter-flexible"
import { made } from "../Harness.ts"
import type { Crowd } from "../Sizes.ts"
import { theirs } from "./breaker.ts"
import { ownCache } from "./cache.ts"
import { poolOf } from "./pool.ts"
import { micro, sync } from "./works.ts"

/** Goes through the keys in an order that helps no processor's cache. */
const keys = (size: number) => {
  const names = Array.from({ length: size }, (_, i) => `key ${i}`)
  let at = 0
  return { names, next: () => names[(at = (at + 7919) % size)]! }
}

const policy = { ttl: "1 hour" } as const

/** Whoever stands in line behind the one that has the only place, until the process ends. */
const inLine = (limit: (self: Effect.Effect<unknown>) => Effect.Effect<unknown, unknown>, size: number) => {
  for (let i = 0; i < size; i++) Effect.runFork(limit(Effect.never))
}

/** One more comes to the line, and leaves it. */
const comesAndGoes = (limited: Effect.Effect<unknown, unknown>) => () =>
  Effect.sync(() => Effect.runFork(limited).interruptUnsafe())

export const crowds: ReadonlyArray<Crowd> = [
  {
    name: "Breaker.makeKeyed",
    of: "keys",
    by: "hawser",
    make: (size) => {
      const breaker = made(Breaker.makeKeyed())
      const { names, next } = keys(size)
      for (const name of names) made(breaker.execute(name, sync()))
      return { call: () => breaker.execute(next(), sync()) }
    }
  },
  {
    name: "effect CircuitBreaker",
    of: "keys",
    by: "effect",
    make: (size) => {
      const breaker = theirs()
      const { names, next } = keys(size)
      for (const key of names) Effect.runFork(breaker.execute(sync(), { key }))
      return { call: () => breaker.execute(sync(), { key: next() }) }
    }
  },
  {
    name: "ResponseCache",
    of: "entries",
    by: "hawser",
    make: (size) => {
      const cache = ownCache(2 * size)
      const { names, next } = keys(size)
      for (const name of names) made(cache.execute(name, Effect.succeed(name), policy))
      return { call: () => cache.execute(next(), Effect.succeed(""), policy) }
    }
  },
  {
    name: "effect Cache",
    of: "entries",
    by: "effect",
    make: (size) => {
      const cache = made(Cache.make({ capacity: 2 * size, lookup: (key: string) => Effect.succeed(key) }))
      const { names, next } = keys(size)
      for (const name of names) made(Cache.get(cache, name))
      return { call: () => Cache.get(cache, next()) }
    }
  },
  {
    name: "lru-cache",
    of: "entries",
    by: "npm",
    make: (size) => {
      const cache = new LRUCache<string, string>({ max: 2 * size, ttl: 3_600_000 })
      const { names, next } = keys(size)
      for (const name of names) cache.set(name, name)
      return { call: () => Effect.sync(() => cache.get(next())) }
    }
  },
  {
    name: "UpstreamPool",
    of: "upstreams",
    by: "hawser",
    make: (size) => {
      const pool = poolOf(size)
      return { call: () => pool.execute(sync) }
    }
  },
  {
    name: "RateLimit",
    of: "waiters",
    by: "hawser",
    make: (size) => {
      const limit = made(RateLimit.make({ limit: 1, window: "1 day", maxQueue: 200_000, maxWait: Infinity }))
      inLine(limit.execute, size)
      return { call: comesAndGoes(limit.execute(Effect.never)) }
    }
  },
  {
    name: "rate-limiter-flexible",
    of: "keys",
    by: "npm",
    make: (size) => {
      const limiter = new RateLimiterMemory({ points: 1_000_000_000, duration: 3600 })
      const { names, next } = keys(size)
      for (const name of names) void limiter.consume(name)
      return { call: () => Effect.promise(() => limiter.consume(next())), waits: true }
    }
  },
  {
    name: "Concurrency",
    of: "waiters",
    by: "hawser",
    make: (size) => {
      const limit = made(Concurrency.make({ limit: 1, maxQueue: 200_000, maxWait: Infinity }))
      inLine(limit.execute, size)
      return { call: comesAndGoes(limit.execute(Effect.never)) }
    }
  },
  {
    name: "effect Semaphore",
    of: "waiters",
    by: "effect",
    most: 1000,
    make: (size) => {
      const semaphore = Semaphore.makeUnsafe(1)
      inLine((self) => semaphore.withPermit(self), size)
      return { call: comesAndGoes(semaphore.withPermit(Effect.never)) }
    }
  },
  {
    name: "Timeout",
    of: "calls under way",
    by: "hawser",
    make: (size) => {
      const timeout = made(Timeout.make("1 day"))
      for (let i = 0; i < size; i++) Effect.runFork(timeout.execute(Effect.never))
      return { call: () => timeout.execute(micro), waits: true }
    }
  }
]
