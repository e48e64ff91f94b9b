// The retry itself: counts rounds, steps the schedule, asks the budget.
import { Call, type Events, type JsonRpc } from "@hawser/core"
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Pull from "effect/Pull"
import * as Random from "effect/Random"
import * as Schedule from "effect/Schedule"
import * as Budget from "../Budget.ts"
import type { Event, Inspection } from "../Retry.ts"
import * as Attempts from "./attempts.ts"
import * as Budgets from "./budget.ts"
import { First, type Job } from "./first.ts"
import { type Denial, deservesAnother, failureOf, plan } from "./rounds.ts"
import { Asking } from "./work.ts"

export interface Settings {
  readonly schedule: Schedule.Schedule<unknown, any>
  readonly attempts: number | undefined
  readonly while: ((error: never) => boolean) | undefined
  readonly budget: unknown
  readonly maxRetryAfter: number
}

/** The schedule's word after a failure: a delay in milliseconds, or `undefined` when it has ended. */
type Step = (error: unknown) => Effect.Effect<number | undefined>

export class Retrier {
  private readonly settings: Settings
  private readonly events: Events.Sink<Event>
  private readonly clock: Clock.Clock
  private readonly random: Random.Random
  private readonly budget: Call.Budget | undefined
  private retries = 0
  private readonly denials = { schedule: 0, attempts: 0, hint: 0, deadline: 0, budget: 0 }

  constructor(settings: Settings, events: Events.Sink<Event>, maker: Fiber.Fiber<unknown, unknown>) {
    this.settings = settings
    this.events = events
    this.clock = maker.getRef(Clock.Clock)
    this.random = maker.getRef(Random.Random)
    this.budget = Budgets.read("Retry.budget", settings.budget)
  }

  inspect(): Inspection {
    const { schedule: exhausted, ...denied } = this.denials
    const budget = Budget.isBudget(this.budget) ? this.budget.inspect(Call.now(this.clock)) : undefined
    return { retries: this.retries, exhausted, denied, budget }
  }

  run<A, E, R>(attempt: () => Effect.Effect<A, E, R>, repeatable: boolean): Effect.Effect<A, E, R> {
    return Call.use((call) => {
      const job = this.open(attempt, repeatable, call)
      return Effect.catchCause(attempt(), (cause) => this.again(job, cause))
    })
  }

  /** For a caller without a fiber: one is needed only for what follows a failure. */
  submit<E>(below: JsonRpc.Service<E>, request: JsonRpc.Request, caller: JsonRpc.Caller): JsonRpc.Place {
    const call = caller.call ?? new Call.Call()
    const job = this.open(() => below.request(request), request.nature === "read", call)
    return new First(job, this).begin(new Asking(below, request), caller)
  }

  private open<A, E, R>(attempt: () => Effect.Effect<A, E, R>, repeatable: boolean, call: Call.Call): Job<A, E, R> {
    const { attempts, while: word } = this.settings
    const { pooled } = call
    const mark = Attempts.open(call, pooled)
    const left = Call.limit(call, attempts) + (mark === Attempts.paid ? 1 : 0)
    Attempts.enroll(call, this.budget, this.clock)
    return { attempt, call, mark, rounds: Math.min(attempts ?? left, left), repeatable, pooled, while: word }
  }

  /** What follows the failure of the first round. */
  again<A, E, R>(job: Job<A, E, R>, cause: Cause.Cause<E>): Effect.Effect<A, E, R> {
    Attempts.close(job.call, job.mark)
    return this.failed(job, 1, cause, undefined)
  }

  // From here on a failure has happened, and cost matters less.
  private failed<A, E, R>(
    job: Job<A, E, R>,
    round: number,
    cause: Cause.Cause<E>,
    started: Step | undefined
  ): Effect.Effect<A, E, R> {
    const failure = failureOf(cause)
    if (failure === undefined || !deservesAnother(failure.error, job)) return Effect.failCause(cause)
    const { error } = failure
    return Effect.flatMap(started === undefined ? this.schedule() : Effect.succeed(started), (step) =>
      Effect.flatMap(step(error), (scheduled) => {
        const delay = this.decide(job, round + 1, scheduled, error)
        if (delay === undefined) return Effect.failCause(cause)
        const next = Effect.suspend(() =>
          this.begin(job, round + 1, delay, error)
            ? Effect.catchCause(paidFor(job), (cause) => this.failed(job, round + 1, cause, step))
            : Effect.failCause(cause)
        )
        return delay > 0 ? Effect.andThen(this.clock.sleep(Duration.millis(delay)), next) : next
      })
    )
  }

  // A schedule counts from the wall clock's time, which cannot go back here.
  private schedule(): Effect.Effect<Step> {
    const { clock } = this
    const origin = clock.currentTimeMillisUnsafe() - Call.now(clock)
    return Effect.map(
      Schedule.toStep(this.settings.schedule),
      (step): Step =>
        (error) =>
          Pull.catchDone(
            Effect.map(step(origin + Call.now(clock), error), ([, delay]): number | undefined =>
              Duration.toMillis(delay)
            ),
            () => Effect.undefined
          ).pipe(Effect.provideService(Random.Random, this.random))
    )
  }

  /** The delay before a round, or `undefined` when there will be none. */
  private decide<A, E, R>(
    job: Job<A, E, R>,
    round: number,
    scheduled: number | undefined,
    error: E
  ): number | undefined {
    const { call } = job
    const now = Call.now(this.clock)
    const planned = round > job.rounds ? "attempts" : plan(scheduled, error, this.settings.maxRetryAfter, call, now)
    if (typeof planned === "string") return this.giveUp(call, planned, error)
    if (this.budget !== undefined && call.budget?.withdraw(now) === false) return this.giveUp(call, "budget", error)
    if (this.events.active) this.events.emit({ type: "retrying", round, delay: planned, error })
    if (planned > 0) {
      const why = planned === scheduled ? "backoff" : "the upstream asked for it"
      Call.note(call, this.clock, () => ({ step: "wait", for: planned, why }))
    }
    return planned
  }

  /** Starts a round, unless time or attempts have gone meanwhile. */
  private begin<A, E, R>({ call }: Job<A, E, R>, round: number, delay: number, error: E): boolean {
    if (!Call.fits(call, Call.now(this.clock), 0)) this.giveUp(call, "deadline", error)
    else if (!Attempts.reopen(call)) this.giveUp(call, "attempts", error)
    else {
      this.retries++
      call.tried = undefined
      Call.note(call, this.clock, () => ({ step: "retry", round, delay }))
      return true
    }
    return false
  }

  private giveUp(call: Call.Call, why: Denial, error: unknown): undefined {
    this.denials[why]++
    if (this.events.active) this.events.emit({ type: "denied", why, error })
    if (why !== "schedule") {
      Call.note(call, this.clock, () => ({ step: "denied", what: "retry", why }))
    }
  }
}

/** A round whose attempt is counted, whatever becomes of it. */
const paidFor = <A, E, R>({ attempt, call }: Job<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.onExitPrimitive(attempt(), () => {
    Attempts.close(call, Attempts.paid)
    return undefined
  })
