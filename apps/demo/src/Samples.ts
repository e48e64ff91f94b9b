/** What became of requests, and what that says. Times are milliseconds on the monotonic clock. */

/** What came back. */
export interface Answer {
  readonly outcome: "fresh" | "stale" | "failed"
  /** The block number, if there was one. */
  readonly number: number | undefined
  /** Why it failed. */
  readonly why: string | undefined
}

/** One request, and what came back. */
export interface Sample extends Answer {
  readonly start: number
  readonly end: number
}

export interface Statistics {
  readonly total: number
  readonly fresh: number
  readonly stale: number
  readonly failed: number
  /** Latencies of all requests, the failed included. */
  readonly p50: number
  readonly p99: number
  /** The longest time in which no answer came, fresh or stale. */
  readonly silence: number
  /** Answers below one that had come before they were asked for. */
  readonly older: number
}

/** `now` ends the last silence. */
export const summarize = (samples: ReadonlyArray<Sample>, now: number): Statistics => {
  const count = (outcome: Sample["outcome"]) => samples.filter((sample) => sample.outcome === outcome).length
  const latencies = samples.map(({ end, start }) => end - start).toSorted((a, b) => a - b)
  return {
    total: samples.length,
    fresh: count("fresh"),
    stale: count("stale"),
    failed: count("failed"),
    p50: quantile(latencies, 0.5),
    p99: quantile(latencies, 0.99),
    silence: silence(samples, now),
    older: older(samples)
  }
}

/** The smallest of the values that so large a share of them does not exceed. */
const quantile = (sorted: ReadonlyArray<number>, share: number): number =>
  sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0

const silence = (samples: ReadonlyArray<Sample>, now: number): number => {
  if (samples.length === 0) return 0
  let last = Math.min(...samples.map(({ start }) => start))
  let longest = 0
  for (const { end } of samples.filter(({ outcome }) => outcome !== "failed").toSorted((a, b) => a.end - b.end)) {
    longest = Math.max(longest, end - last)
    last = end
  }
  return Math.max(longest, now - last)
}

const older = (samples: ReadonlyArray<Sample>): number => {
  const numbered = samples.filter((sample) => sample.number !== undefined)
  const byEnd = numbered.toSorted((a, b) => a.end - b.end)
  let ended = 0
  let highest = -Infinity
  let count = 0
  for (const { number, start } of numbered.toSorted((a, b) => a.start - b.start)) {
    for (; ended < byEnd.length && byEnd[ended]!.end < start; ended++)
      highest = Math.max(highest, byEnd[ended]!.number!)
    if (number! < highest) count++
  }
  return count
}
