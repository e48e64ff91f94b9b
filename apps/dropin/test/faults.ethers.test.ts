import { assert, describe, it } from "@effect/vitest"
import { HawserProvider, type Options } from "@hawser/ethers"
import { Scenario } from "@hawser/testkit"
import { Effect } from "effect"
import { type EthersError, keccak256 } from "ethers"
import { dialectsOf, faults, type Pair, pair, question, raw, rejected } from "./faults.ts"

/** Asks a provider of its own; `[value]` or the error. */
const over = (
  { upstreams }: Pair,
  count: 1 | 2,
  ask: (provider: HawserProvider) => Promise<unknown>,
  options?: Options
) =>
  Effect.acquireUseRelease(
    Effect.sync(() => new HawserProvider(upstreams(count), 1, options)),
    (provider) =>
      Effect.promise(() =>
        ask(provider).then(
          (value) => [value] as const,
          (error: unknown) => error as EthersError
        )
      ),
    (provider) => Effect.sync(() => provider.destroy())
  )

const call = (provider: HawserProvider) => provider.call({ to: question.to, blockTag: question.block })

const alone: Options = { retry: false, hedge: false, write: false, deadline: false }

describe("ethers: a node that is at fault, and one that is well", () => {
  for (const { ethers, scenario, title } of faults) {
    it.live(`that ${title}: the answer, from the other; alone, ${ethers}`, () =>
      Effect.gen(function* () {
        const nodes = yield* pair(scenario)
        const answer = yield* over(nodes, 2, call)
        assert.notInstanceOf(answer, Error)
        const asked = scenario === Scenario.refuse ? 0 : 1
        assert.deepStrictEqual(nodes.asked("eth_call"), [asked, 1])
        nodes.bad.clear()
        const error = (yield* over(nodes, 1, call, alone)) as EthersError
        assert.strictEqual(error.code, ethers, String(error))
        assert.strictEqual(nodes.bad.count("eth_call"), asked)
      })
    )
  }
})

describe("ethers: nodes that err", () => {
  const codes: Readonly<Record<string, ReadonlyArray<string>>> = {
    eth_call: ["CALL_EXCEPTION"],
    // What ethers makes of a transaction that is refused follows from the node's words.
    eth_sendRawTransaction: ["NONCE_EXPIRED", "INSUFFICIENT_FUNDS", "REPLACEMENT_UNDERPRICED", "UNKNOWN_ERROR"],
    eth_getLogs: ["UNKNOWN_ERROR"]
  }
  const asks: Readonly<Record<string, (provider: HawserProvider) => Promise<unknown>>> = {
    eth_call: call,
    eth_sendRawTransaction: (provider) => provider.send("eth_sendRawTransaction", [raw]),
    eth_getLogs: (provider) => provider.getLogs({ fromBlock: question.block, toBlock: question.block })
  }
  for (const [method, ask] of Object.entries(asks)) {
    it.live(`${method}, in each dialect: the other's answer or the chain's own; alone, never one for the other`, () =>
      Effect.forEach(dialectsOf(method), ({ kind, scenario, title }) =>
        Effect.gen(function* () {
          const nodes = yield* pair(scenario)
          const both = yield* over(nodes, 2, ask)
          const expected = rejected.has(kind) ? [1, 0] : [1, 1]
          assert.deepStrictEqual(nodes.asked(method), expected as never, title)
          if (kind === "known") {
            assert.deepStrictEqual(both, [keccak256(raw)], title)
            return
          }
          nodes.bad.clear()
          const error = (yield* over(nodes, 1, ask, alone)) as EthersError
          assert.strictEqual(nodes.bad.count(method), 1, title)
          if (rejected.has(kind)) {
            assert.include(codes[method]!, error.code, `${title}: ${error.message}`)
            assert.strictEqual((both as EthersError).code, error.code, title)
          } else {
            assert.notInstanceOf(both, Error, title)
            // What ethers makes of a method that is not there follows from the node's words, too.
            assert.include(kind === "unsupported" ? ["UNKNOWN_ERROR"] : ["SERVER_ERROR"], error.code, title)
          }
        }).pipe(Effect.scoped)
      )
    )
  }
})

describe("ethers: a node that restarts", () => {
  it.live("while it is asked: the answer, from the same node", () =>
    Effect.gen(function* () {
      const nodes = yield* pair(Scenario.first(2, Scenario.drop))
      assert.notInstanceOf(yield* over(nodes, 1, call), Error)
    })
  )
})
