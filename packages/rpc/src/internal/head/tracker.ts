import type { Block } from "../heads.ts"
import type { Evidence } from "./evidence.ts"
import { Pace } from "./pace.ts"

/** Rises that are remembered. */
const most = 16

/** One upstream's chain, as far as it has shown it. */
export class Tracker {
  readonly name: string
  /** The highest block it is known to have; -1: it has shown none. */
  height = -1
  /** When it last showed a block. */
  seenAt = -Infinity
  /** When it last said what its head is: whoever shows a block may have newer ones. */
  saidAt = -Infinity
  /** When its head last rose. */
  roseAt = -Infinity
  safe: Block | undefined = undefined
  finalized: Block | undefined = undefined
  readonly pace = new Pace()
  /** Failures in a row. */
  failures = 0
  /** Heights as they rose, and since when it has them: the last that has stood a block time, and those after it. */
  private rises: Array<{ readonly height: number; readonly at: number }> = []

  constructor(name: string) {
    this.name = name
  }

  show(seen: Evidence, now: number, blockTime: number): void {
    this.seenAt = now
    if (seen.number > this.height) this.roseAt = now
    if (seen.kind === "head") {
      this.saidAt = now
      this.height = seen.number
      this.pace.show(seen.number, now)
    } else if (seen.number > this.height) this.height = seen.number
    if (seen.hash !== undefined && (seen.kind === "safe" || seen.kind === "finalized")) {
      this[seen.kind] = seen as Block
    }
    this.lower(this.height)
    const { rises } = this
    while (rises.length > 1 && now - rises[1]!.at >= blockTime) rises.shift()
    if (this.height <= (rises.at(-1)?.height ?? -1)) return
    if (rises.length === most) rises.pop()
    rises.push({ height: this.height, at: now })
  }

  /** A height that it showed at least one block time ago and has not taken back. */
  stood(now: number, blockTime: number): number {
    return this.rises.findLast(({ at }) => now - at >= blockTime)?.height ?? -1
  }

  private lower(height: number): void {
    const { rises } = this
    let at: number | undefined
    while (rises.length > 0 && rises.at(-1)!.height > height) at = rises.pop()!.at
    if (at !== undefined && height > (rises.at(-1)?.height ?? -1)) rises.push({ height, at })
  }

  /** What it showed from a block on is of a chain that has been left. */
  cut(from: number): void {
    if (this.height >= from) this.height = from - 1
    this.lower(from - 1)
    if (this.safe !== undefined && this.safe.number >= from) this.safe = undefined
    if (this.finalized !== undefined && this.finalized.number >= from) this.finalized = undefined
  }
}
