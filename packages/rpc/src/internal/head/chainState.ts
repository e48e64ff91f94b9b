// What the upstreams of a pool have shown of their chain, and what follows from it: which head is to be believed, the
// least that a reader must be told from now on, which upstream lags, and what has been replaced.
import type { Block, Change } from "../heads.ts"
import type { Evidence } from "./evidence.ts"
import { depth, type Fork, History } from "./history.ts"
import { Tracker } from "./tracker.ts"

/** Blocks by which two upstreams may differ and still bear each other out. */
const near = 1

/** No chain is as high as that: a block every 36 ms since 2015. */
export const absurd = 1e10

/** An upstream whose head has not risen for so many block times is not asked about the head of others. */
export const stuck = 4

/** How much quicker than measured, or assumed, a chain may be that only one shows. */
const quickest = 64

/** How long nobody may have shown the floor, while others showed less, before it is given up, in milliseconds. */
const givenUp = 600_000

export interface Limits {
  /** Milliseconds, until it is measured. */
  readonly blockTime: number
  /** An upstream lags when it is more blocks behind than this, and more time. */
  readonly blocks: number
  readonly time: number
}

export class ChainState {
  readonly history = new History<Tracker>()
  readonly trackers: Array<Tracker> = []
  /** The head that readers have been told: later answers must know it. */
  floor: number | undefined = undefined
  /** When the floor rose last. */
  private raisedAt = 0
  /** The highest block of which a caller knows that was not told of it as the head: from a receipt, say. */
  private mentioned = -1
  /** Two upstreams have vouched for it, or time has. */
  private firm = false
  /** Those who have shown the floor's block to be of a chain that was left, until one tells how high the other is. */
  private left: Set<Tracker> | undefined = undefined
  /** Since when those who were heard have less than the floor. */
  private missed: number | undefined = undefined
  private second: number | undefined = undefined
  private time: number
  private known: { safe: Block | undefined; finalized: Block | undefined } = { safe: undefined, finalized: undefined }
  private readonly limits: Limits
  private readonly changed: (change: Change) => void

  constructor(limits: Limits, changed: (change: Change) => void) {
    this.limits = limits
    this.time = limits.blockTime
    this.changed = changed
  }

  get safe(): Block | undefined {
    return this.known.safe
  }

  get finalized(): Block | undefined {
    return this.known.finalized
  }

  join(name: string): Tracker {
    const tracker = new Tracker(name)
    this.trackers.push(tracker)
    return tracker
  }

  leave(tracker: Tracker): void {
    const at = this.trackers.indexOf(tracker)
    if (at >= 0) this.trackers.splice(at, 1)
    this.count()
  }

  /** There is nobody to compare with. */
  get alone(): boolean {
    return this.trackers.length <= 1
  }

  /** Milliseconds from block to block: the median of what the upstreams show, the slower of two. */
  get blockTime(): number {
    return this.time
  }

  private measure(): void {
    const paces = this.trackers.flatMap(({ pace }) => pace.millis ?? []).toSorted((a, b) => a - b)
    const millis = paces[Math.floor(paces.length / 2)] ?? this.limits.blockTime
    this.time = Math.min(60_000, Math.max(50, millis))
  }

  /**
   * The head against which lag is measured: the highest that two upstreams have. One upstream that claims more makes
   * nobody late, and none is late on a chain that stands still.
   */
  get quorum(): number | undefined {
    return this.second
  }

  /** The newest block that can be asked for. */
  get highest(): number {
    return Math.max(this.floor ?? -1, this.second ?? -1)
  }

  /** Whether another upstream has shown a newer block: it may know more. */
  isBehind({ height }: Tracker): boolean {
    return this.trackers.some((other) => other.height > height && other.height <= absurd)
  }

  /** The least that a reader of the newest block must get. */
  get least(): number | undefined {
    const { floor, second } = this
    const tolerated = second === undefined ? undefined : second - this.tolerance
    return floor === undefined ? tolerated : Math.max(floor, tolerated ?? floor)
  }

  private get tolerance(): number {
    return Math.max(this.limits.blocks, Math.floor(this.limits.time / this.blockTime))
  }

  /** Blocks by which an upstream is behind; `undefined` if it has shown none. */
  lag(tracker: Tracker): number | undefined {
    return tracker.height < 0 ? undefined : Math.max(0, this.highest - tracker.height)
  }

  isLate(tracker: Tracker): boolean {
    const lag = this.lag(tracker)
    return lag !== undefined && lag > this.tolerance
  }

  /** It has shown that the floor's chain was left, and not yet how high the new one is. */
  isLeft(tracker: Tracker): boolean {
    return this.left?.has(tracker) === true
  }

  /**
   * Takes what an answer shows. `told`: the answer goes to a caller. `unopposed`: those who could contradict have been
   * asked, and `since` when they have had the time to. Returns a fork whose beginning is not known.
   */
  observe(
    tracker: Tracker,
    seen: Evidence,
    now: number,
    told: boolean,
    unopposed: boolean,
    since = Infinity
  ): Fork | undefined {
    const { millis } = tracker.pace
    tracker.show(seen, now, this.time)
    if (tracker.pace.millis !== millis) this.measure()
    this.count()
    const head = this.history.latest
    const fork =
      seen.hash !== undefined && seen.kind !== "has" && this.believes(seen.number, now, unopposed, since)
        ? this.history.place(seen as Block, tracker, now, this.blockTime)
        : undefined
    if (fork !== undefined) this.replaced(fork, tracker, seen)
    if (seen.kind === "head") this.follow(tracker, seen.number, now)
    if (told) this.raise(seen.number, now, unopposed, since)
    this.retract()
    this.tell(head)
    return fork?.open === true ? fork : undefined
  }

