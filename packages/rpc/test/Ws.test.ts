import { assert, describe, it } from "@effect/vitest"
import { JsonRpc, Options, Outcome } from "@hawser/core"
import { RpcError } from "@hawser/rpc"
import { FaultyNode, Interruption, Scenario } from "@hawser/testkit"
import { Deferred, Duration, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { createHash } from "node:crypto"
import * as net from "node:net"
import { Signal } from "../src/internal/head/signal.ts"
import { Listener, type Opened } from "../src/internal/subscription/listener.ts"
import { open as openGlobal, takesHeaders } from "../src/internal/ws/open.ts"
import { open as openUndici } from "../src/internal/ws/open.undici.ts"
import { read as readSettings } from "../src/internal/ws/settings.ts"
import type { Events, Open } from "../src/internal/ws/socket.ts"
import { build } from "../src/internal/ws/upstream.ts"
import * as Ws from "../src/Ws.ts"

const blockNumber = JsonRpc.makeRequest("eth_blockNumber")
const subscribe = JsonRpc.makeRequest("eth_subscribe", ["newHeads"])
const write = JsonRpc.makeRequest("eth_sendRawTransaction", ["0x01"])

/** Keeps what a subscription tells, and wakes whoever waits for it. */
class Ear {
  opened: Opened | undefined = undefined
  readonly heard: Array<any> = []
  readonly lost: Array<any> = []
  private readonly changed = new Signal()

  readonly onOpen = (opened: Opened) => this.told(() => (this.opened = opened))
  readonly onNotification = (result: unknown) => this.told(() => this.heard.push(result))
  readonly onLost = (error: unknown) => this.told(() => this.lost.push(error))

  private told(f: () => void): void {
    f()
    this.changed.poke()
  }

  until(condition: (ear: this) => boolean): Effect.Effect<void> {
    return this.changed.until(() => condition(this))
  }
}

const hearing = (service: JsonRpc.Service<Ws.WsError>, ear: Ear) =>
  Effect.provideService(service.request(subscribe), Listener, ear)

/** `net_version` is asked only by a transport that wants a sign of life. */
const signs = (node: FaultyNode.FaultyNode) => node.count("net_version")

const ws = (service: JsonRpc.Service<unknown>) => service.inspect()["ws"] as Ws.Inspection

for (const [name, open] of [
  ["the runtime's WebSocket", openGlobal],
  ["undici's WebSocket", openUndici]
] as const) {
  const facing = (scenario: Scenario.Scenario, options: Partial<Ws.Options> = {}, node: FaultyNode.Options = {}) =>
    Effect.gen(function* () {
      const faulty = yield* FaultyNode.make({ scenario, ...node })
      const service = yield* build(readSettings({ url: faulty.wsUrl, ...options }, true), open)
      return { node: faulty, service, ask: (request = blockNumber) => service.request(request) }
    })

  describe(`requests over ${name}`, () => {
    it.effect("are matched by id among many, over one socket that opens when it is needed", () =>
      Effect.gen(function* () {
        const methods = { echo: ([value]: ReadonlyArray<unknown>) => Effect.as(Effect.yieldNow, value) }
        const { ask, node, service } = yield* facing(Scenario.healthy, {}, { methods })
        assert.strictEqual(node.connections.total, 0)
        assert.deepStrictEqual(ws(service), { open: false, inflight: 0, subscriptions: 0 })
        const values = Array.from({ length: 200 }, (_, i) => i)
        const answers = yield* Effect.forEach(values, (i) => ask(JsonRpc.makeRequest("echo", [i], "read")), {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(answers, values)
        assert.strictEqual(node.connections.total, 1)
        assert.deepStrictEqual(ws(service), { open: true, inflight: 0, subscriptions: 0 })
      })
    )

    it.effect("do not go together: a batch is to come apart, and nothing is sent", () =>
      Effect.gen(function* () {
        const { ask, node } = yield* facing(Scenario.healthy)
        assert.instanceOf(yield* Effect.flip(ask(JsonRpc.makeBatch([blockNumber, blockNumber]))), JsonRpc.Apart)
        assert.strictEqual(node.connections.total, 0)
      })
    )

    it.effect("carry headers and credentials, and let none out", () =>
      Effect.gen(function* () {
        const node = yield* FaultyNode.make({ path: "/v3/SECRETPATH?key=SECRETKEY" })
        const url = node.wsUrl.replace("ws://", "ws://alice:SECRETPASS@")
        const settings = readSettings({ url, headers: { "X-Api": "SECRETHEADER" } }, true)
        const service = yield* build(settings, open)
        assert.strictEqual(yield* service.request(blockNumber), "0x3e8")
        const { headers } = node.requests[0]!
        assert.strictEqual(headers["x-api"], "SECRETHEADER")
        assert.strictEqual(headers["authorization"], `Basic ${btoa("alice:SECRETPASS")}`)
        assert.strictEqual(headers["user-agent"], "hawser")
        yield* node.play(Scenario.error(-32000, `no access: ${url} SECRETHEADER SECRETKEY SECRETPATH`))
        const failure = yield* Effect.flip(service.request(blockNumber))
        assert.notInclude(JSON.stringify(failure) + failure.message + String(failure), "SECRET")
        yield* node.close
        const gone = yield* Effect.flip(service.request(blockNumber))
        assert.notInclude(JSON.stringify(gone) + gone.message + String(gone), "SECRET")
      })
    )

    it.effect("fail by what is wrong", () =>
      Effect.gen(function* () {
        const { ask, node } = yield* facing(Scenario.healthy)
        const fails = (scenario: Scenario.Scenario, request = blockNumber) =>
          Effect.andThen(
            node.play(Scenario.firstOf(Scenario.when({ method: "websocket" }, Scenario.healthy), scenario)),
            Effect.flip(ask(request))
          )
        const transport = function* (scenario: Scenario.Scenario) {
          const error = yield* fails(scenario)
          assert(error instanceof RpcError.TransportError)
          return [error.reason, error.reached]
        }
        assert.deepStrictEqual(yield* transport(Scenario.drop), ["closed", true])
        assert.deepStrictEqual(yield* transport(Scenario.dropMidway), ["closed", true])
        assert.deepStrictEqual(yield* transport(Scenario.status(500)), ["closed", true])
        assert.deepStrictEqual(yield* transport(Scenario.truncated), ["reply", true])
        for (const how of ["foreignId", "noId", "noResult", "null", "array"] as const) {
          const error = yield* fails(Scenario.malformed(how))
          assert(error instanceof RpcError.TransportError, how)
          assert.strictEqual(error.reason, "reply", how)
        }
        const limited = yield* fails(Scenario.error(-32005, "rate limit exceeded"))
        assert(limited instanceof RpcError.ResponseError)
        const rejected = yield* fails(Scenario.error(3, "execution reverted", { data: "0x08" }))
        assert(rejected instanceof JsonRpc.Rejected)
        assert.strictEqual(rejected.data, "0x08")
        assert.strictEqual((yield* fails(Scenario.malformed("resultAndError")))._tag, "ResponseError")
        const bigint = yield* fails(Scenario.healthy, JsonRpc.makeRequest("eth_call", [1n]))
        assert(bigint instanceof JsonRpc.Rejected)
        for (const how of ["stringId", "noVersion", "oldVersion"] as const) {
          yield* node.play(Scenario.malformed(how))
          assert.strictEqual(yield* ask(), "0x3e8", how)
        }
      })
    )

    it.effect("that never left may be sent elsewhere, even writes", () =>
      Effect.gen(function* () {
        const { ask, node } = yield* facing(Scenario.refuse)
        for (const scenario of [Scenario.refuse, Scenario.drop]) {
          yield* node.play(scenario)
          const error = yield* Effect.flip(ask(write))
          assert(error instanceof RpcError.TransportError)
          assert.deepStrictEqual([error.reason, error.reached], ["connect", false])
          assert.strictEqual(Outcome.of(error).ran, "no")
        }
        yield* node.play(Scenario.healthy)
        assert.match((yield* ask(write)) as string, /^0x/)
      })
    )

    it.effect("all end at once with their socket, and the next opens another", () =>
      Effect.gen(function* () {
        const { ask, node } = yield* facing(Scenario.healthy)
        yield* ask()
        yield* node.play(Scenario.hang)
        const waiting = yield* Effect.forEach([1, 2, 3], () => Effect.forkChild(Effect.flip(ask())))
        yield* node.until(({ requests }) => requests.length === 4)
        node.cut()
        for (const fiber of waiting) {
          const error = yield* Fiber.join(fiber)
          assert(error instanceof RpcError.TransportError)
          assert.deepStrictEqual([error.reason, error.reached], ["closed", true])
        }
        yield* node.play(Scenario.healthy)
        assert.strictEqual(yield* ask(), "0x3e8")
        assert.strictEqual(node.connections.total, 2)
      })
    )

    it.effect("that are interrupted are forgotten, their late replies too", () =>
      Effect.gen(function* () {
        const { ask, node, service } = yield* facing(Scenario.healthy)
        yield* ask()
        yield* node.play(Scenario.first(1, Scenario.latency("1 second")))
        const fiber = yield* Effect.forkChild(ask())
        yield* node.until(({ requests }) => requests.length === 2)
        assert.strictEqual(ws(service).inflight, 1)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(ws(service).inflight, 0)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* ask(), "0x3e8")
        assert.strictEqual(node.connections.total, 1)
      })
    )
  })

  describe(`the socket of ${name}`, () => {
    it.effect("is closed when it is idle, and with its scope", () =>
      Effect.gen(function* () {
        const { ask, node } = yield* facing(Scenario.healthy, { keepAlive: "4 seconds" })
        yield* ask()
        yield* TestClock.adjust("3 seconds")
        yield* ask()
        yield* TestClock.adjust("3 seconds")
        yield* ask()
        assert.strictEqual(node.connections.total, 1)
        yield* TestClock.adjust("4 seconds")
        yield* node.until(({ connections }) => connections.open === 0)
        assert.strictEqual(signs(node), 0)

        const scope = yield* Scope.make()
        const service = yield* Scope.provide(build(readSettings({ url: node.wsUrl }, true), open), scope)
        yield* service.request(blockNumber)
        yield* node.play(Scenario.hang)
        const waiting = yield* Effect.forkChild(Effect.flip(service.request(blockNumber)))
        yield* node.until(({ requests }) => requests.length === 5)
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual((yield* Fiber.join(waiting))._tag, "TransportError")
        yield* node.until(({ connections }) => connections.open === 0)
        assert.strictEqual((yield* Effect.flip(service.request(blockNumber)))._tag, "TransportError")
      })
    )

    it.effect("that is half open is found by its silence while somebody waits", () =>
      Effect.gen(function* () {
        const { ask, node } = yield* facing(Scenario.healthy, { silence: "30 seconds" })
        yield* ask()
        yield* node.play(Scenario.when(({ connection }) => connection === 1, Scenario.hang))
        const waiting = yield* Effect.forkChild(Effect.flip(ask()))
        yield* node.until(({ requests }) => requests.length === 2)
        yield* TestClock.adjust("29 seconds")
        assert.strictEqual(signs(node), 0)
        yield* TestClock.adjust("1 second")
        yield* node.until((node) => signs(node) === 1)
        assert.isUndefined(waiting.pollUnsafe())
        yield* TestClock.adjust("5 seconds")
        const error = yield* Fiber.join(waiting)
        assert(error instanceof RpcError.TransportError)
        assert.strictEqual(error.message, "silent for 35000 ms")
        assert.strictEqual(yield* ask(), "0x3e8")
        assert.strictEqual(node.connections.total, 2)
      })
    )

    it.effect("is doubted sooner when somebody gave up waiting", () =>
      Effect.gen(function* () {
        const { ask, node } = yield* facing(Scenario.healthy)
        yield* ask()
        yield* node.play(Scenario.when(({ connection }) => connection === 1, Scenario.hang))
        for (let i = 0; i < 2; i++) {
          const waiting = yield* Effect.forkChild(ask())
          yield* node.until(({ requests }) => requests.length >= i + 2)
          yield* TestClock.adjust("3 seconds")
          yield* Fiber.interrupt(waiting)
        }
        const waiting = yield* Effect.forkChild(Effect.flip(ask()))
        yield* node.until((node) => signs(node) === 1)
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual((yield* Fiber.join(waiting))._tag, "TransportError")
      })
    )

    it.effect("that answers the sign of life is kept, however slow the request", () =>
      Effect.gen(function* () {
        const { ask, node } = yield* facing(
          Scenario.when({ method: "eth_blockNumber" }, Scenario.latency("70 seconds"))
        )
        const waiting = yield* Effect.forkChild(ask())
        yield* node.until(({ requests }) => requests.length === 1)
        for (let i = 1; i <= 2; i++) {
          yield* TestClock.adjust("30 seconds")
          yield* node.until((node) => signs(node) === i)
          yield* ask(JsonRpc.makeRequest("eth_chainId"))
        }
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(yield* Fiber.join(waiting), "0x3e8")
        assert.strictEqual(node.connections.total, 1)
      })
    )

    it.effect("whose handshake hangs is given up", () =>
      Effect.gen(function* () {
        const { ask, node, service } = yield* facing(Scenario.when({ method: "websocket" }, Scenario.hang))
        const waiting = yield* Effect.forkChild(Effect.flip(ask(write)))
        yield* node.until(({ connections }) => connections.total === 1)
        yield* TestClock.adjust("10 seconds")
        const error = yield* Fiber.join(waiting)
        assert(error instanceof RpcError.TransportError)
        assert.deepStrictEqual([error.reason, error.reached], ["connect", false])
        yield* node.until(({ connections }) => connections.open === 0)
        const impatient = yield* Effect.forkChild(ask())
        yield* node.until(({ connections }) => connections.total === 2)
        yield* Fiber.interrupt(impatient)
        yield* TestClock.adjust("4 seconds")
        yield* node.until(({ connections }) => connections.open === 0)
        assert.isFalse(ws(service).open)
      })
    )
  })

  describe(`a subscription over ${name}`, () => {
    it.effect("is heard by whoever asked for it, until it is cancelled", () =>
      Effect.gen(function* () {
        const { node, service } = yield* facing(Scenario.healthy, {}, { head: 10 })
        const [first, second] = [new Ear(), new Ear()]
        const id = yield* hearing(service, first)
        yield* hearing(service, second)
        assert.strictEqual(first.opened?.id, id)
        assert.strictEqual(first.opened?.upstream, service.name)
        assert.strictEqual(node.subscriptions, 2)
        assert.strictEqual(ws(service).subscriptions, 2)
        node.mine(2)
        yield* first.until(({ heard }) => heard.length === 2)
        yield* second.until(({ heard }) => heard.length === 2)
        assert.deepStrictEqual(
          first.heard.map(({ number }) => number),
          ["0xb", "0xc"]
        )
        first.opened!.cancel()
        first.opened!.cancel()
        yield* node.until(({ subscriptions }) => subscriptions === 1)
        node.mine()
        yield* second.until(({ heard }) => heard.length === 3)
        assert.strictEqual(first.heard.length, 2)
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(node.connections.open, 1)
        second.opened!.cancel()
        yield* TestClock.adjust("4 seconds")
        yield* node.until(({ connections }) => connections.open === 0)
        assert.deepStrictEqual([first.lost, second.lost], [[], []])
      })
    )

    it.effect("is lost with its socket", () =>
      Effect.gen(function* () {
        const { node, service } = yield* facing(Scenario.healthy)
        const ear = new Ear()
        yield* hearing(service, ear)
        node.cut()
        yield* ear.until(({ lost }) => lost.length === 1)
        assert(ear.lost[0] instanceof RpcError.TransportError)
        ear.opened!.cancel()
        assert.deepStrictEqual(ws(service), { open: false, inflight: 0, subscriptions: 0 })
      })
    )

    it.effect("keeps a quiet socket open that shows signs of life, and loses one that shows none", () =>
      Effect.gen(function* () {
        const { ask, node, service } = yield* facing(Scenario.healthy)
        const ear = new Ear()
        yield* hearing(service, ear)
        for (let i = 1; i <= 3; i++) {
          yield* TestClock.adjust("30 seconds")
          yield* node.until((node) => signs(node) === i)
          yield* ask()
        }
        assert.strictEqual(ear.lost.length, 0)
        yield* node.play(Scenario.hang)
        yield* TestClock.adjust("30 seconds")
        yield* node.until((node) => signs(node) === 4)
        yield* TestClock.adjust("5 seconds")
        yield* ear.until(({ lost }) => lost.length === 1)
      })
    )

    it.effect("that nobody waited for is ended", () =>
      Effect.gen(function* () {
        const { ask, node, service } = yield* facing(Scenario.healthy)
        yield* ask()
        yield* node.play(Scenario.when({ method: "eth_subscribe" }, Scenario.latency("1 second")))
        const ear = new Ear()
        const fiber = yield* Effect.forkChild(hearing(service, ear))
        yield* node.until((node) => node.count("eth_subscribe") === 1)
        yield* Fiber.interrupt(fiber)
        const opened = yield* Effect.forkChild(node.until(({ subscriptions }) => subscriptions === 1))
        yield* TestClock.adjust("1 second")
        yield* Fiber.join(opened)
        yield* node.until((node) => node.count("eth_unsubscribe") === 1 && node.subscriptions === 0)
        assert.isUndefined(ear.opened)
      })
    )

    it.effect("takes a listener", () =>
      Effect.gen(function* () {
        const { node, service } = yield* facing(Scenario.healthy)
        const error = yield* Effect.flip(service.request(subscribe))
        assert(error instanceof JsonRpc.Rejected)
        assert.strictEqual(node.connections.total, 0)
      })
    )
  })
}

describe("undici's WebSocket", () => {
  it.effect("tells how the handshake was refused", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.status(429, { retryAfter: "7 seconds" }) })
      const service = yield* build(readSettings({ url: node.wsUrl }, true), openUndici)
      const limited = yield* Effect.flip(service.request(write))
      assert(limited instanceof RpcError.ResponseError)
      assert.strictEqual(limited.kind, "rate")
      assert.strictEqual(limited.status, 429)
      assert.strictEqual(Outcome.of(limited).ran, "no")
      assert.deepStrictEqual(Outcome.of(limited).retryAfter, Duration.seconds(7))
      const error = { code: -32000, message: "invalid key" }
      for (const status of [401, 403]) {
        yield* node.play(Scenario.status(status, { body: { jsonrpc: "2.0", error } }))
        const unauthorized = yield* Effect.flip(service.request(blockNumber))
        assert(unauthorized instanceof RpcError.ResponseError)
        assert.deepStrictEqual([unauthorized.kind, unauthorized.status], ["auth", status])
        // Of a 401 undici reads no body.
        if (status === 403) assert.strictEqual(unauthorized.message, "invalid key")
      }
    })
  )

  it.effect("ends although the other side has gone silent for good", () =>
    Effect.gen(function* () {
      const ended = yield* Deferred.make<void>()
      const { port } = yield* deaf(() => Deferred.doneUnsafe(ended, Effect.void))
      const scope = yield* Scope.make()
      const service = yield* Scope.provide(
        build(readSettings({ url: `ws://127.0.0.1:${port}` }, true), openUndici),
        scope
      )
      const waiting = yield* Effect.forkChild(Effect.exit(service.request(blockNumber)), { startImmediately: true })
      yield* untilOpen(service)
      yield* Scope.close(scope, Exit.void)
      yield* Fiber.join(waiting)
      yield* Deferred.await(ended)
    })
  )
})

