/**
 * What Prometheus is told. What the service counts itself are Effect's own metrics; what the stack knows is read from its
 * snapshot when somebody asks, and costs nothing until then.
 */
import * as Effect from "effect/Effect"
import type * as HttpRouter from "effect/http/HttpRouter"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import type * as Scope from "effect/Scope"
import { JsonRpc, Stack } from "hawser"

export type Outcome = "fresh" | "stale" | "unavailable" | "limited"

/** Counts a call by its outcome. */
export const called = (outcome: Outcome): Effect.Effect<void> => Metric.update(calls[outcome], 1)

/** Counts an HTTP request, and the seconds it took. */
export const served = (method: string, route: string, status: number, seconds: number): Effect.Effect<void> =>
  Effect.andThen(
    Metric.update(
      Metric.withAttributes(requests, {
        method: methods.has(method) ? method : "other",
        route,
        status: String(status)
      }),
      1
    ),
    Metric.update(duration, seconds)
  )

/** `GET /metrics`. */
export const layer: Layer.Layer<never, never, HttpRouter.HttpRouter | JsonRpc.Client<Stack.Error>> = Layer.merge(
  PrometheusMetrics.layerHttp({ prefix: "hawser" }),
  Layer.effectDiscard(
    Effect.gen(function* () {
      const client = yield* JsonRpc.client<Stack.Error>()
      yield* watch(() => Stack.status(client.inspect()))
    })
  )
)

// A method is the client's to invent, a label is not.
const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])

const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })
const gauge = (name: string, description: string) => Metric.gauge(name, { description })

const call = (outcome: Outcome) =>
  Metric.counter("calls_total", {
    description: "Calls, by JSON-RPC method and outcome.",
    incremental: true,
    attributes: { method: "eth_blockNumber", outcome }
  })
const calls = {
  fresh: call("fresh"),
  stale: call("stale"),
  unavailable: call("unavailable"),
  limited: call("limited")
}
const requests = counter("http_requests_total", "HTTP requests, by method, route and status.")
const duration = Metric.histogram("http_request_duration_seconds", {
  description: "How long HTTP requests took.",
  boundaries: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
})

const upstreamRequests = counter("upstream_requests_total", "Requests sent to an upstream, by outcome.")
const upstreamRefusals = counter("upstream_refusals_total", "Requests not sent to an upstream, as it was left out.")
const upstreamLatency = gauge("upstream_latency_seconds", "How long an answer of an upstream is expected to take.")
const upstreamInflight = gauge("upstream_in_flight", "Requests under way to an upstream.")
const upstreamHead = gauge("upstream_head", "The newest block an upstream has told of.")
const breakerState = gauge("breaker_state", "1 for the state that an upstream's breaker is in, 0 for the others.")
const retries = counter("retries_total", "Rounds beyond the first.")
const hedges = counter("hedges_total", "Second requests sent before the first had failed.")
const hedgesWon = counter("hedges_won_total", "Hedges whose answer was used.")
const cacheAnswers = counter("cache_answers_total", "What the cache did, by verdict.")

type Source = () => number

const watch = (status: () => Stack.Status): Effect.Effect<void, never, Scope.Scope> => {
  const count = (metric: Metric.Counter<number>, labels: Record<string, string>, read: Source) =>
    pull(Metric.withAttributes(metric, labels), () => ({ count: read(), incremental: true }))
  const show = (metric: Metric.Gauge<number>, labels: Record<string, string>, read: Source) =>
    pull(Metric.withAttributes(metric, labels), () => ({ value: read() }))
  return Effect.all(
    [
      ...status().upstreams.flatMap(({ name: upstream }, i) => {
        const now = () => status().upstreams[i]!
        return [
          count(upstreamRequests, { upstream, outcome: "success" }, () => now().pool?.successes ?? 0),
          count(upstreamRequests, { upstream, outcome: "failure" }, () => now().pool?.failures ?? 0),
          count(upstreamRequests, { upstream, outcome: "neutral" }, () => now().pool?.neutrals ?? 0),
          count(upstreamRefusals, { upstream }, () => now().pool?.refusals ?? 0),
          show(upstreamLatency, { upstream }, () => (now().pool?.latency ?? 0) / 1000),
          show(upstreamInflight, { upstream }, () => now().pool?.inflight ?? 0),
          show(upstreamHead, { upstream }, () => now().health?.head ?? NaN),
          ...(["closed", "open", "half-open", "isolated"] as const).map((state) =>
            show(breakerState, { upstream, state }, () => (now().breaker?.state === state ? 1 : 0))
          )
        ]
      }),
      count(retries, {}, () => status().retry?.retries ?? 0),
      count(hedges, {}, () => status().hedge?.hedges ?? 0),
      count(hedgesWon, {}, () => status().hedge?.won ?? 0),
      ...(["hits", "misses", "joined"] as const).map((verdict) =>
        count(cacheAnswers, { verdict }, () => status().cache?.[verdict] ?? 0)
      ),
      count(cacheAnswers, { verdict: "stale" }, () => {
        const { deadline, error, revalidate } = status().cache?.stale ?? { deadline: 0, error: 0, revalidate: 0 }
        return deadline + error + revalidate
      })
    ],
    { discard: true }
  )
}

/** Registers a metric that is read when somebody asks, until the scope ends. */
const pull = <State>(metric: Metric.Metric<number, State>, get: () => State): Effect.Effect<void, never, Scope.Scope> =>
  Effect.flatMap(Effect.context(), (context) =>
    Effect.asVoid(
      Effect.acquireRelease(
        Effect.sync(() => Metric.registerUnsafe(metric, context, { get, update: () => {}, modify: () => {} })),
        (registration) => Effect.sync(() => registration.remove())
      )
    )
  )
