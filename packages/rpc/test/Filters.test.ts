import { assert, describe, it } from "@effect/vitest"
import { Call, JsonRpc, Options } from "@hawser/core"
import { Interruption } from "@hawser/testkit"
import { Context, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Filters from "../src/Filters.ts"
import { rejected } from "../src/internal/subscription/sessions.ts"
import { seeded } from "./subscription/tree.ts"
import { type Failing, World } from "./subscription/world.ts"

type Client = JsonRpc.Service<Filters.FilteringError<Failing>>

const facing = (options?: Filters.Options) =>
  Effect.gen(function* () {
    const world = new World()
    return { world, client: yield* Filters.make(world.client, options) }
  })

const ask = (client: Client, method: string, ...params: ReadonlyArray<unknown>): Effect.Effect<any, unknown> =>
  client.request(JsonRpc.makeRequest(method, params))

const changes = (client: Client, id: unknown) => ask(client, "eth_getFilterChanges", id)

const notFound = (effect: Effect.Effect<unknown, unknown>) =>
  Effect.map(Effect.flip(effect), (error) => {
    assert(error instanceof JsonRpc.Rejected)
    assert.deepStrictEqual([error.code, error.kind, error.message], [-32000, "filter", "filter not found"])
  })

describe("a filter of blocks", () => {
  it.effect("tells the hashes of those that came since, and after a reorganisation the new ones", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      const id = yield* ask(client, "eth_newBlockFilter")
      assert.match(id, /^0x[0-9a-f]{32}$/)
      assert.deepStrictEqual(yield* changes(client, id), [])
      const [a, b, c] = [world.tree.mine(), world.tree.mine(), world.tree.mine()].map(({ hash }) => hash)
      assert.deepStrictEqual(yield* changes(client, id), [a, b, c])
      assert.deepStrictEqual(yield* changes(client, id), [])
      world.tree.reorg(2, 1)
      const added = world.tree.chain.slice(-3).map(({ hash }) => hash)
      assert.deepStrictEqual(yield* changes(client, id), added)
      yield* notFound(ask(client, "eth_getFilterLogs", id))
      assert.strictEqual(world.count("eth_newBlockFilter") + world.count("eth_getFilterChanges"), 0)
    })
  )
})

