// What viem's own tests hold its transports to, for ours.
import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { hawser, type Options } from "@hawser/viem"
import { Effect } from "effect"
import { Provider } from "hawser"
import {
  BaseError,
  ContractFunctionExecutionError,
  ContractFunctionRevertedError,
  createClient,
  createPublicClient,
  encodeErrorResult,
  fallback,
  type Hex,
  http,
  parseAbi,
  type Transport
} from "viem"
import { mainnet } from "viem/chains"

const nodeOf = (scenario: Scenario.Scenario = Scenario.healthy) => FaultyNode.make({ scenario })

/** A transport as viem instantiates it, closed with the scope. */
const instance = (node: FaultyNode.FaultyNode, options?: Options) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const { config, request, value } = hawser(node.url, options)({ chain: mainnet })
      return { config, request, value: value! }
    }),
    ({ value }) => Effect.promise(() => value.close())
  )

const errorOf = (promise: () => Promise<unknown>) =>
  Effect.promise(() =>
    promise().then(
      (value) => assert.fail(`resolved with ${String(value)}`),
      (error: unknown) => error as BaseError & { readonly code?: number }
    )
  )

const blockNumber = { method: "eth_blockNumber" } as const

const address = "0x00000000000000000000000000000000000000aa"

describe("an instance", () => {
  it("has what createTransport gives one, without viem's retries", () => {
    const { config, request, value } = hawser("http://127.0.0.1:1")({})
    const { request: _, ...rest } = config
    assert.deepStrictEqual(rest, {
      key: "hawser",
      methods: undefined,
      name: "Hawser",
      retryCount: 0,
      retryDelay: 150,
      timeout: 10_000,
      type: "hawser"
    })
    assert.isFunction(request)
    assert.hasAllKeys(value!, ["close", "on", "status", "subscribe"])
  })

  it("is named as asked", () => {
    const { config } = hawser("http://127.0.0.1:1", { key: "mine", name: "My nodes" })({})
    assert.deepInclude(config, { key: "mine", name: "My nodes" })
    const client = createClient({ transport: hawser("http://127.0.0.1:1", { key: "mine" }) })
    assert.deepInclude(client.transport, { key: "mine", name: "Hawser", type: "hawser", retryCount: 0 })
  })

  it("has the deadline for its timeout", () => {
    const timeout = (deadline: Options["deadline"]) => hawser("http://127.0.0.1:1", { deadline })({}).config.timeout
    assert.strictEqual(timeout("3 seconds"), 3_000)
    assert.strictEqual(timeout(500), 500)
    assert.strictEqual(timeout(false), undefined)
    assert.strictEqual(
      timeout(() => "1 hour"),
      10_000
    )
  })

  it("is of type webSocket where watchers can subscribe", () => {
    const type = (url: string | ReadonlyArray<string>, options?: Options) => hawser(url, options)({}).config.type
    assert.strictEqual(type("ws://127.0.0.1:1"), "webSocket")
    assert.strictEqual(type(["http://127.0.0.1:1", "wss://127.0.0.1:1"]), "webSocket")
    assert.strictEqual(type("http://127.0.0.1:1", { push: true }), "webSocket")
    assert.strictEqual(type("ws://127.0.0.1:1", { push: false }), "hawser")
  })

  it("has an identity of its own, so that calls are not mixed up", () => {
    const transport = hawser("http://127.0.0.1:1")
    const clients = [createClient({ transport }), createClient({ transport })]
    assert.notStrictEqual(clients[0]!.uid, clients[1]!.uid)
    assert.notStrictEqual(transport({}).request, transport({}).request)
  })
})

