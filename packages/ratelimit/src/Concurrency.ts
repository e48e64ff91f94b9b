/**
 * How much may be under way at once? A fixed number, or one that follows what the upstream can take.
 *
 * What finds no room waits in a line that is fair and can be left at any moment. Work that runs is never cancelled: a
 * limit that shrinks lets nobody in until enough have ended.
 */
import { Call, Events, JsonRpc, Options as Read, Outcome } from "@hawser/core"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import { Aimd, Gradient, type Sample as AdaptiveSample } from "./internal/adaptive.ts"
import { Line, readPriority } from "./internal/line.ts"
import { Permits } from "./internal/permits.ts"
import {
  adaptiveOf,
  type AdaptiveSettings,
  layerReaders,
  makeReaders,
  type Settings
} from "./internal/concurrencySettings.ts"

/**
 * What one request says about the capacity of the upstream: it was answered, it was dropped (no answer in time, or
 * too much asked), or nothing.
 */
export type Sample = AdaptiveSample

/** How the limit follows the upstream. */
export interface Adaptive<in E = any> {
  /**
   * `aimd` (default): one more for each round of answers, a tenth less when something is dropped. `gradient`: also
   * less when answers take longer than usual (Netflix's Gradient2); it needs requests of one kind to take a similar
   * time.
   */
  readonly algorithm?: "aimd" | "gradient" | undefined
  /** The least. Default 1. */
  readonly min?: number | undefined
  /** The most. Default 200, or ten times `limit` if that is more. */
  readonly max?: number | undefined
  /** What a decrease leaves of the limit, above 0, at most 1. Default 0.9. */
  readonly decrease?: number | undefined
  /** At most one decrease in this time. Default 1 second. */
  readonly window?: Duration.Input | undefined
  /** What a failure says. Default {@link sampleOf}. Defects and interruption say nothing. */
  readonly sample?: ((error: E) => Sample) | undefined
}

export interface Options<in E = any> {
  /** How many at once; where an adaptive limit starts. */
  readonly limit: number
  /** Lets the limit follow what the upstream can take. Default false. */
  readonly adaptive?: boolean | Adaptive<E> | undefined
  /** How many may stand in line. 0 refuses whatever finds no room. Default 1,000. */
  readonly maxQueue?: number | undefined
  /** How long one may stand in line; `Infinity` is a value. Default 30 seconds. */
  readonly maxWait?: Duration.Input | undefined
}

export interface LayerOptions<in E = any> extends Options<E> {
  /** Which requests take a similar time. Default: the method. At most 64 classes are told apart. */
  readonly classOf?: ((request: JsonRpc.Request) => string) | undefined
  /** Who goes first, a whole number from -10 to 10: see {@link Pass.priority}. Default 0. */
  readonly priority?: ((request: JsonRpc.Request) => number) | undefined
}

/** What one execution asks for. */
export interface Pass {
  /**
   * Who goes first, a whole number from -10 to 10; within a priority, first come, first served. Default 0. One turn in
   * ten goes to whoever has waited longest, so that nobody starves. When the line is full, a newcomer takes the place
   * of the last to come of the lowest priority, if that is lower than its own.
   */
  readonly priority?: number | undefined
  /** The class of work it belongs to; work of one class takes a similar time. */
  readonly class?: string | undefined
}

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

/** Whether an error is a concurrency limit's refusal. */
export const isConcurrencyFull = (u: unknown): u is ConcurrencyFull =>
  Predicate.isTagged(u, "ConcurrencyFull") && Outcome.TypeId in u

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

/** What a limiter tells as it happens. */
export interface Event {
  readonly type: "limit"
  readonly limit: number
  readonly previous: number
}

export interface Inspection {
  /** How many may run at once. */
  readonly limit: number
  readonly inflight: number
  readonly waiting: number
  readonly admitted: number
  /** How many have stood in line. */
  readonly queued: number
  readonly refused: number
  /** How many left the line of their own accord. */
  readonly abandoned: number
}

/** One limit, for effects that fail with at most `E`. */
export interface Concurrency<in E = unknown> {
  /** Runs the effect once there is room. Inside a pool it never waits unless told to: another upstream may be free. */
  readonly execute: <A, E1 extends E, R>(
    self: Effect.Effect<A, E1, R>,
    options?: Pass
  ) => Effect.Effect<A, E1 | ConcurrencyFull, R>
  readonly inspect: () => Inspection
  readonly events: Events.Events<Event>
}

/**
 * Makes a concurrency limit for any effect.
 *
 * ```ts
 * const uploads = yield* Concurrency.make({ limit: 4 })
 * yield* Effect.forEach(files, (file) => uploads.execute(upload(file)), { concurrency: "unbounded" })
 * ```
 */
