// What a stack promises of each call holds for calls that go together.
import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Context, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { JsonRpc, Provider, Stack } from "hawser"

const address = (i: number) => `0x${i.toString(16).padStart(40, "0")}`

const one = address(1)

/** A provider over nodes whose chain and head are known. */
const over = (
  methods: Record<string, FaultyNode.Method>,
  options: Partial<Stack.Options> = {},
  scenarios: ReadonlyArray<Scenario.Scenario> = [Scenario.healthy]
) =>
  Effect.gen(function* () {
    const nodes = yield* Effect.forEach(scenarios, (scenario) => FaultyNode.make({ scenario, methods }))
    const provider = yield* Effect.acquireRelease(
      Effect.sync(() =>
        Provider.make({ upstreams: nodes.map(({ url }) => url), chainId: 1, hedge: false, ...options })
      ),
      (provider) => Effect.promise(() => provider.close())
    )
    const code = (i: number, signal?: AbortSignal) =>
      provider.request({ method: "eth_getCode", params: [address(i), "latest"] }, { signal })
    const together = (...which: ReadonlyArray<number>) =>
      Effect.promise(() => Promise.allSettled(which.map((i) => code(i))))
    for (let i = 0; i < 3; i++) {
      yield* Effect.promise(() => provider.request({ method: "eth_gasPrice" }).catch(() => {}))
    }
    return { nodes, code, together }
  })

const tagOf = (settled: PromiseSettledResult<unknown> | undefined): string | undefined =>
  settled?.status === "rejected" ? (settled.reason as { readonly _tag: string })._tag : undefined

