/** Every fault, as a client meets it on a real socket. */
import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as net from "node:net"
import { call, connection, post, result } from "./client.ts"

const chainId = call("eth_chainId")
const right = { jsonrpc: "2.0", id: 1, result: "0x1" }

/** Asks a node that plays the scenario. */
const meet = (scenario: Scenario.Scenario, body: unknown = chainId) =>
  Effect.gen(function* () {
    const node = yield* FaultyNode.make({ scenario })
    return { node, answer: yield* Effect.result(post(node.url, body)) }
  })

/** What the client gets, which must be an answer. */
const answered = (scenario: Scenario.Scenario, body?: unknown) =>
  Effect.gen(function* () {
    const { answer } = yield* meet(scenario, body)
    assert(answer._tag === "Success", "an answer")
    return answer.success
  })

/** What the client gets, which must be none. */
const failed = (scenario: Scenario.Scenario, body?: unknown) =>
  Effect.gen(function* () {
    const { answer, node } = yield* meet(scenario, body)
    assert(answer._tag === "Failure", "no answer")
    const { code, got } = answer.failure
    return { code, got, node }
  })

describe("the connection", () => {
  it.effect("hang: no answer, the connection stays, the end of the node ends it", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.hang })
      const fiber = yield* Effect.forkChild(Effect.flip(post(node.url, chainId)))
      yield* node.until((node) => node.requests.length === 1)
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual(node.connections.open, 1)
      assert.strictEqual(node.requests[0]!.ended, "pending")
      yield* node.close
      assert.strictEqual((yield* Fiber.join(fiber)).code, "ECONNRESET")
      assert.strictEqual(node.connections.open, 0)
      assert.strictEqual(node.requests[0]!.ended, "dropped")
      assert.strictEqual(node.aborted, 0)
    })
  )

  it.effect("drop: closed without a byte", () =>
    Effect.gen(function* () {
      const { code, got, node } = yield* failed(Scenario.drop)
      assert.deepStrictEqual([code, got], ["ECONNRESET", ""])
      assert.deepStrictEqual([node.requests[0]!.fault, node.requests[0]!.ended], ["Drop", "dropped"])
    })
  )

  it.effect("drop on reused connections: the first request is answered, the second is not", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.when({ reused: true }, Scenario.drop) })
      const agent = yield* connection
      assert.deepStrictEqual((yield* post(node.url, chainId, { agent })).json, right)
      assert.strictEqual((yield* Effect.flip(post(node.url, chainId, { agent }))).code, "ECONNRESET")
      assert.deepStrictEqual((yield* post(node.url, chainId, { agent })).json, right)
      assert.deepStrictEqual(
        node.requests.map(({ connection, reused }) => [connection, reused]),
        [
          [1, false],
          [1, true],
          [2, false]
        ]
      )
    })
  )

  it.effect("dropMidway: the head announces all, half of the body comes", () =>
    Effect.gen(function* () {
      const { code, got, node } = yield* failed(Scenario.dropMidway)
      assert.strictEqual(code, "ECONNRESET")
      const whole = JSON.stringify(right)
      assert.strictEqual(got, whole.slice(0, Math.ceil(whole.length / 2)))
      assert.strictEqual(node.requests[0]!.ended, "dropped")
    })
  )

  it.effect("refuse under a rule for some requests: their connection is reset, not closed", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.when({ method: "eth_chainId" }, Scenario.refuse) })
      assert.strictEqual(yield* (yield* raw(node.port, chainId)).ended, "ECONNRESET")
      assert.strictEqual(node.requests[0]!.ended, "dropped")
      assert.strictEqual(yield* result(node.url, "net_version"), "1")
      yield* node.play(Scenario.drop)
      assert.strictEqual(yield* (yield* raw(node.port, chainId)).ended, "closed")
    })
  )

  it.effect("drip: the head at once, the body over time", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.drip("10 seconds", 4) })
      const socket = yield* raw(node.port, chainId)
      const whole = JSON.stringify(right)
      yield* socket.until((text) => text.endsWith("\r\n\r\n"))
      for (let i = 1; i <= 4; i++) {
        yield* TestClock.adjust("2500 millis")
        yield* socket.until((text) => text.endsWith(whole.slice(0, Math.floor((whole.length * i) / 4))))
      }
      yield* node.until((node) => node.requests[0]!.ended === "answered")
    })
  )

  it.effect("oversized: blanks first, then the right answer, of a size that is told or not", () =>
    Effect.gen(function* () {
      for (const declared of [true, false]) {
        const { headers, json, text } = yield* answered(Scenario.oversized(300_000, { declared }))
        assert.strictEqual(text.length, 300_000)
        assert.deepStrictEqual(json, right)
        assert.strictEqual(headers["content-length"], declared ? "300000" : undefined)
      }
      assert.deepStrictEqual((yield* answered(Scenario.oversized(3))).json, right)
    })
  )

  it.effect("oversized: a client that has enough can leave", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.oversized(2 ** 34) })
      const socket = yield* raw(node.port, chainId)
      yield* socket.until((text) => text.length > 10_000)
      socket.destroy()
      yield* node.until((node) => node.aborted === 1)
      assert.strictEqual(node.requests[0]!.ended, "aborted")
    })
  )
})

