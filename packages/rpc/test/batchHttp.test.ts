import { assert, describe, it } from "@effect/vitest"
import { JsonRpc } from "@hawser/core"
import { Http, RpcError } from "@hawser/rpc"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect, Exit, Fiber, Random, Scheduler, Scope } from "effect"
import { TestClock } from "effect/testing"
import { createServer, type IncomingMessage } from "node:http"
import type { AddressInfo } from "node:net"
import { refusal } from "./support/refusal.ts"

const echo = (value: unknown) => JsonRpc.makeRequest("test_getEcho", [value])

const write = JsonRpc.makeRequest("eth_sendRawTransaction", ["0x00"])

const methods = { test_getEcho: ([value]: ReadonlyArray<unknown>) => value, eth_sendRawTransaction: () => "0xhash" }

const facing = (
  scenario: Scenario.Scenario = Scenario.healthy,
  batch: Http.BatchOptions | true = true,
  options: Partial<Http.Options> = {}
) =>
  Effect.gen(function* () {
    const node = yield* FaultyNode.make({ scenario, methods })
    const upstream = yield* Http.make({ url: node.url, batch, ...options })
    const ask = (value: unknown = 0) => upstream.request(echo(value))
    return { node, upstream, ask, shown: () => (upstream.inspect()["http"] as Http.Inspection).batch! }
  })

const together = <A, E>(...effects: ReadonlyArray<Effect.Effect<A, E>>) =>
  Effect.forEach(effects, Effect.exit, { concurrency: "unbounded" })

const many = <A, E>(n: number, f: (i: number) => Effect.Effect<A, E>) =>
  Effect.forEach(
    Array.from({ length: n }, (_, i) => i),
    (i) => Effect.exit(f(i)),
    { concurrency: "unbounded" }
  )

/** The sizes of the batches that a node was asked, 1 for a single request. */
const sizes = (node: FaultyNode.FaultyNode): ReadonlyArray<number> => {
  const all: Array<number> = []
  for (let i = 0; i < node.requests.length;) {
    const size = node.requests[i]!.batch
    all.push(size ?? 1)
    i += size ?? 1
  }
  return all
}

const values = (exits: ReadonlyArray<Exit.Exit<unknown, unknown>>) =>
  exits.map((exit) => (Exit.isSuccess(exit) ? exit.value : assert.fail(String(exit))))

describe("reads that are asked together", () => {
  it.live("travel together, and each gets its own answer", () =>
    Effect.gen(function* () {
      const { ask, node, shown } = yield* facing(Scenario.batch("shuffled"))
      assert.deepStrictEqual(
        values(yield* many(250, ask)),
        Array.from({ length: 250 }, (_, i) => i)
      )
      assert.deepStrictEqual(sizes(node), [100, 100, 50])
      assert.deepStrictEqual(shown(), { size: 100, waiting: 0, batches: 3, batched: 250, refused: 0, repeated: 0 })
    })
  )

  it.live("travel as one object if there is only one", () =>
    Effect.gen(function* () {
      const { ask, node } = yield* facing()
      assert.strictEqual(yield* ask(5), 5)
      assert.strictEqual(node.requests[0]!.batch, undefined)
    })
  )

  it.live("do not if nobody wants it", () =>
    Effect.gen(function* () {
      const { node, upstream } = yield* Effect.gen(function* () {
        const node = yield* FaultyNode.make({ methods })
        return { node, upstream: yield* Http.make({ url: node.url, batch: false }) }
      })
      yield* many(3, (i) => upstream.request(echo(i)))
      assert.deepStrictEqual(sizes(node), [1, 1, 1])
      assert.notProperty(upstream.inspect()["http"], "batch")
    })
  )

  it.effect("wait for others as long as they are told, by the clock", () =>
    Effect.gen(function* () {
      const { ask, node, shown } = yield* facing(Scenario.healthy, { wait: "20 millis" })
      const first = yield* Effect.forkChild(ask(1), { startImmediately: true })
      yield* TestClock.adjust("19 millis")
      const second = yield* Effect.forkChild(ask(2), { startImmediately: true })
      assert.strictEqual(shown().waiting, 2)
      assert.strictEqual(node.count(), 0)
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual([yield* Fiber.join(first), yield* Fiber.join(second)], [1, 2])
      assert.deepStrictEqual(sizes(node), [2])
    })
  )

  it.effect("go when the scheduler says that it is time", () =>
    Effect.gen(function* () {
      const tasks: Array<() => void> = []
      const scheduler: Scheduler.Scheduler = {
        executionMode: "async",
        shouldYield: () => false,
        makeDispatcher: () => ({ scheduleTask: (task) => void tasks.push(task), flush: () => {} })
      }
      const node = yield* FaultyNode.make({ methods })
      const upstream = yield* Effect.provideService(
        Http.make({ url: node.url, batch: true }),
        Scheduler.Scheduler,
        scheduler
      )
      const fibers = yield* Effect.forEach([1, 2], (i) =>
        Effect.forkChild(upstream.request(echo(i)), { startImmediately: true })
      )
      assert.strictEqual(tasks.length, 1)
      assert.strictEqual(node.count(), 0)
      tasks[0]!()
      assert.deepStrictEqual(values(yield* Effect.forEach(fibers, Fiber.await)), [1, 2])
      assert.deepStrictEqual(sizes(node), [2])
    })
  )
})

