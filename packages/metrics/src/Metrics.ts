/**
 * What happened, for whoever watches over the program: all that a stack shows of itself, as metrics of Effect's, from which
 * its exporters make Prometheus text and OTLP.
 *
 * Numbers are read when somebody asks for them. Until then they cost nothing.
 */
import { type Events, JsonRpc, Options as Read } from "@hawser/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import { Stack } from "hawser"
import * as Calls from "./internal/calls.ts"
import * as EventCounts from "./internal/eventCounts.ts"
import { register, rows } from "./internal/registry.ts"

export interface Options {
  /** Put before each name. Default `hawser_`. */
  readonly prefix?: string | undefined
  /** On every series, such as `{ chain: "mainnet" }` where there are several clients. */
  readonly labels?: Readonly<Record<string, string>> | undefined
  /**
   * Measures each call: `call_seconds`, a histogram by method and outcome. The first 50 methods have labels of their own, further
   * ones share `other`. Default true.
   */
  readonly calls?: boolean | undefined
  /**
   * Counts what the layers tell as it happens: `events_total`, by layer, type and upstream. Then every event is built, and of each
   * call a report. Default false.
   */
  readonly events?: boolean | undefined
}

/** What a series is called, and what it tells. */
export interface Description {
  readonly name: string
  readonly help: string
  readonly labels: ReadonlyArray<string>
}

/** Every metric there is, for documentation and dashboards. */
export const descriptions: ReadonlyArray<Description> = [...rows, Calls.description, EventCounts.description]

const readers = {
  prefix: Read.any<string>(),
  labels: Read.any<Readonly<Record<string, string>>>(),
  calls: Read.boolean({ default: true }),
  events: Read.boolean({ default: false })
}

/**
 * Registers a client's metrics with Effect, for as long as the layer lives. `PrometheusMetrics` and `OtlpMetrics` of Effect
 * export them, with whatever else the program counts.
 *
 * ```ts
 * const client = Stack.layer({ upstreams }).pipe(Metrics.layer({ labels: { chain: "mainnet" } }))
 * ```
 *
 * @throws `InvalidOption` at once.
 */
export const layer = (options?: Options) => {
  const settings = read(options)
  return <E, LE, R>(self: Layer.Layer<JsonRpc.Client<E>, LE, R>): Layer.Layer<JsonRpc.Client<E>, LE, R> => {
    const watched = JsonRpc.transform(self, "metrics", (below: JsonRpc.Service<E>) =>
      Effect.gen(function* () {
        yield* register(() => Stack.status(below.inspect()), settings)
        if (!settings.calls) return { request: below.request }
        const record = Calls.recorder(settings, yield* Effect.context(), yield* Clock.Clock)
        return { request: (request: JsonRpc.Request) => record(request.method, below.request(request)) }
      })
    )
    return settings.events ? Layer.provide(watched, counting(settings)) : watched
  }
}

/** Counts the events below, and hands them on to whoever listens already. */
const counting = (settings: Settings): Layer.Layer<never> =>
  Layer.effect(JsonRpc.Observer)(
    Effect.gen(function* () {
      const outer = yield* JsonRpc.Observer
      const count = EventCounts.counter(settings, yield* Effect.context())
      return {
        active: true,
        emit: (event) => {
          count(event)
          if (outer.active) outer.emit(event)
        }
      } satisfies Events.Sink<JsonRpc.Event>
    })
  )

/**
 * A snapshot as Prometheus text (exposition format 0.0.4), for programs that do not use Effect: of a viem transport, an ethers
 * provider, a `Provider`, anything with `status()`. Calls and events are not in it, since they would have to be counted as they
 * happen.
 *
 * ```ts
 * response.setHeader("content-type", "text/plain; version=0.0.4").end(Metrics.prometheus(client.transport))
 * ```
 */
export const prometheus = (
  source: { readonly status: () => Stack.Status },
  options?: Pick<Options, "prefix" | "labels">
): string => {
  const settings = read(options)
  const status = source.status()
  return Effect.runSync(
    Effect.scoped(
      Effect.flatMap(
        register(() => status, settings),
        () => PrometheusMetrics.format()
      )
    ).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
}

type Settings = ReturnType<typeof read>

const read = (options: Options | undefined) => {
  const { labels, prefix = "hawser_", ...given } = Read.read("Metrics", options, readers)
  if (typeof prefix !== "string" || !/^[a-zA-Z_]?[a-zA-Z0-9_]*$/.test(prefix)) {
    return Read.reject("Metrics.prefix", "letters, digits and underscores", prefix)
  }
  const valid =
    labels === undefined ||
    (typeof labels === "object" &&
      labels !== null &&
      Object.entries(labels).every(([name, value]) => /^[a-zA-Z_]\w*$/.test(name) && typeof value === "string"))
  if (!valid) return Read.reject("Metrics.labels", "a record of label names and string values", labels)
  return { ...given, prefix, labels: labels ?? {} }
}
