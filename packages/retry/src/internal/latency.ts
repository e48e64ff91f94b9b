// What latencies have been of late: counts in buckets whose bounds grow by a constant factor, between the two bounds
// that matter to a hedge. Two generations are kept and the older is dropped every half minute, so that the last 30 to
// 60 seconds are known. Recording is O(1); a quantile is one walk over the buckets and is the upper bound of its bucket:
// never below the true one, and above it by at most the growth, 9.1 %.
//
// Of some requests only a lower bound is known: the caller stopped waiting. Left out, or taken for answers, they would
// make latencies look shorter the more requests are cut short. So they count as what they are, by the product-limit
// estimator (Kaplan and Meier, 1958): of those still waited for at some latency, which share answered there?

const growth = 2 ** (1 / 8)
const generation = 30_000
const memory = 16

/** Counts per bucket of what answered there (even places) and what was given up there (odd places). */
type Generation = Uint32Array

export class Latency {
  private readonly min: number
  private readonly max: number
  private readonly buckets: number
  private recent: Generation
  private older: Generation
  private since = -Infinity
  private count = 0
  private recentCount = 0
  /** What to expect: a moving average over about the last 16; zero while nothing is known. */
  typical = 0

  /** Tells latencies apart between `min` and `max`, in milliseconds. */
  constructor(min: number, max: number) {
    this.min = min
    this.max = max
    // The first bucket is for what is at most `min`, the last for what is at least `max`.
    this.buckets = Math.ceil(Math.log(max / min) / Math.log(growth)) + 2
    this.recent = new Uint32Array(2 * this.buckets)
    this.older = new Uint32Array(2 * this.buckets)
  }

  /** How many latencies are known. */
  known(now: number): number {
    this.roll(now)
    return this.count
  }

  /** An answer took this long; or, where it was given up, would have taken longer. */
  record(elapsed: number, answered: boolean, now: number): void {
    this.roll(now)
    this.typical += (elapsed - this.typical) / Math.min(this.count + 1, memory)
    this.recent[2 * this.bucketOf(elapsed) + (answered ? 0 : 1)]!++
    this.recentCount++
    this.count++
  }

  /** The least bound that at most a share of `1 - quantile` exceeds; infinite if that is `max` or more, or unknown. */
  quantile(quantile: number, now: number): number {
    this.roll(now)
    const { buckets, older, recent } = this
    // One part in a billion, because 1 - 0.95 is a little more than 0.05 and 1 - 0.9 a little less than 0.1.
    const share = 1 - quantile + 1e-9
    let waiting = this.count
    let beyond = 1
    for (let bucket = 0; bucket < buckets - 1; bucket++) {
      const answered = recent[2 * bucket]! + older[2 * bucket]!
      if (answered > 0) beyond *= (waiting - answered) / waiting
      if (beyond <= share) return Math.min(this.max, this.min * growth ** bucket)
      waiting -= answered + recent[2 * bucket + 1]! + older[2 * bucket + 1]!
    }
    return Infinity
  }

  private bucketOf(elapsed: number): number {
    if (elapsed >= this.max) return this.buckets - 1
    if (!(elapsed > this.min)) return 0
    return Math.min(this.buckets - 2, Math.ceil(Math.log(elapsed / this.min) / Math.log(growth)))
  }

  private roll(now: number): void {
    const age = now - this.since
    if (age < generation) return
    const dropped = this.older
    this.older = this.recent
    this.count = this.recentCount
    this.recent = dropped.fill(0)
    this.recentCount = 0
    if (age >= 2 * generation) {
      this.older.fill(0)
      this.count = 0
    }
    this.since = now
  }
}
