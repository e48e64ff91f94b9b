import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect, Layer, Logger, Queue } from "effect"
import { TestClock } from "effect/testing"
import * as Observer from "../src/Observer.ts"
import * as Service from "../src/Service.ts"
import { impatient, serve } from "./serving.ts"

/** Log lines, as they come. */
const logs = Effect.map(Queue.make<string>(), (queue) => ({
  next: Queue.take(queue),
  all: Queue.clear(queue),
  layer: Logger.layer([Logger.map(Logger.formatLogFmt, (line) => void Queue.offerUnsafe(queue, line))])
}))

describe("layer", () => {
  it.effect("logs each change of an upstream's state in a line", () =>
    Effect.gen(function* () {
      const { all, layer, next } = yield* logs
      const { play, url } = yield* FaultyNode.make({ scenario: Scenario.status(500) })
      const breaker = { consecutive: 2, jitter: 0 }
      const stack = Service.stack({ upstreams: [{ url, name: "alpha" }], ...impatient, breaker })
      const get = yield* serve(stack.pipe(Layer.provide(Observer.layer), Layer.provide(layer)))
      yield* get("/blockNumber")
      yield* get("/blockNumber")
      assert.include(yield* next, 'message="breaker open" upstream=alpha from=closed why=consecutive seconds=5')
      yield* play(Scenario.healthy)
      yield* TestClock.adjust("5 seconds")
      yield* get("/blockNumber")
      assert.include(yield* next, 'message="breaker half-open" upstream=alpha from=open why=elapsed')
      assert.include(yield* next, 'message="breaker closed" upstream=alpha from=half-open why=probe')
      yield* get("/blockNumber")
      assert.deepStrictEqual(yield* all, [])
    })
  )

  it.effect("logs pauses and other chains", () =>
    Effect.gen(function* () {
      const { layer, next } = yield* logs
      const limited = yield* FaultyNode.make({ scenario: Scenario.status(429, { retryAfter: "3 seconds" }) })
      const foreign = yield* FaultyNode.make({ chainId: 5 })
      const stack = Service.stack({
        upstreams: [
          { url: limited.url, name: "limited" },
          { url: foreign.url, name: "foreign", tier: 1 }
        ],
        chainId: 1,
        ...impatient
      })
      const get = yield* serve(stack.pipe(Layer.provide(Observer.layer), Layer.provide(layer)))
      yield* get("/blockNumber")
      assert.include(yield* next, "message=paused upstream=limited seconds=3")
      assert.include(yield* next, 'message="wrong chain" upstream=foreign expected=1 actual=5')
    })
  )
})

describe("credentials", () => {
  it.effect("are in no page and no log line", () =>
    Effect.gen(function* () {
      const { all, layer } = yield* logs
      const path = "/v3/PATHSECRET?key=QUERYSECRET"
      const said =
        "no such key PATHSECRET, QUERYSECRET, USERSECRET or PASSSECRET, see https://USERSECRET:PASSSECRET@x" + path
      const node = yield* FaultyNode.make({ path })
      const url = new URL(node.url)
      url.username = "USERSECRET"
      url.password = "PASSSECRET"
      const upstreams = [url, { url, headers: { "x-key": "HEADERSECRET" } }]
      const get = yield* serve(
        Service.stack({ upstreams, ...impatient, breaker: { consecutive: 1 } }).pipe(
          Layer.provide(Observer.layer),
          Layer.provide(layer)
        )
      )
      const texts: Array<string> = []
      const scenarios = [
        Scenario.healthy,
        Scenario.status(401, { body: said }),
        Scenario.status(500, { body: { error: { code: -32000, message: said, data: said } } }),
        Scenario.error(-32000, said, { data: { url: said } }),
        Scenario.refuse
      ]
      for (const scenario of scenarios) {
        yield* node.play(scenario)
        for (const page of ["/blockNumber", "/health", "/metrics", path]) {
          const { headers, text } = yield* get(page)
          texts.push(text, JSON.stringify(Array.from(headers)))
        }
        yield* TestClock.adjust("2 minutes")
      }
      texts.push(...(yield* all))
      assert.isNotEmpty(texts.filter((text) => text.includes("breaker open")))
      assert.isNotEmpty(texts.filter((text) => text.includes("no such key")))
      for (const text of texts) assert.notInclude(text, "SECRET")
    })
  )
})
