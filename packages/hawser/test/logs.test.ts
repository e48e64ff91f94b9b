import { assert, describe, it } from "@effect/vitest"
import { Anvil, FaultyNode, Scenario } from "@hawser/testkit"
import { Context, Effect, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import { Call, JsonRpc, Logs, Stack } from "hawser"

/** The default stack. Time is virtual and sockets are not, so nothing may run out. */
const build = (nodes: ReadonlyArray<FaultyNode.FaultyNode>, options?: Logs.Options, stack?: Partial<Stack.Options>) => {
  const upstreams = nodes.map(({ url }, i) => ({ url, name: `node${i}` }))
  // The blocks of the logs are not those that the nodes tell of.
  const patient = { deadline: false, timeout: false, hedge: false, head: false } as const
  return Effect.map(
    Layer.build(Stack.layer({ chainId: 1, upstreams, logs: options, ...patient, ...stack })),
    (context): JsonRpc.Service<Stack.Error> => Context.get(context, JsonRpc.client<Stack.Error>())
  )
}

const hex = (n: number) => `0x${n.toString(16)}`

const logsOf = (fromBlock: number | string, toBlock: number | string) =>
  JsonRpc.makeRequest("eth_getLogs", [
    {
      fromBlock: typeof fromBlock === "number" ? hex(fromBlock) : fromBlock,
      toBlock: typeof toBlock === "number" ? hex(toBlock) : toBlock
    }
  ])

interface Log {
  readonly blockNumber: string
  readonly logIndex: string
}

/** Three logs in every seventh block, one in the others. */
const chain: ReadonlyArray<Log> = Array.from({ length: 1_001 }, (_, block) =>
  Array.from({ length: block % 7 === 0 ? 3 : 1 }, (_, index) => ({
    address: `0x${"0".repeat(40)}`,
    topics: [],
    data: "0x",
    blockNumber: hex(block),
    blockHash: `0x${block.toString(16).padStart(64, "0")}`,
    transactionHash: `0x${(8 * block + index).toString(16).padStart(64, "0")}`,
    transactionIndex: hex(index),
    logIndex: hex(index),
    removed: false
  }))
).flat()

const wires = (from: number, to: number) =>
  chain.filter(({ blockNumber }) => Number(blockNumber) >= from && Number(blockNumber) <= to)

/** How a node answers `eth_getLogs` on this chain. */
const getLogs =
  (refuse: (from: number, to: number, found: number) => FaultyNode.RpcError | undefined) =>
  (params: ReadonlyArray<unknown>): unknown => {
    const { fromBlock, toBlock } = params[0] as { readonly fromBlock: string; readonly toBlock: string }
    const [from, to] = [fromBlock, toBlock].map((end) => (end === "latest" ? 1_000 : Number(end))) as [number, number]
    const found = wires(from, to)
    return refuse(from, to, found.length) ?? found
  }

const byBlocks = (most: number) =>
  getLogs((from, to) =>
    to - from >= most ? FaultyNode.error(-32614, `eth_getLogs is limited to a ${most} range`) : undefined
  )

const byResults = (most: number) =>
  getLogs((from, _to, found) =>
    found > most
      ? FaultyNode.error(
          -32005,
          `query returned more than ${most} results. Try with this block range [${hex(from)}, ${hex(from + Math.floor(most / 3) - 1)}].`
        )
      : undefined
  )

/** Lets sockets do their work, and virtual time pass, until a fiber ends. */
const ended = <A, E>(fiber: Fiber.Fiber<A, E>) =>
  Effect.gen(function* () {
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("5 millis")
    return yield* Fiber.join(fiber)
  })

describe("over sockets", () => {
  it.effect("what two nodes refuse each in its own way is answered in full", () =>
    Effect.gen(function* () {
      const a = yield* FaultyNode.make({ methods: { eth_getLogs: byBlocks(100) } })
      const b = yield* FaultyNode.make({ methods: { eth_getLogs: byResults(200) } })
      const rpc = yield* build([a, b])
      assert.deepStrictEqual(yield* rpc.request(logsOf(0, "latest")), wires(0, 1_000))
      assert.deepStrictEqual(yield* rpc.request(logsOf(17, 930)), wires(17, 930))
      const { maxBlocks, refused, split } = rpc.inspect()["logs"] as Logs.Inspection
      // The last part of a query may show that a little more would do.
      assert.hasAllKeys(maxBlocks, ["node0"])
      assert.isTrue(maxBlocks["node0"]! >= 100 && maxBlocks["node0"]! < 200)
      assert.isAtMost(refused, 4)
      assert.strictEqual(split, 2)
    })
  )

  it.effect("a rate limit among the parts is waited for, and takes nothing apart", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({
        methods: { eth_getLogs: byBlocks(125) },
        scenario: Scenario.when(
          { method: "eth_getLogs" },
          Scenario.firstOf(
            Scenario.first(3, Scenario.healthy),
            Scenario.first(2, Scenario.error(429, "Too many requests", { status: 429, retryAfter: "1 second" }))
          )
        )
      })
      const rpc = yield* build([node], { concurrency: 2 })
      const fiber = yield* Effect.forkChild(rpc.request(logsOf(1, 1_000)), { startImmediately: true })
      assert.deepStrictEqual(yield* ended(fiber), wires(1, 1_000))
      const asked = node.requests
        .filter(({ method }) => method === "eth_getLogs")
        .map(({ params }) => JSON.stringify(params))
      // The whole, eight parts, and those that were throttled once more.
      assert.strictEqual(new Set(asked).size, 9)
      assert.isAtMost(asked.length, 11)
    })
  )

  it.effect("a part that fails goes to the other node, as any request", () =>
    Effect.gen(function* () {
      const faults = Scenario.when(
        { method: "eth_getLogs" },
        Scenario.after(1, Scenario.sometimes(0.3, Scenario.status(503)))
      )
      const nodes = yield* Effect.forEach([1, 2], (seed) =>
        FaultyNode.make({ methods: { eth_getLogs: byBlocks(20) }, scenario: faults, seed })
      )
      const rpc = yield* build(nodes, {}, { retry: { attempts: 30, budget: false }, breaker: false })
      const fiber = yield* Effect.forkChild(rpc.request(logsOf(0, 999)), { startImmediately: true })
      assert.deepStrictEqual(yield* ended(fiber), wires(0, 999))
    })
  )

  it.effect("whoever leaves aborts the sockets of all parts", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({
        methods: {
          eth_getLogs: getLogs((from, to) =>
            to - from >= 10 ? FaultyNode.error(-32000, "max block range: 10") : undefined
          )
        },
        scenario: Scenario.when({ method: "eth_getLogs" }, Scenario.after(1, Scenario.hang))
      })
      const rpc = yield* build([node], { concurrency: 5 })
      const fiber = yield* Effect.forkChild(rpc.request(logsOf(0, 999)), { startImmediately: true })
      yield* node.until(({ count }) => count("eth_getLogs") === 6)
      yield* Fiber.interrupt(fiber)
      yield* node.until(({ aborted }) => aborted === 5)
      assert.strictEqual(node.count("eth_getLogs"), 6)
    })
  )

  it.effect("a cache below keeps each part", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ methods: { eth_getLogs: byBlocks(100) } })
      const rpc = yield* build([node], {}, { cache: { policy: () => ({ ttl: "1 hour" }) } })
      yield* rpc.request(logsOf(0, 499))
      node.clear()
      assert.deepStrictEqual(yield* rpc.request(logsOf(0, 499)), wires(0, 499))
      assert.strictEqual(node.count("eth_getLogs"), 0)
    })
  )

  it.effect("a stream goes on where another has stopped", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ methods: { eth_getLogs: byResults(60) } })
      const rpc = yield* build([node])
      const first = yield* Logs.stream(rpc, {}, { from: 0, to: "latest", chunk: 100 }).pipe(
        Stream.take(3),
        Stream.runCollect
      )
      const rest = yield* Logs.stream(rpc, {}, { cursor: first[2]!.cursor, to: "latest", chunk: 100 }).pipe(
        Stream.runCollect
      )
      const logs = [...first, ...rest].flatMap(({ logs }) => logs)
      assert.deepStrictEqual(logs, wires(0, 1_000))
    })
  )
})

