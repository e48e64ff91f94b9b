import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect } from "effect"
import * as Service from "../src/Service.ts"
import * as Prometheus from "./prometheus.ts"
import { type Get, impatient, serve } from "./serving.ts"

/** Gives the sum of all series of a name with these labels. */
const scrape = (get: Get) =>
  Effect.map(get("/metrics"), ({ headers, status, text }) => {
    assert.strictEqual(status, 200)
    assert.match(headers.get("content-type")!, /^text\/plain; version=0\.0\.4/)
    const all = Prometheus.parse(text)
    return (name: string, labels: Record<string, string> = {}) => {
      const found = all.filter(
        (series) =>
          series.name === `hawser_${name}` &&
          Object.entries(labels).every(([key, value]) => series.labels[key] === value)
      )
      assert.isNotEmpty(found, `${name} ${JSON.stringify(labels)}`)
      return found.reduce((sum, { value }) => sum + value, 0)
    }
  })

describe("GET /metrics", () => {
  it.effect("counts calls and pages by what became of them", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const get = yield* serve(Service.stack({ upstreams: [{ url: node.url, name: "alpha" }], ...impatient }), {
        clientOf: ({ headers }) => headers["x-client"]
      })
      const ask = get("/blockNumber", { headers: { "x-client": "a" } })
      yield* Effect.all(
        Array.from({ length: 101 }, () => ask),
        { concurrency: 10, discard: true }
      )
      yield* node.play(Scenario.status(500))
      yield* get("/blockNumber")
      yield* get("/nothing?key=secret")
      yield* get("/health", { method: "POST" })
      yield* get("/health", { method: "PROPFIND" })

      const metric = yield* scrape(get)
      const method = "eth_blockNumber"
      assert.strictEqual(metric("calls_total", { method, outcome: "fresh" }), 100)
      assert.strictEqual(metric("calls_total", { method, outcome: "limited" }), 1)
      assert.strictEqual(metric("calls_total", { method, outcome: "stale" }), 1)
      assert.strictEqual(metric("http_requests_total", { method: "GET", route: "/blockNumber", status: "200" }), 101)
      assert.strictEqual(metric("http_requests_total", { method: "GET", route: "/blockNumber", status: "429" }), 1)
      assert.strictEqual(metric("http_requests_total", { method: "GET", route: "other", status: "404" }), 1)
      assert.strictEqual(metric("http_requests_total", { method: "POST", route: "/health", status: "405" }), 1)
      assert.strictEqual(metric("http_requests_total", { method: "other", route: "/health", status: "405" }), 1)
      assert.strictEqual(metric("http_request_duration_seconds_count"), 105)
      assert.strictEqual(metric("http_request_duration_seconds_bucket", { le: "+Inf" }), 105)
      assert.strictEqual(
        metric("upstream_requests_total", { upstream: "alpha", outcome: "success" }) +
          metric("cache_answers_total", { verdict: "joined" }),
        100
      )
      assert.strictEqual(metric("upstream_requests_total", { upstream: "alpha", outcome: "failure" }), 1)
      assert.strictEqual(metric("cache_stale_total", { why: "error" }), 1)
      assert.strictEqual(metric("upstream_in_flight", { upstream: "alpha" }), 0)
    })
  )

  it.effect("tells of breakers, refusals, retries and hedges", () =>
    Effect.gen(function* () {
      const bad = yield* FaultyNode.make({ scenario: Scenario.status(500) })
      const good = yield* FaultyNode.make({ head: 1000 })
      const get = yield* serve(
        Service.stack({
          upstreams: [
            { url: bad.url, name: "bad" },
            { url: good.url, name: "good", tier: 1 }
          ],
          ...impatient,
          retry: {},
          hedge: {},
          breaker: { consecutive: 2 },
          health: { every: "30 seconds" }
        })
      )
      for (let n = 0; n < 5; n++) yield* get("/blockNumber")

      const metric = yield* scrape(get)
      assert.strictEqual(metric("breaker_state", { upstream: "bad", state: "open" }), 1)
      assert.strictEqual(metric("breaker_state", { upstream: "bad" }), 1)
      assert.strictEqual(metric("breaker_state", { upstream: "good", state: "closed" }), 1)
      assert.isAtLeast(metric("upstream_refusals_total", { upstream: "bad" }), 1)
      assert.strictEqual(metric("upstream_requests_total", { upstream: "bad", outcome: "failure" }), 2)
      assert.strictEqual(metric("upstream_head", { upstream: "good" }), 1000)
      assert.strictEqual(metric("retries_total"), 0)
      assert.strictEqual(metric("hedges_total"), 0)
      assert.strictEqual(metric("hedges_won_total"), 0)
    })
  )

  it.effect("two services in one program count each for itself", () =>
    Effect.gen(function* () {
      const { url } = yield* FaultyNode.make()
      const one = yield* serve(Service.stack({ upstreams: [url], ...impatient }))
      const other = yield* serve(Service.stack({ upstreams: [url], ...impatient }))
      yield* one("/blockNumber")
      assert.strictEqual((yield* scrape(one))("upstream_requests_total"), 1)
      assert.strictEqual((yield* scrape(other))("upstream_requests_total"), 0)
    })
  )
})
