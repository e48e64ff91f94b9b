import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect } from "effect"
import { encodeFunctionResult, multicall3Abi, toFunctionSelector } from "viem"
import { abi, address, clientOf, errorOf, over, type Viem } from "../support/Viem.ts"

const blockNumber = { method: "eth_blockNumber" } as const

const paid = (result: bigint) => encodeFunctionResult({ abi, functionName: "pay", result })

const aggregate3 = toFunctionSelector("aggregate3((address,bool,bytes)[])")

const aggregated = encodeFunctionResult({
  abi: multicall3Abi,
  functionName: "aggregate3",
  result: [
    { success: true, returnData: paid(7n) },
    { success: false, returnData: "0x" }
  ]
})

const eth_call = ([call]: ReadonlyArray<unknown>) =>
  (call as { readonly data: string }).data.startsWith(aggregate3) ? aggregated : paid(5n)

/** What becomes of a request that is well. */
export const requests = <T>(viem: Viem<T>): void => {
  describe("a request", () => {
    it.live("retryCount: 0 leaves ours, more multiplies them", () =>
      Effect.gen(function* () {
        for (const [retryCount, calls] of [
          [undefined, 1],
          [0, 1],
          [2, 3]
        ] as const) {
          const { client, sent } = yield* over(viem, [Scenario.status(500)], { retry: false, breaker: false })
          const options = retryCount === undefined ? {} : { retryCount, retryDelay: 1 }
          yield* errorOf(() => client.request(blockNumber, options))
          assert.strictEqual(sent("eth_blockNumber"), calls)
        }
      })
    )

    it.live("dedupe: the same is asked once", () =>
      Effect.gen(function* () {
        const { client, sent } = yield* over(viem, [Scenario.healthy], { cache: false })
        const ask = (of: string, dedupe: boolean) =>
          client.request({ method: "eth_getBalance", params: [of, "latest"] }, { dedupe })
        const other = "0x00000000000000000000000000000000000000bb"
        const answers = yield* Effect.promise(() =>
          Promise.all([
            ask(address, true),
            ask(address, true),
            ask(other, true),
            ask(address, true),
            ask(address, false)
          ])
        )
        assert.strictEqual(sent("eth_getBalance"), 3)
        assert.strictEqual(new Set([answers[0], answers[1], answers[3], answers[4]]).size, 1)
        assert.notStrictEqual(answers[2], answers[0])
      })
    )

    it.live("aborting rejects with the signal's reason, and closes the socket", () =>
      Effect.gen(function* () {
        for (const reason of [undefined, new Error("enough")]) {
          const { client, nodes } = yield* over(viem, [Scenario.hang])
          const controller = new AbortController()
          const promise = client.request(blockNumber, { signal: controller.signal })
          yield* nodes[0]!.until((node) => node.requests.length === 1)
          controller.abort(reason)
          const error = yield* errorOf(() => promise)
          if (reason === undefined) assert.strictEqual(error.name, "AbortError")
          else assert.strictEqual(error, reason)
          yield* nodes[0]!.until(({ connections }) => connections.open === 0)
        }
      })
    )

    it.live("a signal that is aborted already: nothing is asked, nobody is joined", () =>
      Effect.gen(function* () {
        const { client, nodes } = yield* over(viem, [Scenario.hang])
        const under = client.request(blockNumber, { dedupe: true }).catch((error: unknown) => error)
        yield* nodes[0]!.until((node) => node.requests.length === 1)
        const reason = new Error("enough")
        const signal = AbortSignal.abort(reason)
        assert.strictEqual(yield* errorOf(() => client.request(blockNumber, { dedupe: true, signal })), reason)
        assert.strictEqual(nodes[0]!.count(), 1)
        yield* Effect.promise(client.transport.close)
        yield* Effect.promise(() => under)
      })
    )

    it.live("after close is viem's error for a connection that is not there, and says so", () =>
      Effect.gen(function* () {
        const { client, sent } = yield* over(viem, [Scenario.healthy])
        yield* Effect.promise(client.transport.close)
        const error = yield* errorOf(() => client.request(blockNumber))
        assert.instanceOf(error, viem.errors.http)
        assert.include(error.message, "the provider is closed")
        assert.strictEqual(sent(), 0)
      })
    )
  })

  describe("an action", () => {
    for (const name of Object.keys(viem.client(viem.http("http://127.0.0.1:1"), 1).actions)) {
      it.live(`${name}: gives what it gives over http()`, () =>
        Effect.gen(function* () {
          const node = yield* FaultyNode.make({ methods: { eth_call } })
          const client = yield* clientOf(viem, viem.hawser(["http://127.0.0.1:1", node.url]))
          const bare = yield* Effect.promise(viem.client(viem.http(node.url), 1).actions[name]!)
          assert.isDefined(bare)
          assert.deepStrictEqual(yield* Effect.promise(client.actions[name]!), bare)
        })
      )
    }
  })
}
