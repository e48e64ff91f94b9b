/** What the failure of a load means for the values the cache has. */
import { JsonRpc, Outcome } from "@hawser/core"
import * as Cause from "effect/Cause"
import type * as Exit from "effect/Exit"

/** Whether an error is what the chain itself said: a new truth, which no old value may hide. */
export const isAnswer = (error: unknown): boolean => {
  if (error instanceof JsonRpc.Rejected) return true
  const { again, counts } = Outcome.of(error)
  return again === "nowhere" && counts !== "failure"
}

/** The typed error of a load that failed with one and nothing else. */
export const errorOf = (exit: Exit.Failure<unknown, unknown>): { readonly error: unknown } | undefined => {
  const { reasons } = exit.cause
  const reason = reasons[0]
  return reason !== undefined && reasons.length === 1 && Cause.isFailReason(reason)
    ? { error: reason.error }
    : undefined
}

/**
 * Whether a stale value may stand in for a load that failed: for any error that `staleOn` accepts and that is not
 * the chain's own answer, and for a defect, but not for an interruption.
 */
export const isExcused = (exit: Exit.Failure<unknown, unknown>, staleOn: (error: unknown) => boolean): boolean => {
  let excused = false
  for (const reason of exit.cause.reasons) {
    if (Cause.isFailReason(reason)) return !(reason.error instanceof JsonRpc.Rejected) && staleOn(reason.error)
    if (Cause.isDieReason(reason)) excused = true
  }
  return excused
}
