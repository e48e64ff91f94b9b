/**
 * Tells of each call what happened to it: as one event when it has ended, and as a span where tracing is on.
 *
 * While nobody listens and no spans are asked for, nothing is recorded.
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import type { Span } from "effect/Tracer"
import * as Call from "./Call.ts"
import type * as Events from "./Events.ts"
import * as JsonRpc from "./JsonRpc.ts"
import * as Read from "./Options.ts"

export interface Options {
  /**
   * Makes a span of each call, with Effect's current tracer: named after the method, what happened as its events, the
   * upstream that answered and the number of requests as attributes. Default false.
   */
  readonly spans?: boolean | undefined
}

/** A call that has ended. In the observer's events its `layer` is `call`. */
export interface Event {
  readonly type: "answered" | "failed" | "interrupted"
  readonly method: string
  /** Milliseconds from start to end. */
  readonly duration: number
  /** What the error says, where there is one. */
  readonly error: string | undefined
  readonly report: Call.Report
}

/**
 * The outermost layer of a client. A call that `JsonRpc.explain` has opened goes by the report it already has.
 *
 * ```ts
 * const client = UpstreamPool.layer(upstreams).pipe(Deadline.layer("10 seconds"), Trace.layer({ spans: true }))
 * ```
 *
 * @throws `InvalidOption` at once.
 */
export const layer = (options?: Options) => {
  const { spans } = Read.read("Trace", options, { spans: Read.boolean({ default: false }) })
  return <E, LE, R>(self: Layer.Layer<JsonRpc.Client<E>, LE, R>): Layer.Layer<JsonRpc.Client<E>, LE, R> =>
    JsonRpc.transform(self, "call", (below: JsonRpc.Service<E>, events) =>
      Effect.map(Clock.Clock, (clock) => ({
        request: (request) =>
          Effect.withFiber((fiber) => {
            if (!spans && !events.active) return below.request(request)
            const outer = fiber.getRef(Call.Current)
            const call = outer?.recorder === undefined ? new Call.Call(new Call.Recorder()) : outer
            const answer = below.request(request)
            const own = call === outer ? answer : Effect.provideService(answer, Call.Current, call)
            const told = events.active ? telling(own, clock, events, request, call.recorder!) : own
            return spans ? spanned(told, clock, request, call.recorder!) : told
          }),
        submit: (request: JsonRpc.Request, caller: JsonRpc.Caller) =>
          spans || events.active ? undefined : below.submit?.(request, caller)
      }))
    )
}

type Answer<E> = Effect.Effect<unknown, E>

const telling = <E>(
  self: Answer<E>,
  clock: Clock.Clock,
  events: Events.Sink<Event>,
  { method }: JsonRpc.Request,
  report: Call.Report
): Answer<E> => {
  const started = Call.now(clock)
  return Effect.onExitPrimitive(self, (exit) => {
    events.emit({ type: endOf(exit), method, duration: Call.now(clock) - started, error: errorOf(exit), report })
    return undefined
  })
}

const endOf = (exit: Exit.Exit<unknown, unknown>): Event["type"] => {
  if (exit._tag === "Success") return "answered"
  return Cause.hasInterruptsOnly(exit.cause) ? "interrupted" : "failed"
}

const errorOf = (exit: Exit.Exit<unknown, unknown>): string | undefined =>
  exit._tag === "Success" || Cause.hasInterruptsOnly(exit.cause) ? undefined : Call.summary(Cause.squash(exit.cause))

// The names of the first two attributes are OpenTelemetry's.
const spanned = <E>(self: Answer<E>, clock: Clock.Clock, { method }: JsonRpc.Request, report: Call.Report): Answer<E> =>
  Effect.useSpan(method, { kind: "client", attributes: { "rpc.system": "jsonrpc", "rpc.method": method } }, (span) => {
    const started = clock.currentTimeNanosUnsafe()
    return Effect.onExitPrimitive(Effect.withParentSpan(self, span), () => {
      describe(span, report, started)
      return undefined
    })
  })

const describe = (span: Span, report: Call.Report, started: bigint): void => {
  span.attribute("hawser.requests", report.steps.filter(({ step }) => step === "ask").length)
  span.attribute("hawser.stale", report.stale)
  span.attribute("hawser.degraded", report.degraded)
  if (report.answeredBy !== undefined) span.attribute("hawser.answered_by", report.answeredBy)
  for (const { at, step, ...details } of report.steps) {
    span.event(`hawser.${step}`, started + BigInt(Math.round(at * 1e6)), details)
  }
}
