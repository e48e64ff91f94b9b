// A first round that needs no fiber of its own.
import { Call, JsonRpc } from "@hawser/core"
import type * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { type AsyncContext, capture } from "./asyncContext.ts"
import type { Mark } from "./attempts.ts"
import type { Rule } from "./rounds.ts"
import type { Work } from "./work.ts"

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
  private asyncContext: AsyncContext | undefined = undefined

  constructor(job: Job<A, E, never>, repeating: Repeating) {
    this.call = job.call
    this.job = job
    this.repeating = repeating
  }

  begin(work: Work, caller: JsonRpc.Caller): JsonRpc.Place {
    this.caller = caller
    // Whoever tells of its end may be in that of another call.
    this.asyncContext = capture()
    const running = work.begin(this)
    // It may have failed at once, and another round be running already.
    if (this.caller !== undefined) this.running = running
    return this
  }

  end(exit: Exit.Exit<unknown, unknown>): void {
    const { asyncContext, caller, job } = this
    if (caller === undefined) return
    this.caller = this.job = this.running = this.asyncContext = undefined
    if (exit._tag === "Success") return caller.end(exit)
    if (asyncContext === undefined) this.goOn(job!, exit.cause as Cause.Cause<E>, caller)
    else asyncContext.runInAsyncScope(() => this.goOn(job!, exit.cause as Cause.Cause<E>, caller))
  }

  private goOn(job: Job<A, E, never>, cause: Cause.Cause<E>, caller: JsonRpc.Caller): void {
    // On the fiber, since a user's word on the failure may throw.
    const next = Effect.suspend(() => this.repeating.again(job, cause))
    this.running = JsonRpc.run(next, Context.make(Call.Current, this.call), caller)
  }

  leave(): Effect.Effect<void> {
    const { running } = this
    this.caller = this.job = this.running = this.asyncContext = undefined
    return running === undefined ? Effect.void : running.leave()
  }
}
