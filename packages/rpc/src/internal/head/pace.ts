/** Over how many blocks the mean is taken at least, and when a new measurement begins. */
const fewest = 8
const window = 32

/** How fast a chain grows, by the heights that one upstream shows over time. */
export class Pace {
  private from: { readonly height: number; readonly at: number } | undefined = undefined
  private turn: { readonly height: number; readonly at: number } | undefined = undefined
  /** Milliseconds from block to block; `undefined` until a few have passed. */
  millis: number | undefined = undefined

  show(height: number, now: number): void {
    const { from } = this
    if (from === undefined || height < from.height) {
      this.from = { height, at: now }
      this.turn = undefined
      return
    }
    if (height - from.height >= fewest) this.millis = (now - from.at) / (height - from.height)
    // The mean follows a chain that changes its pace.
    if (this.turn === undefined && height - from.height >= window / 2) this.turn = { height, at: now }
    if (this.turn !== undefined && height - from.height >= window) {
      this.from = this.turn
      this.turn = undefined
    }
  }
}
