import { assert, describe, it } from "@effect/vitest"
import { JsonRpc } from "@hawser/core"
import { Http, RpcError } from "@hawser/rpc"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Context, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { refusal } from "./support/refusal.ts"

const read = JsonRpc.makeRequest("eth_blockNumber")

/** A node that goes wrong in a certain way, and an upstream that asks it. */
const facing = (scenario: Scenario.Scenario, options: Partial<Http.Options> = {}, node: FaultyNode.Options = {}) =>
  Effect.gen(function* () {
    const faulty = yield* FaultyNode.make({ scenario, ...node })
    const upstream = yield* Http.make({ url: faulty.url, ...options })
    return { node: faulty, upstream, ask: (request = read) => upstream.request(request) }
  })

const failure = (scenario: Scenario.Scenario, options?: Partial<Http.Options>) =>
  Effect.flatMap(facing(scenario, options), ({ ask }) => Effect.flip(ask()))

describe("an answer", () => {
  it.live("is the result of what was asked", () =>
    Effect.gen(function* () {
      const { ask, node } = yield* facing(Scenario.healthy)
      assert.strictEqual(yield* ask(), "0x3e8")
      assert.strictEqual(yield* ask(JsonRpc.makeRequest("eth_chainId", [])), "0x1")
      assert.isObject(yield* ask(JsonRpc.makeRequest("eth_getBlockByNumber", ["latest", false])))
      assert.strictEqual(yield* ask(JsonRpc.makeRequest("eth_getTransactionReceipt", [`0x${"0".repeat(64)}`])), null)
      assert.deepStrictEqual(
        node.requests.map(({ method }) => method),
        ["eth_blockNumber", "eth_chainId", "eth_getBlockByNumber", "eth_getTransactionReceipt"]
      )
    })
  )

  it.live("comes over kept sockets", () =>
    Effect.gen(function* () {
      const { ask, node } = yield* facing(Scenario.healthy)
      for (let i = 0; i < 10; i++) yield* ask()
      assert.isAtMost(node.connections.total, 2)
    })
  )

  it.live("is matched by id among many at once", () =>
    Effect.gen(function* () {
      const { ask } = yield* facing(
        Scenario.latency({ min: 0, max: "5 millis" }),
        {},
        {
          methods: { echo: ([value]) => value }
        }
      )
      const values = yield* Effect.forEach(
        Array.from({ length: 200 }, (_, i) => i),
        (i) => ask(JsonRpc.makeRequest("echo", [i], "read")),
        { concurrency: "unbounded" }
      )
      assert.deepStrictEqual(
        values,
        Array.from({ length: 200 }, (_, i) => i)
      )
    })
  )

  for (const how of ["stringId", "noVersion", "oldVersion"] as const) {
    it.live(`may be sloppy: ${how}`, () =>
      Effect.gen(function* () {
        const { ask } = yield* facing(Scenario.malformed(how))
        assert.strictEqual(yield* ask(), "0x3e8")
      })
    )
  }
})

describe("what is not an answer is a transport fault", () => {
  const cases: ReadonlyArray<readonly [string, Scenario.Scenario, RegExp]> = [
    ["a foreign id", Scenario.malformed("foreignId"), /foreign id/],
    ["a null id beside a result", Scenario.malformed("nullId"), /foreign id/],
    ["no id", Scenario.malformed("noId"), /foreign id/],
    ["no result", Scenario.malformed("noResult"), /without a result/],
    ["null", Scenario.malformed("null"), /not a JSON-RPC response/],
    ["a list", Scenario.malformed("array"), /not a JSON-RPC response/],
    ["half a document", Scenario.truncated, /not whole JSON/],
    ["HTML with status 200", Scenario.status(200), /HTML instead of JSON/],
    ["nothing", Scenario.status(200, { body: "" }), /empty reply/],
    ["a closed connection", Scenario.drop, /./],
    ["half a reply", Scenario.dropMidway, /./]
  ]
  for (const [name, scenario, message] of cases) {
    it.live(name, () =>
      Effect.gen(function* () {
        const error = yield* failure(scenario)
        assert.instanceOf(error, RpcError.TransportError)
        assert.match(error.message, message)
        assert.isTrue(error.reached)
      })
    )
  }

  it.live("a refused connection, which provably reached nobody", () =>
    Effect.gen(function* () {
      const error = yield* failure(Scenario.refuse)
      assert.instanceOf(error, RpcError.TransportError)
      assert.deepInclude(error, { reason: "connect", reached: false })
    })
  )

  it.live("a name that does not resolve", () =>
    Effect.gen(function* () {
      const upstream = yield* Http.make({ url: "http://nowhere.invalid/key" })
      const error = yield* Effect.flip(upstream.request(read))
      assert.deepInclude(error, { _tag: "TransportError", reason: "connect", reached: false })
      assert.notInclude(error.message, "key")
    })
  )

  for (const declared of [true, false]) {
    it.live(`a reply over the limit, ${declared ? "announced" : "not announced"}`, () =>
      Effect.gen(function* () {
        const { ask, node } = yield* facing(Scenario.oversized(200_000, { declared }), { maxBodySize: 100_000 })
        const error = yield* Effect.flip(ask())
        assert.deepInclude(error, { _tag: "TransportError", reason: "too-large" })
        yield* node.until(({ connections }) => connections.open === 0)
      })
    )
  }
})