/** Takes a WebSocket and never says another word, not even goodbye. */
const deaf = (ended: () => void) =>
  Effect.acquireRelease(
    Effect.callback<{ readonly port: number; readonly close: () => void }>((resume) => {
      const server = net.createServer((socket) => {
        socket.on("error", () => {})
        socket.on("close", ended)
        socket.once("data", (data) => {
          const key = /sec-websocket-key: (.*)\r\n/i.exec(data.toString())![1]
          const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64")
          socket.write(
            `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`
          )
        })
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as net.AddressInfo
        resume(Effect.succeed({ port, close: () => void server.close() }))
      })
    }),
    ({ close }) => Effect.sync(close)
  )

const untilOpen = (service: JsonRpc.Service<unknown>): Effect.Effect<void> =>
  Effect.suspend(() =>
    ws(service).open
      ? Effect.void
      : Effect.andThen(
          Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void))),
          untilOpen(service)
        )
  )

/** A socket in the test's hand. */
class Fake {
  readonly sent: Array<any> = []
  closed = false
  readonly events: Events

  constructor(events: Events) {
    this.events = events
  }

  say(message: unknown): void {
    this.events.onMessage(typeof message === "string" ? message : JSON.stringify(message))
  }

  reply(i: number, rest: object): void {
    this.say({ jsonrpc: "2.0", id: this.sent[i].id, ...rest })
  }
}

