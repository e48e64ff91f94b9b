// What may be spent on one upstream: several rates at once, the pause it asked for, and what it taught us. Pure.
import { Gcra, type Rate } from "./gcra.ts"

/** How the rate follows what the server says. */
export interface Learning {
  readonly decrease: number
  readonly recover: number
  readonly floor: number
}

export interface MeterOptions {
  readonly rates: ReadonlyArray<Rate>
  /** Milliseconds. */
  readonly maxPause: number
  readonly learning: Learning | undefined
}

export type MeterEvent =
  | { readonly type: "paused"; readonly for: number }
  | { readonly type: "resumed" }
  | { readonly type: "rate"; readonly share: number }

/**
 * Each take has a number, its permit, and a pause or a decrease remembers the last permit given out before it. A hint
 * from an older request is late news of what is already known.
 */
export class Meter {
  /** The permit of the last take. */
  taken = 0
  admitted = 0
  /** The share of the configured rates in force. */
  share = 1
  private readonly rates: ReadonlyArray<Gcra>
  private readonly options: MeterOptions
  private readonly emit: (event: MeterEvent) => void
  private readonly window: number
  private latest: number
  private setBack = 0
  private pausedUntil = -Infinity
  private paused = false
  private pausedAfter = 0
  private loweredAfter = 0
  private loweredAt = -Infinity
  private raisedAt = -Infinity

  constructor(options: MeterOptions, now: number, emit: (event: MeterEvent) => void) {
    this.options = options
    this.emit = emit
    this.latest = now
    this.rates = options.rates.map((rate) => new Gcra(rate, now))
    this.window = Math.min(...options.rates.map((rate) => rate.window))
  }

  /** Takes `weight` from every rate, or nothing from any: false if it may not pass now. */
  take(now: number, weight: number): boolean {
    const time = this.time(now)
    if (time < this.pausedUntil) return false
    if (this.paused) this.resume()
    if (this.share < 1) this.recover(time)
    if (weight > 0) {
      for (const rate of this.rates) if (!rate.allows(time, weight)) return false
      for (const rate of this.rates) rate.take(weight)
    }
    this.taken++
    this.admitted++
    return true
  }

  /** Gives back what was taken for a request that was never sent. Exact, so only while nothing was taken since. */
  undo(permit: number, weight: number): void {
    if (permit !== this.taken) return
    this.taken++
    this.admitted--
    if (weight > 0) for (const rate of this.rates) rate.undo()
  }

  /** Milliseconds until `weight` may pass, once all of `ahead` has passed. `Infinity` if never. Changes nothing. */
  wait(now: number, weight: number, ahead: number): number {
    const time = this.time(now)
    const pause = Math.max(0, this.pausedUntil - time)
    let wait = pause
    if (weight > 0) {
      for (const rate of this.rates) wait = Math.max(wait, pause + rate.wait(time + pause, weight, ahead))
    }
    return wait
  }

  /** The upstream of this permit asks for a pause. True if that is news. */
  hint(permit: number, millis: number, now: number): boolean {
    const time = this.time(now)
    const until = time + Math.min(millis, this.options.maxPause)
    if (permit <= this.pausedAfter || until <= time) return false
    this.begin(until, time)
    return true
  }

  /** Pauses for this long from now, or no longer. */
  pause(millis: number, now: number): void {
    const time = this.time(now)
    if (millis > 0) this.begin(time + millis, time)
    else {
      this.pausedUntil = -Infinity
      if (this.paused) this.resume()
    }
  }

  /** Milliseconds until the pause ends. */
  pausedFor(now: number): number {
    return Math.max(0, this.pausedUntil - this.time(now))
  }

  /** The upstream of this permit says that the rate is too high: lowers it, at most once in a window. */
  lower(permit: number, now: number): void {
    const { learning } = this.options
    if (learning === undefined || permit <= this.loweredAfter) return
    const time = this.time(now)
    this.recover(time)
    if (time - this.loweredAt < this.window) return
    this.loweredAfter = this.taken
    this.loweredAt = this.raisedAt = time
    this.setShare(Math.max(learning.floor, this.share * learning.decrease), time)
  }

  /** What is left of the tightest rate, in whole units; `undefined` without a rate. */
  available(now: number): number | undefined {
    const time = this.time(now)
    return this.rates.length === 0 ? undefined : Math.min(...this.rates.map((rate) => rate.available(time)))
  }

  // A clock that is set back makes no time pass, and none twice.
  private time(now: number): number {
    const time = now + this.setBack
    if (time >= this.latest) return (this.latest = time)
    this.setBack += this.latest - time
    return this.latest
  }

  private begin(until: number, time: number): void {
    this.pausedUntil = until
    this.pausedAfter = this.taken
    this.paused = true
    this.emit({ type: "paused", for: until - time })
  }

  private resume(): void {
    this.paused = false
    this.emit({ type: "resumed" })
  }

  private recover(time: number): void {
    const windows = Math.floor((time - this.raisedAt) / this.window)
    if (this.share === 1 || !(windows >= 1)) return
    this.raisedAt += windows * this.window
    this.setShare(Math.min(1, this.share + windows * this.options.learning!.recover), time)
  }

  private setShare(share: number, time: number): void {
    if (share === this.share) return
    this.share = share
    for (const rate of this.rates) rate.scale(time, share)
    this.emit({ type: "rate", share })
  }
}
