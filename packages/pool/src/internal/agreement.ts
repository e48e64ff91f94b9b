// Asks several upstreams of a pool at once: each place is a call of its own, to an upstream that no other place has.
import { Call, JsonRpc, Options as Read, type Outcome } from "@hawser/core"
import * as Effect from "effect/Effect"
import type { Quorum } from "../UpstreamPool.ts"
import { type Failing, isAnswer, type Job } from "./job.ts"
import { Ballot, ballotOf, type Disagreement, type Group, poll } from "./quorum.ts"
import type { Roster } from "./roster.ts"

/** Runs a job at whoever is to be asked, but those whom `exclude` names by then. */
type Run<U> = <A, E, R>(
  job: Job<U, A, E, R>,
  wish: { readonly exclude: ReadonlyArray<string> }
) => Effect.Effect<A, Failing<E>, R>

/** The answer on which enough upstreams agree. */
export const agreement = <U, A, E, R>(
  run: Run<U>,
  roster: Roster<U>,
  judge: (error: unknown) => Outcome.Verdict,
  ask: (upstream: U) => Effect.Effect<A, E, R>,
  options: Quorum<A>
): Effect.Effect<A, Failing<E> | Disagreement, R> => {
  const { agree, equal = sameJson, of } = options
  Read.integer({ min: 1 })("UpstreamPool.quorum.of", of)
  Read.integer({ min: 1, max: of })("UpstreamPool.quorum.agree", agree)
  const nameOf = (upstream: U) => roster.members.find((member) => member.upstream === upstream)?.name ?? ""
  const cast = (upstream: U): Effect.Effect<Ballot, E | Ballot, R> =>
    Effect.mapBoth(ask(upstream), {
      onSuccess: (value) => new Ballot(nameOf(upstream), { value }),
      onFailure: (error) => (isAnswer(error, judge(error)) ? new Ballot(nameOf(upstream), { error }) : error)
    })
  /** Whom `taken` names is being asked for another place, or has cast its ballot. */
  const ballot = (taken: Array<string>) =>
    run<Ballot, E | Ballot, R>(
      {
        ask: (upstream) =>
          Effect.suspend(() => {
            const name = nameOf(upstream)
            taken.push(name)
            return Effect.onExitPrimitive(cast(upstream), (exit) => {
              if (ballotOf(exit) === undefined) taken.splice(taken.indexOf(name), 1)
              return undefined
            })
          }),
        check: undefined,
        repeatable: true,
        isAnswer: (error) => error instanceof Ballot
      },
      { exclude: taken }
    )
  const alike = (a: Group["answer"], b: Group["answer"]) =>
    "value" in a && "value" in b
      ? equal(a.value as A, b.value as A)
      : "error" in a && "error" in b && sameError(a.error, b.error)
  const group = Effect.withFiber<Group, Failing<E> | Disagreement, R>((fiber) => {
    const places = ballot(Array.from(fiber.getRef(Call.Exclude)))
    return poll(places as Effect.Effect<Ballot, Failing<E> | Ballot, R>, of, agree, alike)
  })
  return Effect.flatMap(group, ({ answer }) =>
    "value" in answer ? Effect.succeed(answer.value as A) : Effect.fail(answer.error as E)
  )
}

const sameJson = (a: unknown, b: unknown): boolean => a === b || JSON.stringify(a) === JSON.stringify(b)

// Wording differs between nodes that mean the same: two reverts agree when their data do.
const sameError = (a: unknown, b: unknown): boolean => sameJson(essence(a), essence(b))

const essence = (error: unknown): unknown =>
  error instanceof JsonRpc.Rejected
    ? [error.kind, error.data ?? null]
    : error instanceof Error
      ? [error.name, error.message]
      : error
