// Whether a failed round is followed by another, and when.
import { Call, Outcome } from "@hawser/core"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"

/** Why there is no further round, although the failure deserved one. */
export type Denial = "schedule" | "attempts" | "hint" | "deadline" | "budget"

/** The failure of a round that only failed: not one that was interrupted, nor one that died of a bug. */
export const failureOf = <E>(cause: Cause.Cause<E>): { readonly error: E } | undefined => {
  const first = cause.reasons[0]
  return first !== undefined && Cause.isFailReason(first) && cause.reasons.every(Cause.isFailReason) ? first : undefined
}

/** What a round may be repeated for. */
export interface Rule {
  /** The user's word, which stands in for what the error says about where it may be tried again. */
  readonly while: ((error: never) => boolean) | undefined
  /** Running twice does no harm. */
  readonly repeatable: boolean
  /** A pool above has other upstreams: what may only be tried elsewhere is for it to try. */
  readonly pooled: boolean
}

/** Whether a failure deserves another round. */
export const deservesAnother = (error: unknown, rule: Rule): boolean => {
  const verdict = Outcome.of(error)
  if (!rule.repeatable && verdict.ran !== "no") return false
  if (rule.while !== undefined) return rule.while(error as never)
  return verdict.again === "anywhere" || (verdict.again === "elsewhere" && !rule.pooled)
}

/**
 * How long to wait before the next round, in milliseconds, or why there is none. `scheduled` is what the schedule says,
 * `undefined` when it has ended. An error that asks for more time than the schedule gets it, up to `longestHint`; one
 * that asks for a time that makes no sense asks for none.
 */
export const plan = (
  scheduled: number | undefined,
  error: unknown,
  longestHint: number,
  call: Call.Call,
  now: number
): number | Denial => {
  if (scheduled === undefined) return "schedule"
  if (Call.limit(call) <= 0) return "attempts"
  const { retryAfter } = Outcome.of(error)
  const hint = retryAfter === undefined ? 0 : Duration.toMillis(retryAfter)
  if (hint > longestHint) return "hint"
  const delay = Math.max(0, scheduled, hint)
  return Call.fits(call, now, delay) ? delay : "deadline"
}
