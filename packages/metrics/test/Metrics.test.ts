import { assert, describe, it } from "@effect/vitest"
import { JsonRpc } from "@hawser/core"
import { Metrics } from "@hawser/metrics"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect, Layer, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Provider, Stack } from "hawser"

/** Every layer there is, over a node that fails and one that does not. */
const full = (urls: ReadonlyArray<string>): Stack.Options => ({
  chainId: 1,
  upstreams: urls.map((url) => ({
    url,
    rateLimit: { limit: 1_000, window: "1 second" as const, learn: true },
    concurrency: { limit: 10, adaptive: true }
  })),
  cache: { maxWeight: 1_000_000, policy: () => ({ ttl: "1 minute" }) },
  health: { every: "1 hour" },
  batch: true,
  multicall: {}
})

const nodes = Effect.all([FaultyNode.make({ scenario: Scenario.status(500) }), FaultyNode.make()])

const ask = (method = "eth_gasPrice", params: ReadonlyArray<unknown> = []) =>
  Effect.flatMap(JsonRpc.client<Stack.Error>(), (rpc) => rpc.request(JsonRpc.makeRequest(method, params)))

/** The value of a series in Prometheus text. */
const valueOf = (text: string, series: string): number => {
  const line = text.split("\n").find((line) => line.startsWith(`${series} `))
  if (line === undefined) throw new Error(`no ${series} in\n${text}`)
  return Number(line.slice(series.length + 1).split(" ")[0])
}

const observed = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.provideService(self, Metric.MetricRegistry, new Map())

describe("layer", () => {
  it.live("registers what the stack shows, and takes it away with the scope", () =>
    observed(
      Effect.gen(function* () {
        const [bad, good] = yield* nodes
        const live = Stack.layer(full([bad.url, good.url])).pipe(Metrics.layer({ labels: { chain: "mainnet" } }))
        yield* Effect.gen(function* () {
          while (bad.count("eth_gasPrice") === 0) yield* ask("eth_gasPrice", [{ nth: good.count() }])
          yield* ask("eth_gasPrice", [{ nth: good.count() - 1 }])
          const text = yield* PrometheusMetrics.format()
          const upstream = (port: number) => `chain="mainnet",upstream="127.0.0.1:${port}"`
          const series = (name: string, port: number, more = "") => {
            const found = text
              .split("\n")
              .find((line) => line.startsWith(`${name}{`) && line.includes(`:${port}"`) && line.includes(more))
            return found === undefined ? NaN : Number(/\} (\S+)/.exec(found)![1])
          }
          assert.include(text, upstream(bad.port))
          assert.isAbove(series("hawser_upstream_requests_total", bad.port, 'outcome="failure"'), 0)
          assert.isAbove(series("hawser_upstream_requests_total", good.port, 'outcome="success"'), 0)
          assert.strictEqual(series("hawser_breaker_state", good.port, 'state="closed"'), 1)
          assert.strictEqual(series("hawser_chain_verified", good.port), 1)
          assert.isAbove(series("hawser_upstream_latency_seconds", good.port), 0)
        }).pipe(Effect.provide(live))
        assert.notInclude(yield* PrometheusMetrics.format(), "hawser_upstream")
      })
    )
  )

  it.live("measures calls by method and outcome; methods beyond the fiftieth share a label", () =>
    observed(
      Effect.gen(function* () {
        const answering = Layer.succeed(JsonRpc.client<never>())({
          name: "fixed",
          request: ({ method }) => (method === "boom" ? Effect.die("bug") : Effect.succeed("0x1")),
          inspect: () => ({ name: "fixed" })
        })
        yield* Effect.gen(function* () {
          for (let i = 0; i < 120; i++) yield* ask(`x_method${i}`)
          yield* Effect.exit(ask("x_method0"))
          const text = yield* PrometheusMetrics.format()
          assert.strictEqual(valueOf(text, 'hawser_call_seconds_count{method="x_method0",outcome="answered"}'), 2)
          assert.strictEqual(valueOf(text, 'hawser_call_seconds_count{method="other",outcome="answered"}'), 70)
          assert.notInclude(text, "x_method50")
        }).pipe(Effect.provide(answering.pipe(Metrics.layer())))
      })
    )
  )

  it.live("counts events only where asked to, and hands them on", () =>
    observed(
      Effect.gen(function* () {
        const [bad, good] = yield* nodes
        const heard: Array<string> = []
        const outer = Layer.succeed(JsonRpc.Observer)({
          active: true,
          emit: ({ layer, type }) => void heard.push(`${layer} ${type}`)
        })
        const live = Stack.layer(full([bad.url, good.url])).pipe(Metrics.layer({ events: true }), Layer.provide(outer))
        yield* Effect.gen(function* () {
          while (bad.count("eth_gasPrice") === 0) yield* ask("eth_gasPrice", [{ nth: good.count() }])
          const text = yield* PrometheusMetrics.format()
          const failed = heard.filter((event) => event === "pool failed").length
          assert.isAbove(failed, 0)
          assert.strictEqual(
            valueOf(text, `hawser_events_total{layer="pool",type="failed",upstream="127.0.0.1:${bad.port}"}`),
            failed
          )
        }).pipe(Effect.provide(live))
      })
    )
  )

  it("options are checked", () => {
    assert.throws(() => Metrics.layer({ prefix: "a b" }), /^Metrics\.prefix takes letters, digits and underscores/)
    assert.throws(() => Metrics.layer({ labels: { "a b": "c" } }), /^Metrics\.labels takes a record of label names/)
    assert.throws(() => Metrics.layer({ call: true } as never), /^Metrics\.call takes no value/)
  })
})

