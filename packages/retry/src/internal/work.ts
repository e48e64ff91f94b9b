// Work for one caller: on a fiber, or without one. All of it is objects: of the closures that live as long as a call, V8 keeps
// each with all that was in sight where it was made, and collecting them costs more than the call.
import { Call, JsonRpc } from "@hawser/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"

export interface Work {
  /** Begins, and tells how it ended: at once, or later unless the caller leaves its place. */
  readonly begin: (caller: JsonRpc.Caller) => JsonRpc.Place
}

/** Suspends a fiber until the work has ended. */
export const wait = <A, E, R>(work: Work): Effect.Effect<A, E, R> =>
  Effect.callback<A, E>((resume) => {
    const place = work.begin(new Resuming(resume))
    return Effect.suspend(() => place.leave())
  })

class Resuming implements JsonRpc.Caller {
  private readonly resume: (exit: Exit.Exit<any, any>) => void

  constructor(resume: (exit: Exit.Exit<any, any>) => void) {
    this.resume = resume
  }

  end(exit: Exit.Exit<unknown, unknown>): void {
    this.resume(exit)
  }
}

/** An effect on a fiber of its own. */
export class Forked<R> implements Work {
  private readonly self: Effect.Effect<unknown, unknown, R>
  private readonly context: Context.Context<never>

  constructor(self: Effect.Effect<unknown, unknown, R>, context: Context.Context<never>) {
    this.self = self
    this.context = context
  }

  begin(caller: JsonRpc.Caller): JsonRpc.Place {
    return JsonRpc.run(this.self, this.context as Context.Context<R>, caller)
  }
}

/** A request to the layer below, without a fiber if that can do without: for a caller who has none. */
export class Asking implements Work {
  private readonly below: JsonRpc.Service<unknown>
  private readonly request: JsonRpc.Request

  constructor(below: JsonRpc.Service<unknown>, request: JsonRpc.Request) {
    this.below = below
    this.request = request
  }

  begin(caller: JsonRpc.Caller): JsonRpc.Place {
    const { below, request } = this
    const place = below.submit?.(request, caller)
    if (place !== undefined) return place
    const self = Effect.suspend(() => below.request(request))
    return new Forked(self, Context.make(Call.Current, caller.call)).begin(caller)
  }
}
