/**
 * What to say instead, when a client has no answer.
 *
 * Only for the failures it names; whatever else goes wrong, and interruption, passes. If the fallback fails, too, the
 * caller gets both failures, the first one first. An answer that is a fallback's is marked in the call's report.
 *
 * A fallback should not share what has failed: another pool, a constant or a local file can help; the same upstreams
 * cannot. Put it above the cache, or the cache takes its answers for the real ones.
 */
import { Call, Events, JsonRpc, Options as Read } from "@hawser/core"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import { isDue } from "./internal/alarm.ts"
import { failureOf } from "./internal/rounds.ts"

export interface Options<Tag extends string, E, Run> {
  /** The failures it is for: a tag, some tags, or a predicate. */
  readonly on: Tag | ReadonlyArray<Tag> | ((error: E) => boolean)
  /** What to do instead. Not called before it is needed. */
  readonly run: Run
}

/** The call was answered by the fallback, after `error`; or the fallback failed, too. */
export type Event =
  | { readonly type: "degraded"; readonly error: unknown }
  | { readonly type: "failed"; readonly error: unknown }

export interface Inspection {
  /** Answers given. */
  readonly used: number
  /** Times it failed, too. */
  readonly failed: number
}

/** The tags that errors carry. */
type TagOf<E> = E extends { readonly _tag: infer Tag } ? Tag : never

/** Holds if each tag is that of an error in `E`. A predicate leaves `Tag` at `string`, which holds of any. */
type Occurs<E, Tag> = string extends Tag
  ? unknown
  : [Tag] extends [TagOf<E>]
    ? unknown
    : { readonly "no such failure": Exclude<Tag, TagOf<E>> }

export interface Fallback<in E, out Tag, out A2, out E2, out R2> {
  /**
   * Runs an effect, and the fallback if it fails in one of the ways named.
   *
   * The fallback is a call of its own: it has all its attempts, and the deadline that held when the effect began. If
   * that has passed, it is not run. The failures named stay in the type, as they are what a failed fallback leaves.
   */
  readonly execute: <A, E1 extends E, R>(
    self: Effect.Effect<A, E1, R> & Occurs<E1, Tag>
  ) => Effect.Effect<A | A2, E1 | E2, R | R2>
  readonly inspect: () => Inspection
  readonly events: Events.Events<Event>
}

/**
 * Makes a fallback for any effect.
 *
 * ```ts
 * const fallback = yield* Fallback.make({ on: "NoAnswer", run: () => readSnapshot })
 * const price = yield* fallback.execute(askOracle)
 * ```
 */
export const make = <const Tag extends string = string, E = any, A2 = never, E2 = never, R2 = never>(
  options: Options<Tag, E, (error: E) => Effect.Effect<A2, E2, R2>>
): Effect.Effect<Fallback<E, Tag, A2, E2, R2>> => {
  const settings = read(options)
  return Effect.withFiber((fiber) => {
    const events = Events.make<Event>()
    const substitute = new Substitute(settings.on, events, fiber)
    return Effect.succeed({
      execute: (self) => substitute.run(self, options.run),
      inspect: () => substitute.inspect(),
      events
    })
  })
}

/**
 * Answers instead of a client.
 *
 * ```ts
 * Fallback.layer({ on: "NoAnswer", run: (error, request) => archive.request(request) })
 * ```
 */
export const layer = <const Tag extends string = string, EP = any, E2 = never, R2 = never>(
  options: Options<Tag, EP, (error: EP, request: JsonRpc.Request) => Effect.Effect<unknown, E2, R2>>
) => {
  const settings = read(options)
  return <E, LE, R>(
    self: JsonRpc.Over<"client", E, EP, LE, R> & Occurs<E, Tag>
  ): Layer.Layer<JsonRpc.Client<E | E2>, LE, R | R2> =>
    JsonRpc.transform(self, "fallback", (below: JsonRpc.Service<E>, events) =>
      Effect.contextWith((context: Context.Context<R2>) =>
        Effect.withFiber((fiber) => {
          const substitute = new Substitute(settings.on, events, fiber)
          return Effect.succeed({
            request: (request: JsonRpc.Request): Effect.Effect<unknown, E | E2> =>
              substitute.run(below.request(request), (error) =>
                // What the caller has provided itself goes first.
                Effect.updateContext(options.run(error, request), (own: Context.Context<never>) =>
                  Context.merge(context, own)
                )
              ),
            inspect: () => substitute.inspect()
          })
        })
      )
    )
}

const read = (options: unknown) => {
  const { on } = Read.read("Fallback", options, { on: Read.any<unknown>(), run: Read.fn() })
  if (typeof on === "function") return { on: on as (error: never) => boolean }
  const tags = new Set(typeof on === "string" ? [on] : Array.isArray(on) ? on : [])
  if (tags.size === 0) Read.reject("Fallback.on", "a tag, a list of tags, or a predicate", on)
  return {
    on: (error: unknown) => typeof error === "object" && error !== null && "_tag" in error && tags.has(error._tag)
  }
}

class Substitute {
  private readonly named: (error: never) => boolean
  private readonly events: Events.Sink<Event>
  private readonly clock: Clock.Clock
  private used = 0
  private failed = 0

  constructor(named: (error: never) => boolean, events: Events.Sink<Event>, maker: Fiber.Fiber<unknown, unknown>) {
    this.named = named
    this.events = events
    this.clock = maker.getRef(Clock.Clock)
  }

  inspect(): Inspection {
    return { used: this.used, failed: this.failed }
  }

  run<A, E, R, A2, E2, R2>(
    self: Effect.Effect<A, E, R>,
    instead: (error: never) => Effect.Effect<A2, E2, R2>
  ): Effect.Effect<A | A2, E | E2, R | R2> {
    return Effect.withFiber((caller) => {
      const call = caller.getRef(Call.Current)
      // As it is now: a deadline further in may have passed, and may be what the fallback is for.
      const deadline = call?.deadline ?? Infinity
      return Effect.catchCause(self, (cause): Effect.Effect<A2, E | E2, R2> => {
        const failure = failureOf(cause)
        if (failure === undefined || !this.named(failure.error as never)) return Effect.failCause(cause)
        if (isDue(deadline, Call.now(this.clock))) return Effect.failCause(cause)
        const own = new Call.Call(call?.recorder, deadline)
        return Effect.matchCauseEffect(
          Effect.provideService(
            Effect.suspend(() => instead(failure.error as never)),
            Call.Current,
            own
          ),
          {
            onSuccess: (answer) => {
              this.answered(own, failure.error)
              return Effect.succeed(answer)
            },
            onFailure: (second) => {
              this.failed++
              if (this.events.active) this.events.emit({ type: "failed", error: failure.error })
              return Effect.failCause(Cause.combine<E, E2>(cause, second))
            }
          }
        )
      })
    })
  }

  private answered(call: Call.Call, error: unknown): void {
    this.used++
    Call.note(call, this.clock, () => ({ step: "fallback", error: Call.summary(error) }))
    if (this.events.active) this.events.emit({ type: "degraded", error })
  }
}
