import { assert, describe, it } from "@effect/vitest"
import { HawserProvider, type Options } from "@hawser/ethers"
import { Anvil, FaultyNode, Scenario } from "@hawser/testkit"
import { Effect, Fiber } from "effect"
import { Contract, id, Interface, isError, JsonRpcApiProvider, JsonRpcSigner } from "ethers"
import { Call, Provider } from "hawser"
import { errorOf, failed, providerOf, to, wallet } from "./support/providers.ts"

/** A provider over faulty nodes. */
const over = (scenarios: ReadonlyArray<Scenario.Scenario>, options?: Options) =>
  Effect.gen(function* () {
    const nodes = yield* Effect.forEach(scenarios, (scenario) => FaultyNode.make({ scenario }))
    const provider = yield* providerOf(
      nodes.map(({ url }) => url),
      1,
      options
    )
    return { nodes, provider, sent: () => nodes.reduce((sum, node) => sum + node.count(), 0) }
  })

describe("two upstreams, of which one is useless", () => {
  for (const [name, scenario] of Object.entries(Scenario.useless)) {
    it.live(`${name}: the right answer comes, and the other is soon left alone`, () =>
      Effect.gen(function* () {
        const { nodes, provider } = yield* over([scenario, Scenario.healthy])
        for (let i = 0; i < 12; i++) {
          assert.strictEqual(yield* Effect.promise(() => provider.getBlockNumber()), 1000)
        }
        assert.isAtMost(nodes[0]!.count(), 4)
      })
    )
  }
})

describe("two upstreams, both down", () => {
  it.live("an error names both, after six requests at most; back up, the next call succeeds", () =>
    Effect.gen(function* () {
      const { nodes, provider, sent } = yield* over([Scenario.status(503), Scenario.refuse])
      const error = yield* errorOf(() => provider.getBlockNumber())
      assert.isTrue(isError(error, "SERVER_ERROR"))
      for (const { port } of nodes) assert.include(error.message, `127.0.0.1:${port}`)
      assert.isAtMost(sent(), 6)
      for (const node of nodes) yield* node.play(Scenario.healthy)
      assert.strictEqual(yield* Effect.promise(() => provider.getBlockNumber()), 1000)
    })
  )
})

