/** The simulated chain, as a client sees it. */
import { assert, describe, it } from "@effect/vitest"
import { FaultyNode } from "@hawser/testkit"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { ask, result } from "./client.ts"

const block = (node: FaultyNode.FaultyNode, tag: string, full = false) =>
  result(node.url, tag.length === 66 ? "eth_getBlockByHash" : "eth_getBlockByNumber", [tag, full])

const address = "0xd8da6bf26964af9d7eed9e03e53415d37aa96045"

describe("blocks", () => {
  it.effect("link to their parents, down to the first", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ head: 5 })
      let child = yield* block(node, "latest")
      assert.strictEqual(child.number, "0x5")
      for (let number = 4; number >= 0; number--) {
        const parent = yield* block(node, `0x${number.toString(16)}`)
        assert.strictEqual(child.parentHash, parent.hash)
        assert.match(parent.hash, /^0x[0-9a-f]{64}$/)
        assert.isBelow(Number(parent.timestamp), Number(child.timestamp))
        assert.deepStrictEqual(yield* block(node, parent.hash), parent)
        child = parent
      }
      assert.match(child.parentHash, /^0x0{64}$/)
    })
  )

  it.effect("are the same on nodes with the same options, and others on others", () =>
    Effect.gen(function* () {
      const hash = (options: FaultyNode.Options) =>
        Effect.scoped(
          Effect.flatMap(FaultyNode.make(options), (node) => Effect.map(block(node, "0xa"), ({ hash }) => hash))
        )
      const one = yield* hash({ chainId: 1 })
      assert.strictEqual(yield* hash({ chainId: 1, seed: 9, head: 77 }), one)
      assert.notStrictEqual(yield* hash({ chainId: 2 }), one)
      assert.notStrictEqual(yield* hash({ chainId: 1, fork: 1 }), one)
    })
  )

  it.effect("have their tags", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ head: 100 })
      const number = (tag: string) => Effect.map(block(node, tag), (block) => Number(block.number))
      assert.deepStrictEqual(
        yield* Effect.forEach(["earliest", "finalized", "safe", "latest", "pending"], number),
        [0, 36, 68, 100, 101]
      )
      assert.isNull((yield* block(node, "pending")).hash)
      assert.isNull(yield* block(node, "0x65"))
      node.setHead(10)
      assert.strictEqual(yield* number("finalized"), 0)
      assert.strictEqual((yield* ask(node.url, "eth_getBlockByNumber", ["newest", false])).error.code, -32602)
    })
  )

  it.effect("come when told to, or with time", () =>
    Effect.gen(function* () {
      const still = yield* FaultyNode.make({ head: 7 })
      const moving = yield* FaultyNode.make({ head: 7, blockTime: "12 seconds" })
      yield* TestClock.adjust("35 seconds")
      assert.deepStrictEqual([still.head, moving.head], [7, 9])
      still.mine()
      still.mine(3)
      assert.strictEqual(yield* result(still.url, "eth_blockNumber"), "0xb")
      moving.setHead(20)
      yield* TestClock.adjust("12 seconds")
      assert.strictEqual(yield* result(moving.url, "eth_blockNumber"), "0x15")
    })
  )
})

describe("reorg", () => {
  it.effect("replaces the newest blocks, and only those", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ head: 20 })
      const twin = yield* FaultyNode.make({ head: 20 })
      const hashes = (node: FaultyNode.FaultyNode) =>
        Effect.forEach(
          Array.from({ length: 21 }, (_, i) => `0x${i.toString(16)}`),
          (tag) => Effect.map(block(node, tag), ({ hash, parentHash }) => ({ hash, parentHash }))
        )
      const before = yield* hashes(node)
      node.reorg(3)
      const after = yield* hashes(node)
      assert.deepStrictEqual(after.slice(0, 18), before.slice(0, 18))
      for (let i = 18; i <= 20; i++) {
        assert.notStrictEqual(after[i]!.hash, before[i]!.hash)
        assert.strictEqual(after[i]!.parentHash, after[i - 1]!.hash)
        assert.isNull(yield* block(node, before[i]!.hash))
      }
      node.reorg(1)
      node.mine(2)
      node.reorg(4)
      const again = yield* hashes(node)
      assert.deepStrictEqual(again.slice(0, 18), before.slice(0, 18))
      assert.strictEqual(again[18]!.hash, after[18]!.hash)
      assert.notStrictEqual(again[19]!.hash, after[19]!.hash)
      assert.notDeepEqual(again, before)
      twin.reorg(3)
      assert.deepStrictEqual(yield* hashes(twin), after)
    })
  )

  it.effect("of more blocks than there are leaves the first", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ head: 2 })
      const first = yield* block(node, "earliest")
      const second = yield* block(node, "0x1")
      node.reorg(50)
      assert.deepStrictEqual(yield* block(node, "earliest"), first)
      assert.notStrictEqual((yield* block(node, "0x1")).hash, second.hash)
    })
  )
})