const faking = (options: Partial<Ws.Options> = {}) =>
  Effect.gen(function* () {
    const sockets: Array<Fake> = []
    const open: Open = (_, events) => {
      const socket = new Fake(events)
      sockets.push(socket)
      return {
        send: (text) => void socket.sent.push(JSON.parse(text)),
        close: () => void (socket.closed = true)
      }
    }
    const service = yield* build(readSettings({ url: "ws://node/SECRETPATH", ...options }, true), open)
    const fork = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })
    return { service, sockets, fork }
  })

describe("a reply", () => {
  it.effect("without an id is that of the only request there is, or of none", () =>
    Effect.gen(function* () {
      const { fork, service, sockets } = yield* faking()
      const alone = yield* fork(Effect.flip(service.request(blockNumber)))
      sockets[0]!.events.onOpen()
      sockets[0]!.say({ id: null, error: { code: -32700, message: "parse error" } })
      assert.strictEqual((yield* Fiber.join(alone)).message, "parse error")
      const two = [
        yield* fork(Effect.flip(service.request(blockNumber))),
        yield* fork(Effect.flip(service.request(write)))
      ]
      sockets[0]!.say({ id: null, error: { code: -32700, message: "parse error" } })
      for (const fiber of two) assert.strictEqual((yield* Fiber.join(fiber))._tag, "TransportError")
      assert.isTrue(sockets[0]!.closed)
    })
  )

  it.effect("to what was never asked ends the socket; one that comes late, and what is no reply, do not", () =>
    Effect.gen(function* () {
      const { fork, service, sockets } = yield* faking()
      const first = yield* fork(service.request(blockNumber))
      sockets[0]!.events.onOpen()
      yield* Fiber.interrupt(first)
      const second = yield* fork(Effect.exit(service.request(blockNumber)))
      sockets[0]!.reply(0, { result: "0x1" })
      sockets[0]!.say({ jsonrpc: "2.0", method: "eth_subscription", params: { subscription: "0x9", result: 1 } })
      sockets[0]!.say({ jsonrpc: "2.0", method: "eth_subscription", params: null })
      sockets[0]!.say({ jsonrpc: "2.0", method: "hello" })
      assert.isUndefined(second.pollUnsafe())
      sockets[0]!.reply(1, { result: "0x2" })
      assert.deepStrictEqual(yield* Fiber.join(second), Exit.succeed("0x2"))
      assert.isFalse(sockets[0]!.closed)
      for (const strange of [{ id: 77, result: 1 }, { id: true, result: 1 }, { id: 0, result: 1 }, 7, [], "{"]) {
        const socket = sockets.at(-1)!
        const waiting = yield* fork(Effect.flip(service.request(blockNumber)))
        const current = sockets.at(-1)!
        if (current !== socket) current.events.onOpen()
        current.say(strange)
        const error = yield* Fiber.join(waiting)
        assert(error instanceof RpcError.TransportError)
        assert.strictEqual(error.reason, "reply")
        assert.isTrue(current.closed)
      }
    })
  )

  it.effect("to a socket that is over is nobody's", () =>
    Effect.gen(function* () {
      const { fork, service, sockets } = yield* faking()
      const first = yield* fork(Effect.flip(service.request(blockNumber)))
      sockets[0]!.events.onOpen()
      sockets[0]!.events.onEnd({ message: "gone from ws://node/SECRETPATH" })
      assert.notInclude((yield* Fiber.join(first)).message, "SECRET")
      const second = yield* fork(service.request(blockNumber))
      sockets[1]!.events.onOpen()
      sockets[0]!.say({ id: sockets[1]!.sent[0].id, result: "wrong" })
      sockets[0]!.events.onEnd({ message: "again" })
      assert.isUndefined(second.pollUnsafe())
      sockets[1]!.reply(0, { result: "right" })
      assert.strictEqual(yield* Fiber.join(second), "right")
    })
  )
})

