import Bottleneck from "bottleneck"
import { bulkhead } from "cockatiel"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as RateLimiter from "effect/persistence/RateLimiter"
import * as Semaphore from "effect/Semaphore"
import { Concurrency, RateLimit } from "hawser"
import { RateLimiterMemory } from "rate-limiter-flexible"
import { effects, type Group, npm, ours } from "../Cases.ts"
import { made } from "../Harness.ts"
import { settled, sync } from "./works.ts"

const most = 1_000_000_000

export const rateLimit: Group = {
  name: "limiter",
  about: "free",
  cases: () => {
    const pause = made(RateLimit.make())
    const one = made(RateLimit.make({ limit: most, window: "1 second", burst: most }))
    const theirs = made(
      Effect.provide(
        RateLimiter.makeWithRateLimiter,
        RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory))
      )
    )({ key: "a", algorithm: "token-bucket", onExceeded: "delay", limit: most, window: "1 second" })
    const flexible = new RateLimiterMemory({ points: most, duration: 1 })
    const bottleneck = new Bottleneck({ reservoir: most })
    return [
      ours("RateLimit", () => one.execute(sync()), { times: 3 }),
      ours("RateLimit, only the pause", () => pause.execute(sync()), { times: 3 }),
      effects("effect RateLimiter", () => theirs(sync())),
      npm("rate-limiter-flexible", () => flexible.consume("a").then(settled)),
      npm("bottleneck, reservoir", () => bottleneck.schedule(settled))
    ]
  }
}

export const concurrency: Group = {
  name: "concurrency",
  about: "free",
  cases: () => {
    const fixed = made(Concurrency.make({ limit: 100 }))
    const adaptive = made(Concurrency.make({ limit: 100, adaptive: true }))
    const semaphore = Semaphore.makeUnsafe(100)
    const cockatiel = bulkhead(100, 1000)
    const bottleneck = new Bottleneck({ maxConcurrent: 100 })
    return [
      ours("Concurrency", () => fixed.execute(sync()), { times: 3 }),
      ours("Concurrency, adaptive", () => adaptive.execute(sync())),
      effects("effect Semaphore", () => semaphore.withPermit(sync())),
      npm("cockatiel bulkhead", () => cockatiel.execute(settled)),
      npm("bottleneck", () => bottleneck.schedule(settled))
    ]
  }
}