export const make = <E = unknown>(
  options: Options<E> & {
    /** What refusals call the upstream. Default "upstream". */
    readonly name?: string | undefined
  }
): Effect.Effect<Concurrency<E>> => {
  const settings = Read.read("Concurrency", options, makeReaders)
  const adaptive = adaptiveOf(settings)
  return Effect.suspend(() => {
    const events = Events.make<Event>()
    return Effect.map(build(settings, adaptive, settings.name, events), ({ admit, inspect }) => ({
      execute: (self, pass) => Effect.suspend(() => admit(self, pass?.class ?? "", pass?.priority ?? 0)),
      inspect,
      events
    }))
  })
}

/**
 * Limits how many requests one upstream has to do at once.
 *
 * ```ts
 * Http.layer({ url }).pipe(Timeout.layer("4 seconds"), Concurrency.layer({ limit: 20, adaptive: true }))
 * ```
 *
 * An adaptive limit belongs above the timeout: what it does not see time out, it cannot learn from.
 */
export const layer = <EP = any>(
  options: LayerOptions<EP>
): (<E, LE, R>(
  self: JsonRpc.Over<"upstream", E, EP, LE, R>
) => Layer.Layer<JsonRpc.Upstream<E | ConcurrencyFull>, LE, R>) => {
  const settings = Read.read("Concurrency", options, layerReaders)
  const adaptive = adaptiveOf(settings)
  return (self) =>
    JsonRpc.transform(self, "concurrency", (below, events) =>
      Effect.map(build(settings, adaptive, below.name, events), ({ admit, inspect }) => ({
        request: (request) =>
          Effect.suspend(() => admit(below.request(request), settings.classOf(request), settings.priority(request))),
        inspect
      }))
    )
}

/** The place of one request. It is numbered when taken: 0 is none. */
class Place {
  number = 0
  since = 0
}

const build = (
  settings: Settings,
  adaptive: AdaptiveSettings | undefined,
  upstream: string,
  events: Events.Sink<Event>
) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const context = yield* Effect.context()
    const permits = new Permits(
      settings.limit,
      adaptive && new (adaptive.algorithm === "gradient" ? Gradient : Aimd)(adaptive),
      (limit, previous) => {
        if (events.active) events.emit({ type: "limit", limit, previous })
      }
    )
    const line = new Line<ConcurrencyFull>(
      {
        name: "concurrency limit",
        wait: () => (permits.inflight < permits.limit ? 0 : Infinity),
        estimate: () => 0,
        take: () => permits.take(),
        refusal: (why, _weight, _wait, queueable) =>
          Outcome.stackless(
            () =>
              new ConcurrencyFull({
                upstream,
                reason: why === "queue" ? "queue" : "limit",
                limit: permits.limit,
                queueable
              })
          )
      },
      settings,
      clock,
      context
    )

    const enter = (place: Place): void => {
      place.number = permits.started
      if (adaptive !== undefined) place.since = Call.now(clock)
    }

    const leave = (place: Place, exit: Exit.Exit<unknown, unknown>, kind: string): void => {
      permits.giveBack()
      try {
        if (adaptive === undefined) return
        const now = Call.now(clock)
        permits.learn(sampleOfExit(exit, adaptive.sample ?? sampleOf), place.number, now - place.since, kind, now)
      } finally {
        if (line.size > 0) line.pump()
      }
    }

    // `Outcome.guard`, but for a permit that may have to be waited for.
    const admit = <A, E, R>(
      self: Effect.Effect<A, E, R>,
      kind: string,
      priority: number
    ): Effect.Effect<A, E | ConcurrencyFull, R> => {
      if (priority !== 0) readPriority("Concurrency.priority", priority)
      const place = new Place()
      return Effect.onExitPrimitive(
        Effect.suspend((): Effect.Effect<A, E | ConcurrencyFull, R> => {
          if (line.size > 0 || !permits.take()) return line.pass(1, priority, () => (enter(place), self))
          enter(place)
          return self
        }),
        (exit) => {
          if (place.number !== 0) leave(place, exit, kind)
          return undefined
        }
      )
    }

    return {
      admit,
      inspect: (): Inspection => ({
        limit: permits.limit,
        inflight: permits.inflight,
        waiting: line.size,
        admitted: permits.started,
        ...line.counts
      })
    }
  })

const sampleOfExit = (exit: Exit.Exit<unknown, unknown>, sample: (error: any) => Sample): Sample => {
  if (exit._tag === "Success") return "success"
  let result: Sample = "ignored"
  for (const reason of exit.cause.reasons) {
    if (reason._tag === "Die") return "ignored"
    if (reason._tag === "Fail") result = sample(reason.error)
  }
  return result
}
