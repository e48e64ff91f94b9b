// Follows a chain by heads that are seen here and there: each block once, in order, without a gap.
//
// What it holds is always one chain, linked by hashes: a head is taken in only when the blocks between are known, asked for
// by hash. So it matters not who says what, in which order, how often, or whether it is said at all.
import type { Head } from "./head.ts"

/** What happened to the chain, in order. The newest block is removed first. */
export interface Step {
  readonly type: "added" | "removed"
  readonly block: Head
}

/** What became of a head. */
export type Found =
  | { readonly type: "steps"; readonly steps: ReadonlyArray<Step> }
  /** A block that has to be known first. */
  | { readonly type: "need"; readonly hash: string; readonly number: number }
  /** The chain cannot be followed any further. */
  | { readonly type: "lost"; readonly why: "gap" | "reorg"; readonly from: number; readonly to: number }

export interface Bounds {
  /** Blocks that are remembered: no reorganisation may go deeper. */
  readonly depth: number
  /** Blocks that may be missing between the last one and a new head. */
  readonly gap: number
}

/** Heads below the tip, of another chain than ours, that make a lower chain believable. */
const conflictsToBelieve = 3

export class Follower {
  private readonly bounds: Bounds
  /** The chain, oldest first. */
  private readonly trunk: Array<Head>
  /** The head that is being taken in and what leads to it, newest first. */
  private branch: Array<Head> = []
  /** Heads that were seen, by hash: what is there need not be asked for. */
  private readonly seen = new Map<string, Head>()
  private conflicts = 0
  /** Blocks below the oldest cannot be had, or have been forgotten. */
  private rooted = false

  constructor(start: Head, bounds: Bounds) {
    this.trunk = [start]
    this.bounds = bounds
  }

  get tip(): Head {
    return this.trunk.at(-1)!
  }

  get oldest(): Head {
    return this.trunk[0]!
  }

  /** The block of this height, if it is remembered. */
  at(number: number): Head | undefined {
    return this.trunk[number - this.oldest.number]
  }

  private has(head: Head): boolean {
    return this.at(head.number)?.hash === head.hash
  }

  /** Keeps a block that may be asked for. */
  note(head: Head): void {
    this.seen.set(head.hash, head)
    if (this.seen.size > this.bounds.gap + this.bounds.depth) {
      this.seen.delete(this.seen.keys().next().value!)
    }
  }

  /** A head was seen. What was being taken in is dropped for it. */
  offer(head: Head): Found {
    this.branch = []
    this.note(head)
    if (this.has(head) || !this.believable(head)) return nothing
    this.branch = [head]
    return this.climb()
  }

  // A node that lags says nothing new. One of a lower, other chain is believed once it insists: that is what a chain looks
  // like that was set back.
  private believable(head: Head): boolean {
    if (head.number >= this.tip.number) return true
    return head.number >= this.oldest.number && ++this.conflicts >= conflictsToBelieve
  }

  /** Gives a block that was needed. */
  supply(block: Head): Found {
    this.note(block)
    return this.climb()
  }

  /** A block that was needed cannot be had. */
  missing(hash: string): Found {
    if (hash === this.oldest.parentHash) {
      this.rooted = true
      return this.climb()
    }
    this.branch = []
    return nothing
  }

  private climb(): Found {
    for (;;) {
      const lowest = this.branch.at(-1)
      if (lowest === undefined) return nothing
      const { oldest, tip } = this
      if (this.at(lowest.number - 1)?.hash === lowest.parentHash) return this.join(lowest.number)
      if (lowest.number <= oldest.number) {
        // Both chains go on below. Which block they have in common nobody here knows yet.
        if (lowest.parentHash === oldest.parentHash && lowest.number === oldest.number) return this.join(lowest.number)
        if (this.forgotten) return { type: "lost", why: "reorg", from: lowest.number, to: tip.number }
        if (this.rooted) return this.join(oldest.number)
        const parent = this.parentOf(oldest)
        if (parent === undefined) return { type: "need", hash: oldest.parentHash, number: oldest.number - 1 }
        this.trunk.unshift(parent)
        continue
      }
      if (
        lowest.number - 1 - tip.number > this.bounds.gap ||
        this.branch.length > this.bounds.gap + this.bounds.depth
      ) {
        return { type: "lost", why: "gap", from: tip.number + 1, to: this.branch[0]!.number }
      }
      const parent = this.parentOf(lowest)
      if (parent === undefined) return { type: "need", hash: lowest.parentHash, number: lowest.number - 1 }
      this.branch.push(parent)
    }
  }

  private parentOf(block: Head): Head | undefined {
    const parent = this.seen.get(block.parentHash)
    return parent?.number === block.number - 1 ? parent : undefined
  }

  private get forgotten(): boolean {
    return this.trunk.length >= this.bounds.depth
  }

  // The branch from this height on takes the place of what was there.
  private join(number: number): Found {
    const removed = this.trunk.splice(Math.max(0, number - this.oldest.number)).toReversed()
    const added = this.branch.filter((block) => block.number >= number).toReversed()
    this.branch = []
    this.conflicts = 0
    this.trunk.push(...added)
    if (this.trunk.length > this.bounds.depth) this.trunk.splice(0, this.trunk.length - this.bounds.depth)
    // What is below the tip now is in the chain, or was not needed.
    for (const [hash, head] of this.seen) if (head.number <= this.tip.number) this.seen.delete(hash)
    return {
      type: "steps",
      steps: [
        ...removed.map((block): Step => ({ type: "removed", block })),
        ...added.map((block): Step => ({ type: "added", block }))
      ]
    }
  }
}

const nothing: Found = { type: "steps", steps: [] }
