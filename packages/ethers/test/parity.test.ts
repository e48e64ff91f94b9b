// What an application can see of ethers' own JsonRpcProvider, seen of ours: the same questions to both, over the same node.
import { assert, describe, it } from "@effect/vitest"
import { Anvil, FaultyNode, Scenario } from "@hawser/testkit"
import { Effect, type Scope } from "effect"
import {
  AbiCoder,
  type AbstractProvider,
  type AbstractProviderPlugin,
  id,
  Interface,
  type JsonRpcApiProvider,
  type Subscription,
  Wallet,
  ZeroHash
} from "ethers"
import { bareOf, providerOf, to, wallet } from "./support/providers.ts"
import { settled } from "./support/seen.ts"

type Asks = Readonly<Record<string, (provider: JsonRpcApiProvider) => unknown>>

/** Asks both, one question after the other. Answers how many of them ended in an error. */
const same = (url: string, asks: Asks, chainId = 1): Effect.Effect<number, never, Scope.Scope> =>
  Effect.gen(function* () {
    const ours = yield* providerOf(url, chainId, { retry: false, pollingInterval: 10 })
    const bare = yield* bareOf(url, chainId)
    let errors = 0
    for (const [question, ask] of Object.entries(asks)) {
      const theirs = yield* Effect.promise(() => settled(() => ask(bare)))
      const got = yield* Effect.promise(() => settled(() => ask(ours)))
      assert.deepStrictEqual(got, theirs, question)
      if ((theirs as { readonly error?: unknown }).error !== undefined) errors++
    }
    return errors
  })

const plugin = (): AbstractProviderPlugin => ({ name: "a plugin", connect: plugin })

const payload = (id: number, method: string, params: Array<unknown> = []) => ({
  id,
  method,
  params,
  jsonrpc: "2.0" as const
})

const state: Asks = {
  "what it is": (provider) => [
    provider.provider === provider,
    provider.destroyed,
    provider.pollingInterval,
    provider._getOption("polling"),
    provider._getOption("pollingInterval")
  ],
  "its network": async (provider) => [
    provider._network,
    await provider.getNetwork(),
    await provider._detectNetwork(),
    await provider.getBlockNumber(),
    await provider._waitUntilReady(),
    provider.ready
  ],
  paused: (provider) => {
    const states = [provider.paused]
    provider.pause()
    states.push(provider.paused)
    provider.resume()
    states.push(provider.paused)
    provider.paused = true
    states.push(provider.paused)
    provider.paused = false
    return [...states, provider.paused]
  },
  "paused in another way": (provider) => {
    provider.pause(true)
    try {
      provider.pause(false)
    } finally {
      provider.resume()
    }
  },
  plugins: (provider) => {
    const attached: unknown = provider.attachPlugin(plugin())
    return [attached === provider, provider.plugins, provider.getPlugin("a plugin"), provider.getPlugin("none")]
  },
  "a plugin again": (provider) => provider.attachPlugin(plugin()),
  "CCIP reads, disabled": (provider) => {
    const before = provider.disableCcipRead
    provider.disableCcipRead = true
    const after = provider.disableCcipRead
    provider.disableCcipRead = false
    return [before, after]
  },
  "a rate of requests": async (provider) => {
    provider._requestRate = 100
    const rate = provider._requestRate
    const head = await provider.getBlockNumber()
    provider._requestRate = null
    return [rate, head, provider._requestRate]
  },
  timers: (provider) =>
    new Promise((resolve) => {
      provider._clearTimeout(provider._setTimeout(() => resolve("cleared"), 0))
      provider._setTimeout(() => resolve("fired"), 1)
    }),
  subscribers: (provider) =>
    ["debug", "error", "network", "block", "safe", "finalized", "pending"].map((type) => {
      const subscriber = provider._getSubscriber({ type, tag: type } as Subscription)
      return (["start", "stop", "pause", "resume"] as const).map((method) => typeof subscriber[method])
    }),
  "no such subscriber": (provider) => provider._getSubscriber({ type: "none", tag: "none" } as never),
  listeners: async (provider) => {
    const told: Array<unknown> = []
    const listener = function (this: AbstractProvider, ...args: Array<unknown>) {
      told.push([this === provider, ...args])
    }
    const throwing = () => {
      throw new Error("thrown")
    }
    const chained: Array<unknown> = [await provider.on("error", listener), await provider.once("error", listener)]
    chained.push(await provider.addListener("error", throwing), await provider.on("network", listener))
    const given = async () => [
      await provider.listenerCount(),
      await provider.listenerCount("error"),
      await provider.listenerCount("debug"),
      (await provider.listeners("error")).map((heard) => heard === listener),
      (await provider.listeners()).length,
      await provider.listeners("debug")
    ]
    const counts = [await given()]
    const emitted = [
      await provider.emit("error", new Error("one")),
      await provider.emit("error", new Error("two")),
      await provider.emit("network", 1, 2),
      await provider.emit("debug", 3)
    ]
    counts.push(await given())
    chained.push(await provider.removeListener("error", listener))
    counts.push(await given())
    chained.push(await provider.off("error"), await provider.off("error", listener), await provider.off("debug"))
    counts.push(await given())
    chained.push(await provider.removeAllListeners("network"), await provider.removeAllListeners())
    return [told, emitted, counts, await given(), chained.every((it) => it === provider)]
  },
  "an event that is none": (provider) => provider.on("none", () => {}),
  another: (provider) => provider.on({ none: true } as never, () => {})
}

