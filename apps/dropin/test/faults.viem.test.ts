import { assert, describe, it } from "@effect/vitest"
import { Scenario } from "@hawser/testkit"
import type { Options } from "@hawser/viem"
import { Effect } from "effect"
import { dialectsOf, faults, type Pair, pair, question, raw, rejected } from "./faults.ts"
import { type Client, type Viem, viems } from "./viems.ts"

/** An error as viem shows it. viem 3 keeps the codes that it has no class for in `data`. */
interface ViemError extends Error {
  readonly code?: number
  readonly data?: { readonly code?: number }
}

type Asked = readonly [method: string, params: ReadonlyArray<unknown>]

/** Asks; `[value]` or the error. */
const ask = (client: Client, [method, params]: Asked) =>
  Effect.promise(() =>
    client.request({ method, params }).then(
      (value) => [value] as const,
      (error: unknown) => error as ViemError
    )
  )

/** Asks by a client of its own. */
const over = ({ hawser }: Viem, { upstreams }: Pair, count: 1 | 2, asked: Asked, options?: Options) =>
  Effect.acquireUseRelease(
    Effect.sync(() => hawser(upstreams(count), options)),
    (client) => ask(client, asked),
    (client) => Effect.promise(client.transport.close)
  )

const kindOf = ({ code, data, name }: ViemError) => [name, code, data?.code]

const call: Asked = ["eth_call", [{ to: question.to }, `0x${question.block.toString(16)}`]]

const asks: ReadonlyArray<Asked> = [
  call,
  ["eth_sendRawTransaction", [raw]],
  ["eth_getLogs", [{ fromBlock: "0x3e8", toBlock: "0x3e8" }]]
]

const alone: Options = { retry: false, hedge: false, write: false, deadline: false }

for (const viem of viems) {
  describe(`${viem.name}: a node that is at fault, and one that is well`, () => {
    for (const fault of faults) {
      const expected = viem.errors[fault.viem]
      it.live(`that ${fault.title}: the answer, from the other; alone, ${expected}`, () =>
        Effect.gen(function* () {
          const nodes = yield* pair(fault.scenario)
          const right = yield* ask(viem.http(nodes.good.url), call)
          nodes.good.clear()
          assert.deepStrictEqual(yield* over(viem, nodes, 2, call), right)
          const asked = fault.scenario === Scenario.refuse ? 0 : 1
          assert.deepStrictEqual(nodes.asked("eth_call"), [asked, 1])
          nodes.bad.clear()
          const error = (yield* over(viem, nodes, 1, call, alone)) as ViemError
          assert.strictEqual(error.name, expected, String(error))
          assert.strictEqual(nodes.bad.count("eth_call"), asked)
        })
      )
    }
  })

  describe(`${viem.name}: nodes that err`, () => {
    for (const asked of asks) {
      const [method] = asked
      it.live(`${method}, in each dialect: the other's answer or the chain's own; alone, the error of http()`, () =>
        Effect.forEach(dialectsOf(method), ({ kind, scenario, title }) =>
          Effect.gen(function* () {
            const nodes = yield* pair(scenario)
            const both = yield* over(viem, nodes, 2, asked)
            const final = rejected.has(kind) && kind !== "known"
            assert.strictEqual(both instanceof Error, final, `${title}: ${String(both)}`)
            const expected = rejected.has(kind) ? [1, 0] : [1, 1]
            assert.deepStrictEqual(nodes.asked(method), expected as never, title)
            if (kind === "known") return
            nodes.bad.clear()
            const error = (yield* over(viem, nodes, 1, asked, alone)) as ViemError
            assert.strictEqual(nodes.bad.count(method), 1, title)
            const bare = (yield* ask(viem.http(nodes.bad.url), asked)) as ViemError
            assert.deepStrictEqual(kindOf(error), kindOf(bare), `${title}: ${String(error)}`)
          }).pipe(Effect.scoped)
        )
      )
    }
  })

  describe(`${viem.name}: a node that restarts`, () => {
    it.live("while it is asked: the answer, from the same node", () =>
      Effect.gen(function* () {
        const nodes = yield* pair(Scenario.first(2, Scenario.drop))
        assert.notInstanceOf(yield* over(viem, nodes, 1, call), Error)
      })
    )
  })
}