  /** A caller gets an answer from which it knows of a block. */
  mention(number: number): void {
    this.mentioned = Math.max(this.mentioned, number)
  }

  /** Whether a block may be taken for one of the chain: see `Head.make`. */
  private believes(number: number, now: number, unopposed: boolean, since: number): boolean {
    const { floor } = this
    if (this.alone || (floor !== undefined && number <= floor)) return true
    if (number > absurd) return false
    if (floor === undefined || this.isShared(number)) return true
    if (!unopposed) return false
    const against = this.against(number, now)
    // Who was asked and does not answer is no help in telling better; but what two said a moment ago outweighs a head of
    // which the caller has not heard.
    const most = against < 2 ? floor + depth : Math.min(floor + depth, this.mentioned)
    if (number <= most && since <= now && this.against(number, now, since) === 0) return true
    if (against >= 2) return false
    const paced = this.paced(floor, now)
    if (number <= paced) return true
    // It may be quicker than is known.
    const possible = floor + depth + quickest * (paced - floor)
    return against === 0 && number <= possible && this.trackers.some((one) => one.stood(now, this.time) >= number)
  }

  /** Lets the floor rise to a head that is told, as far as it can be believed. */
  private raise(number: number, now: number, unopposed: boolean, since: number): void {
    const { floor, time } = this
    if (floor === undefined) {
      if (!this.believes(number, now, unopposed, since)) return
      this.floor = number
      this.raisedAt = now
      this.firm = this.alone || this.isShared(number)
    } else if (number > floor) {
      let risen = floor
      if (this.believes(number, now, unopposed, since)) risen = number
      else if (unopposed && this.against(number, now) < 2) risen = this.paced(floor, now)
      if (risen <= floor) return
      this.firm ||= this.isShared(risen)
      this.floor = risen
      // What is left of a block time counts for the next.
      this.raisedAt = Math.min(now, Math.max(this.raisedAt + (risen - floor) * time, now - time))
      this.missed = undefined
    } else this.firm ||= this.isShared(floor)
  }

  /** How far the chain can have come since the floor rose. */
  private paced(floor: number, now: number): number {
    return floor + Math.floor((now - this.raisedAt) / this.time)
  }

  /** Two have it, or nearly. */
  isShared(number: number): boolean {
    let count = 0
    for (const { height } of this.trackers) if (height >= number - near) count++
    return count >= 2
  }

  /** How many said within a block time, and `since`, that they have less. One that stands still says nothing of how far others are. */
  private against(number: number, now: number, since = -Infinity): number {
    let count = 0
    const from = Math.max(since, now - this.time)
    for (const { height, roseAt, saidAt } of this.trackers) {
      if (height < number - near && saidAt >= from && now - roseAt <= stuck * this.time) count++
    }
    return count
  }

  /** The floor's chain has been left, or nobody knows it any more. */
  private follow(tracker: Tracker, number: number, now: number): void {
    const { floor } = this
    if (floor === undefined) return
    if (number >= floor) {
      this.missed = undefined
      this.left = undefined
    } else if (this.left?.has(tracker) === true) this.fall(number, now)
    else {
      this.missed ??= now
      if (now - this.missed >= givenUp) this.fall(Math.max(number, this.second ?? number), now)
    }
  }

  private fall(number: number, now: number): void {
    this.floor = number
    this.mentioned = Math.min(this.mentioned, number)
    this.raisedAt = now
    this.missed = undefined
    this.left = undefined
  }

  /** The first head of all had nothing to be compared with: two others that are far from it have the better word. */
  private retract(): void {
    const { floor, second } = this
    if (floor === undefined || second === undefined || this.firm || floor - second <= depth) return
    if (this.trackers.filter(({ height }) => height >= 0).length < 3 || this.isShared(floor)) return
    this.floor = second
    this.mentioned = Math.min(this.mentioned, second)
    this.firm = true
    this.history.cut(second + 1)
    this.changed({ type: "reorg", from: second + 1 })
  }

  private replaced({ from }: Fork, by: Tracker, seen: Evidence): void {
    const showing = this.history.witnesses(from)
    for (const tracker of this.trackers) {
      if (!showing.has(tracker)) tracker.cut(from)
      else if (tracker.finalized !== undefined && tracker.finalized.number >= from) tracker.cut(from)
    }
    if (seen.kind === "head") by.height = seen.number
    this.mentioned = Math.min(this.mentioned, from - 1)
    this.count()
    if (this.floor !== undefined && from <= this.floor) this.left = showing
    this.changed({ type: "reorg", from })
  }

  private count(): void {
    let first = -1
    let second = -1
    for (const { height } of this.trackers) {
      if (height > first) {
        second = first
        first = height
      } else if (height > second) second = height
    }
    const head = this.alone ? first : second
    this.second = head < 0 ? undefined : head
  }

  private tell(before: Block | undefined): void {
    const head = this.history.latest
    if (head !== undefined && head.hash !== before?.hash) this.changed({ type: "head", block: head })
    for (const type of ["safe", "finalized"] as const) {
      const block = this.agreed(type)
      const known = this.known[type]
      this.known[type] = block
      if (block !== undefined && block.number > (known?.number ?? -1)) this.changed({ type, block })
    }
  }

  /** The highest that two upstreams show or, if only one shows any, that. */
  private agreed(type: "safe" | "finalized"): Block | undefined {
    let first: Block | undefined
    let second: Block | undefined
    for (const tracker of this.trackers) {
      const block = tracker[type]
      if (block === undefined || block.number > (this.highest < 0 ? absurd : this.highest)) continue
      if (first === undefined || block.number > first.number) {
        second = first
        first = block
      } else if (second === undefined || block.number > second.number) second = block
    }
    return second ?? first
  }
}
