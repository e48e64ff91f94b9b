// A shared limit in the plainest way there is: it remembers every take, and counts again from the beginning each time.
import type { RateLimit } from "@hawser/ratelimit"

interface Take {
  readonly at: number
  readonly weight: number
  readonly slot: number
  undone: boolean
}

/** Times are microseconds. Takes rates of which one unit takes a whole number of microseconds. */
export class LimitModel {
  readonly takes: Array<Take> = []
  pausedUntil = 0
  private pausedAfter = -1
  private last = -1
  private readonly rates: ReadonlyArray<RateLimit.Rate>

  constructor(rates: ReadonlyArray<RateLimit.Rate>) {
    this.rates = rates
  }

  /** How long until `weight` may be taken. */
  wait(now: number, weight: number): number {
    const pause = Math.max(0, this.pausedUntil - now)
    return Math.max(
      ...this.rates.map(({ burst, limit, window }) => {
        const missing = Math.min(weight, burst) * window * 1000 - this.level(now + pause, { burst, limit, window })
        return pause + Math.max(0, Math.ceil(missing / limit))
      })
    )
  }

  /** The number of the take, or `undefined`. */
  take(now: number, weight: number): number | undefined {
    if (this.wait(now, weight) > 0) return undefined
    const slots = this.rates.map((rate) => now + (rate.burst * rate.window * 1000 - this.level(now, rate)) / rate.limit)
    this.last = this.takes.push({ at: now, weight, slot: Math.min(...slots), undone: false }) - 1
    return this.last
  }

  undo(now: number, number: number): void {
    const take = this.takes[number]!
    if (take.undone || (number !== this.last && now >= take.slot)) return
    take.undone = true
    if (number === this.last) this.last = -1
  }

  pause(now: number, duration: number, number: number): void {
    if (number <= this.pausedAfter) return
    this.pausedUntil = now + duration
    this.pausedAfter = this.takes.length - 1
  }

  available(now: number): number {
    return Math.min(...this.rates.map((rate) => Math.floor(this.level(now, rate) / (rate.window * 1000))))
  }

  // In units of weight times microseconds of the window: whole numbers.
  private level(now: number, { burst, limit, window }: RateLimit.Rate): number {
    const most = burst * window * 1000
    let level = most
    let at = 0
    for (const take of this.takes) {
      if (take.undone) continue
      level = Math.min(most, level + (take.at - at) * limit) - take.weight * window * 1000
      at = take.at
    }
    return Math.min(most, level + (now - at) * limit)
  }
}

/** The interval in which too much was taken, if there is one: RL1. */
export const excess = (
  taken: ReadonlyArray<{ readonly at: number; readonly weight: number }>,
  { burst, limit, window }: RateLimit.Rate
): string | undefined => {
  const most = Math.max(burst, ...taken.map(({ weight }) => weight))
  for (let from = 0; from < taken.length; from++) {
    let weight = 0
    for (let to = from; to < taken.length; to++) {
      weight += taken[to]!.weight
      const width = taken[to]!.at - taken[from]!.at
      if (weight > most + Math.floor((width * limit) / (window * 1000))) return `${weight} in ${width} µs`
    }
  }
  return undefined
}
