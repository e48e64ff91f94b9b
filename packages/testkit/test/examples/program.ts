import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect, Fiber } from "effect"

const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_blockNumber", params: [] })
const ask = (url: string) => Effect.promise((signal) => fetch(url, { method: "POST", body, signal }))

const program = Effect.gen(function* () {
  const node = yield* FaultyNode.make({
    scenario: Scenario.first(1, Scenario.status(429, { retryAfter: "2 seconds" }))
  })

  const refused = yield* ask(node.url)
  console.log(refused.status, refused.headers.get("retry-after")) // 429 2
  const answered = yield* ask(node.url)
  console.log(yield* Effect.promise(() => answered.json())) // { jsonrpc: '2.0', id: 1, result: '0x3e8' }

  yield* node.play(Scenario.hang)
  const impatient = yield* Effect.forkChild(ask(node.url))
  yield* node.until((node) => node.requests.length === 3)
  yield* Fiber.interrupt(impatient)
  yield* node.until((node) => node.aborted === 1)
  console.log(node.requests.map((request) => request.ended)) // [ 'answered', 'answered', 'aborted' ]
})

await Effect.runPromise(Effect.scoped(program))
