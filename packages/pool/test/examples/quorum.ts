import { UpstreamPool } from "@hawser/pool"
import { Effect } from "effect"

const program = Effect.gen(function* () {
  const nodes = yield* UpstreamPool.make([
    { name: "a", upstream: Effect.succeed("0x10") },
    { name: "b", upstream: Effect.succeed("0x10") },
    { name: "c", upstream: Effect.succeed("0xbad") }
  ])

  return yield* nodes.quorum((node) => node, { of: 3, agree: 2 })
})

console.log(await Effect.runPromise(program)) // 0x10