describe("a request", () => {
  it.live("retryCount: 0 leaves ours, more multiplies them", () =>
    Effect.gen(function* () {
      for (const [retryCount, calls] of [
        [undefined, 1],
        [0, 1],
        [2, 3]
      ] as const) {
        const node = yield* nodeOf(Scenario.status(500))
        const { request } = yield* instance(node, { retry: false, breaker: false })
        const options = retryCount === undefined ? {} : { retryCount, retryDelay: 1 }
        yield* errorOf(() => request(blockNumber, options))
        assert.strictEqual(node.count("eth_blockNumber"), calls)
      }
    })
  )

  it.live("dedupe: the same is asked once", () =>
    Effect.gen(function* () {
      const node = yield* nodeOf()
      const { request } = yield* instance(node, { cache: false })
      const ask = (params: ReadonlyArray<unknown>, dedupe: boolean) =>
        request({ method: "eth_getBalance", params } as never, { dedupe })
      const other = "0x00000000000000000000000000000000000000bb"
      const answers = yield* Effect.promise(() =>
        Promise.all([
          ask([address, "latest"], true),
          ask([address, "latest"], true),
          ask([other, "latest"], true),
          ask([address, "latest"], true),
          ask([address, "latest"], false)
        ])
      )
      assert.strictEqual(node.count("eth_getBalance"), 3)
      assert.strictEqual(new Set([answers[0], answers[1], answers[3], answers[4]]).size, 1)
      assert.notStrictEqual(answers[2], answers[0])
    })
  )

  it.live("a signal that is aborted already: nothing is asked, nobody is joined", () =>
    Effect.gen(function* () {
      const node = yield* nodeOf(Scenario.hang)
      const { request, value } = yield* instance(node)
      const under = request(blockNumber, { dedupe: true }).catch((error: unknown) => error)
      yield* node.until((node) => node.requests.length === 1)
      const reason = new Error("enough")
      const signal = AbortSignal.abort(reason)
      assert.strictEqual(yield* errorOf(() => request(blockNumber, { dedupe: true, signal })), reason as never)
      assert.strictEqual(node.count(), 1)
      yield* Effect.promise(() => value.close())
      yield* Effect.promise(() => under)
    })
  )

  it.live("a signal's reason is the error", () =>
    Effect.gen(function* () {
      const node = yield* nodeOf(Scenario.hang)
      const { request } = yield* instance(node)
      const controller = new AbortController()
      const asked = request(blockNumber, { signal: controller.signal })
      yield* node.until((node) => node.requests.length === 1)
      const reason = new Error("enough")
      controller.abort(reason)
      assert.strictEqual(yield* errorOf(() => asked), reason as never)
    })
  )

  it.live("after close is an HttpRequestError that says so", () =>
    Effect.gen(function* () {
      const node = yield* nodeOf()
      const { request, value } = yield* instance(node)
      yield* Effect.promise(() => value.close())
      const error = yield* errorOf(() => request(blockNumber))
      assert.strictEqual(error.name, "HttpRequestError")
      assert.include(error.message, "the provider is closed")
      assert.strictEqual(node.count(), 0)
    })
  )

  it.live("a provider that is shared outlives its transports", () =>
    Effect.gen(function* () {
      const node = yield* nodeOf()
      const provider = Provider.make({ upstreams: [node.url] })
      const client = createPublicClient({ chain: mainnet, transport: hawser(provider) })
      yield* Effect.promise(() => client.transport.close())
      assert.strictEqual(yield* Effect.promise(() => client.getBlockNumber()), 1000n)
      yield* Effect.promise(() => provider.close())
    })
  )
})

