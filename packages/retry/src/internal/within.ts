// Work that is under way for one caller until a time. The caller goes on at that very moment, and does not wait for the
// finalizers of what has lost.
//
// A caller who leaves does wait for them, as it would have had it done the work itself: when it has ended, nothing of it runs
// any more.
//
// What is over lets go of all it held, see `contest.ts`.
import type { JsonRpc } from "@hawser/core"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { type Alarm, isDue, type Ring } from "./alarm.ts"

/** Begins the work, and tells how it ended. */
export type Begin = (caller: JsonRpc.Caller) => JsonRpc.Place

export abstract class Within implements JsonRpc.Caller, JsonRpc.Place {
  private readonly alarm: Alarm
  private readonly at: number
  private caller: JsonRpc.Caller | undefined = undefined
  private work: JsonRpc.Place | undefined = undefined
  private ring: Ring | undefined = undefined

  constructor(alarm: Alarm, at: number) {
    this.alarm = alarm
    this.at = at
  }

  /** How it ends where it is late. */
  protected abstract late(): Exit.Exit<never, unknown>

  /** Begins. What ends without waiting has not used any time. */
  begin(begin: Begin, caller: JsonRpc.Caller): this {
    this.caller = caller
    const work = begin(this)
    if (this.caller !== undefined) {
      this.work = work
      this.ring = this.alarm.set(this.at, () => this.expire())
    }
    return this
  }

  /** What ends at the time or later has lost, whichever was told first. */
  end(exit: Exit.Exit<unknown, unknown>): void {
    const { caller, ring } = this
    if (caller === undefined) return
    this.close()
    caller.end(ring !== undefined && isDue(this.at, this.alarm.now()) ? this.late() : exit)
  }

  leave(): Effect.Effect<void> {
    const { work } = this
    this.close()
    return work === undefined ? Effect.void : work.leave()
  }

  private expire(): void {
    const { caller, work } = this
    this.close()
    Effect.runFork(work!.leave())
    caller!.end(this.late())
  }

  private close(): void {
    const { ring } = this
    this.caller = this.work = this.ring = undefined
    if (ring !== undefined) this.alarm.cancel(ring)
  }
}

/** Suspends a fiber until the work ends or is late. */
export const wait = <A, E, R>(begin: Begin, within: Within): Effect.Effect<A, E, R> =>
  Effect.callback<A, E>((resume) => {
    within.begin(begin, new Resuming(resume))
    return Effect.suspend(() => within.leave())
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

/** Work on a fiber of its own. */
export const forked =
  <R>(self: Effect.Effect<unknown, unknown, R>, context: Context.Context<never>): Begin =>
  (caller) => {
    const fiber = Effect.runForkWith(context as Context.Context<R>)(self)
    fiber.addObserver((exit) => caller.end(exit))
    return new Running(fiber)
  }

class Running implements JsonRpc.Place {
  private readonly fiber: Fiber.Fiber<unknown, unknown>

  constructor(fiber: Fiber.Fiber<unknown, unknown>) {
    this.fiber = fiber
  }

  leave(): Effect.Effect<void> {
    return Fiber.interrupt(this.fiber)
  }
}
