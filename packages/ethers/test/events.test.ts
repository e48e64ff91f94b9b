import { assert, describe, it } from "@effect/vitest"
import type { HawserProvider, Options, Source } from "@hawser/ethers"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect } from "effect"
import {
  type EventPayload,
  id,
  isError,
  type JsonRpcApiProvider,
  type JsonRpcPayload,
  type JsonRpcResult,
  type Log,
  type ProviderEvent
} from "ethers"
import { Http, type JsonRpc, Provider, UpstreamPool } from "hawser"
import { bareOf, errorOf, providerOf as make, to } from "./support/providers.ts"
import { seen } from "./support/seen.ts"

const providerOf = (source: Source, options?: Options) => make(source, 1, { pollingInterval: 10, ...options })

/** What a listener was told, for those who wait until it was told enough. */
class Heard<A> {
  readonly all: Array<A> = []
  private look = () => {}

  readonly add = (told: A): void => {
    this.all.push(told)
    this.look()
  }

  readonly until = (count: number): Effect.Effect<void> =>
    Effect.callback((resume) => {
      this.look = () => {
        // When whoever tells has told everybody.
        if (this.all.length >= count) queueMicrotask(() => resume(Effect.void))
      }
      this.look()
    })
}

/** What is told of an event from here on. */
const heardOf = <A>(provider: HawserProvider, event: ProviderEvent) =>
  Effect.promise(async () => {
    const heard = new Heard<A>()
    await provider.on(event, heard.add)
    return heard
  })

/** An HTTP node whose head is looked for; it is when its first look is over. */
const looked = (node: FaultyNode.FaultyNode) => {
  const before = node.count()
  return node.until(() => node.count() > before + 1)
}

describe("block", () => {
  it.live("tells of each block, those between included", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const provider = yield* providerOf(node.url)
      const heard = yield* heardOf<number>(provider, "block")
      yield* looked(node)
      node.mine(3)
      yield* heard.until(3)
      node.reorg(2)
      node.mine()
      yield* heard.until(4)
      assert.deepStrictEqual(heard.all, [1001, 1002, 1003, 1004])
    })
  )

  it.live("over a layer, a client and a provider, too", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const shared = Provider.make({ upstreams: [node.url], subscription: { interval: 10 } })
      const layer = UpstreamPool.layer([Http.layer({ url: node.url })])
      const client: JsonRpc.Service<unknown> = {
        name: "client",
        request: (request) => Effect.tryPromise(() => shared.request(request)),
        inspect: () => ({ name: "client" })
      }
      for (const source of [layer, client, shared]) {
        const provider = yield* providerOf(source)
        const heard = yield* heardOf<number>(provider, "block")
        yield* looked(node)
        node.mine()
        yield* heard.until(1)
        assert.deepStrictEqual(heard.all, [node.head])
        provider.destroy()
      }
      yield* Effect.promise(() => shared.close())
    })
  )
})

describe("logs", () => {
  it.live("by filter, in order; taken back as an orphan", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const provider = yield* providerOf(node.url)
      const filter = { address: to, topics: [id("Ping()")] }
      const heard = yield* heardOf<Log>(provider, filter)
      yield* looked(node)
      node.mine(2)
      yield* heard.until(2)
      node.reorg(1)
      node.mine()
      yield* heard.until(4)
      assert.deepStrictEqual(
        heard.all.map(({ blockNumber, removed, topics }) => [blockNumber, removed, topics[0]]),
        [1001, 1002, 1002, 1003].map((number) => [number, false, id("Ping()")])
      )
      assert.strictEqual(heard.all[0]!.provider, provider)
    })
  )
})

describe("safe and finalized", () => {
  it.live("tell when they rise", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const provider = yield* providerOf(node.url)
      const safe = yield* heardOf<number>(provider, "safe")
      const finalized = yield* heardOf<number>(provider, "finalized")
      yield* node.until((node) =>
        ["safe", "finalized"].every((tag) =>
          node.requests.some(
            ({ ended, params }) => ended === "answered" && (params as ReadonlyArray<unknown>)[0] === tag
          )
        )
      )
      node.mine(40)
      yield* safe.until(1)
      yield* finalized.until(1)
      assert.deepStrictEqual([safe.all, finalized.all], [[1008], [976]])
    })
  )
})