describe("an error", () => {
  it.live("of the chain keeps code and data", () =>
    Effect.gen(function* () {
      const data = `0x08c379a0${"0".repeat(64)}`
      const error = yield* failure(Scenario.error(3, "execution reverted", { data }))
      assert.instanceOf(error, JsonRpc.Rejected)
      assert.deepInclude(error, { code: 3, data, kind: "revert" })
    })
  )

  it.live("counts although its id is null", () =>
    Effect.gen(function* () {
      const error = yield* failure(
        Scenario.status(400, {
          body: { jsonrpc: "2.0", id: null, error: { code: -32600, message: "Invalid Request" } }
        })
      )
      assert.instanceOf(error, JsonRpc.Rejected)
    })
  )

  it.live("that answers another request does not", () =>
    Effect.gen(function* () {
      const body = { jsonrpc: "2.0", id: 987654, error: { code: 3, message: "execution reverted" } }
      const error = yield* failure(Scenario.status(200, { body }))
      assert.instanceOf(error, RpcError.TransportError)
    })
  )

  for (const status of [401, 403, 404, 429, 500, 502, 503]) {
    it.live(`HTTP ${status} without JSON`, () =>
      Effect.gen(function* () {
        const error = yield* failure(Scenario.status(status))
        assert.instanceOf(error, RpcError.ResponseError)
        assert.strictEqual(error.status, status)
      })
    )
  }

  it.live("params that cannot be written are the caller's mistake, and nothing is sent", () =>
    Effect.gen(function* () {
      const { ask, node } = yield* facing(Scenario.healthy)
      const error = yield* Effect.flip(ask(JsonRpc.makeRequest("eth_call", [1n])))
      assert.deepInclude(error, { _tag: "Rejected", code: -32602, kind: "invalid" })
      assert.strictEqual(node.count(), 0)
    })
  )
})

describe("sockets", () => {
  it.live("cancelling closes the socket at once", () =>
    Effect.gen(function* () {
      const { ask, node } = yield* facing(Scenario.hang)
      const fiber = yield* Effect.forkChild(ask(), { startImmediately: true })
      yield* node.until((node) => node.requests.length === 1)
      yield* Fiber.interrupt(fiber)
      yield* node.until(({ aborted, connections }) => connections.open === 0 && aborted === 1)
    })
  )

  it.live("cancelling while waiting for a socket sends nothing", () =>
    Effect.gen(function* () {
      const { ask, node } = yield* facing(Scenario.hang, { connections: 1 })
      const first = yield* Effect.forkChild(ask(), { startImmediately: true })
      yield* node.until((node) => node.requests.length === 1)
      const second = yield* Effect.forkChild(ask(), { startImmediately: true })
      yield* Fiber.interrupt(second)
      yield* node.play(Scenario.healthy)
      yield* Fiber.interrupt(first)
      assert.strictEqual(yield* ask(), "0x3e8")
      assert.strictEqual(node.count(), 2)
    })
  )

  it.live("the end of the scope closes all, and ends what is under way", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.hang })
      const scope = yield* Scope.make()
      const upstream = yield* Scope.provide(Http.make({ url: node.url }), scope)
      const fiber = yield* Effect.forkChild(Effect.exit(upstream.request(read)), { startImmediately: true })
      yield* node.until(({ connections }) => connections.open === 1)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
      yield* node.until(({ connections }) => connections.open === 0)
    })
  )

  it.live("what goes over a used one ends with the scope, too, and is not sent again", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.after(1, Scenario.hang) })
      const scope = yield* Scope.make()
      const upstream = yield* Scope.provide(Http.make({ url: node.url, connections: 1 }), scope)
      yield* upstream.request(read)
      const fiber = yield* Effect.forkChild(Effect.exit(upstream.request(read)), { startImmediately: true })
      yield* node.until(({ requests }) => requests.length === 2)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
      yield* node.until(({ connections }) => connections.open === 0)
      assert.strictEqual(node.count(), 2)
    })
  )

  it.live("a kept socket that closes before the first byte is, for a read, replaced without a word", () =>
    Effect.gen(function* () {
      const { ask, node } = yield* facing(Scenario.when({ reused: true }, Scenario.drop))
      for (let i = 0; i < 5; i++) assert.strictEqual(yield* ask(), "0x3e8")
      assert.isAbove(node.connections.total, 1)
    })
  )

  it.live("but not for a write", () =>
    Effect.gen(function* () {
      const { ask } = yield* facing(Scenario.when({ reused: true }, Scenario.drop))
      // One after the other they take turns on two sockets.
      yield* ask()
      yield* ask()
      const error = yield* Effect.flip(ask(JsonRpc.makeRequest("eth_sendRawTransaction", ["0x00"])))
      assert.deepInclude(error, { _tag: "TransportError", reached: true })
    })
  )

  it.live("and only once", () =>
    Effect.gen(function* () {
      const { ask, node } = yield* facing(Scenario.after(2, Scenario.drop))
      yield* ask()
      yield* ask()
      assert.instanceOf(yield* Effect.flip(ask()), RpcError.TransportError)
      assert.strictEqual(node.count(), 4)
    })
  )
})

