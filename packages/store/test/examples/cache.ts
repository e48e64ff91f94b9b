import { ResponseCache } from "@hawser/cache"
import { Memory } from "@hawser/store"
import { Effect } from "effect"

const program = Effect.gen(function* () {
  const store = yield* Memory.make()
  const mainnet = { store: store.cache({ name: "mainnet" }) }
  const one = yield* ResponseCache.make(mainnet)
  const two = yield* ResponseCache.make(mainnet)
  yield* one.set("finalized", "0x1", { ttl: "1 minute", tags: ["head"] })
  return yield* two.execute("finalized", Effect.succeed("0x2"), { ttl: "1 minute" })
})

console.log(await Effect.runPromise(Effect.scoped(program))) // 0x1
