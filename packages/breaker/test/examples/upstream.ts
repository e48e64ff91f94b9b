import { Breaker } from "@hawser/breaker"
import { JsonRpc } from "@hawser/core"
import { Data, Effect, Layer } from "effect"

class NodeDown extends Data.TaggedError("NodeDown")<{ readonly status: number }> {}

const node = Layer.succeed(JsonRpc.upstream<NodeDown>())({
  name: "node.example",
  request: () => Effect.fail(new NodeDown({ status: 503 })),
  inspect: () => ({ name: "node.example" })
})

// Upstream<NodeDown> becomes Upstream<NodeDown | CircuitOpen>.
const guarded = node.pipe(
  Breaker.layer({
    consecutive: 2,
    slow: { after: "2 seconds", rate: 0.5 },
    recovery: "30 seconds",
    judge: (error) => (error.status === 429 ? "neutral" : undefined)
  })
)

const program = Effect.gen(function* () {
  const upstream = yield* JsonRpc.upstream<NodeDown | Breaker.CircuitOpen>()
  const ask = Effect.flip(upstream.request(JsonRpc.makeRequest("eth_blockNumber")))
  return [(yield* ask)._tag, (yield* ask)._tag, (yield* ask)._tag]
})

console.log(await Effect.runPromise(Effect.provide(program, guarded))) // [ 'NodeDown', 'NodeDown', 'CircuitOpen' ]
