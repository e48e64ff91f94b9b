// When to hedge: after a fixed delay, or after the quantile of what first requests have taken of late.
import { Latency } from "./latency.ts"

export interface Settings {
  /** Instead of all the rest. */
  readonly fixed: number | undefined
  readonly quantile: number
  readonly min: number
  readonly max: number
  readonly samples: number
  readonly initial: number
}

export class Pace {
  private readonly settings: Settings
  private readonly latency: Latency

  constructor(settings: Settings) {
    this.settings = settings
    this.latency = new Latency(settings.min, settings.max)
  }

  /** The delay for a call that starts now; infinite while nearly every call is slow. */
  delay(now: number): number {
    const { fixed, initial, quantile, samples } = this.settings
    if (fixed !== undefined) return fixed
    return this.latency.known(now) < samples ? initial : this.latency.quantile(quantile, now)
  }

  /** What an answer takes; zero while nothing is known. */
  get typical(): number {
    return this.latency.typical
  }

  known(now: number): number {
    return this.latency.known(now)
  }

  /**
   * A first request is over. One that failed before the hedge was due says nothing; one that did not succeed, but was
   * waited for until then, would have taken longer than that.
   */
  record(elapsed: number, succeeded: boolean, delay: number, now: number): void {
    if (succeeded || elapsed >= Math.min(delay, this.settings.max)) this.latency.record(elapsed, succeeded, now)
  }
}
