/** Whether the service kept its promise: it never failed while a node was up, and came back within a second. */
import type { Sample } from "./Samples.ts"
import type { Blackout } from "./Storm.ts"

/** How long the service may take to come back, in milliseconds. */
const grace = 1000

export interface Verdict {
  /** How long it took to come back after each blackout, in milliseconds; `Infinity`: it did not. */
  readonly recoveries: ReadonlyArray<number>
  /** What was promised and not kept, a line each. */
  readonly breaches: ReadonlyArray<string>
}

/**
 * Two rules:
 *
 * 1. A request must be answered, and freshly, if at each moment from one second before it started until it ended at least
 *    one node was up.
 * 2. After each time in which no node was up, the service is back within a second: from then on every request is
 *    answered freshly, and one has been.
 *
 * What is said of requests that met a time without any node is only that they do not count.
 */
export const judge = (samples: ReadonlyArray<Sample>, blackouts: ReadonlyArray<Blackout>): Verdict => {
  const breaches: Array<string> = []
  const counts = ({ end, start }: Sample) => blackouts.every(({ from, to }) => from > end || to < start - grace)
  const owed = samples.filter(counts)
  const broken = owed.filter(({ outcome }) => outcome !== "fresh")
  if (samples.length === 0) breaches.push("nothing was asked")
  if (broken.length > 0) {
    breaches.push(
      `${broken.length} of ${owed.length} requests had no fresh answer while a node was up: ${reasons(broken)}`
    )
  }
  const recoveries = blackouts.map((blackout, i) => recovery(samples, blackout, blackouts[i + 1]?.from ?? Infinity))
  for (const time of recoveries) {
    if (time === Infinity) breaches.push("it did not come back after no node had been up")
    else if (time > grace) breaches.push(`it took ${Math.round(time)} ms to come back after no node had been up`)
  }
  return { recoveries, breaches }
}

// The time from which all was well: the first fresh answer has come, and no later request went without one.
const recovery = (samples: ReadonlyArray<Sample>, { to }: Blackout, next: number): number => {
  if (to === Infinity) return Infinity
  const after = samples.filter(({ end, start }) => end >= to && start < next)
  const first = Math.min(...after.filter(({ outcome }) => outcome === "fresh").map(({ end }) => end))
  const lastBad = Math.max(
    ...after
      .filter(({ end, outcome, start }) => outcome !== "fresh" && start >= to && end < next)
      .map(({ start }) => start)
  )
  return Math.max(first, lastBad) - to
}

const reasons = (samples: ReadonlyArray<Sample>): string => {
  const counts = new Map<string, number>()
  for (const { outcome, why = outcome } of samples) counts.set(why, (counts.get(why) ?? 0) + 1)
  return Array.from(counts, ([why, count]) => `${count} × ${why}`).join(", ")
}