describe("state", () => {
  it.effect("follows from the block and what is asked", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ head: 100 })
      const call = (to: string, tag: unknown) => result(node.url, "eth_call", [{ to, data: "0x01" }, tag])
      const balance = (tag: unknown) => result(node.url, "eth_getBalance", [address, tag])
      const { hash } = yield* block(node, "0x32")
      assert.match(yield* call(address, "latest"), /^0x[0-9a-f]{64}$/)
      assert.strictEqual(yield* call(address, "0x64"), yield* call(address, "latest"))
      assert.strictEqual(yield* call(address, { blockHash: hash }), yield* call(address, "0x32"))
      assert.strictEqual(yield* call(address, { blockNumber: "0x32" }), yield* call(address, "0x32"))
      assert.notStrictEqual(yield* call("0x00", "latest"), yield* call(address, "latest"))
      assert.notStrictEqual(yield* call(address, "0x32"), yield* call(address, "latest"))
      assert.match(yield* balance("latest"), /^0x[0-9a-f]{1,12}$/)
      assert.notStrictEqual(yield* balance("0x32"), yield* balance("latest"))
      assert.strictEqual(yield* result(node.url, "eth_getTransactionCount", [address]), "0x64")
      const before = yield* balance("latest")
      node.reorg(1)
      assert.notStrictEqual(yield* balance("latest"), before)
    })
  )

  it.effect("of a block that is unknown is an error, and so is a missing argument", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ head: 100 })
      const error = (method: string, params: ReadonlyArray<unknown>) =>
        Effect.map(ask(node.url, method, params), ({ error }) => error)
      const unknown = { code: -32000, message: "header not found" }
      assert.deepStrictEqual(yield* error("eth_call", [{}, "0x65"]), unknown)
      assert.deepStrictEqual(yield* error("eth_getBalance", [address, { blockHash: `0x${"1".repeat(64)}` }]), unknown)
      const missing = { code: -32602, message: "missing value for required argument 0" }
      assert.deepStrictEqual(yield* error("eth_getBalance", []), missing)
      assert.deepStrictEqual(yield* error("eth_getLogs", []), missing)
      assert.strictEqual((yield* error("eth_call", [{}, {}])).code, -32602)
    })
  )
})

describe("logs", () => {
  it.effect("are one for each block, as asked for", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ head: 50_000 })
      const logs = (filter: object) => result(node.url, "eth_getLogs", [filter])
      const found = yield* logs({
        address,
        topics: ["0xaa", ["0xbb", "0xcc"], null],
        fromBlock: "0x10",
        toBlock: "0x12"
      })
      assert.deepStrictEqual(
        found.map((log: any) => [log.address, log.topics[1], log.blockNumber]),
        ["0x10", "0x11", "0x12"].map((number) => [address, "0xbb", number])
      )
      const { hash } = yield* block(node, "0x11")
      assert.strictEqual(found[1].blockHash, hash)
      assert.deepStrictEqual(
        (yield* logs({ blockHash: hash })).map((log: any) => log.blockNumber),
        ["0x11"]
      )
      assert.strictEqual((yield* logs({ fromBlock: "latest", toBlock: "0xffffff" })).length, 1)
      assert.strictEqual((yield* logs({ fromBlock: "0x1", toBlock: "0x2710" })).length, 10_000)
      const wide = yield* ask(node.url, "eth_getLogs", [{ fromBlock: "0x0", toBlock: "0x2710" }])
      assert.deepStrictEqual(wide.error, { code: -32005, message: "query returned more than 10000 results" })
      const reversed = yield* ask(node.url, "eth_getLogs", [{ fromBlock: "0x2", toBlock: "0x1" }])
      assert.deepStrictEqual(reversed.error, { code: -32000, message: "invalid block range params" })
    })
  )
})

describe("transactions", () => {
  const raw = "0x02f8abcdef"
  const hash = "0x47dd188dd84fc99a0f39cb2c6dc2abb8bcecd9b6e71cdf5e94ba9bb6874b63f3"

  it.effect("are remembered, and in the next block", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ head: 10 })
      const receipt = result(node.url, "eth_getTransactionReceipt", [hash])
      const transaction = result(node.url, "eth_getTransactionByHash", [hash])
      assert.isNull(yield* receipt)
      assert.isNull(yield* transaction)
      assert.strictEqual(yield* result(node.url, "eth_sendRawTransaction", [raw]), hash)
      const again = yield* ask(node.url, "eth_sendRawTransaction", [raw])
      assert.deepStrictEqual(again.error, { code: -32000, message: "already known" })
      assert.isNull(yield* receipt)
      assert.deepInclude(yield* transaction, { hash, blockNumber: null })
      node.mine()
      const mined = yield* block(node, "latest", true)
      assert.deepInclude(yield* receipt, {
        blockHash: mined.hash,
        blockNumber: "0xb",
        status: "0x1",
        transactionHash: hash
      })
      assert.deepStrictEqual(mined.transactions, [yield* transaction])
      assert.deepStrictEqual((yield* block(node, "latest")).transactions, [hash])
      assert.strictEqual((yield* ask(node.url, "eth_sendRawTransaction", ["0xabc"])).error.code, -32602)
    })
  )
})

describe("methods", () => {
  it.effect("that are known, and those that are not", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ chainId: 137 })
      assert.strictEqual(yield* result(node.url, "eth_chainId"), "0x89")
      assert.strictEqual(yield* result(node.url, "net_version"), "137")
      assert.match(yield* result(node.url, "web3_clientVersion"), /^FaultyNode\//)
      assert.match(yield* result(node.url, "eth_gasPrice"), /^0x/)
      assert.strictEqual(yield* result(node.url, "eth_estimateGas", [{}]), "0x5208")
      for (const method of ["eth_foo", "constructor", "__proto__", ""]) {
        assert.strictEqual((yield* ask(node.url, method)).error.code, -32601)
      }
    })
  )
})
