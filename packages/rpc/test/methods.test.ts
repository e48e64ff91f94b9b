import { assert, describe, it } from "@effect/vitest"
import { JsonRpc } from "@hawser/core"
import { Method } from "@hawser/rpc"
import { methods } from "../src/internal/methods.ts"

const hash = `0x${"0a".repeat(32)}`
const ask = (method: string, ...params: ReadonlyArray<unknown>) => JsonRpc.makeRequest(method, params)

describe("the table of methods", () => {
  it("has only reads", () => {
    for (const method of methods.keys()) assert.strictEqual(ask(method).nature, "read", method)
  })

  it("says where a block is named exactly for those whose answers depend on one that is named", () => {
    for (const [name, { basis, place }] of methods) {
      if (basis === "blocks") assert.isAtLeast(place, 0, name)
      else if (basis !== "node") assert.strictEqual(place, -1, name)
    }
  })

  it("keeps nothing that depends on the node", () => {
    for (const method of ["eth_syncing", "eth_accounts", "web3_clientVersion", "net_peerCount", "txpool_content"]) {
      assert.isFalse(methods.has(method))
    }
    for (const method of ["eth_estimateGas", "eth_createAccessList", "debug_traceTransaction"]) {
      assert.strictEqual(methods.get(method)!.basis, "node")
    }
  })
})

describe("what never changes", () => {
  const immutable = [
    ask("eth_chainId"),
    ask("net_version"),
    ask("eth_getBlockByHash", hash, true),
    ask("eth_getUncleCountByBlockHash", hash),
    ask("eth_getBlockReceipts", hash),
    ask("eth_getLogs", { blockHash: hash }),
    ask("eth_call", {}, { blockHash: hash }),
    ask("debug_traceBlockByHash", hash)
  ]
  for (const request of immutable) {
    it(`${request.method}(${JSON.stringify(request.params)})`, () => assert.isTrue(Method.isImmutable(request)))
  }

  const not = [
    ask("eth_blockNumber"),
    ask("eth_getBlockByNumber", "0x1", false),
    ask("eth_getBlockByHash", "0x1", false),
    ask("eth_getTransactionReceipt", hash),
    ask("eth_getLogs", { fromBlock: "0x1", toBlock: "0x2" }),
    ask("eth_call", {}, { blockHash: hash, requireCanonical: true }),
    ask("eth_estimateGas", {}, hash),
    ask("vendor_getByHash", hash)
  ]
  for (const request of not) {
    it(`but not ${request.method}(${JSON.stringify(request.params)})`, () =>
      assert.isFalse(Method.isImmutable(request)))
  }
})

describe("heavy work", () => {
  const logs = (filter: unknown) => Method.weight(ask("eth_getLogs", filter))

  it("traces, known or not", () => {
    for (const method of ["debug_traceTransaction", "trace_block", "arbtrace_call", "debug_unheardOf"]) {
      assert.strictEqual(Method.weight(ask(method)), "heavy")
    }
    assert.strictEqual(Method.weight(ask("eth_call", {}, "latest")), "light")
  })

  it("logs over more than 1,000 blocks, or over nobody knows how many", () => {
    assert.strictEqual(logs({ fromBlock: "0x1", toBlock: "0x3e8" }), "light")
    assert.strictEqual(logs({ fromBlock: "0x1", toBlock: "0x3e9" }), "heavy")
    assert.strictEqual(logs({ fromBlock: "0x1" }), "heavy")
    assert.strictEqual(logs({ fromBlock: "earliest", toBlock: "latest" }), "heavy")
    assert.strictEqual(logs({ fromBlock: "latest", toBlock: "latest" }), "light")
    assert.strictEqual(logs({}), "light")
    assert.strictEqual(logs({ blockHash: hash }), "light")
    assert.strictEqual(logs("nonsense"), "light")
  })
})