const asked: Asks = {
  _send: (provider) => provider._send(payload(9, "eth_chainId")),
  "_send, many": (provider) =>
    provider._send([payload(9, "eth_chainId"), payload(4, "eth_getBalance", ["nobody", "latest"])]),
  _perform: (provider) =>
    Promise.all([
      provider._perform({ method: "chainId" }),
      provider._perform({ method: "getGasPrice" }),
      provider._perform({ method: "getBalance", address: to, blockTag: "latest" }),
      provider._perform({ method: "getBlock", blockTag: "0x1", includeTransactions: true })
    ]),
  "_perform, what there is not": (provider) => provider._perform({ method: "none" } as never),
  "a request for a transaction": (provider) => [
    provider.getRpcTransaction({ to, value: 5n, type: 2, accessList: [], gasLimit: 5 }),
    provider.getRpcRequest({ method: "getStorage", address: to, position: 1n, blockTag: "latest" })
  ],
  "accounts of the node": async (provider) => [
    (await provider.listAccounts()).map(({ address }) => address),
    (await provider.getSigner()).address,
    (await provider.getSigner(1)).address,
    (await provider.getSigner(wallet.address)).address
  ],
  "no account of that index": (provider) => provider.getSigner(100),
  "no account of that address": (provider) => provider.getSigner(to),
  "no address": (provider) => provider.getSigner("nobody"),
  "signed by the node": async (provider) => {
    const signer = await provider.getSigner()
    const transaction = { to, value: 1n, gasLimit: 21_000, gasPrice: 10n ** 10n, nonce: 50, type: 0, chainId: 31_337 }
    return [
      await signer.signMessage("hawser"),
      await signer._legacySignMessage("hawser"),
      await signer.signTransaction(transaction),
      await signer.signTypedData({ name: "hawser" }, { It: [{ name: "x", type: "uint256" }] }, { x: 5n })
    ]
  },
  unlocked: async (provider) => (await provider.getSigner()).unlock("secret"),
  "a signer that is tied": async (provider) => (await provider.getSigner()).connect(null),
  blocks: (provider) => Promise.all([0, 1n, -1, "earliest", "safe", "finalized"].map((tag) => provider.getBlock(tag))),
  "blocks with transactions": async (provider) => {
    const block = (await provider.getBlock(1, true))!
    return [block, block.prefetchedTransactions, await block.getTransaction(0), block.getPrefetchedTransaction(0)]
  },
  "transactions that were not fetched": async (provider) => (await provider.getBlock(1))!.prefetchedTransactions,
  "no blocks": (provider) => Promise.all([provider.getBlock(99_999), provider.getBlock(id("none"))]),
  "no tag of a block": (provider) => provider.getBlock("none"),
  "an account": (provider) =>
    Promise.all([
      provider.getBalance(to, 0),
      provider.getBalance(to),
      provider.getStorage(to, 0),
      provider.getTransactionCount(wallet, "pending"),
      provider.getCode(to)
    ]),
  "a balance of the future": (provider) => provider.getBalance(to, 99_999),
  logs: async (provider) =>
    Promise.all([
      provider.getLogs({ fromBlock: 0, toBlock: "latest" }),
      provider.getLogs({ blockHash: (await provider.getBlock(1))!.hash! }),
      provider.getLogs({ fromBlock: 2, toBlock: 1 }),
      provider.getLogs({ address: [to, wallet.address], topics: [null, [id("a"), id("b")]], fromBlock: 0 }),
      provider.getLogs({ address: [], fromBlock: "earliest" })
    ]),
  "logs of a block and a range": (provider) => provider.getLogs({ blockHash: id("none"), fromBlock: 1 }),
  "names where there are none": (provider) => provider.resolveName("nobody.eth"),
  "a name of whoever it is": (provider) => provider.lookupAddress(to),
  "an address by name": (provider) => provider.getBalance("nobody.eth"),
  "an avatar": (provider) => provider.getAvatar("nobody.eth"),
  fees: (provider) => provider.getFeeData(),
  "no transaction": (provider) =>
    Promise.all([
      provider.getTransaction(id("none")),
      provider.getTransactionReceipt(id("none")),
      provider.waitForTransaction(id("none"), 0)
    ]),
  "a transaction of no hash": (provider) => provider.getTransaction("0x12"),
  "what a transaction gave": (provider) => provider.getTransactionResult(id("none")),
  "a block that is waited for": (provider) => provider.waitForBlock("latest"),
  "no transaction that could be sent": (provider) => provider.broadcastTransaction("0x1234"),
  "a call without funds": (provider) => provider.call({ to, from: to, value: 10n ** 30n }),
  "a call without gas": (provider) => provider.call({ to, gasLimit: 1_000 }),
  "a call of the past": (provider) => provider.call({ to, blockTag: 0, type: 1 }),
  "a call of the future": (provider) => provider.call({ to, blockTag: 99_999 }),
  "a method with too few params": (provider) => provider.send("eth_getBlockByNumber", ["latest"]),
  "a method that there is not": (provider) => provider.send("eth_none", [])
}

