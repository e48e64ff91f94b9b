import { assert, describe, it } from "@effect/vitest"
import { Breaker } from "@hawser/breaker"
import { JsonRpc } from "@hawser/core"
import { UpstreamPool } from "@hawser/pool"
import { Deadline, Retry, Timeout } from "@hawser/retry"
import { Chain, Filters, Http, Method, Subscription, Ws } from "@hawser/rpc"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Context, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"

const guarded = (self: Layer.Layer<JsonRpc.Upstream<Ws.WsError>>, chain: Chain.Chain) =>
  self.pipe(Timeout.layer("4 seconds"), Breaker.layer(), Chain.layer(chain))

const overWs = (node: FaultyNode.FaultyNode, chain: Chain.Chain) => guarded(Ws.layer({ url: node.wsUrl }), chain)

const overHttp = (node: FaultyNode.FaultyNode, chain: Chain.Chain) =>
  guarded(Http.layer({ url: node.url }), chain).pipe(Method.layer({ exclude: ["eth_subscribe", "eth_unsubscribe"] }))

/** A client over nodes, some by WebSocket and some by HTTP. */
const clientOf = (ws: ReadonlyArray<FaultyNode.FaultyNode>, http: ReadonlyArray<FaultyNode.FaultyNode> = []) => {
  const chain = Chain.make(1)
  const upstreams = [...ws.map((node) => overWs(node, chain)), ...http.map((node) => overHttp(node, chain))]
  const layer = UpstreamPool.layer(upstreams as ReadonlyArray<Layer.Layer<JsonRpc.Upstream<unknown>>>).pipe(
    Retry.layer(),
    Subscription.layer(),
    Filters.layer(),
    Deadline.layer("10 seconds")
  )
  return Effect.map(Layer.build(layer), (context) => Context.get(context, JsonRpc.client<unknown>()))
}

const nodes = (count: number) =>
  Effect.forEach(Array.from({ length: count }), () => FaultyNode.make({ head: 100 }), { concurrency: "unbounded" })

/** Lets time pass, little by little, until a condition holds: sockets are real, everything else waits for this. */
const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() =>
    condition()
      ? Effect.void
      : Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void))).pipe(
          Effect.andThen(TestClock.adjust("5 millis")),
          Effect.andThen(until(condition))
        )
  )

const passing = <A, E>(effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect)
    yield* until(() => fiber.pollUnsafe() !== undefined)
    return yield* Fiber.join(fiber)
  })

const hear = (client: JsonRpc.Service<unknown>, params: ReadonlyArray<unknown>) => {
  const heard: Array<any> = []
  const lost: Array<unknown> = []
  const hearing = { onNotification: (one: unknown) => heard.push(one), onLost: (error: unknown) => lost.push(error) }
  return passing(Effect.map(Subscription.listen(client, params, hearing), (opened) => ({ heard, lost, opened })))
}

const source = (client: JsonRpc.Service<unknown>) =>
  (client.inspect()["subscription"] as Subscription.Inspection).source

const numbers = (heads: ReadonlyArray<any>) => heads.map(({ number }) => Number(number))

const from = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, i) => first + i)

/** Each head follows the one before it, or replaces some. */
const follows = (heads: ReadonlyArray<any>) => {
  const known = new Map<string, string>()
  for (const [i, { hash, number, parentHash }] of heads.entries()) {
    if (i > 0)
      assert.isTrue(
        known.has(parentHash) || Number(number) <= Number(heads[0].number),
        `${Number(number)} has no parent`
      )
    assert.isFalse(known.has(hash), `${Number(number)} was told twice`)
    known.set(hash, number)
  }
}

/** What remains of logs when those are taken out that were taken back. */
const remaining = (logs: ReadonlyArray<any>) => {
  const held: Array<any> = []
  for (const log of logs) {
    if (log.removed === true) assert.strictEqual(held.pop()?.blockHash, log.blockHash)
    else held.push(log)
  }
  return held.map(({ blockNumber }) => Number(blockNumber))
}

