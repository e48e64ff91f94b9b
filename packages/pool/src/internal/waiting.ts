// What there is to wait for at the upstreams of a pool.
import type { Outcome } from "@hawser/core"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Member } from "./member.ts"

export const wake = (clock: Clock.Clock, millis: number): Effect.Effect<true> =>
  Effect.as(clock.sleep(Duration.millis(millis)), true as const)

/** Ends when one of these answers, of which none has since it was found to be down. */
export const anyAnswer = <U>(members: ReadonlyArray<Member<U>>): Effect.Effect<true> =>
  Effect.callback<true>((resume) => {
    // One may have answered before anybody listened.
    if (members.some(({ isDown }) => !isDown)) return resume(Effect.succeed(true))
    const off = () => {
      for (const { settled } of members) settled.delete(listener)
    }
    const listener = (outcome: Outcome.Outcome) => {
      if (outcome !== "success") return
      off()
      resume(Effect.succeed(true))
    }
    for (const { settled } of members) settled.add(listener)
    return Effect.sync(off)
  })

/** True when the first of these answers, false when none of them is busy any more. Adds those that fail to `failed`. */
export const firstAnswer = <U>(
  members: ReadonlyArray<Member<U>>,
  isBusy: (member: Member<U>) => boolean,
  failed: Set<Member<U>>
): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const listeners = new Map<Member<U>, (outcome: Outcome.Outcome) => void>()
    const off = (member: Member<U>) => {
      member.settled.delete(listeners.get(member)!)
      listeners.delete(member)
    }
    const offAll = () => {
      for (const member of listeners.keys()) off(member)
    }
    for (const member of members) {
      // It may have ended before anybody listened.
      if (!isBusy(member)) continue
      const listener = (outcome: Outcome.Outcome) => {
        if (outcome === "failure") failed.add(member)
        if (outcome === "success") offAll()
        else if (!isBusy(member)) off(member)
        if (listeners.size === 0) resume(Effect.succeed(outcome === "success"))
      }
      listeners.set(member, listener)
      member.settled.add(listener)
    }
    if (listeners.size === 0) return resume(Effect.succeed(false))
    return Effect.sync(offAll)
  })

/** Ends when nothing is under way at a member. */
export const idle = (member: Member<unknown>): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (member.load.inflight === 0) return resume(Effect.void)
    const listener = () => {
      if (member.load.inflight > 0) return
      member.settled.delete(listener)
      resume(Effect.void)
    }
    member.settled.add(listener)
    return Effect.sync(() => void member.settled.delete(listener))
  })
