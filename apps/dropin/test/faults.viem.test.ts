import { assert, describe, it } from "@effect/vitest"
import { Scenario } from "@hawser/testkit"
import { hawser, type Options } from "@hawser/viem"
import { Effect } from "effect"
import { type BaseError, createPublicClient, http, type Transport } from "viem"
import { mainnet } from "viem/chains"
import { dialectsOf, faults, type Pair, pair, question, raw, rejected } from "./faults.ts"

/** Asks by a transport; `[value]` or the error. */
const ask = (transport: Transport, method: string, params: ReadonlyArray<unknown>) =>
  Effect.promise(() =>
    createPublicClient({ chain: mainnet, transport })
      .request({ method, params } as never)
      .then(
        (value: unknown) => [value] as const,
        (error: unknown) => error as BaseError & { readonly code?: number; readonly status?: number }
      )
  )

const call = ["eth_call", [{ to: question.to }, `0x${question.block.toString(16)}`]] as const

/** Asks by a transport of its own. */
const over = (
  { upstreams }: Pair,
  count: 1 | 2,
  [method, params]: readonly [string, ReadonlyArray<unknown>],
  options?: Options
) =>
  Effect.acquireUseRelease(
    Effect.sync(() => hawser(upstreams(count), options)),
    (transport) => ask(transport, method, params),
    (transport) => Effect.promise(() => createPublicClient({ chain: mainnet, transport }).transport.close())
  )

const alone: Options = { retry: false, hedge: false, write: false, deadline: false }

describe("viem: a node that is at fault, and one that is well", () => {
  for (const { scenario, title, viem } of faults) {
    it.live(`that ${title}: the answer, from the other; alone, ${viem}`, () =>
      Effect.gen(function* () {
        const nodes = yield* pair(scenario)
        const right = yield* ask(http(nodes.good.url), ...call)
        nodes.good.clear()
        assert.deepStrictEqual(yield* over(nodes, 2, call), right)
        const asked = scenario === Scenario.refuse ? 0 : 1
        assert.deepStrictEqual(nodes.asked("eth_call"), [asked, 1])
        nodes.bad.clear()
        const error = yield* over(nodes, 1, call, alone)
        assert.strictEqual((error as BaseError).name, viem, String(error))
        assert.strictEqual(nodes.bad.count("eth_call"), asked)
      })
    )
  }
})

describe("viem: nodes that err", () => {
  for (const [method, params] of [
    call,
    ["eth_sendRawTransaction", [raw]],
    ["eth_getLogs", [{ fromBlock: "0x3e8", toBlock: "0x3e8" }]]
  ] as const) {
    it.live(`${method}, in each dialect: the other's answer or the chain's own; alone, the error of http()`, () =>
      Effect.forEach(dialectsOf(method), ({ kind, scenario, title }) =>
        Effect.gen(function* () {
          const nodes = yield* pair(scenario)
          const both = yield* over(nodes, 2, [method, params])
          const final = rejected.has(kind) && kind !== "known"
          assert.strictEqual(both instanceof Error, final, `${title}: ${String(both)}`)
          const expected = rejected.has(kind) ? [1, 0] : [1, 1]
          assert.deepStrictEqual(nodes.asked(method), expected as never, title)
          if (kind === "known") return
          nodes.bad.clear()
          const error = (yield* over(nodes, 1, [method, params], alone)) as BaseError & { readonly code?: number }
          assert.strictEqual(nodes.bad.count(method), 1, title)
          const bare = (yield* ask(http(nodes.bad.url, { retryCount: 0 }), method, params)) as typeof error
          assert.deepStrictEqual([error.name, error.code], [bare.name, bare.code], `${title}: ${String(error)}`)
        }).pipe(Effect.scoped)
      )
    )
  }
})

describe("viem: a node that restarts", () => {
  it.live("while it is asked: the answer, from the same node", () =>
    Effect.gen(function* () {
      const nodes = yield* pair(Scenario.first(2, Scenario.drop))
      const answer = yield* over(nodes, 1, call)
      assert.notInstanceOf(answer, Error)
    })
  )
})
