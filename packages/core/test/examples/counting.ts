import { JsonRpc } from "@hawser/core"
import { Effect, Layer } from "effect"

// A layer of your own: counts what passes through it.
const counting = <T extends JsonRpc.Tier, E, LE, R>(self: Layer.Layer<JsonRpc.JsonRpc<T, E>, LE, R>) =>
  JsonRpc.transform(self, "counting", (below: JsonRpc.Service<E>) =>
    Effect.sync(() => {
      let requests = 0
      return {
        request: (request: JsonRpc.Request) =>
          Effect.suspend(() => {
            requests++
            return below.request(request)
          }),
        inspect: () => ({ requests })
      }
    })
  )

const client = Layer.succeed(JsonRpc.client<never>())({
  name: "fixed",
  request: () => Effect.succeed("0x10"),
  inspect: () => ({ name: "fixed" })
}).pipe(counting)

const program = Effect.gen(function* () {
  const rpc = yield* JsonRpc.client<never>()
  yield* rpc.request(JsonRpc.makeRequest("eth_blockNumber"))
  return rpc.inspect()
})

console.log(await Effect.runPromise(Effect.provide(program, client))) // { name: 'fixed', counting: { requests: 1 } }