describe("a filter of logs", () => {
  it.effect("tells those that came since, and takes back what it told", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      const id = yield* ask(client, "eth_newFilter", { address: `0x${"7".repeat(40)}` })
      const other = yield* ask(client, "eth_newFilter", {})
      for (let i = 0; i < 20; i++) world.tree.mine()
      const told = yield* changes(client, id)
      assert.deepStrictEqual(
        told.map(({ blockHash }: any) => blockHash),
        world.tree.chain.slice(-20).flatMap(({ hash }) => [hash, hash])
      )
      const [b] = world.tree.chain.slice(-1)
      world.tree.reorg(1, 0)
      const [c] = world.tree.chain.slice(-1)
      assert.deepStrictEqual(
        (yield* changes(client, id)).map(({ blockHash, logIndex, removed }: any) => [blockHash, logIndex, removed]),
        [
          [b!.hash, "0x1", true],
          [b!.hash, "0x0", true],
          [c!.hash, "0x0", false],
          [c!.hash, "0x1", false]
        ]
      )
      // It was told nothing of what was replaced.
      assert.isFalse((yield* changes(client, other)).some(({ removed }: any) => removed))
    })
  )

  it.effect("tells nothing outside of its blocks", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      const id = yield* ask(client, "eth_newFilter", { fromBlock: "0x15", toBlock: "0x16" })
      for (let i = 0; i < 5; i++) world.tree.mine()
      assert.deepStrictEqual(
        (yield* changes(client, id)).map(({ blockHash }: any) => world.tree.blocks.get(blockHash)!.number),
        [21, 21, 22, 22]
      )
      assert.strictEqual(world.count("eth_getLogs"), 2)
    })
  )

  it.effect("gives all of its logs as its node would", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      const asked: Array<unknown> = []
      const { request } = world.client
      ;(world.client as any).request = (one: JsonRpc.Request) => {
        if (one.method !== "eth_getLogs") return request(one)
        asked.push(one.params)
        return Effect.succeed(["all"])
      }
      const filter = { address: `0x${"7".repeat(40)}`, fromBlock: "0x1" }
      const id = yield* ask(client, "eth_newFilter", filter)
      assert.deepStrictEqual(yield* ask(client, "eth_getFilterLogs", id), ["all"])
      assert.deepStrictEqual(asked, [[filter]])
    })
  )

  it.effect("that cannot be is refused", () =>
    Effect.gen(function* () {
      const { client } = yield* facing()
      const error = yield* Effect.flip(ask(client, "eth_newFilter", { topics: 7 }))
      assert(error instanceof JsonRpc.Rejected)
      assert.strictEqual(error.code, -32602)
    })
  )

  it.effect("loses nothing when an answer fails, or nobody waits for it any more", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      const id = yield* ask(client, "eth_newFilter", {})
      for (let i = 0; i < 12; i++) world.tree.mine()
      let left = 9
      world.fails = (method) => method === "eth_getLogs" && left-- <= 0
      assert.strictEqual(((yield* Effect.flip(changes(client, id))) as any)._tag, "NoAnswer")
      world.fails = () => false
      world.latency = () => 1_000
      const waiting = yield* Effect.forkChild(changes(client, id))
      yield* TestClock.adjust("1500 millis")
      yield* Fiber.interrupt(waiting)
      world.latency = () => 0
      world.tree.mine()
      assert.deepStrictEqual(
        (yield* changes(client, id)).map(({ blockHash }: any) => blockHash),
        world.tree.chain.slice(-13).flatMap(({ hash }) => [hash, hash])
      )
    })
  )

  it.effect("answers one after the other who ask at once", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      const id = yield* ask(client, "eth_newFilter", {})
      world.tree.mine()
      world.latency = () => 100
      const both = yield* Effect.forkChild(
        Effect.all([changes(client, id), changes(client, id)], { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(
        (yield* Fiber.join(both)).map(({ length }) => length),
        [2, 0]
      )
    })
  )

  it.effect("is not found where too much came, or was replaced", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing({ depth: 4, gap: 6 })
      const [a, b] = [yield* ask(client, "eth_newFilter", {}), yield* ask(client, "eth_newFilter", {})]
      for (let i = 0; i < 6; i++) {
        world.tree.mine()
        yield* changes(client, b)
      }
      world.tree.mine()
      world.tree.mine()
      yield* notFound(changes(client, a))
      yield* notFound(changes(client, a))
      world.tree.reorg(8, 0)
      yield* notFound(changes(client, b))
    })
  )
})

