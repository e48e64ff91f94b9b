import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { JsonRpc, type Stack } from "hawser"
import * as Service from "../src/Service.ts"
import { type Get, impatient, serve } from "./serving.ts"

const overNode = (options?: FaultyNode.Options, service?: Service.Options, stack?: Partial<Stack.Options>) =>
  Effect.gen(function* () {
    const node = yield* FaultyNode.make(options)
    const upstreams = [{ url: node.url, name: "alpha" }]
    const get = yield* serve(Service.stack({ upstreams, ...impatient, ...stack }), service)
    return { node, get }
  })

const seen = (get: Get) => Effect.map(get("/blockNumber"), ({ json, status }) => ({ status, ...json }))

describe("GET /blockNumber", () => {
  it.effect("tells the newest block", () =>
    Effect.gen(function* () {
      const { get, node } = yield* overNode({ head: 1000 })
      assert.deepStrictEqual(yield* seen(get), { status: 200, blockNumber: 1000 })
      node.mine()
      const page = yield* get("/blockNumber")
      assert.deepStrictEqual(page.json, { blockNumber: 1001 })
      assert.strictEqual(page.headers.get("cache-control"), "no-store")
    })
  )

  it.effect("without an upstream tells the last one, its age and that it is stale, for five minutes", () =>
    Effect.gen(function* () {
      const { get, node } = yield* overNode({ head: 1000 })
      yield* get("/blockNumber")
      yield* node.play(Scenario.status(500))
      assert.deepStrictEqual(yield* seen(get), { status: 200, blockNumber: 1000, stale: true, age: 0 })
      yield* TestClock.adjust("4 minutes")
      assert.deepStrictEqual(yield* seen(get), { status: 200, blockNumber: 1000, stale: true, age: 240 })
      yield* TestClock.adjust("59900 millis")
      assert.deepStrictEqual(yield* seen(get), { status: 200, blockNumber: 1000, stale: true, age: 300 })
      yield* TestClock.adjust("200 millis")
      assert.strictEqual((yield* seen(get)).status, 503)
      yield* node.play(Scenario.healthy)
      assert.deepStrictEqual(yield* seen(get), { status: 200, blockNumber: 1000 })
    })
  )

  it.effect("says 503 if it knows none", () =>
    Effect.gen(function* () {
      const { get } = yield* overNode({ scenario: Scenario.refuse })
      const { json, status } = yield* get("/blockNumber")
      assert.deepStrictEqual([status, json], [503, { error: "no upstream can answer, and no answer is known" }])
    })
  )

  it.effect("says 503 if what it gets is no number", () =>
    Effect.gen(function* () {
      for (const answer of ["latest", null, 5, "0x"]) {
        const { get } = yield* overNode({ scenario: Scenario.answer(answer) })
        assert.strictEqual((yield* seen(get)).status, 503)
      }
    })
  )

  it.effect("gives up after ten seconds", () =>
    Effect.gen(function* () {
      const { get, node } = yield* overNode({ scenario: Scenario.hang })
      const page = yield* Effect.forkChild(seen(get), { startImmediately: true })
      yield* node.until((node) => node.count() === 1)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(page)).status, 503)
      yield* node.until(({ connections }) => connections.open === 0)
    })
  )

  it.effect("gives up after ten seconds whatever the client does", () =>
    Effect.gen(function* () {
      const asked = yield* Deferred.make<void>()
      const get = yield* serve(fake(Effect.andThen(Deferred.succeed(asked, undefined), Effect.never)))
      const page = yield* Effect.forkChild(seen(get), { startImmediately: true })
      yield* Deferred.await(asked)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(page)).status, 503)
    })
  )

  it.effect("while all upstreams hang, tells the last number just before the ten seconds are over", () =>
    Effect.gen(function* () {
      const { get, node } = yield* overNode({ head: 1000 }, {}, { timeout: false })
      yield* get("/blockNumber")
      yield* node.play(Scenario.hang)
      const asked = node.count()
      const page = yield* Effect.forkChild(seen(get), { startImmediately: true })
      yield* node.until((node) => node.count() === asked + 1)
      yield* TestClock.adjust("9900 millis")
      assert.deepStrictEqual(yield* Fiber.join(page), { status: 200, blockNumber: 1000, stale: true, age: 10 })
    })
  )

  it.effect("does not go back for a node that is behind", () =>
    Effect.gen(function* () {
      const { get, node } = yield* overNode({ head: 1000 })
      const number = Effect.map(seen(get), ({ blockNumber }) => blockNumber as number)
      assert.strictEqual(yield* number, 1000)
      yield* TestClock.adjust("5 seconds")
      node.setHead(990)
      assert.strictEqual(yield* number, 1000)
      node.setHead(1001)
      assert.strictEqual(yield* number, 1001)
    })
  )

  it.effect("lets a client in a hundred times a minute, and tells it when to come back", () =>
    Effect.gen(function* () {
      const { get, node } = yield* overNode(undefined, { clientOf: ({ headers }) => headers["x-client"] })
      const ask = (client?: string) =>
        get("/blockNumber", client === undefined ? {} : { headers: { "x-client": client } })
      const all = yield* Effect.all(
        Array.from({ length: 100 }, () => ask("a")),
        { concurrency: 10 }
      )
      assert.isTrue(all.every(({ status }) => status === 200))
      yield* TestClock.adjust("30500 millis")
      const asked = node.count()
      const page = yield* ask("a")
      assert.deepStrictEqual([page.status, page.json], [429, { error: "too many requests", retryAfter: 30 }])
      assert.strictEqual(page.headers.get("retry-after"), "30")
      assert.strictEqual(node.count(), asked)
      assert.strictEqual((yield* ask("b")).status, 200)
      assert.strictEqual((yield* ask()).status, 200)
      yield* TestClock.adjust("29500 millis")
      assert.strictEqual((yield* ask("a")).status, 200)
    })
  )

  it.effect("takes the client's address for the client", () =>
    Effect.gen(function* () {
      const { get } = yield* overNode()
      yield* Effect.all(
        Array.from({ length: 100 }, () => get("/blockNumber")),
        { concurrency: 10, discard: true }
      )
      assert.strictEqual((yield* get("/blockNumber", { headers: { "x-forwarded-for": "10.0.0.1" } })).status, 429)
      assert.strictEqual((yield* get("/health")).status, 200)
    })
  )
})