describe("who asks without a fiber", () => {
  const outcome = (exit: Exit.Exit<unknown, unknown>): unknown => {
    if (Exit.isSuccess(exit)) return exit.value
    const [reason] = exit.cause.reasons
    const error = reason?._tag === "Fail" ? (reason.error as { readonly message: string }) : assert.fail("a defect")
    return { ...error, message: error.message }
  }

  const submitted = (upstream: JsonRpc.Service<Http.HttpError>, request = read) =>
    Effect.callback<Exit.Exit<unknown, unknown>>((resume) => {
      upstream.submit!(request, { end: (exit) => resume(Effect.succeed(exit)) })
    })

  for (const [name, scenario] of Object.entries({
    "a result": Scenario.healthy,
    "a revert": Scenario.error(3, "execution reverted", { data: "0x01" }),
    "an error": Scenario.error(-32603, "internal error"),
    "an HTTP error": Scenario.status(503, { retryAfter: "3 seconds" }),
    "a foreign id": Scenario.malformed("foreignId"),
    HTML: Scenario.status(200),
    "a lost connection": Scenario.drop,
    "a refused connection": Scenario.refuse
  })) {
    it.live(`is told what others are: ${name}`, () =>
      Effect.gen(function* () {
        const { ask, upstream } = yield* facing(scenario)
        assert.deepStrictEqual(outcome(yield* submitted(upstream)), outcome(yield* Effect.exit(ask())))
      })
    )
  }

  it.live("may leave: the socket closes, and it hears no more", () =>
    Effect.gen(function* () {
      const { node, upstream } = yield* facing(Scenario.hang)
      const told: Array<unknown> = []
      const place = upstream.submit!(read, { end: (exit) => told.push(exit) })
      yield* node.until(({ requests }) => requests.length === 1)
      yield* place!.leave()
      yield* node.until(({ aborted, connections }) => connections.open === 0 && aborted === 1)
      assert.deepStrictEqual(told, [])
    })
  )

  it.live("may leave once it has been told, and nothing happens", () =>
    Effect.gen(function* () {
      const { ask, node, upstream } = yield* facing(Scenario.healthy)
      const told: Array<unknown> = []
      const place = upstream.submit!(read, { end: (exit) => told.push(exit) })
      yield* node.until(({ requests }) => requests.length === 1)
      while (told.length === 0) yield* ask()
      yield* place!.leave()
      assert.strictEqual(yield* ask(), "0x3e8")
      assert.deepStrictEqual(told, [Exit.succeed("0x3e8")])
      assert.strictEqual(node.aborted, 0)
    })
  )

  it.live("learns it when the scope ends", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.hang })
      const scope = yield* Scope.make()
      const upstream = yield* Scope.provide(Http.make({ url: node.url }), scope)
      const fiber = yield* Effect.forkChild(submitted(upstream), { startImmediately: true })
      yield* node.until(({ connections }) => connections.open === 1)
      yield* Scope.close(scope, Exit.void)
      assert.instanceOf(yield* Effect.flip(yield* Fiber.join(fiber)), RpcError.TransportError)
    })
  )

  it.live("is sent elsewhere with what cannot be written, and with a batch", () =>
    Effect.gen(function* () {
      const { node, upstream } = yield* facing(Scenario.healthy, { batch: true })
      for (const request of [JsonRpc.makeRequest("eth_call", [1n]), JsonRpc.makeBatch([read, read])]) {
        assert.isUndefined(upstream.submit!(request, { end: () => assert.fail("nobody has a place") }))
      }
      assert.strictEqual(yield* upstream.request(read), "0x3e8")
      assert.strictEqual(node.count(), 1)
    })
  )
})

