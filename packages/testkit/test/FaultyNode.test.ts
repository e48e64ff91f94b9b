import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Clock, Deferred, type Duration, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import { readFileSync } from "node:fs"
import * as net from "node:net"
import { expectTypeOf } from "vitest"
import { ask, call, connection, post, result } from "./client.ts"

const chainId = call("eth_chainId")

describe("the port", () => {
  it.effect("refuses, and opens again as the same", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const agent = yield* connection
      yield* post(node.url, chainId, { agent })
      assert.strictEqual(node.connections.open, 1)
      for (let i = 0; i < 20; i++) {
        yield* node.play(Scenario.refuse)
        assert.strictEqual(node.connections.open, 0)
        assert.strictEqual((yield* Effect.flip(post(node.url, chainId))).code, "ECONNREFUSED")
        yield* node.play(Scenario.healthy)
        assert.strictEqual((yield* post(node.url, chainId)).json.result, "0x1")
      }
    })
  )

  // A port that nobody holds may be given to any connection of any process.
  it.effect.skipIf(process.platform !== "linux")(
    "is held by a connection while it refuses, and let go at the end",
    () =>
      Effect.gen(function* () {
        const node = yield* FaultyNode.make({ scenario: Scenario.refuse })
        const held = () => {
          const local = node.port.toString(16).toUpperCase().padStart(4, "0")
          return readFileSync("/proc/net/tcp", "utf8").includes(`0100007F:${local} 0100007F:`)
        }
        assert.isTrue(held())
        yield* node.play(Scenario.healthy)
        assert.isFalse(held())
        yield* node.play(Scenario.refuse)
        assert.isTrue(held())
        yield* node.close
        assert.isFalse(held())
      })
  )

  it.effect("follows a timeline", () =>
    Effect.gen(function* () {
      const steps = [
        { for: "2 seconds", fault: Scenario.healthy },
        { for: "3 seconds", fault: Scenario.refuse }
      ] as const
      const node = yield* FaultyNode.make({ scenario: Scenario.timeline(steps, { repeat: true }) })
      const agent = yield* connection
      for (let round = 0; round < 3; round++) {
        assert.strictEqual((yield* post(node.url, chainId, { agent })).json.result, "0x1")
        yield* TestClock.adjust("2 seconds")
        yield* node.until((node) => node.connections.open === 0)
        assert.strictEqual((yield* Effect.flip(post(node.url, chainId))).code, "ECONNREFUSED")
        yield* TestClock.adjust("3 seconds")
        yield* untilOpen(node.port)
      }
    })
  )

  it.effect("is not watched after the end", () =>
    Effect.gen(function* () {
      let sleeping = 0
      const clock = yield* Clock.Clock
      const counting = Object.assign(Object.create(clock), {
        sleep: (duration: Duration.Duration) =>
          Effect.acquireUseRelease(
            Effect.sync(() => sleeping++),
            () => clock.sleep(duration),
            () => Effect.sync(() => sleeping--)
          )
      })
      const scenario = Scenario.timeline([{ for: "1 hour" }, { fault: Scenario.refuse }])
      const node = yield* Effect.provideService(FaultyNode.make({ scenario }), Clock.Clock, counting)
      assert.strictEqual(sleeping, 1)
      yield* node.play(Scenario.healthy)
      assert.strictEqual(sleeping, 0)
      // Replaced while it closes the port.
      const refusing = Scenario.timeline([{ for: "1 hour", fault: Scenario.refuse }])
      const replaced = yield* Effect.forkChild(node.play(refusing), { startImmediately: true })
      yield* node.play(Scenario.healthy)
      yield* Fiber.join(replaced)
      assert.strictEqual(sleeping, 0)
      assert.strictEqual(yield* result(node.url, "eth_chainId"), "0x1")
      yield* node.play(scenario)
      yield* node.close
      assert.strictEqual(sleeping, 0)
    })
  )

  it.effect("closes although a client waits and keeps its side open", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.hang })
      const socket = yield* Effect.acquireRelease(
        Effect.sync(() => net.connect({ host: "127.0.0.1", port: node.port, allowHalfOpen: true })),
        (socket) => Effect.sync(() => socket.destroy())
      )
      socket.on("error", () => {})
      const json = JSON.stringify(chainId)
      socket.write(`POST / HTTP/1.1\r\nHost: node\r\nContent-Length: ${json.length}\r\n\r\n${json}`)
      yield* node.until((node) => node.requests.length === 1)
      yield* node.close
      assert.strictEqual(node.connections.open, 0)
    })
  )

  it.effect("closes after so many requests, once they are answered", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.after(2, Scenario.refuse) })
      const agent = yield* connection
      assert.strictEqual((yield* post(node.url, chainId, { agent })).json.result, "0x1")
      assert.strictEqual((yield* post(node.url, chainId, { agent })).json.result, "0x1")
      yield* node.until((node) => node.connections.open === 0)
      assert.strictEqual((yield* Effect.flip(post(node.url, chainId))).code, "ECONNREFUSED")
    })
  )

  it.effect("is the one that is asked for, or an error", () =>
    Effect.gen(function* () {
      const { port } = yield* Effect.scoped(FaultyNode.make())
      const node = yield* FaultyNode.make({ port })
      assert.strictEqual(node.port, port)
      const error = yield* Effect.flip(FaultyNode.make({ port }))
      assert.strictEqual(error._tag, "ListenError")
      assert.match(error.message, new RegExp(`^Cannot listen on 127.0.0.1:${port}: .*EADDRINUSE`))
    })
  )

  it.effect("closes with the scope, with every connection, whatever the scenario", () =>
    Effect.gen(function* () {
      for (const scenario of [Scenario.healthy, Scenario.hang, Scenario.latency("1 hour"), Scenario.refuse]) {
        const scope = yield* Scope.make()
        const node = yield* Scope.provide(FaultyNode.make({ scenario }), scope)
        const fiber = yield* Effect.forkChild(Effect.exit(post(node.url, chainId)))
        if (scenario !== Scenario.refuse) yield* node.until((node) => node.requests.length === 1)
        yield* Scope.close(scope, Exit.void)
        yield* Fiber.await(fiber)
        assert.strictEqual(node.connections.open, 0)
        assert.strictEqual((yield* Effect.flip(post(node.url, chainId))).code, "ECONNREFUSED")
        // Closed for good.
        yield* node.play(Scenario.healthy)
        assert.strictEqual((yield* Effect.flip(post(node.url, chainId))).code, "ECONNREFUSED")
      }
    })
  )
})