/** Transactions that the node does not take. */
const refused = (): Asks => {
  const transaction = { chainId: 31_337, nonce: 1, to, value: 1n, gasLimit: 21_000, gasPrice: 10n ** 10n, type: 0 }
  const send =
    (change: object, sender = wallet) =>
    async (provider: JsonRpcApiProvider) =>
      provider.broadcastTransaction(await sender.signTransaction({ ...transaction, ...change }))
  return {
    "no funds": send({ nonce: 0 }, new Wallet(id("poor"))),
    "a spent nonce": send({ nonce: 0 }),
    "too little gas": send({ gasLimit: 2_000 }),
    "more gas than a block has": send({ gasLimit: 10n ** 12n }),
    "less than the base fee": send({ gasPrice: 1n })
  }
}

/** What the EVM halts at, by creating a contract. */
const halts = Object.fromEntries(
  Object.entries({
    "an empty stack": "0x50",
    "a jump to nowhere": "0x600056",
    "an invalid opcode": "0xfe",
    "an unknown opcode": "0x0c",
    "a full stack": "0x5b5f600056",
    "bytes that were not returned": "0x60ff5f5f3e",
    "too large a contract": "0x61ffff5ff3",
    "a contract that begins with 0xef": "0x60ef5f5360015ff3",
    "a revert": "0x5f5ffd",
    "a revert with a byte": "0x60015ffd"
  }).flatMap(([name, data]) => [
    [`call: ${name}`, (provider: JsonRpcApiProvider) => provider.call({ data, gasLimit: 1_000_000 })],
    [`estimate: ${name}`, (provider: JsonRpcApiProvider) => provider.estimateGas({ data, gasLimit: 1_000_000 })]
  ])
) as Asks

