import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Context, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { Call, Http, JsonRpc, Stack } from "hawser"

const echo = (value: unknown) => JsonRpc.makeRequest("test_getEcho", [value])

const write = JsonRpc.makeRequest("eth_sendRawTransaction", ["0x00"])

const methods = { test_getEcho: ([value]: ReadonlyArray<unknown>) => value, eth_sendRawTransaction: () => "0xhash" }

/** A default stack over nodes that are asked in batches. */
const over = (scenarios: ReadonlyArray<Scenario.Scenario>, options: Partial<Stack.Options> = {}) =>
  Effect.gen(function* () {
    const nodes = yield* Effect.forEach(scenarios, (scenario) => FaultyNode.make({ scenario, methods }))
    const upstreams = nodes.map(({ url }) => ({ layer: Http.layer({ url, batch: true }) }))
    const context = yield* Layer.build(Stack.layer({ upstreams, chainId: 1, hedge: false, ...options }))
    const client = Context.get(context, JsonRpc.client<Stack.Error>())
    const status = () => Stack.status(client.inspect()).upstreams
    return { nodes, client, status, shown: () => status().map(({ http }) => http!.batch!) }
  })

const many = <E>(client: JsonRpc.Service<E>, n: number) =>
  Effect.forEach(
    Array.from({ length: n }, (_, i) => i),
    (i) => Effect.exit(client.request(echo(i))),
    { concurrency: "unbounded" }
  )

const answered = (exits: ReadonlyArray<Exit.Exit<unknown, unknown>>) =>
  exits.forEach((exit, i) => assert.deepStrictEqual(exit, Exit.succeed(i)))

const onlyInBatches = (fault: Scenario.Scenario) => Scenario.when({ batch: true }, fault)

