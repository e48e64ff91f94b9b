import { assert, describe, it } from "@effect/vitest"
import { FaultyNode } from "@hawser/testkit"
import type { Options } from "@hawser/viem"
import { Effect } from "effect"
import { clientOf, errorOf, type Viem, type Watch } from "../support/Viem.ts"

/** The first that a watcher is told. */
const heard = <A>(watch: Watch<A>) =>
  Effect.callback<A>((resume) =>
    Effect.sync(
      watch(
        (told) => resume(Effect.succeed(told)),
        (error) => resume(Effect.die(error))
      )
    )
  )

/** What watchers are told. */
export const subscriptions = <T>(viem: Viem<T>): void => {
  const overWebSocket = (options?: Options) =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const transport = viem.hawser(node.wsUrl, options)
      return { client: yield* clientOf(viem, transport), node, transport }
    })

  describe("subscriptions", () => {
    it("are what watchers use, where an upstream is a WebSocket or push asks for it", () => {
      const isPushing = (url: string | ReadonlyArray<string>, options?: Options) =>
        viem.isPushing(viem.hawser(url, options))
      assert.isFalse(isPushing("http://127.0.0.1:1"))
      assert.isTrue(isPushing("ws://127.0.0.1:1"))
      assert.isTrue(isPushing(["http://127.0.0.1:1", "wss://127.0.0.1:1"]))
      assert.isTrue(isPushing("http://127.0.0.1:1", { push: true }))
      assert.isFalse(isPushing("ws://127.0.0.1:1", { push: false }))
    })

    it.live("hear until they are unsubscribed", () =>
      Effect.gen(function* () {
        const { client, node } = yield* overWebSocket()
        const told: Array<readonly [string, number]> = []
        let heard = () => {}
        const { subscriptionId, unsubscribe } = yield* Effect.promise(() =>
          client.subscribe(["newHeads"], ({ result, subscription }) => {
            told.push([subscription, Number((result as { readonly number: string }).number)])
            heard()
          })
        )
        yield* node.until(({ subscriptions }) => subscriptions === 1)
        const first = Effect.promise(() => new Promise<void>((resolve) => void (heard = resolve)))
        node.mine()
        yield* first
        assert.deepInclude(yield* Effect.promise(unsubscribe), { result: true })
        yield* node.until(({ subscriptions }) => subscriptions === 0)
        node.mine()
        assert.deepStrictEqual(told, [[subscriptionId, 1001]])
      })
    )

    it.live("to what there is not fail as the node has it", () =>
      Effect.gen(function* () {
        const { client } = yield* overWebSocket({ retry: false })
        assert.strictEqual((yield* errorOf(() => client.subscribe(["lol"]))).code, -32602)
      })
    )

    it.live("tell that they are over", () =>
      Effect.gen(function* () {
        const { client } = yield* overWebSocket()
        const over = Effect.callback<unknown>((resume) => {
          const onError = (error: unknown) => resume(Effect.succeed(error))
          void client.subscribe(["newHeads"], undefined, onError).then(client.transport.close)
        })
        assert.deepInclude(yield* over, { _tag: "SubscriptionLost", reason: "closed" })
      })
    )

    it.live("tell watchers of pending transactions their hashes", () =>
      Effect.gen(function* () {
        const { client, node } = yield* overWebSocket()
        const sent = Effect.andThen(
          node.until(({ subscriptions }) => subscriptions === 1),
          Effect.promise(() => client.request({ method: "eth_sendRawTransaction", params: ["0x01"] }))
        )
        const [hashes, hash] = yield* Effect.all([heard(client.watchPending), sent], { concurrency: "unbounded" })
        assert.deepStrictEqual<ReadonlyArray<unknown>>(hashes, [hash])
      })
    )

    it.live("tell watchers of heads, also through viem's fallback", () =>
      Effect.gen(function* () {
        const { node, transport } = yield* overWebSocket()
        const client = viem.client(viem.fallback([transport, viem.http("http://127.0.0.1:1")]), 1)
        const mined = Effect.andThen(
          node.until(({ subscriptions }) => subscriptions === 1),
          Effect.sync(() => node.mine())
        )
        const [head] = yield* Effect.all([heard(client.watchHeads), mined], { concurrency: "unbounded" })
        assert.strictEqual(head, 1001n)
      })
    )
  })
}
