import type { Outcome } from "@hawser/core"
import { Ejection, type Rules } from "./ejection.ts"
import { Load, type Settings as LoadSettings } from "./load.ts"

export interface Settings extends LoadSettings {
  readonly ejection: Rules | undefined
  /** Milliseconds over which a new or returning upstream takes up its share. */
  readonly slowStart: number
}

export interface Spec<out U> {
  readonly name: string
  readonly upstream: U
  readonly tier: number
  readonly weight: number
  /** Requests that should be under way at most while others have room. */
  readonly capacity: number
}

/** Milliseconds between two last-resort requests to one upstream, at first and at most. */
const shortestGap = 50
export const longestGap = 1_000

/** One upstream of the pool and all the pool knows of it. */
export class Member<out U> {
  readonly name: string
  readonly upstream: U
  readonly tier: number
  readonly weight: number
  capacity: number
  readonly load: Load
  readonly ejection: Ejection | undefined
  /** No new requests; those under way end as they will. */
  draining = false
  asked = 0
  successes = 0
  failures = 0
  neutrals = 0
  refusals = 0
  /** The last refusal, and until when it holds. */
  leftOut: { readonly error: unknown; readonly until: number } | undefined = undefined
  lastError: unknown = undefined
  /** A last-resort request is under way. */
  probing = false
  /** When the next one may be sent, if nobody answers before. */
  probeAt = -Infinity
  private probeGap = 0
  /** Told whenever a request ends, and how. */
  readonly settled = new Set<(outcome: Outcome.Outcome) => void>()
  /** What smooth weighted round robin owes it. */
  credit = 0
  private readonly slowStart: number
  private joined: number

  constructor(spec: Spec<U>, settings: Settings, now: number) {
    this.name = spec.name
    this.upstream = spec.upstream
    this.tier = spec.tier
    this.weight = spec.weight
    this.capacity = spec.capacity
    this.load = new Load(settings)
    this.ejection = settings.ejection === undefined ? undefined : new Ejection(settings.ejection)
    this.slowStart = settings.slowStart
    this.joined = now
  }

  /** After a last-resort request that failed: the next ones come at longer and longer intervals. */
  probeFailed(now: number, random: number): void {
    this.probeGap = Math.min(longestGap, Math.max(shortestGap, this.probeGap * 2))
    this.probeAt = now + this.probeGap * (1 - random / 2)
  }

  answered(): void {
    this.probeGap = 0
    this.probeAt = -Infinity
  }

  /** A last-resort request has failed, and it has answered none since. */
  get isDown(): boolean {
    return this.probeGap > 0
  }

  cost(now: number): number {
    return this.load.cost(now) / (this.weight * this.ramp(now))
  }

  /** The share of its traffic that it takes up: from a tenth to all, in step with time since it came or came back. */
  ramp(now: number): number {
    if (this.slowStart === 0) return 1
    const since = now - Math.max(this.joined, this.ejection?.until ?? -Infinity)
    return since >= this.slowStart ? 1 : Math.max(0.1, since / this.slowStart)
  }

  /** It refused, and its refusal holds. */
  refuses(now: number): boolean {
    return this.leftOut !== undefined && now < this.leftOut.until
  }

  isEjected(now: number): boolean {
    return this.ejection?.isOut(now) === true
  }

  get isFull(): boolean {
    return this.load.inflight >= this.capacity
  }
}
