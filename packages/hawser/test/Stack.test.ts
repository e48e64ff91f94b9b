import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Data, Effect, Exit, Fiber, Layer, Random } from "effect"
import { TestClock } from "effect/testing"
import { expectTypeOf } from "vitest"
import type { RpcError } from "hawser"
import { Breaker, Call, Http, JsonRpc, Stack, Timeout, UpstreamPool } from "hawser"

class Flaky extends Data.TaggedError("Flaky")<{}> {}

/** An upstream without sockets. */
const simulated = (name: string, answer: Effect.Effect<unknown, unknown>) => {
  const counts = { requests: 0 }
  const layer = Layer.succeed(JsonRpc.upstream<unknown>())({
    name,
    request: ({ method }) =>
      Effect.suspend(() => {
        counts.requests++
        return method === "eth_chainId" ? Effect.succeed("0x1") : answer
      }),
    inspect: () => ({ name })
  })
  return { layer, counts }
}

const client = JsonRpc.client<Stack.Error>()

const balanceOf = (i: number) =>
  JsonRpc.makeRequest("eth_getBalance", [`0x${i.toString(16).padStart(40, "0")}`, "latest"])

const ask = (i = 0) => Effect.flatMap(client, (rpc) => rpc.request(balanceOf(i)))

describe("three upstreams that each fail a fifth of all requests at random", () => {
  it.effect(
    "at most 15 failures in 100,000 reads, at most 1.35 requests per call",
    () => {
      const flaky = Effect.flatMap(Random.next, (draw) =>
        draw < 0.2 ? Effect.fail(new Flaky()) : Effect.succeed("0x1")
      )
      const upstreams = ["a", "b", "c"].map((name) => simulated(name, flaky))
      const calls = 100_000
      const workers = 100
      return Effect.gen(function* () {
        let failures = 0
        const worker = (w: number) =>
          Effect.gen(function* () {
            for (let i = 0; i < calls / workers; i++) {
              const exit = yield* Effect.exit(ask(w * 1_000 + i))
              if (Exit.isFailure(exit)) failures++
            }
          })
        const fiber = yield* Effect.forkChild(
          Effect.forEach(
            Array.from({ length: workers }, (_, w) => w),
            worker,
            { concurrency: "unbounded", discard: true }
          )
        )
        while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("50 millis")
        yield* Fiber.join(fiber)
        const requests = upstreams.reduce((sum, { counts }) => sum + counts.requests, 0)
        assert.isAtMost(failures, 15)
        assert.isAtMost(requests / calls, 1.35)
        assert.isAbove(requests / calls, 1.2)
      }).pipe(
        Effect.provide(Stack.layer({ chainId: 1, upstreams: upstreams.map(({ layer }) => layer) })),
        Random.withSeed("a fifth")
      )
    },
    60_000
  )
})

/** Lets sockets do their work, which takes no virtual time, until a condition holds. */
const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.promise(async () => {
    while (!condition()) await new Promise((resolve) => setImmediate(resolve))
  })