describe("play", () => {
  it.effect("begins the scenario and its random numbers anew", () =>
    Effect.gen(function* () {
      const scenario = Scenario.together(
        Scenario.first(1, Scenario.status(503)),
        Scenario.sometimes(0.5, Scenario.answer(7))
      )
      const node = yield* FaultyNode.make({ scenario, seed: 11 })
      const other = yield* FaultyNode.make({ scenario, seed: 11 })
      const third = yield* FaultyNode.make({ scenario, seed: 12 })
      const sequence = (node: FaultyNode.FaultyNode) =>
        Effect.map(
          Effect.forEach(Array.from({ length: 40 }), () => post(node.url, chainId)),
          (answers) => answers.map(({ json, status }) => [status, json?.result])
        )
      const seen = yield* sequence(node)
      assert.strictEqual(seen[0]![0], 503)
      assert.sameMembers([...new Set(seen.slice(1).map(([, result]) => result))], [7, "0x1"])
      assert.deepStrictEqual(yield* sequence(other), seen)
      assert.notDeepEqual(yield* sequence(third), seen)
      yield* node.play(scenario)
      assert.deepStrictEqual(yield* sequence(node), seen)
    })
  )

  it.effect("leaves requests under way with what they met", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.hang })
      const fiber = yield* Effect.forkChild(post(node.url, chainId))
      yield* node.until((node) => node.requests.length === 1)
      yield* node.play(Scenario.healthy)
      assert.strictEqual(yield* result(node.url, "eth_chainId"), "0x1")
      assert.strictEqual(node.requests[0]!.ended, "pending")
      yield* Fiber.interrupt(fiber)
    })
  )
})

