import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect } from "effect"
import { type JsonRpc, Provider, Stack } from "hawser"
import { clientOf, errorOf, over, type Viem } from "../support/Viem.ts"

const ask = Effect.fnUntraced(function* (client: { readonly head: () => Promise<bigint> }, times = 1) {
  for (let i = 0; i < times; i++) assert.strictEqual(yield* Effect.promise(client.head), 1000n)
})

/** Who is asked, and on whose behalf. */
export const upstreams = <T>(viem: Viem<T>): void => {
  describe("two upstreams, of which one is useless", () => {
    for (const [name, scenario] of Object.entries(Scenario.useless)) {
      it.live(`${name}: the right answer comes, and the other is soon left alone`, () =>
        Effect.gen(function* () {
          const { client, nodes } = yield* over(viem, [scenario, Scenario.healthy])
          yield* ask(client, 12)
          // Its own chain check included.
          assert.isAtMost(nodes[0]!.count(), 4)
        })
      )
    }
  })

  describe("two upstreams, both down", () => {
    it.live("an error names both, after six requests at most; back up, the next call succeeds", () =>
      Effect.gen(function* () {
        const { client, nodes, sent } = yield* over(viem, [Scenario.status(503), Scenario.refuse])
        const error = yield* errorOf(client.head)
        assert.instanceOf(error, viem.errors.http)
        for (const { port } of nodes) assert.include(error.message, `127.0.0.1:${port}`)
        assert.isAtMost(sent(), 6)
        for (const node of nodes) yield* node.play(Scenario.healthy)
        yield* ask(client)
      })
    )
  })

  describe("instances", () => {
    it.live("one pool for a transport and a chain, however often viem instantiates it", () =>
      Effect.gen(function* () {
        const { nodes, transport } = yield* over(viem, [Scenario.healthy])
        for (let i = 0; i < 20; i++) yield* ask(viem.client(transport, 1))
        assert.isAtMost(nodes[0]!.connections.total, 2)
        assert.strictEqual(nodes[0]!.count("eth_chainId"), 1)
      })
    )

    it.live("the client's chain is the chain that upstreams must be of", () =>
      Effect.gen(function* () {
        const { nodes, transport } = yield* over(viem, [Scenario.healthy])
        const client = yield* clientOf(viem, transport, 137)
        const error = yield* errorOf(client.head)
        assert.include(error.message, "is of chain 1, not 137")
        assert.strictEqual(nodes[0]!.count("eth_blockNumber"), 1)
      })
    )

    it.live("nests in viem's fallback", () =>
      Effect.gen(function* () {
        const { nodes, transport } = yield* over(viem, [Scenario.status(500)], { retry: false })
        const backup = yield* FaultyNode.make()
        yield* ask(viem.client(viem.fallback([transport, viem.http(backup.url)]), 1), 3)
        assert.isAtMost(nodes[0]!.count(), 3)
      })
    )

    it.live("also takes one URL, a layer, a client, or a provider that is shared", () =>
      Effect.gen(function* () {
        const node = yield* FaultyNode.make()
        const provider = Provider.make({ upstreams: [node.url] })
        const fixed: JsonRpc.Service<never> = {
          name: "fixed",
          request: () => Effect.succeed("0x3e8"),
          inspect: () => ({ name: "fixed" })
        }
        for (const source of [node.url, Stack.layer({ upstreams: [node.url] }), fixed, provider]) {
          const client = viem.client(viem.hawser(source), undefined)
          yield* ask(client)
          yield* Effect.promise(client.transport.close)
        }
        // It outlives its transports.
        assert.strictEqual(yield* Effect.promise(() => provider.request({ method: "eth_blockNumber" })), "0x3e8")
        yield* Effect.promise(provider.close)
      })
    )

    it.live("shows its upstreams as client.transport.status(), and what happens by on()", () =>
      Effect.gen(function* () {
        const { client, nodes } = yield* over(viem, [Scenario.healthy])
        const calls: Array<unknown> = []
        const stop = client.transport.on(({ layer }) => {
          if (layer === "call") calls.push(layer)
        })
        yield* ask(client)
        stop()
        yield* ask(client)
        const [upstream] = client.transport.status().upstreams
        assert.deepInclude(upstream, { name: `127.0.0.1:${nodes[0]!.port}` })
        assert.strictEqual(upstream!.breaker!.state, "closed")
        assert.deepInclude(upstream!.chain, { expected: 1, verified: true })
        assert.lengthOf(calls, 1)
      })
    )

    it("options are checked at construction", () => {
      const { hawser } = viem
      assert.throws(() => hawser([]), /Stack\.upstreams takes a list of at least one/)
      assert.throws(() => hawser(["eth.example"]), /Stack\.upstreams\[0\] takes an http:, https:, ws: or wss: URL/)
      assert.throws(() => hawser(["http://a"], { retryCount: 3 } as never), /Stack\.retryCount takes no value/)
    })

    it("is named as asked", () => {
      const named = (options?: { readonly key: string; readonly name: string }) => {
        const { key, name, type } = viem.identity(viem.hawser("http://127.0.0.1:1", options))
        return { key, name, type }
      }
      assert.deepStrictEqual(named(), { key: "hawser", name: "Hawser", type: "hawser" })
      const mine = { key: "mine", name: "My nodes" }
      assert.deepStrictEqual(named(mine), { ...mine, type: "hawser" })
    })

    it("has viem's retries off, and the deadline for its timeout", () => {
      const { client, hawser } = viem
      const timeout = (deadline: Stack.Options["deadline"]) => {
        const { transport } = client(hawser("http://127.0.0.1:1", { deadline }), 1)
        assert.strictEqual(transport.retryCount, 0)
        return transport.timeout
      }
      assert.strictEqual(timeout(undefined), 10_000)
      assert.strictEqual(timeout("3 seconds"), 3_000)
      assert.strictEqual(timeout(500), 500)
      assert.strictEqual(timeout(false), undefined)
      assert.strictEqual(
        timeout(() => "1 hour"),
        10_000
      )
    })

    it("has an identity of its own, so that calls are not mixed up", () => {
      const transport = viem.hawser("http://127.0.0.1:1")
      const clients = [viem.client(transport, 1), viem.client(transport, 1)]
      assert.notStrictEqual(clients[0]!.uid, clients[1]!.uid)
      assert.notStrictEqual(clients[0]!.request, clients[1]!.request)
    })
  })
}
