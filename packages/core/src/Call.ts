/**
 * The record of one logical call: what the layers share, and all they know of each other.
 *
 * It is opened by the outermost layer that finds none and lives in one `Context.Reference`, so that it follows
 * the call through every fiber. Work done for several callers opens a record of its own.
 */
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Outcome from "./Outcome.ts"

/** How many requests one call may send unless a layer says otherwise. */
export const defaultAttempts = 6

/** Bounds the extra requests that retries and hedges cause, over all calls of one client. */
export interface Budget {
  /** Told once for each logical call. */
  readonly deposit: (now: number) => void
  /** Asks for one retry or hedge. */
  readonly withdraw: (now: number) => boolean
  /** Records a failover: counted, never denied. */
  readonly charge: (now: number) => void
  /** Gives back what was withdrawn at `at` for a request that was never sent. */
  readonly refund: (at: number) => void
}

/** Why one upstream gave no answer. */
export interface Failure<out E = unknown> {
  readonly upstream: string
  readonly error: E
}

/** What happened to a call, in order. Times are milliseconds since the call was opened. */
export type Step = { readonly at: number } & (
  | {
      readonly step: "cache"
      readonly verdict: "hit" | "miss" | "joined" | "stale"
      readonly age?: number
    }
  | { readonly step: "ask"; readonly upstream: string; readonly attempt: number }
  | {
      readonly step: "answer"
      readonly upstream: string
      readonly outcome: Outcome.Outcome
      readonly error?: string
    }
  | { readonly step: "refused"; readonly upstream: string; readonly error: string }
  | { readonly step: "wait"; readonly for: number; readonly why: string }
  | { readonly step: "retry"; readonly round: number; readonly delay: number }
  | { readonly step: "hedge"; readonly after: number }
  | {
      readonly step: "denied"
      readonly what: "retry" | "hedge"
      readonly why: "budget" | "attempts" | "deadline" | "hint"
    }
  | { readonly step: "fallback"; readonly error: string }
)

/** A call's history, kept only when somebody asked for it with `JsonRpc.explain`. */
export interface Report {
  readonly steps: ReadonlyArray<Step>
  /** The upstream whose answer was returned, or `undefined`: the cache answered, or nobody did. */
  readonly answeredBy: string | undefined
  /** The answer is older than its time to live. */
  readonly stale: boolean
  /** The answer is a fallback's. */
  readonly degraded: boolean
}

/** The mutable record. Read and written by layers; applications only see its {@link Report}. */
export class Call {
  /**
   * When the caller stops waiting, in milliseconds on the monotonic clock. Layers only ever lower it, except whoever opened
   * the call: work shared by several callers lasts until the last of them stops waiting.
   */
  deadline: number = Infinity
  /** Requests that may still be sent; `undefined` until a layer has said. */
  attempts: number | undefined = undefined
  /** Requests sent so far. */
  sent = 0
  /** A pool stands above whoever reads this: better to refuse at once than to wait, another upstream may be free. */
  pooled = false
  budget: Budget | undefined = undefined
  /** Upstreams asked in this round. A retry starts a new round. */
  tried: Array<object> | undefined = undefined
  /** The last failure of each upstream asked or left out, over all rounds. */
  failures: Map<string, unknown> | undefined = undefined
  /** The call that does the work of this one, for others as well. */
  worker: Call | undefined = undefined
  /** It goes on with what another call began, with the attempts that are left of it; so does a load that it begins. */
  resumed = false
  /** One attempt is paid for and not yet used: a layer above started it. */
  prepaid = false
  readonly recorder: Recorder | undefined

  constructor(recorder?: Recorder, deadline?: number) {
    this.recorder = recorder
    if (deadline !== undefined) this.deadline = deadline
  }
}

/** The call this fiber works for. */
export const Current = Context.Reference<Call | undefined>("~hawser/Call/Current", {
  defaultValue: () => undefined
})

/**
 * What a layer asks of the one below beyond the ordinary:
 *
 * - `wait`: a pool wants an upstream to hold the request in its line rather than refuse it.
 * - `probe`: a pool wants it to run although the upstream's breaker is open.
 * - `health`: a check wants to pass an open breaker; if it succeeds, the breaker lets a probe through, no more.
 * - `hedge`: a hedge wants an upstream that has not been tried, of the same tier, or none.
 */
export type Insistence = "none" | "wait" | "probe" | "health" | "hedge"

export const Insist = Context.Reference<Insistence>("~hawser/Call/Insist", {
  defaultValue: () => "none"
})

/**
 * A scope whose requests all go to one upstream: the nonce, the estimate and the send of one transaction, say. It moves to
 * another only when that one fails or is excluded.
 */
export const Sticky = Context.Reference<string | undefined>("~hawser/Call/Sticky", { defaultValue: () => undefined })

/**
 * Upstreams that a pool must not ask for what runs here, by name: to have an answer checked by another, say. Where nobody
 * else is left, nobody is asked. A cache above the pool loads for all who share a key, and takes no notice of it.
 */
export const Exclude = Context.Reference<ReadonlyArray<string>>("~hawser/Call/Exclude", { defaultValue: () => [] })

/** Runs `f` with the call this fiber works for, or opens one around it. */
export const use = <A, E, R>(
  f: (call: Call, fiber: Fiber.Fiber<unknown, unknown>) => Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) => {
    const current = fiber.getRef(Current)
    if (current !== undefined) return f(current, fiber)
    const call = new Call()
    return Effect.updateContext(f(call, fiber), (context: Context.Context<R>) => Context.add(context, Current, call))
  })