describe("a write", () => {
  it.live("never travels with others, nor does a filter's request", () =>
    Effect.gen(function* () {
      const { ask, node, upstream } = yield* facing()
      const session = JsonRpc.makeRequest("eth_getFilterChanges", ["0x1"])
      yield* together(ask(1), upstream.request(write), ask(2), upstream.request(session))
      for (const { batch, method } of node.requests) {
        assert.strictEqual(batch, method === "test_getEcho" ? 2 : undefined)
      }
    })
  )

  for (const [name, fault] of Object.entries({
    drop: Scenario.drop,
    dropMidway: Scenario.dropMidway,
    truncated: Scenario.truncated,
    refused: Scenario.batch("refused"),
    "413": Scenario.status(413),
    "503": Scenario.status(503)
  })) {
    it.live(`is sent once, whatever becomes of the reads beside it: ${name}`, () =>
      Effect.gen(function* () {
        const { ask, node, upstream } = yield* facing(Scenario.when({ batch: true }, fault))
        for (let i = 0; i < 3; i++) {
          const exits = yield* together(ask(1), upstream.request(write), ask(2))
          assert.deepStrictEqual(exits[1], Exit.succeed("0xhash"))
        }
        assert.strictEqual(node.count("eth_sendRawTransaction"), 3)
      })
    )
  }
})

