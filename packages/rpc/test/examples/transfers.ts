import { JsonRpc } from "@hawser/core"
import { Subscription } from "@hawser/rpc"
import { Effect, Stream } from "effect"

export const transfers = Effect.gen(function* () {
  const client = yield* JsonRpc.client()
  yield* Subscription.logs(client, { address: "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48" }).pipe(
    Stream.runForEach((log) => Effect.log(log.removed === true ? "taken back" : "new", log.blockHash))
  )
})
