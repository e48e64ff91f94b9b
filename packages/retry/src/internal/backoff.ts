// Exponential delays with jitter. The cap comes before the jitter: clamped after it, all callers at the cap would wait
// equally long and come back together.

export type Jitter = "full" | "equal" | "decorrelated" | "none"

/**
 * The delay before retry number `retry` (1, 2, …), in milliseconds.
 *
 * - `none`: b = min(cap, base · 2^(retry − 1))
 * - `full`: uniform in [0, b]
 * - `equal`: uniform in [b/2, b]
 * - `decorrelated`: uniform in [base, min(cap, 3 · previous)], where the first previous delay is the base
 *
 * `random` is uniform in [0, 1).
 */
export const delay = (
  jitter: Jitter,
  base: number,
  cap: number,
  retry: number,
  previous: number,
  random: number
): number => {
  if (jitter === "decorrelated") return between(base, Math.min(cap, 3 * previous), random)
  // 2^1023 is the largest power that is a number, and far above any cap.
  const bound = Math.min(cap, base * 2 ** Math.min(retry - 1, 1023))
  if (jitter === "none") return bound
  return between(jitter === "full" ? 0 : bound / 2, bound, random)
}

const between = (low: number, high: number, random: number): number => low + (high - low) * random