describe("prometheus", () => {
  it.live("shows a provider as text, before its first call and after", () =>
    Effect.gen(function* () {
      const [bad, good] = yield* nodes
      const provider = yield* Effect.acquireRelease(
        Effect.sync(() => Provider.make(full([bad.url, good.url]))),
        (provider) => Effect.promise(() => provider.close())
      )
      assert.strictEqual(Metrics.prometheus(provider), "")
      yield* Effect.promise(() => provider.request({ method: "eth_gasPrice" }))
      const text = Metrics.prometheus(provider, { prefix: "rpc_", labels: { chain: "1" } })
      assert.strictEqual(valueOf(text, 'rpc_cache_answers_total{chain="1",verdict="misses"}'), 1)
      assert.include(text, "# TYPE rpc_cache_answers_total counter")
      assert.include(text, "# TYPE rpc_upstream_in_flight gauge")
    })
  )
})

describe("descriptions", () => {
  const isToldOf = (value: unknown) => typeof value === "number" || typeof value === "boolean"

  const leaves = (value: unknown, path: string): ReadonlyArray<string> =>
    typeof value === "object" && value !== null
      ? Object.entries(value).flatMap(([key, part]) => leaves(part, `${path}.${key}`))
      : isToldOf(value)
        ? [path]
        : []

  // What a snapshot holds beside numbers to watch, or a metric tells in another way.
  const untold = new Set([
    ...["tier", "weight", "asked"].map((name) => `pool.${name}`),
    ...["since", "retryAfter", "openings", "streak", "total", "failures", "probes", "share"].map(
      (name) => `breaker.${name}`
    ),
    ...["admitted", "successes", "failures", "neutrals", "slow"].map((name) => `breaker.counters.${name}`),
    "chain.expected",
    "chain.actual",
    "http.inflight",
    "http.batch.size",
    "http.batch.waiting",
    "logs.maxBlocks",
    "logs.maxAddresses",
    "multicall.size",
    "multicall.absent",
    "pool.capacity",
    "head.age",
    "head.lag.time",
    "head.safe",
    "head.finalized",
    "head.quorum",
    "head.blockTime",
    "head.latest.timestamp",
    "head.safe.timestamp",
    "head.finalized.timestamp",
    "subscription.topics",
    "subscription.head",
    "health.checked",
    "health.streak",
    "hedge.samples",
    "hedge.refused",
    "cache.refreshing",
    "retry.budget.deposits",
    "retry.budget.withdrawals"
  ])

  it.live("tell all that a snapshot holds", () =>
    Effect.gen(function* () {
      const [bad, good] = yield* nodes
      const rpc = yield* Effect.provide(
        JsonRpc.client<Stack.Error>(),
        yield* Layer.build(Stack.layer(full([bad.url, good.url])))
      )
      yield* rpc.request(JsonRpc.makeRequest("eth_gasPrice"))
      const { upstreams: shown, ...client } = Stack.status(rpc.inspect())
      const upstreams = shown.map((one) => ({ ...one, health: { head: 1, checked: 1, ok: true, streak: 0 } }))
      // Each number is changed in turn: some series must change with it.
      const told = (status: Stack.Status) => Metrics.prometheus({ status: () => status })
      const base = told({ ...client, upstreams })
      const change = (value: unknown, path: ReadonlyArray<string>): unknown => {
        const [key, ...rest] = path
        if (key === undefined) return typeof value === "boolean" ? !value : (value as number) + 17
        return { ...(value as object), [key]: change((value as Record<string, unknown>)[key], rest) }
      }
      const unseen = [
        ...leaves(client, "").filter(
          (path) => told({ upstreams, ...(change(client, path.split(".").slice(1)) as object) }) === base
        ),
        ...leaves(upstreams[1], "").filter(
          (path) =>
            told({
              ...client,
              upstreams: [upstreams[0]!, change(upstreams[1], path.split(".").slice(1)) as Stack.UpstreamStatus]
            }) === base
        )
      ].map((path) => path.slice(1))
      assert.deepStrictEqual(
        unseen.filter((path) => !untold.has(path)),
        []
      )
    })
  )

  it("stand in the README", () => {
    const readme = readFileSync(join(import.meta.dirname, "../README.md"), "utf8")
    for (const { help, labels, name } of Metrics.descriptions) {
      const row = `| \`${name}\` | ${labels.map((label) => `\`${label}\``).join(", ")} | ${help} |`
      assert.include(readme.replace(/ +/g, " "), row.replace(/ +/g, " "))
    }
  })
})