describe("errors arrive as ethers' own", () => {
  it.live("a revert is a CALL_EXCEPTION with its reason, after one request", () =>
    Effect.gen(function* () {
      // Error("no")
      const data =
        "0x08c379a0000000000000000000000000000000000000000000000000000000000000002000000000000000000000000000000000000000000000000000000000000000026e6f000000000000000000000000000000000000000000000000000000000000"
      const { nodes, provider } = yield* over([
        Scenario.when({ method: "eth_call" }, Scenario.error(3, "execution reverted: no", { data }))
      ])
      const error = yield* errorOf(() => provider.call({ to }))
      assert.isTrue(isError(error, "CALL_EXCEPTION") && error.reason === "no" && error.data === data)
      assert.strictEqual(nodes[0]!.count("eth_call"), 1)
    })
  )

  it.live("a custom error decodes in a Contract", () =>
    Effect.gen(function* () {
      const face = new Interface(["function pay() view returns (uint256)", "error Short(uint256 missing)"])
      const data = face.encodeErrorResult("Short", [7n])
      const { provider } = yield* over([
        Scenario.when({ method: "eth_call" }, Scenario.error(3, "execution reverted", { data }))
      ])
      const contract = new Contract(to, face, provider)
      const error = yield* errorOf(() => contract.getFunction("pay").staticCall() as Promise<unknown>)
      assert.isTrue(isError(error, "CALL_EXCEPTION"))
      assert.deepInclude((error as { readonly revert?: object }).revert, { name: "Short", signature: "Short(uint256)" })
    })
  )

  it.live("an infrastructure failure is never one", () =>
    Effect.gen(function* () {
      const cases = [
        [Scenario.error(-32005, "rate limit exceeded"), "SERVER_ERROR"],
        [Scenario.error(-32603, "Internal error"), "SERVER_ERROR"],
        [Scenario.error(-32000, "header not found"), "SERVER_ERROR"],
        [Scenario.status(429, { retryAfter: "1 hour" }), "SERVER_ERROR"],
        [Scenario.status(500), "SERVER_ERROR"],
        [Scenario.drop, "SERVER_ERROR"],
        [Scenario.refuse, "SERVER_ERROR"],
        [Scenario.wrongChain(5), "NETWORK_ERROR"],
        [Scenario.hang, "TIMEOUT"]
      ] as const
      for (const [scenario, code] of cases) {
        const timeout = scenario === Scenario.hang ? "50 millis" : "1 minute"
        const { provider } = yield* over([scenario], { retry: false, timeout, deadline: false, hedge: false })
        const error = yield* errorOf(() => provider.call({ to }))
        assert.isTrue(isError(error, code), `${JSON.stringify(scenario)}: ${error.code} ${error.message}`)
        assert.instanceOf(error.cause, Call.NoAnswer)
      }
    })
  )

  it.live("a method that no upstream knows is an UNSUPPORTED_OPERATION", () =>
    Effect.gen(function* () {
      for (const other of [Scenario.healthy, Scenario.refuse]) {
        const { provider } = yield* over([other, Scenario.healthy], { retry: false })
        const error = yield* errorOf(() => provider.send("eth_hawser", []))
        assert.isTrue(isError(error, "UNSUPPORTED_OPERATION"), error.message)
      }
    })
  )

  it.live("so is a call that no upstream takes, which is no CALL_EXCEPTION", () =>
    Effect.gen(function* () {
      const scenario = Scenario.when({ method: "eth_estimateGas" }, Scenario.error(-32601, "Method not found"))
      const { provider } = yield* over([scenario, scenario], { retry: false })
      assert.isTrue(isError(yield* errorOf(() => provider.estimateGas({ to })), "UNSUPPORTED_OPERATION"))
    })
  )

  it.live("a spent nonce is NONCE_EXPIRED", () =>
    Effect.gen(function* () {
      const { nodes, provider } = yield* over([
        Scenario.when({ method: "eth_sendRawTransaction" }, Scenario.error(-32000, "nonce too low"))
      ])
      const error = yield* errorOf(() => provider.send("eth_sendRawTransaction", ["0x00"]))
      assert.isTrue(isError(error, "NONCE_EXPIRED"), error.message)
      assert.strictEqual(nodes[0]!.count("eth_sendRawTransaction"), 1)
    })
  )

  it.live("never show a URL's path or query", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ path: "/v3/s3cretKey?key=an0ther", scenario: Scenario.status(401) })
      const provider = new HawserProvider([node.url], 1, { retry: false })
      const error = yield* errorOf(() => provider.getBlockNumber())
      for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
        assert.notMatch(JSON.stringify([cause, cause.message, cause.stack]), /s3cretKey|an0ther/)
      }
      provider.destroy()
    })
  )
})

describe("the network", () => {
  it.live("when given, is never asked for by ethers, only verified once by each upstream", () =>
    Effect.gen(function* () {
      const { nodes, provider } = yield* over([Scenario.healthy])
      for (let i = 0; i < 5; i++) yield* Effect.promise(() => provider.getBalance(to))
      assert.strictEqual((yield* Effect.promise(() => provider.getNetwork())).chainId, 1n)
      assert.strictEqual(nodes[0]!.count("eth_chainId"), 1)
    })
  )

  it.live("when not given, is asked for when needed, without a start-up loop", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.first(2, Scenario.status(500)) })
      const provider = new HawserProvider([node.url], undefined, { retry: false })
      assert.strictEqual(node.count(), 0)
      yield* errorOf(() => provider.getNetwork())
      yield* errorOf(() => provider.getNetwork())
      assert.strictEqual((yield* Effect.promise(() => provider.getNetwork())).chainId, 1n)
      assert.strictEqual(yield* Effect.promise(() => provider.getBlockNumber()), 1000)
      provider.destroy()
    })
  )

  it("a hundred providers cost no request and no timer", () => {
    const providers = Array.from({ length: 100 }, () => new HawserProvider(["http://127.0.0.1:1"], 1))
    for (const provider of providers) provider.destroy()
  })
})