describe("a node that answers a batch wrongly", () => {
  it.live("leaving one out: only that one fails", () =>
    Effect.gen(function* () {
      const { ask } = yield* facing(Scenario.batch("missing"))
      const exits = yield* many(3, ask)
      assert.deepStrictEqual(exits.slice(0, 2), [Exit.succeed(0), Exit.succeed(1)])
      assert.match(String(exits[2]), /TransportError.*without one to this request/)
    })
  )

  it.live("giving one twice: neither counts", () =>
    Effect.gen(function* () {
      const { ask } = yield* facing(Scenario.batch("duplicate"))
      const exits = yield* many(3, ask)
      assert.match(String(exits[0]), /two replies/)
      assert.deepStrictEqual(exits[1], Exit.succeed(1))
      assert.match(String(exits[2]), /without one to this request/)
    })
  )

  it.live("under no ids at all: none counts", () =>
    Effect.gen(function* () {
      const { ask, shown } = yield* facing(Scenario.batch("nullIds"))
      for (const exit of yield* many(3, ask)) assert.match(String(exit), /without one to any request/)
      assert.strictEqual(shown().size, 1)
    })
  )

  it.live("with an error for one: the others have their answers", () =>
    Effect.gen(function* () {
      const { node, upstream } = yield* facing(
        Scenario.when({ method: "eth_call" }, Scenario.error(3, "execution reverted", { data: "0x01" }))
      )
      const exits = yield* together(
        upstream.request(echo(1)),
        upstream.request(JsonRpc.makeRequest("eth_call", [{}])),
        upstream.request(echo(2))
      )
      assert.deepStrictEqual([exits[0], exits[2]], [Exit.succeed(1), Exit.succeed(2)])
      const error = yield* Effect.flip(exits[1]!)
      assert.deepInclude(error, { _tag: "Rejected", kind: "revert", data: "0x01" })
      assert.deepStrictEqual(sizes(node), [3])
    })
  )

  it.live("refusing it: asked one by one from then on, and the caller sees nothing of it", () =>
    Effect.gen(function* () {
      const { ask, node, shown } = yield* facing(Scenario.batch("refused"))
      assert.deepStrictEqual(values(yield* many(3, ask)), [0, 1, 2])
      assert.deepStrictEqual(values(yield* many(2, ask)), [0, 1])
      assert.deepStrictEqual(sizes(node), [3, 1, 1, 1, 1, 1])
      assert.deepInclude(shown(), { size: 1, refused: 1, repeated: 3 })
    })
  )

  for (const status of [400, 403, 405]) {
    it.live(`refusing it with HTTP ${status}`, () =>
      Effect.gen(function* () {
        const { ask, shown } = yield* facing(Scenario.when({ batch: true }, Scenario.status(status)))
        assert.deepStrictEqual(values(yield* many(3, ask)), [0, 1, 2])
        assert.strictEqual(shown().size, 1)
      })
    )
  }

  it.effect("refusing it: tried again after ten minutes", () =>
    Effect.gen(function* () {
      const { ask, node } = yield* facing(Scenario.first(3, Scenario.when({ batch: true }, Scenario.batch("refused"))))
      yield* many(3, ask)
      yield* TestClock.adjust("9 minutes")
      yield* many(2, ask)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(values(yield* many(2, ask)), [0, 1])
      assert.deepStrictEqual(sizes(node), [3, 1, 1, 1, 1, 1, 2])
    })
  )

  it.live("taking smaller ones only", () =>
    Effect.gen(function* () {
      const { ask, node } = yield* facing(
        Scenario.first(8, Scenario.when({ batch: true }, Scenario.status(413, { body: "Payload Too Large" })))
      )
      assert.deepStrictEqual(values(yield* many(8, ask)), [0, 1, 2, 3, 4, 5, 6, 7])
      yield* many(8, ask)
      assert.deepStrictEqual(sizes(node), [8, 1, 1, 1, 1, 1, 1, 1, 1, 4, 4])
    })
  )

  it.live("throttling it: each is told so, and batches stay", () =>
    Effect.gen(function* () {
      const { ask, shown } = yield* facing(Scenario.status(429, { retryAfter: "3 seconds" }))
      for (const exit of yield* many(3, ask)) {
        assert.deepInclude(yield* Effect.flip(exit), { _tag: "ResponseError", kind: "rate", status: 429 })
      }
      assert.deepInclude(shown(), { size: 100, refused: 0, repeated: 0 })
    })
  )

  it.live("with a reply that is too large: asked one by one", () =>
    Effect.gen(function* () {
      const { ask, shown } = yield* facing(Scenario.healthy, true, { maxBodySize: 1_000 })
      const large = "x".repeat(600)
      assert.deepStrictEqual(values(yield* many(2, () => ask(large))), [large, large])
      assert.deepInclude(shown(), { size: 1, repeated: 2 })
    })
  )

  it.live("losing it: each fails, and the next are smaller", () =>
    Effect.gen(function* () {
      const { ask, shown } = yield* facing(Scenario.when({ batch: true }, Scenario.drop))
      for (const exit of yield* many(8, ask)) {
        assert.deepInclude(yield* Effect.flip(exit), { _tag: "TransportError", reason: "closed", reached: true })
      }
      assert.strictEqual(shown().size, 4)
    })
  )

  it.live("closing a kept socket as it comes: repeated once, over a fresh one", () =>
    Effect.gen(function* () {
      const { ask, node } = yield* facing(Scenario.when({ reused: true }, Scenario.drop), true, { connections: 1 })
      yield* ask()
      assert.deepStrictEqual(values(yield* many(3, ask)), [0, 1, 2])
      assert.strictEqual(node.connections.total, 2)
    })
  )
})

