// One round of a call: ask one upstream after another until one answers, each at most once.
import { Call, Outcome } from "@hawser/core"
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { Lease, type Manner } from "./lease.ts"
import { longestGap, type Member } from "./member.ts"
import type { Roster } from "./roster.ts"
import type { Turn } from "./turn.ts"
import { anyAnswer, firstAnswer, wake } from "./waiting.ts"

/** What a round needs of its pool. */
export interface Ground<U> {
  readonly clock: Clock.Clock
  readonly random: () => number
  readonly roster: Roster<U>
  readonly judge: (error: unknown) => Outcome.Verdict
  readonly emit: (event: () => Event) => void
  /** While all are down, those who have time wait. */
  readonly patient: boolean
  /** What is asked in one turn goes to one upstream. */
  readonly turn: Turn<U> | undefined
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
  /** A request that is nobody's, whose answer shows that an upstream is back. */
  readonly check: ((upstream: U) => Effect.Effect<unknown, unknown>) | undefined
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
  /** Who refused and has been asked again, insistently, by this call or by another that it waited for. */
  private spent: Set<Member<U>> | undefined = undefined
  /** Who was asked in the ordinary way and failed, and might answer another time. */
  private failing: Set<Member<U>> | undefined = undefined
  /** Has sent a probe, and has waited for another chance: from then on it is sparing with its attempts. */
  private probed = false
  private waited = false

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
    const outcome = this.conclude(lease, exit)
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