describe("life", () => {
  it.live("destroy rejects what is pending and closes every socket", () =>
    Effect.gen(function* () {
      const { nodes, provider } = yield* over([Scenario.hang])
      const pending = provider.getBlockNumber()
      yield* nodes[0]!.until((node) => node.requests.length === 1)
      provider.destroy()
      assert.isTrue(isError(yield* errorOf(() => pending), "UNSUPPORTED_OPERATION"))
      yield* nodes[0]!.until(({ connections }) => connections.open === 0)
      assert.isTrue(isError(yield* errorOf(() => provider.send("eth_chainId", [])), "UNSUPPORTED_OPERATION"))
    })
  )

  it.live("destroy rejects a signer that looks for what it has sent", () =>
    Effect.gen(function* () {
      const sent = id("sent")
      const node = yield* FaultyNode.make({
        methods: { eth_accounts: () => [to], eth_sendTransaction: () => sent, eth_getTransactionByHash: () => null }
      })
      const provider = new HawserProvider([node.url], 1)
      const signer = yield* Effect.promise(() => provider.getSigner(0))
      const pending = errorOf(() => signer.sendTransaction({ to, gasLimit: 21_000 }))
      const fiber = yield* Effect.forkChild(pending)
      yield* node.until((node) => node.count("eth_getTransactionByHash") === 1)
      // Until it has heard that, and waits to look again.
      yield* Effect.promise(() => provider.getBlockNumber())
      provider.destroy()
      const error = yield* Fiber.join(fiber)
      assert.isTrue(isError(error, "UNSUPPORTED_OPERATION"))
      assert.deepStrictEqual(error.info, { sendTransactionHash: sent })
      assert.strictEqual(node.count("eth_getTransactionByHash"), 1)
    })
  )

  it.live("a shared provider stays open", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const shared = Provider.make({ upstreams: [node.url] })
      const provider = new HawserProvider(shared, 1)
      assert.strictEqual(yield* Effect.promise(() => provider.getBlockNumber()), 1000)
      provider.destroy()
      assert.strictEqual(yield* Effect.promise(() => shared.request({ method: "eth_blockNumber" })), "0x3e8")
      yield* Effect.promise(() => shared.close())
    })
  )
})

describe("it is a provider", () => {
  it.live("with signers, blocks, and _send on the same path", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ methods: { eth_accounts: () => [to] } })
      const provider = new HawserProvider(node.url, 1)
      assert.isTrue(provider instanceof JsonRpcApiProvider)
      assert.instanceOf(yield* Effect.promise(() => provider.getSigner(0)), JsonRpcSigner)
      assert.strictEqual((yield* Effect.promise(() => provider.getBlock("latest")))!.number, 1000)
      const payloads = ["eth_chainId", "eth_nonsense"].map((method, id) => ({
        id,
        method,
        params: [],
        jsonrpc: "2.0" as const
      }))
      const answers = yield* Effect.promise(() => provider._send(payloads))
      assert.deepInclude(answers[0], { id: 0, result: "0x1" })
      assert.strictEqual((answers[1] as { readonly error: { readonly code: number } }).error.code, -32601)
      assert.strictEqual(provider.status().upstreams.length, 1)
      provider.destroy()
    })
  )

  it("options are checked at construction", () => {
    for (const source of [undefined, null, 5, {}]) {
      assert.throws(
        () => new HawserProvider(source as never, 1),
        /^HawserProvider\.source takes a URL, a list of them, a/
      )
    }
    assert.throws(() => new HawserProvider([], 1), /Stack\.upstreams takes a list of at least one/)
    assert.throws(
      () => new HawserProvider(["http://a"], 1, { batchMaxCount: 3 } as never),
      /Stack\.batchMaxCount takes no value/
    )
  })
})

describe.skipIf(Anvil.binary === undefined)("over anvil", () => {
  it.live("destroy rejects whoever waits for a transaction, and tells no other listener", () =>
    Effect.gen(function* () {
      const anvil = yield* Anvil.make()
      yield* anvil.rpc("evm_setAutomine", [false])
      const provider = new HawserProvider([anvil.url], 31_337, { pollingInterval: 10 })
      const signer = wallet.connect(provider)
      const contract = new Contract(to, ["function ping()"], signer)
      const plain = yield* Effect.promise(() => signer.sendTransaction({ to, gasLimit: 21_000, nonce: 0 }))
      const called = yield* Effect.promise(() => contract.getFunction("ping")({ gasLimit: 50_000, nonce: 1 }))
      const found = yield* Effect.promise(() => provider.getTransaction(plain.hash))
      const told: Array<unknown> = []
      yield* Effect.promise(() => provider.on(plain.hash, (receipt) => void told.push(receipt)))
      const waits = [plain.wait(), plain.wait(3), called.wait(), found!.wait(), provider.waitForTransaction(plain.hash)]
      const errors = waits.map(failed)
      while ((yield* Effect.promise(() => provider.listenerCount(plain.hash))) < 5) yield* Effect.sleep("1 millis")
      while ((yield* Effect.promise(() => provider.listenerCount(called.hash))) < 1) yield* Effect.sleep("1 millis")
      provider.destroy()
      for (const error of errors) assert.isTrue(isError(yield* Effect.promise(() => error), "UNSUPPORTED_OPERATION"))
      assert.deepStrictEqual(told, [])
      assert.isTrue(isError(yield* errorOf(() => called.wait()), "UNSUPPORTED_OPERATION"))
    })
  )
})
