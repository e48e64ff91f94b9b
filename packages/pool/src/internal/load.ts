// How loaded one upstream is, as a cost in milliseconds: what a caller should expect to wait there.
//
// Latency is a peak EWMA (Finagle's, linkerd's): a sample above the estimate replaces it, one below pulls it down by
// the time that has passed. Failures are charged as latency, else an upstream that fails at once looks fast and draws
// the traffic: the share of failures, also an EWMA, times a penalty. The share moves by time, and by at least one
// twentieth per sample, so that neither a burst within a millisecond nor a single failure decides alone.
//
// The penalty would keep an upstream out long after it is well again. So one that has failed gets a trial after a rest:
// one request, as if nothing were known of it. If that succeeds its failures are forgiven, else it rests twice as long.

const leastStep = 1 / 20

/** The first and the longest rest, in time constants. */
const shortestRest = 1 / 2
const longestRest = 12

export interface Settings {
  /** Time constant of both averages, in milliseconds. */
  readonly decay: number
  /** What a failure costs, in milliseconds. */
  readonly penalty: number
}

export class Load {
  latency = 0
  failing = 0
  inflight = 0
  private known = false
  private updated = 0
  private rest: number
  private readonly settings: Settings

  constructor(settings: Settings) {
    this.settings = settings
    this.rest = shortestRest * settings.decay
  }

  success(elapsed: number, now: number): void {
    if (this.isRested(now)) this.failing = 0
    this.rest = shortestRest * this.settings.decay
    const keep = this.age(now)
    this.latency = elapsed > this.latency ? elapsed : elapsed + (this.latency - elapsed) * keep
    this.failing *= Math.min(keep, 1 - leastStep)
  }

  failure(elapsed: number, now: number): void {
    if (this.isRested(now)) this.rest = Math.min(2 * this.rest, longestRest * this.settings.decay)
    const keep = Math.min(this.age(now), 1 - leastStep)
    // A failure says nothing of how long an answer takes, except that it takes no less than a failure that took long.
    if (elapsed > this.latency) this.latency = elapsed
    this.failing = this.failing * keep + (1 - keep)
  }

  /** A caller gave up waiting: an answer takes at least that long. */
  waited(elapsed: number, now: number): void {
    if (elapsed <= this.latency) return
    this.failing *= this.age(now)
    this.latency = elapsed
  }

  /**
   * What the next caller has to expect. Falls while nobody asks, so that an upstream left alone is tried again. One that
   * nobody has tried costs nothing, until somebody does: a new upstream gets one request, not all of them.
   */
  cost(now: number): number {
    if (!this.known) return this.inflight === 0 ? 0 : this.settings.penalty * (this.inflight + 1)
    if (this.inflight === 0 && this.isRested(now)) return 0
    const keep = Math.exp(-this.since(now) / this.settings.decay)
    return (this.latency + this.failing * this.settings.penalty) * keep * (this.inflight + 1)
  }

  private isRested(now: number): boolean {
    return this.failing > 0 && this.since(now) >= this.rest
  }

  private age(now: number): number {
    // The first sample is all there is to know.
    const keep = this.known ? Math.exp(-this.since(now) / this.settings.decay) : 0
    this.known = true
    if (now > this.updated) this.updated = now
    return keep
  }

  private since(now: number): number {
    return now > this.updated ? now - this.updated : 0
  }
}
