import { Metrics } from "@hawser/metrics"
import { Effect } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { JsonRpc, Stack } from "hawser"

const client = Stack.layer({
  chainId: 1,
  upstreams: ["https://ethereum-rpc.publicnode.com", "https://eth.drpc.org"]
}).pipe(Metrics.layer({ labels: { chain: "mainnet" } }))

const program = Effect.gen(function* () {
  const rpc = yield* JsonRpc.client<Stack.Error>()
  yield* rpc.request(JsonRpc.makeRequest("eth_blockNumber"))
  const text = yield* PrometheusMetrics.format()
  return text.split("\n").find((line) => line.startsWith("hawser_call_seconds_count"))
})

console.log(await Effect.runPromise(Effect.provide(program, client))) // hawser_call_seconds_count{chain="mainnet",method="eth_blockNumber",outcome="answered"} 1
