import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Deferred, Effect, Exit, Fiber, Layer, Random } from "effect"
import { Call, JsonRpc, Options, Outcome, Provider, Stack } from "hawser"

const blockNumber = { method: "eth_blockNumber" }

/** A provider over faulty nodes, closed with the scope. */
const over = (scenarios: ReadonlyArray<Scenario.Scenario>, options: Partial<Stack.Options> = {}) =>
  Effect.gen(function* () {
    const nodes = yield* Effect.forEach(scenarios, (scenario) => FaultyNode.make({ scenario }))
    const provider = yield* Effect.acquireRelease(
      Effect.sync(() => Provider.make({ upstreams: nodes.map(({ url }) => url), ...options })),
      (provider) => Effect.promise(() => provider.close())
    )
    return { nodes, provider, ask: (args = blockNumber) => Effect.promise(() => provider.request(args)) }
  })

/** A client that is asked through `submit`. */
const fiberless = (submit: JsonRpc.Submit): JsonRpc.Service<never> => ({
  name: "fiberless",
  request: () => Effect.never,
  inspect: () => ({ name: "fiberless" }),
  submit
})

const rejected = (promise: Promise<unknown>) =>
  Effect.promise(() =>
    promise.then(
      () => assert.fail("resolved"),
      (error: unknown) => error
    )
  )

describe("request", () => {
  it.live("resolves with the result", () =>
    Effect.gen(function* () {
      const { ask } = yield* over([Scenario.healthy])
      assert.strictEqual(yield* ask(), "0x3e8")
    })
  )

  for (const batch of [false, true]) {
    it.live(`resolves where each call may send one request, and the chain is to be checked; batch: ${batch}`, () =>
      Effect.gen(function* () {
        const { nodes, provider } = yield* over([Scenario.healthy], { chainId: 1, retry: { attempts: 1 }, batch })
        const ask = () => provider.request(blockNumber)
        assert.deepStrictEqual(yield* Effect.promise(() => Promise.all([ask(), ask()])), ["0x3e8", "0x3e8"])
        assert.strictEqual(nodes[0]!.count("eth_chainId"), 1)
        const raw = { method: "eth_sendRawTransaction", params: ["0x00"] }
        const { nodes: fresh, provider: other } = yield* over([Scenario.healthy], {
          chainId: 1,
          retry: { attempts: 1 }
        })
        yield* Effect.promise(() => other.request(raw).catch(() => undefined))
        assert.strictEqual(fresh[0]!.count("eth_sendRawTransaction"), 1)
      })
    )
  }

  for (const batch of [false, true]) {
    it.live(`rejects where a function among the options throws; batch: ${batch}`, () =>
      Effect.gen(function* () {
        const policy = () => {
          throw new Error("no policy")
        }
        const { provider } = yield* over([Scenario.healthy], { batch, cache: { policy } })
        // The first builds the layers, and has a fiber.
        for (let i = 0; i < 2; i++) {
          const error = yield* rejected(provider.request(blockNumber))
          assert.instanceOf(error, Call.Defect)
          assert.match(error.message, /no policy/)
        }
      })
    )
  }

  it.live("rejects with the chain's own answer, with code and data", () =>
    Effect.gen(function* () {
      const { nodes, provider } = yield* over([Scenario.error(3, "execution reverted", { data: "0x1234" })])
      const error = yield* rejected(provider.request({ method: "eth_call", params: [{}, "latest"] }))
      assert.instanceOf(error, JsonRpc.Rejected)
      assert.deepInclude(error, { code: 3, data: "0x1234" })
      assert.strictEqual(nodes[0]!.count("eth_call"), 1)
    })
  )

  it.live("rejects with one cause for each upstream", () =>
    Effect.gen(function* () {
      const { provider } = yield* over([Scenario.status(500), Scenario.drop], { retry: false })
      const error = yield* rejected(provider.request(blockNumber))
      assert.instanceOf(error, Call.NoAnswer)
      assert.strictEqual(error.causes.length, 2)
    })
  )

  it.live("rejects with the signal's reason at once, and closes the socket", () =>
    Effect.gen(function* () {
      const { nodes, provider } = yield* over([Scenario.hang])
      const controller = new AbortController()
      const promise = provider.request(blockNumber, { signal: controller.signal })
      yield* nodes[0]!.until((node) => node.requests.length === 1)
      const reason = new Error("enough")
      controller.abort(reason)
      assert.strictEqual(yield* rejected(promise), reason)
      yield* nodes[0]!.until(({ connections }) => connections.open === 0)
      assert.strictEqual(yield* rejected(provider.request(blockNumber, { signal: controller.signal })), reason)
      assert.strictEqual(nodes[0]!.count(), 1)
    })
  )

  it.live("refuses what is no request", () =>
    Effect.gen(function* () {
      const { provider } = yield* over([Scenario.healthy])
      const noMethod = yield* rejected(provider.request({} as never))
      assert.strictEqual((noMethod as Error).message, "request.method takes a string, got undefined")
      const noList = yield* rejected(provider.request({ method: "eth_call", params: {} as never }))
      assert.strictEqual((noList as Error).message, "request.params takes a list, got a record")
    })
  )

  it.live("a user's function that throws is an error of ours, with what it threw as the cause", () =>
    Effect.gen(function* () {
      const bug = new Error("bug")
      const { provider } = yield* over([Scenario.healthy], {
        cache: {
          policy: () => {
            throw bug
          }
        }
      })
      const error = yield* rejected(provider.request(blockNumber))
      assert.instanceOf(error, Call.Defect)
      assert.strictEqual(error.cause, bug)
    })
  )
})

