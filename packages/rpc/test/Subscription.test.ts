import { assert, describe, it } from "@effect/vitest"
import { JsonRpc, Options } from "@hawser/core"
import { Interruption } from "@hawser/testkit"
import { Context, Effect, Exit, Fiber, Layer, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import { keccak_256 } from "@noble/hashes/sha3.js"
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js"
import { mayHold, readCriteria } from "../src/internal/subscription/criteria.ts"
import * as Subscription from "../src/Subscription.ts"
import { seeded } from "./subscription/tree.ts"
import { type Failing, World } from "./subscription/world.ts"

type Client = JsonRpc.Service<Subscription.SubscribingError<Failing>>

/** What one listener was told. */
class Ear {
  readonly heard: Array<any> = []
  readonly lost: Array<any> = []
  readonly onNotification = (result: unknown) => void this.heard.push(result)
  readonly onLost = (error: unknown) => void this.lost.push(error)

  get numbers(): ReadonlyArray<number> {
    return this.heard.map(({ number }) => Number(number))
  }
}

const facing = (options?: Subscription.Options, length?: number) =>
  Effect.gen(function* () {
    const world = new World(length)
    const client = yield* Subscription.make(world.client, options)
    return { world, client }
  })

const hear = (client: Client, params: ReadonlyArray<unknown> = ["newHeads"]) =>
  Effect.gen(function* () {
    const ear = new Ear()
    const opened = yield* Subscription.listen(client, params, ear)
    return { ear, opened }
  })

/** A listener at a client of whose upstreams one tells. */
const hearing = (params?: ReadonlyArray<unknown>, options?: Subscription.Options) =>
  Effect.gen(function* () {
    const { client, world } = yield* facing(options)
    world.tells = "a"
    const { ear } = yield* hear(client, params)
    yield* settled
    return { client, ear, world }
  })

const status = (client: Client) => client.inspect()["subscription"] as Subscription.Inspection

/** Lets all who are ready go on. */
const settled = Effect.forEach(Array.from({ length: 30 }), () => TestClock.adjust(0), { discard: true })

describe("heads", () => {
  it.effect("come from whoever tells of them, and begin after the present one", () =>
    Effect.gen(function* () {
      const { client, ear, world } = yield* hearing()
      assert.deepStrictEqual(status(client), { listeners: 1, topics: 1, source: "a", head: 19 })
      world.mine()
      world.mine()
      assert.deepStrictEqual(ear.numbers, [20, 21])
      assert.deepStrictEqual(ear.heard[1], world.tree.head.header)
      // Nothing is asked for that was told.
      assert.deepStrictEqual(world.asked, ["eth_getBlockByNumber", "eth_subscribe", "eth_getBlockByNumber"])
    })
  )

  it.effect("share one subscription, which ends with the last of them", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      world.tells = "a"
      const all = yield* Effect.forEach(Array.from({ length: 20 }), () => hear(client), { concurrency: "unbounded" })
      const logs = yield* hear(client, ["logs", {}])
      yield* settled
      assert.strictEqual(world.subscribed, 1)
      world.mine()
      yield* settled
      for (const { ear } of all) assert.deepStrictEqual(ear.numbers, [20])
      assert.strictEqual(logs.ear.heard.length, 2)
      for (const { opened } of all.slice(1)) opened.cancel()
      assert.strictEqual(world.open.size, 1)
      world.mine()
      assert.deepStrictEqual(all[0]!.ear.numbers, [20, 21])
      assert.deepStrictEqual(all[1]!.ear.numbers, [20])
      all[0]!.opened.cancel()
      all[0]!.opened.cancel()
      assert.strictEqual(yield* client.request(JsonRpc.makeRequest("eth_unsubscribe", [logs.opened.id])), true)
      yield* settled
      assert.strictEqual(world.open.size, 0)
      assert.deepStrictEqual(status(client), { listeners: 0, topics: 0, source: undefined, head: undefined })
      const { length } = world.asked
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(world.asked.length, length)
      const again = yield* hear(client)
      yield* settled
      world.mine()
      assert.deepStrictEqual(again.ear.numbers, [22])
    })
  )

  it.effect("are looked for where nobody tells, at the pace of the chain", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      const { ear } = yield* hear(client)
      world.tree.mine()
      world.tree.mine()
      yield* TestClock.adjust("3 seconds")
      assert.deepStrictEqual(ear.numbers, [])
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(ear.numbers, [20, 21])
      const before = world.count("eth_getBlockByNumber")
      yield* TestClock.adjust("40 seconds")
      // 12 seconds between blocks: every four.
      assert.strictEqual(world.count("eth_getBlockByNumber"), before + 10)
    })
  )

  it.effect("move to looking when the subscription is lost, and back", () =>
    Effect.gen(function* () {
      const { client, ear, world } = yield* hearing()
      world.mine()
      world.tells = undefined
      world.lose()
      world.tree.mine()
      world.tree.mine()
      yield* settled
      assert.deepStrictEqual(ear.numbers, [20, 21, 22])
      assert.isUndefined(status(client).source)
      world.tree.mine()
      yield* TestClock.adjust("4 seconds")
      assert.deepStrictEqual(ear.numbers, [20, 21, 22, 23])
      world.tells = "b"
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(status(client).source, "b")
      const { length } = world.asked
      world.mine()
      assert.deepStrictEqual(ear.numbers, [20, 21, 22, 23, 24])
      assert.strictEqual(world.asked.length, length)
    })
  )

  it.effect("move to another who tells", () =>
    Effect.gen(function* () {
      const { client, ear, world } = yield* hearing()
      world.tells = "b"
      world.tree.mine()
      world.lose()
      yield* TestClock.adjust("500 millis")
      assert.strictEqual(status(client).source, "b")
      world.mine()
      yield* settled
      assert.deepStrictEqual(ear.numbers, [20, 21])
    })
  )

  it.effect("leave one who has fallen silent, if others know more", () =>
    Effect.gen(function* () {
      const { client, ear, world } = yield* hearing(["newHeads"], { silence: "20 seconds" })
      yield* TestClock.adjust("1 minute")
      // Nothing has happened: he is right.
      assert.strictEqual(world.subscribed, 1)
      world.tree.mine()
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(ear.numbers, [20])
      assert.strictEqual(world.open.size, 0)
      // For once somebody else, but there is only him.
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(status(client).source, "a")
      assert.strictEqual(world.subscribed, 2)
    })
  )

  it.effect("fill the gap, many at once", () =>
    Effect.gen(function* () {
      const { ear, world } = yield* hearing()
      let most = 0
      let now = 0
      const { request } = world.client
      ;(world.client as any).request = (asked: JsonRpc.Request) =>
        Effect.acquireUseRelease(
          Effect.sync(() => (most = Math.max(most, ++now))),
          () => Effect.andThen(Effect.sleep(100), request(asked)),
          () => Effect.sync(() => void now--)
        )
      for (let i = 0; i < 100; i++) world.tree.mine()
      world.tell()
      yield* TestClock.adjust("2 seconds")
      assert.deepStrictEqual(
        ear.numbers,
        Array.from({ length: 100 }, (_, i) => 20 + i)
      )
      assert.isAbove(most, 4)
      assert.isAtMost(most, 9)
    })
  )

  it.effect("of a reorganisation are those of the new branch", () =>
    Effect.gen(function* () {
      const { ear, world } = yield* hearing()
      world.mine()
      world.mine()
      world.tree.reorg(2, 1)
      world.tell()
      yield* settled
      assert.deepStrictEqual(ear.numbers, [20, 21, 20, 21, 22])
      assert.strictEqual(ear.heard[2].parentHash, ear.heard[0].parentHash)
      assert.notStrictEqual(ear.heard[2].hash, ear.heard[0].hash)
    })
  )

  it.effect("wait for an answer as long as it takes", () =>
    Effect.gen(function* () {
      const { ear, world } = yield* hearing()
      world.up = false
      world.tree.mine()
      world.mine()
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(ear.numbers, [])
      world.up = true
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(ear.numbers, [20, 21])
    })
  )

  it.effect("end where too many are missing, or replaced", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing({ depth: 5, gap: 10 })
      world.tells = "a"
      const [first, second] = [yield* hear(client), yield* hear(client, ["logs", {}])]
      yield* settled
      for (let i = 0; i < 12; i++) world.tree.mine()
      world.tell()
      yield* settled
      for (const { ear } of [first, second]) {
        assert.strictEqual(ear.lost.length, 1)
        assert(ear.lost[0] instanceof Subscription.SubscriptionLost)
        assert.strictEqual(ear.lost[0].reason, "gap")
      }
      assert.strictEqual(status(client).listeners, 0)
      yield* settled
      assert.strictEqual(world.open.size, 0)
      const third = yield* hear(client)
      yield* settled
      for (let i = 0; i < 6; i++) world.mine()
      world.tree.reorg(6, 1)
      world.tell()
      yield* settled
      assert.strictEqual(third.ear.lost[0].reason, "reorg")
    })
  )

  it.effect("have to be had once, or the subscription fails", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      world.up = false
      const error = yield* Effect.flip(hear(client))
      assert.strictEqual(error._tag, "NoAnswer")
      world.up = true
      world.tree.chain = []
      const none = yield* Effect.flip(hear(client))
      assert.strictEqual(none._tag, "NoAnswer")
      assert.strictEqual(status(client).listeners, 0)
    })
  )

  it.effect("come whatever a listener throws", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      world.tells = "a"
      const thrown: Array<unknown> = []
      const uncaught = process.listeners("uncaughtException")
      process.removeAllListeners("uncaughtException")
      process.once("uncaughtException", (error) => thrown.push(error))
      yield* Subscription.listen(client, ["newHeads"], {
        onNotification: () => {
          throw new Error("mine")
        }
      })
      const { ear } = yield* hear(client)
      yield* settled
      world.mine()
      yield* Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))
      for (const listener of uncaught) process.on("uncaughtException", listener)
      assert.deepStrictEqual(ear.numbers, [20])
      assert.strictEqual((thrown[0] as Error).message, "mine")
    })
  )
})

