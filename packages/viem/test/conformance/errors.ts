import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect } from "effect"
import { Call } from "hawser"
import { encodeErrorResult, type Hex } from "viem"
import { abi, causes, clientOf, errorOf, over, type Viem, type ViemError } from "../support/Viem.ts"

// EIP-1474, EIP-1193, EIP-5792, CAIP-25, WalletConnect, and codes that nobody has defined.
const codes = [
  [-32700, -32600, -32601, -32602, -32603, -32000, -32001, -32002, -32003, -32004, -32005, -32006],
  [4001, 4100, 4200, 4900, 4901, 4902],
  [5700, 5710, 5720, 5730, 5740, 5750, 5760],
  [5000, 7000],
  [1, 3, 429, -32007, -32016, -39000]
].flat()

const accounts = { method: "eth_accounts" } as const

const erring = (code: number) => Scenario.when(accounts, Scenario.error(code, "words that nobody knows"))

/** What an error is. viem 3 keeps the codes that it has no class for in `data`. */
const kindOf = ({ code, constructor, data, name }: ViemError) => {
  const inner = typeof data === "object" && data !== null && "code" in data ? data.code : undefined
  return { constructor, name, code, inner }
}

const custom = encodeErrorResult({ abi, errorName: "Short", args: [7n] })
const text = encodeErrorResult({ abi, errorName: "Error", args: ["no: rate limit"] })

const dialects: Readonly<Record<string, readonly [code: number, message: string, data: (revert: Hex) => unknown]>> = {
  geth: [3, "execution reverted", (revert) => revert],
  "geth, and a gateway": [-32000, "execution reverted", (revert) => revert],
  Erigon: [3, "execution reverted", (revert) => revert],
  Hardhat: [
    -32603,
    "Error: VM Exception while processing transaction: reverted with an unrecognized custom error",
    (data) => ({ message: "Error: VM Exception while processing transaction: reverted", txHash: "0x1", data })
  ],
  Besu: [-32000, "Execution reverted", (revert) => revert],
  "Besu 24": [3, "Execution reverted (7 missing)", (revert) => revert],
  Nethermind: [3, "execution reverted", (revert) => revert],
  "Nethermind before": [-32015, "VM execution error.", (revert) => `Reverted ${revert}`],
  Parity: [-32015, "VM execution error.", (revert) => `Reverted ${revert}`],
  Anvil: [3, "execution reverted: custom error 0xb5f17dae", (revert) => revert]
}

/** What an application sees of a revert. */
const seen = (error: ViemError) => {
  const revert = causes(error).find(({ name }) => name === "ContractFunctionRevertedError")
  const { data, reason, signature } = (revert ?? {}) as Revert
  return { outer: error.name, inner: revert?.name ?? (error.cause as Error).name, data, reason, signature }
}

interface Revert {
  readonly data?: { readonly args?: ReadonlyArray<unknown> }
  readonly reason?: string
  readonly signature?: string
}

/** Errors are those that viem's own `http()` gives. */
export const errors = <T>(viem: Viem<T>): void => {
  describe("errors", () => {
    it.live("have the class of http() for every code, alone and on all nodes, with one request to each", () =>
      Effect.gen(function* () {
        for (const code of codes) {
          const { client, nodes, sent } = yield* over(viem, [erring(code), erring(code)], { retry: false })
          const bare = yield* errorOf(() => viem.client(viem.http(nodes[0]!.url), 1).request(accounts))
          const alone = yield* clientOf(viem, viem.hawser(nodes[0]!.url, { retry: false }))
          for (const [{ request }, most] of [
            [alone, 1],
            [client, 2]
          ] as const) {
            for (const node of nodes) node.clear()
            assert.deepStrictEqual(kindOf(yield* errorOf(() => request(accounts))), kindOf(bare), String(code))
            assert.include([1, most], sent("eth_accounts"), String(code))
          }
        }
      })
    )

    it.live("a method that is not there is so, although another node is down", () =>
      Effect.gen(function* () {
        const { client } = yield* over(viem, [Scenario.refuse, Scenario.healthy], { retry: false })
        assert.instanceOf(yield* errorOf(() => client.request({ method: "eth_hawser" })), viem.errors.unsupported)
      })
    )

    it.live("fallback goes on where it does for http(), and nowhere else", () =>
      Effect.gen(function* () {
        const backup = yield* FaultyNode.make({ methods: { eth_accounts: () => [] } })
        const asked = (transport: T) =>
          Effect.promise(async () => {
            backup.clear()
            const client = viem.client(viem.fallback([transport, viem.http(backup.url)]), 1)
            await client.request(accounts).catch(() => undefined)
            return backup.count("eth_accounts")
          })
        const all = new Set<number>()
        for (const code of [4001, 5000, 7000, -32003, -32601, -32005, -32603]) {
          const { nodes, transport } = yield* over(viem, [erring(code)], { retry: false })
          const bare = yield* asked(viem.http(nodes[0]!.url))
          assert.strictEqual(yield* asked(transport), bare, String(code))
          all.add(bare)
        }
        assert.sameMembers([...all], [0, 1])
      })
    )

    it.live("HTTP failures and dead connections are viem's error for them, whose cause names why", () =>
      Effect.gen(function* () {
        for (const scenario of [Scenario.status(500), Scenario.drop, Scenario.refuse, Scenario.truncated]) {
          const { client } = yield* over(viem, [scenario], { retry: false })
          const error = yield* errorOf(client.head)
          assert.instanceOf(error, viem.errors.http)
          assert.instanceOf(error.cause, Call.NoAnswer)
        }
      })
    )

    it.live("no answer in time is a TimeoutError", () =>
      Effect.gen(function* () {
        for (const options of [
          { timeout: "50 millis", retry: false, hedge: false },
          { deadline: "50 millis" }
        ] as const) {
          const { client } = yield* over(viem, [Scenario.hang], options)
          assert.instanceOf(yield* errorOf(client.head), viem.errors.timeout)
        }
      })
    )

    it.live("never show a URL's path or query", () =>
      Effect.gen(function* () {
        const node = yield* FaultyNode.make({ path: "/v3/s3cretKey?key=an0ther", scenario: Scenario.status(401) })
        const client = yield* clientOf(viem, viem.hawser([node.url], { retry: false }))
        for (const cause of causes(yield* errorOf(client.head))) {
          assert.notMatch(JSON.stringify([cause, cause.message, cause.stack]), /s3cretKey|an0ther/)
        }
      })
    )

    for (const [name, [code, message, data]] of Object.entries(dialects)) {
      it.live(`a revert as ${name} sends it decodes as it does under http(), after one request`, () =>
        Effect.gen(function* () {
          for (const revert of [custom, text]) {
            const fault = Scenario.when({ method: "eth_call" }, Scenario.error(code, message, { data: data(revert) }))
            const { client, nodes, sent } = yield* over(viem, [fault, fault])
            const bare = seen(yield* errorOf(viem.client(viem.http(nodes[0]!.url), 1).read))
            for (const node of nodes) node.clear()
            assert.deepStrictEqual(seen(yield* errorOf(client.read)), bare)
            assert.strictEqual(bare.outer, "ContractFunctionExecutionError")
            assert.strictEqual(sent("eth_call"), 1)
            if (code === 3) assert.strictEqual(bare.data?.args?.[0], revert === custom ? 7n : "no: rate limit")
          }
        })
      )
    }
  })
}