describe("batches", () => {
  const batch = [call("eth_chainId", [], 1), call("eth_foo", [], "two"), call("net_version", [], 3)]
  const missing = { code: -32601, message: "the method eth_foo does not exist/is not available" }
  const answers = [
    { jsonrpc: "2.0", id: 1, result: "0x1" },
    { jsonrpc: "2.0", id: "two", error: missing },
    { jsonrpc: "2.0", id: 3, result: "1" }
  ]
  const json = (scenario: Scenario.Scenario, body: unknown = batch) =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario })
      return (yield* post(node.url, body)).json
    })

  it.effect("are answered in order", () =>
    Effect.map(json(Scenario.healthy), (json) => assert.deepStrictEqual(json, answers))
  )

  it.effect("are answered as the specification says, whatever they hold", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const json = (body: unknown) => Effect.map(post(node.url, body), (answer) => answer.json ?? answer.text)
      const error = (code: number, message: string) => ({ jsonrpc: "2.0", id: null, error: { code, message } })
      const invalid = error(-32600, "invalid request")
      assert.deepStrictEqual(yield* json([]), error(-32600, "empty batch"))
      assert.deepStrictEqual(yield* json([1, batch[0], {}]), [invalid, answers[0], invalid])
      assert.deepStrictEqual(yield* json("{"), error(-32700, "parse error"))
      assert.deepStrictEqual(yield* json("null"), invalid)
      // Notifications get no answer.
      const notification = { jsonrpc: "2.0", method: "eth_chainId" }
      assert.deepStrictEqual(yield* json([notification, batch[0]]), [answers[0]])
      assert.strictEqual(yield* json([notification, notification]), "")
      assert.strictEqual(yield* json(notification), "")
      assert.deepStrictEqual(yield* json({ ...notification, id: null }), { jsonrpc: "2.0", id: null, result: "0x1" })
    })
  )

  it.effect("are refused, or answered wrongly", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* json(Scenario.batch("refused")), {
        jsonrpc: "2.0",
        id: null,
        error: { code: -32600, message: "batch requests are not supported" }
      })
      assert.deepStrictEqual(yield* json(Scenario.batch("missing")), answers.slice(0, 2))
      assert.deepStrictEqual(yield* json(Scenario.batch("duplicate")), [
        answers[0],
        answers[1],
        { ...answers[2], id: 1 }
      ])
      assert.deepStrictEqual(
        yield* json(Scenario.batch("nullIds")),
        answers.map((answer) => ({ ...answer, id: null }))
      )
      const shuffled = yield* json(Scenario.batch("shuffled"))
      assert.notDeepEqual(shuffled, answers)
      assert.sameDeepMembers(shuffled, answers)
      assert.deepStrictEqual(yield* json(Scenario.batch("missing"), batch[0]), answers[0])
    })
  )

  it.effect("fail in part, or as a whole", () =>
    Effect.gen(function* () {
      const part = Scenario.when({ method: "net_version" }, Scenario.error(-32005, "slow down", { status: 429 }))
      const node = yield* FaultyNode.make({ scenario: part })
      const answer = yield* post(node.url, batch)
      assert.strictEqual(answer.status, 429)
      assert.deepStrictEqual(answer.json.slice(0, 2), answers.slice(0, 2))
      assert.deepStrictEqual(answer.json[2].error, { code: -32005, message: "slow down" })
      yield* node.play(Scenario.when({ method: "net_version" }, Scenario.drop))
      assert.strictEqual((yield* Effect.flip(post(node.url, batch))).code, "ECONNRESET")
      yield* node.play(Scenario.when({ method: "net_version" }, Scenario.malformed("foreignId")))
      assert.deepStrictEqual((yield* post(node.url, batch)).json[2], { ...answers[2], id: 1_000_006 })
    })
  )
})