describe("logs", () => {
  it.effect("are those of each block, and are taken back the last first", () =>
    Effect.gen(function* () {
      const { ear, world } = yield* hearing(["logs", { address: `0x${"7".repeat(40)}` }])
      world.mine()
      world.mine()
      yield* settled
      const [a, b] = world.tree.chain.slice(-2)
      world.tree.reorg(2, 1)
      world.tell()
      yield* settled
      const [c, d, e] = world.tree.chain.slice(-3)
      assert.deepStrictEqual(
        ear.heard.map(({ blockHash, logIndex, removed }) => [blockHash, logIndex, removed]),
        [
          ...[a, b].flatMap((block) => [0, 1].map((i) => [block!.hash, `0x${i}`, false])),
          ...[b, a].flatMap((block) => [1, 0].map((i) => [block!.hash, `0x${i}`, true])),
          ...[c, d, e].flatMap((block) => [0, 1].map((i) => [block!.hash, `0x${i}`, false]))
        ]
      )
    })
  )

  it.effect("of one filter are asked for once, however it is written", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      world.tells = "a"
      const [low, high] = [`0x${"ab".repeat(20)}`, `0x${"AB".repeat(20)}`]
      const topic = `0x${"1".repeat(64)}`
      const ears = yield* Effect.forEach(
        [
          { address: low, topics: [topic] },
          { address: [high], topics: [[topic]] },
          { address: [low, high], topics: [topic], fromBlock: "latest" },
          { address: low, topics: [topic, null] }
        ],
        (filter) => hear(client, ["logs", filter])
      )
      yield* settled
      assert.strictEqual(status(client).topics, 2)
      world.mine()
      yield* settled
      assert.strictEqual(world.count("eth_getLogs"), 2)
      for (const { ear } of ears) assert.strictEqual(ear.heard.length, 2)
    })
  )

  it.effect("are asked for until they are had, but not of a block that is gone", () =>
    Effect.gen(function* () {
      const { ear, world } = yield* hearing(["logs", {}])
      world.fails = (method) => method === "eth_getLogs"
      world.mine()
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(ear.heard.length, 0)
      assert.isAbove(world.count("eth_getLogs"), 5)
      world.tree.reorg(1, 0)
      world.tell()
      world.fails = () => false
      yield* TestClock.adjust("5 seconds")
      assert.deepStrictEqual(
        ear.heard.map(({ blockHash, removed }) => [blockHash, removed]),
        [0, 1].map(() => [world.tree.head.hash, false])
      )
      // Nor are those of another block believed.
      const right = world.logsOf
      world.logsOf = () => right(world.tree.chain[0]!)
      world.mine()
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(ear.heard.length, 2)
      world.logsOf = right
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(ear.heard.length, 4)
    })
  )

  it.effect("are lost where an upstream's word is final, or there are too many to catch up", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing({ gap: 10 })
      world.tells = "a"
      const heads = yield* hear(client)
      const { ear } = yield* hear(client, ["logs", {}])
      yield* settled
      world.fails = (method) => method === "eth_getLogs"
      for (let i = 0; i < 11; i++) world.mine()
      assert.strictEqual(ear.lost[0].reason, "behind")
      assert.strictEqual(heads.ear.heard.length, 11)
      assert.strictEqual(status(client).topics, 1)
      world.fails = () => false
      const again = yield* hear(client, ["logs", {}])
      const { request } = world.client
      ;(world.client as any).request = (asked: JsonRpc.Request) =>
        asked.method === "eth_getLogs" ? Effect.fail(invalid) : request(asked)
      world.mine()
      yield* settled
      assert.strictEqual(again.ear.lost[0].reason, "behind")
      assert.strictEqual(again.ear.lost[0].cause, invalid)
    })
  )

  it.effect("that cannot be asked for are refused at once", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      for (const filter of [
        7,
        { address: "0x12" },
        { address: [`0x${"g".repeat(40)}`] },
        { topics: "0x" },
        { topics: [1] },
        { topics: [null, null, null, null, null] },
        { blockHash: `0x${"1".repeat(64)}` }
      ]) {
        const error = yield* Effect.flip(hear(client, ["logs", filter]))
        assert(error instanceof JsonRpc.Rejected)
        assert.strictEqual(error.code, -32602)
      }
      assert.deepStrictEqual(world.asked, [])
    })
  )

  it.effect("are not asked for where the bloom rules them out, if that is to be believed", () =>
    Effect.gen(function* () {
      const address = `0x${"7".repeat(40)}`
      const { client, world } = yield* facing({ bloom: true })
      world.tells = "a"
      yield* hear(client, ["logs", { address }])
      yield* settled
      const tell = (logsBloom: string) => {
        const block = world.tree.mine()
        world.tell({ ...block.header, logsBloom })
      }
      tell(bloomOf([`0x${"8".repeat(40)}`]))
      yield* settled
      assert.strictEqual(world.count("eth_getLogs"), 0)
      tell(bloomOf([`0x${"8".repeat(40)}`, address]))
      tell("0x")
      yield* settled
      assert.strictEqual(world.count("eth_getLogs"), 2)
    })
  )

  it("may be in a block by its bloom if their address and each of their topics is", () => {
    const random = seeded(7)
    const word = (bytes: number) =>
      `0x${Array.from({ length: bytes }, () =>
        Math.floor(random() * 256)
          .toString(16)
          .padStart(2, "0")
      ).join("")}`
    for (let i = 0; i < 200; i++) {
      const address = word(20)
      const topics = [word(32), word(32)]
      const bloom = bloomOf([address, ...topics])
      const holds = (filter: unknown) => {
        const criteria = readCriteria(filter)
        assert(typeof criteria !== "string")
        return mayHold(criteria, bloom)
      }
      assert.isTrue(holds({ address, topics }))
      assert.isTrue(holds({ address: [word(20), address], topics: [null, [word(32), topics[0]]] }))
      assert.isTrue(holds({}))
      assert.isFalse(holds({ address: word(20) }) && holds({ address: word(20) }) && holds({ address: word(20) }))
      assert.isFalse(holds({ topics: [[word(32)], word(32), word(32)] }))
    }
  })
})

