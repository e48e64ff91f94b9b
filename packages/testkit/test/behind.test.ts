/** A faulty node before a real one, which is another faulty node. */
import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect, Fiber } from "effect"
import { ask, call, connection, post, result } from "./client.ts"

const pair = (front: FaultyNode.Options = {}, real: FaultyNode.Options = {}) =>
  Effect.gen(function* () {
    const back = yield* FaultyNode.make({ chainId: 5, head: 100, ...real })
    return { back, front: yield* FaultyNode.make({ behind: back.url, ...front }) }
  })

describe("behind", () => {
  it.effect("hands requests on as they are, over connections that are kept", () =>
    Effect.gen(function* () {
      const { back, front } = yield* pair({}, { path: "/v3/key?x=1", methods: { eth_echo: (params) => params } })
      const agent = yield* connection
      const batch = [call("eth_echo", ["é"], "a"), { jsonrpc: "2.0", method: "eth_foo" }, 3]
      for (let i = 0; i < 5; i++) {
        const [direct, through] = [yield* post(back.url, batch), yield* post(front.url, batch, { agent })]
        assert.deepStrictEqual([through.status, through.text], [direct.status, direct.text])
        assert.strictEqual(yield* result(front.url, "eth_chainId"), "0x5")
      }
      assert.strictEqual(
        new Set(back.requests.filter(({ reused }) => reused).map(({ connection }) => connection)).size,
        1
      )
      assert.strictEqual(front.count("eth_echo"), 5)
    })
  )

  it.effect("hands on statuses and Retry-After", () =>
    Effect.gen(function* () {
      const { front } = yield* pair({}, { scenario: Scenario.status(429, { retryAfter: "9 seconds", body: "slow" }) })
      const answer = yield* post(front.url, call("eth_chainId"))
      assert.deepStrictEqual([answer.status, answer.text, answer.headers["retry-after"]], [429, "slow", "9"])
    })
  )

  it.effect("answers 502 if there is nobody", () =>
    Effect.gen(function* () {
      const { back, front } = yield* pair({}, { scenario: Scenario.drop })
      assert.strictEqual((yield* post(front.url, call("eth_chainId"))).status, 502)
      yield* back.play(Scenario.refuse)
      const answer = yield* post(front.url, call("eth_chainId"))
      assert.deepStrictEqual([answer.status, answer.headers["content-type"]], [502, "text/html"])
      yield* back.play(Scenario.healthy)
      assert.strictEqual(yield* result(front.url, "eth_chainId"), "0x5")
    })
  )

  it.effect("a fault of the request does not reach the real node, one of the answer does not change others", () =>
    Effect.gen(function* () {
      const { back, front } = yield* pair({ scenario: Scenario.drop })
      yield* Effect.flip(post(front.url, call("eth_chainId")))
      assert.strictEqual(back.count(), 0)
      yield* front.play(Scenario.when({ method: "eth_gasPrice" }, Scenario.malformed("nullId")))
      const { json } = yield* post(front.url, [call("eth_chainId", [], 1), call("eth_gasPrice", [], 2)])
      assert.deepStrictEqual(json[0], { jsonrpc: "2.0", id: 1, result: "0x5" })
      assert.deepStrictEqual(json[1], { jsonrpc: "2.0", id: null, result: "0x3b9aca00" })
      yield* front.play(Scenario.truncated)
      assert.isUndefined((yield* post(front.url, call("eth_chainId"))).json)
      yield* front.play(Scenario.batch("shuffled"))
      const shuffled = yield* post(front.url, [call("eth_chainId", [], 1), call("net_version", [], 2)])
      assert.deepStrictEqual(
        shuffled.json.map((answer: any) => [answer.id, answer.result]),
        [
          [2, "5"],
          [1, "0x5"]
        ]
      )
    })
  )

  it.effect("own methods come first, errors of the real node stay what they are", () =>
    Effect.gen(function* () {
      const { front } = yield* pair(
        { methods: { eth_own: () => "mine" } },
        { methods: { eth_revert: () => FaultyNode.error(3, "execution reverted", "0xdead") } }
      )
      const { json } = yield* post(front.url, [call("eth_own"), call("eth_revert", [], 2)])
      assert.strictEqual(json[0].result, "mine")
      assert.deepStrictEqual(json[1].error, { code: 3, message: "execution reverted", data: "0xdead" })
    })
  )

  it.effect("lags behind the real head", () =>
    Effect.gen(function* () {
      const { back, front } = yield* pair({ scenario: Scenario.behind(10) })
      assert.strictEqual(yield* result(front.url, "eth_blockNumber"), "0x5a")
      const latest = yield* result(front.url, "eth_getBlockByNumber", ["latest", false])
      assert.strictEqual(latest.number, "0x5a")
      assert.isNull(yield* result(front.url, "eth_getBlockByNumber", ["0x5b", false]))
      const logs = yield* result(front.url, "eth_getLogs", [{ fromBlock: "latest", toBlock: "latest" }])
      assert.strictEqual(logs[0].blockNumber, "0x5a")
      yield* front.play(Scenario.frozen)
      assert.strictEqual(yield* result(front.url, "eth_blockNumber"), "0x64")
      back.mine(3)
      assert.strictEqual(yield* result(front.url, "eth_blockNumber"), "0x64")
    })
  )

  it.effect("pretends to be on another chain", () =>
    Effect.gen(function* () {
      const { front } = yield* pair({ scenario: Scenario.wrongChain(10) })
      assert.strictEqual(yield* result(front.url, "eth_chainId"), "0xa")
      assert.strictEqual(yield* result(front.url, "net_version"), "10")
      assert.strictEqual(yield* result(front.url, "eth_blockNumber"), "0x64")
    })
  )

  it.effect("a client that leaves takes the request to the real node along", () =>
    Effect.gen(function* () {
      const { back, front } = yield* pair({}, { scenario: Scenario.hang })
      const fiber = yield* Effect.forkChild(ask(front.url, "eth_chainId"))
      yield* back.until((node) => node.requests.length === 1)
      yield* Fiber.interrupt(fiber)
      yield* back.until((node) => node.aborted === 1)
      assert.strictEqual(front.aborted, 1)
    })
  )
})