describe("methods", () => {
  it.effect("answer instead of the chain: results, errors, effects", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({
        methods: {
          eth_chainId: () => "0x5",
          eth_echo: (params) => params,
          eth_revert: () => FaultyNode.error(3, "execution reverted", "0xdead"),
          eth_void: () => {},
          eth_throw: () => {
            throw new Error("boom")
          },
          eth_effect: () => Effect.succeed("later"),
          eth_fail: () => Effect.fail(FaultyNode.error(-32000, "failed")),
          eth_die: () => Effect.die("dead")
        }
      })
      const answer = (method: string) =>
        Effect.map(ask(node.url, method, [1, "a"]), ({ error, result }) => error ?? result)
      assert.strictEqual(yield* answer("eth_chainId"), "0x5")
      assert.deepStrictEqual(yield* answer("eth_echo"), [1, "a"])
      assert.deepStrictEqual(yield* answer("eth_revert"), { code: 3, message: "execution reverted", data: "0xdead" })
      assert.isNull(yield* answer("eth_void"))
      assert.deepStrictEqual(yield* answer("eth_throw"), { code: -32603, message: "internal error: Error: boom" })
      assert.strictEqual(yield* answer("eth_effect"), "later")
      assert.deepStrictEqual(yield* answer("eth_fail"), { code: -32000, message: "failed" })
      assert.deepStrictEqual(yield* answer("eth_die"), { code: -32603, message: "internal error: dead" })
    })
  )

  it.effect("answer when the test says so, and are interrupted when the client leaves", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<string>()
      let interrupted = 0
      const node = yield* FaultyNode.make({
        methods: {
          eth_wait: () => Effect.onInterrupt(Deferred.await(gate), () => Effect.sync(() => interrupted++))
        }
      })
      const patient = yield* Effect.forkChild(result(node.url, "eth_wait"))
      yield* node.until((node) => node.requests.length === 1)
      const hasty = yield* Effect.forkChild(result(node.url, "eth_wait"))
      yield* node.until((node) => node.requests.length === 2)
      yield* Fiber.interrupt(hasty)
      yield* node.until((node) => node.aborted === 1)
      assert.strictEqual(interrupted, 1)
      yield* Deferred.succeed(gate, "now")
      assert.strictEqual(yield* Fiber.join(patient), "now")
    })
  )

  it.effect("obey the scenario, too", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({
        methods: { eth_foo: () => 1 },
        scenario: Scenario.first(1, Scenario.error(-32000, "not yet"))
      })
      assert.strictEqual((yield* ask(node.url, "eth_foo")).error.message, "not yet")
      assert.strictEqual(yield* result(node.url, "eth_foo"), 1)
    })
  )
})