const invalid = new JsonRpc.Rejected({
  upstream: "a",
  code: -32602,
  message: "no",
  data: undefined,
  kind: "invalid",
  "~hawser/Outcome/Verdict": {} as never
})

// Yellow Paper, 4.3.1.
const bloomOf = (values: ReadonlyArray<string>): string => {
  const bits = new Uint8Array(256)
  for (const value of values) {
    const hash = keccak_256(hexToBytes(value.slice(2)))
    for (const i of [0, 2, 4]) {
      const bit = ((hash[i]! << 8) | hash[i + 1]!) & 2047
      bits[255 - (bit >> 3)]! |= 1 << (bit & 7)
    }
  }
  return `0x${bytesToHex(bits)}`
}

describe("other subscriptions", () => {
  it.effect("are shared, and opened again when they are lost", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      const params = ["newPendingTransactions"]
      const refused = yield* Effect.flip(hear(client, params))
      assert.strictEqual(refused._tag, "NoAnswer")
      world.tells = "a"
      const [first, second] = yield* Effect.all([hear(client, params), hear(client, params)], {
        concurrency: "unbounded"
      })
      yield* settled
      assert.strictEqual(world.open.size, 1)
      world.tell("0x1", JSON.stringify(params))
      assert.deepStrictEqual([first.ear.heard, second.ear.heard], [["0x1"], ["0x1"]])
      world.lose()
      world.tells = "b"
      yield* TestClock.adjust("1 second")
      world.tell("0x2", JSON.stringify(params))
      assert.deepStrictEqual(first.ear.heard, ["0x1", "0x2"])
      first.opened.cancel()
      second.opened.cancel()
      yield* settled
      assert.strictEqual(world.open.size, 0)
      assert.strictEqual(world.count("eth_getBlockByNumber"), 0)
    })
  )
})

