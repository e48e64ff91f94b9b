// ethers' own providers write to the console and leave rejections unhandled while nodes fail. Ours does neither.
import { assert, describe, it } from "@effect/vitest"
import { HawserProvider } from "@hawser/ethers"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect } from "effect"
import type { Listener, ProviderEvent } from "ethers"
import { faults } from "./faults.ts"

/** Hears what reaches nobody, and what is written to the console. */
const overheard = Effect.acquireRelease(
  Effect.sync(() => {
    const heard: Array<unknown> = []
    const onRejection = (error: unknown) => void heard.push(error)
    const methods = ["log", "info", "warn", "error", "debug", "trace"] as const
    const originals = methods.map((method) => console[method])
    for (const method of methods) console[method] = (...args: Array<unknown>) => void heard.push(args)
    process.on("unhandledRejection", onRejection)
    process.on("uncaughtException", onRejection)
    const stop = () => {
      process.off("unhandledRejection", onRejection)
      process.off("uncaughtException", onRejection)
      for (const [i, method] of methods.entries()) console[method] = originals[i]!
    }
    return { heard, stop }
  }),
  ({ stop }) => Effect.sync(stop)
)

const hash = `0x${"1".repeat(64)}`

const events: ReadonlyArray<ProviderEvent> = [
  "block",
  "safe",
  "finalized",
  "pending",
  "error",
  "network",
  hash,
  { address: "0x00000000000000000000000000000000000000aa" },
  { topics: [null, hash] }
]

// Unhandled rejections are told when a turn is over.
const turns = Effect.promise(async () => {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
})

describe("an ethers provider with listeners is quiet", () => {
  const healthy = { title: "is well", scenario: Scenario.healthy }
  const onWs: ReadonlyArray<Scenario.Scenario> = [Scenario.hang, Scenario.drop, Scenario.refuse, Scenario.healthy]
  for (const { scenario, title } of [...faults, healthy]) {
    for (const wire of onWs.includes(scenario) ? (["url", "wsUrl"] as const) : (["url"] as const)) {
      it.live(`over ${wire === "url" ? "HTTP" : "WebSocket"}, when its node ${title}, then is well, then is lost`, () =>
        Effect.gen(function* () {
          const { heard } = yield* overheard
          const node = yield* FaultyNode.make({ scenario })
          const provider = new HawserProvider([{ url: node[wire], timeout: "50 millis" }], 1, {
            pollingInterval: 5,
            retry: false,
            breaker: false,
            deadline: "1 second"
          })
          const more = Effect.promise(() => {
            node.mine()
            return provider.getBlockNumber().catch(() => {})
          })
          const busy = Effect.repeat(more, { times: 5 })
          const listener: Listener = () => {}
          for (const event of events) yield* Effect.promise(() => provider.on(event, listener))
          // As ethers' own wait() does: it asks for the head when it is told of a receipt.
          yield* Effect.promise(() => provider.on("block", () => provider.getBlockNumber()))
          const waits = [
            provider.waitForTransaction(hash),
            provider.waitForTransaction(hash, 2, 20),
            provider.getBalance(hash.slice(0, 42))
          ]
          const settled = Promise.allSettled(waits)
          yield* busy
          yield* node.play(Scenario.healthy)
          yield* busy
          yield* node.play(Scenario.refuse)
          yield* busy
          provider.destroy()
          yield* Effect.promise(() => settled)
          yield* turns
          assert.deepStrictEqual(heard, [])
        })
      )
    }
  }
})