describe("a caller", () => {
  it.live("may leave: the others go on, and its answer is nobody's", () =>
    Effect.gen(function* () {
      const { ask, node } = yield* facing(Scenario.latency("20 millis"))
      const fibers = yield* Effect.forEach([0, 1, 2], (i) => Effect.forkChild(ask(i), { startImmediately: true }))
      yield* node.until(({ requests }) => requests.length === 3)
      yield* Fiber.interrupt(fibers[1]!)
      assert.strictEqual(yield* Fiber.join(fibers[0]!), 0)
      assert.strictEqual(yield* Fiber.join(fibers[2]!), 2)
      assert.strictEqual(node.aborted, 0)
    })
  )

  it.live("may leave before it goes", () =>
    Effect.gen(function* () {
      const { ask, node } = yield* facing()
      const fibers = yield* Effect.forEach([0, 1, 2], (i) => Effect.forkChild(ask(i), { startImmediately: true }))
      yield* Fiber.interrupt(fibers[1]!)
      yield* Fiber.awaitAll(fibers)
      assert.deepStrictEqual(sizes(node), [2])
    })
  )

  it.live("who is the last to leave closes the socket", () =>
    Effect.gen(function* () {
      const { ask, node } = yield* facing(Scenario.hang)
      const fibers = yield* Effect.forEach([0, 1], (i) => Effect.forkChild(ask(i), { startImmediately: true }))
      yield* node.until(({ requests }) => requests.length === 2)
      yield* Fiber.interruptAll(fibers)
      yield* node.until(({ aborted, connections }) => connections.open === 0 && aborted === 1)
    })
  )

  it.live("who leaves while it is asked alone closes that socket", () =>
    Effect.gen(function* () {
      const { ask, node } = yield* facing(
        Scenario.firstOf(Scenario.batch("refused"), Scenario.when({ batch: false }, Scenario.hang))
      )
      const fibers = yield* Effect.forEach([0, 1], (i) => Effect.forkChild(ask(i), { startImmediately: true }))
      yield* node.until(({ requests }) => requests.length === 4)
      yield* Fiber.interruptAll(fibers)
      yield* node.until(({ aborted }) => aborted === 2)
    })
  )

  for (const wait of ["0 millis", "1 hour"] as const) {
    it.effect(`learns it when the scope ends before its batch goes, after ${wait}`, () =>
      Effect.gen(function* () {
        const node = yield* FaultyNode.make({ methods })
        const scope = yield* Scope.make()
        const upstream = yield* Scope.provide(Http.make({ url: node.url, batch: { wait } }), scope)
        const fibers = yield* Effect.forEach([0, 1], (i) =>
          Effect.forkChild(Effect.exit(upstream.request(echo(i))), { startImmediately: true })
        )
        yield* Scope.close(scope, Exit.void)
        for (const fiber of fibers) {
          const error = yield* Effect.flip(yield* Fiber.join(fiber))
          assert.deepInclude(error, { _tag: "TransportError", reached: false })
        }
        assert.instanceOf(yield* Effect.flip(upstream.request(echo(2))), RpcError.TransportError)
        assert.strictEqual(node.count(), 0)
      })
    )
  }
})

