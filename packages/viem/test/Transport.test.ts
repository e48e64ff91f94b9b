import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { hawser, type HawserTransport, type Options } from "@hawser/viem"
import { Effect } from "effect"
import type { JsonRpc } from "hawser"
import { Call, Provider, Stack } from "hawser"
import {
  type BaseError,
  ContractFunctionRevertedError,
  createPublicClient,
  createWalletClient,
  custom,
  encodeErrorResult,
  fallback,
  HttpRequestError,
  http,
  InvalidParamsRpcError,
  LimitExceededRpcError,
  MethodNotFoundRpcError,
  parseAbi,
  type PublicClient,
  TimeoutError,
  type Transport
} from "viem"
import { mainnet, polygon } from "viem/chains"
import { expectTypeOf } from "vitest"

/** A client over faulty nodes; its transport is closed with the scope. */
const over = (scenarios: ReadonlyArray<Scenario.Scenario>, options: Options = {}) =>
  Effect.gen(function* () {
    const nodes = yield* Effect.forEach(scenarios, (scenario) => FaultyNode.make({ scenario }))
    const transport = hawser(
      nodes.map(({ url }) => url),
      options
    )
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => createPublicClient({ chain: mainnet, transport })),
      (client) => Effect.promise(() => client.transport.close())
    )
    return { client, nodes, transport, sent: () => nodes.reduce((sum, node) => sum + node.count(), 0) }
  })

const rejected = (promise: () => Promise<unknown>) =>
  Effect.promise(() =>
    promise().then(
      (value) => assert.fail(`resolved with ${String(value)}`),
      (error: unknown) => error as BaseError
    )
  )

const address = "0x00000000000000000000000000000000000000aa"

describe("two upstreams, of which one is useless", () => {
  for (const [name, scenario] of Object.entries(Scenario.useless)) {
    it.live(`${name}: the right answer comes, and the other is soon left alone`, () =>
      Effect.gen(function* () {
        const { client, nodes } = yield* over([scenario, Scenario.healthy])
        for (let i = 0; i < 12; i++) {
          assert.strictEqual(yield* Effect.promise(() => client.getBlockNumber({ cacheTime: 0 })), 1000n)
        }
        // Its own chain check included.
        assert.isAtMost(nodes[0]!.count(), 4)
      })
    )
  }
})

describe("two upstreams, both down", () => {
  it.live("an error names both, after six requests at most; back up, the next call succeeds", () =>
    Effect.gen(function* () {
      const { client, nodes, sent } = yield* over([Scenario.status(503), Scenario.refuse])
      const error = yield* rejected(() => client.getBlockNumber({ cacheTime: 0 }))
      assert.instanceOf(error, HttpRequestError)
      for (const { port } of nodes) assert.include(error.message, `127.0.0.1:${port}`)
      assert.isAtMost(sent(), 6)
      for (const node of nodes) yield* node.play(Scenario.healthy)
      assert.strictEqual(yield* Effect.promise(() => client.getBlockNumber({ cacheTime: 0 })), 1000n)
    })
  )
})

describe("errors arrive as viem's own", () => {
  const single = (scenario: Scenario.Scenario) => over([scenario], { retry: false })

  it.live("JSON-RPC codes become viem's classes, with one request", () =>
    Effect.gen(function* () {
      const cases = [
        [Scenario.error(-32602, "invalid params"), InvalidParamsRpcError],
        [Scenario.error(-32601, "the method eth_foo does not exist"), MethodNotFoundRpcError],
        [Scenario.error(-32005, "rate limit exceeded"), LimitExceededRpcError]
      ] as const
      for (const [scenario, expected] of cases) {
        const { client, sent } = yield* single(Scenario.when({ method: "eth_getBalance" }, scenario))
        const error = yield* rejected(() => client.getBalance({ address }))
        assert.isDefined(
          error.walk((cause) => cause instanceof expected),
          `${expected.name}: ${error.message}`
        )
        assert.isAtMost(sent(), 2)
      }
    })
  )

  it.live("a method that is not there is so, although another node is down", () =>
    Effect.gen(function* () {
      const { client } = yield* over([Scenario.refuse, Scenario.healthy], { retry: false })
      const error = yield* rejected(() => client.request({ method: "eth_hawser" } as never))
      assert.instanceOf(error, MethodNotFoundRpcError)
    })
  )

  it.live("a custom error decodes in readContract, after one request", () =>
    Effect.gen(function* () {
      const abi = parseAbi(["function pay() view returns (uint256)", "error Short(uint256 missing)"])
      const data = encodeErrorResult({ abi, errorName: "Short", args: [7n] })
      const { client, nodes } = yield* over([
        Scenario.when({ method: "eth_call" }, Scenario.error(3, "execution reverted", { data })),
        Scenario.when({ method: "eth_call" }, Scenario.error(3, "execution reverted", { data }))
      ])
      const error = yield* rejected(() => client.readContract({ abi, address, functionName: "pay" }))
      const revert = error.walk((cause) => cause instanceof ContractFunctionRevertedError)
      assert.deepInclude((revert as ContractFunctionRevertedError).data, { errorName: "Short", args: [7n] })
      assert.strictEqual(nodes[0]!.count("eth_call") + nodes[1]!.count("eth_call"), 1)
    })
  )

  it.live("HTTP failures and dead connections are HttpRequestError", () =>
    Effect.gen(function* () {
      for (const scenario of [Scenario.status(500), Scenario.drop, Scenario.refuse, Scenario.truncated]) {
        const { client } = yield* single(scenario)
        const error = yield* rejected(() => client.getBlockNumber({ cacheTime: 0 }))
        assert.instanceOf(error, HttpRequestError)
        assert.instanceOf(error.cause, Call.NoAnswer)
      }
    })
  )

  it.live("no answer in time is a TimeoutError", () =>
    Effect.gen(function* () {
      const attempt = yield* over([Scenario.hang], { timeout: "50 millis", retry: false, hedge: false })
      assert.instanceOf(yield* rejected(() => attempt.client.getBlockNumber({ cacheTime: 0 })), TimeoutError)
      const call = yield* over([Scenario.hang], { deadline: "50 millis" })
      assert.instanceOf(yield* rejected(() => call.client.getBlockNumber({ cacheTime: 0 })), TimeoutError)
    })
  )

  it.live("never show a URL's path or query", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ path: "/v3/s3cretKey?key=an0ther", scenario: Scenario.status(401) })
      const transport = hawser([node.url], { retry: false })
      const client = createPublicClient({ chain: mainnet, transport })
      const error = yield* rejected(() => client.getBlockNumber({ cacheTime: 0 }))
      for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
        const said = JSON.stringify([cause, cause.message, cause.stack])
        assert.notMatch(said, /s3cretKey|an0ther/)
      }
      yield* Effect.promise(() => client.transport.close())
    })
  )
})

