// Random numbers that a failing test can name: mulberry32.
export class Dice {
  readonly seed: number
  private state: number

  constructor(seed: number) {
    this.seed = seed
    this.state = seed
  }

  /** The same numbers once more. */
  again(): Dice {
    return new Dice(this.seed)
  }

  next(): number {
    this.state = (this.state + 0x6d2b79f5) | 0
    let t = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }

  /** A whole number below `n`. */
  below(n: number): number {
    return Math.floor(this.next() * n)
  }

  of<A>(values: ReadonlyArray<A>): A {
    return values[this.below(values.length)]!
  }
}

/** Some that are new each time. */
export const seeds = (count: number): ReadonlyArray<number> =>
  Array.from({ length: count }, () => Math.floor(Math.random() * 2 ** 31))