const after: Asks = {
  destroy: async (provider) => {
    await provider.on("error", () => {})
    provider.destroy()
    provider.destroy()
    return [provider.destroyed, await provider.listenerCount()]
  },
  "a request": (provider) => provider.send("eth_chainId", []),
  "a method": (provider) => provider.getBlockNumber(),
  "a listener": async (provider) => [await provider.on("error", () => {}), await provider.listenerCount()]
}

describe.skipIf(Anvil.binary === undefined)("over anvil", () => {
  for (const [title, asks, errors] of [
    ["what a provider is", state, 5],
    ["what it is asked", asked, 23],
    ["transactions that are refused", refused(), 5],
    ["what the EVM halts at", halts, 20],
    ["the end", after, 2]
  ] as const) {
    it.live(title, () =>
      Effect.gen(function* () {
        const anvil = yield* Anvil.make()
        yield* anvil.rpc("eth_sendTransaction", [{ from: wallet.address, to, value: "0x1" }])
        yield* anvil.rpc("anvil_mine", ["0x5"])
        assert.strictEqual(yield* same(anvil.url, asks, 31_337), errors)
      })
    )
  }
})

describe("errors of a node", () => {
  const signing: Asks = {
    eth_sendTransaction: (provider) => provider.send("eth_sendTransaction", [{ to }]),
    eth_sign: (provider) => provider.send("eth_sign", [to, "0x"]),
    personal_sign: (provider) => provider.send("personal_sign", ["0x", to]),
    eth_signTypedData_v4: (provider) => provider.send("eth_signTypedData_v4", [to, "{}"]),
    eth_requestAccounts: (provider) => provider.send("eth_requestAccounts", [])
  }
  const raw = wallet.signTransaction({ chainId: 1, nonce: 7, to, value: 1n, gasLimit: 21_000, gasPrice: 1n, type: 0 })
  const sending: Asks = {
    eth_sendTransaction: signing["eth_sendTransaction"]!,
    eth_sendRawTransaction: async (provider) => provider.broadcastTransaction(await raw)
  }
  const estimating: Asks = { eth_estimateGas: (provider) => provider.estimateGas({ to, from: wallet.address }) }
  const calling: Asks = { ...estimating, eth_call: (provider) => provider.call({ to }) }
  const reading: Asks = {
    eth_getBalance: (provider) => provider.getBalance(to),
    eth_none: (provider) => provider.send("eth_none", [1])
  }

  for (const [message, code, asks] of [
    ["insufficient funds for gas * price + value: address 0x1 have 0 want 1", -32_000, { ...sending, ...calling }],
    ["base fee exceeds gas limit", -32_003, sending],
    ["nonce too low: next nonce 5, tx nonce 4", -32_000, { ...sending, ...calling }],
    ["replacement transaction underpriced", -32_000, sending],
    ["transaction underpriced", -32_000, sending],
    ["only replay-protected (EIP-155) transactions allowed over RPC", -32_000, sending],
    ["intrinsic gas too low", -32_000, { ...sending, ...calling }],
    ["max fee per gas less than block base fee", -32_000, { ...sending, ...calling }],
    ["User denied transaction signature.", 4001, signing],
    ["ethers-user-denied: no", 4001, signing],
    ["User rejected the request.", 4001, signing],
    ["unknown account", -32_000, sending],
    ["authentication needed: password or unlock", -32_000, { ...sending, ...signing }],
    ["execution reverted", -32_000, calling],
    ["execution reverted: no", 3, calling],
    ["out of gas", -32_000, calling],
    ["the method eth_none does not exist/is not available", -32_601, { ...sending, ...signing, ...reading }],
    ["Method not found", -32_601, { ...sending, ...signing, ...reading }],
    ["invalid argument 0: hex string has length 3", -32_602, { ...sending, ...calling, ...reading }],
    ["invalid request", -32_600, { ...sending, ...calling, ...reading }]
  ] as const) {
    it.live(message, () =>
      Effect.gen(function* () {
        const method = Object.keys(asks)
        for (const details of [{}, { data: "0x08c379a0" }, { data: { reason: "no" } }]) {
          const node = yield* FaultyNode.make({
            scenario: Scenario.when({ method }, Scenario.error(code, message, details))
          })
          assert.strictEqual(yield* same(node.url, asks), method.length)
        }
      })
    )
  }
})

