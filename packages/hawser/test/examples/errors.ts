import { Effect } from "effect"
import { JsonRpc, Stack } from "hawser"

const live = Stack.layer({ upstreams: ["https://eth.drpc.org"], retry: false })

const program = Effect.gen(function* () {
  const rpc = yield* JsonRpc.client<Stack.Error>()
  return yield* rpc.request(JsonRpc.makeRequest("eth_getBlockByNumber", ["0xfffffff", false]))
}).pipe(
  Effect.catchTags({
    Rejected: ({ code, message }) => Effect.succeed(`the chain says ${code}: ${message}`),
    NoAnswer: ({ causes }) => Effect.succeed(causes.map(({ upstream, error }) => `${upstream}: ${error._tag}`)),
    DeadlineExceeded: () => Effect.succeed("no answer in time")
  })
)

console.log(await Effect.runPromise(Effect.provide(program, live))) // null
