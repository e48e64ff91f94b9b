import { UpstreamPool } from "@hawser/pool"
import { Effect } from "effect"

const listFrom = (mirror: string) =>
  mirror === "eu.example" ? Effect.fail("502 Bad Gateway") : Effect.succeed("42 packages")

const program = Effect.gen(function* () {
  const mirrors = yield* UpstreamPool.make([
    { name: "eu", upstream: "eu.example" },
    { name: "us", upstream: "us.example" },
    { name: "asia", upstream: "asia.example", tier: 1 }
  ])

  // Whichever is drawn first: one that fails is made good by the next.
  return yield* mirrors.execute(listFrom)
})

console.log(await Effect.runPromise(program)) // 42 packages