describe("requests", () => {
  it.effect("are recorded with where they came from and how they ended", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const agent = yield* connection
      yield* TestClock.adjust("250 millis")
      yield* post(node.url, call("eth_getBalance", ["0xabc", "latest"], "x"), {
        agent,
        headers: { authorization: "Bearer s" }
      })
      yield* post(node.url, [call("eth_chainId"), 5, call("eth_chainId", [], 2)], { agent })
      yield* node.play(Scenario.status(500))
      yield* post(node.url, chainId)
      const facts = node.requests.map(({ at, batch, connection, ended, fault, id, index, method, reused }) => {
        return { at, batch, connection, ended, fault, id, index, method, reused }
      })
      const plain = { at: 250, ended: "answered", fault: undefined } as const
      const batch = { ...plain, batch: 3, connection: 1, method: "eth_chainId", reused: true }
      assert.deepStrictEqual(facts, [
        { ...plain, batch: undefined, connection: 1, id: "x", index: 0, method: "eth_getBalance", reused: false },
        { ...batch, id: 1, index: 0 },
        { ...batch, id: 2, index: 2 },
        {
          ...plain,
          batch: undefined,
          connection: 2,
          fault: "Status",
          id: 1,
          index: 0,
          method: "eth_chainId",
          reused: false
        }
      ])
      assert.deepStrictEqual(node.requests[0]!.params, ["0xabc", "latest"])
      assert.strictEqual(node.requests[0]!.headers.authorization, "Bearer s")
      assert.deepStrictEqual([node.count(), node.count("eth_chainId"), node.count("eth_foo")], [4, 3, 0])
      assert.strictEqual(node.connections.total, 2)
    })
  )

  it.effect("that the client gives up are aborted, batches once", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ scenario: Scenario.hang })
      for (const body of [chainId, [chainId, chainId]]) {
        const fiber = yield* Effect.forkChild(post(node.url, body))
        yield* node.until((node) => node.requests.at(-1)?.ended === "pending")
        yield* Fiber.interrupt(fiber)
        yield* node.until((node) => node.requests.at(-1)?.ended === "aborted")
      }
      assert.strictEqual(node.aborted, 2)
      assert.deepStrictEqual(
        node.requests.map((request) => request.ended),
        ["aborted", "aborted", "aborted"]
      )
    })
  )

  it.effect("are forgotten on demand, open connections are not", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const agent = yield* connection
      yield* post(node.url, chainId)
      yield* post(node.url, chainId, { agent })
      yield* node.until((node) => node.connections.open === 1)
      node.clear()
      assert.deepStrictEqual([node.requests.length, node.count(), node.aborted], [0, 0, 0])
      assert.deepStrictEqual({ ...node.connections }, { open: 1, total: 1 })
      yield* post(node.url, chainId, { agent })
      assert.isTrue(node.requests[0]!.reused)
    })
  )

  it.effect("are only counted without a record", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ record: false })
      yield* post(node.url, chainId)
      assert.deepStrictEqual([node.requests.length, node.count("eth_chainId")], [0, 1])
    })
  )
})

describe("until", () => {
  it.effect("ends at once, or with the change that makes it true", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      yield* node.until(() => true)
      const mined = yield* Effect.forkChild(
        node.until((node) => node.head === 1003),
        { startImmediately: true }
      )
      node.mine()
      node.mine(2)
      yield* Fiber.join(mined)
    })
  )

  it.effect("is not asked after it was interrupted, and a throwing condition is a defect", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const mined = Effect.gen(function* () {
        const height = node.head + 1
        const seen = yield* Effect.forkChild(
          node.until((node) => node.head === height),
          { startImmediately: true }
        )
        node.mine()
        yield* Fiber.join(seen)
      })
      let asked = 0
      const fiber = yield* Effect.forkChild(
        node.until(() => asked++ < 0),
        { startImmediately: true }
      )
      yield* mined
      assert.strictEqual(asked, 2)
      yield* Fiber.interrupt(fiber)
      yield* mined
      assert.strictEqual(asked, 2)
      const exit = yield* Effect.exit(
        node.until(() => {
          throw new Error("boom")
        })
      )
      assert.isTrue(Exit.hasDies(exit))
    })
  )
})

