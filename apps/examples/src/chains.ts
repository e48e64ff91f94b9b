import { Effect, Layer } from "effect"
import { JsonRpc, Stack } from "hawser"

class Mainnet extends JsonRpc.Client<Mainnet>()("app/Mainnet") {}
class Sepolia extends JsonRpc.Client<Sepolia>()("app/Sepolia") {}

const live = Layer.mergeAll(
  Stack.layer({ upstreams: ["https://ethereum-rpc.publicnode.com", "https://eth.drpc.org"] }).pipe(JsonRpc.as(Mainnet)),
  Stack.layer({ upstreams: ["https://sepolia.drpc.org"] }).pipe(JsonRpc.as(Sepolia))
)

const program = Effect.gen(function* () {
  const request = JsonRpc.makeRequest("eth_blockNumber")
  return yield* Effect.all([(yield* Mainnet).request(request), (yield* Sepolia).request(request)])
})

console.log((await Effect.runPromise(Effect.provide(program, live))).length) // 2
