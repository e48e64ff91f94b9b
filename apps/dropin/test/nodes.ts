import { afterAll, assert, beforeAll } from "@effect/vitest"
import { Anvil, FaultyNode, Scenario } from "@hawser/testkit"
import { Effect, Exit, Scope } from "effect"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import type { Played } from "../src/steps.ts"

/** A chain that is the same each time: the same transactions give the same blocks. */
export const chain = Effect.gen(function* () {
  const anvil = yield* Anvil.make({ args: ["--timestamp", "1700000000"] })
  yield* anvil.rpc("anvil_setBlockTimestampInterval", [1])
  return anvil
})

/** Answers lookups from off the chain: twice the number that was asked about. */
export const gateway = Effect.map(
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = createServer((request, response) => {
        void (async () => {
          let body = ""
          for await (const chunk of request) body += String(chunk)
          const { data } = JSON.parse(body) as { readonly data: string }
          response.setHeader("content-type", "application/json")
          response.end(JSON.stringify({ data: `0x${(BigInt(data) * 2n).toString(16).padStart(64, "0")}` }))
        })()
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      return server
    }),
    (server) =>
      Effect.promise(() => {
        server.closeAllConnections()
        return new Promise((resolve) => server.close(resolve))
      })
  ),
  (server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`
)

/** What all tests of a file share: made before the first, gone after the last. */
export const shared = <A>(effect: Effect.Effect<A, unknown, Scope.Scope>): (() => A) => {
  const scope = Scope.makeUnsafe()
  let made: A
  beforeAll(async () => {
    made = await Effect.runPromise(Scope.provide(effect, scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return () => made
}

/** Two nodes as the weather has it and one that is well, all in front of one chain. */
export const nodes = (scenarios: ReadonlyArray<Scenario.Scenario>) =>
  Effect.flatMap(chain, ({ url: behind }) =>
    Effect.forEach([...scenarios, Scenario.healthy], (scenario, seed) =>
      FaultyNode.make({ scenario: spared(scenario), behind, seed })
    )
  )

// A node's own account is one node's affair: what it signs, no other can send.
const spared = (scenario: Scenario.Scenario): Scenario.Scenario =>
  scenario._tag === "Refuse"
    ? scenario
    : Scenario.firstOf(Scenario.when({ method: "eth_sendTransaction" }, Scenario.healthy), scenario)

/** What stands between the application and its nodes, of which the others are well. */
export const weather: Readonly<Record<string, ReadonlyArray<Scenario.Scenario>>> = {
  "all is well": [],
  "one down, one throttled": [
    Scenario.refuse,
    Scenario.sometimes(0.5, Scenario.status(429, { retryAfter: "1 second" }))
  ],
  "many answers are broken on two nodes": [
    Scenario.sometimes(0.25, Scenario.status(503)),
    Scenario.sometimes(0.5, Scenario.truncated)
  ],
  "one drops connections midway, one answers with errors of its own": [
    Scenario.sometimes(0.5, Scenario.dropMidway),
    Scenario.sometimes(0.5, Scenario.error(-32603, "internal error"))
  ]
}

/** The same value or the same error; where bad weather leaves it open, an error at least. */
export const same = (
  weather: string,
  ours: Played,
  bare: Played,
  plain: (played: unknown) => unknown = (played) => played
): void => {
  if (bare.settled || weather === "all is well") assert.deepStrictEqual(plain(ours), plain(bare), ours.title)
  else assert.isDefined(ours.error, ours.title)
}
