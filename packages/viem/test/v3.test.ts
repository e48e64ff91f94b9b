import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { hawser, type HawserTransport } from "@hawser/viem/v3"
import { Effect } from "effect"
import type { Stack } from "hawser"
import { Actions, Client, custom, fallback, http, loadBalance, rateLimit, type Transport } from "viem3"
import { mainnet } from "viem3/chains"
import { expectTypeOf } from "vitest"
import { conformance } from "./conformance.ts"
import { errorOf } from "./support/Viem.ts"
import { viem3 } from "./support/viem3.ts"

conformance(viem3)

/** A client of a transport, which is closed with the scope. */
const clientOf = (transport: HawserTransport) =>
  Effect.acquireRelease(
    Effect.sync(() => Client.create({ chain: mainnet, transport })),
    (client) => Effect.promise(client.transport.close)
  )

describe("an instance", () => {
  it("is what setup() gives, with subscribe where watchers are to use it", () => {
    const keys = ["close", "on", "request", "retryCount", "status", "timeout"]
    assert.hasAllKeys(hawser("http://127.0.0.1:1").setup(), keys)
    assert.hasAllKeys(hawser("ws://127.0.0.1:1").setup(), [...keys, "subscribe"])
  })

  it.live("leaves out the retries that a client is given", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.status(500) })
      const transport = hawser(node.url, { retry: false })
      const client = Client.create({ chain: mainnet, transport, retryCount: 3 })
      yield* errorOf(() => client.request({ method: "eth_blockNumber" }))
      assert.strictEqual(node.count(), 1)
      yield* Effect.promise(client.transport.close)
    })
  )

  it.live("nests in loadBalance and rateLimit", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const transport = hawser(["http://127.0.0.1:1", node.url])
      const over = loadBalance([transport, rateLimit(transport, { requestsPerSecond: 100 })], { retryCount: 0 })
      const client = Client.create({ chain: mainnet, transport: over, cacheTime: 0 })
      for (let i = 0; i < 4; i++) {
        assert.strictEqual(yield* Effect.promise(() => Actions.block.getNumber(client)), 1000n)
      }
      assert.strictEqual(node.count("eth_blockNumber"), 4)
      yield* Effect.promise(transport.setup({ chain: mainnet }).close)
    })
  )
})

describe("a subscription", () => {
  it.live("keeps what it is told until somebody listens", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const { close, subscribe } = (yield* clientOf(hawser(node.wsUrl))).transport
      const subscription = yield* Effect.promise(() => subscribe!({ params: ["newHeads"] }))
      const told: Array<readonly [string, unknown]> = []
      const listen = Effect.sync(() =>
        subscription.onData(({ result, subscription }) =>
          told.push([subscription, (result as { number: string }).number])
        )
      )
      // Who listens to the same is told at the same time.
      const other = yield* Effect.promise(() => subscribe!({ params: ["newHeads"] }))
      const heads = (to: string) =>
        Effect.callback<void>((resume) => {
          other.onData(({ result }) => {
            if ((result as { number: string }).number === to) resume(Effect.void)
          })
          node.mine()
        })
      yield* heads("0x3e9")
      yield* heads("0x3ea")
      yield* listen
      const { subscriptionId } = subscription
      assert.deepStrictEqual(told, [
        [subscriptionId, "0x3e9"],
        [subscriptionId, "0x3ea"]
      ])
      yield* heads("0x3eb")
      assert.deepStrictEqual(told.at(-1), [subscriptionId, "0x3eb"])
      assert.deepStrictEqual(yield* Effect.promise(() => other.unsubscribe()), { id: 0, jsonrpc: "2.0", result: true })
      yield* Effect.promise(close)
      const lost = yield* Effect.callback<unknown>((resume) =>
        subscription.onError((error) => resume(Effect.succeed(error)))
      )
      assert.deepInclude(lost, { _tag: "SubscriptionLost", reason: "closed" })
    })
  )

  it.live("serves block.watchHeaders, which needs one, over HTTP too", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const client = yield* clientOf(hawser(node.url, { push: true, subscription: { interval: "5 millis" } }))
      const header = yield* Effect.callback<bigint | null>((resume) => {
        const watcher = Actions.block.watchHeaders(client)
        watcher.onError((error) => resume(Effect.die(error)))
        watcher.onBlockHeader(({ number }) => resume(Effect.succeed(number)))
        Effect.runFork(
          Effect.andThen(
            // It asks again when it has the answer.
            node.until((node) => node.count("eth_getBlockByNumber") > 1),
            Effect.sync(() => node.mine())
          )
        )
        return Effect.sync(watcher.off)
      })
      assert.strictEqual(header, 1001n)
    })
  )
})

describe("types", () => {
  it("is a transport wherever viem 3 takes one", () => {
    const transport = hawser(["http://127.0.0.1:1"])
    expectTypeOf(transport).toEqualTypeOf<HawserTransport>()
    expectTypeOf(transport).toExtend<Transport.Transport>()
    const client = Client.create({ chain: mainnet, transport })
    expectTypeOf(client).toExtend<Client.Client>()
    expectTypeOf(client.transport.status).toEqualTypeOf<() => Stack.Status>()
    expectTypeOf<NonNullable<typeof client.transport.subscribe>>().toEqualTypeOf<
      ReturnType<Transport.WebSocket["setup"]>["subscribe"]
    >()
    fallback([transport, http(), custom({ request: () => Promise.resolve("0x1") })])
  })
})
