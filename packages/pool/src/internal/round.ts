// One round of a call: ask one upstream after another until one answers, each at most once.
import { Call, type Outcome } from "@hawser/core"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { conclude, type Ground } from "./ground.ts"
import type { Failing, Job, Wish } from "./job.ts"
import { type Asking, LastResort } from "./lastResort.ts"
import { Lease, type Manner } from "./lease.ts"
import type { Member } from "./member.ts"
import { noAnswer } from "./noAnswer.ts"

export class Round<U, A, E, R> implements Asking<U, A, E, R> {
  readonly pool: Ground<U>
  readonly job: Job<U, A, E, R>
  readonly call: Call.Call
  readonly wish: Wish
  refusals: Map<Member<U>, Outcome.Verdict> | undefined = undefined
  failing: Set<Member<U>> | undefined = undefined
  private asked = 0
  private lastResort: LastResort<U, A, E, R> | undefined = undefined

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
    if (stuck !== undefined) return stuck
    const { turn } = this.pool
    if (turn === undefined || (tried !== undefined && tried.length > 0))
      return roster.pick(tried, now, random, excluded)
    if (turn.member !== undefined && roster.canTake(turn.member, now, excluded)) return turn.member
    const member = roster.pick(tried, now, random, excluded)
    if (member !== undefined) turn.begin(member)
    return member
  }

  attempt(choose: (now: number) => Member<U> | undefined, manner: Manner): Effect.Effect<A, Failing<E>, R> {
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
    const outcome = conclude(pool, lease, exit)
    if (lease.verdict?.refused === true) Call.refund(call)
    if (outcome === "success" && this.wish.scope !== undefined) pool.roster.stick(this.wish.scope, lease.member)
    lease.tell(outcome)
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
    if (lease.manner !== "probe" && verdict.again === "anywhere") (this.failing ??= new Set()).add(member)
    return lease.manner === "none" ? this.next() : this.allRefused(member)
  }

  private nobodyLeft(): Effect.Effect<A, Failing<E>, R> {
    return this.wish.hedging ? this.giveUp() : this.allRefused(undefined)
  }

  private allRefused(done: Member<U> | undefined): Effect.Effect<A, Failing<E>, R> {
    return (this.lastResort ??= new LastResort(this)).proceed(done)
  }

  startOver(out: ReadonlyArray<Member<U>>): Effect.Effect<A, Failing<E>, R> {
    const { call, refusals } = this
    call.tried = (call.tried as Array<Member<U>> | undefined)?.filter(
      (member) => refusals?.has(member) !== true && !out.includes(member)
    )
    this.refusals = undefined
    return this.next()
  }

  giveUp(final = false): Effect.Effect<never, Call.NoAnswer<E | Call.Defect>> {
    const causes = Call.failures<E | Call.Defect>(this.call)
    this.pool.emit(() => ({ type: "no-answer", causes }))
    return Effect.fail(noAnswer(causes, this.pool.judge, final))
  }
}
