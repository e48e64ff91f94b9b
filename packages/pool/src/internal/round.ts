// One round of a call: ask one upstream after another until one answers, each at most once.
import { Call, Outcome } from "@hawser/core"
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { Lease, type Manner } from "./lease.ts"
import type { Member } from "./member.ts"
import type { Roster } from "./roster.ts"

/** What a round needs of its pool. */
export interface Ground<U> {
  readonly clock: Clock.Clock
  readonly random: () => number
  readonly roster: Roster<U>
  readonly judge: (error: unknown) => Outcome.Verdict
  readonly emit: (event: () => Event) => void
}

/** What a pool tells as it happens. */
export type Event =
  | { readonly type: "failed"; readonly upstream: string; readonly error: unknown }
  | { readonly type: "left-out"; readonly upstream: string; readonly error: unknown }
  | { readonly type: "last-resort"; readonly upstream: string }
  | { readonly type: "ejected"; readonly upstream: string; readonly for: number }
  | { readonly type: "no-answer"; readonly causes: ReadonlyArray<Call.Failure> }

/** What a call wants of the pool. */
export interface Job<U, A, E, R> {
  readonly ask: (upstream: U) => Effect.Effect<A, E, R>
  /** Whether it may run twice. */
  readonly repeatable: boolean
  /** Errors that are answers: returned at once, as they are. */
  readonly isAnswer: (error: E, verdict: Outcome.Verdict) => boolean
}

/** Whom a call wants asked. */
export interface Wish {
  /** All requests of one scope go to one upstream while it can. */
  readonly scope: string | undefined
  /** Who is not to be asked, by name. */
  readonly excluded: ReadonlyArray<string>
  /** Somebody beside those who are being asked. */
  readonly hedging: boolean
}

export type Failing<E> = E | Call.NoAnswer<E | Call.Defect>

export class Round<U, A, E, R> {
  private readonly pool: Ground<U>
  private readonly job: Job<U, A, E, R>
  private readonly call: Call.Call
  private readonly wish: Wish
  private asked = 0
  /** Who refused, and how. */
  private refusals: Map<Member<U>, Outcome.Verdict> | undefined = undefined
  /** Who refused and has been asked again, insistently. */
  private spent: Set<Member<U>> | undefined = undefined

  constructor(pool: Ground<U>, job: Job<U, A, E, R>, call: Call.Call, wish: Wish) {
    this.pool = pool
    this.job = job
    this.call = call
    this.wish = wish
  }

  /** Asks the next upstream that has not been tried. */
  next(): Effect.Effect<A, Failing<E>, R> {
    return this.attempt((now) => {
      const member = this.choose(now)
      if (member !== undefined) (this.call.tried ??= []).push(member)
      return member
    }, "none")
  }

  private choose(now: number): Member<U> | undefined {
    const { random, roster } = this.pool
    const { tried } = this.call
    const { excluded, hedging, scope } = this.wish
    // A hedge stays within the tier of what it hedges: a slow node of our own is no reason to pay for another's.
    if (hedging) return roster.pickBeside(tried, now, random, excluded)
    const stuck = scope === undefined ? undefined : roster.stuck(scope, tried, now, excluded)
    return stuck ?? roster.pick(tried, now, random, excluded)
  }

  private attempt(choose: (now: number) => Member<U> | undefined, manner: Manner): Effect.Effect<A, Failing<E>, R> {
    const { call, pool } = this
    let lease: Lease<U> | undefined
    return Effect.suspend((): Effect.Effect<A, Failing<E>, R> => {
      const now = Call.now(pool.clock)
      const member = choose(now)
      if (member === undefined) return this.nobodyLeft()
      if (now >= call.deadline || !Call.spend(call)) return this.giveUp()
      lease = new Lease(member, manner, now)
      if (this.asked > 0) call.budget?.charge(now)
      Call.note(call, pool.clock, () => ({ step: "ask", upstream: member.name, attempt: call.sent }))
      const ask = this.job.ask(member.upstream)
      return manner === "none" ? ask : Effect.provideService(ask, Call.Insist, manner)
    }).pipe(
      (self) =>
        Effect.onExitPrimitive(self, (exit) => {
          if (lease !== undefined) this.settle(lease, exit)
          return undefined
        }),
      Effect.catchCause((cause) => (lease === undefined ? Effect.failCause(cause) : this.failed(lease, cause)))
    )
  }

  private settle(lease: Lease<U>, exit: Exit.Exit<unknown, unknown>): void {
    const { call, pool } = this
    const now = Call.now(pool.clock)
    const outcome = lease.settle(exit, pool.judge, now)
    if (lease.verdict?.refused === true) Call.refund(call)
    if (lease.due && pool.roster.eject(lease.member, now, pool.random)) {
      pool.emit(() => ({ type: "ejected", upstream: lease.member.name, for: lease.member.ejection!.until - now }))
    }
    if (outcome === "success" && this.wish.scope !== undefined) pool.roster.stick(this.wish.scope, lease.member)
    if (call.recorder === undefined) return
    const upstream = lease.member.name
    const error = lease.verdict === undefined ? undefined : Call.summary(lease.error)
    Call.note(call, pool.clock, () =>
      lease.verdict?.refused === true
        ? { step: "refused", upstream, error: error! }
        : { step: "answer", upstream, outcome, ...(error === undefined ? {} : { error }) }
    )
  }

