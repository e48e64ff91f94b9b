import assert from "node:assert/strict"
import { createServer } from "node:http"
import { createPublicClient } from "viem"
import { Effect } from "effect"
import { Breaker } from "@hawser/breaker"
import { JsonRpc, Stack } from "hawser"
import { HawserProvider } from "@hawser/ethers"
import { hawser } from "@hawser/viem"
import { FaultyNode } from "@hawser/testkit"

// Each packed package is loaded and does something real.
const server = createServer((request, response) => {
  let body = ""
  request.on("data", (chunk) => (body += chunk))
  request.on("end", () => {
    const { id, method } = JSON.parse(body)
    response.end(JSON.stringify({ jsonrpc: "2.0", id, result: method === "eth_chainId" ? "0x1" : "0x10" }))
  })
})

server.listen(0, "127.0.0.1", async () => {
  const url = `http://127.0.0.1:${server.address().port}`
  const client = createPublicClient({ transport: hawser([url]) })
  assert.equal(await client.getBlockNumber(), 16n)
  const provider = new HawserProvider([url], 1)
  assert.equal(await provider.getBlockNumber(), 16)
  provider.destroy()
  const ask = Effect.flatMap(JsonRpc.client(), (rpc) => rpc.request(JsonRpc.makeRequest("eth_blockNumber")))
  assert.equal(await Effect.runPromise(Effect.provide(ask, Stack.layer({ upstreams: [url] }))), "0x10")
  assert.equal(await Effect.runPromise(Effect.flatMap(Breaker.make(), (b) => b.execute(Effect.succeed(1)))), 1)
  assert.equal(typeof FaultyNode.make, "function")
  server.close()
})
