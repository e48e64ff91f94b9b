// One hedged call: the first request, those that follow it, and who of them decides.
import { Call, Outcome } from "@hawser/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Attempts from "./attempts.ts"
import type { Alarm } from "./alarm.ts"
import { Contest } from "./contest.ts"
import type { Pace } from "./pace.ts"
import { failureOf } from "./rounds.ts"

/** What a race tells of itself. */
export interface Listener {
  readonly hedging: (call: Call.Call, after: number) => void
  readonly won: (after: number) => void
  readonly refused: () => void
  readonly denied: (call: Call.Call, why: Denial) => void
}

export type Denial = "attempts" | "deadline" | "budget"

export interface Rules {
  readonly pace: Pace
  readonly hedges: number
  readonly budgeted: boolean
  readonly now: () => number
  readonly listener: Listener
}

/** Milliseconds by which an alarm is late only in a process that has more to do than it can. */
const lateness = 10

export class Race<A, E, R> extends Contest<A, E, R> {
  private readonly rules: Rules
  private readonly attempt: Effect.Effect<A, E, R>
  private readonly call: Call.Call
  private readonly context: Context.Context<never>
  private readonly mark: Attempts.Mark
  private readonly started: number
  private readonly delay: number
  /** Started so far; as many as there may be once no further one is wanted. */
  private hedges = 0
  private running = 0
  private isFirstRunning = false
  /** The first request has failed. */
  private failed: Exit.Failure<A, E> | undefined = undefined

  constructor(
    rules: Rules,
    attempt: () => Effect.Effect<A, E, R>,
    call: Call.Call,
    context: Context.Context<never>,
    alarm: Alarm
  ) {
    super(alarm)
    this.rules = rules
    // Whatever it throws is a defect of the request, not of whoever starts it.
    this.attempt = Effect.suspend(attempt)
    this.call = call
    this.context = context
    this.mark = Attempts.open(call, false)
    this.started = rules.now()
    this.delay = rules.pace.delay(this.started)
    if (this.delay === Infinity) this.hedges = rules.hedges
  }

  protected open(): void {
    this.running = 1
    const exit = this.start(this.attempt, this.context, true)
    if (exit !== undefined) return this.firstEnded(exit, this.started)
    this.isFirstRunning = true
    if (this.delay !== Infinity) this.ringAt(this.started + this.delay)
  }

  protected closes(): void {
    if (this.isFirstRunning) this.record(false, this.rules.now())
  }

  protected ended(exit: Exit.Exit<A, E>, isFirst: boolean): void {
    if (!isFirst) return this.hedgeEnded(exit)
    this.isFirstRunning = false
    this.firstEnded(exit, this.rules.now())
  }

  protected rings(): void {
    const now = this.rules.now()
    // Where the alarm itself is late, this process is slow, and so, it seems, is every upstream. To ask twice then would
    // make it slower.
    if (now - this.at > lateness) this.ringAt(now + this.delay)
    else this.hedge()
  }

  private record(succeeded: boolean, now: number): void {
    this.rules.pace.record(now - this.started, succeeded, this.delay, now)
  }

  private firstEnded(exit: Exit.Exit<A, E>, now: number): void {
    this.running--
    this.record(exit._tag === "Success", now)
    if (exit._tag === "Success") return this.decide(exit)
    this.failed = exit
    const next = after(exit)
    // A defect is not asked again, and an interruption is somebody's wish.
    if (next === "decided" || failureOf(exit.cause) === undefined) return this.decide(exit)
    if (next === "another") this.hedge()
    else this.hedges = this.rules.hedges
    this.giveUpIfAllFailed()
  }

  private hedgeEnded(exit: Exit.Exit<A, E>): void {
    this.running--
    const next = exit._tag === "Success" ? "decided" : after(exit)
    if (next === "decided") {
      if (exit._tag === "Success") this.rules.listener.won(this.rules.now() - this.started)
      return this.decide(exit)
    }
    if (exit._tag === "Failure" && this.knowsMore(exit)) this.failed = exit
    if (next === "another") this.hedge()
    this.giveUpIfAllFailed()
  }

  // A pool below keeps one list of failures for both, so that the last to fail names every upstream that was asked.
  private knowsMore(exit: Exit.Failure<A, E>): boolean {
    const { call, failed } = this
    if (failed === undefined || !call.pooled || failureOf(exit.cause) === undefined) return false
    return Outcome.of(failureOf(failed.cause)?.error).again !== "nowhere"
  }

  private giveUpIfAllFailed(): void {
    const { failed } = this
    if (this.running === 0 && failed !== undefined) this.decide(failed)
  }

  /** Starts another request, if there may be one. */
  private hedge(): void {
    const { call, rules } = this
    if (this.hedges >= rules.hedges || this.over) return
    if (this.hedges === 0) Attempts.close(call, this.mark)
    const now = rules.now()
    const denial = this.denial(now)
    if (denial !== undefined) {
      this.hedges = rules.hedges
      return rules.listener.denied(call, denial)
    }
    this.hedges++
    this.running++
    const { sent } = call
    Attempts.reopen(call)
    rules.listener.hedging(call, now - this.started)
    const context = Context.add(this.context, Call.Insist, "hedge")
    const exit = this.start(this.attempt, context, false)
    if (call.prepaid) {
      // Either nothing below counts what it sends, or nobody below has taken the request.
      call.prepaid = false
      if (exit !== undefined && (call.pooled || isRefusal(exit))) Call.refund(call)
    }
    if (exit === undefined) {
      if (this.hedges < rules.hedges) this.ringAt(now + this.delay)
      return
    }
    if (exit._tag === "Failure" && call.sent === sent) {
      this.hedges = rules.hedges
      if (rules.budgeted) call.budget?.refund(now)
      rules.listener.refused()
    }
    this.hedgeEnded(exit)
  }

  private denial(now: number): Denial | undefined {
    const { call, rules } = this
    if (!Call.fits(call, now, rules.pace.typical)) return "deadline"
    if (Call.limit(call) <= 0) return "attempts"
    return rules.budgeted && call.budget?.withdraw(now) === false ? "budget" : undefined
  }
}

/**
 * What follows a failure. An answer that would be the same anywhere decides; a failure of some upstream decides nothing
 * while others run, and starts another request at once if one is allowed now.
 */
const after = (exit: Exit.Failure<unknown, unknown>): "decided" | "another" | "none" => {
  const failure = failureOf(exit.cause)
  if (failure === undefined) return "none"
  const { again, counts, retryAfter } = Outcome.of(failure.error)
  if (again === "nowhere") return counts === "failure" ? "none" : "decided"
  return retryAfter === undefined ? "another" : "none"
}

const isRefusal = (exit: Exit.Exit<unknown, unknown>): boolean =>
  exit._tag === "Failure" && Outcome.of(failureOf(exit.cause)?.error).refused
