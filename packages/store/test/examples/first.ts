import { RateLimit } from "@hawser/ratelimit"
import { Sqlite } from "@hawser/store"
import { Effect, Exit } from "effect"

const program = Effect.gen(function* () {
  // A file for processes of one machine; Redis for those of many.
  const store = yield* Sqlite.make({ path: ":memory:" })
  const plan = { name: "etherscan", limit: 5, window: "1 day", burst: 5, maxWait: 0 } as const
  const one = yield* RateLimit.make({ ...plan, shared: store.rateLimit() })
  const two = yield* RateLimit.make({ ...plan, shared: store.rateLimit() })
  const passes = (limit: RateLimit.RateLimit) => Effect.map(Effect.exit(limit.execute(Effect.void)), Exit.isSuccess)
  return yield* Effect.forEach([one, two, one, two, one, two], passes)
})

console.log(await Effect.runPromise(Effect.scoped(program))) // [ true, true, true, true, true, false ]
