import { RateLimit } from "@hawser/ratelimit"
import { Effect } from "effect"

const program = Effect.gen(function* () {
  const etherscan = yield* RateLimit.make({ name: "etherscan", limit: 5, window: "1 second", burst: 3 })
  const fetchPage = (page: number) => etherscan.execute(Effect.succeed(`page ${page}`))

  // Three at once. A fourth would stand in line for 200 ms.
  return yield* Effect.forEach([1, 2, 3], fetchPage, { concurrency: "unbounded" })
})

console.log(await Effect.runPromise(program)) // [ 'page 1', 'page 2', 'page 3' ]
