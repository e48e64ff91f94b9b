import { Effect, Stream } from "effect"
import { JsonRpc, Logs, Stack } from "hawser"

const live = Stack.layer({ upstreams: ["https://ethereum-rpc.publicnode.com"] })

const program = Effect.gen(function* () {
  const rpc = yield* JsonRpc.client<Stack.Error>()
  let count = 0
  yield* Logs.stream(rpc, { address: "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48" }, { from: 0 }).pipe(
    Stream.runForEach(({ cursor, logs }) =>
      Effect.sync(() => {
        count += logs.length
        if (cursor.block === 936) console.log(count, cursor) // 937 { block: 936 }
      })
    )
  )
})

await Effect.runPromise(Effect.provide(program, live))
