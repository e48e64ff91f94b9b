import { JsonRpc } from "@hawser/core"
import { Concurrency, RateLimit } from "@hawser/ratelimit"
import { Effect, Layer } from "effect"

const node = Layer.succeed(JsonRpc.upstream<never>())({
  name: "node.example",
  request: ({ method }) => Effect.succeed(`answer to ${method}`),
  inspect: () => ({ name: "node.example" })
})

// Upstream<never> becomes Upstream<ConcurrencyFull | RateLimited>.
const limited = node.pipe(
  Concurrency.layer({ limit: 20, adaptive: true }),
  RateLimit.layer({
    limits: [
      { limit: 330, window: "1 second" },
      { limit: 1_000_000, window: "1 day" }
    ],
    weight: ({ method }) => (method === "eth_getLogs" ? 75 : 10),
    priority: ({ method }) => (method.startsWith("debug_") ? -1 : 0)
  })
)

const program = Effect.gen(function* () {
  const upstream = yield* JsonRpc.upstream<Concurrency.ConcurrencyFull | RateLimit.RateLimited>()
  return yield* upstream.request(JsonRpc.makeRequest("eth_blockNumber"))
})

console.log(await Effect.runPromise(Effect.provide(program, limited))) // answer to eth_blockNumber