describe("a filter", () => {
  it.effect("is forgotten when it is uninstalled, or not asked for", () =>
    Effect.gen(function* () {
      const { client } = yield* facing({ idle: "5 minutes" })
      const [a, b, c] = [
        yield* ask(client, "eth_newFilter", {}),
        yield* ask(client, "eth_newBlockFilter"),
        yield* ask(client, "eth_newFilter", {})
      ]
      assert.deepStrictEqual(client.inspect()["filters"], { filters: 3 })
      assert.strictEqual(yield* ask(client, "eth_uninstallFilter", a), true)
      assert.strictEqual(yield* ask(client, "eth_uninstallFilter", a), false)
      yield* notFound(changes(client, a))
      yield* TestClock.adjust("4 minutes")
      yield* changes(client, b)
      yield* TestClock.adjust("1 minute")
      yield* notFound(changes(client, c))
      assert.deepStrictEqual(yield* changes(client, b), [])
      assert.deepStrictEqual(client.inspect()["filters"], { filters: 1 })
      yield* notFound(changes(client, 7))
    })
  )

  it.effect("needs the present head once, or there is none", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      world.up = false
      assert.strictEqual(((yield* Effect.flip(ask(client, "eth_newFilter", {}))) as any)._tag, "NoAnswer")
      assert.deepStrictEqual(client.inspect()["filters"], { filters: 0 })
    })
  )

  it.effect("runs nothing while nobody asks", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      yield* ask(client, "eth_newFilter", {})
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(world.asked, ["eth_getBlockByNumber"])
    })
  )

  it.effect("works as a layer, which hands on everything else", () =>
    Effect.gen(function* () {
      const world = new World()
      const self = Layer.succeed(JsonRpc.client<Failing>())(world.client)
      const context = yield* Layer.build(self.pipe(Filters.layer()))
      const client = Context.get(context, JsonRpc.client<Filters.FilteringError<Failing>>())
      assert.strictEqual(yield* ask(client, "eth_chainId"), "eth_chainId answered")
      const id = yield* ask(client, "eth_newBlockFilter")
      const { hash } = world.tree.mine()
      assert.deepStrictEqual(yield* changes(client, id), [hash])
      for (const options of [{ idle: 0 }, { depth: 0 }, { gap: -1 }, { bloom: "yes" }, { other: 1 }]) {
        assert.throws(() => Filters.layer(options as never), Options.InvalidOption)
      }
    })
  )

  it.effect("loses nothing wherever it is interrupted", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.gen(function* () {
          const { client, world } = yield* facing()
          const id = yield* ask(client, "eth_newFilter", {})
          world.tree.mine()
          world.tree.mine()
          let told = 0
          return {
            run: Effect.map(changes(client, id), ({ length }) => void (told += length)),
            check: (exit: Exit.Exit<void, unknown>, step: number) => {
              const rest = Effect.runSyncExit(changes(client, id))
              assert(Exit.isSuccess(rest), `step ${step}`)
              // What it had in its hands when it was interrupted is gone with it.
              const all = told + rest.value.length
              assert.isTrue(all === 4 || (Exit.isFailure(exit) && all === 0), `step ${step}: ${all}`)
            }
          }
        })
      )
      assert.isAbove(steps, 10)
    })
  )
})

describe("a filter of waiting transactions", () => {
  /** Nodes that count their filters, and a pool that sticks. */
  const nodes = () => {
    const filters = { a: new Set<string>(), b: new Set<string>() }
    const asked: Array<string> = []
    const stuck = new Map<string, "a" | "b">()
    const state = { up: { a: true, b: true } }
    let fresh: "a" | "b" = "a"
    const service: JsonRpc.Service<Failing> = {
      name: "pool",
      inspect: () => ({ name: "pool" }),
      request: ({ method, params }) =>
        Effect.withFiber((fiber): Effect.Effect<unknown, Failing> => {
          const scope = fiber.getRef(Call.Sticky)!
          let node = stuck.get(scope) ?? fresh
          if (!state.up[node]) node = node === "a" ? "b" : "a"
          asked.push(`${node} ${method}`)
          const id = String(params[0])
          if (method !== "eth_newPendingTransactionFilter" && !filters[node].has(id)) {
            return Effect.fail(rejected(node, -32000, "filter", "filter not found"))
          }
          stuck.set(scope, node)
          fiber.getRef(Call.Current)?.recorder?.add(0, { step: "answer", upstream: node, outcome: "success" })
          switch (method) {
            case "eth_newPendingTransactionFilter": {
              const made = `0x${filters[node].size + 1}`
              filters[node].add(made)
              return Effect.succeed(made)
            }
            case "eth_getFilterChanges":
              return Effect.succeed([`${node}'s`])
            default:
              return Effect.succeed(filters[node].delete(id))
          }
        })
    }
    return { service, filters, asked, state, prefer: (node: "a" | "b") => void (fresh = node) }
  }

  it.effect("stays with its node", () =>
    Effect.gen(function* () {
      const { asked, filters, prefer, service } = nodes()
      const client = yield* Filters.make(service)
      const id = yield* ask(client, "eth_newPendingTransactionFilter")
      prefer("b")
      assert.deepStrictEqual(yield* changes(client, id), ["a's"])
      yield* notFound(ask(client, "eth_getFilterLogs", id))
      assert.strictEqual(yield* ask(client, "eth_uninstallFilter", id), true)
      assert.strictEqual(filters.a.size, 0)
      assert.deepStrictEqual(asked, [
        "a eth_newPendingTransactionFilter",
        "a eth_getFilterChanges",
        "a eth_uninstallFilter"
      ])
    })
  )

  it.effect("is made anew where its node lost it, or is lost, and takes no other's for its own", () =>
    Effect.gen(function* () {
      const { filters, prefer, service, state } = nodes()
      const client = yield* Filters.make(service)
      const id = yield* ask(client, "eth_newPendingTransactionFilter")
      filters.a.clear()
      assert.deepStrictEqual(yield* changes(client, id), [])
      assert.deepStrictEqual(yield* changes(client, id), ["a's"])
      // A filter of somebody else, of the same id.
      filters.b.add("0x1")
      state.up.a = false
      prefer("b")
      assert.deepStrictEqual(yield* changes(client, id), [])
      assert.deepStrictEqual(yield* changes(client, id), ["b's"])
      assert.strictEqual(filters.b.size, 2)
    })
  )
})

