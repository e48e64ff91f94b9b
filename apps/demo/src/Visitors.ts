/**
 * So many requests per client and time, counted exactly: never more in any window, never fewer. (Hawser's `RateLimit` keeps
 * two numbers where this keeps a hundred, and lets a client that comes back after a pause have more.)
 *
 * The memory is bounded. A client that has been away for a whole window is forgotten, which changes nothing; and of more
 * clients than there is room for, the one that has been away longest.
 */
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { Call } from "hawser"

/** This client has had its share. */
export class TooMany extends Data.TaggedError("TooMany")<{
  /** When the next request will be let in. */
  readonly retryAfter: Duration.Duration
}> {}

export interface Options {
  /** Requests per client and window. */
  readonly limit: number
  readonly window: Duration.Input
  /** How many clients are remembered. */
  readonly capacity: number
}

export interface Visitors {
  /** Lets a request of this client in, or fails. One that is not let in does not count. */
  readonly admit: (client: string) => Effect.Effect<void, TooMany>
  /** How many clients are remembered. */
  readonly size: () => number
}

export const make = (options: Options): Effect.Effect<Visitors> =>
  Effect.map(Clock.Clock, (clock) => {
    const { capacity, limit } = options
    const window = Duration.toMillis(options.window)
    // In the order of their last visits.
    const known = new Map<string, Visits>()

    const visitsOf = (client: string, now: number): Visits => {
      const visits = known.get(client) ?? new Visits(limit)
      known.delete(client)
      known.set(client, visits)
      for (const [other, { last }] of known) {
        if (other === client || (now - last < window && known.size <= capacity)) break
        known.delete(other)
      }
      return visits
    }

    return {
      admit: (client) =>
        Effect.suspend(() => {
          const now = Call.now(clock)
          const wait = visitsOf(client, now).enter(now, window)
          return wait > 0 ? Effect.fail(new TooMany({ retryAfter: Duration.millis(wait) })) : Effect.void
        }),
      size: () => known.size
    }
  })

/** When the last so many requests of a client were let in. */
class Visits {
  last = -Infinity
  private readonly times: Array<number> = []
  private readonly limit: number
  /** The place of the oldest, once all places are taken. */
  private oldest = 0

  constructor(limit: number) {
    this.limit = limit
  }

  /** Returns 0 and counts the request, or returns the milliseconds until there is room. */
  enter(now: number, window: number): number {
    this.last = now
    if (this.times.length < this.limit) {
      this.times.push(now)
      return 0
    }
    const wait = this.times[this.oldest]! + window - now
    if (wait > 0) return wait
    this.times[this.oldest] = now
    this.oldest = (this.oldest + 1) % this.limit
    return 0
  }
}
