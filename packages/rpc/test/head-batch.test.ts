import { assert, describe, it } from "@effect/vitest"
import { JsonRpc, Outcome } from "@hawser/core"
import { RpcError } from "@hawser/rpc"
import { Context, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as Head from "../src/Head.ts"
import { blocksOf } from "../src/internal/block.ts"
import type { Shared } from "../src/internal/head/shared.ts"

const hex = (number: number) => `0x${number.toString(16)}`

/** A block's hash, or a transaction's, which ends in the block it is in. */
const hash = (number: number) => `0x${"ab".repeat(8)}${number.toString(16).padStart(48, "0")}`

const numberIn = (hash: unknown) => Number(`0x${String(hash).slice(18)}`)

const request = (method: string, ...params: ReadonlyArray<unknown>) => JsonRpc.makeRequest(method, params)

const blockNumber = request("eth_blockNumber")
const chainId = request("eth_chainId")
const newest = request("eth_getBlockByNumber", "latest", false)
const receipt = (number: number) => request("eth_getTransactionReceipt", hash(number))

const trouble = (kind: RpcError.TroubleKind) =>
  new RpcError.ResponseError({
    upstream: "a",
    kind,
    code: -32000,
    message: kind,
    data: undefined,
    status: 200,
    retryAfter: undefined,
    hints: {},
    [Outcome.TypeId]: RpcError.verdictOf(kind)
  })

const lost = new RpcError.TransportError({ upstream: "a", reason: "closed", message: "lost", reached: true })

/** A node of a chain that has come so far, and what it was asked. */
class Node {
  readonly asked: Array<JsonRpc.Request> = []
  height = 1_000
  /** In place of the chain's answer to one read. */
  say: ((request: JsonRpc.Request) => Exit.Exit<unknown, unknown> | undefined) | undefined = undefined
  /** In place of all answers to a batch. */
  whole: Effect.Effect<never, unknown> | undefined = undefined
  readonly name: string

  constructor(name: string) {
    this.name = name
  }

  count(method: string): number {
    return this.asked.filter((request) => request.method === method).length
  }

  readonly request = (request: JsonRpc.Request): Effect.Effect<unknown, unknown> =>
    Effect.suspend((): Effect.Effect<unknown, unknown> => {
      this.asked.push(request)
      const { batch } = request
      if (batch === undefined) return this.answer(request)
      return this.whole ?? Effect.succeed(batch.map((one) => this.answer(one)))
    })

  private answer(request: JsonRpc.Request): Exit.Exit<unknown, unknown> {
    return this.say?.(request) ?? Exit.succeed(this.known(request))
  }

  private known({ method, params: [first] }: JsonRpc.Request): unknown {
    switch (method) {
      case "eth_blockNumber":
        return hex(this.height)
      case "eth_getBlockByNumber":
        return this.block(first === "latest" ? this.height : Number(first))
      case "eth_getBlockByHash":
        return this.block(numberIn(first))
      case "eth_getTransactionReceipt":
        return numberIn(first) > this.height
          ? null
          : { blockNumber: hex(numberIn(first)), blockHash: hash(numberIn(first)) }
      default:
        return "0x1"
    }
  }

  private block(number: number): unknown {
    return number > this.height ? null : { number: hex(number), hash: hash(number), parentHash: hash(number - 1) }
  }
}

/** Nodes with a head, of whom each can be asked. */
const pool = (size: number, options?: Head.Options) =>
  Effect.gen(function* () {
    const head = Head.make({ blockTime: "1 second", ...options })
    const nodes = Array.from("abc".slice(0, size), (name) => new Node(name))
    const upstreams = yield* Effect.forEach(nodes, ({ name, request }) => {
      const layer = Layer.succeed(JsonRpc.upstream<unknown>())({ name, request, inspect: () => ({ name }) })
      return Effect.map(Layer.build(layer.pipe(Head.upstream(head))), (context) =>
        Context.get(context, JsonRpc.upstream<unknown>())
      )
    })
    /** Asks one of them for several reads. */
    const ask = (who: number, ...reads: ReadonlyArray<JsonRpc.Request>) =>
      Effect.map(upstreams[who]!.request(JsonRpc.makeBatch(reads)), (answers) => answers as JsonRpc.Answers)
    /** Has each tell its head. */
    const meet = Effect.gen(function* () {
      for (const upstream of upstreams) yield* upstream.request(blockNumber)
      for (const { asked } of nodes) asked.length = 0
    })
    return { head, state: (head as Shared).state, nodes, upstreams, ask, meet }
  })

const shown = (upstream: JsonRpc.Service<unknown>) => upstream.inspect()["head"] as Head.UpstreamInspection

const isApart = <A, E>(self: Effect.Effect<A, E>) =>
  Effect.map(Effect.flip(self), (error) => assert.instanceOf(error, JsonRpc.Apart))

/** Each answer in a word: the value, or the tag of the error. */
const words = (answers: JsonRpc.Answers): ReadonlyArray<unknown> =>
  answers.map((exit) => {
    if (Exit.isSuccess(exit)) return exit.value
    const [reason] = exit.cause.reasons
    return reason?._tag === "Fail" ? (reason.error as { readonly _tag: string })._tag : assert.fail("a defect")
  })

describe("a batch", () => {
  it.effect("passes where all of it can be answered, and each has its own answer", () =>
    Effect.gen(function* () {
      const { ask, meet, nodes } = yield* pool(2)
      yield* meet
      nodes[0]!.say = ({ method }) => (method === "eth_gasPrice" ? Exit.fail(lost) : undefined)
      const answers = yield* ask(0, blockNumber, request("eth_call", {}, hex(990)), request("eth_gasPrice"), receipt(7))
      assert.deepStrictEqual(words(answers), [
        hex(1_000),
        "0x1",
        "TransportError",
        { blockNumber: hex(7), blockHash: hash(7) }
      ])
      assert.strictEqual(nodes[0]!.asked.length, 1)
    })
  )

  it.effect("fails as the upstream does", () =>
    Effect.gen(function* () {
      const { ask, nodes } = yield* pool(2)
      nodes[0]!.whole = Effect.fail(lost)
      assert.strictEqual(yield* Effect.flip(ask(0, chainId, chainId)), lost)
    })
  )

  it.effect("is followed like any read", () =>
    Effect.gen(function* () {
      const { ask, nodes } = yield* pool(1, { track: ["finalized"] })
      for (let i = 0; i < 5; i++) {
        yield* ask(0, chainId, chainId)
        yield* TestClock.adjust("400 millis")
      }
      assert.strictEqual(nodes[0]!.count("eth_getBlockByNumber"), 2)
    })
  )
})

describe("a batch with a read for which the upstream is behind", () => {
  for (const [name, read] of [
    ["the newest block", request("eth_call", {}, "latest")],
    ["a block by number", request("eth_call", {}, hex(998))],
    ["a block by hash", request("eth_getBalance", "0x", { blockHash: hash(1_000) })]
  ] as const) {
    it.effect(`is not asked of it, and its head is: ${name}`, () =>
      Effect.gen(function* () {
        const { ask, meet, nodes, upstreams } = yield* pool(2)
        const [, b] = nodes
        b!.height = 990
        yield* meet
        yield* upstreams[0]!.request(newest)
        yield* isApart(ask(1, chainId, read))
        yield* TestClock.adjust(0)
        assert.deepStrictEqual(b!.asked, [newest])
        // No more than once per block time.
        yield* isApart(ask(1, chainId, read))
        yield* TestClock.adjust(0)
        assert.strictEqual(b!.asked.length, 1)
        assert.strictEqual((yield* ask(0, chainId, read)).length, 2)
        b!.height = 1_000
        yield* TestClock.adjust("1 second")
        yield* isApart(ask(1, chainId, read))
        yield* TestClock.adjust(0)
        assert.deepStrictEqual(words(yield* ask(1, chainId, read)), ["0x1", "0x1"])
      })
    )
  }

  it.effect("is not asked of one that was never heard, and nobody waits", () =>
    Effect.gen(function* () {
      const { ask, nodes, upstreams } = yield* pool(2)
      yield* upstreams[0]!.request(blockNumber)
      nodes[1]!.say = ({ method }) => (method === "eth_call" ? undefined : Exit.succeed(nodes[1]!.height))
      yield* isApart(ask(1, request("eth_call", {}, "latest")))
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(nodes[1]!.asked, [newest])
    })
  )

  it.effect("is asked of it if the block is to come, is settled, or does not matter", () =>
    Effect.gen(function* () {
      const { ask, meet, nodes } = yield* pool(2)
      nodes[1]!.height = 990
      yield* meet
      const reads = [blockNumber, chainId, request("eth_call", {}, "finalized"), request("eth_call", {}, hex(5_000))]
      assert.deepStrictEqual(words(yield* ask(1, ...reads)), [hex(990), "0x1", "0x1", "0x1"])
    })
  )
})

describe("a batch with a read that the upstream cannot answer", () => {
  const trace = request("x_getTrace")
  const plain = (method: string) => (one: JsonRpc.Request) =>
    one.method === method ? Exit.fail(trouble("unsupported")) : undefined

  it.effect("teaches so, and the next is not asked of it, nor is anything else", () =>
    Effect.gen(function* () {
      const { ask, nodes, upstreams } = yield* pool(2)
      const [a] = nodes
      a!.say = plain("x_getTrace")
      assert.deepStrictEqual(words(yield* ask(0, chainId, trace)), ["0x1", "ResponseError"])
      assert.deepStrictEqual(shown(upstreams[0]!).unsupported, ["x_getTrace"])
      yield* isApart(ask(0, chainId, trace))
      yield* TestClock.adjust(0)
      assert.strictEqual(a!.asked.length, 1)
      assert.deepStrictEqual(words(yield* ask(0, chainId, chainId)), ["0x1", "0x1"])
      assert.deepStrictEqual(words(yield* ask(1, chainId, trace)), ["0x1", "0x1"])
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(words(yield* ask(0, chainId, trace)), ["0x1", "ResponseError"])
    })
  )

  it.effect("teaches so, too, if nothing of it is answered: it fails with what the first was told", () =>
    Effect.gen(function* () {
      const { ask, nodes, upstreams } = yield* pool(2)
      nodes[0]!.whole = Effect.fail(trouble("unsupported"))
      yield* Effect.flip(ask(0, trace, chainId))
      assert.deepStrictEqual(shown(upstreams[0]!).unsupported, ["x_getTrace"])
      yield* isApart(ask(0, trace, trace))
      assert.strictEqual(nodes[0]!.asked.length, 1)
    })
  )

  it.effect("for want of old blocks teaches so, too", () =>
    Effect.gen(function* () {
      const { ask, meet, nodes, upstreams } = yield* pool(2)
      yield* meet
      const old = (block: number) => request("eth_call", {}, hex(block))
      nodes[0]!.say = (one) => (blocksOf(one)?.to === 500 ? Exit.fail(trouble("missing")) : undefined)
      assert.deepStrictEqual(words(yield* ask(0, old(900), old(500))), ["0x1", "ResponseError"])
      assert.deepStrictEqual(shown(upstreams[0]!).earliest, { eth_call: 501 })
      yield* isApart(ask(0, old(900), old(400)))
      assert.deepStrictEqual(words(yield* ask(0, old(900), old(501))), ["0x1", "0x1"])
    })
  )
})

describe("the answers of a batch", () => {
  it.effect("show where the upstream is", () =>
    Effect.gen(function* () {
      const { ask, head, meet, nodes, upstreams } = yield* pool(2)
      yield* meet
      nodes[0]!.height = 1_001
      yield* ask(0, chainId, receipt(1_001))
      assert.strictEqual(shown(upstreams[0]!).latest, 1_001)
      assert.strictEqual(head.hashAt(1_001), hash(1_001))
      for (const who of [0, 1]) {
        nodes[who]!.height = 1_002
        yield* ask(who, chainId, blockNumber)
        assert.strictEqual(shown(upstreams[who]!).latest, 1_002)
      }
      assert.strictEqual(head.floor(), 1_002)
    })
  )

  it.effect("that only one upstream claims are asked for again, by themselves; nobody waits, and nobody is asked", () =>
    Effect.gen(function* () {
      const { ask, head, meet, nodes } = yield* pool(2)
      yield* meet
      nodes[0]!.height = 5_000
      const answers = yield* ask(0, chainId, blockNumber, newest)
      assert.deepStrictEqual(words(answers), ["0x1", "Apart", "Apart"])
      assert.strictEqual(answers[1], JsonRpc.apart)
      yield* TestClock.adjust(0)
      assert.strictEqual(nodes[0]!.asked.length, 1)
      assert.strictEqual(nodes[1]!.asked.length, 0)
      assert.strictEqual(head.floor(), 1_000)
    })
  )

  it.effect("that are no chain's, or older than what was told, are none", () =>
    Effect.gen(function* () {
      const { ask, meet, nodes } = yield* pool(2)
      yield* meet
      nodes[0]!.say = ({ method }) => (method === "eth_blockNumber" ? Exit.succeed("soon") : undefined)
      nodes[0]!.height = 999
      assert.deepStrictEqual(words(yield* ask(0, blockNumber, newest, chainId)), ["TransportError", "Behind", "0x1"])
      nodes[1]!.height = 1e12
      assert.deepStrictEqual(words(yield* ask(1, newest, chainId)), ["TransportError", "0x1"])
    })
  )

  it.effect("may be null from one that is up to date, and not from one that may not have it yet", () =>
    Effect.gen(function* () {
      const { ask, meet, nodes } = yield* pool(2)
      nodes[1]!.height = 990
      yield* meet
      const reads = [
        receipt(1_001),
        request("eth_getBlockByHash", hash(1_001), false),
        request("eth_getBlockByNumber", hex(5_000), false)
      ]
      assert.deepStrictEqual(words(yield* ask(0, ...reads)), [null, null, null])
      assert.deepStrictEqual(words(yield* ask(1, ...reads)), ["NotFound", "NotFound", null])
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(
        nodes.map((node) => node.count("eth_getBlockByNumber")),
        [0, 1]
      )
    })
  )
})

describe("failures", () => {
  it.effect("of a whole batch are one, and an answer ends their row", () =>
    Effect.gen(function* () {
      const { ask, nodes, state } = yield* pool(2)
      const [a] = nodes
      a!.whole = Effect.fail(lost)
      for (const failures of [1, 2]) {
        yield* Effect.exit(ask(0, chainId, chainId, chainId))
        assert.strictEqual(state.trackers[0]!.failures, failures)
      }
      a!.whole = undefined
      yield* ask(0, chainId, chainId)
      assert.strictEqual(state.trackers[0]!.failures, 0)
    })
  )

  it.effect("are not those of batches that came apart, or were interrupted", () =>
    Effect.gen(function* () {
      const { ask, nodes, state } = yield* pool(2)
      nodes[0]!.whole = JsonRpc.apart
      yield* isApart(ask(0, chainId, chainId))
      nodes[0]!.whole = Effect.never
      const fiber = yield* Effect.forkChild(ask(0, chainId, chainId), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(nodes[0]!.asked.length, 2)
      assert.strictEqual(state.trackers[0]!.failures, 0)
    })
  )

  it.effect("of some reads do not outweigh the answers to others", () =>
    Effect.gen(function* () {
      const { ask, nodes, state } = yield* pool(2)
      nodes[0]!.say = ({ method }) => (method === "eth_gasPrice" ? Exit.fail(lost) : undefined)
      const failing = request("eth_gasPrice")
      yield* ask(0, failing, failing, failing, chainId)
      assert.strictEqual(state.trackers[0]!.failures, 0)
      yield* ask(0, chainId, failing, failing, failing)
      assert.strictEqual(state.trackers[0]!.failures, 0)
    })
  )
})

describe("an upstream that is alone", () => {
  it.effect("is asked whatever it is thought to lack, and its answers are taken as they are", () =>
    Effect.gen(function* () {
      const { ask, head, meet, nodes, upstreams } = yield* pool(1)
      yield* meet
      nodes[0]!.height = 990
      nodes[0]!.say = ({ method }) => (method === "x_getTrace" ? Exit.fail(trouble("unsupported")) : undefined)
      const reads = [request("x_getTrace"), request("eth_call", {}, "latest"), receipt(1_000), blockNumber, newest]
      for (let i = 0; i < 2; i++) {
        const answers = yield* ask(0, ...reads)
        assert.deepStrictEqual(words(answers).slice(0, 4), ["ResponseError", "0x1", null, hex(990)])
        assert.isTrue(Exit.isSuccess(answers[4]!))
      }
      yield* TestClock.adjust(0)
      assert.strictEqual(nodes[0]!.asked.length, 2)
      nodes[0]!.height = 9_000
      nodes[0]!.say = undefined
      assert.deepStrictEqual(words(yield* ask(0, blockNumber, request("x_getTrace"))), [hex(9_000), "0x1"])
      assert.deepStrictEqual(shown(upstreams[0]!).unsupported, [])
      assert.strictEqual(head.floor(), 9_000)
    })
  )
})

describe("a client", () => {
  it.effect("is told of no head below what it was told, in a batch or not; all else is as it was", () =>
    Effect.gen(function* () {
      const { head, meet } = yield* pool(2)
      yield* meet
      const failure = Exit.fail(lost)
      const answers: JsonRpc.Answers = [hex(990), hex(1_005), "0x1", failure, JsonRpc.apart, hex(990)].map((answer) =>
        typeof answer === "string" ? Exit.succeed(answer) : answer
      )
      const below = Layer.succeed(JsonRpc.client<never>())({
        name: "pool",
        request: () => Effect.succeed(answers),
        inspect: () => ({ name: "pool" })
      })
      const client = Context.get(yield* Layer.build(below.pipe(Head.client(head))), JsonRpc.client<never>())
      const reads = [blockNumber, blockNumber, chainId, blockNumber, blockNumber, request("eth_gasPrice")]
      assert.deepStrictEqual(yield* client.request(JsonRpc.makeBatch(reads)), [
        Exit.succeed(hex(1_000)),
        ...answers.slice(1)
      ])
    })
  )
})
