/**
 * One load, shared by all who ask for its key while it runs, and the `Call` it runs under.
 *
 * The load has a call of its own, so that its attempts and deadline are nobody's in particular; see `Relay`.
 */
import { Call, Relay } from "@hawser/core"
import type * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { Entry } from "./entries.ts"
import type { Terms } from "./policy.ts"
import type { Restored } from "./secondLevel.ts"
import { type Waiter, Waiters } from "./waiters.ts"

/** Someone who waits: a caller, or the cache itself, which holds a flight when no caller does. */
export interface Member extends Waiter {
  readonly call: Call.Call | undefined
  /** Takes the answer; the cache itself needs none. */
  readonly resume: ((exit: Exit.Exit<unknown, unknown>) => void) | undefined
  /** Runs while it waits, to make it leave in time. */
  timer: Fiber.Fiber<unknown> | undefined
}

export class Flight {
  readonly key: string
  readonly load: Effect.Effect<unknown, unknown>
  readonly terms: Terms
  /** Nobody asked for it: it replaces a value that is still in use. */
  readonly refresh: boolean
  readonly waiters = new Waiters<Member>()
  readonly call = new FlightCall(this.waiters)
  fiber: Fiber.Fiber<unknown, unknown> | undefined = undefined
  settled = false
  /** Nobody wants it any more. */
  abandoned = false
  /** The cache's own place among the waiters, while it has one. */
  holder: Member | undefined = undefined
  /** It has one because the last caller left, and only until the next comes. */
  lingers = false
  /** What to return if the load fails. */
  spare: Entry | undefined = undefined
  /** Where the value came from, if it was the second level. */
  found: Found | undefined = undefined

  constructor(key: string, load: Effect.Effect<unknown, unknown>, terms: Terms, refresh: boolean) {
    this.key = key
    this.load = load
    this.terms = terms
    this.refresh = refresh
  }

  join(member: Member): void {
    this.waiters.add(member)
    this.call.welcome(member)
    if (this.lingers) this.leave(this.holder!)
  }

  /** Gives the cache itself a place, without which the load would end with its last caller. */
  hold(deadline: number, lingers: boolean): Member {
    const holder: Member = { call: undefined, deadline, resume: undefined, timer: undefined, slot: 0 }
    this.join(holder)
    this.lingers = lingers
    return (this.holder = holder)
  }

  /** False if it had left before. */
  leave(member: Member): boolean {
    if (!this.waiters.delete(member)) return false
    this.release(member)
    this.call.follow()
    return true
  }

  /** Everyone who waits, and nobody does any more. */
  dismiss(): ReadonlyArray<Member> {
    const members = this.waiters.drain()
    for (const member of members) this.release(member)
    return members
  }

  /** Stops the load at once. */
  abandon(): void {
    this.abandoned = true
    this.fiber?.interruptUnsafe()
  }

  private release(member: Member): void {
    if (member === this.holder) {
      this.holder = undefined
      this.lingers = false
    }
    const { timer } = member
    member.timer = undefined
    timer?.interruptUnsafe()
  }
}

/** A value that a user of the store has left there. */
export interface Found extends Restored {
  readonly stale: boolean
}

class FlightCall extends Call.Call {
  override recorder: Call.Recorder | undefined = undefined
  override readonly failures: Map<string, unknown>
  private readonly waiters: Waiters<Member>
  private granted = Infinity
  private ceiling = Infinity

  constructor(waiters: Waiters<Member>) {
    super()
    this.waiters = waiters
    this.failures = new Relay.Failures(waiters)
  }

  welcome(member: Member): void {
    this.follow()
    if (member.call === undefined) return
    member.call.worker = this
    for (const [upstream, error] of this.failures) Call.fail(member.call, upstream, error)
    if (member.call.recorder !== undefined) this.recorder ??= new Relay.Recorder(this.waiters)
  }

  /** Sets the latest deadline of those who wait, unless a layer below has set an earlier one. */
  follow(): void {
    if (this.deadline < this.granted) this.ceiling = Math.min(this.ceiling, this.deadline)
    if (this.waiters.size > 0) this.granted = this.waiters.latest
    this.deadline = Math.min(this.ceiling, this.granted)
  }
}
