// How the layers that ask again keep the books of a call: one attempt for each round, whether or not something below
// (a pool) counts what it sends, and one deposit for each call.
import { Call } from "@hawser/core"
import type * as Clock from "effect/Clock"

/** What tells, after a round, whether it has been counted. */
export type Mark = number

export const paid: Mark = -1

/** Before a first round. One that a layer above has paid for, or a pool above has counted, is counted already. */
export const open = (call: Call.Call, pooled: boolean): Mark => (pooled || call.prepaid ? paid : call.sent)

/** Starts a further round: false when no attempt is left. Whatever counts below uses the one paid for here. */
export const reopen = (call: Call.Call): boolean => {
  if (!Call.spend(call)) return false
  call.prepaid = true
  return true
}

/** After a round: counts it, if nothing below has. */
export const close = (call: Call.Call, mark: Mark): void => {
  if (mark === paid) call.prepaid = false
  else if (call.sent === mark) Call.spend(call)
}

/** Gives the call its budget, unless a layer above has. Whoever does tells the budget of the call, once. */
export const enroll = (call: Call.Call, budget: Call.Budget | undefined, clock: Clock.Clock): void => {
  if (budget === undefined || call.budget !== undefined) return
  call.budget = budget
  budget.deposit(Call.now(clock))
}