describe("reads that have come together", () => {
  const batch = (...values: ReadonlyArray<unknown>) => JsonRpc.makeBatch(values.map(echo))

  const asked = (upstream: JsonRpc.Service<Http.HttpError>, ...values: ReadonlyArray<unknown>) =>
    Effect.map(upstream.request(batch(...values)), (answers) => answers as JsonRpc.Answers)

  const isApart = <A, E>(self: Effect.Effect<A, E>) =>
    Effect.map(Effect.flip(self), (error) => assert.instanceOf(error, JsonRpc.Apart))

  it.live("go as one request, and each has its own answer", () =>
    Effect.gen(function* () {
      const { ask, node, shown, upstream } = yield* facing(Scenario.batch("shuffled"))
      yield* ask("first")
      const values = Array.from({ length: 100 }, (_, i) => i)
      assert.deepStrictEqual(
        yield* asked(upstream, ...values),
        values.map((i) => Exit.succeed(i))
      )
      yield* ask("last")
      assert.deepStrictEqual(sizes(node), [1, 100, 1])
      assert.strictEqual(new Set(node.requests.map(({ id }) => id)).size, 102)
      assert.deepInclude(shown(), { batches: 1, batched: 100, repeated: 0 })
    })
  )

  it.live("do not wait, and take nobody along who does", () =>
    Effect.gen(function* () {
      const { ask, node, upstream } = yield* facing(Scenario.healthy, { wait: "1 hour", size: 3 })
      const waiting = yield* Effect.forkChild(ask("waits"), { startImmediately: true })
      assert.deepStrictEqual(values(yield* asked(upstream, 1, 2)), [1, 2])
      assert.deepStrictEqual(sizes(node), [2])
      assert.isUndefined(waiting.pollUnsafe())
      yield* together(ask(1), ask(2))
      assert.deepStrictEqual(yield* Fiber.join(waiting), "waits")
    })
  )

  it.live("may be told a result, null, the chain's own answer, an error, or what is no answer", () =>
    Effect.gen(function* () {
      const { node, upstream } = yield* facing(
        Scenario.firstOf(
          Scenario.when({ method: "eth_call" }, Scenario.error(3, "execution reverted", { data: "0x01" })),
          Scenario.when({ method: "eth_getCode" }, Scenario.error(-32000, "header not found")),
          Scenario.when({ method: "eth_gasPrice" }, Scenario.malformed("noResult"))
        )
      )
      const requests = ["test_getEcho", "eth_call", "eth_getCode", "eth_gasPrice"].map((method) =>
        JsonRpc.makeRequest(method, [null])
      )
      const answers = (yield* upstream.request(JsonRpc.makeBatch(requests))) as JsonRpc.Answers
      assert.deepStrictEqual(answers[0], Exit.succeed(null))
      assert.deepInclude(yield* Effect.flip(answers[1]!), { _tag: "Rejected", kind: "revert", data: "0x01" })
      assert.deepInclude(yield* Effect.flip(answers[2]!), { _tag: "ResponseError", kind: "missing" })
      assert.deepInclude(yield* Effect.flip(answers[3]!), { _tag: "TransportError", reason: "reply" })
      assert.strictEqual(answers.length, 4)
      assert.deepStrictEqual(sizes(node), [4])
    })
  )

  it.live("are answered where each was rejected", () =>
    Effect.gen(function* () {
      const { upstream } = yield* facing(Scenario.error(3, "execution reverted"))
      for (const answer of yield* asked(upstream, 1, 2)) {
        assert.instanceOf(yield* Effect.flip(answer), JsonRpc.Rejected)
      }
    })
  )

  it.live("are to come apart if the node takes none together, and then nothing is sent", () =>
    Effect.gen(function* () {
      const { ask, node, shown, upstream } = yield* facing(Scenario.batch("refused"))
      yield* isApart(asked(upstream, 1, 2))
      yield* isApart(asked(upstream, 1, 2))
      yield* isApart(asked(upstream, 1))
      assert.deepStrictEqual(sizes(node), [2])
      assert.deepInclude(shown(), { size: 1, refused: 1 })
      assert.deepStrictEqual(values(yield* many(2, ask)), [0, 1])
      assert.deepStrictEqual(sizes(node), [2, 1, 1])
    })
  )

  it.effect("may go together again after ten minutes", () =>
    Effect.gen(function* () {
      const { node, upstream } = yield* facing(Scenario.first(1, Scenario.batch("refused")))
      yield* isApart(asked(upstream, 1, 2))
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(values(yield* asked(upstream, 1, 2)), [1, 2])
      assert.deepStrictEqual(sizes(node), [2, 2])
    })
  )

  it.live("are to come apart if their answers are too large together", () =>
    Effect.gen(function* () {
      const { shown, upstream } = yield* facing(Scenario.healthy, true, { maxBodySize: 1_000 })
      yield* isApart(asked(upstream, "x".repeat(600), "x".repeat(600)))
      assert.strictEqual(shown().size, 1)
    })
  )

  for (const [name, options, request] of [
    ["nobody wants it", { batch: false }, batch(1, 2)],
    ["they are too many", { batch: { size: 2 } }, batch(1, 2, 3)],
    ["they are too long", { batch: { bytes: 100 } }, batch("x".repeat(50), "y".repeat(50))],
    ["one cannot be written", {}, batch(1, 2n)]
  ] as const) {
    it.live(`are to come apart, and nothing is sent, if ${name}`, () =>
      Effect.gen(function* () {
        const { node, upstream } = yield* facing(Scenario.healthy, true, options)
        yield* isApart(upstream.request(request))
        assert.strictEqual(node.count(), 0)
      })
    )
  }

  for (const [name, scenario, expected] of [
    ["says so of all", Scenario.status(429), { _tag: "ResponseError", kind: "rate", status: 429 }],
    ["says so of each", Scenario.error(-32603, "internal error"), { _tag: "ResponseError", kind: "transient" }],
    ["does not answer any", Scenario.batch("nullIds"), { _tag: "TransportError", reason: "reply" }],
    ["loses them", Scenario.drop, { _tag: "TransportError", reason: "closed", reached: true }],
    ["is not there", Scenario.refuse, { _tag: "TransportError", reason: "connect", reached: false }]
  ] as const) {
    it.live(`fail as one if the node ${name}`, () =>
      Effect.gen(function* () {
        const { upstream } = yield* facing(scenario)
        assert.deepInclude(yield* Effect.flip(upstream.request(batch(1, 2))), expected)
      })
    )
  }

  it.live("go once more, over a fresh socket, if a kept one closes as they come", () =>
    Effect.gen(function* () {
      const { ask, node, upstream } = yield* facing(Scenario.when({ reused: true }, Scenario.drop), true, {
        connections: 1
      })
      yield* ask()
      assert.deepStrictEqual(values(yield* asked(upstream, 1, 2)), [1, 2])
      assert.strictEqual(node.connections.total, 2)
    })
  )

  it.live("whose caller leaves close their socket", () =>
    Effect.gen(function* () {
      const { node, shown, upstream } = yield* facing(Scenario.hang)
      const fiber = yield* Effect.forkChild(asked(upstream, 1, 2), { startImmediately: true })
      yield* node.until(({ requests }) => requests.length === 2)
      yield* Fiber.interrupt(fiber)
      yield* node.until(({ aborted, connections }) => connections.open === 0 && aborted === 1)
      assert.strictEqual(shown().size, 100)
      yield* node.play(Scenario.healthy)
      assert.deepStrictEqual(values(yield* asked(upstream, 1, 2)), [1, 2])
    })
  )

  it.live("learn it when the scope ends, and come to nothing later", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.hang })
      const scope = yield* Scope.make()
      const upstream = yield* Scope.provide(Http.make({ url: node.url, batch: true }), scope)
      const fiber = yield* Effect.forkChild(Effect.flip(asked(upstream, 1, 2)), { startImmediately: true })
      yield* node.until(({ requests }) => requests.length === 2)
      yield* Scope.close(scope, Exit.void)
      assert.instanceOf(yield* Fiber.join(fiber), RpcError.TransportError)
      yield* isApart(asked(upstream, 1, 2))
      assert.strictEqual(node.count(), 2)
    })
  )
})

