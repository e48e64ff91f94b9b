import * as Duration from "effect/Duration"

/** Milliseconds: the bound before the first try again, and the longest. */
export interface Backoff {
  readonly base: number
  readonly cap: number
}

/** Full jitter: uniform up to min(cap, base · 2^(attempt − 1)), for attempts 1, 2, … */
export const delay = ({ base, cap }: Backoff, attempt: number, random: number): Duration.Duration =>
  Duration.millis(Math.min(cap, base * 2 ** Math.min(attempt - 1, 50)) * random)
