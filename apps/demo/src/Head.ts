/** How long nobody may have confirmed a number before a lower one is believed, in milliseconds. */
const patience = 10_000

/**
 * The newest block that was told of.
 *
 * Nodes differ: one may be a few blocks behind another. For that the number does not go back. If no node confirms it for
 * ten seconds, the chain itself has gone back, and so does the number.
 */
export class Head {
  private number = -1
  private confirmed = -Infinity

  /** Takes what a node says, and returns what to tell. */
  advance(number: number, now: number): number {
    if (number >= this.number || now - this.confirmed > patience) {
      this.number = number
      this.confirmed = now
    }
    return this.number
  }
}
