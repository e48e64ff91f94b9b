// What ethers' own tests hold its providers to, for ours.
import { assert, describe, it } from "@effect/vitest"
import { HawserProvider } from "@hawser/ethers"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect } from "effect"
import {
  AbiCoder,
  Contract,
  type EthersError,
  id,
  isError,
  type JsonRpcPayload,
  type JsonRpcProvider,
  Transaction
} from "ethers"
import { Provider } from "hawser"
import { bareOf, errorOf, failed, providerOf, to, wallet } from "./support/providers.ts"

/** A signed transaction, and how a node shows it. */
const signed = Effect.promise(async () => {
  const raw = await wallet.signTransaction({
    chainId: 1,
    nonce: 7,
    to,
    value: 1n,
    gasLimit: 21_000,
    gasPrice: 1n,
    type: 0
  })
  const transaction = Transaction.from(raw)
  const shown = {
    ...(transaction.toJSON() as object),
    ...transaction.signature!.toJSON(),
    hash: transaction.hash,
    from: wallet.address,
    blockNumber: null,
    blockHash: null
  }
  return { raw, hash: transaction.hash!, shown }
})

describe("signers of the node", () => {
  const other = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
  const accounts = { eth_accounts: () => [wallet.address, other] }

  it.live("by index, by address, all; none that is not there", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ methods: accounts })
      const provider = yield* providerOf(node.url)
      const addresses = yield* Effect.promise(async () => [
        await (await provider.getSigner()).getAddress(),
        await (await provider.getSigner(1)).getAddress(),
        await (await provider.getSigner(other.toLowerCase())).getAddress(),
        ...(await provider.listAccounts()).map(({ address }) => address)
      ])
      assert.deepStrictEqual(addresses, [wallet.address, other, other, wallet.address, other])
      assert.strictEqual((yield* errorOf(() => provider.getSigner(2))).message, "no such account")
      assert.strictEqual((yield* errorOf(() => provider.getSigner(to))).message, "invalid account")
    })
  )

  it.live("what they send is looked for until a node shows it whole", () =>
    Effect.gen(function* () {
      const { hash, shown } = yield* signed
      const { v: _, ...withoutV } = shown as { readonly v?: unknown }
      let asked = 0
      const node = yield* FaultyNode.make({
        methods: {
          ...accounts,
          eth_sendTransaction: () => hash,
          eth_getTransactionByHash: () => (++asked === 1 ? { ...withoutV, sig: null } : shown)
        }
      })
      const provider = yield* providerOf(node.url)
      const errors: Array<EthersError> = []
      yield* Effect.promise(() => provider.on("error", (error: EthersError) => errors.push(error)))
      const signer = yield* Effect.promise(() => provider.getSigner())
      const sent = yield* Effect.promise(() => signer.sendTransaction({ to, value: 1n, gasLimit: 21_000 }))
      assert.strictEqual(sent.hash, hash)
      assert.isTrue(isError(errors[0], "UNKNOWN_ERROR") && isError(errors[0].error, "INVALID_ARGUMENT"))
      assert.strictEqual(node.count("eth_sendTransaction"), 1)
    })
  )
})

describe("broadcastTransaction", () => {
  it.live("sends once and gives the transaction", () =>
    Effect.gen(function* () {
      const { hash, raw } = yield* signed
      const node = yield* FaultyNode.make()
      const provider = yield* providerOf(node.url)
      const sent = yield* Effect.promise(() => provider.broadcastTransaction(raw))
      assert.deepInclude(sent, {
        hash,
        nonce: 7,
        from: wallet.address,
        to: "0x00000000000000000000000000000000000000AA"
      })
      assert.strictEqual(node.count("eth_sendRawTransaction"), 1)
    })
  )

  it.live("has ethers' errors", () =>
    Effect.gen(function* () {
      const { raw } = yield* signed
      for (const [message, code] of [
        ["insufficient funds for gas * price + value", "INSUFFICIENT_FUNDS"],
        ["nonce too low", "NONCE_EXPIRED"],
        ["replacement transaction underpriced", "REPLACEMENT_UNDERPRICED"],
        ["only replay-protected (EIP-155) transactions allowed over RPC", "UNSUPPORTED_OPERATION"]
      ] as const) {
        const scenario = Scenario.when({ method: "eth_sendRawTransaction" }, Scenario.error(-32000, message))
        const node = yield* FaultyNode.make({ scenario })
        const provider = yield* providerOf(node.url)
        const error = yield* errorOf(() => provider.broadcastTransaction(raw))
        assert.strictEqual(error.code, code, message)
        assert.strictEqual(node.count("eth_sendRawTransaction"), 1)
      }
    })
  )

  it.live("believes no node that gives the hash of another", () =>
    Effect.gen(function* () {
      const { hash, raw } = yield* signed
      const node = yield* FaultyNode.make({ methods: { eth_sendRawTransaction: () => id("another") } })
      const provider = yield* providerOf(node.url, 1, { retry: false })
      const error = yield* errorOf(() => provider.broadcastTransaction(raw))
      assert.isTrue(isError(error, "SERVER_ERROR") && error.message.includes(hash), error.message)
    })
  )

  it.live("a user who says no is ACTION_REJECTED", () =>
    Effect.gen(function* () {
      const scenario = Scenario.when(
        { method: "personal_sign" },
        Scenario.error(4001, "User denied message signature.")
      )
      const node = yield* FaultyNode.make({ scenario, methods: { eth_accounts: () => [wallet.address] } })
      const provider = yield* providerOf(node.url, 1, { retry: false })
      const signer = yield* Effect.promise(() => provider.getSigner())
      const error = yield* errorOf(() => signer.signMessage("hello"))
      assert.isTrue(isError(error, "ACTION_REJECTED"), error.message)
    })
  )
})