describe("on real sockets, in virtual time", () => {
  const facing = (scenarios: ReadonlyArray<Scenario.Scenario>, options: Partial<Stack.Options> = {}) =>
    Effect.gen(function* () {
      const nodes = yield* Effect.forEach(scenarios, (scenario) => FaultyNode.make({ scenario }))
      const context = yield* Layer.build(
        Stack.layer({ chainId: 1, upstreams: nodes.map(({ url }) => url), ...options })
      )
      const call = (i = 0) => Effect.provide(ask(i), context)
      const sent = () => nodes.reduce((sum, node) => sum + node.count(), 0)
      return { nodes, call, sent, context }
    })

  it.effect("Retry-After: 2 on the only upstream: no request for two seconds, then success", () =>
    Effect.gen(function* () {
      const { call, context, nodes } = yield* facing([
        Scenario.first(1, Scenario.status(429, { retryAfter: "2 seconds" }))
      ])
      const [node] = nodes
      const first = yield* Effect.forkChild(call(), { startImmediately: true })
      const rpc = yield* Effect.provide(client, context)
      yield* until(() => Stack.status(rpc.inspect()).upstreams[0]!.rateLimit!.pausedFor > 0)
      // Others who come meanwhile wait, too.
      const second = yield* Effect.forkChild(call(1), { startImmediately: true })
      yield* TestClock.adjust("1999 millis")
      assert.strictEqual(node!.count(), 1)
      while (first.pollUnsafe() === undefined || second.pollUnsafe() === undefined) yield* TestClock.adjust("1 millis")
      assert.isString(yield* Fiber.join(first))
      assert.isString(yield* Fiber.join(second))
    })
  )

  it.effect("a revert costs one request and keeps its data", () =>
    Effect.gen(function* () {
      const revert = Scenario.error(3, "execution reverted", { data: "0xdeadbeef" })
      const { call, sent } = yield* facing([revert, revert])
      const error = yield* Effect.flip(call())
      assert.instanceOf(error, JsonRpc.Rejected)
      assert.deepInclude(error, { code: 3, data: "0xdeadbeef", kind: "revert" })
      // And one for its chain, which a revert could belie as well.
      assert.strictEqual(sent(), 2)
    })
  )

  it.effect("when all is down, an error names each, after six requests at most", () =>
    Effect.gen(function* () {
      const { call, nodes, sent } = yield* facing([Scenario.status(500), Scenario.drop, Scenario.refuse])
      const fiber = yield* Effect.forkChild(Effect.flip(call()), { startImmediately: true })
      while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("10 millis")
      const error = yield* Fiber.join(fiber)
      assert.instanceOf(error, Call.NoAnswer)
      for (const { port } of nodes) assert.include(error.message, `127.0.0.1:${port}`)
      assert.isAtMost(sent(), 6)
    })
  )

  it.effect("the first call after an outage succeeds, although every breaker is open", () =>
    Effect.gen(function* () {
      const impatient = { retry: false, pool: { outage: "fail" } } as const
      const { call, context, nodes } = yield* facing([Scenario.status(500), Scenario.status(500)], impatient)
      for (let i = 0; i < 20; i++) yield* Effect.flip(call(i))
      const status = Effect.map(Effect.provide(client, context), (rpc) => Stack.status(rpc.inspect()))
      assert.isTrue((yield* status).upstreams.every(({ breaker }) => breaker!.state === "open"))
      for (const node of nodes) yield* node.play(Scenario.healthy)
      assert.isString(yield* call())
    })
  )

  for (const method of ["eth_getBalance", "eth_sendRawTransaction"]) {
    it.effect(`and so does ${method}, although only one is back and none could even be reached`, () =>
      Effect.gen(function* () {
        const { call, context, nodes } = yield* facing([Scenario.refuse, Scenario.refuse], {
          retry: false,
          pool: { outage: "fail" }
        })
        const rpc = yield* Effect.provide(client, context)
        const isOpen = () => Stack.status(rpc.inspect()).upstreams.every(({ breaker }) => breaker!.state === "open")
        for (let i = 0; !isOpen(); i++) yield* Effect.flip(call(i))
        yield* nodes[0]!.play(Scenario.healthy)
        assert.isString(yield* rpc.request(JsonRpc.makeRequest(method, ["0x02"])))
      })
    )
  }

  it.effect("calls that come during an outage of five seconds are answered after it", () =>
    Effect.gen(function* () {
      const { call, context, nodes, sent } = yield* facing([Scenario.refuse, Scenario.refuse])
      const rpc = yield* Effect.provide(client, context)
      const isOpen = () => Stack.status(rpc.inspect()).upstreams.every(({ breaker }) => breaker!.state !== "closed")
      const early = yield* Effect.forEach(Array.from({ length: 10 }), (_, i) => Effect.forkChild(Effect.exit(call(i))))
      while (!isOpen()) yield* TestClock.adjust("10 millis")
      const during = yield* Effect.forEach(Array.from({ length: 50 }), (_, i) => Effect.forkChild(call(i)))
      yield* TestClock.adjust("5 seconds")
      for (const node of nodes) yield* node.play(Scenario.healthy)
      const all = [...early, ...during]
      while (all.some((fiber) => fiber.pollUnsafe() === undefined)) yield* TestClock.adjust("10 millis")
      for (const fiber of during) assert.isString(yield* Fiber.join(fiber))
      // Each answer, two checks of the chain, and whoever found out that they are back.
      assert.isAtMost(sent(), 50 + 10 + 2 + 2)
    })
  )

  it.effect("a hanging upstream stops taxing later calls", () =>
    Effect.gen(function* () {
      const { call, nodes } = yield* facing([Scenario.hang, Scenario.healthy])
      for (let i = 0; i < 10; i++) {
        const fiber = yield* Effect.forkChild(call(i), { startImmediately: true })
        while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("10 millis")
        yield* Fiber.join(fiber)
      }
      assert.isAtMost(nodes[0]!.count(), 1)
    })
  )

  it.effect("at the deadline the caller learns what each upstream has said", () =>
    Effect.gen(function* () {
      const { call, nodes } = yield* facing([Scenario.hang, Scenario.hang], { timeout: false, hedge: false })
      const fiber = yield* Effect.forkChild(Effect.flip(call()), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(fiber)
      assert.instanceOf(error, Call.DeadlineExceeded)
      const [asked] = nodes.filter((node) => node.count() > 0)
      assert.include(error.message, `127.0.0.1:${asked!.port}: has not answered yet`)
      for (const node of nodes) yield* node.until(({ connections }) => connections.open === 0)
    })
  )

  it.effect("methods, tiers and names are the upstream's own", () =>
    Effect.gen(function* () {
      const own = yield* FaultyNode.make()
      const paid = yield* FaultyNode.make()
      const live = Stack.layer({
        upstreams: [
          { url: paid.url, name: "paid", tier: 1 },
          { url: own.url, name: "own", methods: { exclude: ["eth_getB*"] } }
        ]
      })
      yield* Effect.gen(function* () {
        const rpc = yield* client
        yield* rpc.request(JsonRpc.makeRequest("eth_gasPrice"))
        assert.deepStrictEqual([own.count("eth_gasPrice"), paid.count()], [1, 0])
        yield* rpc.request(balanceOf(1))
        assert.deepStrictEqual([own.count("eth_getBalance"), paid.count("eth_getBalance")], [0, 1])
        const { report } = yield* JsonRpc.explain(rpc.request(balanceOf(2)))
        assert.strictEqual(report.answeredBy, "paid")
        assert.deepInclude(report.steps[0], { step: "cache", verdict: "miss" })
        assert.deepInclude(report.steps[1], { step: "ask", upstream: "own" })
        assert.deepInclude(report.steps[2], { step: "refused", upstream: "own" })
      }).pipe(Effect.provide(live))
    })
  )

  it.effect("health is polled when asked for, and shows the head", () =>
    Effect.gen(function* () {
      const { context } = yield* facing([Scenario.healthy], { health: { every: "30 seconds" } })
      const rpc = yield* Effect.provide(client, context)
      const read = () => Stack.status(rpc.inspect()).upstreams[0]!.health!
      while (Stack.status(rpc.inspect()).upstreams[0]!.http!.inflight === 0) yield* TestClock.adjust("1 second")
      yield* until(() => read().ok !== undefined)
      assert.deepInclude(read(), { head: 1000, ok: true })
    })
  )

  it.effect("health off: an idle client sends nothing", () =>
    Effect.gen(function* () {
      const { sent } = yield* facing([Scenario.healthy])
      yield* TestClock.adjust("1 day")
      assert.strictEqual(sent(), 0)
    })
  )
})

describe("types", () => {
  it("a stack fails with three things, each layer of one with its own", () => {
    expectTypeOf(Stack.layer({ upstreams: ["http://a"] })).toEqualTypeOf<Layer.Layer<JsonRpc.Client<Stack.Error>>>()
    const upstream = Http.layer({ url: "http://a" }).pipe(Timeout.layer("1 second"), Breaker.layer())
    type Failing = RpcError.TransportError | RpcError.ResponseError | Timeout.TimeoutError | Breaker.CircuitOpen
    expectTypeOf(upstream).toEqualTypeOf<Layer.Layer<JsonRpc.Upstream<Failing | JsonRpc.Rejected>>>()
    expectTypeOf(UpstreamPool.layer([upstream])).toEqualTypeOf<
      Layer.Layer<JsonRpc.Client<JsonRpc.Rejected | Call.NoAnswer<Failing | Call.Defect>>>
    >()
  })

  it("what does not fit does not compile", () => {
    const upstream = Http.layer({ url: "http://a" })
    const pool = UpstreamPool.layer([upstream])
    // @ts-expect-error: a breaker guards one upstream
    pool.pipe(Breaker.layer())
    // @ts-expect-error: a pool is made of upstreams
    UpstreamPool.layer([pool])
    class Mainnet extends JsonRpc.Client<Mainnet>()("test/Mainnet") {}
    expectTypeOf(pool.pipe(JsonRpc.as(Mainnet))).toEqualTypeOf<Layer.Layer<Mainnet>>()
    expectTypeOf(Stack.layer({ upstreams: ["http://a"] }).pipe(JsonRpc.as(Mainnet))).toEqualTypeOf<
      Layer.Layer<Mainnet>
    >()
  })
})