describe("pending", () => {
  it.live("over WebSocket by subscription", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const provider = yield* providerOf(node.wsUrl)
      const heard = yield* heardOf<string>(provider, "pending")
      yield* node.until(({ subscriptions }) => subscriptions === 1)
      const hash = yield* Effect.promise(() => provider.send("eth_sendRawTransaction", ["0x01"]))
      yield* heard.until(1)
      assert.deepStrictEqual(heard.all, [hash as string])
    })
  )

  it.live("over HTTP by a filter, made anew when it is lost", () =>
    Effect.gen(function* () {
      const waiting = ["0x01", "0x02", "0x03"]
      let asked = 0
      const node = yield* FaultyNode.make({
        methods: {
          eth_newPendingTransactionFilter: () => "0x7",
          eth_uninstallFilter: () => true,
          eth_getFilterChanges: () =>
            ++asked === 2 ? FaultyNode.error(-32000, "filter not found") : waiting.splice(0, 1)
        }
      })
      const provider = yield* providerOf(node.url)
      const heard = yield* heardOf<string>(provider, "pending")
      yield* heard.until(3)
      assert.deepStrictEqual(heard.all, ["0x01", "0x02", "0x03"])
      yield* Effect.promise(() => provider.off("pending"))
    })
  )
})

describe("a transaction", () => {
  it.live("is waited for no longer than asked", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const provider = yield* providerOf(node.url)
      const error = yield* errorOf(() => provider.waitForTransaction(id("none"), 1, 1))
      assert.isTrue(isError(error, "TIMEOUT"))
      assert.strictEqual(yield* Effect.promise(() => provider.listenerCount()), 0)
      assert.isNull(yield* Effect.promise(() => provider.waitForTransaction(id("none"), 0)))
    })
  )

  it.live("is found without a further block when no node answered before", () =>
    Effect.gen(function* () {
      const fault = Scenario.when({ method: "eth_getTransactionReceipt" }, Scenario.first(2, Scenario.status(503)))
      const node = yield* FaultyNode.make({ scenario: fault })
      const provider = yield* providerOf(node.url, { retry: false })
      const hash = (yield* Effect.promise(() => provider.send("eth_sendRawTransaction", ["0x01"]))) as string
      node.mine()
      const receipt = yield* Effect.promise(() => provider.waitForTransaction(hash))
      assert.strictEqual(receipt!.blockNumber, 1001)
    })
  )
})

describe("listeners", () => {
  it.live("are those that were given, and go when they are taken away", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const provider = yield* providerOf(node.url)
      const heard = new Heard<number>()
      const listener = (block: number) => heard.add(block)
      yield* Effect.promise(async () => {
        await provider.on("block", listener)
        await provider.once("block", heard.add)
        assert.deepStrictEqual(await provider.listeners("block"), [listener, heard.add])
        assert.strictEqual(await provider.listenerCount("block"), 2)
      })
      yield* looked(node)
      node.mine()
      yield* heard.until(2)
      yield* Effect.promise(async () => {
        assert.deepStrictEqual(await provider.listeners(), [listener])
        await provider.off("block", listener)
        assert.strictEqual(await provider.listenerCount(), 0)
      })
      assert.deepInclude(provider.status().subscription, { listeners: 0 })
    })
  )

  it.live("that ask and get no answer leave no rejection unhandled", () =>
    Effect.gen(function* () {
      const unhandled: Array<unknown> = []
      const onRejection = (error: unknown) => void unhandled.push(error)
      yield* Effect.acquireRelease(
        Effect.sync(() => process.on("unhandledRejection", onRejection)),
        () => Effect.sync(() => process.off("unhandledRejection", onRejection))
      )
      const node = yield* FaultyNode.make({
        scenario: Scenario.when({ method: "eth_blockNumber" }, Scenario.status(500))
      })
      const provider = yield* providerOf(node.url, { retry: false })
      const failed = new Heard<unknown>()
      const listener = async () => {
        await provider.getBlockNumber().catch((error: unknown) => {
          failed.add(error)
          throw error
        })
      }
      yield* Effect.promise(() => provider.on("block", listener))
      yield* looked(node)
      node.mine()
      yield* failed.until(1)
      // Unhandled rejections are told when a turn is over.
      yield* Effect.promise(() => new Promise((resolve) => setImmediate(() => setImmediate(resolve))))
      assert.deepStrictEqual(unhandled, [])
    })
  )

  it.live("take themselves away by their payload", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const provider = yield* providerOf(node.url)
      const removed = Effect.callback<void>((resume) => {
        void provider.on("block", (_: number, payload: EventPayload<unknown>) => {
          void payload.removeListener().then(() => resume(Effect.void))
        })
      })
      const mined = Effect.andThen(
        looked(node),
        Effect.sync(() => node.mine())
      )
      yield* Effect.all([removed, mined], { concurrency: "unbounded" })
      assert.strictEqual(yield* Effect.promise(() => provider.listenerCount()), 0)
    })
  )

  it.live("share one subscription, which ends with the last", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const provider = yield* providerOf(node.wsUrl)
      const listeners = yield* Effect.forEach([1, 2, 3], () => heardOf<number>(provider, "block"))
      yield* node.until(({ subscriptions }) => subscriptions === 1)
      node.mine()
      for (const heard of listeners) yield* heard.until(1)
      assert.strictEqual(node.count("eth_subscribe"), 1)
      yield* Effect.promise(() => provider.removeAllListeners())
      yield* node.until(({ subscriptions }) => subscriptions === 0)
    })
  )
})