  /** What the end of a request says of its upstream. */
  private conclude(lease: Lease<U>, exit: Exit.Exit<unknown, unknown>): Outcome.Outcome {
    const { pool } = this
    const { manner, member } = lease
    const now = Call.now(pool.clock)
    const outcome = lease.settle(exit, pool.judge, now)
    if (outcome === "success") member.answered()
    else if (outcome === "failure" && (manner === "probe" || member.isDown)) member.probeFailed(now, pool.random())
    if (lease.due && pool.roster.eject(member, now, pool.random)) {
      pool.emit(() => ({ type: "ejected", upstream: member.name, for: member.ejection!.until - now }))
    }
    return outcome
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

  /**
   * Everybody refused, or was asked and failed. Of those who refused: stand in the line that moves first, if there is
   * time, else go to each upstream behind an open breaker as a probe, or wait for the probe of another call, or for the
   * next. `done` has just had its turn.
   */
  private allRefused(done: Member<U> | undefined): Effect.Effect<A, Failing<E>, R> {
    if (done !== undefined) (this.spent ??= new Set()).add(done)
    if (Call.now(this.pool.clock) >= this.call.deadline) return this.giveUp()
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
    const out = this.outOfOrder()
    if (this.waited && this.job.check !== undefined && out.some(({ isDown }) => isDown)) return this.sitOut(out)
    // Whoever waits is sparing with probes: one each time, except where another call has been answered since it refused.
    const isSparing = this.waited && done !== undefined
    const due = out.find((member) => this.isDue(member) && !(isSparing && member.isDown))
    if (due !== undefined) return this.probe(due)
    const busy = out.filter((member) => this.isBusy(member))
    return busy.length === 0 ? this.sitOut(out) : this.afterProbe(busy, out)
  }

  private probe(member: Member<U>): Effect.Effect<A, Failing<E>, R> {
    return this.attempt(() => {
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
      const refusal = this.refusals?.get(member)
      return (
        this.mayAsk(member) && (refusal === undefined ? this.isPatient && member.isDown : refusal.insist === "probe")
      )
    })
  }

  /** Others may have excluded it, or taken it away, since it refused. */
  private mayAsk(member: Member<U>): boolean {
    const { roster } = this.pool
    return !member.draining && !this.wish.excluded.includes(member.name) && roster.members.includes(member)
  }

  private isDue(member: Member<U>): boolean {
    if (member.probing || this.spent?.has(member) === true) return false
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
    for (const [member, { insist, retryAfter }] of this.refusals ?? []) {
      if (insist !== "wait" || this.spent?.has(member) === true || !this.mayAsk(member)) continue
      const wait = retryAfter === undefined ? 0 : Duration.toMillis(retryAfter)
      if (Call.fits(this.call, now, wait) && (best === undefined || wait < best.wait)) best = { member, wait }
    }
    return best
  }

  // Another call is finding out whether an upstream is back. If it leaves before it knows, it is this one's turn.
  private afterProbe(busy: ReadonlyArray<Member<U>>, out: ReadonlyArray<Member<U>>): Effect.Effect<A, Failing<E>, R> {
    const { call, pool } = this
    Call.note(call, pool.clock, () => ({ step: "wait", for: 0, why: "another call probes" }))
    const spent = (this.spent ??= new Set())
    const answer = firstAnswer(busy, (member) => this.isBusy(member), spent)
    const now = Call.now(pool.clock)
    const pause = this.isPatient ? this.pause(out, now) : Infinity
    // It may hang there: meanwhile the others become due.
    const over = Call.fits(call, now, pause) ? Effect.raceFirst(answer, wake(pool.clock, pause)) : answer
    return Effect.flatMap(over, (again) => (again ? this.startOver(out) : this.allRefused(undefined)))
  }

  // All are down. Whoever still has time waits for the next probe, its own or another's.
  private sitOut(out: ReadonlyArray<Member<U>>): Effect.Effect<A, Failing<E>, R> {
    const { call, pool } = this
    const now = Call.now(pool.clock)
    const down = out.filter(({ isDown }) => isDown)
    // One that let the call pass, and failed, may answer it next time: that is for whoever retries.
    const failing = Array.from(this.failing ?? []).some((member) => !member.isDown && this.mayAsk(member))
    if (down.length === 0 || failing || !this.isPatient || Call.limit(call) <= 0) return this.giveUp()
    const { check } = this.job
    const pause = this.pause(down, now)
    if (check === undefined && !Call.fits(call, now, pause)) return this.giveUp()
    this.waited = true
    Call.note(call, pool.clock, () => ({ step: "wait", for: pause, why: "every upstream is down" }))
    const waiting = check === undefined ? wake(pool.clock, pause) : this.knocking(check, down)
    return Effect.flatMap(Effect.raceFirst(waiting, anyAnswer(down)), (again) =>
      again ? this.startOver(out) : this.giveUp()
    )
  }

  /**
   * Has each checked whenever it is due, until the call's time is up. The call keeps its attempts for when one is back:
   * spread over an outage they would leave one that is back unasked for seconds.
   */
  private knocking(
    check: (upstream: U) => Effect.Effect<unknown, unknown>,
    down: ReadonlyArray<Member<U>>
  ): Effect.Effect<boolean> {
    const { call, pool } = this
    const next: Effect.Effect<boolean> = Effect.suspend(() => {
      const now = Call.now(pool.clock)
      const due = down.filter((member) => this.mayAsk(member) && isKnockable(member, now))
      const knocks = Effect.forEach(due, (member) => Effect.forkChild(this.knock(check, member)), { discard: true })
      const soonest = Math.min(...down.map(({ probeAt }) => (probeAt > now ? probeAt - now : Infinity)))
      const pause = Math.ceil(Math.min(longestGap, soonest))
      if (!Call.fits(call, now, pause)) return Effect.succeed(false)
      return knocks.pipe(Effect.andThen(wake(pool.clock, pause)), Effect.andThen(next))
    })
    return next
  }

  private knock(check: (upstream: U) => Effect.Effect<unknown, unknown>, member: Member<U>): Effect.Effect<unknown> {
    const { pool } = this
    let lease: Lease<U> | undefined
    return Effect.suspend((): Effect.Effect<unknown, unknown> => {
      const now = Call.now(pool.clock)
      // Another call may have been quicker.
      if (!isKnockable(member, now)) return Effect.void
      lease = new Lease(member, "probe", now)
      pool.emit(() => ({ type: "last-resort", upstream: member.name }))
      return check(member.upstream)
    }).pipe(
      (self) =>
        Effect.onExitPrimitive(self, (exit) => {
          if (lease === undefined) return undefined
          const outcome = this.conclude(lease, exit)
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

  /** How long until it is worth asking again, if nobody answers before. */
  private pause(members: ReadonlyArray<Member<U>>, now: number): number {
    const due = Math.min(...members.map(({ probeAt, probing }) => (probing ? Infinity : probeAt)))
    // Whoever has had a turn spreads what attempts it has left over its time; meanwhile it is others' turn.
    const share = this.probed ? (this.call.deadline - now) / (Call.limit(this.call) + 1) : 0
    return Math.ceil(Math.max(1, share, due - now))
  }

  /** Asks those again who refused or were out of order. */
  private startOver(out: ReadonlyArray<Member<U>>): Effect.Effect<A, Failing<E>, R> {
    const { call, refusals } = this
    call.tried = (call.tried as Array<Member<U>> | undefined)?.filter(
      (member) => refusals?.has(member) !== true && !out.includes(member)
    )
    this.refusals = undefined
    this.spent = undefined
    return this.next()
  }

  private giveUp(final = false): Effect.Effect<never, Call.NoAnswer<E | Call.Defect>> {
    const causes = Call.failures<E | Call.Defect>(this.call)
    this.pool.emit(() => ({ type: "no-answer", causes }))
    return Effect.fail(noAnswer(causes, this.pool.judge, final))
  }
}

const isKnockable = ({ probeAt, probing }: Member<unknown>, now: number): boolean => !probing && now >= probeAt

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
