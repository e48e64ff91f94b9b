/** How long a refusal is remembered, in milliseconds. */
export const forgetAfter = 600_000

/** How long it is remembered what failed together. What goes alone cannot show that the trouble is over. */
export const recoverAfter = 60_000

/**
 * How many items may go together: what was asked for, less what the other side turned out not to take.
 *
 * What failed together halves the number, since one of them or their sheer mass may be to blame, and what was taken doubles
 * it again. What was refused for its number bounds it. Both are forgotten in time.
 */
export class Limit {
  private readonly size: number
  private bound: number
  private boundUntil = 0
  private current: number
  private currentUntil = 0

  constructor(size: number) {
    this.size = size
    this.bound = size
    this.current = size
  }

  /** How many may go together. `now` is asked for only when it matters. */
  at(now: () => number): number {
    if (this.current < this.size) {
      const time = now()
      if (time >= this.boundUntil) this.bound = this.size
      if (time >= this.currentUntil) this.current = this.bound
    }
    return this.current
  }

  taken(items: number): void {
    if (items >= this.current) this.current = Math.min(this.bound, this.current * 2)
  }

  failed(items: number, now: number): void {
    this.current = Math.min(this.current, Math.max(1, items >> 1))
    this.currentUntil = now + recoverAfter
  }

  /** No more than `most` at one time. */
  refused(most: number, now: number): void {
    this.bound = Math.min(this.bound, Math.max(1, most))
    this.current = Math.min(this.current, this.bound)
    this.boundUntil = now + forgetAfter
  }
}
