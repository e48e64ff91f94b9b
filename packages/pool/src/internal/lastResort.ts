// What a call does when everybody has refused, or was asked and failed: it stands in line, probes, or waits.
import { Call, type Outcome } from "@hawser/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Ground } from "./ground.ts"
import type { Failing, Job, Wish } from "./job.ts"
import { knocking } from "./knocking.ts"
import type { Manner } from "./lease.ts"
import type { Member } from "./member.ts"
import { anyAnswer, firstAnswer, wake } from "./waiting.ts"

/** The round that has nobody left, and how it goes on. */
export interface Asking<U, A, E, R> {
  readonly pool: Ground<U>
  readonly job: Job<U, A, E, R>
  readonly call: Call.Call
  readonly wish: Wish
  /** Who refused, and how. */
  readonly refusals: ReadonlyMap<Member<U>, Outcome.Verdict> | undefined
  /** Who was asked in the ordinary way and failed, and might answer another time. */
  readonly failing: ReadonlySet<Member<U>> | undefined
  /** Asks those again who refused, or were out of order. */
  startOver(out: ReadonlyArray<Member<U>>): Effect.Effect<A, Failing<E>, R>
  attempt(choose: (now: number) => Member<U> | undefined, manner: Manner): Effect.Effect<A, Failing<E>, R>
  giveUp(): Effect.Effect<never, Failing<E>>
}

export class LastResort<U, A, E, R> {
  private readonly round: Asking<U, A, E, R>
  private readonly pool: Ground<U>
  private readonly call: Call.Call
  /** Who refused and has been asked again, insistently, by this call or by another that it waited for. */
  private spent = new Set<Member<U>>()
  /** Has sent a probe, and has waited for another chance: from then on it is sparing with its attempts. */
  private probed = false
  private waited = false

  constructor(round: Asking<U, A, E, R>) {
    this.round = round
    this.pool = round.pool
    this.call = round.call
  }

  /**
   * Of those who refused: stands in the line that moves first, if there is time, else goes to each upstream behind an open
   * breaker as a probe, or waits for the probe of another call, or for the next. `done` has just had its turn.
   */
  proceed(done: Member<U> | undefined): Effect.Effect<A, Failing<E>, R> {
    if (done !== undefined) this.spent.add(done)
    if (Call.now(this.pool.clock) >= this.call.deadline) return this.round.giveUp()
    const line = this.shortestLine()
    if (line !== undefined) {
      const { member, wait } = line
      Call.note(this.call, this.pool.clock, () => ({
        step: "wait",
        for: wait,
        why: `every upstream refused; ${member.name} is free first`
      }))
      return this.round.attempt(() => member, "wait")
    }
    const out = this.outOfOrder()
    if (this.waited && this.round.job.check !== undefined && out.some(({ isDown }) => isDown)) return this.sitOut(out)
    // Whoever waits is sparing with probes: one each time, except where another call has been answered since it refused.
    const isSparing = this.waited && done !== undefined
    const due = out.find((member) => this.isDue(member) && !(isSparing && member.isDown))
    if (due !== undefined) return this.probe(due)
    const busy = out.filter((member) => this.isBusy(member))
    return busy.length === 0 ? this.sitOut(out) : this.afterProbe(busy, out)
  }

  private probe(member: Member<U>): Effect.Effect<A, Failing<E>, R> {
    return this.round.attempt(() => {
      // Another call may have been quicker.
      if (!this.isDue(member)) return undefined
      this.probed = true
      this.pool.emit(() => ({ type: "last-resort", upstream: member.name }))
      return member
    }, "probe")
  }

  /** Those behind an open breaker, as far as this call has learned, and those that a probe has found to be down. */
  private outOfOrder(): ReadonlyArray<Member<U>> {
    return this.pool.roster.members.filter((member) => {
      const refusal = this.round.refusals?.get(member)
      return (
        this.mayAsk(member) && (refusal === undefined ? this.isPatient && member.isDown : refusal.insist === "probe")
      )
    })
  }

