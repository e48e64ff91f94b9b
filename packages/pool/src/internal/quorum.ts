// Asks several upstreams and counts who agrees with whom.
import { Call, Outcome } from "@hawser/core"
import * as Cause from "effect/Cause"
import type * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"

/** Upstreams that gave the same answer: a value, or an error that is an answer. */
export interface Group {
  readonly answer: { readonly value: unknown } | { readonly error: unknown }
  readonly upstreams: ReadonlyArray<string>
}

/** Upstreams answered, but too few of them alike. */
export class Disagreement extends Data.TaggedError("Disagreement")<{
  /** How many had to agree. */
  readonly needed: number
  /** Who said what, the largest group first. */
  readonly groups: ReadonlyArray<Group>
}> {
  override get message(): string {
    const sides = this.groups.map(({ upstreams }) => upstreams.join(" + ")).join(" against ")
    return `${this.needed} upstreams had to agree: ${sides}`
  }
}

/** What one upstream answered. */
export class Ballot {
  readonly upstream: string
  readonly answer: Group["answer"]
  /** A ballot that is an error is an answer to the pool: no other upstream need be asked in its place. */
  readonly [Outcome.TypeId]: Outcome.Verdict

  constructor(upstream: string, answer: Group["answer"]) {
    this.upstream = upstream
    this.answer = answer
    this[Outcome.TypeId] = "error" in answer ? Outcome.of(answer.error) : Outcome.verdict()
  }
}

/**
 * Runs `ask` so many times at once, each time for another upstream, until enough ballots agree or no longer can. The rest
 * is interrupted. Each is a call of its own, with the deadline of the caller's.
 */
export const poll = <E, R>(
  ask: Effect.Effect<Ballot, E | Ballot, R>,
  of: number,
  agree: number,
  equal: (a: Group["answer"], b: Group["answer"]) => boolean
): Effect.Effect<Group, Disagreement | E, R> =>
  Call.use((caller, fiber) =>
    Effect.callback((resume) => {
      const run = Effect.runForkWith(fiber.context as Context.Context<R>)
      // Shared, so that no upstream is asked by two of them.
      const tried: Array<object> = []
      const groups: Array<{ readonly answer: Group["answer"]; readonly upstreams: Array<string> }> = []
      const fibers: Array<Fiber.Fiber<Ballot, E | Ballot>> = []
      let open = of
      let failure: Cause.Cause<E> | undefined
      let decided = false
      const decide = (result: Effect.Effect<Group, Disagreement | E>): void => {
        decided = true
        for (const fiber of fibers) fiber.interruptUnsafe()
        resume(result)
      }
      const count = (exit: Exit.Exit<Ballot, E | Ballot>): void => {
        open--
        if (decided) return
        const ballot = ballotOf(exit)
        if (ballot === undefined) failure ??= (exit as Exit.Failure<never, E>).cause
        else {
          const group = groups.find(({ answer }) => equal(answer, ballot.answer))
          if (group === undefined) groups.push({ answer: ballot.answer, upstreams: [ballot.upstream] })
          else group.upstreams.push(ballot.upstream)
        }
        const sorted = groups.toSorted((a, b) => b.upstreams.length - a.upstreams.length)
        const most = sorted[0]?.upstreams.length ?? 0
        if (most >= agree) return decide(Effect.succeed(sorted[0]!))
        if (most + open >= agree) return
        const answered = groups.reduce((sum, { upstreams }) => sum + upstreams.length, 0)
        decide(
          answered < agree && failure !== undefined
            ? Effect.failCause(failure)
            : Effect.fail(new Disagreement({ needed: agree, groups: sorted }))
        )
      }
      for (let i = 0; i < of; i++) {
        // The first may have decided already, without waiting.
        if (decided) break
        const call = new Call.Call(caller.recorder, caller.deadline)
        call.tried = tried
        const fiber = run(Effect.provideService(ask, Call.Current, call))
        fibers.push(fiber)
        fiber.addObserver(count)
      }
      return Effect.suspend(() => {
        decided = true
        return Fiber.interruptAll(fibers)
      })
    })
  )

/** The ballot that an attempt ended with. */
export const ballotOf = (exit: Exit.Exit<unknown, unknown>): Ballot | undefined => {
  if (exit._tag === "Success") return exit.value as Ballot
  const failed = exit.cause.reasons.find(Cause.isFailReason)?.error
  return failed instanceof Ballot ? failed : undefined
}