describe("signal", () => {
  it.live("aborting rejects with the reason and closes the socket", () =>
    Effect.gen(function* () {
      const { client, nodes } = yield* over([Scenario.hang])
      const controller = new AbortController()
      const promise = client.request({ method: "eth_blockNumber" }, { signal: controller.signal })
      yield* nodes[0]!.until((node) => node.requests.length === 1)
      controller.abort()
      const error = yield* rejected(() => promise)
      assert.strictEqual(error.name, "AbortError")
      yield* nodes[0]!.until(({ connections }) => connections.open === 0)
    })
  )
})

describe("instances", () => {
  it.live("one pool for a transport and a chain, however often viem instantiates it", () =>
    Effect.gen(function* () {
      const { nodes, transport } = yield* over([Scenario.healthy])
      for (let i = 0; i < 20; i++) {
        const client = createPublicClient({ chain: mainnet, transport })
        yield* Effect.promise(() => client.getBlockNumber({ cacheTime: 0 }))
      }
      assert.isAtMost(nodes[0]!.connections.total, 2)
      assert.strictEqual(nodes[0]!.count("eth_chainId"), 1)
    })
  )

  it.live("the client's chain is the chain that upstreams must be of", () =>
    Effect.gen(function* () {
      const { nodes, transport } = yield* over([Scenario.healthy])
      const client = createPublicClient({ chain: polygon, transport })
      const error = yield* rejected(() => client.getBlockNumber({ cacheTime: 0 }))
      assert.include(error.message, "is of chain 1, not 137")
      assert.strictEqual(nodes[0]!.count("eth_blockNumber"), 1)
      yield* Effect.promise(() => client.transport.close())
    })
  )

  it.live("nests in viem's fallback", () =>
    Effect.gen(function* () {
      const { nodes, transport } = yield* over([Scenario.status(500)], { retry: false })
      const backup = yield* FaultyNode.make()
      const client = createPublicClient({ chain: mainnet, transport: fallback([transport, http(backup.url)]) })
      for (let i = 0; i < 3; i++) {
        assert.strictEqual(yield* Effect.promise(() => client.getBlockNumber({ cacheTime: 0 })), 1000n)
      }
      assert.isAtMost(nodes[0]!.count(), 3)
    })
  )

  it.live("also takes one URL, a layer, a client, or a provider that is shared", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const provider = Provider.make({ upstreams: [node.url] })
      const client: JsonRpc.Service<never> = {
        name: "fixed",
        request: () => Effect.succeed("0x3e8"),
        inspect: () => ({ name: "fixed" })
      }
      for (const transport of [
        hawser(node.url),
        hawser(Stack.layer({ upstreams: [node.url] })),
        hawser(client),
        hawser(provider)
      ]) {
        const client = createPublicClient({ transport })
        assert.strictEqual(yield* Effect.promise(() => client.getBlockNumber({ cacheTime: 0 })), 1000n)
        yield* Effect.promise(() => client.transport.close())
      }
    })
  )

  it.live("shows its upstreams as client.transport.status()", () =>
    Effect.gen(function* () {
      const { client, nodes } = yield* over([Scenario.healthy])
      yield* Effect.promise(() => client.getBlockNumber({ cacheTime: 0 }))
      const [upstream] = client.transport.status().upstreams
      assert.deepInclude(upstream, { name: `127.0.0.1:${nodes[0]!.port}` })
      assert.strictEqual(upstream!.breaker!.state, "closed")
      assert.deepInclude(upstream!.chain, { expected: 1, verified: true })
    })
  )
})

describe("types", () => {
  it("is a transport wherever viem takes one", () => {
    const transport = hawser(["http://127.0.0.1:1"])
    expectTypeOf(transport).toEqualTypeOf<HawserTransport>()
    expectTypeOf(transport).toExtend<Transport>()
    const client = createPublicClient({ chain: mainnet, transport })
    expectTypeOf(client).toExtend<PublicClient>()
    expectTypeOf(client.transport.status).toEqualTypeOf<() => Stack.Status>()
    createWalletClient({ chain: mainnet, transport })
    fallback([transport, http(), custom({ request: () => Promise.resolve("0x1") })])
  })

  it("options are checked at construction", () => {
    assert.throws(() => hawser([]), /Stack\.upstreams takes a list of at least one/)
    assert.throws(() => hawser(["eth.example"]), /Stack\.upstreams\[0\] takes an http:, https:, ws: or wss: URL/)
    assert.throws(() => hawser(["http://a"], { retryCount: 3 } as never), /Stack\.retryCount takes no value/)
  })
})
