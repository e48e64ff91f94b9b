// A request waits for its upstream to have a block, unless another will serve it sooner.
import { Call, Outcome } from "@hawser/core"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { ChainState } from "./chainState.ts"
import type { Shared } from "./shared.ts"
import type { Tracker } from "./tracker.ts"

/** How it ends: the upstream has the block; it is not to be asked; it is asked all the same. */
export type Ended = "here" | "late" | "anyway"

/** An upstream that has failed this often in a row is not counted on. */
const patience = 3

/** Until when a call waits for a block, over all rounds. */
const waits = new WeakMap<Call.Call, { readonly needed: number; readonly until: number }>()

/** Waits, up to one block time, until the upstream has the block. */
export const waitFor = (
  needed: number,
  tracker: Tracker,
  shared: Shared,
  asking: Fiber.Fiber<unknown, unknown>,
  clock: Clock.Clock
): Effect.Effect<Ended> => {
  const { state } = shared
  const call = asking.getRef(Call.Current)
  const peers = peersOf(tracker, state, asking)
  if (call !== undefined && isBetterServed(peers, call, needed)) return Effect.succeed("late")
  const now = Call.now(clock)
  const until = untilOf(call, needed, now, state.blockTime)
  const others = peers.filter((other) => other.height < needed)
  const here = () => tracker.height >= needed
  const elsewhere = () => others.some((other) => other.height >= needed)
  if (call !== undefined && until > now) {
    Call.note(call, clock, () => ({ step: "wait", for: until - now, why: `for block ${needed}` }))
  }
  const next: Effect.Effect<Ended> = Effect.suspend(() => {
    if (here()) return Effect.succeed("here")
    if (elsewhere()) return Effect.succeed("late")
    const now = Call.now(clock)
    if (now >= until) {
      if (shared.settings.lag === "wait") return Effect.succeed("late")
      if (call?.recorder !== undefined) call.recorder.stale = true
      return Effect.succeed("anyway")
    }
    const { signal, urgent } = shared
    shared.lookAt(needed, now, urgent)
    return Effect.andThen(
      signal.within(clock, Math.min(urgent, until - now), () => here() || elsewhere()),
      next
    )
  })
  return next
}

/** Somebody else has the block whom the call can still count on. */
export const isServed = (
  tracker: Tracker,
  state: ChainState,
  asking: Fiber.Fiber<unknown, unknown>,
  needed: number
): boolean => {
  const failures = asking.getRef(Call.Current)?.failures
  return peersOf(tracker, state, asking).some(
    (other) => other.height >= needed && other.failures < patience && failures?.has(other.name) !== true
  )
}

/** Somebody was asked by the call and failed. */
export const hasFailed = (asking: Fiber.Fiber<unknown, unknown>): boolean => {
  const failures = asking.getRef(Call.Current)?.failures
  return failures !== undefined && Array.from(failures.values()).some((error) => !Outcome.of(error).refused)
}

/** The others that the call may go to. */
const peersOf = (
  tracker: Tracker,
  state: ChainState,
  asking: Fiber.Fiber<unknown, unknown>
): ReadonlyArray<Tracker> => {
  const excluded = asking.getRef(Call.Exclude)
  return state.trackers.filter((other) => other !== tracker && !excluded.includes(other.name))
}

/** Another has the block, and the call will get to it sooner: it has a line of its own, or is worth asking again. */
const isBetterServed = (peers: ReadonlyArray<Tracker>, call: Call.Call, needed: number): boolean =>
  peers.some((other) => {
    if (other.height < needed || other.failures >= patience) return false
    const error = call.failures?.get(other.name)
    if (error === undefined) return false
    const { again, insist, refused } = Outcome.of(error)
    return refused ? insist === "wait" : again === "anywhere"
  })

/** A call waits for one block time in all, and no longer than half of the time it has left. */
const untilOf = (call: Call.Call | undefined, needed: number, now: number, blockTime: number): number => {
  if (call === undefined) return now + blockTime
  let wait = waits.get(call)
  if (wait?.needed !== needed) {
    wait = { needed, until: Math.min(now + blockTime, now + (call.deadline - now) / 2) }
    waits.set(call, wait)
  }
  return wait.until
}
