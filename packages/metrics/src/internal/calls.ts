import { Call } from "@hawser/core"
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Metric from "effect/Metric"
import type { Naming } from "./registry.ts"

export const description = {
  name: "call_seconds",
  help: "How long calls took, by method and outcome.",
  labels: ["method", "outcome"]
}

/** Methods that have a label of their own. A method is the caller's to invent, a label is not. */
const methods = 50

// From an answer of the cache to the deadline of a heavy call.
const boundaries = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]

type Outcome = "answered" | "rejected" | "failed" | "interrupted"

/** Makes the function that measures a call. */
export const recorder = ({ labels, prefix }: Naming, context: Context.Context<never>, clock: Clock.Clock) => {
  const known = new Map<string, Map<Outcome, Metric.Histogram<number>>>()
  const histogram = (method: string, outcome: Outcome): Metric.Histogram<number> => {
    const label = known.has(method) || known.size < methods ? method : "other"
    let outcomes = known.get(label)
    if (outcomes === undefined) known.set(label, (outcomes = new Map()))
    let found = outcomes.get(outcome)
    if (found === undefined) {
      found = Metric.histogram(prefix + description.name, {
        description: description.help,
        attributes: { ...labels, method: label, outcome },
        boundaries
      })
      outcomes.set(outcome, found)
    }
    return found
  }
  return <A, E>(method: string, call: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      const started = Call.now(clock)
      return Effect.onExitPrimitive(call, (exit) => {
        histogram(method, outcomeOf(exit)).updateUnsafe((Call.now(clock) - started) / 1000, context)
        return undefined
      })
    })
}

const outcomeOf = (exit: Exit.Exit<unknown, unknown>): Outcome => {
  if (exit._tag === "Success") return "answered"
  if (Cause.hasInterruptsOnly(exit.cause)) return "interrupted"
  return exit.cause.reasons.some(
    (reason) => Cause.isFailReason(reason) && (reason.error as { readonly _tag?: unknown } | null)?._tag === "Rejected"
  )
    ? "rejected"
    : "failed"
}
