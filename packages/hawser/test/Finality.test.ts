import { assert, describe, it } from "@effect/vitest"
import { Context, Data, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { Finality, type Head, JsonRpc } from "hawser"
import * as Keeping from "../src/internal/finality.ts"
import { Chain, hashOf, hex, ToldHeads } from "./support/chain.ts"
import { type Subject, World } from "./support/finalityWorld.ts"

class Down extends Data.TaggedError("Down")<{}> {}

// What is asked for is told from the newest: a block so many below it, one of those made last, a transaction.
const near = fc.constantFrom("@-1", "@0", "@0", "@1", "@1", "@2", "@3", "@5")
const tag = fc.constantFrom("latest", "latest", "safe", "finalized", "pending", "earliest")
const ref = fc.oneof({ weight: 1, arbitrary: tag }, { weight: 2, arbitrary: near })
const hash = fc.constantFrom("#-1", "#0", "#1", "#2", "#4")
const transaction = fc.constantFrom("$0", "$1", "$2", "$3", "$5")
const address = `0x${"a".repeat(40)}`

const resolve = (world: World, params: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
  const { blocks, made, sent } = world.chain.state
  return JSON.parse(JSON.stringify(params), (_, value: unknown) => {
    if (typeof value !== "string" || !/^[@#$]/.test(value)) return value
    const below = Number(value.slice(1))
    if (value.startsWith("@")) return hex(Math.max(0, blocks.length - 1 - below))
    return value.startsWith("#") ? hashOf(0xb000 + made - below) : hashOf(0xa000 + Math.max(0, sent - 1 - below))
  }) as ReadonlyArray<unknown>
}

const any = <T>(arbitrary: fc.Arbitrary<T>) => fc.option(arbitrary, { nil: undefined, freq: 4 })
const ask = (method: string, ...params: ReadonlyArray<fc.Arbitrary<unknown>>) =>
  fc.record({
    do: fc.constant("ask" as const),
    method: fc.constant(method),
    params: fc.tuple(...params).map((params) => params.filter((param) => param !== undefined)),
    atOnce: fc.boolean()
  })

const anyBlock = fc.oneof(
  ref,
  hash,
  near.map((blockNumber) => ({ blockNumber })),
  fc.record({ blockHash: hash, requireCanonical: fc.boolean() })
)
const filter = fc.oneof(
  { weight: 4, arbitrary: fc.record({ fromBlock: ref, toBlock: ref }, { requiredKeys: [] }) },
  { weight: 1, arbitrary: fc.record({ blockHash: hash }) }
)
const hydrated = fc.boolean()

const read = fc.oneof(
  ask("eth_blockNumber"),
  ask("eth_gasPrice"),
  ask("eth_chainId"),
  ask("eth_getBlockByNumber", ref, hydrated),
  ask("eth_getBlockByNumber", fc.constantFrom("latest", "@0", "@1"), fc.constant(false)),
  ask("eth_getBlockByHash", hash, hydrated),
  ask("eth_getBlockReceipts", anyBlock),
  ask("eth_getBalance", fc.constant(address), any(anyBlock)),
  ask("eth_call", fc.constant({ to: address }), anyBlock),
  ask("eth_getTransactionCount", fc.constant(address), ref),
  ask("eth_estimateGas", fc.constant({ to: address }), any(ref)),
  ask("eth_feeHistory", fc.constantFrom("0x1", "0x4"), ref, fc.constant([])),
  ask("eth_getTransactionReceipt", transaction),
  ask("eth_getTransactionByHash", transaction),
  ask("debug_traceTransaction", transaction),
  ask("eth_getLogs", filter),
  ask("eth_getLogs", filter)
)

const often = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary })
const which = fc.nat({ max: 3 })
const command = fc.oneof(
  often(24, read),
  // Asks something anew: what was kept shows only then.
  often(40, fc.record({ do: fc.constant("again" as const), which: fc.nat({ max: 12 }), atOnce: fc.boolean() })),
  often(8, fc.record({ do: fc.constantFrom("hear" as const, "end" as const), which })),
  often(4, fc.record({ do: fc.constant("lag" as const), which, by: fc.integer({ min: 1, max: 3 }) })),
  often(8, fc.constant({ do: "finish" as const })),
  often(1, fc.record({ do: fc.constant("lose" as const), which })),
  often(4, fc.record({ do: fc.constant("advance" as const), by: fc.integer({ min: 1, max: 2 }) })),
  often(
    4,
    fc.record({
      do: fc.constant("reorganise" as const),
      depth: fc.integer({ min: 1, max: 4 }),
      by: fc.integer({ min: 1, max: 4 })
    })
  ),
  often(2, fc.record({ do: fc.constantFrom("safe" as const, "finalized" as const), below: fc.nat({ max: 4 }) })),
  often(1, fc.constant({ do: "send" as const })),
  often(4, fc.record({ do: fc.constant("tell" as const), late: fc.nat({ max: 2 }) })),
  often(2, fc.record({ do: fc.constant("tick" as const), by: fc.constantFrom(100, 1_500, 2_500, 40_000) }))
)
type Command = typeof command extends fc.Arbitrary<infer C> ? C : never

const settings = fc
  .record({ memory: fc.constantFrom(2, 5, 100), staleIfError: fc.constantFrom(0, 5_000), prompt: fc.boolean() })
  // Who is behind is found out by the hashes of blocks, if they are remembered.
  .map((settings) => ({ ...settings, lags: settings.memory === 100 }))

const step = (world: World, asked: Array<JsonRpc.Request>, command: Command): void => {
  const { chain, loads } = world
  const load = "which" in command ? loads[command.which % Math.max(1, loads.length)] : undefined
  switch (command.do) {
    case "ask":
      asked.push(JsonRpc.makeRequest(command.method, resolve(world, command.params)))
      return world.ask(asked.at(-1)!, command.atOnce)
    case "again": {
      const request = asked.at(-1 - (command.which % Math.max(1, asked.length)))
      return request && world.ask(request, command.atOnce)
    }
    case "hear":
      return load && world.hear(load)
    case "lag":
      return load && world.hear(load, command.by)
    case "end":
    case "lose":
      return load && world.end(load, command.do === "lose")
    case "finish":
      return world.finish()
    case "advance":
      return world.change(() => chain.advance(command.by))
    case "reorganise":
      return world.change(() => chain.reorganise(command.depth, command.by, !world.settings.lags))
    case "safe":
    case "finalized":
      return world.change(() => chain.settle(command.do, chain.state.blocks.length - 1 - command.below))
    case "send":
      return world.change(() => chain.send())
    case "tell":
      return world.tell(chain.states.length - 1 - command.late)
    case "tick":
      world.clock.now += command.by
  }
}

/** Looks for an answer that was true of no state of the chain that the caller may be told of. */
const untrue = (subject: Subject, parameters: fc.Parameters<unknown>) => {
  let hits = 0
  const result = fc.check(
    fc.property(settings, fc.array(command, { minLength: 30, maxLength: 150, size: "max" }), (settings, commands) => {
      const world = new World(subject, settings)
      const asked: Array<JsonRpc.Request> = []
      try {
        for (const command of commands) {
          step(world, asked, command)
          assert.isUndefined(world.wrong, world.wrong)
        }
      } finally {
        hits += world.hits
        world.close()
      }
    }),
    { endOnFailure: true, ...parameters }
  )
  return { ...result, hits }
}

describe("an answer is what a node on the canonical chain would say, or marked as stale", () => {
  it("whatever is read, and whatever happens to the chain", () => {
    const { counterexample, errorInstance, failed, hits, numRuns, seed } = untrue(Keeping.layer, { numRuns: 400 })
    assert.isFalse(failed, `seed ${seed}: ${String(errorInstance)}\n${JSON.stringify(counterexample)}`)
    // It would hold of a cache that keeps nothing, too.
    assert.isAbove(hits / numRuns, 5)
  }, 30_000)
})

describe("mutants are found", () => {
  /** Ours, but for some parts. */
  const but =
    (change: (ours: Finality.Finality) => Partial<Finality.Finality>): Subject =>
    (heads, { latest, staleIfError, unfinal, ...cache }) => {
      const ours = Finality.make(heads, { latest, staleIfError, unfinal })
      return Keeping.keeping({ ...ours, ...change(ours) }, cache)
    }

  const deaf = (drops: (tag: string) => boolean) =>
    but((ours) => ({ watch: (drop) => ours.watch((tag) => (drops(tag) ? undefined : drop(tag))) }))

  const taken = (change: (request: JsonRpc.Request) => JsonRpc.Request) =>
    but((ours) => ({ policy: (request) => ours.policy(change(request)) }))

  const kept = (ttl: (value: unknown, ours: number | undefined) => number | undefined) =>
    but((ours) => ({
      policy: (request) => {
        const policy = ours.policy(request)
        return policy && { ...policy, ttl: (value) => ttl(value, policy.ttl(value)) }
      }
    }))

  const seeing =
    (change: (heads: Head.Heads) => Partial<Head.Heads>): Subject =>
    (heads, options) =>
      Keeping.layer({ ...heads, ...change(heads) }, options)

  const joining = (who: (request: JsonRpc.Request) => boolean) =>
    but((ours) => ({
      policy: (request) => {
        const policy = ours.policy(request)
        return policy && who(request) ? { ttl: policy.ttl } : policy
      }
    }))

  const mutants: Readonly<Record<string, Subject>> = {
    "a reorganisation drops nothing": deaf((tag) => tag.startsWith("block/")),
    "a new head drops nothing": deaf((tag) => tag === "latest"),
    "a new finalized block drops nothing": deaf((tag) => tag === "finalized"),
    "a new safe block drops nothing": deaf((tag) => tag === "safe"),
    "a range without an end ends where it begins": taken((request) => {
      const [filter] = request.params as [Record<string, unknown>]
      if (request.method !== "eth_getLogs" || filter["blockHash"] !== undefined) return request
      return { ...request, params: [{ toBlock: filter["fromBlock"], ...filter }] }
    }),
    "a range is as old as its beginning": taken((request) => {
      const [filter] = request.params as [Record<string, unknown>]
      if (request.method !== "eth_getLogs" || filter["blockHash"] !== undefined) return request
      return { ...request, params: [{ ...filter, toBlock: filter["fromBlock"] }] }
    }),
    "null is kept": kept((value, ours) => (value === null ? 10_000 : ours)),
    "whatever is mined is final": (heads, options) =>
      deaf((tag) => tag === "final")({ ...heads, finalized: heads.latest }, options),
    "who asks about a node joins whatever is under way": joining((request) => request.method === "eth_estimateGas"),
    "who asks by hash joins whatever is under way": joining((request) => request.method === "eth_getBlockByHash"),
    "any branch will do": seeing(() => ({ hashAt: () => undefined })),
    "a block always has its number": but((ours) => ({
      note: (request, value) => {
        const { number } = (value ?? {}) as { readonly number?: string }
        const also = ours.note(request, value)
        if (!request.method.startsWith("eth_getBlockBy") || number === undefined) return also
        return [...also, JsonRpc.makeRequest("eth_getBlockByNumber", [number, request.params[1]])]
      }
    })),
    "a block is canonical whenever it was": taken(({ params, ...request }) => ({
      ...request,
      params: params.map((param) =>
        typeof param === "object" && param !== null && "requireCanonical" in param
          ? { ...param, requireCanonical: false }
          : param
      )
    })),
    "the mempool is the latest block": taken(({ params, ...request }) => ({
      ...request,
      params: params.map((param) => (param === "pending" ? "latest" : param))
    })),
    "a block with transactions serves one without": but((ours) => ({
      key: (request) =>
        ours.key(
          /ByNumber$|ByHash$/.test(request.method) ? { ...request, params: request.params.slice(0, 1) } : request
        )
    }))
  }

  for (const [name, mutant] of Object.entries(mutants)) {
    it(name, () => assert.isTrue(untrue(mutant, { numRuns: 3_000, seed: 20_261_126 }).failed), 30_000)
  }
})

describe("in a stack", () => {
  type Answer = Effect.Effect<unknown, Error>

  /** A client over a node that answers as the test says, and heads that are told by hand. */
  const build = (answer: (request: JsonRpc.Request) => Answer, options?: Keeping.Options) =>
    Effect.gen(function* () {
      const chain = new Chain()
      const heads = new ToldHeads(chain, 100)
      heads.tell(chain.states.length - 1)
      const asked: Array<string> = []
      const node = Layer.succeed(JsonRpc.client<Error>())({
        name: "node",
        request: (request) => Effect.suspend(() => (asked.push(request.method), answer(request))),
        inspect: () => ({ name: "node" })
      })
      const context = yield* Layer.build(
        node.pipe(Keeping.layer(heads, { latest: "2 seconds", jitter: 0, ...options }))
      )
      const client = Context.get(context, JsonRpc.client<Error>())
      const ask = (method: string, ...params: ReadonlyArray<unknown>) =>
        JsonRpc.explain(client.request(JsonRpc.makeRequest(method, params)))
      return { ask, asked, chain, client, heads }
    })

  /** Answers as a node does that is always up to date. */
  const upToDate = (options?: Keeping.Options) =>
    Effect.gen(function* () {
      const world: { chain?: Chain } = {}
      const answer = ({ method, params }: JsonRpc.Request) =>
        Effect.sync(() => world.chain!.answer(world.chain!.state, method, params))
      const built = yield* build(answer, options)
      world.chain = built.chain
      return built
    })

  it.effect("a load that began before a reorganisation and ends after it is not kept", () =>
    Effect.gen(function* () {
      const replies: Array<(answer: Answer) => void> = []
      const { ask, asked, chain, heads } = yield* build(() => Effect.callback((resume) => void replies.push(resume)))
      const early = yield* Effect.forkChild(ask("eth_getBalance", address, "0x2"), { startImmediately: true })
      chain.reorganise(1, 2, true)
      heads.tell(chain.states.length - 1)
      const late = yield* Effect.forkChild(ask("eth_getBalance", address, "0x2"), { startImmediately: true })
      assert.strictEqual(asked.length, 2)
      replies[0]!(Effect.succeed("before"))
      replies[1]!(Effect.succeed("after"))
      assert.strictEqual((yield* Fiber.join(early)).value, "before")
      assert.strictEqual((yield* Fiber.join(late)).value, "after")
      assert.strictEqual((yield* ask("eth_getBalance", address, "0x2")).value, "after")
      assert.strictEqual(asked.length, 2)
    })
  )

  it.effect("a block asked for as the latest serves by number and by hash, however it was told of", () =>
    Effect.gen(function* () {
      const { ask, asked, chain, heads } = yield* upToDate()
      chain.advance(1)
      // The layers below learn of a head from the very answer that is on its way.
      const told = heads.on(() => {})
      heads.tell(chain.states.length - 1)
      told()
      const { value } = yield* ask("eth_getBlockByNumber", "latest", false)
      const { hash, number } = value as { readonly hash: string; readonly number: string }
      for (const [method, block] of [
        ["eth_getBlockByNumber", number],
        ["eth_getBlockByNumber", `0x00${number.slice(2)}`],
        ["eth_getBlockByHash", hash],
        ["eth_getBlockByNumber", "latest"]
      ] as const) {
        assert.strictEqual((yield* ask(method, block, false)).value, value)
      }
      assert.strictEqual(asked.length, 1)
      yield* ask("eth_getBlockByHash", hash, true)
      assert.strictEqual(asked.length, 2)
    })
  )

  it.effect("the answer that tells of a new head is kept as the latest", () =>
    Effect.gen(function* () {
      const world: { built?: Effect.Success<ReturnType<typeof build>> } = {}
      const built = yield* build(({ method, params }) =>
        Effect.sync(() => {
          const { chain, heads } = world.built!
          const value = chain.answer(chain.state, method, params)
          heads.tell(chain.states.length - 1)
          return value
        })
      )
      world.built = built
      built.chain.advance(1)
      const first = yield* built.ask("eth_getBlockByNumber", "latest", false)
      assert.strictEqual((yield* built.ask("eth_getBlockByNumber", "latest", false)).value, first.value)
      assert.strictEqual(built.asked.length, 1)
    })
  )

  it.effect("what is about the head is asked again after one block time, what is final never", () =>
    Effect.gen(function* () {
      const { ask, asked, chain, heads } = yield* upToDate()
      chain.settle("finalized", 1)
      heads.tell(chain.states.length - 1)
      const round = Effect.all([
        ask("eth_gasPrice"),
        ask("eth_getBalance", address, "0x1"),
        ask("eth_getBalance", address, "0x2")
      ])
      yield* round
      yield* TestClock.adjust("1999 millis")
      yield* round
      assert.strictEqual(asked.length, 3)
      yield* TestClock.adjust("1 millis")
      yield* round
      assert.strictEqual(asked.length, 4)
      yield* TestClock.adjust("1 minute")
      yield* round
      assert.strictEqual(asked.length, 6)
    })
  )

  it.effect("a receipt is kept once there is one, and until its block is replaced", () =>
    Effect.gen(function* () {
      const { ask, asked, chain, heads } = yield* upToDate()
      chain.advance(1)
      heads.tell(chain.states.length - 1)
      const transaction = chain.state.blocks.at(-1)!.transactions[0]!
      const receipt = Effect.map(ask("eth_getTransactionReceipt", transaction), ({ value }) => value)
      const mined = yield* receipt
      assert.isNotNull(mined)
      assert.strictEqual(yield* receipt, mined)
      assert.strictEqual(asked.length, 1)
      chain.reorganise(1, 1, true)
      heads.tell(chain.states.length - 1)
      assert.notDeepEqual(yield* receipt, mined)
      assert.isNull((yield* ask("eth_getTransactionReceipt", hashOf(0xaaaa))).value)
      assert.isNull((yield* ask("eth_getTransactionReceipt", hashOf(0xaaaa))).value)
      assert.strictEqual(asked.length, 4)
    })
  )

  it.effect("an old answer stands in for none, if so wanted, and says so", () =>
    Effect.gen(function* () {
      const node = { up: true }
      const answer = () => (node.up ? Effect.succeed("0x1") : Effect.fail(new Down()))
      const { ask } = yield* build(answer, { staleIfError: "1 minute" })
      assert.isFalse((yield* ask("eth_gasPrice")).report.stale)
      node.up = false
      assert.isFalse((yield* ask("eth_gasPrice")).report.stale)
      yield* TestClock.adjust("3 seconds")
      const { report, value } = yield* ask("eth_gasPrice")
      assert.strictEqual(value, "0x1")
      assert.isTrue(report.stale)
      yield* TestClock.adjust("1 minute")
      assert.instanceOf(yield* Effect.flip(ask("eth_gasPrice")), Down)
    })
  )

  it.effect("a policy of one's own takes the place of ours; writes are never kept", () =>
    Effect.gen(function* () {
      const { ask, asked } = yield* build(() => Effect.succeed("0x1"), {
        policy: ({ method }) => ({ ttl: method === "vendor_getThings" ? "1 hour" : 0 })
      })
      for (const method of ["vendor_getThings", "eth_chainId", "eth_sendRawTransaction"]) {
        yield* ask(method)
        yield* ask(method)
      }
      assert.deepStrictEqual(asked, [
        "vendor_getThings",
        "eth_chainId",
        "eth_chainId",
        "eth_sendRawTransaction",
        "eth_sendRawTransaction"
      ])
    })
  )

  it.effect("each answer of a batch is noted and kept as if it were the only one, and what is no answer is not", () =>
    Effect.gen(function* () {
      const chain = new Chain()
      const heads = new ToldHeads(chain, 100)
      heads.tell(chain.states.length - 1)
      const asked: Array<string> = []
      const say = ({ method, params }: JsonRpc.Request) => {
        asked.push(method)
        return method === "eth_gasPrice"
          ? Exit.fail(new Down())
          : Exit.succeed(chain.answer(chain.state, method, params))
      }
      const node = Layer.succeed(JsonRpc.client<Down>())({
        name: "node",
        request: (request) => (request.batch === undefined ? say(request) : Effect.succeed(request.batch.map(say))),
        inspect: () => ({ name: "node" })
      })
      const noted: Array<readonly [string, unknown]> = []
      const ours = Finality.make(heads, { latest: "2 seconds" })
      const note: typeof ours.note = (request, value) => {
        noted.push([request.method, value])
        return ours.note(request, value)
      }
      const context = yield* Layer.build(node.pipe(Keeping.keeping({ ...ours, note }, { jitter: 0 })))
      const client = Context.get(context, JsonRpc.client<Down>())
      const requests = [
        JsonRpc.makeRequest("eth_gasPrice"),
        JsonRpc.makeRequest("eth_getBalance", [address, "0x1"]),
        JsonRpc.makeRequest("eth_getBlockByNumber", ["latest", false])
      ]
      const [price, balance, block] = (yield* client.request(JsonRpc.makeBatch(requests))) as JsonRpc.Answers
      assert.deepStrictEqual(price, Exit.fail(new Down()))
      const { hash, number } = (yield* block!) as { readonly hash: string; readonly number: string }
      assert.deepStrictEqual(noted, [
        ["eth_getBalance", yield* balance!],
        ["eth_getBlockByNumber", yield* block!]
      ])
      for (const [method, ...params] of [
        ["eth_getBalance", address, "0x1"],
        ["eth_getBlockByNumber", number, false],
        ["eth_getBlockByHash", hash, false]
      ] as const) {
        const value = yield* client.request(JsonRpc.makeRequest(method, params))
        assert.strictEqual(value, yield* method === "eth_getBalance" ? balance! : block!)
      }
      assert.strictEqual(asked.length, 3)
    })
  )

  it.effect("nothing listens once it is closed", () =>
    Effect.gen(function* () {
      const chain = new Chain()
      const heads = new ToldHeads(chain, 100)
      const node = Layer.succeed(JsonRpc.client<Error>())({
        name: "node",
        request: () => Effect.succeed("0x1"),
        inspect: () => ({ name: "node" })
      })
      yield* Effect.scoped(
        Effect.flatMap(Layer.build(node.pipe(Keeping.layer(heads))), () =>
          Effect.sync(() => assert.strictEqual(heads.heard, 1))
        )
      )
      assert.strictEqual(heads.heard, 0)
    })
  )

  it("a wrong option is named at once", () => {
    const heads = new ToldHeads(new Chain(), 100)
    assert.throws(() => Keeping.layer(heads, { unfinal: -1 }), /Finality\.unfinal takes a duration/)
    assert.throws(() => Keeping.layer(heads, { capacity: 0 }), /ResponseCache\.capacity/)
  })
})
