/**
 * How a call ended, in the three words every layer understands, and the protocol by which an error says what
 * should happen next.
 *
 * - **success**: the upstream did its work. A revert is a success: the node ran the call.
 * - **failure**: the upstream is to blame.
 * - **neutral**: nobody is. Interruption, the loser of a hedge, a refusal, a caller's own mistake. A neutral
 *   outcome moves no counter of successes or failures and frees whatever slot it held.
 */
import * as Cause from "effect/Cause"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"

export type Outcome = "success" | "failure" | "neutral"

/** The property under which an error carries its {@link Verdict}. A string, so that two copies of this package agree. */
export const TypeId = "~hawser/Outcome/Verdict"

/** What an error says about the upstream it came from and about asking again. */
export interface Verdict {
  /** How the error counts for whoever measures the upstream. */
  readonly counts: Outcome
  /** Where the request may be tried again: `elsewhere` is any upstream but this one. */
  readonly again: "anywhere" | "elsewhere" | "nowhere"
  /** `no`: the upstream provably did not run the request, so that even a write may be tried elsewhere. */
  readonly ran: "maybe" | "no"
  /** The upstream was left out before it was asked: costs neither an attempt nor budget. */
  readonly refused: boolean
  /** What would get a refused request through: standing in line, or going as a probe. */
  readonly insist: "wait" | "probe" | undefined
  /** Do not ask this upstream again before this time has passed. */
  readonly retryAfter: Duration.Duration | undefined
}

/** An error that carries its verdict. */
export interface Judged {
  readonly [TypeId]: Verdict
}

/** What an error means that says nothing: the upstream failed, any upstream may be asked. */
const fault: Verdict = {
  counts: "failure",
  again: "anywhere",
  ran: "maybe",
  refused: false,
  insist: undefined,
  retryAfter: undefined
}

/** A verdict that differs from the default (a failure, may be tried anywhere) in the fields given. */
export const verdict = (fields?: Partial<Verdict>): Verdict => (fields === undefined ? fault : { ...fault, ...fields })

/** The verdict of an upstream that was left out before it was asked. */
export const refusal = (retryAfter?: Duration.Duration, insist?: "wait" | "probe"): Verdict => ({
  counts: "neutral",
  again: "elsewhere",
  ran: "no",
  refused: true,
  insist,
  retryAfter
})

/** The verdict an error carries, or the default one. */
export const of = (error: unknown): Verdict =>
  typeof error === "object" && error !== null && TypeId in error ? (error as Judged)[TypeId] : fault

/**
 * The outcome of an exit. An exit that is only interruption is neutral; a defect is a failure; a typed failure
 * counts as `judge` says, by default as its own verdict does.
 */
export const ofExit = <A, E>(exit: Exit.Exit<A, E>, judge: (error: E) => Verdict = of): Outcome => {
  if (exit._tag === "Success") return "success"
  let outcome: Outcome = "neutral"
  for (const reason of exit.cause.reasons) {
    if (Cause.isDieReason(reason)) return "failure"
    if (Cause.isFailReason(reason)) outcome = judge(reason.error).counts
  }
  return outcome
}

/**
 * Builds an error without capturing its stack, which costs more than all the rest of a refusal.
 *
 * @see {@link refusal}
 */
export const stackless = <A extends Error>(make: () => A): A => {
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    return make()
  } finally {
    Error.stackTraceLimit = limit
  }
}

/**
 * Runs an effect under a permit.
 *
 * `acquire` gives the permit or the error that refuses it, `release` takes the permit back with the exit. The
 * release is in place before the permit is acquired, so that an interruption cannot fall between the two: a fiber
 * may be interrupted between any two operations, not only where it waits.
 */
export const guard = <A, E, R, Acquired extends object>(
  self: Effect.Effect<A, E, R>,
  acquire: () => Acquired,
  release: (permit: Exclude<Acquired, Error>, exit: Exit.Exit<A, E>) => void
): Effect.Effect<A, E | Extract<Acquired, Error>, R> =>
  Effect.suspend(() => {
    let permit: Acquired | undefined
    return Effect.onExitPrimitive(
      Effect.suspend((): Effect.Effect<A, E | Extract<Acquired, Error>, R> => {
        const acquired = acquire()
        if (acquired instanceof Error) return Effect.fail(acquired as Extract<Acquired, Error>)
        permit = acquired
        return self
      }),
      (exit) => {
        if (permit !== undefined) release(permit as Exclude<Acquired, Error>, exit as Exit.Exit<A, E>)
        return undefined
      }
    )
  })