describe("a stream", () => {
  it.effect("tells in order, and ends the subscription when it is left", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      world.tells = "a"
      const three = yield* Effect.forkChild(
        Subscription.newHeads(client).pipe(
          Stream.map(({ number }) => Number(number)),
          Stream.take(3),
          Stream.runCollect
        )
      )
      yield* settled
      for (let i = 0; i < 4; i++) world.mine()
      assert.deepStrictEqual(yield* Fiber.join(three), [20, 21, 22])
      yield* settled
      assert.strictEqual(world.open.size, 0)
      const logs = yield* Effect.forkChild(
        Subscription.logs(client, { address: [] }).pipe(Stream.take(2), Stream.runCollect)
      )
      const pending = yield* Effect.forkChild(
        Subscription.pendingTransactions(client).pipe(Stream.take(1), Stream.runCollect)
      )
      yield* settled
      world.mine()
      world.tell("0x1", '["newPendingTransactions"]')
      assert.strictEqual((yield* Fiber.join(logs)).length, 2)
      assert.deepStrictEqual(yield* Fiber.join(pending), ["0x1"])
      assert.strictEqual(status(client).listeners, 0)
    })
  )

  it.effect("drops nothing: a slow consumer hears what was told, and then that it was too slow", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      world.tells = "a"
      const heard: Array<number> = []
      const slow = yield* Subscription.newHeads(client, { buffer: 4 }).pipe(
        Stream.runForEach(({ number }) =>
          Effect.andThen(
            Effect.sync(() => heard.push(Number(number))),
            Effect.sleep("1 second")
          )
        ),
        Effect.flip,
        Effect.forkChild
      )
      yield* settled
      for (let i = 0; i < 20; i++) world.mine()
      yield* TestClock.adjust("30 seconds")
      const error = yield* Fiber.join(slow)
      assert(error instanceof Subscription.SubscriptionLost)
      assert.strictEqual(error.reason, "overflow")
      assert.isAtLeast(heard.length, 4)
      assert.deepStrictEqual(
        heard,
        heard.map((_, i) => 20 + i)
      )
      assert.strictEqual(status(client).listeners, 0)
    })
  )

  it.effect("fails as the client does, and where nobody would tell", () =>
    Effect.gen(function* () {
      const { client, world } = yield* facing()
      world.up = false
      assert.strictEqual((yield* Effect.flip(Stream.runDrain(Subscription.newHeads(client))))._tag, "NoAnswer")
      const mute: JsonRpc.Service<never> = {
        name: "",
        inspect: () => ({ name: "" }),
        request: () => Effect.succeed("0x1")
      }
      const error = yield* Effect.flip(Stream.runDrain(Subscription.newHeads(mute)))
      assert.strictEqual(error.reason, "closed")
    })
  )
})

