// The line both limiters keep: first come, first served within a priority, the higher priority first. Pure.
import { Expiries } from "./expiries.ts"

/** Priorities are whole numbers from `-maxPriority` to `maxPriority`: few enough that finding the first is one step. */
export const maxPriority = 10

/**
 * How many turns in a row may go past whoever has waited longest. The next is his, so that under any load one turn in
 * ten goes by age alone and nobody starves.
 */
const maxOvertakes = 9

/** Someone in line. Carries its own links, so that leaving takes one step. */
export class Waiter {
  readonly weight: number
  readonly priority: number
  /** When it stops waiting, in milliseconds. */
  readonly expiresAt: number
  queued = false
  arrival = 0
  previous: this | undefined = undefined
  next: this | undefined = undefined

  constructor(weight: number, priority: number, expiresAt: number) {
    this.weight = weight
    this.priority = priority
    this.expiresAt = expiresAt
  }
}

class Lane<W extends Waiter> {
  first: W | undefined = undefined
  last: W | undefined = undefined
  weight = 0
}

export class Queue<W extends Waiter> {
  size = 0
  private readonly lanes = Array.from({ length: 2 * maxPriority + 1 }, () => new Lane<W>())
  /** Bit `i` is set while lane `i` holds someone. */
  private occupied = 0
  private arrivals = 0
  private overtakes = 0
  private readonly expiries = new Expiries<W>()

  push(waiter: W): void {
    const lane = this.laneOf(waiter)
    waiter.queued = true
    waiter.arrival = this.arrivals++
    waiter.previous = lane.last
    if (lane.last === undefined) lane.first = waiter
    else lane.last.next = waiter
    lane.last = waiter
    lane.weight += waiter.weight
    this.occupied |= 1 << (waiter.priority + maxPriority)
    this.size++
    this.expiries.add(waiter)
  }

  /** Takes someone out of the line, wherever he stands. */
  remove(waiter: W): void {
    if (!waiter.queued) return
    const lane = this.laneOf(waiter)
    const { next, previous } = waiter
    if (previous === undefined) lane.first = next
    else previous.next = next
    if (next === undefined) lane.last = previous
    else next.previous = previous
    waiter.previous = waiter.next = undefined
    waiter.queued = false
    lane.weight -= waiter.weight
    if (lane.first === undefined) this.occupied &= ~(1 << (waiter.priority + maxPriority))
    if (--this.size === 0) this.overtakes = 0
    this.expiries.forget()
  }

  /** Takes out the head, whose turn it was. */
  serve(head: W): void {
    this.overtakes = head === this.oldest() ? 0 : this.overtakes + 1
    this.remove(head)
  }

  /** Whose turn is next. */
  head(): W | undefined {
    return this.overtakes < maxOvertakes ? this.highest()?.first : this.oldest()
  }

  /** The weight that goes before a newcomer of this priority. */
  ahead(priority: number): number {
    let weight = 0
    for (let lanes = this.occupied >>> (priority + maxPriority), i = priority; lanes !== 0; lanes >>>= 1, i++) {
      if (lanes & 1) weight += this.lanes[i + maxPriority]!.weight
    }
    return weight
  }

  /** Who makes room for a newcomer of this priority: the last to come of the lowest class, if that is lower. */
  displaced(priority: number): W | undefined {
    const last = this.occupied === 0 ? undefined : this.lanes[lowestBit(this.occupied)]!.last
    return last !== undefined && last.priority < priority ? last : undefined
  }

  /** Who stops waiting first. */
  nextToExpire(): W | undefined {
    return this.expiries.first()
  }

  private laneOf(waiter: W): Lane<W> {
    return this.lanes[waiter.priority + maxPriority]!
  }

  private highest(): Lane<W> | undefined {
    return this.occupied === 0 ? undefined : this.lanes[highestBit(this.occupied)]
  }

  private oldest(): W | undefined {
    let oldest: W | undefined
    for (let lanes = this.occupied; lanes !== 0; lanes &= lanes - 1) {
      const first = this.lanes[lowestBit(lanes)]!.first!
      if (oldest === undefined || first.arrival < oldest.arrival) oldest = first
    }
    return oldest
  }
}

const highestBit = (bits: number): number => 31 - Math.clz32(bits)

const lowestBit = (bits: number): number => highestBit(bits & -bits)
