import { JsonRpc } from "@hawser/core"
import { UpstreamPool } from "@hawser/pool"
import { Data, Effect, Layer } from "effect"

class NodeDown extends Data.TaggedError("NodeDown")<{ readonly status: number }> {}

const node = <E>(name: string, answer: Effect.Effect<unknown, E>) =>
  Layer.succeed(JsonRpc.upstream<E>())({ name, request: () => answer, inspect: () => ({ name }) })

// Upstream<NodeDown> and Upstream<never> become Client<NoAnswer<NodeDown | Defect>>.
const client = UpstreamPool.layer([
  node("own", Effect.fail(new NodeDown({ status: 503 }))),
  { upstream: node("paid", Effect.succeed("0x10")), tier: 1 }
])

const program = Effect.flatMap(JsonRpc.client(), (rpc) => rpc.request(JsonRpc.makeRequest("eth_blockNumber")))

console.log(await Effect.runPromise(Effect.provide(program, client))) // 0x10
