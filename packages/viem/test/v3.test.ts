import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { hawser, type HawserTransport, type Options } from "@hawser/viem/v3"
import { Effect } from "effect"
import { Call } from "hawser"
import { Actions, Client, ContractError, type Errors, fallback, http, Transport } from "viem3"
import { mainnet, polygon } from "viem3/chains"
import { Abi, AbiError, RpcResponse } from "viem3/utils"
import { expectTypeOf } from "vitest"

const over = (scenarios: ReadonlyArray<Scenario.Scenario>, options: Options = {}) =>
  Effect.gen(function* () {
    const nodes = yield* Effect.forEach(scenarios, (scenario) => FaultyNode.make({ scenario }))
    const transport = hawser(
      nodes.map(({ url }) => url),
      options
    )
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => Client.create({ chain: mainnet, transport })),
      (client) => Effect.promise(() => client.transport.close())
    )
    return { client, nodes, transport, sent: () => nodes.reduce((sum, node) => sum + node.count(), 0) }
  })

const rejected = (promise: () => Promise<unknown>) =>
  Effect.promise(() =>
    promise().then(
      (value) => assert.fail(`resolved with ${String(value)}`),
      (error: unknown) => error as Errors.BaseError
    )
  )

const head = (client: Client.Client) =>
  Effect.promise(() => Actions.block.getNumber(client, { cacheTime: 0 }).then(Number))

/** Every error of a chain of causes. */
const causes = (error: unknown): ReadonlyArray<unknown> =>
  error instanceof Error ? [error, ...causes(error.cause)] : []

describe("two upstreams, of which one is useless", () => {
  for (const [name, scenario] of Object.entries(Scenario.useless)) {
    it.live(`${name}: the right answer comes`, () =>
      Effect.gen(function* () {
        const { client } = yield* over([scenario, Scenario.healthy])
        for (let i = 0; i < 4; i++) assert.strictEqual(yield* head(client), 1000)
      })
    )
  }
})

describe("errors arrive as viem's own", () => {
  const single = (scenario: Scenario.Scenario) => over([scenario], { retry: false })

  it.live("JSON-RPC codes become its classes, with one request", () =>
    Effect.gen(function* () {
      const cases = [
        [Scenario.error(-32602, "invalid params"), RpcResponse.InvalidParamsError],
        [Scenario.error(-32601, "the method eth_foo does not exist"), RpcResponse.MethodNotFoundError],
        [Scenario.error(-32005, "rate limit exceeded"), RpcResponse.LimitExceededError]
      ] as const
      for (const [scenario, expected] of cases) {
        const { client, nodes } = yield* single(Scenario.when({ method: "eth_getBalance" }, scenario))
        const error = yield* rejected(() =>
          client.request({ method: "eth_getBalance", params: ["0x00000000000000000000000000000000000000aa", "latest"] })
        )
        assert.isTrue(
          causes(error).some((cause) => cause instanceof expected),
          `${expected.name}: ${error.message}`
        )
        assert.strictEqual(nodes[0]!.count("eth_getBalance"), 1)
      }
    })
  )

  it.live("a custom error decodes, after one request", () =>
    Effect.gen(function* () {
      const abi = Abi.from(["function pay() view returns (uint256)", "error Short(uint256 missing)"])
      const data = AbiError.encode(AbiError.from("error Short(uint256 missing)"), [7n])
      const { client, nodes } = yield* single(
        Scenario.when({ method: "eth_call" }, Scenario.error(3, "execution reverted", { data }))
      )
      const error = yield* rejected(() =>
        Actions.contract.read(client, {
          abi,
          address: "0x00000000000000000000000000000000000000aa",
          functionName: "pay"
        })
      )
      const revert = causes(error).find((cause) => cause instanceof ContractError.ContractFunctionRevertedError)
      assert.deepInclude((revert as ContractError.ContractFunctionRevertedError).data, { name: "Short", args: [7n] })
      assert.strictEqual(nodes[0]!.count("eth_call"), 1)
    })
  )

  it.live("HTTP failures and dead connections are HttpError, no answer in time is TimeoutError", () =>
    Effect.gen(function* () {
      for (const scenario of [Scenario.status(500), Scenario.drop, Scenario.refuse, Scenario.truncated]) {
        const { client } = yield* single(scenario)
        const error = yield* rejected(() => client.request({ method: "eth_blockNumber" }))
        assert.instanceOf(error, Transport.HttpError)
        assert.instanceOf(error.cause, Call.NoAnswer)
      }
      const { client } = yield* over([Scenario.hang], { deadline: "50 millis" })
      assert.instanceOf(yield* rejected(() => client.request({ method: "eth_blockNumber" })), Transport.TimeoutError)
    })
  )
})

describe("instances", () => {
  it.live("one pool for a transport and a chain; the client's chain is the one that is meant", () =>
    Effect.gen(function* () {
      const { nodes, transport } = yield* over([Scenario.healthy], { retry: false })
      for (let i = 0; i < 5; i++) yield* head(Client.create({ chain: mainnet, transport }))
      assert.strictEqual(nodes[0]!.count("eth_chainId"), 1)
      const other = Client.create({ chain: polygon, transport })
      const error = yield* rejected(() => other.request({ method: "eth_blockNumber" }))
      assert.include(error.message, "is of chain 1, not 137")
      yield* Effect.promise(() => other.transport.close())
    })
  )

  it.live("nests in viem's fallback", () =>
    Effect.gen(function* () {
      const { transport } = yield* over([Scenario.status(500)], { retry: false })
      const backup = yield* FaultyNode.make()
      const client = Client.create({ chain: mainnet, transport: fallback([transport, http(backup.url)]) })
      assert.strictEqual(yield* head(client), 1000)
    })
  )

  it.live("aborting rejects and closes the socket", () =>
    Effect.gen(function* () {
      const { client, nodes } = yield* over([Scenario.hang])
      const controller = new AbortController()
      const promise = client.request({ method: "eth_blockNumber" }, { signal: controller.signal })
      yield* nodes[0]!.until((node) => node.requests.length === 1)
      controller.abort()
      assert.strictEqual((yield* rejected(() => promise)).name, "AbortError")
      yield* nodes[0]!.until(({ connections }) => connections.open === 0)
    })
  )
})

describe("types", () => {
  it("is a transport wherever viem 3 takes one", () => {
    const transport = hawser(["http://127.0.0.1:1"])
    expectTypeOf(transport).toEqualTypeOf<HawserTransport>()
    expectTypeOf(transport).toExtend<Transport.Transport>()
    fallback([transport, http()])
    assert.throws(() => hawser([]), /Stack\.upstreams takes a list of at least one/)
  })
})
