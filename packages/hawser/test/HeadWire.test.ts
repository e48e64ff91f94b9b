import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Anvil, FaultyNode, Scenario } from "@hawser/testkit"
import { Context, Effect, Exit, Layer, Random, Scope } from "effect"
import { Chain, Head, Http, JsonRpc, Retry, Snapshot, Sticky, UpstreamPool } from "hawser"
import { TestClock } from "effect/testing"
import { mnemonicToAccount } from "viem/accounts"
import { facing } from "./support/weather.ts"

const hex = (number: number) => `0x${number.toString(16)}`

/** Nodes behind a pool with a head. */
const over = (urls: ReadonlyArray<string>, options?: Head.Options) =>
  Effect.gen(function* () {
    const head = Head.make(options)
    const chain = Chain.make()
    const upstreams = urls.map((url) => Http.layer({ url }).pipe(Chain.layer(chain), Head.upstream(head)))
    const context = yield* Layer.build(
      UpstreamPool.layer(upstreams).pipe(Retry.layer(), Head.client(head), Snapshot.layer)
    )
    const client = Context.get(context, JsonRpc.client())
    const ask = (method: string, ...params: ReadonlyArray<unknown>): Effect.Effect<any, JsonRpc.ClientError> =>
      client.request(JsonRpc.makeRequest(method, params))
    return { ask, head, client, blockNumber: Effect.map(ask("eth_blockNumber"), Number) }
  }).pipe(Random.withSeed("head"))

describe("faulty nodes", () => {
  /** Two nodes of which a client has learned the heads before one fell behind. */
  const uneven = (blocks: number) =>
    Effect.gen(function* () {
      const first = yield* FaultyNode.make({})
      const late = yield* FaultyNode.make({ scenario: Scenario.behind(1) })
      const pool = yield* over([first.url, late.url])
      while (first.count("eth_blockNumber") === 0 || late.count("eth_blockNumber") === 0) yield* pool.blockNumber
      assert.strictEqual(yield* pool.blockNumber, 1_000)
      yield* late.play(Scenario.behind(blocks))
      return { ...pool, first, late }
    })

  it.effect("a lagging node does not take the head back, nor does it answer about it", () =>
    Effect.gen(function* () {
      const { ask, blockNumber, late } = yield* uneven(5)
      for (let i = 0; i < 20; i++) assert.strictEqual(yield* blockNumber, 1_000)
      late.clear()
      const nonce = Effect.map(ask("eth_getTransactionCount", `0x${"1".repeat(40)}`, "latest"), Number)
      for (let i = 0; i < 20; i++) assert.strictEqual(yield* nonce, 1_000)
      assert.strictEqual(late.count("eth_getTransactionCount"), 0)
    })
  )

  it.effect("blocks, logs and receipts that only the other has", () =>
    Effect.gen(function* () {
      const { ask, first } = yield* uneven(5)
      for (let i = 0; i < 10; i++) {
        assert.strictEqual((yield* ask("eth_getBlockByNumber", hex(998), false)).number, hex(998))
        assert.strictEqual((yield* ask("eth_getLogs", { fromBlock: hex(996), toBlock: hex(1_000) })).length, 5)
      }
      // Sent to the first only, and in its next block.
      const raw = "0x02c0"
      const response = yield* Effect.promise(() =>
        fetch(first.url, {
          method: "POST",
          body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_sendRawTransaction", params: [raw] })
        }).then((response) => response.json())
      )
      first.mine(1)
      const hash = (response as { result: string }).result
      for (let i = 0; i < 10; i++) {
        const receipt = yield* ask("eth_getTransactionReceipt", hash)
        assert.strictEqual(receipt?.blockNumber, hex(1_001))
      }
    })
  )

  it.effect("a snapshot holds while the chain goes on and a node is behind", () =>
    Effect.gen(function* () {
      const { ask, first, late } = yield* uneven(5)
      const balance = ask("eth_getBalance", `0x${"2".repeat(40)}`, "latest")
      yield* Snapshot.run(
        Effect.gen(function* () {
          const before = yield* balance
          const block = yield* ask("eth_getBlockByNumber", "latest", false)
          first.mine(3)
          late.mine(3)
          assert.strictEqual(yield* balance, before)
          assert.strictEqual((yield* ask("eth_getBlockByNumber", "latest", false)).hash, block.hash)
          assert.strictEqual(yield* ask("eth_blockNumber"), block.number)
        })
      )
    })
  )

  it.effect("a reorganisation of all nodes is seen by hash, down to where it began", () =>
    Effect.gen(function* () {
      const nodes = [yield* FaultyNode.make({}), yield* FaultyNode.make({})]
      const { ask, head } = yield* over(nodes.map(({ url }) => url))
      const changes: Array<Head.Change> = []
      head.on((change) => changes.push(change))
      const latest = ask("eth_getBlockByNumber", "latest", false)
      for (let i = 0; i < 6; i++) {
        yield* latest
        for (const node of nodes) node.mine(1)
      }
      yield* latest
      const top = head.latest()!.number
      for (const node of nodes) node.reorg(4)
      for (const node of nodes) node.mine(1)
      yield* latest
      const from = () => Math.min(...changes.map((change) => (change.type === "reorg" ? change.from : Infinity)))
      // The look down the fork is nobody's request.
      yield* nodes[0]!.until(() => from() === top - 3).pipe(Effect.raceFirst(nodes[1]!.until(() => from() === top - 3)))
      const { hash } = yield* latest
      assert.strictEqual(head.hashAt(top + 1), hash)
      assert.strictEqual(head.floor(), top + 1)
    })
  )
})