describe("a client that needs no fiber", () => {
  it.live("answers, rejects, is left, and is asked the other way what it does not take", () =>
    Effect.gen(function* () {
      let left = 0
      const boom = new Call.NoAnswer({ causes: [], [Outcome.TypeId]: Outcome.verdict() })
      const provider = Provider.make({
        ...fiberless(({ method }, caller) => {
          if (method === "throws") throw boom
          if (method === "eth_chainId") caller.end(Exit.succeed("0x1"))
          if (method === "eth_gasPrice") queueMicrotask(() => caller.end(Exit.fail(boom)))
          return method === "eth_getCode" ? undefined : { leave: () => Effect.sync(() => void left++) }
        }),
        request: ({ method }) => Effect.succeed(`by a fiber: ${method}`)
      })
      const ask = (method: string) => provider.request({ method })
      assert.strictEqual(yield* Effect.promise(() => ask("eth_chainId")), "0x1")
      assert.strictEqual(yield* rejected(ask("eth_gasPrice")), boom)
      assert.strictEqual(yield* Effect.promise(() => ask("eth_getCode")), "by a fiber: eth_getCode")
      const defect = yield* rejected(ask("throws"))
      assert.instanceOf(defect, Call.Defect)
      assert.strictEqual(defect.cause, boom)
      const hanging = [ask("eth_blockNumber"), ask("eth_blockNumber")].map(rejected)
      yield* Effect.promise(() => provider.close())
      for (const one of hanging) assert.instanceOf(yield* one, Provider.Closed)
      assert.strictEqual(left, 2)
    })
  )
})

