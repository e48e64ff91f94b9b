// What the calls of a pool have in common.
import { Call, type Outcome } from "@hawser/core"
import type * as Clock from "effect/Clock"
import type * as Exit from "effect/Exit"
import type { Lease } from "./lease.ts"
import type { Roster } from "./roster.ts"
import type { Turn } from "./turn.ts"

/** What a call needs of its pool. */
export interface Ground<U> {
  readonly clock: Clock.Clock
  readonly random: () => number
  readonly roster: Roster<U>
  readonly judge: (error: unknown) => Outcome.Verdict
  readonly emit: (event: () => Event) => void
  /** While all are down, those who have time wait. */
  readonly patient: boolean
  /** What is asked in one turn goes to one upstream. */
  readonly turn: Turn<U> | undefined
}

/** What a pool tells as it happens. */
export type Event =
  | { readonly type: "failed"; readonly upstream: string; readonly error: unknown }
  | { readonly type: "left-out"; readonly upstream: string; readonly error: unknown }
  | { readonly type: "last-resort"; readonly upstream: string }
  | { readonly type: "ejected"; readonly upstream: string; readonly for: number }
  | { readonly type: "no-answer"; readonly causes: ReadonlyArray<Call.Failure> }

/** What the end of a request says of its upstream. */
export const conclude = <U>(pool: Ground<U>, lease: Lease<U>, exit: Exit.Exit<unknown, unknown>): Outcome.Outcome => {
  const { manner, member } = lease
  const now = Call.now(pool.clock)
  const outcome = lease.settle(exit, pool.judge, now)
  if (outcome === "success") member.answered()
  else if (outcome === "failure" && (manner === "probe" || member.isDown)) member.probeFailed(now, pool.random())
  if (lease.due && pool.roster.eject(member, now, pool.random)) {
    pool.emit(() => ({ type: "ejected", upstream: member.name, for: member.ejection!.until - now }))
  }
  return outcome
}
