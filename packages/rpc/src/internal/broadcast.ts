// The same transaction to several upstreams at once.
import { Call } from "@hawser/core"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"

export interface Broadcast<A, E, R> {
  readonly targets: number
  readonly send: (call: Call.Call) => Effect.Effect<A, E, R>
  /** Whether this is what is hoped for. */
  readonly accepts: (reply: A) => boolean
  /** What a send comes to that has not ended by the deadline. */
  readonly late: A
  /** Those who are still on their way after one was accepted. Whoever owns the set interrupts them in the end. */
  readonly afloat: Set<Fiber.Fiber<unknown, unknown>>
  readonly clock: Clock.Clock
}

/**
 * Sends to so many upstreams, each time to another, and gives what they said: up to the first acceptance, or all of it.
 *
 * Each is a call of its own that has the caller's deadline. Those who are not needed go on, since the more have it the
 * better; only a caller who leaves before the first acceptance stops them all.
 */
export const broadcast = <A, E, R>(
  caller: Call.Call,
  { accepts, afloat, clock, late, send, targets }: Broadcast<A, E, R>
): Effect.Effect<ReadonlyArray<A>, E, R> =>
  Effect.withFiber((fiber) =>
    Effect.callback((resume) => {
      const run = Effect.runForkWith(fiber.context as Context.Context<R>)
      // Shared, so that no upstream is asked by two of them.
      const tried = (caller.tried ??= [])
      const own: Array<Fiber.Fiber<A, E>> = []
      const replies: Array<A> = []
      let open = targets
      const ended = (exit: Exit.Exit<A, E>): void => {
        open--
        if (exit._tag === "Failure") return resume(Effect.failCause(exit.cause))
        replies.push(exit.value)
        if (open === 0 || accepts(exit.value)) resume(Effect.succeed(replies))
      }
      for (let i = 0; i < targets; i++) {
        const call = new Call.Call(caller.recorder, caller.deadline)
        call.tried = tried
        const member = run(Effect.provideService(until(send(call), call, clock, late), Call.Current, call))
        own.push(member)
        afloat.add(member)
        member.addObserver((exit) => {
          afloat.delete(member)
          ended(exit)
        })
      }
      return Effect.suspend(() => Fiber.interruptAll(own))
    })
  )

/** Nobody waits for it at the deadline any more, so it has to stop by itself. */
const until = <A, E, R>(self: Effect.Effect<A, E, R>, { deadline }: Call.Call, clock: Clock.Clock, late: A) =>
  deadline === Infinity
    ? self
    : Effect.raceFirst(
        self,
        Effect.suspend(() => Effect.as(clock.sleep(Duration.millis(Math.max(0, deadline - Call.now(clock)))), late))
      )
