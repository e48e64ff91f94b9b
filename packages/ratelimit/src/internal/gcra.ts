// GCRA, the generic cell rate algorithm (ITU-T I.371): a token bucket whose whole state is one number, the theoretical
// arrival time (tat) at which the bucket will be full again.
//
// It counts in ticks of its own, of at most a microsecond, chosen such that `limit` emissions take `window` exactly: no
// rate is rounded and nothing drifts, however many are taken. A rate changes by counting ticks slower.

/** What passes in a window. */
export interface Rate {
  readonly limit: number
  /** Milliseconds. */
  readonly window: number
  readonly burst: number
}

export class Gcra {
  readonly rate: Rate
  /** The most that passes at once. Whatever weighs more than `burst` waits until the bucket is full, and overdraws it. */
  readonly capacity: number
  /** Ticks for each unit of weight. */
  private readonly cost: number
  private ticksPerMilli: number
  /** The moment from which ticks are counted, and the tick it had. */
  private origin: number
  private originTick = 0
  private tat = 0
  private previousTat = 0
  /** The tick at which it was last asked. */
  private now = 0

  constructor(rate: Rate, now: number) {
    this.rate = rate
    this.capacity = Math.max(rate.limit, rate.burst)
    this.cost = Math.ceil((rate.window * 1000) / rate.limit)
    this.ticksPerMilli = (this.cost * rate.limit) / rate.window
    this.origin = now
  }

  /** Milliseconds from `now` until `weight` may pass, once all of `ahead` has passed. `Infinity` if never. */
  wait(now: number, weight: number, ahead: number): number {
    if (weight > this.capacity) return Infinity
    const tick = this.tick(now)
    const due = Math.max(this.tat, tick) + (ahead + weight - Math.max(weight, this.rate.burst)) * this.cost
    return due <= tick ? 0 : this.origin + (due - this.originTick) / this.ticksPerMilli - now
  }

  /** Whether `weight` may pass. */
  allows(now: number, weight: number): boolean {
    this.now = this.tick(now)
    return weight <= this.capacity && this.tat + (weight - Math.max(weight, this.rate.burst)) * this.cost <= this.now
  }

  /** Takes what has just been allowed. */
  take(weight: number): void {
    this.previousTat = this.tat
    this.tat = Math.max(this.tat, this.now) + weight * this.cost
  }

  /** Undoes the last take. */
  undo(): void {
    this.tat = this.previousTat
  }

  /** What is left for the moment, in whole units. Below zero it is overdrawn. */
  available(now: number): number {
    return Math.floor(this.rate.burst - Math.max(0, this.tat - this.tick(now)) / this.cost)
  }

  /** Runs at a share of the configured rate from now on. What is left in the bucket stays. */
  scale(now: number, share: number): void {
    this.originTick = this.tick(now)
    this.origin = now
    this.ticksPerMilli = ((this.cost * this.rate.limit) / this.rate.window) * share
  }

  // The thousandth makes up for what floating point loses of a product that should be whole.
  private tick(now: number): number {
    return this.originTick + Math.floor((now - this.origin) * this.ticksPerMilli + 0.001)
  }
}
