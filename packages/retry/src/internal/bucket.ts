// The arithmetic of a retry budget: within every window, what is spent is at most `ratio` per deposit plus `floor`.
//
// Deposits and withdrawals are counted in slices of the window, in whole thousandths, so that nothing drifts. The two
// sides forget differently, each to the safe side, which makes the bound exact rather than true within one slice:
//
// - deposits leave by slice, before they are a window old;
// - withdrawals of a slice leave together when the youngest is a window old, and then no withdrawal is older.

const slices = 10
// One slice more, because withdrawals may stay for as long as the window and a slice.
const ring = slices + 1

export class Bucket {
  private readonly slice: number
  private readonly window: number
  private readonly perDeposit: number
  private readonly floor: number
  private readonly deposits = new Float64Array(ring)
  private readonly spent = new Float64Array(ring)
  /** When something was spent last, for each slice. */
  private readonly last = new Float64Array(ring).fill(-Infinity)
  private index = -Infinity
  private now = -Infinity

  constructor(ratio: number, floor: number, window: number) {
    this.perDeposit = Math.round(ratio * 1000)
    this.floor = floor * 1000
    this.window = window
    this.slice = window / slices
  }

  deposit(now: number): void {
    this.deposits[this.roll(now)]!++
  }

  /** Takes one if there is one. */
  withdraw(now: number): boolean {
    if (this.balance(now) < 1000) return false
    this.charge(now)
    return true
  }

  /** Takes one, if need be on credit. */
  charge(now: number): void {
    const place = this.roll(now)
    this.spent[place]!++
    this.last[place] = this.now
  }

  /** Gives back one that was taken at `at`, unless the window has forgotten it. */
  refund(at: number): void {
    const index = Math.floor(at / this.slice)
    if (index > this.index - ring && this.spent[index % ring]! > 0) this.spent[index % ring]!--
  }

  /** What is left, in thousandths; below zero when charges have exceeded it. */
  balance(now: number): number {
    this.roll(now)
    let balance = this.floor
    for (let place = 0; place < ring; place++) {
      balance += this.deposits[place]! * this.perDeposit
      if (this.last[place]! + this.window > this.now) balance -= this.spent[place]! * 1000
    }
    return balance
  }

  /** Deposits and withdrawals that count at present. */
  totals(now: number): { readonly deposits: number; readonly spent: number } {
    this.roll(now)
    let deposits = 0
    let spent = 0
    for (let place = 0; place < ring; place++) {
      deposits += this.deposits[place]!
      if (this.last[place]! + this.window > this.now) spent += this.spent[place]!
    }
    return { deposits, spent }
  }

  // Empties the slices that time has passed by, and returns the place of the present one. Time never goes back.
  private roll(now: number): number {
    if (now > this.now) this.now = now
    const index = Math.floor(this.now / this.slice)
    if (index !== this.index) {
      for (let i = Math.max(this.index + 1, index - ring + 1); i <= index; i++) {
        const place = i % ring
        this.deposits[place] = 0
        this.spent[place] = 0
        this.last[place] = -Infinity
      }
      this.index = index
      // The oldest slice is kept for its withdrawals; its deposits are forgotten.
      this.deposits[(index + 1) % ring] = 0
    }
    return index % ring
  }
}
