// The newest blocks of the chain, by number and hash, and who has shown them.
import type { Block } from "../heads.ts"

/** How many blocks are remembered. */
export const depth = 256

/** Who shows blocks. */
export interface Witness {
  /** Its newest block. */
  readonly height: number
  /** When it last showed one. */
  readonly seenAt: number
}

interface Slot<W> {
  block: Block
  /** Who has shown this hash, and none other since. */
  readonly by: Set<W>
  /** Another hash that was shown for this number, and by whom. */
  rival: { readonly hash: string; readonly by: Set<W> } | undefined
}

/** Blocks from `from` on have been replaced. `open`: below it may be more of them, since a parent is not known. */
export interface Fork {
  readonly from: number
  readonly open: boolean
}

export class History<W extends Witness> {
  private readonly slots = new Map<number, Slot<W>>()
  private readonly numbers = new Map<string, number>()
  private top = -1

  get latest(): Block | undefined {
    return this.slots.get(this.top)?.block
  }

  at(number: number): Block | undefined {
    return this.slots.get(number)?.block
  }

  /** The number of a block of the chain. */
  numberOf(hash: string): number | undefined {
    return this.numbers.get(hash)
  }

  /** Who has shown a block from a number on as it is remembered, and no other in its place since. */
  witnesses(from: number): Set<W> {
    const found = new Set<W>()
    for (const [number, { by }] of this.slots) if (number >= from) for (const witness of by) found.add(witness)
    return found
  }

  /**
   * Takes a block that `witness` shows as one of the chain. If another was in its place, the one that is better vouched
   * for stays: see {@link yields}.
   */
  place(block: Block, witness: W, now: number, patience: number): Fork | undefined {
    const { hash, number, parentHash } = block
    if (number <= this.top - depth) return undefined
    const here = this.slots.get(number)
    if (here !== undefined && here.block.hash !== hash) {
      return this.yields(here, hash, witness, now, patience) ? this.replace(block, witness) : undefined
    }
    const under = this.slots.get(number - 1)
    if (parentHash === undefined || under === undefined || under.block.hash === parentHash) {
      this.put(block, witness)
      return undefined
    }
    if (here !== undefined) {
      this.swap(number - 1, parentHash, witness)
      this.put(block, witness)
      return { from: number - 1, open: this.slots.has(number - 2) }
    }
    if (!this.yields(under, parentHash, witness, now, patience)) return undefined
    const fork = this.replace(headless(number - 1, parentHash), witness)
    this.put(block, witness)
    return fork
  }

  /** Forgets the blocks from a number on. */
  cut(from: number): void {
    for (const [number, { block }] of this.slots) {
      if (number < from) continue
      this.slots.delete(number)
      this.numbers.delete(block.hash)
    }
    if (this.top >= from) this.top = Math.max(-1, ...this.slots.keys())
  }

  /**
   * Whether a block gives way to another of its number. A witness that has changed its mind no longer vouches for the
   * first; those that were not heard lately do not count. Of the rest the longer chain wins, then the more witnesses.
   */
  private yields(slot: Slot<W>, hash: string, witness: W, now: number, patience: number): boolean {
    slot.by.delete(witness)
    if (slot.rival?.hash !== hash) slot.rival = { hash, by: new Set() }
    slot.rival.by.add(witness)
    let count = 0
    let longest = -1
    for (const { height, seenAt } of slot.by) {
      if (now - seenAt > patience) continue
      count++
      longest = Math.max(longest, height)
    }
    return witness.height > longest || slot.rival.by.size > count
  }

  private replace(block: Block, witness: W): Fork {
    const { number, parentHash } = block
    const by = this.slots.get(number)?.rival?.by
    const under = this.slots.get(number - 1)
    this.cut(number)
    // A chain that is taken up is taken up with what is known of its past.
    const deeper = under !== undefined && parentHash !== undefined && under.block.hash !== parentHash
    if (deeper) this.swap(number - 1, parentHash, witness)
    this.put(block, witness)
    for (const other of by ?? []) this.slots.get(number)!.by.add(other)
    return deeper
      ? { from: number - 1, open: this.slots.has(number - 2) }
      : { from: number, open: parentHash === undefined && under !== undefined }
  }

  private swap(number: number, hash: string, witness: W): void {
    this.numbers.delete(this.slots.get(number)!.block.hash)
    this.slots.set(number, { block: headless(number, hash), by: new Set([witness]), rival: undefined })
    this.numbers.set(hash, number)
  }

  private put(block: Block, witness: W): void {
    const { hash, number, parentHash } = block
    const slot = this.slots.get(number)
    if (slot === undefined) {
      this.slots.set(number, { block, by: new Set([witness]), rival: undefined })
      this.numbers.set(hash, number)
      if (number > this.top) this.rise(number)
    } else {
      slot.by.add(witness)
      if (slot.block.parentHash === undefined && parentHash !== undefined) slot.block = block
    }
    // So that every block that is remembered is the child of the one below it.
    if (parentHash === undefined || number === 0 || number - 1 <= this.top - depth) return
    const under = this.slots.get(number - 1)
    if (under === undefined) {
      this.slots.set(number - 1, { block: headless(number - 1, parentHash), by: new Set([witness]), rival: undefined })
      this.numbers.set(parentHash, number - 1)
    } else under.by.add(witness)
  }

  private rise(top: number): void {
    this.top = top
    if (this.slots.size <= depth + depth / 4) return
    for (const [number, { block }] of this.slots) {
      if (number > top - depth) continue
      this.slots.delete(number)
      this.numbers.delete(block.hash)
    }
  }
}

const headless = (number: number, hash: string): Block => ({
  number,
  hash,
  parentHash: undefined,
  timestamp: undefined
})
