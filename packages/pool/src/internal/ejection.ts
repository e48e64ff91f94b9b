// Puts an upstream aside that fails, where no breaker does. Decides by a row of failures and by an absolute share; what
// statistics over many hosts can tell (standard deviations) means nothing among the two to five of an RPC pool.

export interface Rules {
  /** Failures in a row. */
  readonly consecutive: number
  /** The share of failures among at least `minimum` requests of the last one to two `interval`s. */
  readonly rate: number
  readonly minimum: number
  /** Milliseconds. */
  readonly interval: number
  /** The k-th time in a row lasts k times as long, up to `max`. */
  readonly base: number
  readonly max: number
  /** An ejection is lengthened by up to this share, at random, so that many clients do not come back at once. */
  readonly jitter: number
  /** The share of the upstreams that may be out at once; one always may, all never. */
  readonly share: number
}

export class Ejection {
  /** Ejections in a row: one less for each base time in which there was none. */
  count = 0
  until = -Infinity
  /** What the last one was for, in words. */
  because = ""
  private streak = 0
  private ended = 0
  private started = 0
  private current = { total: 0, failed: 0 }
  private previous = { total: 0, failed: 0 }
  private readonly rules: Rules

  constructor(rules: Rules) {
    this.rules = rules
  }

  isOut(now: number): boolean {
    return now < this.until
  }

  success(now: number): void {
    this.streak = 0
    this.roll(now)
    this.current.total++
  }

  /** True when the upstream should be put aside; whether it may be is the pool's to say. */
  failure(now: number): boolean {
    this.roll(now)
    this.streak++
    this.current.total++
    this.current.failed++
    const total = this.current.total + this.previous.total
    const failed = this.current.failed + this.previous.failed
    const { consecutive, minimum, rate } = this.rules
    if (this.isOut(now)) return false
    if (this.streak >= consecutive) this.because = `${this.streak} failures in a row`
    else if (total >= minimum && failed / total >= rate) this.because = `${failed} of ${total} requests failed`
    else return false
    return true
  }

  /** Puts it aside. */
  eject(now: number, random: number): void {
    const { base, jitter, max } = this.rules
    const healthy = Math.floor(Math.max(0, now - this.ended) / base)
    this.count = Math.max(0, this.count - healthy) + 1
    this.until = now + Math.min(base * this.count, max) * (1 + jitter * random)
    this.ended = this.until
    this.streak = 0
    this.current = { total: 0, failed: 0 }
    this.previous = { total: 0, failed: 0 }
  }

  private roll(now: number): void {
    const passed = Math.floor((now - this.started) / this.rules.interval)
    if (passed <= 0) return
    this.previous = passed === 1 ? this.current : { total: 0, failed: 0 }
    this.current = { total: 0, failed: 0 }
    this.started += passed * this.rules.interval
  }
}