describe("two nodes over WebSocket", () => {
  it.effect("of which one dies: no gap, nothing twice, and one subscription for all", () =>
    Effect.gen(function* () {
      const both = yield* nodes(2)
      const client = yield* clientOf(both)
      const heads = yield* Effect.forEach([1, 2, 3], () => hear(client, ["newHeads"]))
      const logs = yield* hear(client, ["logs", { address: `0x${"7".repeat(40)}` }])
      const subscriptions = () => both.reduce((sum, node) => sum + node.subscriptions, 0)
      yield* until(() => subscriptions() === 1 && source(client) !== undefined)
      const mine = (blocks: number) => {
        for (const node of both) node.mine(blocks)
      }
      mine(3)
      yield* until(() => heads[0]!.heard.length === 3)
      const dying = both.find(({ subscriptions }) => subscriptions === 1)!
      const living = both.find((node) => node !== dying)!
      yield* dying.play(Scenario.refuse)
      // Mined while nobody is told.
      mine(2)
      yield* until(() => living.subscriptions === 1)
      mine(2)
      yield* until(() => heads[0]!.heard.length === 7 && logs.heard.length === 7)
      for (const node of both) node.reorg(2)
      mine(1)
      yield* until(() => heads[0]!.heard.length === 10 && logs.heard.length === 12)
      for (const { heard, lost } of heads) {
        assert.deepStrictEqual(numbers(heard), [...from(101, 107), 106, 107, 108])
        follows(heard)
        assert.deepStrictEqual(lost, [])
      }
      assert.deepStrictEqual(
        logs.heard.map(({ blockNumber, removed }) => [Number(blockNumber), removed]),
        [...from(101, 107).map((n) => [n, false]), [107, true], [106, true], ...from(106, 108).map((n) => [n, false])]
      )
      assert.strictEqual(subscriptions(), 1)
      for (const { opened } of [...heads, logs]) opened.cancel()
      yield* until(() => subscriptions() === 0)
    })
  )

  it.effect("of which one's socket is only half open: its silence is noticed", () =>
    Effect.gen(function* () {
      const both = yield* nodes(2)
      const client = yield* clientOf(both)
      const { heard } = yield* hear(client, ["newHeads"])
      yield* until(() => source(client) !== undefined && both.some(({ subscriptions }) => subscriptions === 1))
      const silent = both.find(({ subscriptions }) => subscriptions === 1)!
      const other = both.find((node) => node !== silent)!
      for (const node of both) node.mine()
      yield* until(() => heard.length === 1)
      yield* silent.play(Scenario.hang)
      for (const node of both) node.mine(2)
      yield* until(() => other.subscriptions === 1)
      other.mine()
      yield* until(() => heard.length === 4)
      assert.deepStrictEqual(numbers(heard), from(101, 104))
      follows(heard)
    })
  )

  it.effect("of which each dies in turn, again and again", () =>
    Effect.gen(function* () {
      const both = yield* nodes(2)
      const client = yield* clientOf(both)
      const [heads, logs] = [yield* hear(client, ["newHeads"]), yield* hear(client, ["logs", {}])]
      let height = 100
      for (let round = 0; round < 6; round++) {
        const [down, up] = round % 2 === 0 ? [both[0]!, both[1]!] : [both[1]!, both[0]!]
        yield* up.play(Scenario.healthy)
        yield* down.play(Scenario.refuse)
        for (const node of both) node.mine(2)
        height += 2
        if (round === 3) for (const node of both) node.reorg(3)
        yield* until(() => numbers(heads.heard).at(-1) === height && remaining(logs.heard).length === height - 100)
      }
      follows(heads.heard)
      assert.deepStrictEqual(remaining(logs.heard), from(101, height))
      assert.deepStrictEqual([heads.lost, logs.lost], [[], []])
    })
  )
})