describe("life", () => {
  it.live("nothing happens before the first request, and a hundred providers cost nothing", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      const providers = Array.from({ length: 100 }, () => Provider.make({ upstreams: [node.url] }))
      assert.deepStrictEqual(providers[0]!.status(), { upstreams: [{ name: `127.0.0.1:${node.port}` }] })
      assert.strictEqual(node.connections.total, 0)
    })
  )

  it.live("closing rejects what is under way and closes every socket; nothing is asked afterwards", () =>
    Effect.gen(function* () {
      const { nodes, provider } = yield* over([Scenario.hang])
      const promise = rejected(provider.request(blockNumber))
      yield* nodes[0]!.until((node) => node.requests.length === 1)
      const ended = yield* Effect.forkChild(promise, { startImmediately: true })
      yield* Effect.promise(() => provider.close())
      assert.instanceOf(yield* Fiber.join(ended), Provider.Closed)
      yield* nodes[0]!.until(({ connections }) => connections.open === 0)
      assert.instanceOf(yield* rejected(provider.request(blockNumber)), Provider.Closed)
      yield* Effect.promise(() => provider.close())
    })
  )

  it.live("a build that failed is tried again", () =>
    Effect.gen(function* () {
      let builds = 0
      const layer = Layer.unwrap(
        Effect.suspend(() =>
          ++builds === 1
            ? Effect.fail("not yet")
            : Effect.succeed(
                Layer.succeed(JsonRpc.client<never>())({
                  name: "x",
                  request: () => Effect.succeed(7),
                  inspect: () => ({ name: "x" })
                })
              )
        )
      )
      const provider = Provider.make(layer)
      assert.strictEqual(yield* rejected(provider.request(blockNumber)), "not yet")
      const answers = yield* Effect.promise(() => Promise.all([1, 2, 3].map(() => provider.request(blockNumber))))
      assert.deepStrictEqual(answers, [7, 7, 7])
      assert.strictEqual(builds, 2)
    })
  )

  it.live("closing waits for what is being left already", () =>
    Effect.gen(function* () {
      const left = Deferred.makeUnsafe<void>()
      let ended = false
      const leave = Effect.map(Deferred.await(left), () => void (ended = true))
      const provider = Provider.make({
        ...fiberless(() => ({ leave: () => leave })),
        request: () => Effect.onInterrupt(Effect.never, () => leave)
      })
      const controller = new AbortController()
      const promise = provider.request(blockNumber, { signal: controller.signal })
      controller.abort("enough")
      assert.strictEqual(yield* rejected(promise), "enough")
      const closed = yield* Effect.forkChild(
        Effect.promise(() => provider.close()),
        { startImmediately: true }
      )
      yield* Effect.yieldNow
      assert.isUndefined(closed.pollUnsafe())
      yield* Deferred.succeed(left, undefined)
      yield* Fiber.join(closed)
      assert.isTrue(ended)
    })
  )

  it.live("what is left or closed while it is being asked is not under way afterwards", () =>
    Effect.gen(function* () {
      for (const end of ["abort", "close"] as const) {
        let left = 0
        const controller = new AbortController()
        const provider: Provider.Provider = Provider.make(
          fiberless(() => {
            if (end === "abort") controller.abort("enough")
            else void provider.close()
            return { leave: () => Effect.sync(() => void left++) }
          })
        )
        const error = yield* rejected(provider.request(blockNumber, { signal: controller.signal }))
        if (end === "abort") assert.strictEqual(error, "enough")
        else assert.instanceOf(error, Provider.Closed)
        assert.strictEqual(left, 1)
      }
    })
  )

  it.live("a shared client is not closed", () =>
    Effect.gen(function* () {
      const client = {
        name: "shared",
        request: () => Effect.succeed("0x1"),
        inspect: () => ({ name: "shared" })
      }
      const provider = Provider.make(client)
      assert.strictEqual(yield* Effect.promise(() => provider.request(blockNumber)), "0x1")
      yield* Effect.promise(() => provider.close())
      assert.strictEqual(yield* client.request(), "0x1")
    })
  )
})

describe("status and events", () => {
  it.live("show every upstream and why it is left out", () =>
    Effect.gen(function* () {
      const { ask, provider } = yield* over([Scenario.status(429, { retryAfter: "30 seconds" }), Scenario.healthy])
      const events: Array<JsonRpc.Event> = []
      const off = provider.on((event) => events.push(event))
      // Until the throttled one has had its turn.
      while (provider.status().upstreams[0]?.rateLimit?.pausedFor === undefined) yield* ask()
      for (let i = 0; i < 20 && provider.status().upstreams[0]!.rateLimit!.pausedFor === 0; i++) yield* ask()
      const [bad, good] = provider.status().upstreams
      assert.isAbove(bad!.rateLimit!.pausedFor, 25_000)
      assert.isAtLeast(good!.pool!.successes, 1)
      assert.include(
        events.map(({ type }) => type),
        "paused"
      )
      off()
    }).pipe(Random.withSeed("status"))
  )
})

describe("what happened to a call", () => {
  it.live("reaches whoever listens, once the call has ended", () =>
    Effect.gen(function* () {
      const { ask, nodes, provider } = yield* over([Scenario.status(500), Scenario.healthy])
      const calls: Array<JsonRpc.Event> = []
      provider.on((event) => {
        if (event.layer === "call") calls.push(event)
      })
      while (nodes[0]!.count() === 0) yield* ask()
      const call = calls.at(-1)!
      assert.deepInclude(call, { type: "answered", method: "eth_blockNumber" })
      const { answeredBy, steps } = call["report"] as Call.Report
      assert.strictEqual(answeredBy, `127.0.0.1:${nodes[1]!.port}`)
      assert.deepStrictEqual(
        steps.filter(({ step }) => step === "ask").map((step) => "upstream" in step && step.upstream),
        nodes.map(({ port }) => `127.0.0.1:${port}`)
      )
    }).pipe(Random.withSeed("report"))
  )
})

