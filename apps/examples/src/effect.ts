import { Effect } from "effect"
import { JsonRpc, Stack } from "hawser"

const program = Effect.gen(function* () {
  const rpc = yield* JsonRpc.client<Stack.Error>()
  return yield* rpc.request(JsonRpc.makeRequest("eth_blockNumber"))
})

const live = Stack.layer({
  chainId: 1,
  upstreams: ["https://ethereum-rpc.publicnode.com", "https://eth.drpc.org"]
})

console.log(await Effect.runPromise(Effect.provide(program, live)))
