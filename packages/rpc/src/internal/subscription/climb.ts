import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Result from "effect/Result"
import { type Asker, NotThere } from "./ask.ts"
import { delay } from "./backoff.ts"
import type { Follower, Found } from "./follower.ts"

/** What a climb needs besides the chain. */
export interface Means<E> {
  readonly asker: Asker<E>
  readonly clock: Clock.Clock
  readonly random: () => number
}

/** Blocks that are asked for at once where many are missing. */
const atOnce = 8

/** How often a block is asked for that nobody has. */
const tries = 4

const backoff = { base: 250, cap: 5_000 }

/**
 * Gets what is needed until a head is taken in. Where nobody answers it asks again, until `over` says of an error that it is enough,
 * or that there is something better to do.
 */
export const climb = <E>(
  { asker, clock, random }: Means<E>,
  follower: Follower,
  found: Found,
  over: (error: E | NotThere) => boolean
): Effect.Effect<Exclude<Found, { readonly type: "need" }>, E | NotThere> =>
  Effect.gen(function* () {
    // A guess by height, at once; that it was right is seen by the hashes.
    if (found.type === "need") {
      const first = follower.tip.number + 1
      const missing = Array.from({ length: Math.max(0, found.number - first) }, (_, i) => first + i)
      yield* Effect.forEach(
        missing,
        (number) =>
          Effect.match(asker.byNumber(number), { onFailure: () => {}, onSuccess: (head) => follower.note(head) }),
        { concurrency: atOnce, discard: true }
      )
    }
    let attempt = 0
    while (found.type === "need") {
      const { hash, number } = found
      const answer = yield* Effect.result(
        Effect.flatMap(asker.byHash(hash), (head) =>
          head.number === number ? Effect.succeed(head) : Effect.fail(new NotThere({ message: `no block ${hash}` }))
        )
      )
      if (Result.isSuccess(answer)) {
        attempt = 0
        found = follower.supply(answer.success)
        continue
      }
      attempt++
      if (answer.failure instanceof NotThere && attempt >= tries) found = follower.missing(hash)
      else if (over(answer.failure)) return yield* Effect.fail(answer.failure)
      else yield* clock.sleep(delay(backoff, attempt, random()))
    }
    return found
  })