describe("a stack that asks in batches", () => {
  it.live("sends a tenth of the requests, and gives each caller its own answer", () =>
    Effect.gen(function* () {
      const { client, nodes, shown, status } = yield* over([Scenario.batch("shuffled"), Scenario.batch("shuffled")])
      answered(yield* many(client, 200))
      answered(yield* many(client, 200))
      assert.strictEqual(nodes[0]!.count("test_getEcho") + nodes[1]!.count("test_getEcho"), 400)
      const batches = shown().reduce((sum, { batches }) => sum + batches, 0)
      assert.isAtMost(batches, 40)
      for (const { breaker } of status()) assert.strictEqual(breaker!.counters.failures, 0)
    })
  )

  it.live("works with a node that takes no batches, and holds nothing against it", () =>
    Effect.gen(function* () {
      const { client, nodes, shown, status } = yield* over([Scenario.batch("refused")])
      answered(yield* many(client, 20))
      answered(yield* many(client, 20))
      assert.deepInclude(shown()[0], { size: 1, refused: 1, batches: 1 })
      assert.strictEqual(status()[0]!.breaker!.counters.failures, 0)
      assert.isAtMost(nodes[0]!.count("test_getEcho"), 60)
    })
  )

  for (const how of ["missing", "duplicate"] as const) {
    it.live(`asks again for those that got no answer, and not for the others: ${how}`, () =>
      Effect.gen(function* () {
        const node = onlyInBatches(Scenario.first(10, Scenario.batch(how)))
        const { client, nodes } = yield* over([node, Scenario.healthy], { retry: false })
        answered(yield* many(client, 20))
        const times = new Map<unknown, number>()
        for (const { method, params } of nodes.flatMap(({ requests }) => requests)) {
          if (method !== "test_getEcho") continue
          const [value] = params as ReadonlyArray<unknown>
          times.set(value, (times.get(value) ?? 0) + 1)
        }
        assert.strictEqual(times.size, 20)
        const repeated = Array.from(times.values()).filter((n) => n > 1)
        assert.isAtMost(repeated.length, 2)
        assert.isTrue(repeated.every((n) => n === 2))
      })
    )
  }

  for (const [name, fault] of Object.entries({
    drop: Scenario.drop,
    truncated: Scenario.truncated,
    refused: Scenario.batch("refused"),
    missing: Scenario.batch("missing"),
    "413": Scenario.status(413),
    "503": Scenario.status(503)
  })) {
    it.live(`never sends a write twice, whatever becomes of the reads beside it: ${name}`, () =>
      Effect.gen(function* () {
        const { client, nodes, status } = yield* over([onlyInBatches(fault), onlyInBatches(fault)], { write: false })
        // A check of the chain is a read like others: where all batches are lost, a write may wait for one in vain.
        for (let i = 0; status().some(({ chain }) => !chain!.verified); i++) yield* client.request(echo(i))
        const exits = yield* Effect.all([Effect.exit(client.request(write)), many(client, 10)], {
          concurrency: "unbounded"
        })
        assert.deepStrictEqual(exits[0], Exit.succeed("0xhash"))
        assert.strictEqual(nodes[0]!.count(write.method) + nodes[1]!.count(write.method), 1)
      })
    )
  }

  it.live("fails over item by item when a batch is lost", () =>
    Effect.gen(function* () {
      const { client, nodes } = yield* over([onlyInBatches(Scenario.drop), Scenario.healthy])
      answered(yield* many(client, 30))
      const [bad, good] = nodes.map(({ requests }) => requests.filter(({ method }) => method === "test_getEcho"))
      const valueOf = ({ params }: { readonly params: unknown }) => (params as ReadonlyArray<unknown>)[0]
      const lost = bad!.filter(({ batch }) => batch !== undefined).map(valueOf)
      assert.isNotEmpty(lost)
      for (const value of lost) assert.strictEqual(good!.filter((request) => valueOf(request) === value).length, 1)
      assert.strictEqual(new Set(good!.map(valueOf)).size, good!.length)
      answered(yield* many(client, 30))
    })
  )

  it.effect("lets each caller leave at its own deadline, and the last one closes the socket", () =>
    Effect.gen(function* () {
      const hanging = Scenario.when({ method: "test_getEcho" }, Scenario.hang)
      const { client, nodes } = yield* over([hanging], { timeout: false, retry: false })
      const [node] = nodes
      const calls = [1_000, 2_000].map((deadline, i) =>
        Effect.provideService(client.request(echo(i)), Call.Current, Object.assign(new Call.Call(), { deadline }))
      )
      const fibers = yield* Effect.forEach(calls, (call) => Effect.forkChild(Effect.exit(call)))
      yield* node!.until(({ requests }) => requests.filter(({ batch }) => batch === 2).length === 2)
      yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(fibers[0]!)))
      assert.strictEqual(node!.aborted, 0)
      assert.isUndefined(fibers[1]!.pollUnsafe())
      yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.isFailure(yield* Fiber.join(fibers[1]!)))
      yield* node!.until(({ aborted }) => aborted === 1)
    })
  )

  it.live("never mixes upstreams of one URL that differ in headers", () =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make({ methods })
      const clients = yield* Effect.forEach(["a", "b"], (who) =>
        Effect.map(
          Layer.build(
            Stack.layer({
              upstreams: [{ layer: Http.layer({ url: node.url, headers: { "x-who": who }, batch: true }) }],
              chainId: 1
            })
          ),
          (context) => ({ who, client: Context.get(context, JsonRpc.client<Stack.Error>()) })
        )
      )
      yield* Effect.forEach(
        Array.from({ length: 40 }, (_, i) => clients[i % 2]!),
        ({ client, who }, i) => client.request(echo(`${who}${i}`)),
        { concurrency: "unbounded" }
      )
      let batched = 0
      for (const { batch, headers, method, params } of node.requests) {
        if (method !== "test_getEcho") continue
        if (batch !== undefined) batched++
        assert.strictEqual(headers["x-who"], String((params as ReadonlyArray<unknown>)[0])[0])
      }
      assert.isAbove(batched, 20)
    })
  )
})