  private failed(lease: Lease<U>, cause: Cause.Cause<Failing<E>>): Effect.Effect<A, Failing<E>, R> {
    const { call, pool } = this
    const { member, verdict } = lease
    if (verdict === undefined) {
      const defect = cause.reasons.find(Cause.isDieReason)
      if (defect === undefined) return Effect.failCause(cause)
      Call.fail(call, member.name, new Call.Defect({ upstream: member.name, cause: defect.defect }))
      return this.giveUp(true)
    }
    const error = lease.error as E
    if (verdict.refused) {
      pool.emit(() => ({ type: "left-out", upstream: member.name, error }))
      Call.fail(call, member.name, error)
      ;(this.refusals ??= new Map()).set(member, verdict)
      return lease.manner === "none" ? this.next() : this.allRefused(member)
    }
    this.asked++
    if (this.job.isAnswer(error, verdict)) return Effect.fail(error)
    pool.emit(() => ({ type: "failed", upstream: member.name, error }))
    Call.fail(call, member.name, error)
    if (verdict.again === "nowhere" || (!this.job.repeatable && verdict.ran !== "no")) return this.giveUp(true)
    this.refusals?.delete(member)
    return lease.manner === "none" ? this.next() : this.allRefused(member)
  }

  private nobodyLeft(): Effect.Effect<A, Failing<E>, R> {
    return this.wish.hedging ? this.giveUp() : this.allRefused(undefined)
  }

  /**
   * Everybody refused, or was asked and failed. Of those who refused: stand in the line that moves first, if there is
   * time, else go to each upstream behind an open breaker as a probe, or wait for the probe of another call. `done` has
   * just had its turn.
   */
  private allRefused(done: Member<U> | undefined): Effect.Effect<A, Failing<E>, R> {
    if (done !== undefined) (this.spent ??= new Set()).add(done)
    const line = this.shortestLine()
    if (line !== undefined) {
      const { member, wait } = line
      Call.note(this.call, this.pool.clock, () => ({
        step: "wait",
        for: wait,
        why: `every upstream refused; ${member.name} is free first`
      }))
      return this.attempt(() => member, "wait")
    }
    const closed = Array.from(this.refusals ?? []).filter(([, verdict]) => verdict.insist === "probe")
    const probe = closed.find(([member]) => !member.probing && this.spent?.has(member) !== true)?.[0]
    if (probe !== undefined) {
      this.pool.emit(() => ({ type: "last-resort", upstream: probe.name }))
      return this.attempt(() => probe, "probe")
    }
    const busy = closed.map(([member]) => member).filter((member) => member.load.inflight > 0)
    return busy.length === 0 ? this.giveUp() : this.afterProbe(busy)
  }

  private shortestLine(): { readonly member: Member<U>; readonly wait: number } | undefined {
    const now = Call.now(this.pool.clock)
    let best: { readonly member: Member<U>; readonly wait: number } | undefined
    for (const [member, { insist, retryAfter }] of this.refusals ?? []) {
      if (insist !== "wait" || this.spent?.has(member) === true) continue
      const wait = retryAfter === undefined ? 0 : Duration.toMillis(retryAfter)
      if (Call.fits(this.call, now, wait) && (best === undefined || wait < best.wait)) best = { member, wait }
    }
    return best
  }

  // Another call is finding out whether the upstream is back. If it is, start over; if none is, say so.
  private afterProbe(busy: ReadonlyArray<Member<U>>): Effect.Effect<A, Failing<E>, R> {
    Call.note(this.call, this.pool.clock, () => ({ step: "wait", for: 0, why: "another call probes" }))
    return Effect.flatMap(firstAnswer(busy), (answered) => {
      if (!answered) return this.giveUp()
      this.call.tried = this.call.tried?.filter((member) => this.refusals?.has(member as Member<U>) !== true)
      this.refusals = undefined
      this.spent = undefined
      return this.next()
    })
  }

  private giveUp(final = false): Effect.Effect<never, Call.NoAnswer<E | Call.Defect>> {
    const causes = Call.failures<E | Call.Defect>(this.call)
    this.pool.emit(() => ({ type: "no-answer", causes }))
    return Effect.fail(noAnswer(causes, this.pool.judge, final))
  }
}

/** True when the first of these answers, false when nothing is under way at any of them any more. */
const firstAnswer = <U>(members: ReadonlyArray<Member<U>>): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const listeners = new Map<Member<U>, (answered: boolean) => void>()
    const off = (member: Member<U>) => {
      member.settled.delete(listeners.get(member)!)
      listeners.delete(member)
    }
    const offAll = () => {
      for (const member of listeners.keys()) off(member)
    }
    for (const member of members) {
      const listener = (answered: boolean) => {
        if (answered) offAll()
        else if (member.load.inflight === 0) off(member)
        if (listeners.size === 0) resume(Effect.succeed(answered))
      }
      listeners.set(member, listener)
      member.settled.add(listener)
    }
    return Effect.sync(offAll)
  })

/** `final`: asking again would be wrong, not only useless. */
const noAnswer = <E>(
  causes: ReadonlyArray<Call.Failure<E>>,
  judge: (error: unknown) => Outcome.Verdict,
  final: boolean
): Call.NoAnswer<E> => {
  const verdicts = causes.map(({ error }) => judge(error))
  const waits = verdicts.map(({ retryAfter }) => (retryAfter === undefined ? 0 : Duration.toMillis(retryAfter)))
  const soonest = Math.min(...waits)
  // Elsewhere there is nobody, so another round is worth it only where the same upstream may answer later.
  const heals = verdicts.some((v) => v.again === "anywhere" || v.retryAfter !== undefined || v.insist !== undefined)
  return Outcome.stackless(
    () =>
      new Call.NoAnswer({
        causes,
        [Outcome.TypeId]: Outcome.verdict({
          again: final || !heals ? "nowhere" : "anywhere",
          ran: verdicts.every(({ ran }) => ran === "no") ? "no" : "maybe",
          retryAfter: soonest > 0 && Number.isFinite(soonest) ? Duration.millis(soonest) : undefined
        })
      })
  )
}