describe("the layer", () => {
  it.effect("hands on what is no subscription, and needs a listener for what is one", () =>
    Effect.gen(function* () {
      const world = new World()
      const events: Array<JsonRpc.Event> = []
      const scope = yield* Scope.make()
      const self = Layer.succeed(JsonRpc.client<Failing>())(world.client)
      const context = yield* Layer.buildWithScope(self.pipe(Subscription.layer({ interval: "1 second" })), scope).pipe(
        Effect.provideService(JsonRpc.Observer, { active: true, emit: (event) => void events.push(event) })
      )
      const client = Context.get(context, JsonRpc.client<Subscription.SubscribingError<Failing>>())
      assert.strictEqual(yield* client.request(JsonRpc.makeRequest("eth_chainId")), "eth_chainId answered")
      const unheard = yield* Effect.flip(client.request(JsonRpc.makeRequest("eth_subscribe", ["newHeads"])))
      assert(unheard instanceof JsonRpc.Rejected)
      const unknown = yield* Effect.flip(client.request(JsonRpc.makeRequest("eth_unsubscribe", ["0x7"])))
      assert(unknown instanceof JsonRpc.Rejected)
      assert.strictEqual(unknown.message, "subscription not found")
      world.tells = "a"
      const { ear } = yield* hear(client)
      yield* settled
      world.mine()
      world.tree.reorg(1, 0)
      world.tell()
      world.lose()
      assert.deepStrictEqual(
        events.map(({ depth, layer, source, type }) => ({ layer, type, source, depth })),
        [
          { layer: "subscription", type: "source", source: "a", depth: undefined },
          { layer: "subscription", type: "reorg", source: undefined, depth: 1 },
          { layer: "subscription", type: "source", source: undefined, depth: undefined }
        ]
      )
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(ear.lost[0].reason, "closed")
      const { length } = world.asked
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(world.asked.length, length)
    })
  )

  it("checks its options at once", () => {
    for (const options of [{ interval: 0 }, { silence: "x" }, { depth: 0 }, { gap: 1.5 }, { bloom: 1 }, { other: 1 }]) {
      assert.throws(() => Subscription.layer(options as never), Options.InvalidOption)
    }
    assert.throws(() => Subscription.stream(new World().client, [], { buffer: 0 }), Options.InvalidOption)
  })

  it.effect("leaves nothing behind, wherever it is interrupted", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.sync(() => {
          const world = new World()
          world.tells = "a"
          return {
            run: Effect.gen(function* () {
              const client = yield* Subscription.make(world.client)
              const heads = yield* Effect.forkChild(Subscription.newHeads(client).pipe(Stream.take(1), Stream.runDrain))
              const { opened } = yield* hear(client, ["logs", {}])
              yield* Effect.yieldNow
              yield* Effect.sleep("10 millis")
              world.mine()
              yield* Fiber.join(heads)
              yield* hear(client, ["syncing"])
              opened.cancel()
            }).pipe(Effect.scoped),
            check: (_exit: unknown, step: number) =>
              assert.strictEqual(
                world.open.size,
                0,
                `${step}: ${JSON.stringify(Array.from(world.open.values(), (o) => o.params))}`
              )
          }
        })
      )
      assert.isAbove(steps, 30)
    })
  )
})

