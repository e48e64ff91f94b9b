import { JsonRpc } from "@hawser/core"
import { Effect, Layer } from "effect"

class Mainnet extends JsonRpc.Client<Mainnet>()("app/Mainnet") {}
class Base extends JsonRpc.Client<Base>()("app/Base") {}

const chain = (id: string) =>
  Layer.succeed(JsonRpc.client<never>())({ name: id, request: () => Effect.succeed(id), inspect: () => ({ name: id }) })

const live = Layer.mergeAll(chain("0x1").pipe(JsonRpc.as(Mainnet)), chain("0x2105").pipe(JsonRpc.as(Base)))

const program = Effect.gen(function* () {
  const request = JsonRpc.makeRequest("eth_chainId")
  return [yield* (yield* Mainnet).request(request), yield* (yield* Base).request(request)]
})

console.log(await Effect.runPromise(Effect.provide(program, live))) // [ '0x1', '0x2105' ]
