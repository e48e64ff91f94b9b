import {
  ExponentialBackoff,
  handleAll,
  retry as cockatielRetry,
  timeout as cockatielTimeout,
  TimeoutStrategy
} from "cockatiel"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { Deadline, Fallback, Hedge, Retry, Timeout } from "hawser"
import pRetry from "p-retry"
import { effects, type Group, npm, ours } from "../Cases.ts"
import { made } from "../Harness.ts"
import { micro, settled, sync } from "./works.ts"

export const timeout: Group = {
  name: "timeout",
  about: "in time; of an answer that is there, and of one that takes a microtask",
  cases: () => {
    const limit = made(Timeout.make("4 seconds"))
    const deadline = made(Deadline.make("10 seconds"))
    const aggressive = cockatielTimeout(4000, TimeoutStrategy.Aggressive)
    const cooperative = cockatielTimeout(4000, TimeoutStrategy.Cooperative)
    return [
      ours("Timeout", () => limit.execute(sync()), { times: 15 }),
      ours("Timeout, a microtask", () => limit.execute(micro), { waits: true, times: 15 }),
      ours("Deadline", () => deadline.execute(sync())),
      ours("Deadline, a microtask", () => deadline.execute(micro), { waits: true }),
      effects("Effect.timeout", () => Effect.timeout(sync(), "4 seconds")),
      effects("Effect.timeout, a microtask", () => Effect.timeout(micro, "4 seconds"), { waits: true }),
      npm("cockatiel, aggressive", () => aggressive.execute(settled)),
      npm("cockatiel, cooperative", () => cooperative.execute(settled))
    ]
  }
}

export const hedge: Group = {
  name: "hedge",
  about: "not needed",
  cases: () => {
    const policy = made(Hedge.make())
    const race = (self: () => Effect.Effect<number>) => Effect.raceFirst(self(), Effect.delay(self(), "500 millis"))
    return [
      ours("Hedge", () => policy.execute(sync()), { times: 15 }),
      ours("Hedge, a microtask", () => policy.execute(micro), { waits: true, times: 15 }),
      effects("Effect.raceFirst", () => race(sync)),
      effects("Effect.raceFirst, a microtask", () => race(() => micro), { waits: true })
    ]
  }
}

export const retry: Group = {
  name: "retry",
  about: "not needed",
  cases: () => {
    const policy = made(Retry.make())
    const fallback = made(Fallback.make({ on: () => true, run: sync }))
    const schedule = Schedule.exponential("100 millis")
    const cockatiel = cockatielRetry(handleAll, { maxAttempts: 5, backoff: new ExponentialBackoff() })
    return [
      ours("Retry", () => policy.execute(sync())),
      effects("Effect.retry, schedule", () => Effect.retry(sync(), { schedule, times: 5 })),
      npm("cockatiel retry", () => cockatiel.execute(settled)),
      npm("p-retry", () => pRetry(settled, { retries: 5 })),
      ours("Fallback", () => fallback.execute(sync())),
      effects("Effect.catchCause", () => Effect.catchCause(sync(), sync))
    ]
  }
}
