/**
 * What Prometheus is told. What the service counts itself are Effect's own metrics; what the stack knows is read from its
 * snapshot when somebody asks (`@hawser/metrics`).
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as PrometheusMetrics from "effect/observability/PrometheusMetrics"
import { Metrics } from "@hawser/metrics"
import type { JsonRpc, Stack } from "hawser"

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

/** What the stack shows of itself. Its calls are counted above, by what the page makes of them. */
export const watched: (stack: Layer.Layer<JsonRpc.Client<Stack.Error>>) => Layer.Layer<JsonRpc.Client<Stack.Error>> =
  Metrics.layer({ prefix: "", calls: false })

/** `GET /metrics`. */
export const layer = PrometheusMetrics.layerHttp({ prefix: "hawser" })

// A method is the client's to invent, a label is not.
const methods = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])

const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })

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