describe("GET /health", () => {
  it.effect("tells of each upstream, and why it is left out", () =>
    Effect.gen(function* () {
      const good = yield* FaultyNode.make({ head: 1000 })
      const limited = yield* FaultyNode.make({ scenario: Scenario.status(429, { retryAfter: "7 seconds" }) })
      const get = yield* serve(
        Service.stack({
          upstreams: [
            { url: limited.url, name: "limited" },
            { url: good.url, name: "good", tier: 1 }
          ],
          ...impatient,
          health: { every: "30 seconds" }
        })
      )
      const before = yield* get("/health")
      assert.deepStrictEqual(before.json, {
        upstreams: [
          { name: "limited", state: "unknown", inFlight: 0, asked: 0 },
          { name: "good", state: "unknown", inFlight: 0, asked: 0 }
        ]
      })
      yield* get("/blockNumber")
      const after = yield* get("/health")
      assert.deepInclude(after.json.upstreams[0], { state: "paused", leftOut: "7.0 s left", asked: 1 })
      assert.include(after.json.upstreams[0].lastError, "429")
      assert.deepInclude(after.json.upstreams[1], { state: "up", latency: 0, head: 1000, asked: 1 })
    })
  )

  it.effect("tells of an upstream of another chain", () =>
    Effect.gen(function* () {
      const { url } = yield* FaultyNode.make({ chainId: 5 })
      const get = yield* serve(Service.stack({ upstreams: [url], chainId: 1, ...impatient }))
      assert.strictEqual((yield* get("/blockNumber")).status, 503)
      const { json } = yield* get("/health")
      assert.deepInclude(json.upstreams[0], { state: "wrong chain", leftOut: "5, not 1" })
    })
  )

  it.effect("tells of an open breaker", () =>
    Effect.gen(function* () {
      const { url } = yield* FaultyNode.make({ scenario: Scenario.status(500) })
      const breaker = { consecutive: 1, jitter: 0 }
      const get = yield* serve(Service.stack({ upstreams: [url], ...impatient, breaker }))
      yield* get("/blockNumber")
      const { json } = yield* get("/health")
      assert.deepInclude(json.upstreams[0], { state: "open", leftOut: "asked again in 5.0 s" })
    })
  )
})

describe("what is not there", () => {
  const anyNode = Effect.map(overNode(), ({ get }) => get)

  it.effect("an unknown path is 404, as JSON", () =>
    Effect.gen(function* () {
      const get = yield* anyNode
      for (const path of ["/", "/nothing", "/blocknumber/secret?key=secret", "//"]) {
        const { json, status, text } = yield* get(path)
        assert.strictEqual(status, 404, path)
        assert.strictEqual(json.error, "no such path")
        assert.notInclude(text, "secret")
      }
    })
  )

  it.effect("a wrong method is 405, as JSON, and says which is right", () =>
    Effect.gen(function* () {
      const get = yield* anyNode
      for (const path of ["/blockNumber", "/health", "/metrics", "/blockNumber?x=1"]) {
        for (const method of ["POST", "PUT", "DELETE", "OPTIONS", "PROPFIND"]) {
          const { headers, json, status } = yield* get(path, { method })
          assert.strictEqual(status, 405, `${method} ${path}`)
          assert.strictEqual(headers.get("allow"), "GET, HEAD")
          assert.strictEqual(json.error, "this path takes GET only")
        }
        assert.strictEqual((yield* get(path, { method: "HEAD" })).status, 200)
      }
    })
  )

  it.effect("a bug is 500, as JSON, and says no more", () =>
    Effect.gen(function* () {
      const get = yield* serve(fake(Effect.die(new Error("secret"))))
      const { json, status } = yield* get("/blockNumber")
      assert.deepStrictEqual([status, json], [500, { error: "internal error" }])
    })
  )
})

/** A client that does the same whatever it is asked. */
const fake = (answer: Effect.Effect<unknown>) =>
  Layer.succeed(JsonRpc.client<never>())({
    name: "fake",
    request: () => answer,
    inspect: () => ({ name: "fake", upstreams: [] })
  })
