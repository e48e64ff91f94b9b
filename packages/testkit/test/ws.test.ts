import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Deferred, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { WebSocket } from "ws"
import { call } from "./client.ts"

/** A client that keeps everything it hears. */
class Client {
  readonly ws: WebSocket
  readonly heard: Array<any> = []
  readonly raw: Array<string> = []
  closed: number | undefined = undefined
  /** The HTTP status in place of a socket. */
  status: number | undefined = undefined
  private readonly waiting = new Set<() => void>()

  constructor(url: string) {
    this.ws = new WebSocket(url, { perMessageDeflate: false })
    const changed =
      (f: (...args: ReadonlyArray<any>) => void) =>
      (...args: ReadonlyArray<any>) => {
        f(...args)
        for (const check of this.waiting) check()
      }
    this.ws.on(
      "open",
      changed(() => {})
    )
    this.ws.on("error", () => {})
    this.ws.on(
      "unexpected-response",
      changed((_, response) => (this.status = response.statusCode))
    )
    this.ws.on(
      "close",
      changed((code) => (this.closed = code))
    )
    this.ws.on(
      "message",
      changed((data: Buffer) => {
        this.raw.push(data.toString())
        try {
          this.heard.push(JSON.parse(data.toString()))
        } catch {
          this.heard.push(undefined)
        }
      })
    )
  }

  until(condition: (client: this) => boolean): Effect.Effect<void> {
    return Effect.callback((resume) => {
      const check = () => {
        if (!condition(this)) return
        this.waiting.delete(check)
        resume(Effect.void)
      }
      this.waiting.add(check)
      check()
      return Effect.sync(() => void this.waiting.delete(check))
    })
  }

  send(method: string, params?: ReadonlyArray<unknown>, id: unknown = 1): void {
    this.ws.send(JSON.stringify(call(method, params, id)))
  }

  /** Sends, and waits for the next message. */
  ask(method: string, params?: ReadonlyArray<unknown>, id?: unknown): Effect.Effect<any> {
    return Effect.suspend(() => {
      const { length } = this.heard
      this.send(method, params, id)
      return Effect.map(
        this.until(({ heard }) => heard.length > length),
        () => this.heard[length]
      )
    })
  }

  get results(): ReadonlyArray<any> {
    return this.heard.filter(({ method }) => method === "eth_subscription").map(({ params }) => params.result)
  }
}

const dial = (url: string) =>
  Effect.acquireRelease(
    Effect.sync(() => new Client(url)),
    ({ ws }) => Effect.sync(() => ws.terminate())
  )

const connect = (url: string) => Effect.tap(dial(url), (client) => client.until(({ ws }) => ws.readyState === 1))

const hex = (number: number) => `0x${number.toString(16)}`

describe("a WebSocket", () => {
  it.effect("is answered like HTTP, on the same port", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ chainId: 5, methods: { eth_gasPrice: () => FaultyNode.error(-1, "no") } })
      const client = yield* connect(node.wsUrl)
      assert.deepStrictEqual(yield* client.ask("eth_chainId"), { jsonrpc: "2.0", id: 1, result: "0x5" })
      assert.deepStrictEqual(yield* client.ask("eth_gasPrice", [], "a"), {
        jsonrpc: "2.0",
        id: "a",
        error: { code: -1, message: "no" }
      })
      client.ws.send(JSON.stringify([call("eth_chainId", [], 1), call("eth_blockNumber", [], 2)]))
      yield* client.until(({ heard }) => heard.length === 3)
      assert.deepStrictEqual(
        client.heard[2].map(({ result }: any) => result),
        ["0x5", "0x3e8"]
      )
      assert.deepStrictEqual(
        node.requests.map(({ batch, connection, ended, method, reused }) => [method, connection, reused, batch, ended]),
        [
          ["eth_chainId", 1, true, undefined, "answered"],
          ["eth_gasPrice", 1, true, undefined, "answered"],
          ["eth_chainId", 1, true, 2, "answered"],
          ["eth_blockNumber", 1, true, 2, "answered"]
        ]
      )
    })
  )

  it.effect("takes no other path than the node's", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ path: "/v3/key?a=b" })
      yield* connect(node.wsUrl)
      const stranger = yield* dial(`ws://127.0.0.1:${node.port}/other`)
      yield* stranger.until(({ status }) => status === 404)
    })
  )

  it.effect("is closed with the port, with every connection, and with the node", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const first = yield* connect(node.wsUrl)
      node.cut()
      yield* first.until(({ closed }) => closed === 1006)
      const second = yield* connect(node.wsUrl)
      yield* node.play(Scenario.refuse)
      yield* second.until(({ closed }) => closed === 1006)
      yield* node.play(Scenario.healthy)
      const third = yield* connect(node.wsUrl)
      yield* third.ask("eth_subscribe", ["newHeads"])
      assert.strictEqual(node.subscriptions, 1)
      yield* node.close
      yield* third.until(({ closed }) => closed === 1006)
      assert.strictEqual(node.subscriptions, 0)
    })
  )

  it.effect("before a node behind has no subscriptions", () =>
    Effect.gen(function* () {
      const real = yield* FaultyNode.make({ head: 7 })
      const node = yield* FaultyNode.make({ behind: real.url })
      const client = yield* connect(node.wsUrl)
      assert.strictEqual((yield* client.ask("eth_blockNumber")).result, "0x7")
      assert.strictEqual((yield* client.ask("eth_subscribe", ["newHeads"])).error.code, -32601)
    })
  )
})

