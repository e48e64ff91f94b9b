// Looks for an upstream that is back, with checks of the pool's own.
import { Call } from "@hawser/core"
import * as Effect from "effect/Effect"
import { conclude, type Ground } from "./ground.ts"
import type { Check } from "./job.ts"
import { Lease } from "./lease.ts"
import { longestGap, type Member } from "./member.ts"
import { wake } from "./waiting.ts"

/**
 * Has each checked whenever it is due, until the call's time is up; false then. The call keeps its attempts for when one is
 * back: spread over an outage they would leave one that is back unasked for seconds.
 */
export const knocking = <U>(
  pool: Ground<U>,
  call: Call.Call,
  check: Check<U>,
  down: ReadonlyArray<Member<U>>,
  mayAsk: (member: Member<U>) => boolean
): Effect.Effect<boolean> => {
  const next: Effect.Effect<boolean> = Effect.suspend(() => {
    const now = Call.now(pool.clock)
    const due = down.filter((member) => mayAsk(member) && isDue(member, now))
    const knocks = Effect.forEach(due, (member) => Effect.forkChild(knock(pool, check, member)), { discard: true })
    const soonest = Math.min(...down.map(({ probeAt }) => (probeAt > now ? probeAt - now : Infinity)))
    const pause = Math.ceil(Math.min(longestGap, soonest))
    if (!Call.fits(call, now, pause)) return Effect.succeed(false)
    return knocks.pipe(Effect.andThen(wake(pool.clock, pause)), Effect.andThen(next))
  })
  return next
}

const knock = <U>(pool: Ground<U>, check: Check<U>, member: Member<U>): Effect.Effect<unknown> => {
  let lease: Lease<U> | undefined
  return Effect.suspend((): Effect.Effect<unknown, unknown> => {
    const now = Call.now(pool.clock)
    // Another call may have been quicker.
    if (!isDue(member, now)) return Effect.void
    lease = new Lease(member, "probe", now)
    pool.emit(() => ({ type: "last-resort", upstream: member.name }))
    return check(member.upstream)
  }).pipe(
    (self) =>
      Effect.onExitPrimitive(self, (exit) => {
        if (lease === undefined) return undefined
        const outcome = conclude(pool, lease, exit)
        // Refused or neutral, it is no nearer to being back.
        if (lease.verdict !== undefined && outcome !== "failure")
          member.probeFailed(Call.now(pool.clock), pool.random())
        lease.tell(outcome)
        return undefined
      }),
    Effect.provideService(Call.Insist, "probe"),
    Effect.provideService(Call.Current, undefined),
    Effect.exit
  )
}

const isDue = ({ probeAt, probing }: Member<unknown>, now: number): boolean => !probing && now >= probeAt