describe("whatever happens", () => {
  for (let seed = 1; seed <= 40; seed++) {
    it.effect(`the chain is told, and its logs: seed ${seed}`, () =>
      Effect.gen(function* () {
        const random = seeded(seed)
        const upTo = (n: number) => Math.floor(random() * n)
        const { client, world } = yield* facing({ depth: 100, gap: 500 })
        world.tells = random() < 0.7 ? "a" : undefined
        world.latency = () => (random() < 0.5 ? 0 : upTo(3_000))
        const [heads, logs] = [yield* patient(hear(client)), yield* patient(hear(client, ["logs", {}]))]
        const start = status(client).head!
        for (let i = 0; i < 150; i++) {
          const what = random()
          if (what < 0.4) world.tree.mine()
          else if (what < 0.47) world.tree.reorg(1 + upTo(4), upTo(3))
          else if (what < 0.49) world.tree.reorg(3, -1)
          else if (what < 0.53) world.tells = [undefined, "a", "b"][upTo(3)]
          else if (what < 0.56) world.lose()
          else if (what < 0.59) world.up = !world.up
          else if (what < 0.62) world.fails = random() < 0.5 ? () => false : () => random() < 0.3
          else if (what < 0.67) world.tell(world.tree.chain.at(-1 - upTo(5))!.header)
          else if (what < 0.7) world.tell({ number: "0x1" })
          else yield* TestClock.adjust(upTo(8_000))
          if (random() < 0.8) world.tell()
        }
        world.up = true
        world.fails = () => false
        // It may have been set back; it insists.
        yield* TestClock.adjust("5 minutes")
        world.tree.mine()
        world.tree.mine()
        world.tree.mine()
        yield* TestClock.adjust("5 minutes")
        assert.deepStrictEqual([heads.ear.lost, logs.ear.lost], [[], []])

        // Each head follows from one that was told before, or from what was there at the start.
        const known = new Set(world.tree.chain.slice(0, 1).map(({ hash }) => hash))
        for (const { hash } of world.tree.blocks.values())
          if (world.tree.blocks.get(hash)!.number <= start) known.add(hash)
        let last: any
        for (const head of heads.ear.heard) {
          assert.isTrue(known.has(head.parentHash), `${head.number} is told before its parent`)
          if (last !== undefined && Number(head.number) > Number(last.number))
            assert.strictEqual(head.parentHash, last.hash)
          known.add(head.hash)
          last = head
        }
        assert.strictEqual(last.hash, world.tree.head.hash)
        assert.strictEqual(world.tree.head.number, status(client).head)

        const held: Array<string> = []
        for (const { blockHash, logIndex, removed } of logs.ear.heard) {
          const key = `${blockHash}/${logIndex}`
          if (removed) assert.strictEqual(held.pop(), key)
          else {
            assert.notInclude(held, key)
            held.push(key)
          }
        }
        const wanted = world.tree.chain
          .filter(({ number }) => number > start)
          .flatMap(({ hash }) => [`${hash}/0x0`, `${hash}/0x1`])
        assert.deepStrictEqual(held.slice(-wanted.length), wanted)
      })
    )
  }
})

/** Waits for what takes virtual time. */
const patient = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect)
    yield* TestClock.adjust("10 seconds")
    return yield* Fiber.join(fiber)
  })