describe("_send", () => {
  it.live("answers a batch in order, each under its id, errors included", () =>
    Effect.gen(function* () {
      const scenario = Scenario.when({ method: "eth_call" }, Scenario.error(3, "execution reverted", { data: "0x01" }))
      const node = yield* FaultyNode.make({ scenario })
      const provider = yield* providerOf(node.url)
      const payload = (id: number, method: string, params: Array<unknown> = []) => ({
        id,
        method,
        params,
        jsonrpc: "2.0" as const
      })
      const answers = yield* Effect.promise(() =>
        provider._send([
          payload(9, "eth_chainId"),
          payload(4, "eth_call", [{ to }, "latest"]),
          payload(7, "eth_nonsense"),
          payload(1, "eth_blockNumber")
        ])
      )
      assert.deepStrictEqual(
        answers.map((answer) => [answer.id, "result" in answer ? (answer.result as unknown) : answer.error.code]),
        [
          [9, "0x1"],
          [4, 3],
          [7, -32601],
          [1, "0x3e8"]
        ]
      )
      const [single] = yield* Effect.promise(() => provider._send(payload(3, "eth_chainId")))
      assert.deepStrictEqual(single, { id: 3, result: "0x1" })
    })
  )

  it.live("is what send goes through, for those who override it", () =>
    Effect.gen(function* () {
      class Counting extends HawserProvider {
        readonly sent: Array<unknown> = []

        override _send(payload: JsonRpcPayload | Array<JsonRpcPayload>) {
          this.sent.push(payload)
          return super._send(payload)
        }
      }
      const node = yield* FaultyNode.make()
      const provider = new Counting(node.url, 1)
      yield* Effect.promise(() => provider.getBlockNumber())
      yield* Effect.promise(() => provider.send("eth_gasPrice", []))
      assert.deepStrictEqual(provider.sent, [
        { id: 1, method: "eth_blockNumber", params: [], jsonrpc: "2.0" },
        { id: 2, method: "eth_gasPrice", params: [], jsonrpc: "2.0" }
      ])
      provider.destroy()
    })
  )

  it.live("throws when no node answers", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.status(500) })
      const provider = yield* providerOf(node.url, 1, { retry: false })
      const error = yield* errorOf(() =>
        provider._send({ id: 1, method: "eth_call", params: [{ to }, "latest"], jsonrpc: "2.0" })
      )
      assert.isTrue(isError(error, "SERVER_ERROR"))
    })
  )
})

describe("the network", () => {
  it.live("that is given is there at once and is not asked for", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ chainId: 137 })
      const provider = yield* providerOf(node.url, 137)
      assert.strictEqual(provider._network.chainId, 137n)
      assert.isTrue(provider.ready)
      const network = yield* Effect.promise(() => provider.getNetwork())
      assert.deepInclude(network, { name: "matic" })
      assert.strictEqual(node.count(), 0)
    })
  )

  it.live("is not mainnet where it is null", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ chainId: 137 })
      const provider = new HawserProvider(node.url, null as never)
      assert.strictEqual((yield* Effect.promise(() => provider.getNetwork())).chainId, 137n)
      provider.destroy()
    })
  )

  it.live("that is not given is there once it was asked for", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ chainId: 137 })
      const provider = yield* providerOf(node.url, "none")
      assert.throws(() => provider._network, /network is not available yet/)
      assert.strictEqual((yield* Effect.promise(() => provider.getNetwork())).chainId, 137n)
      assert.strictEqual((yield* Effect.promise(() => provider.getNetwork())).chainId, 137n)
      assert.strictEqual(provider._network.chainId, 137n)
      assert.isTrue(provider.ready)
      // Once for ethers, once for the check of the upstream.
      assert.isAtMost(node.count("eth_chainId"), 2)
    })
  )

  it.live("must be that of the nodes", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ chainId: 137 })
      const provider = yield* providerOf(node.url, 1, { retry: false })
      assert.isTrue(isError(yield* errorOf(() => provider.getBalance(to)), "NETWORK_ERROR"))
    })
  )
})

