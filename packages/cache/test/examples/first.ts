import { ResponseCache } from "@hawser/cache"
import { Effect } from "effect"

const price = Effect.sync(() => {
  console.log("asking") // asking
  return 42
})

const program = Effect.gen(function* () {
  const cache = yield* ResponseCache.make({ capacity: 1_000 })
  const cached = cache.execute("price", price, {
    ttl: "2 seconds",
    staleWhileRevalidate: "10 seconds",
    staleIfError: "1 hour"
  })
  console.log(yield* Effect.all([cached, cached, cached])) // [ 42, 42, 42 ]
})

await Effect.runPromise(Effect.scoped(program))