for (const batch of [false, true]) {
  describe(`calls of one turn, batch: ${batch}`, () => {
    it.live("do not wait for what one of them shares with another", () =>
      Effect.gen(function* () {
        const methods = { eth_getCode: ([a]: ReadonlyArray<unknown>) => (a === one ? Effect.never : "0x") }
        const { code, nodes, together } = yield* over(methods, { batch, timeout: false })
        const leaving = new AbortController()
        const shared = [1, 1].map((i) => code(i, leaving.signal).catch(() => {}))
        yield* nodes[0]!.until((node) => node.count("eth_getCode") > 0)
        const [joined, other] = [code(1, leaving.signal).catch(() => {}), yield* together(2)]
        assert.strictEqual(other[0]!.status, "fulfilled")
        leaving.abort()
        yield* Effect.promise(() => Promise.all([...shared, joined]))
        yield* nodes[0]!.until((node) => node.aborted > 0)
      })
    )

    it.live("send six requests each at most", () =>
      Effect.gen(function* () {
        const { nodes, together } = yield* over({}, { batch, breaker: false }, [Scenario.healthy, Scenario.healthy])
        for (const node of nodes) {
          yield* node.play(Scenario.status(503))
          node.clear()
        }
        assert.deepStrictEqual((yield* together(1, 2)).map(tagOf), ["NoAnswer", "NoAnswer"])
        const asked = nodes
          .flatMap(({ requests }) => requests)
          .filter(({ params }) => (params as ReadonlyArray<unknown>)[0] === one)
        assert.strictEqual(asked.length, 6)
      })
    )

    for (const [name, retry] of [
      ["not at all", false],
      ["if the user says so", { while: () => false }]
    ] as const) {
      it.live(`are asked again ${name}`, () =>
        Effect.gen(function* () {
          const { nodes, together } = yield* over({}, { batch, retry })
          yield* nodes[0]!.play(Scenario.status(503))
          nodes[0]!.clear()
          yield* together(1, 2)
          assert.strictEqual(nodes[0]!.count("eth_getCode"), 2)
        })
      )
    }

    for (const [name, error] of [
      ["of one of them", FaultyNode.error(-32603, "internal error")],
      ["that blames its neighbours", FaultyNode.error(-32003, "response too large")]
    ] as const) {
      it.live(`fail with all that was tried, after an error ${name}`, () =>
        Effect.gen(function* () {
          const methods = { eth_getCode: ([a]: ReadonlyArray<unknown>) => (a === one ? error : "0x") }
          const tags = new Set<string | undefined>()
          for (let i = 0; i < 5; i++) {
            const { together } = yield* over(methods, { batch, retry: { attempts: 2 }, breaker: false }, [
              Scenario.when({ batch: true }, Scenario.drop),
              Scenario.healthy
            ])
            tags.add(tagOf((yield* together(1, 2))[0]))
          }
          assert.deepStrictEqual([...tags], ["NoAnswer"])
        })
      )
    }

    it.live("keep a pause that the answer to one of them asks for", () =>
      Effect.gen(function* () {
        const times: Array<number> = []
        const methods = {
          eth_getCode: ([a]: ReadonlyArray<unknown>) => {
            if (a !== one) return "0x"
            times.push(performance.now())
            return times.length > 1 ? "0x" : FaultyNode.error(-32005, "rate limited", { rate: { backoff_seconds: 1 } })
          }
        }
        const { together } = yield* over(methods, { batch })
        assert.deepStrictEqual(
          (yield* together(1, 2)).map(({ status }) => status),
          ["fulfilled", "fulfilled"]
        )
        assert.isAbove(times[1]! - times[0]!, 950)
      })
    )

    it.live("have a store's time each, and linger", () =>
      Effect.gen(function* () {
        const missing = { get: () => Effect.succeed(undefined), set: () => Effect.void }
        const store = {
          ...missing,
          invalidate: () => Effect.void,
          invalidateTag: () => Effect.void,
          clear: () => Effect.void
        }
        let asked = 0
        const methods = {
          eth_getCode: ([a]: ReadonlyArray<unknown>) => {
            if (a !== one) return Effect.as(Effect.sleep("50 millis"), "0x")
            asked++
            return FaultyNode.error(-32603, "internal error")
          }
        }
        const stored = yield* over(methods, { batch, cache: { store }, retry: { attempts: 2 } })
        yield* stored.together(1, 2)
        assert.strictEqual(asked, 2)
        const lingering = yield* over(methods, { batch, cache: { linger: "5 seconds" } })
        const leaving = new AbortController()
        const both = [2, 3].map((i) => lingering.code(i, leaving.signal).catch(() => {}))
        yield* lingering.nodes[0]!.until((node) => node.count("eth_getCode") === 2)
        leaving.abort()
        yield* Effect.promise(() => Promise.all(both))
        yield* Effect.promise(() => lingering.code(2))
        assert.deepStrictEqual([lingering.nodes[0]!.aborted, lingering.nodes[0]!.count("eth_getCode")], [0, 2])
      })
    )

    /** Two calls under way over a stack of layers. */
    const layered = (answer: FaultyNode.Method) =>
      Effect.gen(function* () {
        const node = yield* FaultyNode.make({ methods: { eth_getCode: answer } })
        const scope = yield* Effect.acquireRelease(Scope.make(), (scope) => Scope.close(scope, Exit.void))
        const context = yield* Layer.buildWithScope(
          Stack.layer({ upstreams: [node.url], chainId: 1, batch, hedge: false }),
          scope
        )
        const client = Context.get(context, JsonRpc.client<Stack.Error>())
        yield* client.request(JsonRpc.makeRequest("eth_gasPrice"))
        const code = (i: number) => client.request(JsonRpc.makeRequest("eth_getCode", [address(i), "latest"]))
        const both = yield* Effect.forkChild(
          Effect.all([Effect.exit(code(1)), Effect.exit(code(2))], { concurrency: "unbounded" })
        )
        yield* node.until(() => node.count("eth_getCode") === 2)
        return { both, code, node, scope }
      })

    it.live("end with the layers", () =>
      Effect.gen(function* () {
        const { both, node, scope } = yield* layered(() => Effect.never)
        yield* Scope.close(scope, Exit.void)
        yield* Fiber.await(both)
        assert.strictEqual(node.count("eth_getCode"), 2)
      })
    )

    it.live("leave a report to who asks for the same and wants one", () =>
      Effect.gen(function* () {
        const { code } = yield* layered(() => Effect.as(Effect.sleep("50 millis"), "0x"))
        const { report, value } = yield* JsonRpc.explain(code(1))
        assert.strictEqual(value, "0x")
        assert.isDefined(report.answeredBy)
      })
    )
  })
}
