// One rate limit in a running program: the meter, the line before it and, if it is shared, whoever keeps it.
import { Call, type Events, Outcome } from "@hawser/core"
import type * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Event, Inspection } from "../RateLimit.ts"
import type { Rate } from "./gcra.ts"
import { type Ask, Line, readPriority, wholeMillis, type Why } from "./line.ts"
import { Meter } from "./meter.ts"
import { readPause, readWeight, type Settings } from "./rateSettings.ts"
import { free, type Grant, Remote } from "./remote.ts"

/** May not pass: refused before anything was sent, so it costs neither an attempt nor budget. */
export class RateLimited extends Data.TaggedError("RateLimited")<{
  readonly upstream: string
  /**
   * `limit`: no room in time. `paused`: the upstream asked for a pause. `queue`: no room in the line. `weight`: it
   * weighs more than can ever pass.
   */
  readonly reason: "limit" | "paused" | "queue" | "weight"
  /** From when on it could pass, to the millisecond, if nobody else came; `undefined`: never. */
  readonly retryAfter: Duration.Duration | undefined
  readonly weight: number
  /** Standing in line would get it through. */
  readonly queueable: boolean
}> {
  get [Outcome.TypeId](): Outcome.Verdict {
    return Outcome.refusal(this.retryAfter, this.queueable ? "wait" : undefined)
  }

  override get message(): string {
    const { reason, retryAfter, upstream, weight } = this
    const free = retryAfter === undefined ? "" : `; free in ${Duration.format(retryAfter)}`
    if (reason === "weight") return `A request of weight ${weight} never fits the rate limit of ${upstream}`
    if (reason === "queue") return `Too many wait for the rate limit of ${upstream}${free}`
    return reason === "paused"
      ? `${upstream} asked for a pause${free}`
      : `The rate limit of ${upstream} is reached${free}`
  }
}

/** `upstream`: what refusals call it. */
export const open = (
  settings: Settings,
  rates: ReadonlyArray<Rate>,
  upstream: string,
  events: Events.Sink<Event>
): Effect.Effect<Limiter> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const context = yield* Effect.context()
    const quota = settings.shared && (yield* settings.shared.quota(upstream, rates))
    const remote = quota && new Remote(quota, rates, settings.shared.alone, Call.now(clock))
    return new Limiter(settings, rates, remote, upstream, events, clock, context)
  })

export class Limiter {
  private readonly settings: Settings
  private readonly remote: Remote | undefined
  private readonly upstream: string
  private readonly meter: Meter
  private readonly line: Line<RateLimited, Grant>
  private readonly now: () => number

  constructor(
    settings: Settings,
    rates: ReadonlyArray<Rate>,
    remote: Remote | undefined,
    upstream: string,
    events: Events.Sink<Event>,
    clock: Clock.Clock,
    context: Context.Context<never>
  ) {
    const { learn, maxPause } = settings
    this.settings = settings
    this.remote = remote
    this.upstream = upstream
    this.now = () => Call.now(clock)
    // Of a shared limit only the pauses are kept here.
    const kept = { rates: remote === undefined ? rates : [], maxPause, learning: learn }
    this.meter = new Meter(kept, this.now(), (event) => {
      if (events.active) events.emit(event)
    })
    this.line = new Line<RateLimited, Grant>(
      {
        name: "rate limit",
        wait: (now, weight) => this.wait(now, weight, 0),
        estimate: (now, weight, ahead) => wholeMillis(this.wait(now, weight, ahead)),
        take: (now, weight) => this.meter.take(now, weight) && free,
        ...(remote && { ask: this.asking(remote) }),
        refusal: (why, weight, wait, queueable) => this.refuse(why, weight, wait, queueable)
      },
      settings,
      clock,
      context
    )
  }

  /** Runs the effect once it may pass. */
  admit<A, E, R>(self: Effect.Effect<A, E, R>, weight: number, priority: number): Effect.Effect<A, E | RateLimited, R> {
    if (weight !== 1) readWeight("RateLimit.weight", weight)
    if (priority !== 0) readPriority("RateLimit.priority", priority)
    const { line, remote } = this
    if (remote !== undefined && weight > 0) {
      const stand = line.pass(weight, priority, (grant) => this.send(self, weight, grant))
      return line.size > 0 || this.wait(this.now(), weight, 0) > 0
        ? stand
        : Effect.flatMap(this.ask(remote, weight), (grant) =>
            grant === undefined ? stand : this.send(self, weight, grant)
          )
    }
    if ((line.size === 0 || weight === 0) && this.meter.take(this.now(), weight)) return this.send(self, weight, free)
    return line.pass(weight, priority, (grant) => this.send(self, weight, grant))
  }

