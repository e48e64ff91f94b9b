// Takes a query apart into pieces that a node can answer, one refusal at a time.
//
// What is still to be asked for lies on a stack, the lowest blocks on top. From the piece on top as many blocks are cut as
// are thought to be possible (the width). A refusal lowers the width and puts the piece back in two; where a single block
// is too much, its addresses are halved, then the topics it accepts. A row of answers at full width doubles it: what a
// node said once, or what held where logs are dense, is not believed for ever. A width that is only a guess is tried by
// one piece at a time, so that finding out costs few requests, however many may run at once.
import { listOf, type Piece, span } from "./query.ts"
import type { Refusal } from "./refusal.ts"

/** Answers in a row before a greater width is tried: at first, and at most, if that was refused. */
const leastPatience = 8
const mostPatience = 32

export interface Limits {
  readonly blocks: number
  readonly addresses: number
}

export class Plan {
  /** Pieces may share blocks, so that their logs interleave. */
  crosswise = false
  private readonly todo: Array<Piece> = []
  private readonly most: number
  private addresses: number
  private width: number
  /** The width that is known to do, or that a node has named. */
  private proven: number
  /** The piece that tries a greater one. */
  private probe: Piece | undefined = undefined
  private streak = 0
  private patience = leastPatience

  /** `known`: what has been learned. `most`: blocks that a piece may have in any case. */
  constructor(known: Limits, most: number) {
    this.most = most
    this.width = Math.min(known.blocks, most)
    this.proven = this.width === Infinity ? 0 : this.width
    this.addresses = known.addresses
  }

  add(piece: Piece): void {
    this.todo.push(piece)
  }

  /** What to ask for next; `undefined` when there is nothing, or nothing before a piece under way has ended. */
  take(): Piece | undefined {
    const trying = this.width > this.proven
    const limit = trying && this.probe !== undefined ? this.proven : this.width
    let piece = limit === 0 ? undefined : this.todo.pop()
    if (piece === undefined) return undefined
    const { addresses, from, to } = piece
    if (addresses !== undefined && addresses.length > this.addresses) {
      this.crosswise = true
      this.todo.push({ ...piece, addresses: addresses.slice(this.addresses) })
      piece = { ...piece, addresses: addresses.slice(0, this.addresses) }
    }
    if (to - from >= limit) {
      this.todo.push({ ...piece, from: from + limit })
      piece = { ...piece, to: from + limit - 1, cut: true }
    }
    if (trying && span(piece) > this.proven) this.probe = piece
    return piece
  }

  answered(piece: Piece): void {
    const blocks = span(piece)
    if (piece === this.probe) {
      this.probe = undefined
      // A guess that is not the first: it may be time for more of them.
      if (this.proven > 0) this.patience = leastPatience
    }
    if (blocks > this.proven) this.proven = Math.min(blocks, this.width)
    if (blocks < this.width || ++this.streak < this.patience) return
    this.streak = 0
    this.width = Math.min(2 * this.width, this.most)
  }

  /** Puts a piece back in parts. False when it has none. */
  refused(piece: Piece, refusal: Refusal): boolean {
    if (piece === this.probe) {
      this.probe = undefined
      if (this.proven > 0) this.patience = Math.min(2 * this.patience, mostPatience)
    }
    this.streak = 0
    const parts =
      (refusal.what === "blocks" ? this.byBlocks(piece, refusal.most) : undefined) ??
      this.byAddresses(piece, refusal) ??
      this.byTopics(piece)
    if (parts === undefined) return false
    this.todo.push(...parts.toReversed())
    return true
  }

  private byBlocks(piece: Piece, named: number | undefined): ReadonlyArray<Piece> | undefined {
    const { cut, from, to } = piece
    const blocks = span(piece)
    if (blocks === 1) return undefined
    const half = Math.ceil(blocks / 2)
    // Where the last such word was wrong, halves are sure to come to an end.
    const believed = named !== undefined && named < blocks && !(cut && named > half) ? named : undefined
    const next = believed ?? half
    this.width = Math.min(this.width, next)
    this.proven = believed === undefined ? Math.min(this.proven, next) : this.width
    return [
      { ...piece, to: from + next - 1, cut: believed !== undefined },
      { ...piece, from: from + next, to, cut: false }
    ]
  }

  private byAddresses(piece: Piece, { most, what }: Refusal): ReadonlyArray<Piece> | undefined {
    const { addresses } = piece
    if (addresses === undefined || addresses.length < 2) return undefined
    this.crosswise = true
    const half = Math.ceil(addresses.length / 2)
    const next = what === "addresses" && most !== undefined ? Math.min(most, half) : half
    if (what === "addresses") this.addresses = Math.min(this.addresses, next)
    return [
      { ...piece, addresses: addresses.slice(0, next) },
      { ...piece, addresses: addresses.slice(next) }
    ]
  }

  private byTopics(piece: Piece): ReadonlyArray<Piece> | undefined {
    const { topics } = piece
    if (!Array.isArray(topics)) return undefined
    // A log has one topic in each place, so it is in one of the halves.
    const lists = topics.map(listOf)
    const most = Math.max(...lists.map((list) => list?.length ?? 0))
    const place = lists.findIndex((list) => list?.length === most)
    const list = lists[place]
    if (list === undefined) return undefined
    this.crosswise = true
    const half = Math.ceil(most / 2)
    return [list.slice(0, half), list.slice(half)].map((part) => ({ ...piece, topics: topics.with(place, part) }))
  }
}