describe("pause", () => {
  it.live("keeps what is told meanwhile, or drops it if asked to", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const provider = yield* providerOf(node.wsUrl)
      const heard = yield* heardOf<number>(provider, "block")
      const other = new Heard<number>()
      yield* node.until(({ subscriptions }) => subscriptions === 1)
      provider.pause()
      const watcher = Provider.make({ upstreams: [node.wsUrl] })
      yield* Effect.promise(() => watcher.subscribe(["newHeads"], { onNotification: () => other.add(0) }))
      yield* node.until(({ subscriptions }) => subscriptions === 2)
      node.mine(2)
      yield* other.until(2)
      assert.deepStrictEqual(heard.all, [])
      provider.resume()
      yield* heard.until(2)
      provider.pause(true)
      yield* node.until(({ subscriptions }) => subscriptions === 1)
      node.mine(2)
      yield* other.until(4)
      provider.resume()
      yield* node.until(({ subscriptions }) => subscriptions === 2)
      node.mine()
      yield* heard.until(3)
      assert.deepStrictEqual(heard.all, [1001, 1002, 1005])
      yield* Effect.promise(() => watcher.close())
    })
  )
})

describe("debug", () => {
  const revert = Scenario.when({ method: "eth_call" }, Scenario.error(3, "execution reverted", { data: "0x01" }))

  /** What debuggers are told, and when the application has its answer. Nobody waits for `on`, as applications do not. */
  const toldOf = async (provider: JsonRpcApiProvider) => {
    const told: Array<unknown> = []
    const tell = (it: unknown) => void told.push(it)
    void provider.on("debug", tell)
    void provider.once("debug", () => tell("once"))
    for (const ask of [
      () => provider.getBlockNumber(),
      () => provider.send("eth_blockNumber", []),
      () => provider.call({ to }),
      () => provider.send("eth_none", [1]),
      () => provider._send({ id: 7, method: "eth_chainId", params: [], jsonrpc: "2.0" })
    ]) {
      await ask().then(tell, tell)
    }
    await provider.off("debug", tell)
    await provider.getBlockNumber()
    return told
  }

  it.live("tells what ethers' own tells, before the application has its answer", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: revert })
      const ours = yield* providerOf(node.url)
      const bare = yield* bareOf(node.url)
      const told = yield* Effect.promise(() => toldOf(ours))
      assert.strictEqual(told.length, 14)
      assert.deepStrictEqual(seen(told), seen(yield* Effect.promise(() => toldOf(bare))))
    })
  )

  it.live("names a request and its answer by the same id", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const provider = yield* providerOf(node.url)
      const sent: Array<number> = []
      const received: Array<number> = []
      const listener = ({ payload, result }: { payload?: JsonRpcPayload; result?: Array<JsonRpcResult> }) => {
        if (payload !== undefined) sent.push(payload.id)
        if (result !== undefined) received.push(...result.map(({ id }) => id))
      }
      yield* Effect.promise(() => provider.on("debug", listener))
      yield* Effect.promise(() => Promise.all([1, 2, 3].map(() => provider.getBlockNumber())))
      assert.deepStrictEqual(sent, [1, 2, 3])
      assert.sameMembers(received, sent)
    })
  )

  it.live("tells of an error that is nobody's answer", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.status(500) })
      const provider = yield* providerOf(node.url, { retry: false })
      const heard = yield* heardOf<{ readonly action: string; readonly error: unknown }>(provider, "debug")
      yield* Effect.promise(() =>
        provider.send("eth_chainId", []).catch((error: unknown) => heard.add({ action: "rejected", error }))
      )
      assert.deepStrictEqual(
        heard.all.map(({ action }) => action),
        ["sendRpcPayload", "receiveRpcError", "rejected"]
      )
      assert.strictEqual(heard.all[1]!.error, heard.all[2]!.error)
    })
  )
})