describe.skipIf(Anvil.binary === undefined)("real nodes", () => {
  const scope = Scope.makeUnsafe()
  let anvil: Anvil.Anvil
  let other: Anvil.Anvil
  beforeAll(async () => {
    const start = () => Effect.runPromise(Scope.provide(Anvil.make({ args: ["--no-mining"] }), scope))
    ;[anvil, other] = await Promise.all([start(), start()])
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const account = mnemonicToAccount("test test test test test test test test test test test junk")

  it.live("anvil_reorg of one behind two addresses", () =>
    Effect.gen(function* () {
      const nodes = [yield* FaultyNode.make({ behind: anvil.url }), yield* FaultyNode.make({ behind: anvil.url })]
      const { ask, blockNumber, head } = yield* over(nodes.map(({ url }) => url))
      const latest = ask("eth_getBlockByNumber", "latest", false)
      for (let i = 0; i < 8; i++) {
        yield* anvil.rpc("anvil_mine", ["0x1"])
        yield* latest
      }
      const before = yield* latest
      const reorgs: Array<number> = []
      head.on((change) => change.type === "reorg" && reorgs.push(change.from))
      yield* anvil.rpc("anvil_reorg", [3, []])
      yield* anvil.rpc("anvil_mine", ["0x1"])
      for (let i = 0; i < 8; i++) yield* latest
      const after = yield* latest
      assert.strictEqual(Number(after.number), Number(before.number) + 1)
      assert.strictEqual(head.hashAt(Number(after.number)), after.hash)
      assert.notStrictEqual(head.hashAt(Number(before.number)), before.hash)
      assert.isNotEmpty(reorgs)
      assert.strictEqual(yield* blockNumber, Number(after.number))
    })
  )

  it.live("evm_revert and other blocks: the head falls when the other chain is seen", () =>
    Effect.gen(function* () {
      const { ask, blockNumber, head } = yield* over([anvil.url])
      const snapshot = yield* anvil.rpc("evm_snapshot")
      const latest = ask("eth_getBlockByNumber", "latest", false)
      const base = yield* blockNumber
      for (let i = 0; i < 5; i++) {
        yield* anvil.rpc("anvil_mine", ["0x1"])
        yield* latest
      }
      assert.strictEqual(yield* blockNumber, base + 5)
      yield* anvil.rpc("evm_revert", [snapshot])
      assert.strictEqual(yield* blockNumber, base + 5)
      yield* anvil.rpc("evm_increaseTime", [1_000])
      yield* anvil.rpc("evm_mine")
      yield* latest
      assert.strictEqual(yield* blockNumber, base + 1)
      assert.strictEqual(head.floor(), base + 1)
    })
  )

  it.live("a receipt that only one of two nodes has", () =>
    Effect.gen(function* () {
      // Two chains of one genesis are two chains; here they only have to differ in what they know.
      const [a, b] = [yield* FaultyNode.make({ behind: anvil.url }), yield* FaultyNode.make({ behind: other.url })]
      const { ask, blockNumber } = yield* over([a.url, b.url])
      const raw = yield* Effect.promise(() =>
        account.signTransaction({
          type: "eip1559",
          chainId: 31337,
          to: account.address,
          nonce: 0,
          gas: 21_000n,
          maxFeePerGas: 30_000_000_000n,
          maxPriorityFeePerGas: 1n
        })
      )
      const hash = yield* anvil.rpc("eth_sendRawTransaction", [raw])
      yield* anvil.rpc("evm_mine")
      for (let i = 0; i < 10; i++) yield* blockNumber
      for (let i = 0; i < 10; i++) {
        assert.strictEqual((yield* ask("eth_getTransactionReceipt", hash))?.transactionHash, hash)
        assert.strictEqual((yield* ask("eth_getTransactionByHash", hash))?.hash, hash)
      }
      assert.isNull(yield* ask("eth_getTransactionReceipt", `0x${"ab".repeat(32)}`))
    })
  )

  it.live("a snapshot by hash, and requests that stick together", () =>
    Effect.gen(function* () {
      const nodes = [yield* FaultyNode.make({ behind: anvil.url }), yield* FaultyNode.make({ behind: anvil.url })]
      const { ask } = yield* over(nodes.map(({ url }) => url))
      const balance = ask("eth_getBalance", account.address, "latest")
      yield* Snapshot.run(
        Effect.gen(function* () {
          const before = yield* balance
          yield* anvil.rpc("evm_mine")
          yield* anvil.rpc("anvil_setBalance", [account.address, "0x1"])
          yield* anvil.rpc("evm_mine")
          assert.strictEqual(yield* balance, before)
          const call = { from: account.address, to: account.address }
          assert.strictEqual(yield* ask("eth_call", call), "0x")
          assert.isArray(yield* ask("eth_getLogs", {}))
        })
      )
      assert.strictEqual(yield* balance, "0x1")
      for (const node of nodes) node.clear()
      yield* Sticky.run(
        Effect.gen(function* () {
          for (let i = 0; i < 10; i++) yield* ask("eth_getTransactionCount", account.address, "pending")
        })
      )
      const counts = nodes.map((node) => node.count("eth_getTransactionCount"))
      assert.sameMembers(counts, [0, 10])
    })
  )
})

describe("a head that nobody bears out", () => {
  it.effect("is told without waiting for one that asked for a pause", () =>
    Effect.gen(function* () {
      const { ask, cost, draw, nodes } = yield* facing([{}, {}])
      const [good, paused] = nodes
      yield* paused!.play(Scenario.status(429, { retryAfter: "1 second" }))
      draw(1)
      yield* cost(ask("eth_getBalance", `0x${"a".repeat(40)}`, "latest"))
      assert.isAbove(paused!.count("eth_getBalance"), 0)
      good!.mine(5)
      yield* TestClock.adjust(1)
      const head = yield* cost(ask("eth_blockNumber"))
      assert.deepStrictEqual([head.exit, head.time], [Exit.succeed(hex(1_005)), 0])
    })
  )
})

describe("an upstream that was never heard", () => {
  for (const [name, fault, time] of [
    ["hangs", Scenario.hang, 500],
    ["fails", Scenario.status(503), 0]
  ] as const) {
    it.effect(`is asked for its head when the only other one ${name}`, () =>
      Effect.gen(function* () {
        const { ask, cost, nodes } = yield* facing([{}, {}], { known: 0 })
        yield* cost(ask("eth_blockNumber"))
        const heard = nodes.find((node) => node.count() > 0)!
        yield* heard.play(fault)
        const read = yield* cost(ask("eth_getBalance", `0x${"a".repeat(40)}`, "latest"))
        assert.isTrue(Exit.isSuccess(read.exit))
        assert.strictEqual(read.time, time)
        // The read twice, and of the new one its head and its chain.
        assert.strictEqual(read.requests, 4)
      })
    )
  }

  it.effect("is asked for its head again at once after a failure, when it is needed", () =>
    Effect.gen(function* () {
      const { ask, cost, nodes } = yield* facing([{}, {}], { known: 0 })
      yield* cost(ask("eth_blockNumber"))
      const heard = nodes.find((node) => node.count() > 0)!
      const other = nodes.find((node) => node !== heard)!
      yield* other.play(Scenario.status(503))
      yield* heard.play(Scenario.first(1, Scenario.status(503)))
      yield* cost(ask("eth_getBalance", `0x${"b".repeat(40)}`, "latest"))
      assert.isAbove(other.count(), 0)
      yield* other.play(Scenario.healthy)
      yield* heard.play(Scenario.status(503))
      const read = yield* cost(ask("eth_getBalance", `0x${"a".repeat(40)}`, "latest"))
      assert.isTrue(Exit.isSuccess(read.exit))
      // It is not left out until it would be looked at anyway.
      assert.isAtMost(read.time, 100)
    })
  )
})
