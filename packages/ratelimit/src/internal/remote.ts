// A limit that is kept elsewhere, where other processes draw on it, too; and what this process knows of it.
import * as Effect from "effect/Effect"
import type { Rate } from "./gcra.ts"
import { Meter } from "./meter.ts"

/** A limit that several processes share: see `@hawser/store`. */
export interface Shared {
  /** The limit of one upstream. */
  readonly quota: (upstream: string, rates: ReadonlyArray<Rate>) => Effect.Effect<Quota>
  /** The share of the limit that this process keeps to while nobody answers; `undefined`: no limit then. */
  readonly alone: number | undefined
}

/** The limit of one upstream, kept elsewhere. Each effect ends soon and never fails. Times are milliseconds. */
export interface Quota {
  /** Takes `weight` of all rates or of none; `undefined` if whoever keeps the limit does not answer. */
  readonly take: (weight: number) => Effect.Effect<Answer | undefined>
  /** Gives back what was taken for a request that was never sent, where that can be done exactly. */
  readonly undo: (permit: Permit, weight: number) => Effect.Effect<void>
  /** Pauses it for everybody, unless a pause has begun since the permit was given. */
  readonly pause: (millis: number, permit: Permit) => Effect.Effect<void>
}

/** What was taken, in the words of whoever keeps the limit. */
export type Permit = ReadonlyArray<number>

export interface Answer {
  /** `undefined`: nothing was taken. */
  readonly permit: Permit | undefined
  /** From when on it could be taken, if nobody else came. */
  readonly wait: number
  readonly pausedFor: number
  /** What is left, in whole units. */
  readonly available: number
}

/** What was granted; without a permit it was this process that granted it. */
export interface Grant {
  readonly permit: Permit | undefined
}

export const free: Grant = { permit: undefined }

export class Remote {
  /** What was left when it was last asked. */
  available: number | undefined = undefined
  readonly quota: Quota
  private readonly capacity: number
  private readonly burst: number
  /** The least that one unit of weight takes. */
  private readonly pace: number
  private readonly spare: Meter | undefined
  /** What the last refusal told: this weight cannot pass before then, and whatever is heavier not even then. */
  private refused = { weight: Infinity, until: -Infinity }

  constructor(quota: Quota, rates: ReadonlyArray<Rate>, alone: number | undefined, now: number) {
    this.quota = quota
    this.capacity = Math.min(...rates.map((rate) => Math.max(rate.limit, rate.burst)))
    this.burst = Math.min(...rates.map((rate) => rate.burst))
    this.pace = Math.max(...rates.map((rate) => rate.window / rate.limit))
    this.spare =
      alone === undefined
        ? undefined
        : new Meter({ rates: rates.map(partOf(alone)), maxPause: 0, learning: undefined }, now, () => {})
  }

  /** Milliseconds before which it is not worth asking, once all of `ahead` has passed. `Infinity` if never. */
  wait(now: number, weight: number, ahead: number): number {
    if (weight > this.capacity) return Infinity
    const { until, weight: refused } = this.refused
    const heavier = Math.min(weight, this.burst) - Math.min(refused, this.burst)
    const known = weight >= refused && now < until ? until - now + heavier * this.pace : 0
    return known + ahead * this.pace
  }

  /** Asks for `weight`, which is more than 0. Tells of a pause of which this process may not know. */
  ask(weight: number, now: () => number, paused: (millis: number) => void): Effect.Effect<Grant | undefined> {
    return Effect.map(this.quota.take(weight), (answer) => {
      const time = now()
      if (answer === undefined) return this.decide(weight, time)
      this.available = answer.available
      if (answer.permit !== undefined) return { permit: answer.permit }
      this.refuse(weight, time, answer.wait)
      if (answer.pausedFor > 0) paused(answer.pausedFor)
      return undefined
    })
  }

  undo({ permit }: Grant, weight: number): Effect.Effect<void> {
    return permit === undefined ? Effect.void : this.quota.undo(permit, weight)
  }

  private decide(weight: number, now: number): Grant | undefined {
    this.available = this.spare?.available(now)
    if (this.spare === undefined || this.spare.take(now, weight)) return free
    // What weighs more than this process's share waits for the others' word.
    this.refuse(weight, now, Math.min(this.spare.wait(now, weight, 0), 1_000))
    return undefined
  }

  private refuse(weight: number, now: number, wait: number): void {
    const { refused } = this
    if (weight > refused.weight && now < refused.until) return
    // Less than a millisecond cannot be slept.
    this.refused = { weight, until: now + Math.max(1, wait) }
  }
}

const partOf =
  (share: number) =>
  ({ burst, limit, window }: Rate): Rate => ({
    limit: limit * share,
    window,
    burst: Math.max(1, Math.floor(burst * share))
  })
