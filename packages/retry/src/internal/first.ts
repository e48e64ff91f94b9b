// A first round that needs no fiber of its own.
import { Call, type JsonRpc } from "@hawser/core"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { Mark } from "./attempts.ts"
import type { Rule } from "./rounds.ts"
import { Forked, type Work } from "./work.ts"

/** One call, as a retry sees it: how to make it, and what it may be repeated for. */
export interface Job<A, E, R> extends Rule {
  readonly attempt: () => Effect.Effect<A, E, R>
  readonly call: Call.Call
  /** Whether the first round has been counted. */
  readonly mark: Mark
  /** Rounds at most. */
  readonly rounds: number
}

interface Repeating {
  readonly again: <A, E, R>(job: Job<A, E, R>, cause: Cause.Cause<E>) => Effect.Effect<A, E, R>
}

export class First<A, E> implements JsonRpc.Caller, JsonRpc.Place {
  readonly call: Call.Call
  private readonly repeating: Repeating
  private job: Job<A, E, never> | undefined
  private caller: JsonRpc.Caller | undefined = undefined
  private running: JsonRpc.Place | undefined = undefined

  constructor(job: Job<A, E, never>, repeating: Repeating) {
    this.call = job.call
    this.job = job
    this.repeating = repeating
  }

  begin(work: Work, caller: JsonRpc.Caller): JsonRpc.Place {
    this.caller = caller
    const running = work.begin(this)
    // It may have failed at once, and another round be running already.
    if (this.caller !== undefined) this.running = running
    return this
  }

  end(exit: Exit.Exit<unknown, unknown>): void {
    const { call, caller, job, repeating } = this
    if (caller === undefined) return
    this.caller = this.job = this.running = undefined
    if (exit._tag === "Success") return caller.end(exit)
    // On the fiber, since a user's word on the failure may throw.
    const next = Effect.suspend(() => repeating.again(job!, exit.cause as Cause.Cause<E>))
    this.running = new Forked(next, Context.make(Call.Current, call)).begin(caller)
  }

  leave(): Effect.Effect<void> {
    const { running } = this
    this.caller = this.job = this.running = undefined
    return running === undefined ? Effect.void : running.leave()
  }
}