  peek(weight = 1): Duration.Duration | undefined {
    readWeight("RateLimit.weight", weight)
    const millis = this.wait(this.now(), weight, this.line.ahead(0))
    return millis === Infinity ? undefined : Duration.millis(wholeMillis(millis))
  }

  pause(duration: Duration.Input): void {
    const millis = readPause("RateLimit.pause", duration)
    const now = this.now()
    this.meter.pause(millis, now)
    this.line.closeUntil(now + millis)
  }

  inspect(): Inspection {
    const { line, meter, remote } = this
    const now = this.now()
    return {
      available: remote === undefined ? meter.available(now) : remote.available,
      share: meter.share,
      pausedFor: wholeMillis(meter.pausedFor(now)),
      waiting: line.size,
      admitted: meter.admitted,
      ...line.counts
    }
  }

  private wait(now: number, weight: number, ahead: number): number {
    const { meter, remote } = this
    return remote === undefined
      ? meter.wait(now, weight, ahead)
      : Math.max(meter.wait(now, weight, 0), remote.wait(now, weight, ahead))
  }

  private asking(remote: Remote): Ask<Grant> {
    return {
      grant: (weight) =>
        Effect.map(this.ask(remote, weight), (grant) => {
          // Nobody behind the head passes before it does.
          if (grant === undefined) this.line.closeUntil(this.now() + this.wait(this.now(), weight, 0))
          return grant
        }),
      undo: (grant, weight) => remote.undo(grant, weight)
    }
  }

  private ask(remote: Remote, weight: number): Effect.Effect<Grant | undefined> {
    return Effect.suspend(() =>
      weight === 0
        ? Effect.succeed(this.meter.take(this.now(), 0) ? free : undefined)
        : Effect.flatMap(remote.ask(weight, this.now, this.heard), (grant) => {
            // A pause may have begun meanwhile.
            if (grant === undefined || this.meter.take(this.now(), 0)) return Effect.succeed(grant)
            return Effect.as(remote.undo(grant, weight), undefined)
          })
    )
  }

  /** Others have been asked for a pause. */
  private readonly heard = (millis: number): void => {
    const now = this.now()
    if (millis > this.meter.pausedFor(now) + 1) this.meter.pause(millis, now)
  }

  // Nothing is held while the work runs, so it is only listened to when it fails.
  private send<A, E, R>(self: Effect.Effect<A, E, R>, weight: number, grant: Grant): Effect.Effect<A, E, R> {
    const permit = this.meter.taken
    return Effect.catchCause(self, (cause) =>
      Effect.onExitPrimitive(Effect.failCause(cause), () => this.heed(cause, permit, weight, grant))
    )
  }

  /** What the failure of a request tells; what is to be told to others is an effect. */
  private heed(
    cause: Cause.Cause<unknown>,
    permit: number,
    weight: number,
    grant: Grant
  ): Effect.Effect<void> | undefined {
    const { line, meter, remote } = this
    const { judge, learn } = this.settings
    let tell: Effect.Effect<void> | undefined
    for (const reason of cause.reasons) {
      if (reason._tag !== "Fail") continue
      const verdict = judge(reason.error)
      if (verdict.refused) {
        meter.undo(permit, weight)
        line.pump()
        tell = remote?.undo(grant, weight)
        continue
      }
      const now = this.now()
      const { retryAfter } = verdict
      if (learn !== undefined && (learn.when?.(reason.error) ?? retryAfter !== undefined)) meter.lower(permit, now)
      if (retryAfter !== undefined && meter.hint(permit, Duration.toMillis(retryAfter), now)) {
        const pausedFor = meter.pausedFor(now)
        line.closeUntil(now + pausedFor)
        if (grant.permit !== undefined) tell = remote?.quota.pause(pausedFor, grant.permit)
      }
    }
    return tell
  }

  private refuse(why: Why, weight: number, wait: number, queueable: boolean): RateLimited {
    const isPaused = why === "limit" && this.meter.pausedFor(this.now()) > 0
    return Outcome.stackless(
      () =>
        new RateLimited({
          upstream: this.upstream,
          reason: why === "never" ? "weight" : isPaused ? "paused" : why,
          retryAfter: why === "never" ? undefined : Duration.millis(wait),
          weight,
          queueable
        })
    )
  }
}
