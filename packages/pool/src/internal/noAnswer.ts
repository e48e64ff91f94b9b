import { Call, Outcome } from "@hawser/core"
import * as Duration from "effect/Duration"

/** What a call ends with that nobody has answered. `final`: asking again would be wrong, not only useless. */
export const noAnswer = <E>(
  causes: ReadonlyArray<Call.Failure<E>>,
  judge: (error: unknown) => Outcome.Verdict,
  final: boolean
): Call.NoAnswer<E> => {
  const verdicts = causes.map(({ error }) => judge(error))
  const waits = verdicts.map(({ retryAfter }) => (retryAfter === undefined ? 0 : Duration.toMillis(retryAfter)))
  const soonest = Math.min(...waits)
  // Elsewhere there is nobody, so another round is worth it only where the same upstream may answer later.
  const heals = verdicts.some((v) => v.again === "anywhere" || v.retryAfter !== undefined || v.insist !== undefined)
  return Outcome.stackless(
    () =>
      new Call.NoAnswer({
        causes,
        [Outcome.TypeId]: Outcome.verdict({
          again: final || !heals ? "nowhere" : "anywhere",
          ran: verdicts.every(({ ran }) => ran === "no") ? "no" : "maybe",
          retryAfter: soonest > 0 && Number.isFinite(soonest) ? Duration.millis(soonest) : undefined
        })
      })
  )
}
