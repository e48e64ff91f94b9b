// One concurrency limit in a running program: the permits, and the line before them.
import { Call, type Events, Outcome } from "@hawser/core"
import * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type { Event, Inspection } from "../Concurrency.ts"
import { Aimd, Gradient, type Sample } from "./adaptive.ts"
import type { AdaptiveSettings, Settings } from "./concurrencySettings.ts"
import { Line, readPriority } from "./line.ts"
import { Permits } from "./permits.ts"

/** No room: refused before anything was sent, so it costs neither an attempt nor budget. */
export class ConcurrencyFull extends Data.TaggedError("ConcurrencyFull")<{
  readonly upstream: string
  /** `limit`: no room in time. `queue`: no room in the line. */
  readonly reason: "limit" | "queue"
  /** How many may run at once. */
  readonly limit: number
  /** Standing in line would get it through. */
  readonly queueable: boolean
}> {
  get [Outcome.TypeId](): Outcome.Verdict {
    return Outcome.refusal(undefined, this.queueable ? "wait" : undefined)
  }

  override get message(): string {
    const { limit, reason, upstream } = this
    return reason === "queue"
      ? `Too many wait for one of the ${limit} places at ${upstream}`
      : `All ${limit} places at ${upstream} are taken`
  }
}

/**
 * What a failure says about capacity, by default. Dropped: an error named `TimeoutError` (Effect's, the platform's,
 * ours), or one whose verdict says when to come back. A success: an error that counts as one, such as a revert. All
 * else says nothing: an upstream that fails at once is not overloaded, and a refusal never reached it.
 */
export const sampleOf = (error: unknown): Sample => {
  const { counts, refused, retryAfter } = Outcome.of(error)
  if (refused || counts === "neutral") return "ignored"
  if (retryAfter !== undefined || (error instanceof Error && error.name === "TimeoutError")) return "dropped"
  return counts === "success" ? "success" : "ignored"
}

/** `upstream`: what refusals call it. */
export const open = (
  settings: Settings,
  adaptive: AdaptiveSettings | undefined,
  upstream: string,
  events: Events.Sink<Event>
): Effect.Effect<Places> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    return new Places(settings, adaptive, upstream, events, clock, yield* Effect.context())
  })

export class Places {
  private readonly adaptive: AdaptiveSettings | undefined
  private readonly clock: Clock.Clock
  private readonly permits: Permits
  private readonly line: Line<ConcurrencyFull>

  constructor(
    settings: Settings,
    adaptive: AdaptiveSettings | undefined,
    upstream: string,
    events: Events.Sink<Event>,
    clock: Clock.Clock,
    context: Context.Context<never>
  ) {
    this.adaptive = adaptive
    this.clock = clock
    const algorithm = adaptive && new (adaptive.algorithm === "gradient" ? Gradient : Aimd)(adaptive)
    const permits = new Permits(settings.limit, algorithm, (limit, previous) => {
      if (events.active) events.emit({ type: "limit", limit, previous })
    })
    this.permits = permits
    this.line = new Line<ConcurrencyFull>(
      {
        name: "concurrency limit",
        wait: () => (permits.inflight < permits.limit ? 0 : Infinity),
        estimate: () => 0,
        take: () => permits.take(),
        refusal: (why, _weight, _wait, queueable) => {
          const reason = why === "queue" ? "queue" : "limit"
          return Outcome.stackless(() => new ConcurrencyFull({ upstream, reason, limit: permits.limit, queueable }))
        }
      },
      settings,
      clock,
      context
    )
  }

  /** Runs the effect once there is room: `Outcome.guard`, but for a permit that may have to be waited for. */
  admit<A, E, R>(
    self: Effect.Effect<A, E, R>,
    kind: string,
    priority: number
  ): Effect.Effect<A, E | ConcurrencyFull, R> {
    if (priority !== 0) readPriority("Concurrency.priority", priority)
    const { line, permits } = this
    const place = new Place()
    return Effect.onExitPrimitive(
      Effect.suspend((): Effect.Effect<A, E | ConcurrencyFull, R> => {
        if (line.size > 0 || !permits.take()) return line.pass(1, priority, () => (this.enter(place), self))
        this.enter(place)
        return self
      }),
      (exit) => {
        if (place.number !== 0) this.leave(place, exit, kind)
        return undefined
      }
    )
  }

  inspect(): Inspection {
    const { line, permits } = this
    return {
      limit: permits.limit,
      inflight: permits.inflight,
      waiting: line.size,
      admitted: permits.started,
      ...line.counts
    }
  }

  private enter(place: Place): void {
    place.number = this.permits.started
    if (this.adaptive !== undefined) place.since = Call.now(this.clock)
  }

  private leave(place: Place, exit: Exit.Exit<unknown, unknown>, kind: string): void {
    const { adaptive, line, permits } = this
    permits.giveBack()
    try {
      if (adaptive === undefined) return
      const now = Call.now(this.clock)
      permits.learn(sampleOfExit(exit, adaptive.sample ?? sampleOf), place.number, now - place.since, kind, now)
    } finally {
      if (line.size > 0) line.pump()
    }
  }
}

/** The place of one request. It is numbered when taken: 0 is none. */
class Place {
  number = 0
  since = 0
}

const sampleOfExit = (exit: Exit.Exit<unknown, unknown>, sample: (error: any) => Sample): Sample => {
  if (exit._tag === "Success") return "success"
  let result: Sample = "ignored"
  for (const reason of exit.cause.reasons) {
    if (reason._tag === "Die") return "ignored"
    if (reason._tag === "Fail") result = sample(reason.error)
  }
  return result
}
