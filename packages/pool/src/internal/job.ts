import type { Call, Outcome } from "@hawser/core"
import type * as Effect from "effect/Effect"

/** What a call wants of the pool. */
export interface Job<U, A, E, R> {
  readonly ask: (upstream: U) => Effect.Effect<A, E, R>
  /** A request that is nobody's, whose answer shows that an upstream is back. */
  readonly check: Check<U> | undefined
  /** Whether it may run twice. */
  readonly repeatable: boolean
  /** Errors that are answers: returned at once, as they are. */
  readonly isAnswer: (error: E, verdict: Outcome.Verdict) => boolean
}

export type Check<U> = (upstream: U) => Effect.Effect<unknown, unknown>

/** Whom a call wants asked. */
export interface Wish {
  /** All requests of one scope go to one upstream while it can. */
  readonly scope: string | undefined
  /** Who is not to be asked, by name. */
  readonly excluded: ReadonlyArray<string>
  /** Somebody beside those who are being asked. */
  readonly hedging: boolean
}

export type Failing<E> = E | Call.NoAnswer<E | Call.Defect>

/** An error whose verdict is "nowhere" and not a failure is the answer to what was asked. */
export const isAnswer = (_error: unknown, verdict: Outcome.Verdict): boolean =>
  verdict.again === "nowhere" && verdict.counts !== "failure"