describe("who asks without a fiber", () => {
  /** Submits reads of these values, and keeps what is told of each. */
  const submitted = (upstream: JsonRpc.Service<Http.HttpError>, ...requests: ReadonlyArray<JsonRpc.Request>) => {
    const told = requests.map((): Array<Exit.Exit<unknown, unknown>> => [])
    const places = requests.map((request, i) => upstream.submit!(request, { end: (exit) => void told[i]!.push(exit) })!)
    return { places, told }
  }

  it.live("shares a body with all who ask at that time", () =>
    Effect.gen(function* () {
      const { ask, node, upstream } = yield* facing(Scenario.batch("shuffled"))
      const { told } = submitted(upstream, echo(1), echo(2))
      assert.deepStrictEqual(values(yield* many(2, ask)), [0, 1])
      assert.deepStrictEqual(told, [[Exit.succeed(1)], [Exit.succeed(2)]])
      assert.deepStrictEqual(sizes(node), [4])
    })
  )

  it.live("writes alone", () =>
    Effect.gen(function* () {
      const { node, upstream } = yield* facing()
      const { told } = submitted(upstream, echo(1), write, echo(2))
      yield* node.until(({ requests }) => requests.length === 3)
      for (const { batch, method } of node.requests) {
        assert.strictEqual(batch, method === "test_getEcho" ? 2 : undefined)
      }
      yield* upstream.request(echo(3))
      assert.deepStrictEqual(told[1], [Exit.succeed("0xhash")])
    })
  )

  it.live("may leave before it goes, or later: the others go on, and it hears nothing", () =>
    Effect.gen(function* () {
      const { ask, node, upstream } = yield* facing(Scenario.latency("20 millis"))
      const { places, told } = submitted(upstream, echo(1), echo(2), echo(3))
      yield* places[0]!.leave()
      const last = yield* Effect.forkChild(ask(4), { startImmediately: true })
      yield* node.until(({ requests }) => requests.length === 3)
      yield* places[1]!.leave()
      assert.strictEqual(yield* Fiber.join(last), 4)
      assert.deepStrictEqual(told, [[], [], [Exit.succeed(3)]])
      assert.deepStrictEqual(sizes(node), [3])
      assert.strictEqual(node.aborted, 0)
    })
  )

  it.live("and is the last to leave closes the socket", () =>
    Effect.gen(function* () {
      const { node, upstream } = yield* facing(Scenario.hang)
      const { places, told } = submitted(upstream, echo(1), echo(2))
      yield* node.until(({ requests }) => requests.length === 2)
      for (const place of places) yield* place.leave()
      yield* node.until(({ aborted, connections }) => connections.open === 0 && aborted === 1)
      assert.deepStrictEqual(told, [[], []])
    })
  )
})