describe.skipIf(Anvil.binary === undefined)("in front of anvil", () => {
  // Creation code that logs its topic so many times: PUSH1 topic PUSH1 0 PUSH1 0 LOG1, and so on.
  const code = (topic: number, times: number) =>
    `0x${`60${topic.toString(16).padStart(2, "0")}60006000a1`.repeat(times)}00`

  it.live(
    "parts, addresses and topics give what anvil gives in one answer",
    () =>
      Effect.gen(function* () {
        const anvil = yield* Anvil.make({ chainId: 1 })
        const [from] = (yield* anvil.rpc("eth_accounts")) as ReadonlyArray<string>
        yield* anvil.rpc("evm_setAutomine", [false])
        for (let block = 0; block < 30; block++) {
          for (let i = 0; i <= block % 3; i++) {
            const data = code(1 + ((block + i) % 4), 1 + ((block * i) % 3))
            yield* anvil.rpc("eth_sendTransaction", [{ from, data, gas: "0x100000" }])
          }
          yield* anvil.rpc("evm_mine")
        }
        const topic = (n: number) => `0x${n.toString(16).padStart(64, "0")}`
        const all = (yield* anvil.rpc("eth_getLogs", [{ fromBlock: "0x0", toBlock: "latest" }])) as ReadonlyArray<
          Log & { readonly address: string }
        >
        assert.isAbove(all.length, 60)
        const address = all.map((log) => log.address).filter((_, i) => i % 2 === 0)
        const filters = [
          {},
          { topics: [[topic(1), topic(3), topic(4)]] },
          { address },
          { address, topics: [[topic(2), topic(1)]] }
        ]
        // Anvil's own answers, of which no more than two are told.
        const stingy = yield* FaultyNode.make({
          behind: anvil.url,
          methods: {
            eth_getLogs: (params) =>
              Effect.map(anvil.rpc("eth_getLogs", params), (found) =>
                (found as ReadonlyArray<unknown>).length > 2
                  ? FaultyNode.error(-32005, "query returned more than 2 results")
                  : found
              )
          }
        })
        const narrow = yield* FaultyNode.make({
          behind: anvil.url,
          methods: {
            eth_getLogs: (params) => {
              const { fromBlock, toBlock } = params[0] as { readonly fromBlock: string; readonly toBlock: string }
              return toBlock === "latest" || Number(toBlock) - Number(fromBlock) >= 4
                ? FaultyNode.error(-32000, "exceed maximum block range: 4")
                : anvil.rpc("eth_getLogs", params)
            }
          }
        })
        const rpc = yield* build([narrow])
        for (const filter of filters) {
          const whole = { fromBlock: "0x0", toBlock: "latest", ...filter }
          const expected = yield* anvil.rpc("eth_getLogs", [whole])
          assert.deepStrictEqual(yield* rpc.request(JsonRpc.makeRequest("eth_getLogs", [whole])), expected)
          const chunks = yield* Logs.stream(rpc, filter, { from: 0, to: "latest", chunk: 7 }).pipe(Stream.runCollect)
          assert.deepStrictEqual(
            chunks.flatMap(({ logs }) => logs),
            expected as typeof all
          )
        }
        // One contract has at most three logs, and all its topics are one: where that is more than is told, nobody can.
        const few = all.filter(({ address }) => all.filter((log) => log.address === address).length <= 2)
        const rare = { fromBlock: "0x0", toBlock: "latest", address: few.map(({ address }) => address) }
        const other = yield* build([stingy])
        assert.deepStrictEqual(
          yield* other.request(JsonRpc.makeRequest("eth_getLogs", [rare])),
          yield* anvil.rpc("eth_getLogs", [rare])
        )
        const error = yield* Effect.flip(other.request(JsonRpc.makeRequest("eth_getLogs", [{ fromBlock: "0x0" }])))
        assert.instanceOf(error, Call.NoAnswer)
      }),
    30_000
  )
})