describe("whatever happens", () => {
  for (let seed = 1; seed <= 40; seed++) {
    it.effect(`a filter tells the chain, and its logs: seed ${seed}`, () =>
      Effect.gen(function* () {
        const random = seeded(seed)
        const upTo = (n: number) => Math.floor(random() * n)
        const { client, world } = yield* facing({ depth: 100, gap: 500, idle: "1 hour" })
        const [blocks, logs] = [yield* ask(client, "eth_newBlockFilter"), yield* ask(client, "eth_newFilter", {})]
        const start = world.tree.head.number
        const hashes: Array<string> = []
        const held: Array<string> = []
        const poll = Effect.gen(function* () {
          const [more, changed] = yield* Effect.all(
            [Effect.exit(changes(client, blocks)), Effect.exit(changes(client, logs))],
            { concurrency: "unbounded" }
          )
          if (Exit.isSuccess(more)) hashes.push(...more.value)
          if (Exit.isFailure(changed)) return
          for (const { blockHash, logIndex, removed } of changed.value) {
            const key = `${blockHash}/${logIndex}`
            if (removed) assert.strictEqual(held.pop(), key)
            else {
              assert.notInclude(held, key)
              held.push(key)
            }
          }
        })
        for (let i = 0; i < 100; i++) {
          const what = random()
          if (what < 0.4) world.tree.mine()
          else if (what < 0.5) world.tree.reorg(1 + upTo(4), upTo(3))
          else if (what < 0.52) world.tree.reorg(3, -1)
          else if (what < 0.58) world.fails = random() < 0.5 ? () => false : () => random() < 0.2
          else if (what < 0.7) {
            const asking = yield* Effect.forkChild(poll)
            yield* TestClock.adjust(upTo(3_000))
            yield* TestClock.adjust("10 seconds")
            yield* Fiber.join(asking)
          } else yield* Effect.andThen(TestClock.adjust(upTo(5_000)), Effect.void)
        }
        world.fails = () => false
        for (let i = 0; i < 5; i++) {
          world.tree.mine()
          const asking = yield* Effect.forkChild(poll)
          yield* TestClock.adjust("20 seconds")
          yield* Fiber.join(asking)
        }
        const last = hashes.at(-1)
        assert.strictEqual(last, world.tree.head.hash)
        // By the last time each was told, they are the chain.
        const order = new Map(hashes.map((hash, i) => [hash, i]))
        const told = world.tree.chain.filter(({ number }) => number > start).map(({ hash }) => order.get(hash))
        assert.deepStrictEqual(
          told,
          told.toSorted((a, b) => a! - b!)
        )
        assert.notInclude(told, undefined)
        const wanted = world.tree.chain
          .filter(({ number }) => number > start)
          .flatMap(({ hash }) => [`${hash}/0x0`, `${hash}/0x1`])
        assert.deepStrictEqual(held.slice(-wanted.length), wanted)
      })
    )
  }
})
