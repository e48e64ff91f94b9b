// How many run, and how many may. Pure.
import type { Aimd, Sample } from "./adaptive.ts"

export class Permits {
  inflight = 0
  /** How many have ever started; the number of the last to start. */
  started = 0
  /** How many may run at once, a whole number. */
  limit: number
  private readonly adaptive: Aimd | undefined
  private readonly changed: (limit: number, previous: number) => void

  constructor(limit: number, adaptive: Aimd | undefined, changed: (limit: number, previous: number) => void) {
    this.limit = limit
    this.adaptive = adaptive
    this.changed = changed
  }

  /** Takes one, if there is one. */
  take(): boolean {
    if (this.inflight >= this.limit) return false
    this.inflight++
    this.started++
    return true
  }

  giveBack(): void {
    this.inflight--
  }

  /** Learns from one that has just been given back. */
  learn(sample: Sample, number: number, elapsed: number, kind: string, now: number): void {
    const { adaptive } = this
    if (adaptive === undefined) return
    adaptive.sample(sample, { number, elapsed, inflight: this.inflight + 1, kind }, this.started, now)
    const previous = this.limit
    this.limit = Math.floor(adaptive.limit)
    if (this.limit !== previous) this.changed(this.limit, previous)
  }
}
