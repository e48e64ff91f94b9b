import { Effect } from "effect"
import { JsonRpc, Snapshot, Stack, Sticky } from "hawser"

const live = Stack.layer({ upstreams: ["https://ethereum-rpc.publicnode.com", "https://eth.drpc.org"] })

const program = Effect.gen(function* () {
  const rpc = yield* JsonRpc.client<Stack.Error>()
  const ask = (method: string, ...params: ReadonlyArray<unknown>) => rpc.request(JsonRpc.makeRequest(method, params))
  const [alice, bob] = ["0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045", "0xAb5801a7D398351b8bE11C439e05C5B3259aeC9B"]

  // All see the same block, by its hash where nodes understand that.
  const balances = yield* Snapshot.run(
    Effect.all([ask("eth_getBalance", alice, "latest"), ask("eth_getBalance", bob, "latest")])
  )
  // All go to one upstream: a nonce, an estimate and a send belong together.
  const [nonce, gas] = yield* Sticky.run(
    Effect.all([ask("eth_getTransactionCount", alice, "pending"), ask("eth_estimateGas", { from: alice, to: bob })])
  )
  return [...balances, nonce, gas].length
})

console.log(await Effect.runPromise(Effect.provide(program, live))) // 4