describe("options", () => {
  const refused = (options: unknown): string => {
    try {
      Provider.make(options as Stack.Options)
    } catch (error) {
      assert.instanceOf(error, Options.InvalidOption)
      return error.message
    }
    return "taken"
  }

  it("are checked at construction, by name", () => {
    const upstreams = ["http://a.example"]
    assert.match(refused({}), /^Stack\.upstreams takes a list of at least one URL or upstream, got undefined/)
    assert.match(refused({ upstreams: [] }), /^Stack\.upstreams takes a list of at least one/)
    assert.match(
      refused({ upstreams: ["a.example/key123"] }),
      /^Stack\.upstreams\[0\] takes an http:, https:, ws: or wss: URL/
    )
    assert.notInclude(refused({ upstreams: ["a.example/key123"] }), "key123")
    assert.match(refused({ upstreams: [{ uri: "x" }] }), /^Stack\.upstreams\[0\]\.uri takes no value/)
    assert.match(refused({ upstreams: [{ url: "http://a", tier: -1 }] }), /^Stack\.upstreams\[0\]\.tier takes a whole/)
    assert.match(
      refused({ upstreams, retries: 3 }),
      /^Stack\.retries takes no value: the options are upstreams, chainId/
    )
    assert.match(refused({ upstreams, chainId: "1" }), /^Stack\.chainId takes a whole number/)
    assert.match(refused({ upstreams, deadline: "soon" }), /^Stack\.deadline takes a duration/)
    assert.match(refused({ upstreams, breaker: { rate: 2 } }), /^Stack\.breaker\.rate takes a number/)
    assert.match(refused({ upstreams, hedge: { quantil: 0.9 } }), /^Stack\.hedge\.quantil takes no value/)
    assert.match(refused({ upstreams, health: { every: 0 } }), /^Stack\.health\.every takes a duration/)
    assert.match(
      refused({ upstreams, health: { every: 1_000, unhealthyThreshold: 0 } }),
      /^Stack\.health\.unhealthyThreshold takes a whole number of at least 1/
    )
    const wrong: ReadonlyArray<readonly [options: object, message: RegExp]> = [
      [{ retry: 3 }, /^Stack\.retry takes a record of options, got 3/],
      [{ retry: { budget: { ratio: -1 } } }, /^Stack\.retry\.budget\.ratio takes a number/],
      [{ timeout: { seconds: 0 } }, /^Stack\.timeout takes a duration/],
      [{ cache: { capacity: 0 } }, /^Stack\.cache\.capacity takes a whole number/],
      [{ head: { tolerance: { blocks: -1 } } }, /^Stack\.head\.tolerance\.blocks takes a whole number/],
      [{ pool: { decay: 0 } }, /^Stack\.pool\.decay takes a duration/],
      [{ quorum: { of: 2, agree: 3 } }, /^Stack\.quorum\.agree takes a whole number up to 2/],
      [{ batch: { size: 0 } }, /^Stack\.batch\.size takes a whole number/],
      [{ errors: [{}] }, /^Stack\.errors\[0\]/]
    ]
    for (const [options, message] of wrong) assert.match(refused({ upstreams, ...options }), message)
    const particular: ReadonlyArray<readonly [particulars: object, message: RegExp]> = [
      [{ methods: { include: "x" } }, /^Stack\.upstreams\[1\]\.methods\.include takes/],
      [{ rateLimit: { limit: 0, window: 1_000 } }, /^Stack\.upstreams\[1\]\.rateLimit\.limit takes/],
      [{ rateLimit: false }, /^Stack\.upstreams\[1\]\.rateLimit takes a record of options, got false/],
      [{ concurrency: { limit: 0 } }, /^Stack\.upstreams\[1\]\.concurrency\.limit takes/],
      [{ timeout: -1 }, /^Stack\.upstreams\[1\]\.timeout takes a duration/],
      [{ headers: { "a b": "c" } }, /^Stack\.upstreams\[1\]\.headers/],
      [{ batch: { size: 0 } }, /^Stack\.upstreams\[1\]\.batch\.size takes/]
    ]
    for (const [particulars, message] of particular) {
      assert.match(refused({ upstreams: ["http://a", { url: "http://b", ...particulars }] }), message)
    }
    assert.strictEqual(
      refused({ upstreams, breaker: false, retry: false, cache: false, hedge: false, deadline: false }),
      "taken"
    )
  })

  it("upstreams are named after their hosts, or as told", () => {
    assert.deepStrictEqual(
      Stack.names({
        upstreams: [
          "https://u:p@eth.example/key1",
          new URL("https://eth.example/key2"),
          { url: "https://other.example", name: "mine" },
          { url: "https://eth.example" }
        ]
      }),
      ["eth.example", "eth.example#2", "mine", "eth.example#3"]
    )
  })
})