describe("HTTP", () => {
  it.effect("a path with a credential is the only one that answers", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ path: "/v3/SECRET?key=abc" })
      assert.strictEqual(node.url, `http://127.0.0.1:${node.port}/v3/SECRET?key=abc`)
      assert.strictEqual(yield* result(node.url, "eth_chainId"), "0x1")
      assert.strictEqual((yield* post(`http://127.0.0.1:${node.port}/v3/SECRET`, chainId)).status, 404)
    })
  )

  it.effect("only POST is answered", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const answer = yield* post(node.url, "", { method: "GET" })
      assert.deepStrictEqual([answer.status, answer.headers.allow], [405, "POST"])
      assert.strictEqual(node.requests.length, 0)
    })
  )

  it.effect("browsers are let in if asked for", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ cors: true, scenario: Scenario.status(429, { retryAfter: "1 second" }) })
      const preflight = yield* post(node.url, "", {
        method: "OPTIONS",
        headers: { "access-control-request-headers": "content-type,authorization" }
      })
      assert.strictEqual(preflight.status, 204)
      assert.strictEqual(preflight.headers["access-control-allow-origin"], "*")
      assert.strictEqual(preflight.headers["access-control-allow-headers"], "content-type,authorization")
      const answer = yield* post(node.url, chainId)
      assert.strictEqual(answer.headers["access-control-allow-origin"], "*")
      assert.strictEqual(answer.headers["access-control-expose-headers"], "*")
      const closed = yield* FaultyNode.make()
      assert.strictEqual((yield* post(closed.url, "", { method: "OPTIONS" })).status, 405)
      assert.isUndefined((yield* post(closed.url, chainId)).headers["access-control-allow-origin"])
    })
  )

  it.effect("large bodies arrive whole", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ methods: { eth_length: ([text]) => (text as string).length } })
      assert.strictEqual(yield* result(node.url, "eth_length", ["é".repeat(500_000)]), 500_000)
    })
  )

  it.effect("keep-alive is announced", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ keepAlive: "7 seconds" })
      const agent = yield* connection
      const answer = yield* post(node.url, chainId, { agent })
      assert.strictEqual(answer.headers["keep-alive"], "timeout=7")
    })
  )
})

describe("options", () => {
  it.effect("a wrong one names itself", () =>
    Effect.gen(function* () {
      const message = (options: object) =>
        Effect.map(Effect.exit(FaultyNode.make(options)), (exit) => String(Exit.isFailure(exit) && exit.cause))
      assert.match(yield* message({ chainID: 1 }), /FaultyNode\.chainID takes no value: the options are port, /)
      assert.match(yield* message({ head: -1 }), /FaultyNode\.head takes a whole number of at least 0, got -1/)
      assert.match(yield* message({ path: "v3" }), /FaultyNode\.path takes a path such as "\/v3\/key", got "v3"/)
      assert.match(
        yield* message({ behind: "ftp://x" }),
        /FaultyNode\.behind takes an http or https URL, got something else/
      )
      assert.throws(() => Scenario.sometimes(2, Scenario.drop), "Scenario.sometimes takes a number from 0 to 1, got 2")
      assert.throws(() => Scenario.batch("odd" as never), /Scenario\.batch takes one of "refused"/)
      assert.throws(
        () => Scenario.latency({ p50: 5, p99: 1 }),
        /Scenario\.latency\.p99 takes a duration of at least 5 ms/
      )
      assert.throws(() => Scenario.status(42), "Scenario.status takes a whole number from 200 to 599, got 42")
    })
  )
})

describe("types", () => {
  it("say what is needed and what can go wrong", () => {
    expectTypeOf(FaultyNode.make()).toEqualTypeOf<
      Effect.Effect<FaultyNode.FaultyNode, FaultyNode.ListenError, Scope.Scope>
    >()
    expectTypeOf(Scenario.sometimes(0.5, Scenario.first(1, Scenario.drop))).toEqualTypeOf<Scenario.Scenario>()
    // @ts-expect-error: a rule needs something to apply
    void (() => Scenario.when({ method: "eth_call" }))
    // @ts-expect-error: one of the known shapes
    void (() => Scenario.malformed("strange"))
  })
})

/** A closed port opens without a request: tries until a connection is accepted. */
const untilOpen = (port: number): Effect.Effect<void> =>
  Effect.callback<boolean>((resume) => {
    const socket = net.connect({ host: "127.0.0.1", port })
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed(true))
    })
    socket.once("error", () => resume(Effect.succeed(false)))
  }).pipe(Effect.flatMap((open) => (open ? Effect.void : untilOpen(port))))