describe("a socket", () => {
  it.effect("that owes a sign of life is entrusted with nothing more", () =>
    Effect.gen(function* () {
      const { fork, service, sockets } = yield* faking({ keepAlive: "1 minute" })
      const first = yield* fork(service.request(blockNumber))
      sockets[0]!.events.onOpen()
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual(sockets[0]!.sent[1].method, "net_version")
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("5 seconds")
      assert.isFalse(sockets[0]!.closed)
      const second = yield* fork(service.request(write))
      assert.isTrue(sockets[0]!.closed)
      sockets[1]!.events.onOpen()
      sockets[1]!.reply(0, { result: "0x1" })
      assert.strictEqual(yield* Fiber.join(second), "0x1")
    })
  )

  it.effect("hears a subscription whose id is a number", () =>
    Effect.gen(function* () {
      const { fork, service, sockets } = yield* faking()
      const ear = new Ear()
      const subscribed = yield* fork(hearing(service, ear))
      const [socket] = sockets
      socket!.events.onOpen()
      socket!.reply(0, { result: 7 })
      // At once: the next message may be in the same packet.
      socket!.say({ method: "eth_subscription", params: { subscription: 7, result: "first" } })
      assert.deepStrictEqual(ear.heard, ["first"])
      yield* Fiber.join(subscribed)
    })
  )

  it.effect("outlives interruption at any step without a request, a timer or a subscription left over", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.sync(() => {
          const sockets: Array<Fake> = []
          const open: Open = (_, events) => {
            const socket = new Fake(events)
            sockets.push(socket)
            queueMicrotask(() => events.onOpen())
            return {
              send: (text) => {
                const request = JSON.parse(text)
                socket.sent.push(request)
                queueMicrotask(() => {
                  if (!socket.closed) socket.say({ id: request.id, result: "0x1" })
                })
              },
              close: () => void (socket.closed = true)
            }
          }
          const ear = new Ear()
          return {
            run: Effect.gen(function* () {
              const service = yield* build(readSettings({ url: "ws://node" }, true), open)
              yield* service.request(blockNumber)
              yield* hearing(service, ear)
              yield* service.request(blockNumber)
            }).pipe(Effect.scoped),
            check: () => {
              for (const socket of sockets) assert.isTrue(socket.closed)
            }
          }
        })
      )
      assert.isAbove(steps, 5)
    })
  )
})

describe("options", () => {
  it("are checked at once, and show no secret", () => {
    for (const options of [
      { url: "http://node/SECRET" },
      { url: "SECRET" },
      { url: "ws://node", headers: { a: "SECRET\n" } },
      { url: "ws://node", silence: 0 },
      { url: "ws://node", keepAlive: "soon" },
      { url: "ws://node", other: 1 }
    ]) {
      const error = assert.throws(() => Ws.make(options as never), Options.InvalidOption) as unknown
      void error
      try {
        Ws.layer(options as never)
      } catch (error) {
        assert.notInclude((error as Error).message, "SECRET")
      }
    }
    assert.isTrue(takesHeaders)
    assert.throws(
      () => readSettings({ url: "ws://node", headers: { a: "b" } }, false),
      /Ws.headers takes no value here/
    )
    const browser = readSettings({ url: "wss://user:pass@node/path" }, false)
    assert.deepStrictEqual(browser.target, { url: "wss://user:pass@node/path", headers: {} })
  })
})