describe("faults of a message", () => {
  const cases: ReadonlyArray<readonly [string, Scenario.Scenario, (client: Client) => boolean]> = [
    ["drop", Scenario.drop, ({ closed, raw }) => closed === 1006 && raw.length === 0],
    ["dropMidway", Scenario.dropMidway, ({ closed, raw }) => closed === 1006 && raw.length === 0],
    ["status", Scenario.status(500), ({ closed }) => closed === 1011],
    ["status 429", Scenario.status(429), ({ closed }) => closed === 1013],
    ["truncated", Scenario.truncated, ({ heard, raw }) => raw.length === 1 && heard[0] === undefined],
    [
      "oversized",
      Scenario.oversized(10_000),
      ({ heard, raw }) => raw[0]?.length === 10_000 && heard[0].result === "0x1"
    ],
    ["error", Scenario.error(-32005, "slow down"), ({ heard }) => heard[0]?.error.code === -32005],
    ["malformed", Scenario.malformed("foreignId"), ({ heard }) => heard[0]?.id === 1_000_004]
  ]
  for (const [name, scenario, expected] of cases) {
    it.effect(name, () =>
      Effect.gen(function* () {
        const node = yield* FaultyNode.make()
        const client = yield* connect(node.wsUrl)
        yield* node.play(scenario)
        client.send("eth_chainId")
        yield* client.until(expected)
      })
    )
  }

  it.effect("latency, drip and hang", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const client = yield* connect(node.wsUrl)
      yield* node.play(Scenario.latency("1 second"))
      client.send("eth_chainId")
      yield* node.until(({ requests }) => requests.length === 1)
      assert.strictEqual(client.heard.length, 0)
      yield* TestClock.adjust("1 second")
      yield* client.until(({ heard }) => heard.length === 1)
      yield* node.play(Scenario.drip("1 second"))
      client.send("eth_chainId")
      yield* node.until(({ requests }) => requests.length === 2)
      yield* TestClock.adjust("1 second")
      yield* client.until(({ heard }) => heard.length === 2)
      yield* node.play(Scenario.hang)
      client.send("eth_chainId")
      yield* node.until(({ requests }) => requests.length === 3)
      client.ws.close()
      yield* node.until(({ aborted }) => aborted === 1)
      assert.deepStrictEqual(
        node.requests.map(({ ended }) => ended),
        ["answered", "answered", "aborted"]
      )
    })
  )
})

describe("faults of the handshake", () => {
  it.effect("are those of a call of the method websocket", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({
        scenario: Scenario.when({ method: "websocket" }, Scenario.first(1, Scenario.status(429)))
      })
      yield* (yield* dial(node.wsUrl)).until(({ status }) => status === 429)
      const client = yield* connect(node.wsUrl)
      assert.strictEqual((yield* client.ask("eth_chainId")).result, "0x1")
      yield* node.play(Scenario.when({ method: "websocket" }, Scenario.drop))
      yield* (yield* dial(node.wsUrl)).until(({ closed }) => closed === 1006)
      yield* node.play(Scenario.when({ method: "websocket" }, Scenario.hang))
      const before = node.connections.total
      const hanging = yield* dial(node.wsUrl)
      yield* node.until(({ connections }) => connections.total > before)
      assert.strictEqual(hanging.ws.readyState, 0)
      yield* node.play(Scenario.when({ method: "websocket" }, Scenario.latency("1 second")))
      const late = yield* dial(node.wsUrl)
      yield* node.until(({ connections }) => connections.total > before + 1)
      assert.strictEqual(late.ws.readyState, 0)
      assert.strictEqual((yield* client.ask("eth_chainId")).result, "0x1")
      const open = yield* Effect.forkChild(late.until(({ ws }) => ws.readyState === 1))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(open)
    })
  )
})