describe("latency", () => {
  it.effect("delays the answer, and the fault that comes with it", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.latency("3 seconds") })
      const slow = yield* Effect.forkChild(post(node.url, chainId))
      yield* node.until((node) => node.requests.length === 1)
      yield* TestClock.adjust("2999 millis")
      assert.strictEqual(node.requests[0]!.ended, "pending")
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual((yield* Fiber.join(slow)).json, right)

      yield* node.play(Scenario.together(Scenario.latency("1 second"), Scenario.status(503)))
      const failing = yield* Effect.forkChild(post(node.url, chainId))
      yield* node.until((node) => node.requests.length === 2)
      assert.strictEqual(node.requests[1]!.ended, "pending")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* Fiber.join(failing)).status, 503)
    })
  )

  it.effect("a client that leaves during it is not answered", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.latency("3 seconds") })
      const fiber = yield* Effect.forkChild(post(node.url, chainId))
      yield* node.until((node) => node.requests.length === 1)
      yield* Fiber.interrupt(fiber)
      yield* node.until((node) => node.aborted === 1)
      yield* TestClock.adjust("3 seconds")
      assert.strictEqual(node.requests[0]!.ended, "aborted")
    })
  )
})

describe("HTTP statuses", () => {
  it.effect("any status, with a web server's page", () =>
    Effect.gen(function* () {
      for (const status of [200, 401, 403, 404, 429, 500, 502, 503, 529]) {
        const answer = yield* answered(Scenario.status(status))
        assert.strictEqual(answer.status, status)
        assert.match(answer.text, new RegExp(`<title>${status} `))
        assert.strictEqual(answer.headers["content-type"], "text/html")
      }
    })
  )

  it.effect("headers and bodies as given", () =>
    Effect.gen(function* () {
      const text = yield* answered(Scenario.status(403, { body: "", headers: { "X-Ratelimit-Reset": "7" } }))
      assert.deepStrictEqual([text.text, text.headers["x-ratelimit-reset"]], ["", "7"])
      const json = yield* answered(Scenario.status(401, { body: { error: "key" } }))
      assert.deepStrictEqual([json.json, json.headers["content-type"]], [{ error: "key" }, "application/json"])
      const typed = yield* answered(Scenario.status(200, { body: "ok", headers: { "Content-Type": "text/plain" } }))
      assert.strictEqual(typed.headers["content-type"], "text/plain")
    })
  )

  it.effect("Retry-After in seconds, or as a date by the node's clock", () =>
    Effect.gen(function* () {
      const seconds = yield* answered(Scenario.status(429, { retryAfter: "1500 millis" }))
      assert.strictEqual(seconds.headers["retry-after"], "2")
      yield* TestClock.setTime(Date.UTC(2027, 0, 1, 0, 0, 0, 400))
      const date = yield* answered(Scenario.status(429, { retryAt: "30 seconds" }))
      assert.strictEqual(date.headers["retry-after"], "Fri, 01 Jan 2027 00:00:31 GMT")
      assert.strictEqual(date.headers["date"], "Fri, 01 Jan 2027 00:00:00 GMT")
      // No other answer has a date: it would be by another clock.
      assert.isUndefined(seconds.headers["date"])
    })
  )
})

