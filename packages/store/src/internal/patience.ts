import { Call } from "@hawser/core"
import type * as Clock from "effect/Clock"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** How long one that hung is left alone, in milliseconds. */
const rest = 1_000

/**
 * Asks somebody who may fail or hang: `undefined` if it did, after `timeout` milliseconds at the latest. One that hangs
 * costs one timeout a second, not one for each who asks.
 */
export const patience = (clock: Clock.Clock, timeout: number, failed: (error: unknown) => void) => {
  let resting = -Infinity
  return <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A | undefined> =>
    Effect.suspend(() => {
      if (Call.now(clock) < resting) return Effect.undefined
      return self.pipe(
        Effect.timeoutOrElse({
          duration: Duration.millis(timeout),
          orElse: () =>
            Effect.sync(() => {
              resting = Call.now(clock) + rest
              failed(undefined)
              return undefined
            })
        }),
        Effect.exit,
        Effect.map((exit) => {
          if (exit._tag === "Success") return exit.value
          failed(Cause.squash(exit.cause))
          return undefined
        })
      )
    })
}
