// The README's table of what happens when something goes wrong, as a program sees it that uses viem or ethers. What it costs
// is measured in packages/hawser/test/weather.test.ts.
import { assert, describe, it } from "@effect/vitest"
import { HawserProvider } from "@hawser/ethers"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { hawser } from "@hawser/viem"
import { Context, Data, Effect, Exit, Layer, Random, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { isError } from "ethers"
import { Call, Http, JsonRpc, Stack, Write } from "hawser"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { BaseError, createPublicClient, HttpRequestError, type PublicClient, TimeoutError } from "viem"
import { mainnet } from "viem/chains"

/** What the rows ask of a client, and what its errors are. */
interface Client {
  readonly head: () => Promise<unknown>
  /** The nonce of an account: on the simulated chain, the number of the block it was read at. */
  readonly nonce: (account: number, block?: bigint) => Promise<unknown>
  readonly logs: (from: bigint, to: bigint) => Promise<ReadonlyArray<unknown>>
  readonly hashOf: (block: bigint | "latest") => Promise<unknown>
  readonly call: () => Promise<unknown>
  readonly sendRaw: (raw: `0x${string}`) => Promise<unknown>
  readonly send: () => Promise<unknown>
  readonly isTimeout: (error: unknown) => boolean
  readonly isNoAnswer: (error: unknown) => boolean
  /** The data of a revert; `undefined`: it is none. */
  readonly revert: (error: unknown) => unknown
}

/** Whatever a client's promise was rejected with. */
class Rejection extends Data.TaggedError("Rejection")<{ readonly reason: unknown }> {}

const to = "0x00000000000000000000000000000000000000aa"

const accountOf = (n: number) => `0x${n.toString(16).padStart(40, "0")}` as const

const isCausedBy = (error: unknown, kind: new (...args: never) => Error): boolean =>
  error instanceof Error && error.cause instanceof kind

const clients: Readonly<Record<string, (rpc: JsonRpc.Service<Stack.Error>) => Client>> = {
  viem: (rpc) => {
    const client: PublicClient = createPublicClient({ chain: mainnet, transport: hawser(rpc) })
    return {
      head: () => client.getBlockNumber({ cacheTime: 0 }).then(Number),
      nonce: (account, block) =>
        client.getTransactionCount({ address: accountOf(account), ...(block && { blockNumber: block }) }),
      logs: (fromBlock, toBlock) => client.getLogs({ fromBlock, toBlock }),
      hashOf: (block) =>
        client.getBlock(block === "latest" ? { blockTag: block } : { blockNumber: block }).then(({ hash }) => hash),
      call: () => client.call({ to }),
      sendRaw: (serializedTransaction) => client.sendRawTransaction({ serializedTransaction }),
      send: () => client.request({ method: "eth_sendTransaction", params: [{ to }] } as never),
      isTimeout: (error) => error instanceof BaseError && error.walk((one) => one instanceof TimeoutError) !== null,
      isNoAnswer: (error) =>
        error instanceof BaseError &&
        error.walk((one) => one instanceof HttpRequestError && isCausedBy(one, Call.NoAnswer)) !== null,
      revert: (error) => {
        const found = error instanceof BaseError ? error.walk((one) => "data" in (one as object)) : null
        return (found as { readonly data?: unknown } | null)?.data
      }
    }
  },
  ethers: (rpc) => {
    const provider = new HawserProvider(rpc, 1)
    return {
      head: () => provider.getBlockNumber(),
      nonce: (account, block) => provider.getTransactionCount(accountOf(account), block),
      logs: (fromBlock, toBlock) => provider.getLogs({ fromBlock, toBlock }),
      hashOf: (block) => provider.getBlock(block).then((found) => found?.hash),
      call: () => provider.call({ to }),
      sendRaw: (raw) => provider.broadcastTransaction(raw).then(({ hash }) => hash),
      send: () => provider.send("eth_sendTransaction", [{ to }]),
      isTimeout: (error) => isError(error, "TIMEOUT"),
      isNoAnswer: (error) => isError(error, "SERVER_ERROR") && isCausedBy(error, Call.NoAnswer),
      revert: (error) => (isError(error, "CALL_EXCEPTION") ? error.data : undefined)
    }
  }
}

/** The default stack over nodes, of which the last is asked first: sockets are real, and time passes while none is at work. */
const facing = (given: ReadonlyArray<FaultyNode.Options>) =>
  Effect.gen(function* () {
    const nodes = yield* Effect.forEach(given, (node) => FaultyNode.make(node))
    const atWork = nodes.map(() => 0)
    const upstreams = nodes.map(({ url }, i) => ({
      layer: JsonRpc.transform(Http.layer({ url }), "watched", (below: JsonRpc.Service<Http.HttpError>) =>
        Effect.succeed({
          request: (request) =>
            Effect.suspend(() => {
              atWork[i]!++
              return Effect.ensuring(
                below.request(request),
                Effect.sync(() => atWork[i]!--)
              )
            })
        })
      )
    }))
    const unlucky = { nextDoubleUnsafe: () => 1 - 2 ** -53, nextIntUnsafe: () => 0 }
    const context = yield* Effect.provideService(
      Layer.build(Stack.layer({ chainId: 1, upstreams })),
      Random.Random,
      unlucky
    )
    const rpc = Context.get(context, JsonRpc.client<Stack.Error>())
    const isQuiet = () =>
      nodes.every(
        ({ requests }, i) =>
          requests.filter(({ ended, fault }) => fault === "Hang" && ended === "pending").length === atWork[i]
      )
    const quiet = Effect.promise(async () => {
      for (let turns = 0; turns < 5; turns = isQuiet() ? turns + 1 : 0) {
        await new Promise((resolve) => setImmediate(resolve))
      }
    })
    /** What a promise comes to, its rejection included. */
    const run = <A>(promise: () => Promise<A>) =>
      Effect.gen(function* () {
        const fiber = yield* Effect.forkChild(
          Effect.tryPromise({ try: promise, catch: (reason) => new Rejection({ reason }) })
        )
        yield* quiet
        for (let exit = fiber.pollUnsafe(); ; exit = fiber.pollUnsafe()) {
          if (exit !== undefined) return exit
          yield* TestClock.adjust(1)
          yield* quiet
        }
      })
    const value = <A>(promise: () => Promise<A>) =>
      Effect.map(run(promise), (exit) => (Exit.isSuccess(exit) ? exit.value : assert.fail(String(exit.cause))))
    const error = (promise: () => Promise<unknown>) =>
      Effect.map(run(promise), (exit) => {
        const reason = Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
        return reason?._tag === "Fail" ? reason.error.reason : assert.fail("did not reject")
      })
    return { nodes, rpc, value, error }
  })

type Test = (make: (rpc: JsonRpc.Service<Stack.Error>) => Client) => Effect.Effect<unknown, unknown, Scope.Scope>

const rows = new Map<string, Test>()

const row = (when: string, test: Test): void => void rows.set(when, test)

/** The answer comes, whatever the last node does. */
const answered =
  (
    faults: ReadonlyArray<Scenario.Scenario>,
    nodes: ReadonlyArray<FaultyNode.Options> = [{}, {}],
    block?: bigint
  ): Test =>
  (make) =>
    Effect.forEach(faults, (scenario) =>
      Effect.gen(function* () {
        const { rpc, value } = yield* facing([...nodes.slice(0, -1), { ...nodes.at(-1), scenario }])
        const { nonce } = make(rpc)
        for (let i = 1; i <= 3; i++) {
          assert.strictEqual(yield* value(() => nonce(i, block)), block === undefined ? 1_000 : Number(block))
        }
      })
    )

row(
  "A node fails: an error status, HTML, a connection refused or cut, half a document, a foreign id",
  answered(Object.values(Scenario.useless))
)

const throttled = Scenario.status(429, { retryAfter: "2 seconds" })

row("A node answers 429 with `Retry-After: 2`", answered([throttled]))

row("The only node answers 429 with `Retry-After: 2`", answered([Scenario.first(1, throttled)], [{}]))

row("A node hangs", answered([Scenario.hang]))

row("Every node hangs", (make) =>
  Effect.gen(function* () {
    const { error, rpc } = yield* facing([{ scenario: Scenario.hang }, { scenario: Scenario.hang }])
    const { isTimeout, nonce } = make(rpc)
    assert.isTrue(isTimeout(yield* error(() => nonce(1))))
  })
)

row("A node stands still while the chain goes on", (make) =>
  Effect.gen(function* () {
    const { nodes, rpc, value } = yield* facing([{}, { scenario: Scenario.frozen }])
    const client = make(rpc)
    let told = 0
    for (let i = 1; i < 30; i++) {
      yield* TestClock.adjust("12 seconds")
      for (const node of nodes) node.mine()
      for (const read of [client.head, () => client.nonce(i)]) {
        const head = Number(yield* value(read))
        assert.isAtLeast(head, told)
        told = head
      }
    }
  })
)

row("A node is of another chain", answered([Scenario.healthy], [{}, { chainId: 137, head: 5_000 }]))

row(
  "A node has pruned the block",
  answered(
    [Scenario.when({ method: "eth_getTransactionCount" }, Scenario.error(-32000, "missing trie node 3c4f9f"))],
    [{}, {}],
    1n
  )
)

row("500 blocks of logs are asked for, and every node takes 100 at most", (make) =>
  Effect.gen(function* () {
    const scenario = Scenario.when(
      ({ method, params }) => method === "eth_getLogs" && spanOf(params) > 100,
      Scenario.error(-32614, "eth_getLogs is limited to a 100 range")
    )
    const { rpc, value } = yield* facing([{ scenario }, { scenario }])
    const logs = yield* value(() => make(rpc).logs(1n, 500n))
    assert.deepStrictEqual(
      logs.map((log) => Number((log as { readonly blockNumber: unknown }).blockNumber)),
      Array.from({ length: 500 }, (_, i) => i + 1)
    )
  })
)

const spanOf = (params: unknown): number => {
  const [{ fromBlock, toBlock }] = params as [{ readonly fromBlock: string; readonly toBlock: string }]
  return Number(toBlock) - Number(fromBlock) + 1
}

row("The last 3 blocks are replaced by others", (make) =>
  Effect.gen(function* () {
    const { nodes, rpc, value } = yield* facing([{}, {}])
    const { hashOf } = make(rpc)
    yield* value(() => hashOf("latest"))
    const old = yield* value(() => hashOf(998n))
    assert.strictEqual(yield* value(() => hashOf(998n)), old)
    for (const node of nodes) {
      node.reorg(3)
      node.mine()
    }
    yield* value(() => hashOf("latest"))
    const anew = yield* value(() => hashOf(998n))
    assert.isString(anew)
    assert.notStrictEqual(anew, old)
  })
)

row("A call reverts", (make) =>
  Effect.gen(function* () {
    const scenario = Scenario.when(
      { method: "eth_call" },
      Scenario.error(3, "execution reverted", { data: "0xdeadbeef" })
    )
    const { error, nodes, rpc } = yield* facing([{ scenario }, { scenario }])
    const { call, revert } = make(rpc)
    assert.strictEqual(revert(yield* error(call)), "0xdeadbeef")
    assert.strictEqual(nodes[0]!.count("eth_call") + nodes[1]!.count("eth_call"), 1)
  })
)

// EIP-155's example.
const raw =
  "0xf86c098504a817c800825208943535353535353535353535353535353535353535880de0b6b3a76400008025a028ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276a067cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"

row("A node takes a signed transaction, and its answer is lost", (make) =>
  Effect.gen(function* () {
    const sent: Array<unknown> = []
    const methods = {
      eth_sendRawTransaction: ([transaction]: ReadonlyArray<unknown>) => {
        sent.push(transaction)
        return Write.hash(raw)
      },
      eth_getTransactionByHash: ([hash]: ReadonlyArray<unknown>) => (sent.length > 0 ? { hash } : null)
    }
    const scenario = Scenario.when({ method: "eth_sendRawTransaction" }, Scenario.dropMidway)
    const { rpc, value } = yield* facing([{ methods }, { methods, scenario }])
    assert.strictEqual(yield* value(() => make(rpc).sendRaw(raw)), Write.hash(raw))
    assert.deepStrictEqual(sent, [raw])
  })
)

row("The answer to `eth_sendTransaction` is lost", (make) =>
  Effect.gen(function* () {
    const scenario = Scenario.when({ method: "eth_sendTransaction" }, Scenario.dropMidway)
    const { error, nodes, rpc } = yield* facing([{ scenario }, { scenario }])
    const { isNoAnswer, send } = make(rpc)
    assert.isTrue(isNoAnswer(yield* error(send)))
    assert.strictEqual(nodes[0]!.count("eth_sendTransaction") + nodes[1]!.count("eth_sendTransaction"), 1)
  })
)

row("A node refuses your key (401)", answered([Scenario.status(401)]))

const down = Scenario.status(503)

row("Every node is down, and answers 503", (make) =>
  Effect.gen(function* () {
    const { error, rpc } = yield* facing([{ scenario: down }, { scenario: down }])
    const { isNoAnswer, nonce } = make(rpc)
    assert.isTrue(isNoAnswer(yield* error(() => nonce(1))))
  })
)

row("All are back after an outage, every breaker still open", (make) =>
  Effect.gen(function* () {
    const { error, nodes, rpc, value } = yield* facing([{ scenario: down }, { scenario: down }])
    const { nonce } = make(rpc)
    const isOpen = () => Stack.status(rpc.inspect()).upstreams.every(({ breaker }) => breaker!.state === "open")
    for (let i = 1; !isOpen(); i++) yield* error(() => nonce(i))
    for (const node of nodes) yield* node.play(Scenario.healthy)
    assert.strictEqual(yield* value(() => nonce(0)), 1_000)
  })
)

for (const [client, make] of Object.entries(clients)) {
  describe(`what happens with ${client} when`, () => {
    for (const [when, test] of rows) it.effect(when, () => test(make))
  })
}

it("every row of the README's table is here", () => {
  const readme = readFileSync(join(import.meta.dirname, "../../../README.md"), "utf8")
  const [, table] = /<!-- weather -->\n([^]*)<!-- \/weather -->/.exec(readme)!
  const cells = Array.from(table!.matchAll(/^\| (.*?) +\|/gm), ([, cell]) => cell!)
  assert.sameMembers(
    cells.slice(1).filter((cell) => !cell.startsWith("---")),
    Array.from(rows.keys())
  )
})