describe("answers", () => {
  it.effect("a JSON-RPC error, with data and an HTTP status", () =>
    Effect.gen(function* () {
      const plain = yield* answered(Scenario.error(-32005, "limit exceeded"))
      assert.strictEqual(plain.status, 200)
      assert.deepStrictEqual(plain.json, { jsonrpc: "2.0", id: 1, error: { code: -32005, message: "limit exceeded" } })
      const full = yield* answered(
        Scenario.error(3, "execution reverted", { data: "0x08c379a0", status: 429, retryAfter: "4 seconds" })
      )
      assert.deepStrictEqual([full.status, full.headers["retry-after"]], [429, "4"])
      assert.deepStrictEqual(full.json.error, { code: 3, message: "execution reverted", data: "0x08c379a0" })
    })
  )

  it.effect("any result", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* answered(Scenario.answer(null))).json, { jsonrpc: "2.0", id: 1, result: null })
      assert.deepStrictEqual((yield* answered(Scenario.answer({ a: [1] }))).json.result, { a: [1] })
    })
  )

  it.effect("truncated: a whole HTTP response of half a document", () =>
    Effect.gen(function* () {
      const { json, status, text } = yield* answered(Scenario.truncated)
      const whole = JSON.stringify(right)
      assert.deepStrictEqual([status, text, json], [200, whole.slice(0, whole.length >> 1), undefined])
    })
  )

  const shapes: ReadonlyArray<[Scenario.Malformation, unknown]> = [
    ["foreignId", { ...right, id: 1_000_004 }],
    ["nullId", { ...right, id: null }],
    ["noId", { jsonrpc: "2.0", result: "0x1" }],
    ["stringId", { ...right, id: "1" }],
    ["noResult", { jsonrpc: "2.0", id: 1 }],
    ["resultAndError", { jsonrpc: "2.0", id: 1, result: null, error: { code: -32000, message: "result and error" } }],
    ["noVersion", { id: 1, result: "0x1" }],
    ["oldVersion", { ...right, jsonrpc: "1.0" }],
    ["stringError", { jsonrpc: "2.0", id: 1, error: "something went wrong" }],
    ["emptyError", { jsonrpc: "2.0", id: 1, error: {} }],
    ["null", null],
    ["array", [right]]
  ]
  for (const [how, expected] of shapes) {
    it.effect(`malformed: ${how}`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual((yield* answered(Scenario.malformed(how))).json, expected)
      })
    )
  }

  it.effect("a foreign id to a text is a text", () =>
    Effect.gen(function* () {
      const { json } = yield* answered(Scenario.malformed("foreignId"), call("eth_chainId", [], "abc"))
      assert.strictEqual(json.id, "abc-foreign")
    })
  )
})

describe("heads and chains", () => {
  it.effect("behind: what is newer is unknown", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ head: 100, scenario: Scenario.behind(3) })
      assert.strictEqual(yield* result(node.url, "eth_blockNumber"), "0x61")
      assert.strictEqual((yield* result(node.url, "eth_getBlockByNumber", ["latest", false])).number, "0x61")
      assert.isNull(yield* result(node.url, "eth_getBlockByNumber", ["0x62", false]))
      const newest = yield* Effect.andThen(
        node.play(Scenario.healthy),
        result(node.url, "eth_getBlockByNumber", ["latest", false])
      )
      yield* node.play(Scenario.behind(3))
      assert.isNull(yield* result(node.url, "eth_getBlockByHash", [newest.hash, false]))
      yield* node.play(Scenario.behind(1_000))
      assert.strictEqual(yield* result(node.url, "eth_blockNumber"), "0x0")
    })
  )

  it.effect("frozen: the head stands where it was first met", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ head: 100, scenario: Scenario.after(1, Scenario.frozen) })
      const head = result(node.url, "eth_blockNumber")
      assert.strictEqual(yield* head, "0x64")
      node.mine()
      assert.strictEqual(yield* head, "0x65")
      node.mine(7)
      assert.strictEqual(yield* head, "0x65")
      node.setHead(50)
      assert.strictEqual(yield* head, "0x32")
      yield* node.play(Scenario.frozen)
      node.setHead(60)
      assert.strictEqual(yield* head, "0x3c")
    })
  )

  it.effect("wrongChain: another id, other blocks", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ chainId: 1 })
      const own = yield* result(node.url, "eth_getBlockByNumber", ["0x5", false])
      yield* node.play(Scenario.wrongChain(137))
      assert.strictEqual(yield* result(node.url, "eth_chainId"), "0x89")
      assert.strictEqual(yield* result(node.url, "net_version"), "137")
      const other = yield* result(node.url, "eth_getBlockByNumber", ["0x5", false])
      assert.notStrictEqual(other.hash, own.hash)
      const real = yield* FaultyNode.make({ chainId: 137 })
      assert.strictEqual((yield* result(real.url, "eth_getBlockByNumber", ["0x5", false])).hash, other.hash)
    })
  )
})

/** A client on a bare socket, to see bytes as they come. */
const raw = (port: number, body: unknown) =>
  Effect.gen(function* () {
    let text = ""
    const waiting = new Set<() => void>()
    const socket = yield* Effect.acquireRelease(
      Effect.sync(() => net.connect({ host: "127.0.0.1", port })),
      (socket) => Effect.sync(() => socket.destroy())
    )
    const ended = new Promise<string | undefined>((resolve) => {
      socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code))
      socket.once("end", () => resolve("closed"))
    })
    socket.on("data", (chunk) => {
      text += chunk.toString()
      for (const check of waiting) check()
    })
    const json = JSON.stringify(body)
    socket.write(`POST / HTTP/1.1\r\nHost: node\r\nContent-Length: ${json.length}\r\n\r\n${json}`)
    return {
      /** `"closed"`, or the error's code. */
      ended: Effect.promise(() => ended),
      destroy: () => socket.destroy(),
      until: (condition: (text: string) => boolean) =>
        Effect.callback<void>((resume) => {
          const check = () => {
            if (!condition(text)) return
            waiting.delete(check)
            resume(Effect.void)
          }
          waiting.add(check)
          check()
        })
    }
  })
