import { ResponseCache } from "@hawser/cache"
import { type Call, JsonRpc } from "@hawser/core"
import { Effect, type Layer } from "effect"

// Any client: a pool of upstreams, for example.
declare const pool: Layer.Layer<JsonRpc.Client<JsonRpc.Rejected | Call.NoAnswer>>

const client = pool.pipe(
  ResponseCache.layer({
    capacity: 50_000,
    policy: ({ method }) => {
      switch (method) {
        case "eth_chainId":
          return { ttl: Infinity }
        case "eth_gasPrice":
          return { ttl: "1 second", staleIfError: "10 seconds" }
        case "eth_getTransactionReceipt":
          // Not there yet is not kept.
          return { ttl: (receipt) => (receipt === null ? undefined : "1 minute") }
        default:
          return { ttl: 0 }
      }
    }
  })
)

const program = Effect.gen(function* () {
  const { request } = yield* JsonRpc.client<JsonRpc.Rejected | Call.NoAnswer>()
  const { report, value } = yield* JsonRpc.explain(request(JsonRpc.makeRequest("eth_gasPrice")))
  return report.stale ? `${String(value)}, but old` : value
})

export const gasPrice = Effect.provide(program, client)