/** A server that distorts lists of answers, and what it made of each. */
const distorting = (seed: number) =>
  Effect.gen(function* () {
    const random = yield* Random.withSeed(Random.Random, seed)
    const draw = (n: number) => Math.floor(random.nextDoubleUnsafe() * n)
    const server = createServer((request, response) => {
      void read(request).then((body) => {
        const asked: any = JSON.parse(body)
        const answer = ({ id, params }: any) => ({ jsonrpc: "2.0", id, result: params[0] })
        if (!Array.isArray(asked)) return response.end(JSON.stringify(answer(asked)))
        const items: Array<unknown> = []
        for (const one of asked) {
          const own = answer(one)
          switch (draw(12)) {
            case 0:
              break
            case 1:
              items.push(own, own)
              break
            case 2:
              items.push({ ...own, id: 1_000_000 + draw(9) })
              break
            case 3:
              items.push({ ...own, id: null })
              break
            case 4:
              items.push({ ...own, id: String(own.id) })
              break
            case 5:
              items.push({ jsonrpc: "2.0", id: own.id, error: { code: -32000, message: "no" } })
              break
            case 6:
              items.push(own, [null, 1, "junk", {}, []][draw(5)])
              break
            case 7:
              items.push({ jsonrpc: "2.0", id: own.id })
              break
            default:
              items.push(own)
          }
        }
        for (let i = items.length - 1; i > 0; i--) {
          const j = draw(i + 1)
          ;[items[i], items[j]] = [items[j], items[i]]
        }
        const whole = draw(8)
        if (whole === 0) return response.end(JSON.stringify(items).slice(0, -2))
        if (whole === 1) response.statusCode = 500
        return response.end(JSON.stringify(items))
      })
    })
    yield* Effect.acquireRelease(
      Effect.callback<void>((resume) => {
        server.listen(0, "127.0.0.1", () => resume(Effect.void))
      }),
      () => Effect.sync(() => server.close().closeAllConnections())
    )
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  })