describe("a subscription", () => {
  it.effect("to heads tells each block, and after a reorganisation the new ones", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ head: 10 })
      const client = yield* connect(node.wsUrl)
      const { result: id } = yield* client.ask("eth_subscribe", ["newHeads"])
      assert.match(id, /^0x[0-9a-f]{32}$/)
      node.mine(2)
      yield* client.until(({ results }) => results.length === 2)
      node.reorg(2)
      yield* client.until(({ results }) => results.length === 4)
      node.mine()
      yield* client.until(({ results }) => results.length === 5)
      const { results } = client
      assert.deepStrictEqual(
        results.map(({ number }) => number),
        [11, 12, 11, 12, 13].map(hex)
      )
      assert.strictEqual(results[3].parentHash, results[2].hash)
      assert.notStrictEqual(results[2].hash, results[0].hash)
      assert.strictEqual(results[2].parentHash, results[0].parentHash)
      assert.isUndefined(results[0].transactions)
      assert.strictEqual((yield* client.ask("eth_unsubscribe", [id])).result, true)
      assert.strictEqual((yield* client.ask("eth_unsubscribe", [id])).result, false)
      node.mine()
      assert.strictEqual((yield* client.ask("eth_chainId")).result, "0x1")
    })
  )

  it.effect("to logs tells what is removed, the newest first", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ head: 10 })
      const client = yield* connect(node.wsUrl)
      yield* client.ask("eth_subscribe", ["logs", { address: "0x" + "7".repeat(40) }])
      node.mine(2)
      node.reorg(2)
      yield* client.until(({ results }) => results.length === 6)
      const { results } = client
      assert.deepStrictEqual(
        results.map(({ blockNumber, removed }) => [Number(blockNumber), removed]),
        [
          [11, false],
          [12, false],
          [12, true],
          [11, true],
          [11, false],
          [12, false]
        ]
      )
      assert.deepStrictEqual({ ...results[2], removed: false }, results[1])
      assert.deepStrictEqual({ ...results[3], removed: false }, results[0])
      assert.strictEqual(results[0].address, "0x" + "7".repeat(40))
    })
  )

  it.effect("to transactions tells what was sent", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const client = yield* connect(node.wsUrl)
      yield* client.ask("eth_subscribe", ["newPendingTransactions"])
      client.send("eth_sendRawTransaction", ["0x01"], 9)
      yield* client.until(({ results }) => results.length === 1)
      assert.strictEqual(client.results[0], client.heard.find(({ id }) => id === 9).result)
    })
  )

  it.effect("follows a head that moves by itself, while somebody listens", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ head: 10, blockTime: "2 seconds" })
      const client = yield* connect(node.wsUrl)
      yield* TestClock.adjust("1 second")
      const { result: id } = yield* client.ask("eth_subscribe", ["newHeads"])
      yield* TestClock.adjust("5 seconds")
      yield* client.until(({ results }) => results.length === 3)
      yield* client.ask("eth_unsubscribe", [id])
      yield* TestClock.adjust("10 seconds")
      yield* client.ask("eth_chainId")
      assert.strictEqual(client.results.length, 3)
    })
  )

  it.effect("is refused where there is none of its kind, and over HTTP", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const client = yield* connect(node.wsUrl)
      assert.strictEqual((yield* client.ask("eth_subscribe", ["weather"])).error.code, -32602)
      const answer = yield* Effect.promise(() =>
        fetch(node.url, { method: "POST", body: JSON.stringify(call("eth_subscribe", ["newHeads"])) }).then((r) =>
          r.json()
        )
      )
      assert.strictEqual((answer as any).error.code, -32601)
    })
  )

  it.effect("loses what hangs, on one connection of two", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ head: 10 })
      const [dead, alive] = [yield* connect(node.wsUrl), yield* connect(node.wsUrl)]
      for (const client of [dead, alive]) yield* client.ask("eth_subscribe", ["newHeads"])
      yield* node.play(Scenario.when(({ connection }) => connection === 1, Scenario.hang))
      node.mine()
      yield* alive.until(({ results }) => results.length === 1)
      yield* node.play(Scenario.healthy)
      node.mine()
      yield* dead.until(({ results }) => results.length === 1)
      assert.strictEqual(dead.results[0].number, hex(12))
    })
  )

  it.effect("is late, cut off, or that of a node that lags", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ head: 10 })
      const client = yield* connect(node.wsUrl)
      yield* client.ask("eth_subscribe", ["newHeads"])
      const told = Scenario.when({ method: "eth_subscription" }, Scenario.latency("1 second"))
      yield* node.play(told)
      node.mine()
      yield* client.ask("eth_chainId")
      assert.strictEqual(client.results.length, 0)
      yield* TestClock.adjust("1 second")
      yield* client.until(({ results }) => results.length === 1)
      yield* node.play(Scenario.behind(2))
      node.mine()
      yield* client.ask("eth_chainId")
      assert.strictEqual(client.results.length, 1)
      node.mine(2)
      yield* client.until(({ results }) => results.length === 2)
      assert.strictEqual(client.results[1].number, hex(12))
      yield* node.play(Scenario.drop)
      node.mine()
      yield* client.until(({ closed }) => closed === 1006)
      assert.strictEqual(node.subscriptions, 0)
    })
  )

  it.effect("ends with its socket", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ blockTime: "1 second" })
      const client = yield* connect(node.wsUrl)
      yield* client.ask("eth_subscribe", ["newHeads"])
      const gone = yield* Deferred.make<void>()
      const waiting = yield* Effect.forkChild(
        Effect.andThen(
          node.until(({ subscriptions }) => subscriptions === 0),
          Deferred.succeed(gone, undefined)
        )
      )
      client.ws.close()
      yield* Deferred.await(gone)
      yield* Fiber.join(waiting)
    })
  )
})