describe("destroy", () => {
  it.live("ends what waits, and refuses what comes after", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.hang })
      const provider = yield* providerOf(node.url)
      const asked = [provider.getBlockNumber(), provider.call({ to }), provider.waitForTransaction(id("none"))]
      const errors = asked.map(failed)
      yield* node.until((node) => node.requests.length >= 2)
      provider.destroy()
      assert.isTrue(provider.destroyed)
      for (const error of yield* Effect.promise(() => Promise.all(errors))) {
        assert.isTrue(isError(error, "UNSUPPORTED_OPERATION"), String(error))
      }
      for (const ask of [
        () => provider.getBlockNumber(),
        () => provider.waitForTransaction(id("none")),
        () => provider.waitForTransaction(id("none"), 0),
        () => provider._send({ id: 1, method: "eth_chainId", params: [], jsonrpc: "2.0" })
      ]) {
        assert.isTrue(isError(yield* errorOf(ask), "UNSUPPORTED_OPERATION"))
      }
      yield* node.until(({ connections }) => connections.open === 0)
      const sent = node.count()
      yield* Effect.promise(() => provider.on("block", () => {}))
      provider.destroy()
      assert.strictEqual(node.count(), sent)
    })
  )

  it.live("of one who shares a provider ends his requests, and nobody else's", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.hang })
      const shared = Provider.make({ upstreams: [node.url], hedge: false, cache: false })
      const [one, other] = [new HawserProvider(shared, 1), new HawserProvider(shared, 1)]
      const ended = failed(one.getBlockNumber())
      const goesOn = other.getBlockNumber()
      yield* node.until((node) => node.requests.length === 2)
      one.destroy()
      assert.isTrue(isError(yield* Effect.promise(() => ended), "UNSUPPORTED_OPERATION"))
      yield* node.until(({ aborted }) => aborted === 1)
      yield* node.play(Scenario.healthy)
      assert.strictEqual(yield* Effect.promise(() => other.getBlockNumber()), 1000)
      const settled = goesOn.catch(() => {})
      other.destroy()
      yield* Effect.promise(() => settled)
      yield* Effect.promise(() => shared.close())
    })
  )
})

describe("reverts decode as they do over JsonRpcProvider", () => {
  const coder = AbiCoder.defaultAbiCoder()
  const abi = ["function pay() view returns (uint256)", "error Short(uint256 missing)"]
  const contract = (provider: JsonRpcProvider | HawserProvider) => new Contract(to, abi, provider)
  const panic = (code: number) => `0x4e487b71${coder.encode(["uint256"], [code]).slice(2)}`
  const text = `0x08c379a0${coder.encode(["string"], ["no"]).slice(2)}`
  const custom = `${id("Short(uint256)").slice(0, 10)}${coder.encode(["uint256"], [7]).slice(2)}`

  const shapes: Readonly<Record<string, readonly [code: number, message: string, data: (revert: string) => unknown]>> =
    {
      geth: [3, "execution reverted", (revert) => revert],
      Hardhat: [
        -32603,
        "Error: VM Exception while processing transaction: reverted",
        (data) => ({ message: "Error: VM Exception while processing transaction: reverted", data })
      ],
      Besu: [-32000, "Execution reverted", (revert) => revert],
      Nethermind: [-32015, "VM execution error.", (revert) => `Reverted ${revert}`],
      Parity: [-32015, "VM execution error.", (revert) => `Reverted ${revert}`],
      Anvil: [3, "execution reverted: custom error", (revert) => revert]
    }

  const seen = ({ code, ...error }: EthersError) => {
    const { action, data, invocation, reason, revert, shortMessage } = error as unknown as Record<string, unknown>
    return { code, action, data, invocation, reason, revert, shortMessage }
  }

  for (const [name, [code, message, data]] of Object.entries(shapes)) {
    it.live(`from ${name}`, () =>
      Effect.gen(function* () {
        for (const revert of [custom, text, panic(1), panic(0x11), panic(0x12), panic(0x32), "0x"]) {
          const fault = Scenario.error(code, message, { data: data(revert) })
          const node = yield* FaultyNode.make({
            scenario: Scenario.when({ method: ["eth_call", "eth_estimateGas"] }, fault)
          })
          const provider = yield* providerOf(node.url)
          const bare = yield* bareOf(node.url)
          for (const ask of [
            (provider: JsonRpcProvider | HawserProvider) => contract(provider).getFunction("pay").staticCall(),
            (provider: JsonRpcProvider | HawserProvider) => provider.call({ to }),
            (provider: JsonRpcProvider | HawserProvider) => provider.estimateGas({ to })
          ]) {
            const ours = yield* errorOf(() => ask(provider) as Promise<unknown>)
            const theirs = yield* errorOf(() => ask(bare) as Promise<unknown>)
            assert.isTrue(isError(ours, "CALL_EXCEPTION"))
            assert.deepStrictEqual(seen(ours), seen(theirs))
          }
        }
      })
    )
  }
})
