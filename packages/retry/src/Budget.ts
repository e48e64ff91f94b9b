/**
 * A retry budget: how many requests a client may send beyond one for each call.
 *
 * Counting attempts bounds one call. It does not bound a client: when everything fails, three attempts for each call
 * are three times the load, at the worst time. A budget bounds the sum. Each call deposits a share of a request, each
 * retry and each hedge withdraws one, and what was deposited is forgotten after a window:
 *
 * > within every window, withdrawals ≤ ratio × deposits + floor
 *
 * The bound is exact, for every window of that length and over any number of concurrent callers. Failovers to an
 * upstream that was not yet asked are charged, too, but never denied: they can put the budget in debt, which the window
 * forgets like everything else.
 */
import type { Call } from "@hawser/core"
import type * as Duration from "effect/Duration"
import * as Made from "./internal/budget.ts"

export interface Options {
  /** Extra requests for each call, over time: from 0 to 1000, rounded to thousandths. Default 0.5. */
  readonly ratio?: number | undefined
  /** Extra requests per window that need no calls, so that a client with little traffic can retry. Default 10. */
  readonly floor?: number | undefined
  /** How long deposits and withdrawals count. Default 10 seconds. */
  readonly window?: Duration.Input | undefined
}

/** A snapshot: what counts in the present window, and what may still be withdrawn (below zero: debt). */
export interface Inspection {
  readonly deposits: number
  readonly withdrawals: number
  readonly balance: number
}

/** Times are milliseconds on the monotonic clock, as `Call.now` gives them. */
export interface Budget extends Call.Budget {
  readonly [Made.TypeId]: typeof Made.TypeId
  readonly inspect: (now: number) => Inspection
}

/**
 * Makes a budget, to be shared by several policies or clients. A policy that is given none makes its own.
 *
 * ```ts
 * const budget = Budget.make({ ratio: 0.2 })
 * const stack = pool.pipe(Hedge.layer({ budget }), Retry.layer({ budget }))
 * ```
 *
 * Within one call retries and hedges always share one budget: that of the outermost layer which has one.
 */
export const make = (options?: Options): Budget => Made.make("Budget", options)

export const isBudget = (u: unknown): u is Budget => typeof u === "object" && u !== null && Made.TypeId in u
