import { assert, describe, it } from "@effect/vitest"
import { Call, JsonRpc } from "@hawser/core"
import { Interruption } from "@hawser/testkit"
import { Context, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Snapshot from "../src/Snapshot.ts"
import * as Sticky from "../src/Sticky.ts"

const hash = (n: number) => `0x${n.toString(16).padStart(64, "0")}`
const hex = (n: number) => `0x${n.toString(16)}`

/** A client of a chain whose head moves with every request. */
class Client {
  head = 100
  delay = 0
  readonly asked: Array<readonly [method: string, ...params: ReadonlyArray<unknown>]> = []
  readonly calls: Array<Call.Call | undefined> = []
  missing = false

  readonly layer = Layer.succeed(JsonRpc.client<"broken">())({
    name: "pool",
    request: ({ method, params }) =>
      Effect.withFiber((fiber) => {
        this.asked.push([method, ...params])
        this.calls.push(fiber.getRef(Call.Current))
        this.head++
        const { head } = this
        const answer = this.missing ? null : { number: hex(head), hash: hash(head) }
        const result = Effect.succeed(method === "eth_getBlockByNumber" ? answer : "0x1")
        return this.delay === 0 ? result : Effect.delay(result, this.delay)
      }),
    inspect: () => ({ name: "pool" })
  })

  readonly service = Effect.map(Layer.build(this.layer.pipe(Snapshot.layer)), (context) =>
    Context.get(context, JsonRpc.client<any>())
  )
}

const request = JsonRpc.makeRequest

const find = ["eth_getBlockByNumber", "latest", false] as const

describe("a snapshot", () => {
  const pinned: ReadonlyArray<
    readonly [JsonRpc.Request, byHash: readonly [string, ...ReadonlyArray<unknown>], byNumber?: ReadonlyArray<unknown>]
  > = [
    [
      request("eth_getBalance", ["0xa", "latest"]),
      ["eth_getBalance", "0xa", { blockHash: hash(101) }],
      ["0xa", "0x65"]
    ],
    [request("eth_getBalance", ["0xa"]), ["eth_getBalance", "0xa", { blockHash: hash(101) }], ["0xa", "0x65"]],
    [request("eth_getCode", ["0xa", null]), ["eth_getCode", "0xa", { blockHash: hash(101) }], ["0xa", "0x65"]],
    [
      request("eth_getStorageAt", ["0xa", "0x0", "latest"]),
      ["eth_getStorageAt", "0xa", "0x0", { blockHash: hash(101) }],
      ["0xa", "0x0", "0x65"]
    ],
    [
      request("eth_call", [{ to: "0xa" }, "latest", { "0xa": {} }]),
      ["eth_call", { to: "0xa" }, { blockHash: hash(101) }, { "0xa": {} }],
      [{ to: "0xa" }, "0x65", { "0xa": {} }]
    ],
    [request("eth_estimateGas", [{}]), ["eth_estimateGas", {}, "0x65"], [{}, "0x65"]],
    [request("eth_feeHistory", ["0x4", "latest", []]), ["eth_feeHistory", "0x4", "0x65", []], ["0x4", "0x65", []]],
    [request("eth_getBlockByNumber", ["latest", true]), ["eth_getBlockByHash", hash(101), true], ["0x65", true]],
    [
      request("eth_getTransactionByBlockNumberAndIndex", ["latest", "0x0"]),
      ["eth_getTransactionByBlockHashAndIndex", hash(101), "0x0"],
      ["0x65", "0x0"]
    ],
    [request("eth_getBlockReceipts", ["latest"]), ["eth_getBlockReceipts", hash(101)], ["0x65"]],
    [
      request("eth_getLogs", [{ address: "0xa" }]),
      ["eth_getLogs", { address: "0xa", blockHash: hash(101) }],
      [{ address: "0xa", fromBlock: "0x65", toBlock: "0x65" }]
    ],
    [
      request("eth_getLogs", [{ fromBlock: "0x1", toBlock: "latest" }]),
      ["eth_getLogs", { fromBlock: "0x1", toBlock: "0x65" }],
      [{ fromBlock: "0x1", toBlock: "0x65" }]
    ],
    [request("eth_getBalance", ["0xa", "0x5"]), ["eth_getBalance", "0xa", "0x5"]],
    [request("eth_getBalance", ["0xa", "pending"]), ["eth_getBalance", "0xa", "pending"]],
    [request("eth_getTransactionReceipt", ["0xa"]), ["eth_getTransactionReceipt", "0xa"]],
    [request("eth_gasPrice"), ["eth_gasPrice"]],
    [request("eth_sendRawTransaction", ["0xa"]), ["eth_sendRawTransaction", "0xa"]]
  ]

  for (const by of ["hash", "number"] as const) {
    it.effect(`asks about one block, by its ${by} where it can`, () =>
      Effect.gen(function* () {
        for (const [given, byHash, byNumber] of pinned) {
          const client = new Client()
          const service = yield* client.service
          yield* Snapshot.run(service.request(given), { by })
          const expected = by === "hash" || byNumber === undefined ? byHash : [given.method, ...byNumber]
          assert.deepStrictEqual(client.asked, byNumber === undefined ? [expected as any] : [find, expected as any])
        }
      })
    )
  }

  it.effect("finds the block once, for all that asks within it, in a call of its own", () =>
    Effect.gen(function* () {
      const client = new Client()
      client.delay = 10
      const service = yield* client.service
      const balance = service.request(request("eth_getBalance", ["0xa"]))
      const many = Effect.all([balance, balance, service.request(request("eth_blockNumber"))], { concurrency: 3 })
      const call = new Call.Call()
      call.deadline = 5_000
      const fiber = yield* Effect.forkChild(
        Snapshot.run(Effect.andThen(many, Snapshot.run(many, { block: 7 }))).pipe(
          Effect.provideService(Call.Current, call)
        ),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1 second")
      const answers = yield* Fiber.join(fiber)
      assert.strictEqual(answers[2], "0x65")
      assert.strictEqual(client.asked.filter(([method]) => method === find[0]).length, 1)
      const own = client.calls[0]!
      assert.notStrictEqual(own, call)
      assert.strictEqual(own.deadline, 5_000)
      // Outside of it nothing is changed.
      client.asked.length = 0
      client.delay = 0
      yield* balance
      assert.deepStrictEqual(client.asked, [["eth_getBalance", "0xa"]])
    })
  )

  it.effect("pins each read by itself: a batch is to come apart, but outside of it passes", () =>
    Effect.gen(function* () {
      const client = new Client()
      const service = yield* client.service
      const batch = service.request(JsonRpc.makeBatch([request("eth_gasPrice"), request("eth_blockNumber")]))
      assert.instanceOf(yield* Effect.flip(Snapshot.run(batch)), JsonRpc.Apart)
      assert.strictEqual(client.asked.length, 0)
      yield* batch
      assert.strictEqual(client.asked.length, 1)
    })
  )

  it.effect("knows its fibers, and those of them", () =>
    Effect.gen(function* () {
      const within = Effect.withFiber((fiber) => Effect.succeed(Snapshot.isWithin(fiber)))
      assert.isFalse(yield* within)
      assert.isTrue(yield* Snapshot.run(within))
      assert.isTrue(yield* Snapshot.run(Effect.flatMap(Effect.forkChild(within), Fiber.join)))
      assert.isFalse(yield* within)
    })
  )

  it.effect("of another block: a tag, a number, one that is known", () =>
    Effect.gen(function* () {
      const client = new Client()
      const service = yield* client.service
      const balance = service.request(request("eth_getBalance", ["0xa"]))
      yield* Snapshot.run(balance, { block: "finalized" })
      yield* Snapshot.run(balance, { block: 7 })
      yield* Snapshot.run(balance, { block: { number: 9, hash: hash(9) } })
      assert.deepStrictEqual(
        client.asked.filter(([method]) => method === find[0]).map(([, block]) => block),
        ["finalized", "0x7"]
      )
      assert.deepStrictEqual(client.asked.at(-1), ["eth_getBalance", "0xa", { blockHash: hash(9) }])
    })
  )

  it.effect("of each client its own", () =>
    Effect.gen(function* () {
      const [one, two] = [new Client(), new Client()]
      two.head = 500
      const services = [yield* one.service, yield* two.service]
      yield* Snapshot.run(Effect.forEach(services, (service) => service.request(request("eth_getBalance", ["0xa"]))))
      assert.deepStrictEqual(one.asked.at(-1), ["eth_getBalance", "0xa", { blockHash: hash(101) }])
      assert.deepStrictEqual(two.asked.at(-1), ["eth_getBalance", "0xa", { blockHash: hash(501) }])
    })
  )

  it.effect("fails if there is no such block, and finds it the next time", () =>
    Effect.gen(function* () {
      const client = new Client()
      client.missing = true
      const service = yield* client.service
      const balance = service.request(request("eth_getBalance", ["0xa"]))
      yield* Snapshot.run(
        Effect.gen(function* () {
          const error = yield* Effect.flip(balance)
          assert.instanceOf(error, Call.NoAnswer)
          assert.include(error.message, "has no answer to eth_getBlockByNumber")
          client.missing = false
          assert.strictEqual(yield* balance, "0x1")
        })
      )
    })
  )

  it.effect("survives that whoever looks is interrupted, at any step", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.gen(function* () {
          const client = new Client()
          client.delay = 20
          const service = yield* client.service
          const balance = service.request(request("eth_getBalance", ["0xa"]))
          const all = Effect.all([balance, Effect.race(balance, Effect.sleep(10)), balance], { concurrency: 3 })
          return {
            run: Snapshot.run(all),
            check: () => assert.isAtMost(client.asked.filter(([method]) => method === find[0]).length, 3)
          }
        }).pipe(Effect.scoped)
      )
      assert.isAbove(steps, 20)
    })
  )

  it("of a block that is none", () => {
    for (const [options, message] of [
      [{ block: "pending" }, /Snapshot\.block takes one of/],
      [{ block: -1 }, /Snapshot\.block takes a whole number/],
      [{ block: { number: 1 } }, /Snapshot\.block\.hash takes/],
      [{ by: "name" }, /Snapshot\.by takes one of/]
    ] as const) {
      assert.throws(() => Snapshot.run(Effect.void, options as never), message)
    }
  })
})

describe("sticky", () => {
  const scope = Effect.withFiber((fiber) => Effect.succeed(fiber.getRef(Call.Sticky)))

  it.effect("each run has a scope of its own, shared by what runs within it", () =>
    Effect.gen(function* () {
      const both = Sticky.run(Effect.all([scope, Sticky.run(scope)]))
      const [a, b] = yield* both
      const [c] = yield* both
      assert.isString(a)
      assert.strictEqual(a, b)
      assert.notStrictEqual(a, c)
      assert.isUndefined(yield* scope)
    })
  )
})
