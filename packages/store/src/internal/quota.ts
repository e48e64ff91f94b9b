/** A rate limit that is kept in a store. */
import type { RateLimit } from "@hawser/ratelimit"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Limit from "./limit.ts"
import { patience } from "./patience.ts"
import type { States } from "./program.ts"

export const quota =
  (states: States, prefix: string, timeout: number, failed: (error: unknown) => void): RateLimit.Shared["quota"] =>
  (upstream, rates) =>
    Effect.map(Clock.Clock, (clock) => {
      const attempt = patience(clock, timeout, failed)
      const args = Limit.argsOf(rates)
      // Others rates would count in other ticks.
      const key = `${prefix}${upstream}:${args.join("/")}`
      return {
        take: (weight) =>
          Effect.map(attempt(states.run(Limit.take, key, [weight, ...args])), (reply): RateLimit.Answer | undefined => {
            if (reply === undefined) return undefined
            const [wait, pausedFor, permit, slot, available] = reply as [number, number, number, number, number]
            return {
              permit: wait === 0 ? [permit, slot] : undefined,
              wait: wait / 1000,
              pausedFor: pausedFor / 1000,
              available
            }
          }),
        undo: (permit, weight) => Effect.asVoid(attempt(states.run(Limit.undo, key, [weight, ...permit, ...args]))),
        pause: (millis, [permit]) =>
          Effect.asVoid(attempt(states.run(Limit.pause, key, [Math.ceil(millis * 1000), permit!, ...args])))
      }
    })
