import { Breaker } from "@hawser/breaker"
import type { JsonRpc } from "@hawser/core"
import { RateLimit } from "@hawser/ratelimit"
import { Redis } from "@hawser/store"
import { Effect, Layer } from "effect"
import { createClient } from "redis"

// Any upstream.
declare const node: Layer.Layer<JsonRpc.Upstream<never>>

const connect = Effect.acquireRelease(
  Effect.promise(() =>
    createClient({ url: "redis://localhost", disableOfflineQueue: true })
      .on("error", () => {})
      .connect()
  ),
  (client) => Effect.sync(() => client.destroy())
)

export const upstream = Layer.unwrap(
  Effect.gen(function* () {
    const client = yield* connect
    const store = yield* Redis.make({ send: (command) => client.sendCommand(command) })
    return node.pipe(
      // Four processes: while Redis is away, each keeps to a quarter.
      RateLimit.layer({ limit: 100, window: "1 second", shared: store.rateLimit({ share: 1 / 4 }) }),
      Breaker.layer({ shared: store.breaker() })
    )
  })
)
