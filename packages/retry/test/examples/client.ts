import { JsonRpc } from "@hawser/core"
import { Deadline, Hedge, Retry } from "@hawser/retry"
import { Data, Effect, Layer } from "effect"

class NodeDown extends Data.TaggedError("NodeDown")<{ readonly status: number }> {}

let writes = 0
const pool = Layer.succeed(JsonRpc.client<NodeDown>())({
  name: "pool",
  request: ({ nature }) =>
    nature === "read" ? Effect.succeed("0x10") : Effect.suspend(() => new NodeDown({ status: 502 + writes++ })),
  inspect: () => ({ name: "pool" })
})

// Client<NodeDown> becomes Client<NodeDown | DeadlineExceeded>.
const client = pool.pipe(
  Hedge.layer({ quantile: 0.95, max: "1 second" }),
  Retry.layer({ schedule: Retry.backoff({ base: "200 millis", cap: "2 seconds" }) }),
  Deadline.layer("10 seconds")
)

const program = Effect.gen(function* () {
  const { request } = yield* JsonRpc.client<JsonRpc.ErrorOf<typeof client>>()
  const head = yield* request(JsonRpc.makeRequest("eth_blockNumber"))
  // The node may have run it: a write is not sent twice.
  const failure = yield* Effect.flip(request(JsonRpc.makeRequest("eth_sendRawTransaction", ["0x02"])))
  return [head, failure._tag, writes]
})

console.log(await Effect.runPromise(Effect.provide(program, client))) // [ '0x10', 'NodeDown', 1 ]
