import { assert, describe, it } from "@effect/vitest"
import { JsonRpc } from "@hawser/core"
import * as fc from "fast-check"
import { type Blocks, blocksOf } from "../src/internal/block.ts"
import { api, valueOf } from "./support/executionApi.ts"

const address = `0x${"a".repeat(40)}`
const hash = `0x${"0a".repeat(32)}`
const mixed = `0x${"0A".repeat(32)}`
const of = (method: string, ...params: ReadonlyArray<unknown>) => blocksOf(JsonRpc.makeRequest(method, params))
const one = (ref: Blocks["to"]): Blocks => ({ from: ref, to: ref })
const balance = (...block: ReadonlyArray<unknown>) => of("eth_getBalance", address, ...block)
const logs = (filter: unknown) => of("eth_getLogs", filter)

describe("the blocks that a request names", () => {
  it("by number, tag or hash, as a value or as an object of EIP-1898", () => {
    assert.deepStrictEqual(balance("0x0"), one(0))
    assert.deepStrictEqual(balance("0x010D4F"), one(0x10d4f))
    for (const tag of ["latest", "safe", "finalized", "pending", "earliest"] as const) {
      assert.deepStrictEqual(balance(tag), one(tag))
    }
    assert.deepStrictEqual(balance(mixed), one({ hash }))
    assert.deepStrictEqual(balance({ blockNumber: "0x5" }), one(5))
    assert.deepStrictEqual(balance({ blockHash: mixed }), one({ hash }))
    assert.deepStrictEqual(balance({ blockHash: hash, requireCanonical: false }), one({ hash }))
    assert.deepStrictEqual(balance({ blockHash: hash, requireCanonical: true }), one({ hash, requireCanonical: true }))
  })

  it("the latest, when left out", () => {
    assert.deepStrictEqual(balance(), one("latest"))
    assert.deepStrictEqual(balance(null), one("latest"))
    assert.deepStrictEqual(of("eth_call", { to: address }), one("latest"))
    assert.deepStrictEqual(of("eth_blockNumber"), one("latest"))
    assert.deepStrictEqual(of("eth_gasPrice"), one("latest"))
  })

  it("where the parameter stands", () => {
    assert.deepStrictEqual(of("eth_getStorageAt", address, "0x1", "0x5"), one(5))
    assert.deepStrictEqual(of("eth_getProof", address, ["0x1"], "0x5"), one(5))
    assert.deepStrictEqual(of("eth_getBlockByNumber", "0x5", false), one(5))
    assert.deepStrictEqual(of("eth_getBlockByHash", mixed, false), one({ hash }))
    assert.deepStrictEqual(of("eth_getTransactionByBlockHashAndIndex", hash, "0x1"), one({ hash }))
    assert.deepStrictEqual(of("eth_call", { to: address }, "0x5", {}), one(5))
    assert.deepStrictEqual(of("trace_block", "0x5"), one(5))
    assert.deepStrictEqual(of("trace_call", {}, ["trace"], "0x5"), one(5))
    assert.deepStrictEqual(of("trace_call", {}, ["trace"]), one("latest"))
    // Some nodes take the block in the second place.
    assert.isUndefined(of("trace_call", {}, "0x5"))
  })

  it("a range of logs", () => {
    assert.deepStrictEqual(logs({ fromBlock: "0x1", toBlock: "0x5" }), { from: 1, to: 5 })
    assert.deepStrictEqual(logs({ fromBlock: "0x1" }), { from: 1, to: "latest" })
    assert.deepStrictEqual(logs({ fromBlock: "0x1", toBlock: null }), { from: 1, to: "latest" })
    assert.deepStrictEqual(logs({ toBlock: "0x5" }), { from: "latest", to: 5 })
    assert.deepStrictEqual(logs({}), one("latest"))
    assert.deepStrictEqual(logs({ fromBlock: "earliest", toBlock: "finalized" }), { from: "earliest", to: "finalized" })
    assert.deepStrictEqual(logs({ blockHash: mixed }), one({ hash }))
    assert.deepStrictEqual(logs({ blockHash: hash, fromBlock: null, toBlock: undefined }), one({ hash }))
    assert.deepStrictEqual(of("trace_filter", { toBlock: "0x5" }), { from: "earliest", to: 5 })
  })

  it("a window of fees ends with the block that is named", () => {
    assert.deepStrictEqual(of("eth_feeHistory", "0x4", "0x9", []), { from: 6, to: 9 })
    assert.deepStrictEqual(of("eth_feeHistory", "0x400", "0x9", []), { from: 0, to: 9 })
    assert.deepStrictEqual(of("eth_feeHistory", "0x4", "latest", []), one("latest"))
    assert.isUndefined(of("eth_feeHistory", "four", "0x9", []))
  })

  it("none, where the method or its parameters are not as they should be", () => {
    const odd = [
      5,
      "5",
      "Latest",
      "0x",
      "0xz",
      {},
      [],
      true,
      { blockHash: "0x1" },
      { blockHash: hash, blockNumber: "0x1" }
    ]
    for (const block of [...odd, `0x1${"0".repeat(20)}`, { blockNumber: 5 }])
      assert.isUndefined(balance(block), JSON.stringify(block))
    for (const filter of [
      undefined,
      null,
      "0x1",
      [],
      { blockHash: hash, toBlock: "0x1" },
      { toBlock: { blockHash: hash } }
    ]) {
      assert.isUndefined(logs(filter))
    }
    assert.isUndefined(logs({ fromBlock: hash }))
    assert.isUndefined(of("eth_getBlockByHash", "0x5", false))
    assert.isUndefined(of("vendor_getThings", "0x5"))
    for (const method of ["eth_chainId", "eth_syncing", "eth_getTransactionReceipt", "debug_traceTransaction"]) {
      assert.isUndefined(of(method, hash))
    }
  })

  it("never throws, and names no block above `to` by number", () => {
    for (const [method, schemas] of Object.entries(api)) {
      fc.assert(
        fc.property(fc.tuple(...schemas.map(valueOf)), (params) => {
          const blocks = of(method, ...params)
          if (method === "eth_feeHistory" && typeof blocks?.from === "number")
            assert.isAtMost(blocks.from, blocks.to as number)
        }),
        { numRuns: 50 }
      )
    }
  })
})