describe("errors", () => {
  // EIP-1474, EIP-1193, EIP-5792, CAIP-25, WalletConnect, and codes that nobody has defined.
  const codes = [
    [-32700, -32600, -32601, -32602, -32603, -32000, -32001, -32002, -32003, -32004, -32005, -32006],
    [4001, 4100, 4200, 4900, 4901, 4902],
    [5700, 5710, 5720, 5730, 5740, 5750, 5760],
    [5000, 7000],
    [1, 3, 429, -32007, -32016, -39000]
  ].flat()

  it.live("have the class of http() for every code, alone and on all nodes", () =>
    Effect.gen(function* () {
      for (const code of codes) {
        const scenario = Scenario.when({ method: "eth_accounts" }, Scenario.error(code, "words that nobody knows"))
        const nodes = yield* Effect.forEach([1, 2], () => nodeOf(scenario))
        const urls = nodes.map(({ url }) => url)
        const ask = (transport: Transport) =>
          errorOf(() => createClient({ chain: mainnet, transport }).request({ method: "eth_accounts" } as never))
        const bare = yield* ask(http(urls[0], { retryCount: 0 }))
        for (const upstreams of [urls.slice(1), urls]) {
          const transport = hawser(upstreams, { retry: false })
          const error = yield* ask(transport)
          assert.deepStrictEqual([error.name, error.code], [bare.name, bare.code], String(code))
          yield* Effect.promise(() => createClient({ chain: mainnet, transport }).transport.close())
        }
      }
    })
  )

  it.live("fallback goes on where it does for http(), and nowhere else", () =>
    Effect.gen(function* () {
      const backup = yield* FaultyNode.make({ methods: { eth_accounts: () => [] } })
      for (const [code, goesOn] of [
        [4001, false],
        [5000, false],
        [7000, false],
        [-32003, false],
        [-32601, true],
        [-32005, true],
        [-32603, true]
      ] as const) {
        const node = yield* nodeOf(Scenario.when({ method: "eth_accounts" }, Scenario.error(code, "words")))
        const transport = hawser(node.url, { retry: false })
        const client = createClient({ chain: mainnet, transport: fallback([transport, http(backup.url)]) })
        backup.clear()
        yield* Effect.promise(() =>
          client.request({ method: "eth_accounts" } as never, { retryCount: 0 }).catch(() => undefined)
        )
        assert.strictEqual(backup.count("eth_accounts"), goesOn ? 1 : 0, String(code))
      }
    })
  )

  const abi = parseAbi([
    "function pay(uint256) view returns (uint256)",
    "error Short(uint256 missing)",
    "error Error(string)"
  ])
  const custom = encodeErrorResult({ abi, errorName: "Short", args: [7n] })
  const text = encodeErrorResult({ abi, errorName: "Error", args: ["no: rate limit"] })

  const shapes: Readonly<Record<string, readonly [code: number, message: string, data: (revert: Hex) => unknown]>> = {
    geth: [3, "execution reverted", (revert) => revert],
    "geth, and a gateway": [-32000, "execution reverted", (revert) => revert],
    Erigon: [3, "execution reverted", (revert) => revert],
    Hardhat: [
      -32603,
      "Error: VM Exception while processing transaction: reverted with an unrecognized custom error",
      (data) => ({ message: "Error: VM Exception while processing transaction: reverted", txHash: "0x1", data })
    ],
    Besu: [-32000, "Execution reverted", (revert) => revert],
    "Besu 24": [3, "Execution reverted (7 missing)", (revert) => revert],
    Nethermind: [3, "execution reverted", (revert) => revert],
    "Nethermind before": [-32015, "VM execution error.", (revert) => `Reverted ${revert}`],
    Parity: [-32015, "VM execution error.", (revert) => `Reverted ${revert}`],
    Anvil: [3, "execution reverted: custom error 0xb5f17dae", (revert) => revert]
  }

  /** What an application sees of a revert. */
  const seen = (error: BaseError) => {
    const revert = error.walk((cause) => cause instanceof ContractFunctionRevertedError)
    const { data, reason, signature } = (revert ?? {}) as Partial<ContractFunctionRevertedError>
    return { outer: error.name, inner: revert?.name ?? (error.cause as Error).name, data, reason, signature }
  }

  for (const [name, [code, message, data]] of Object.entries(shapes)) {
    it.live(`a revert as ${name} sends it decodes as it does under http(), after one request`, () =>
      Effect.gen(function* () {
        for (const revert of [custom, text]) {
          const fault = Scenario.when({ method: "eth_call" }, Scenario.error(code, message, { data: data(revert) }))
          const nodes = yield* Effect.forEach([1, 2], () => nodeOf(fault))
          const read = (transport: Transport) =>
            errorOf(() =>
              createPublicClient({ chain: mainnet, transport }).readContract({
                abi,
                address,
                functionName: "pay",
                args: [1n]
              })
            )
          const bare = seen(yield* read(http(nodes[0]!.url, { retryCount: 0 })))
          for (const node of nodes) node.clear()
          const ours = yield* read(hawser(nodes.map(({ url }) => url)))
          assert.instanceOf(ours, ContractFunctionExecutionError)
          assert.deepStrictEqual(seen(ours), bare)
          assert.strictEqual(nodes[0]!.count("eth_call") + nodes[1]!.count("eth_call"), 1)
          if (code === 3) assert.strictEqual(bare.data?.args?.[0], revert === custom ? 7n : "no: rate limit")
        }
      })
    )
  }
})

describe("subscribe", () => {
  it.live("hears until it is unsubscribed", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const { subscribe, close } = hawser(node.wsUrl)({ chain: mainnet }).value!
      const numbers: Array<number> = []
      let heard = () => {}
      const { subscriptionId, unsubscribe } = yield* Effect.promise(() =>
        subscribe({
          params: ["newHeads"],
          onData: ({ result, subscription }) => {
            assert.strictEqual(subscription, subscriptionId)
            numbers.push(Number((result as { readonly number: string }).number))
            heard()
          }
        })
      )
      yield* node.until(({ subscriptions }) => subscriptions === 1)
      const first = Effect.promise(() => new Promise<void>((resolve) => void (heard = resolve)))
      node.mine()
      yield* first
      assert.deepStrictEqual(yield* Effect.promise(unsubscribe), { result: true })
      yield* node.until(({ subscriptions }) => subscriptions === 0)
      node.mine()
      assert.deepStrictEqual(numbers, [1001])
      yield* Effect.promise(close)
    })
  )

  it.live("to what there is not fails as viem's own", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const { subscribe, close } = hawser(node.wsUrl, { retry: false })({ chain: mainnet }).value!
      const error = yield* errorOf(() => subscribe({ params: ["lol"], onData: () => {} }))
      assert.instanceOf(error, BaseError)
      yield* Effect.promise(close)
    })
  )

  it.live("watchers of pending transactions hear their hashes", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const client = createPublicClient({ chain: mainnet, transport: hawser(node.wsUrl) })
      const heard = Effect.callback<ReadonlyArray<Hex>>((resume) => {
        const stop = client.watchPendingTransactions({ onTransactions: (hashes) => resume(Effect.succeed(hashes)) })
        return Effect.sync(stop)
      })
      const sent = Effect.andThen(
        node.until(({ subscriptions }) => subscriptions === 1),
        Effect.promise(() => client.request({ method: "eth_sendRawTransaction", params: ["0x01"] }))
      )
      const [hashes, hash] = yield* Effect.all([heard, sent], { concurrency: "unbounded" })
      assert.deepStrictEqual(hashes, [hash])
      yield* Effect.promise(() => client.transport.close())
    })
  )
})