/** The time by which deadlines and all else that elapses is measured: milliseconds on the monotonic clock. */
export const now = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1e6

/** Sets the attempt limit unless an outer layer has set one, and returns what is left. */
export const limit = (call: Call, attempts: number = defaultAttempts): number => (call.attempts ??= attempts)

/**
 * Starts an attempt: false when none is left.
 *
 * An attempt is counted once however many layers take part in it. A layer that starts one and hands it on to a
 * layer below sets `prepaid`; the layer below then uses that one.
 */
export const spend = (call: Call): boolean => {
  if (call.prepaid) {
    call.prepaid = false
    return true
  }
  if (limit(call) <= 0) return false
  call.attempts!--
  call.sent++
  return true
}

/** Takes back an attempt that never reached the upstream. */
export const refund = (call: Call): void => {
  call.attempts!++
  call.sent--
}

/** Whether something that takes `delay` milliseconds can end before the deadline. */
export const fits = (call: Call, now: number, delay: number): boolean => now + delay < call.deadline

/** Remembers why an upstream gave no answer. */
export const fail = (call: Call, upstream: string, error: unknown): void => {
  call.failures ??= new Map()
  call.failures.set(upstream, error)
}

/** One cause for each upstream asked or left out. */
export const failures = <E = unknown>(call: Call): ReadonlyArray<Failure<E>> =>
  call.failures === undefined ? [] : Array.from(call.failures, ([upstream, error]) => ({ upstream, error: error as E }))

/** An upstream was asked and has not answered yet. */
export class Unanswered extends Data.TaggedError("Unanswered")<{ readonly upstream: string }> {
  readonly [Outcome.TypeId] = Outcome.verdict({ counts: "neutral" })

  override get message(): string {
    return "has not answered yet"
  }
}

/** Of those that this round has asked, the ones that have said nothing so far. */
export const unanswered = (call: Call): ReadonlyArray<Failure<Unanswered>> => {
  if (call.worker !== undefined) return unanswered(call.worker)
  const names = (call.tried ?? []).map((asked) => (asked as { readonly name?: unknown }).name)
  return names
    .filter((name): name is string => typeof name === "string" && call.failures?.has(name) !== true)
    .map((upstream) => ({ upstream, error: Outcome.stackless(() => new Unanswered({ upstream })) }))
}

/** Records a step of the call, if anybody will read it. */
export const note = (call: Call, clock: Clock.Clock, step: () => DistributiveOmit<Step, "at">): void => {
  if (call.recorder !== undefined) call.recorder.add(now(clock), step())
}

type DistributiveOmit<T, K extends PropertyKey> = T extends unknown ? Omit<T, K> : never

/** Collects the steps of one call. */
export class Recorder implements Report {
  readonly steps: Array<Step> = []
  answeredBy: string | undefined = undefined
  stale = false
  degraded = false
  private opened: number | undefined

  add(now: number, step: DistributiveOmit<Step, "at">): void {
    this.opened ??= now
    this.steps.push({ at: now - this.opened, ...step })
    if (step.step === "answer" && step.outcome === "success") this.answeredBy = step.upstream
    if (step.step === "cache" && step.verdict === "stale") this.stale = true
    if (step.step === "fallback") this.degraded = true
  }
}

/**
 * No upstream answered. Holds one cause for each upstream that was asked or left out.
 *
 * Above a pool this and the chain's own answer are all that can go wrong before the deadline.
 */
export class NoAnswer<out E = unknown> extends Data.TaggedError("NoAnswer")<{
  readonly causes: ReadonlyArray<Failure>
  readonly [Outcome.TypeId]: Outcome.Verdict
}> {
  declare readonly causes: ReadonlyArray<Failure<E>>

  override get message(): string {
    return this.causes.length === 0 ? "No upstream was asked" : `No upstream answered: ${list(this.causes)}`
  }
}

/**
 * A user's function threw, or an upstream died of a bug: an error of ours with the defect as its cause. It counts as a
 * failure and is not tried again.
 */
export class Defect extends Data.TaggedError("Defect")<{ readonly upstream: string; readonly cause: unknown }> {
  readonly [Outcome.TypeId] = Outcome.verdict({ again: "nowhere" })

  override get message(): string {
    return `Defect: ${summary(this.cause)}`
  }
}

/** The caller's time is over. Holds what each upstream had said by then. */
export class DeadlineExceeded extends Data.TaggedError("DeadlineExceeded")<{
  readonly limit: Duration.Duration
  readonly causes: ReadonlyArray<Failure>
}> {
  readonly [Outcome.TypeId] = Outcome.verdict({ again: "nowhere" })

  override get message(): string {
    const causes = this.causes.length === 0 ? "" : `: ${list(this.causes)}`
    return `No answer within ${Duration.format(this.limit)}${causes}`
  }
}

const list = (causes: ReadonlyArray<Failure>): string =>
  causes.map(({ error, upstream }) => `${upstream}: ${summary(error)}`).join("; ")

/** What an error says of itself, in a line. */
export const summary = (error: unknown): string => {
  if (error instanceof Error) return error.message === "" ? error.name : error.message
  return typeof error === "object" && error !== null && "_tag" in error ? String(error._tag) : String(error)
}
