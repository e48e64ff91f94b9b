import { Effect } from "effect"
import { JsonRpc, RateLimit, Stack } from "hawser"

// What the plan's price list says; all else is 20.
const units: Readonly<Record<string, number>> = { eth_chainId: 0, eth_blockNumber: 10, eth_call: 26, eth_getLogs: 75 }

const live = Stack.layer({
  chainId: 1,
  upstreams: [
    {
      url: "https://eth.drpc.org",
      rateLimit: {
        limits: [
          { limit: 500, window: "1 second" },
          { limit: 1_000, window: "1 day", burst: 100 }
        ],
        weight: ({ method }) => units[method] ?? 20,
        // Whoever waits for a balance goes before whoever indexes.
        priority: ({ method }) => (method === "eth_getLogs" ? -1 : 0)
      }
    }
  ]
})

const program = Effect.gen(function* () {
  const rpc = yield* JsonRpc.client<Stack.Error>()
  const logsOf = (block: string) =>
    Effect.match(rpc.request(JsonRpc.makeRequest("eth_getLogs", [{ fromBlock: block, toBlock: block }])), {
      onSuccess: () => "answered",
      onFailure: (error) =>
        error._tag === "NoAnswer" && error.causes.every(({ error }) => RateLimit.isRateLimited(error))
          ? "nothing left to spend"
          : error.message
    })
  // 75 units, of which the day gives 100 at once and 42 an hour.
  console.log(yield* logsOf("0x1")) // answered
  console.log(yield* logsOf("0x2")) // nothing left to spend
})

await Effect.runPromise(Effect.provide(program, live))
