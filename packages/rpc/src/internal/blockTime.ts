import type { Block } from "./heads.ts"

/** Over how many blocks the mean is taken. */
const window = 64

/** What it is taken for at most, in milliseconds: a chain that mines on demand has no block time. */
const longest = 12_000

/** The time from block to block, as the timestamps of the heads tell it: a mean, since they are in whole seconds. */
export class BlockTime {
  private first: Block | undefined = undefined
  private mean: number | undefined = undefined

  /** Milliseconds; `undefined` until two heads are known. */
  get millis(): number | undefined {
    return this.mean
  }

  head(block: Block): void {
    const { first } = this
    if (block.timestamp === undefined) return
    if (first === undefined || block.number <= first.number) {
      this.first = block
      return
    }
    const blocks = block.number - first.number
    this.mean = Math.max(0, Math.min(longest, ((block.timestamp - first.timestamp!) * 1_000) / blocks))
    if (blocks >= window) this.first = block
  }
}