describe("names", () => {
  const face = new Interface([
    "function requireResolver(bytes) view returns ((bytes name, uint256 offset, bytes32 node, address resolver, bool extended))",
    "function reverse(bytes, uint256) view returns (string primary, address resolver, address reverseResolver)",
    "function supportsInterface(bytes4) view returns (bool)",
    "function addr(bytes32) view returns (address)",
    "function text(bytes32, string) view returns (string)"
  ])
  const answers: Readonly<Record<string, ReadonlyArray<unknown>>> = {
    requireResolver: [["0x", 0, ZeroHash, to, false]],
    reverse: ["hawser.eth", to, to],
    supportsInterface: [false],
    addr: [wallet.address],
    text: ["https://hawser.example/picture.png"]
  }
  const resolver = (params: ReadonlyArray<unknown>) => {
    const { data } = params[0] as { readonly data: string }
    const called = face.getFunction(data.slice(0, 10))
    if (called === null) return FaultyNode.error(3, "execution reverted", "0x")
    return face.encodeFunctionResult(called, answers[called.name])
  }

  it.live("of whoever it is, and whose they are", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ methods: { eth_call: resolver } })
      const errors = yield* same(node.url, {
        name: (provider) => provider.resolveName("hawser.eth"),
        address: (provider) => provider.lookupAddress(wallet.address),
        avatar: (provider) => provider.getAvatar("hawser.eth"),
        balance: (provider) => provider.getBalance("hawser.eth"),
        text: async (provider) => (await provider.getResolver("hawser.eth"))!.getText("url")
      })
      assert.strictEqual(errors, 0)
    })
  )
})

describe("what is to be looked up off the chain", () => {
  const lookup = (sender: string) =>
    id("OffchainLookup(address,string[],bytes,bytes4,bytes)").slice(0, 10) +
    AbiCoder.defaultAbiCoder()
      .encode(["address", "string[]", "bytes", "bytes4", "bytes"], [sender, [], "0x12", "0x12345678", "0x"])
      .slice(2)

  for (const [title, data] of [
    ["from nowhere", lookup(to)],
    ["for somebody else", lookup(wallet.address)],
    ["in no words", lookup(to).slice(0, 20)]
  ] as const) {
    it.live(title, () =>
      Effect.gen(function* () {
        const scenario = Scenario.when({ method: "eth_call" }, Scenario.error(3, "execution reverted", { data }))
        const node = yield* FaultyNode.make({ scenario })
        const errors = yield* same(node.url, {
          enabled: (provider) => provider.call({ to, enableCcipRead: true }),
          "of the past": (provider) => provider.call({ to, enableCcipRead: true, blockTag: 0 }),
          "not asked for": (provider) => provider.call({ to }),
          disabled: (provider) => {
            provider.disableCcipRead = true
            return provider.call({ to, enableCcipRead: true })
          }
        })
        assert.strictEqual(errors, 4)
      })
    )
  }
})