describe("a node over WebSocket and one over HTTP", () => {
  it.effect("move to looking when the first is gone, and back when it is back", () =>
    Effect.gen(function* () {
      const [socket, http] = (yield* nodes(2)) as [FaultyNode.FaultyNode, FaultyNode.FaultyNode]
      const client = yield* clientOf([socket], [http])
      const { heard } = yield* hear(client, ["newHeads"])
      const mine = (blocks: number) => {
        for (const node of [socket, http]) node.mine(blocks)
      }
      yield* until(() => socket.subscriptions === 1 && source(client) !== undefined)
      mine(1)
      yield* until(() => heard.length === 1)
      yield* socket.play(Scenario.refuse)
      mine(3)
      yield* until(() => heard.length === 4)
      assert.isUndefined(source(client))
      mine(1)
      yield* until(() => heard.length === 5)
      yield* socket.play(Scenario.healthy)
      yield* until(() => source(client) !== undefined)
      mine(1)
      yield* until(() => heard.length === 6)
      assert.deepStrictEqual(numbers(heard), from(101, 106))
      follows(heard)
      assert.strictEqual(http.count("eth_subscribe"), 0)
    })
  )
})

describe("filters over two nodes", () => {
  const ask = (client: JsonRpc.Service<unknown>, method: string, ...params: ReadonlyArray<unknown>) =>
    passing(client.request(JsonRpc.makeRequest(method, params))) as Effect.Effect<any, unknown>

  it.effect("of which each dies in turn: no gap, nothing twice", () =>
    Effect.gen(function* () {
      const both = yield* nodes(2)
      const client = yield* clientOf([], both)
      const blocks = yield* ask(client, "eth_newBlockFilter")
      const logs = yield* ask(client, "eth_newFilter", { address: `0x${"7".repeat(40)}` })
      const told: Array<any> = []
      let hashes = 0
      for (let round = 0; round < 6; round++) {
        const [down, up] = round % 2 === 0 ? [both[0]!, both[1]!] : [both[1]!, both[0]!]
        yield* up.play(Scenario.healthy)
        yield* down.play(Scenario.refuse)
        for (const node of both) node.mine(2)
        if (round === 3) for (const node of both) node.reorg(3)
        hashes += (yield* ask(client, "eth_getFilterChanges", blocks)).length
        told.push(...(yield* ask(client, "eth_getFilterChanges", logs)))
      }
      assert.deepStrictEqual(remaining(told), from(101, 112))
      // Three blocks were replaced; one of them had been told, and is told in its new form.
      assert.strictEqual(hashes, 12 + told.filter(({ removed }) => removed === true).length)
      assert.isTrue(yield* ask(client, "eth_uninstallFilter", logs))
      assert.strictEqual(both[0]!.count("eth_newFilter") + both[1]!.count("eth_newFilter"), 0)
    })
  )

  it.effect("of waiting transactions stay with their node, and are made anew at another when it is gone", () =>
    Effect.gen(function* () {
      const pending = (name: string) => {
        const made: Array<string> = []
        return {
          eth_newPendingTransactionFilter: () => `0x${made.push(name)}`,
          eth_getFilterChanges: ([id]: ReadonlyArray<unknown>) =>
            made[Number(id) - 1] === undefined ? FaultyNode.error(-32000, "filter not found") : [name],
          eth_uninstallFilter: () => true
        }
      }
      const a = yield* FaultyNode.make({ methods: pending("a") })
      const b = yield* FaultyNode.make({ methods: pending("b") })
      const client = yield* clientOf([], [a, b])
      const id = yield* ask(client, "eth_newPendingTransactionFilter")
      const [own, other] = a.count("eth_newPendingTransactionFilter") === 1 ? [a, b] : [b, a]
      for (let i = 0; i < 10; i++) assert.strictEqual((yield* ask(client, "eth_getFilterChanges", id)).length, 1)
      assert.strictEqual(other.count("eth_getFilterChanges"), 0)
      // The other has a filter of the same id, of somebody else.
      yield* Effect.promise(() =>
        fetch(other.url, {
          method: "POST",
          body: JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_newPendingTransactionFilter", params: [] })
        }).then((response) => response.json())
      )
      yield* own.play(Scenario.refuse)
      assert.deepStrictEqual(yield* ask(client, "eth_getFilterChanges", id), [])
      assert.deepStrictEqual(yield* ask(client, "eth_getFilterChanges", id), [other === b ? "b" : "a"])
      assert.strictEqual(other.count("eth_newPendingTransactionFilter"), 2)
    })
  )
})
