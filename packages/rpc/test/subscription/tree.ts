/** Random chains, their reorganisations, and nodes that see more or less of them. */
import type { Found, Follower, Step } from "../../src/internal/subscription/follower.ts"
import { type Head, readHead } from "../../src/internal/subscription/head.ts"

/** mulberry32 (Tommy Ettinger, public domain). */
export const seeded = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Every block there ever was, and which of them are the chain. */
export class Tree {
  readonly blocks = new Map<string, Head>()
  chain: Array<Head> = []
  private count = 0

  constructor(length: number) {
    for (let i = 0; i < length; i++) this.mine()
  }

  get head(): Head {
    return this.chain.at(-1)!
  }

  mine(): Head {
    const parent = this.chain.at(-1)
    const hash = `0x${(++this.count).toString(16).padStart(64, "0")}`
    const block = readHead({
      number: `0x${this.chain.length.toString(16)}`,
      hash,
      parentHash: parent?.hash ?? `0x${"f".repeat(64)}`,
      timestamp: `0x${(12 * this.count).toString(16)}`
    })!
    this.blocks.set(hash, block)
    this.chain.push(block)
    return block
  }

  /** Replaces the newest blocks by others, `grows` more of them. */
  reorg(depth: number, grows: number): void {
    const length = this.chain.length
    this.chain.splice(Math.max(1, length - depth))
    while (this.chain.length < length + grows) this.mine()
  }
}

/** Gives what is needed until nothing is. `get` may say that it has not got it. */
export const settle = (
  follower: Follower,
  found: Found,
  get: (hash: string) => Head | undefined
): Exclude<Found, { readonly type: "need" }> => {
  while (found.type === "need") {
    const block = get(found.hash)
    found = block === undefined ? follower.missing(found.hash) : follower.supply(block)
  }
  return found
}

/** Plays steps to whoever believes only what follows from what was said before. */
export class Witness {
  readonly chain: Array<Head>
  told = 0

  constructor(start: ReadonlyArray<Head>) {
    this.chain = [...start]
  }

  hear({ block, type }: Step): void {
    this.told++
    const top = this.chain.at(-1)
    if (type === "removed") {
      if (top?.hash !== block.hash) throw new Error(`removed ${block.number}, which is not the top`)
      this.chain.pop()
    } else {
      if (top !== undefined && (top.hash !== block.parentHash || top.number + 1 !== block.number)) {
        throw new Error(`added ${block.number} on ${top.number}: a gap, or another chain`)
      }
      this.chain.push(block)
    }
  }
}
