import { JsonRpc } from "@hawser/core"
import { Chain, Http } from "@hawser/rpc"
import { Effect } from "effect"

const upstream = Http.layer({
  url: "https://ethereum-rpc.publicnode.com",
  headers: { "x-team": "treasury" }
}).pipe(Chain.layer(1))

const program = Effect.gen(function* () {
  const { request } = yield* JsonRpc.upstream<JsonRpc.ErrorOf<typeof upstream>>()
  return yield* request(JsonRpc.makeRequest("eth_blockNumber"))
})

console.log(await Effect.runPromise(Effect.provide(program, upstream)))