describe("credentials", () => {
  const secrets = ["Zm9vYmFy", "s3cretKey42", "tokenvalue", "headerToken", "ann", "p%40ss", "p@ss"]
  const path = "/v3/s3cretKey42?token=tokenvalue"
  const headers = { "x-token": "headerToken" }

  const said = (scenario: Scenario.Scenario) =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario, path })
      const url = node.url.replace("http://", "http://ann:p%40ss@")
      const upstream = yield* Http.make({ url, headers })
      const error = yield* Effect.flip(upstream.request(read))
      return JSON.stringify([error, error.message, error.stack, String(error), upstream.inspect(), upstream.name])
    })

  const echo = `no such project /v3/s3cretKey42?token=tokenvalue for ann:p@ss, p%40ss, headerToken at http://ann:p%40ss@h.example${path}`
  const cases: ReadonlyArray<readonly [string, Scenario.Scenario]> = [
    ["an error that repeats them", Scenario.error(-32000, echo, { data: { url: echo, deep: [{ echo }] } })],
    ["a page that repeats them", Scenario.status(403, { body: `<html>${echo}</html>` })],
    ["JSON that repeats them", Scenario.status(500, { body: { error: echo } })],
    ["a redirect", Scenario.status(307, { headers: { location: `http://h.example${path}` } })],
    ["a refused connection", Scenario.refuse],
    ["a closed connection", Scenario.drop],
    ["a page in place of an answer", Scenario.status(200, { body: echo })]
  ]
  for (const [name, scenario] of cases) {
    it.live(`never surface: ${name}`, () =>
      Effect.gen(function* () {
        const text = yield* said(scenario)
        for (const secret of secrets) assert.notInclude(text, secret)
      })
    )
  }

  it.live("are sent: basic authentication, headers, path and query", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ path })
      const upstream = yield* Http.make({ url: node.url.replace("http://", "http://ann:p%40ss@"), headers })
      yield* upstream.request(read)
      const [request] = node.requests
      assert.deepInclude(request!.headers, {
        authorization: `Basic ${btoa("ann:p@ss")}`,
        "x-token": "headerToken",
        "content-type": "application/json"
      })
    })
  )
})

describe("options", () => {
  it("are refused by name, without repeating a URL", () => {
    const refused = (options: unknown) => refusal(() => Http.layer(options as Http.Options))
    for (const url of [undefined, "", "eth.example/key123", "ftp://eth.example/key123", "ws://eth.example/key123", 7]) {
      assert.match(refused({ url }), /^Http\.url takes an http: or https: URL, got /)
      assert.notInclude(refused({ url }), "key123")
    }
    const url = "http://a.example"
    assert.match(refused({ url, headers: { a: 1 } }), /^Http\.headers\.a takes a record of header names/)
    assert.match(refused({ url, headers: { "a b": "x" } }), /^Http\.headers/)
    assert.match(refused({ url, headers: { a: "x\r\ny: z" } }), /^Http\.headers/)
    assert.match(refused({ url, maxBodySize: 0 }), /^Http\.maxBodySize takes a whole number of at least 1/)
    assert.match(refused({ url, keepAlive: "soon" }), /^Http\.keepAlive takes a duration/)
    assert.match(refused({ url, uri: "x" }), /^Http\.uri takes no value: the options are url, name/)
  })

  it.live("a layer is named after its host, or as told", () =>
    Effect.gen(function* () {
      const name = (options: Http.Options) =>
        Effect.map(
          Layer.build(Http.layer(options)),
          (context) => Context.get(context, JsonRpc.upstream<Http.HttpError>()).name
        )
      assert.strictEqual(yield* name({ url: "https://user:pw@eth.example:8443/key?x=1" }), "eth.example:8443")
      assert.strictEqual(yield* name({ url: "https://eth.example/key", name: "ours" }), "ours")
    })
  )
})