const read = async (request: IncomingMessage): Promise<string> => {
  let text = ""
  for await (const part of request) text += String(part)
  return text
}

describe("whatever list a node makes of the answers", () => {
  for (const seed of [1, 2, 3]) {
    it.live(`each caller gets its own answer or a failure (seed ${seed})`, () =>
      Effect.gen(function* () {
        const url = yield* distorting(seed)
        const upstream = yield* Http.make({ url, batch: { size: 7 } })
        let answered = 0
        for (let round = 0; round < 20; round++) {
          const exits = yield* many(30, (i) => upstream.request(echo(`${round}/${i}`)))
          exits.forEach((exit, i) => {
            if (Exit.isSuccess(exit)) {
              answered++
              assert.strictEqual(exit.value, `${round}/${i}`)
            } else assert.match(String(exit), /TransportError|ResponseError/)
          })
        }
        assert.isAbove(answered, 200)
      })
    )

    it.live(`reads that have come together have theirs in their order, or none has (seed ${seed})`, () =>
      Effect.gen(function* () {
        const url = yield* distorting(seed)
        let answered = 0
        for (let round = 0; round < 30; round++) {
          // One that has learned nothing yet.
          const upstream = yield* Http.make({ url, batch: true })
          const requests = Array.from({ length: 20 }, (_, i) => echo(`${round}/${i}`))
          const exit = yield* Effect.exit(upstream.request(JsonRpc.makeBatch(requests)))
          if (Exit.isFailure(exit)) assert.match(String(exit), /TransportError|ResponseError/)
          else {
            const answers = exit.value as JsonRpc.Answers
            assert.strictEqual(answers.length, 20)
            answers.forEach((answer, i) => {
              if (Exit.isFailure(answer)) assert.match(String(answer), /TransportError|ResponseError/)
              else assert.strictEqual(answer.value, `${round}/${i}`)
              if (Exit.isSuccess(answer)) answered++
            })
          }
        }
        assert.isAbove(answered, 100)
      })
    )
  }
})

describe("options", () => {
  it("are refused by name", () => {
    const refused = (batch: unknown) => refusal(() => Http.layer({ url: "http://a.example", batch } as Http.Options))
    for (const batch of [undefined, true, false, {}, { size: 1, wait: "5 millis", bytes: 10 }]) {
      assert.strictEqual(refused(batch), "taken")
    }
    assert.match(refused({ size: 0 }), /^Http\.batch\.size takes a whole number of at least 1/)
    assert.match(refused({ wait: -1 }), /^Http\.batch\.wait takes a duration/)
    assert.match(refused({ wiat: 1 }), /^Http\.batch\.wiat takes no value/)
    assert.match(refused(7), /^Http\.batch takes/)
  })
})
