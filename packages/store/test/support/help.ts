import { Outcome } from "@hawser/core"
import { Data, Duration, Effect } from "effect"
import { Dice, seeds } from "./random.ts"

export const fork = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.forkChild(self, { startImmediately: true })

/** Runs a scenario for each seed, and names the one that fails. */
export const forEachSeed = <E, R>(
  count: number,
  scenario: (dice: Dice) => Effect.Effect<void, E, R>
): Effect.Effect<void, E, R> =>
  Effect.forEach(
    seeds(count),
    (seed) =>
      Effect.catchCause(scenario(new Dice(seed)), (cause) => {
        console.error(`seed ${seed}`)
        return Effect.failCause(cause)
      }),
    { discard: true }
  )

/** Waits until the store has answered and what follows from it has happened. No virtual time passes. */
export const eventually = (condition: () => boolean, turns = 0): Effect.Effect<void> =>
  Effect.suspend(() => {
    if (condition()) return Effect.void
    if (turns > 1_000_000) return Effect.die(new Error("it never happens"))
    const turn = Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
    return Effect.flatMap(turn, () => eventually(condition, turns + 1))
  })

export class Busy extends Data.TaggedError("Busy")<{ readonly millis: number }> {
  readonly [Outcome.TypeId] = Outcome.verdict({ retryAfter: Duration.millis(this.millis) })
}

export class Refused extends Data.TaggedError("Refused")<{}> {
  readonly [Outcome.TypeId] = Outcome.refusal()
}