  /** Others may have excluded it, or taken it away, since it refused. */
  private readonly mayAsk = (member: Member<U>): boolean => {
    const { roster } = this.pool
    return !member.draining && !this.round.wish.excluded.includes(member.name) && roster.members.includes(member)
  }

  private isDue(member: Member<U>): boolean {
    if (member.probing || this.spent.has(member)) return false
    return !this.isPatient || Call.now(this.pool.clock) >= member.probeAt
  }

  // Who is patient does not wait for what hangs there since before the breaker opened.
  private isBusy(member: Member<U>): boolean {
    return this.isPatient ? member.probing : member.load.inflight > 0
  }

  private get isPatient(): boolean {
    return this.pool.patient && this.call.deadline < Infinity
  }

  private shortestLine(): { readonly member: Member<U>; readonly wait: number } | undefined {
    const now = Call.now(this.pool.clock)
    let best: { readonly member: Member<U>; readonly wait: number } | undefined
    for (const [member, { insist, retryAfter }] of this.round.refusals ?? []) {
      if (insist !== "wait" || this.spent.has(member) || !this.mayAsk(member)) continue
      const wait = retryAfter === undefined ? 0 : Duration.toMillis(retryAfter)
      if (Call.fits(this.call, now, wait) && (best === undefined || wait < best.wait)) best = { member, wait }
    }
    return best
  }

  // Another call is finding out whether an upstream is back. If it leaves before it knows, it is this one's turn.
  private afterProbe(busy: ReadonlyArray<Member<U>>, out: ReadonlyArray<Member<U>>): Effect.Effect<A, Failing<E>, R> {
    const { call, pool } = this
    Call.note(call, pool.clock, () => ({ step: "wait", for: 0, why: "another call probes" }))
    const answer = firstAnswer(busy, (member) => this.isBusy(member), this.spent)
    const now = Call.now(pool.clock)
    const pause = this.isPatient ? this.pause(out, now) : Infinity
    // It may hang there: meanwhile the others become due.
    const over = Call.fits(call, now, pause) ? Effect.raceFirst(answer, wake(pool.clock, pause)) : answer
    return Effect.flatMap(over, (again) => (again ? this.startOver(out) : this.proceed(undefined)))
  }

  // All are down. Whoever still has time waits for the next probe, its own or another's.
  private sitOut(out: ReadonlyArray<Member<U>>): Effect.Effect<A, Failing<E>, R> {
    const { call, pool } = this
    const now = Call.now(pool.clock)
    const down = out.filter(({ isDown }) => isDown)
    // One that let the call pass, and failed, may answer it next time: that is for whoever retries.
    const failing = Array.from(this.round.failing ?? []).some((member) => !member.isDown && this.mayAsk(member))
    if (down.length === 0 || failing || !this.isPatient || Call.limit(call) <= 0) return this.round.giveUp()
    const { check } = this.round.job
    const pause = this.pause(down, now)
    if (check === undefined && !Call.fits(call, now, pause)) return this.round.giveUp()
    this.waited = true
    Call.note(call, pool.clock, () => ({ step: "wait", for: pause, why: "every upstream is down" }))
    const waiting = check === undefined ? wake(pool.clock, pause) : knocking(pool, call, check, down, this.mayAsk)
    return Effect.flatMap(Effect.raceFirst(waiting, anyAnswer(down)), (again) =>
      again ? this.startOver(out) : this.round.giveUp()
    )
  }

  /** How long until it is worth asking again, if nobody answers before. */
  private pause(members: ReadonlyArray<Member<U>>, now: number): number {
    const due = Math.min(...members.map(({ probeAt, probing }) => (probing ? Infinity : probeAt)))
    // Whoever has had a turn spreads what attempts it has left over its time; meanwhile it is others' turn.
    const share = this.probed ? (this.call.deadline - now) / (Call.limit(this.call) + 1) : 0
    return Math.ceil(Math.max(1, share, due - now))
  }

  private startOver(out: ReadonlyArray<Member<U>>): Effect.Effect<A, Failing<E>, R> {
    this.spent = new Set()
    return this.round.startOver(out)
  }
}
