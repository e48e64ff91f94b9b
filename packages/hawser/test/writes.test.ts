import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Anvil, FaultyNode, Scenario } from "@hawser/testkit"
import { Call, JsonRpc, Outcome, RpcError, Stack, Write } from "hawser"
import { Clock, Context, Duration, Effect, Exit, Fiber, Layer, Random, Scope } from "effect"
import { TestClock } from "effect/testing"
import { concat, type Hex, keccak256, sha256, toHex, toRlp } from "viem"
import { mnemonicToAccount } from "viem/accounts"

const send = "eth_sendRawTransaction"
const look = "eth_getTransactionByHash"

/** The default stack with writes in their place; what is cached does not matter here. */
const stack = (options: Stack.Options, writes?: Write.Options) =>
  Stack.layer({ cache: false, ...options, write: writes, deadline: "10 seconds" })

type Failing = Stack.Error | Write.InDoubt

const build = (options: Stack.Options, writes?: Write.Options) =>
  Effect.map(Layer.build(stack(options, writes)), (context): JsonRpc.Service<Failing> =>
    Context.get(context, JsonRpc.client<Failing>() as never)
  )

const errorOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  exit._tag === "Failure" ? exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error : undefined

describe("a chain of models", () => {
  const raw = "0x02c20102"
  const ours = Write.hash(raw)!
  const stranger = `0x${"ab".repeat(32)}`

  const faults = {
    [send]: [
      "unreachable",
      "limited",
      "lost before",
      "lost after",
      "hangs before",
      "hangs after",
      "accepts later",
      "lags",
      "says nothing",
      "says another hash"
    ],
    [look]: ["unreachable", "lost before", "hangs before", "says another hash"],
    eth_sendTransaction: ["unreachable", "limited", "lost before", "lost after", "hangs before", "hangs after"],
    eth_chainId: ["unreachable", "lost before", "hangs before"]
  } as const

  type Fault = (typeof faults)[keyof typeof faults][number]

  /** Some nodes that gossip, some blocks, and one nonce. */
  class World {
    readonly accepted = new Set<string>()
    included: string | undefined
    readonly trace: Array<string> = []
    readonly nodes: ReadonlyArray<Node>
    readonly random: () => number
    readonly rate: number
    /** Nothing but unreachable nodes. */
    readonly off: boolean

    constructor(seed: number) {
      this.random = generator(seed)
      this.off = this.random() < 0.1
      this.rate = [0.1, 0.35, 0.6, 0.9][Math.floor(this.random() * 4)]!
      const count = 1 + Math.floor(this.random() * 4)
      this.nodes = Array.from({ length: count }, (_, i) => new Node(this, `n${i}`))
    }

    /** What may happen in half a second: gossip, a block with ours or with another's, news of it. */
    tick(): void {
      for (const node of this.nodes) {
        for (const other of this.nodes) if (other.pool && this.random() < 0.3) node.pool = true
        if (this.included !== undefined && this.random() < 0.5) node.seesBlock = true
      }
      if (this.included !== undefined) return
      if (this.random() < 0.02) this.included = stranger
      else if (this.accepted.has(ours) && this.random() < 0.2) this.included = ours
    }
  }

  class Node {
    readonly name: string
    private readonly world: World
    pool = false
    seesBlock = false
    running = 0
    most = 0

    constructor(world: World, name: string) {
      this.world = world
      this.name = name
    }

    readonly layer = Layer.succeed(JsonRpc.upstream<unknown>())({
      name: "a node",
      request: (request) =>
        Effect.suspend(() => {
          const fault = this.draw(request.method)
          this.world.trace.push(`${this.name} ${request.method} ${fault ?? "ok"}`)
          return this.answer(request.method, fault)
        }),
      inspect: () => ({ name: "a node" })
    })

    private draw(method: string): Fault | undefined {
      const list: ReadonlyArray<Fault> = faults[method as keyof typeof faults]
      // The chain is checked before a write: mostly it is there.
      const rate = method === "eth_chainId" ? this.world.rate / 4 : this.world.rate
      if (this.world.off) return "unreachable"
      return this.world.random() < rate ? list[Math.floor(this.world.random() * list.length)] : undefined
    }

    later: Effect.Effect<void> = Effect.void

    private answer(method: string, fault: Fault | undefined): Effect.Effect<unknown, unknown> {
      const work = Effect.suspend(() => this.work(method))
      const lost = Effect.fail(
        new RpcError.TransportError({ upstream: this.name, reason: "closed", message: "lost", reached: true })
      )
      switch (fault) {
        case "unreachable":
          return Effect.fail(
            new RpcError.TransportError({ upstream: this.name, reason: "connect", message: "off", reached: false })
          )
        case "limited":
          return Effect.fail(this.said(method, -32005, "rate limit exceeded"))
        case "lost before":
          return lost
        case "lost after":
          return Effect.andThen(Effect.exit(work), lost)
        case "hangs before":
          return Effect.never
        case "hangs after":
          return Effect.andThen(Effect.exit(work), Effect.never)
        case "accepts later":
          return Effect.andThen(
            Effect.sync(() => void Effect.runFork(Effect.andThen(this.later, Effect.exit(work)))),
            Effect.never
          )
        case "lags":
          return Effect.fail(this.said(method, -32000, "insufficient funds for gas * price + value"))
        case "says nothing":
          return Effect.as(this.world.random() < 0.5 ? Effect.exit(work) : Effect.void, null)
        case "says another hash":
          return Effect.as(this.world.random() < 0.5 ? Effect.exit(work) : Effect.void, stranger)
        default:
          return work
      }
    }

    private said(method: string, code: number, message: string) {
      const reply = { method, nature: JsonRpc.makeRequest(method).nature, status: 200, error: { code, message } }
      return RpcError.make(this.name, reply, RpcError.classify(reply, 0))
    }

    private work(method: string): Effect.Effect<unknown, unknown> {
      const { accepted, included } = this.world
      if (method === "eth_chainId") return Effect.succeed("0x1")
      if (method === "eth_sendTransaction") {
        const hash = `0x${String(accepted.size).padStart(64, "0")}`
        accepted.add(hash)
        return Effect.succeed(hash)
      }
      if (method === look) {
        const found = this.pool || (this.seesBlock && included === ours)
        return Effect.succeed(found ? { hash: ours } : null)
      }
      if (this.seesBlock) return Effect.fail(this.said(method, -32000, "nonce too low: next nonce 1, tx nonce 0"))
      if (this.pool) return Effect.fail(this.said(method, -32000, "already known"))
      this.pool = true
      if (included !== stranger) accepted.add(ours)
      return Effect.succeed(ours)
    }
  }

  // mulberry32
  const generator = (seed: number) => () => {
    seed = (seed + 0x6d2b79f5) | 0
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }

  /** Runs one call in a world of its own, and the world on for a minute. */
  const life = (seed: number, request: JsonRpc.Request, broadcast: number) =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const world = new World(seed)
      for (const node of world.nodes) node.later = clock.sleep(Duration.seconds(6))
      const upstreams = world.nodes.map(({ layer, name }) => ({ layer, name }))
      const rpc = yield* build({ chainId: 1, upstreams }, { broadcast })
      const fiber = yield* Effect.forkChild(Effect.exit(rpc.request(request)), { startImmediately: true })
      for (let i = 0; fiber.pollUnsafe() === undefined; i++) {
        if (i % 10 === 9) world.tick()
        yield* TestClock.adjust("50 millis")
      }
      const exit = yield* Fiber.join(fiber)
      const asked = [...world.trace]
      for (let i = 0; i < 20; i++) {
        yield* TestClock.adjust("3 seconds")
        for (let k = 0; k < 6; k++) world.tick()
      }
      return { exit, asked, world }
    }).pipe(Random.withSeed(seed), Effect.scoped)

  const check = (seed: number, exit: Exit.Exit<unknown, unknown>, world: World) => {
    const story = `seed ${seed}: ${JSON.stringify(world.trace)} ended in ${String(exit)}`
    const error = errorOf(exit)
    const inPool = world.accepted.has(ours)
    if (exit._tag === "Success") {
      assert.strictEqual(exit.value, ours, story)
      assert.isTrue(world.nodes.some((node) => node.pool) || world.included === ours, story)
    } else if (error instanceof JsonRpc.Rejected) {
      assert.isTrue(error.kind === "nonce" ? world.included === stranger : !inPool, story)
    } else if (error instanceof Write.InDoubt) {
      assert.strictEqual(error.hash, ours, story)
    } else if (error instanceof Call.NoAnswer) {
      assert.isFalse(inPool, story)
      assert.strictEqual(Outcome.of(error).ran, "no", story)
    } else assert.instanceOf(error, Call.DeadlineExceeded, story)
  }

  /** A send that may have run is followed by a look, or by no other send. */
  const looksFirst = (trace: ReadonlyArray<string>): boolean => {
    let open = false
    for (const step of trace) {
      if (step.includes(send)) {
        if (open) return false
        open = !/unreachable|limited|lags/.test(step)
      } else if (step.includes(look)) open = false
    }
    return true
  }

  it.effect(
    "whatever happens to a transaction: what is said of it is true, and it is looked for before it is sent again",
    () =>
      Effect.gen(function* () {
        const ends = new Map<string, number>()
        for (let seed = 1; seed <= 300; seed++) {
          const { asked, exit, world } = yield* life(seed, JsonRpc.makeRequest(send, [raw]), 1)
          check(seed, exit, world)
          const story = `seed ${seed}: ${JSON.stringify(asked)}`
          // The check of a chain is made although no attempt is left for it.
          assert.isAtMost(asked.length, 6, story)
          assert.isTrue(looksFirst(asked), story)
          assert.deepStrictEqual(world.trace, asked, story)
          const error = errorOf(exit)
          const end = error instanceof Error ? error.constructor.name : "success"
          ends.set(end, (ends.get(end) ?? 0) + 1)
        }
        // All of it does happen.
        for (const end of ["success", "Rejected", "InDoubt", "NoAnswer", "DeadlineExceeded"]) {
          assert.isAbove(ends.get(end) ?? 0, 0, JSON.stringify(Array.from(ends)))
        }
      })
  )

  it.effect("and to one that is broadcast", () =>
    Effect.gen(function* () {
      for (let seed = 1; seed <= 150; seed++) {
        const { exit, world } = yield* life(seed, JsonRpc.makeRequest(send, [raw]), 2 + (seed % 2))
        check(seed, exit, world)
      }
    })
  )

  it.effect("eth_sendTransaction runs once at most, and is sent to another only where it did not run", () =>
    Effect.gen(function* () {
      for (let seed = 1; seed <= 150; seed++) {
        const { exit, world } = yield* life(seed, JsonRpc.makeRequest("eth_sendTransaction", [{}]), 2)
        const story = `seed ${seed}: ${JSON.stringify(world.trace)}`
        assert.isAtMost(world.accepted.size, 1, story)
        const sends = world.trace.filter((step) => step.includes("eth_sendTransaction"))
        assert.isAtMost(sends.filter((step) => !/unreachable|limited/.test(step)).length, 1, story)
        if (exit._tag === "Success") assert.strictEqual(world.accepted.size, 1, story)
      }
    })
  )
})

describe.skipIf(Anvil.binary === undefined)("a real node behind faulty ones", () => {
  const scope = Scope.makeUnsafe()
  let anvil: Anvil.Anvil
  beforeAll(async () => {
    const args = ["--no-mining", "--accounts", "100"]
    anvil = await Effect.runPromise(Scope.provide(Anvil.make({ args }), scope))
  })
  afterAll(() => Effect.runPromise(Scope.close(scope, Exit.void)))

  const to = `0x${"35".repeat(20)}` as const
  const fees = { maxFeePerGas: 30_000_000_000n, maxPriorityFeePerGas: 1_000_000_000n }
  const common = { chainId: 31337, to, gas: 100_000n, nonce: 0, ...fees } as const

  /** Each test has an account of its own, whose first transaction it sends. */
  let used = 0
  const account = () =>
    mnemonicToAccount("test test test test test test test test test test test junk", { addressIndex: used++ })

  const signed = (value = 1n, from = account()) =>
    Effect.map(
      Effect.promise(() => from.signTransaction({ ...common, type: "eip1559", value })),
      (raw) => ({ raw, hash: keccak256(raw), from })
    )

  const nonceOf = (address: string, tag: "latest" | "pending") =>
    Effect.map(anvil.rpc("eth_getTransactionCount", [address, tag]), Number)

  /** That it is included, and nothing else of its account. */
  const included = ({ from, hash }: { readonly from: { readonly address: string }; readonly hash: Hex }) =>
    Effect.gen(function* () {
      yield* anvil.rpc("evm_mine")
      const receipt = (yield* anvil.rpc("eth_getTransactionReceipt", [hash])) as { status: string; from: string }
      assert.strictEqual(receipt.status, "0x1")
      assert.strictEqual(receipt.from, from.address.toLowerCase())
      assert.deepStrictEqual([yield* nonceOf(from.address, "latest"), yield* nonceOf(from.address, "pending")], [1, 1])
    })

  /** Nodes in front of it, the first in the first tier. */
  const facing = (faulty: FaultyNode.Options, others: number, writes?: Write.Options) =>
    Effect.gen(function* () {
      const all = [faulty, ...Array.from({ length: others }, () => ({}))]
      const nodes = yield* Effect.forEach(all, (options) => FaultyNode.make({ behind: anvil.url, ...options }))
      const upstreams = nodes.map(({ url }, i) => ({ url, tier: i === 0 ? 0 : 1 }))
      const rpc = yield* build({ chainId: 31337, upstreams }, writes)
      const count = (method: string) => nodes.reduce((sum, node) => sum + node.count(method), 0)
      return { nodes, rpc, count, first: nodes[0]! }
    })

  const once = (fault: Scenario.Scenario, method = send) => ({
    scenario: Scenario.when({ method }, Scenario.first(1, fault))
  })

  /** Hands a write on to the node, the first time without giving its answer to anybody. */
  const keeping = (then: Effect.Effect<unknown>, method = send) => {
    const state = { accepted: 0 }
    const answer = (params: ReadonlyArray<unknown>) =>
      Effect.gen(function* () {
        const exit = yield* Effect.exit(anvil.rpc(method, params))
        state.accepted++
        if (state.accepted === 1) return yield* then
        const error = errorOf(exit) as { readonly reason: string } | undefined
        return exit._tag === "Success" ? exit.value : FaultyNode.error(-32000, error!.reason)
      })
    return { options: { methods: { [method]: answer } }, state }
  }

  const faults: Readonly<Record<string, { readonly fault: Scenario.Scenario; readonly reaches: boolean }>> = {
    "drops the connection": { fault: Scenario.drop, reaches: false },
    "drops it midway": { fault: Scenario.dropMidway, reaches: true },
    "truncates its answer": { fault: Scenario.truncated, reaches: true },
    "answers HTTP 502": { fault: Scenario.status(502), reaches: false },
    "answers HTML": { fault: Scenario.status(200), reaches: false },
    "answers without a result": { fault: Scenario.malformed("noResult"), reaches: true },
    "answers with a foreign id": { fault: Scenario.malformed("foreignId"), reaches: true },
    "answers null": { fault: Scenario.answer(null), reaches: false },
    "answers with another hash": { fault: Scenario.answer(`0x${"ab".repeat(32)}`), reaches: false },
    "answers with an internal error": { fault: Scenario.error(-32603, "internal error"), reaches: false }
  }

  for (const others of [0, 1]) {
    const whom = others === 0 ? "the only node" : "one of two nodes"
    for (const [name, { fault, reaches }] of Object.entries(faults)) {
      it.effect(`${whom} ${name}: in the chain once, and the caller knows`, () =>
        Effect.gen(function* () {
          const transaction = yield* signed()
          const { count, rpc } = yield* facing(once(fault), others)
          assert.strictEqual(yield* rpc.request(JsonRpc.makeRequest(send, [transaction.raw])), transaction.hash)
          assert.deepStrictEqual([count(send), count(look)], [reaches ? 1 : 2, 1])
          yield* included(transaction)
        })
      )
    }

    it.effect(`${whom} hangs`, () =>
      Effect.gen(function* () {
        const transaction = yield* signed()
        // The other is looked at first, so that this one costs no second timeout.
        const hanging = Scenario.when({ method: [send, look] }, Scenario.hang)
        const { count, first, rpc } = yield* facing(others === 0 ? once(Scenario.hang) : { scenario: hanging }, others)
        const fiber = yield* Effect.forkChild(rpc.request(JsonRpc.makeRequest(send, [transaction.raw])))
        yield* first.until((node) => node.count(send) === 1)
        yield* TestClock.adjust("4 seconds")
        assert.strictEqual(yield* Fiber.join(fiber), transaction.hash)
        assert.deepStrictEqual([count(send), count(look)], [2, 1])
        yield* included(transaction)
      })
    )

    it.effect(`${whom} accepts it and hangs`, () =>
      Effect.gen(function* () {
        const transaction = yield* signed()
        const { options, state } = keeping(Effect.never)
        const { count, first, rpc } = yield* facing(options, others)
        const fiber = yield* Effect.forkChild(rpc.request(JsonRpc.makeRequest(send, [transaction.raw])))
        while (state.accepted === 0) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
        yield* TestClock.adjust("4 seconds")
        assert.strictEqual(yield* Fiber.join(fiber), transaction.hash)
        assert.deepStrictEqual([count(send), count(look)], [1, 1])
        assert.strictEqual(first.aborted, 1)
        yield* included(transaction)
      })
    )

    it.effect(`${whom} accepts it, says that it broke, and cannot be asked`, () =>
      Effect.gen(function* () {
        const transaction = yield* signed()
        const { options } = keeping(Effect.succeed(FaultyNode.error(-32603, "internal error")))
        const cannot = Scenario.when({ method: look }, Scenario.answer({ hash: "0x" }))
        const { count, rpc } = yield* facing({ ...options, scenario: cannot }, others)
        assert.strictEqual(yield* rpc.request(JsonRpc.makeRequest(send, [transaction.raw])), transaction.hash)
        // Sent again where it was not found, and known there.
        assert.deepStrictEqual([count(send), count(look)], others === 0 ? [2, 1] : [1, 1])
        yield* included(transaction)
      })
    )
  }

  for (const [name, scenario] of [
    ["cannot be reached", Scenario.refuse],
    ["limits us", Scenario.status(429)]
  ] as const) {
    it.effect(`one of two nodes ${name}: nothing to look for`, () =>
      Effect.gen(function* () {
        const transaction = yield* signed()
        const { count, rpc } = yield* facing({ scenario }, 1)
        assert.strictEqual(yield* rpc.request(JsonRpc.makeRequest(send, [transaction.raw])), transaction.hash)
        assert.strictEqual(count(look), 0)
        yield* included(transaction)
      })
    )
  }

  const infinity = `0xc0${"00".repeat(47)}` as const
  const blob = `0x${"00".repeat(131_072)}` as const
  const versionedHash: Hex = `0x01${sha256(infinity).slice(4)}`

  const wrapped = (body: Hex, ...rest: ReadonlyArray<Hex | ReadonlyArray<Hex>>): Hex => {
    const content = concat([`0x${body.slice(4)}`, ...rest.map((item) => toRlp(item as Hex))])
    return concat(["0x03", concat(["0xfa", toHex((content.length - 2) / 2, { size: 3 })]), content])
  }

  const types: Readonly<Record<string, (from: ReturnType<typeof account>) => Promise<Hex>>> = {
    "type 0": (from) =>
      from.signTransaction({
        chainId: 31337,
        to,
        gas: 100_000n,
        nonce: 0,
        type: "legacy",
        gasPrice: fees.maxFeePerGas
      }),
    "type 1": (from) =>
      from.signTransaction({
        chainId: 31337,
        to,
        gas: 100_000n,
        nonce: 0,
        type: "eip2930",
        gasPrice: fees.maxFeePerGas,
        accessList: [{ address: to, storageKeys: [`0x${"01".repeat(32)}`] }]
      }),
    "type 2": (from) => from.signTransaction({ ...common, type: "eip1559" }),
    "type 3 with proofs": async (from) => wrapped(await body(from), [blob], [infinity], [infinity]),
    "type 3 with cell proofs": async (from) =>
      wrapped(
        await body(from),
        "0x01",
        [blob],
        [infinity],
        Array.from({ length: 128 }, () => infinity)
      ),
    "type 4": async (from) =>
      from.signTransaction({
        ...common,
        type: "eip7702",
        authorizationList: [await account().signAuthorization!({ address: to, chainId: 31337, nonce: 0 })]
      })
  }

  const body = (from: ReturnType<typeof account>) =>
    from.signTransaction({
      ...common,
      type: "eip4844",
      maxFeePerBlobGas: 1_000n,
      blobVersionedHashes: [versionedHash],
      sidecars: false
    })

  for (const [type, sign] of Object.entries(types)) {
    // The first blob makes the node load what it checks blobs with: seconds of work.
    it.effect(
      `${type} has the hash that the node gives it, whether its answer comes or is lost`,
      () =>
        Effect.gen(function* () {
          for (const fault of [Scenario.healthy, Scenario.dropMidway]) {
            const from = account()
            const raw = yield* Effect.promise(() => sign(from))
            const { count, rpc } = yield* facing(once(fault), 0)
            const hash = (yield* rpc.request(JsonRpc.makeRequest(send, [raw]))) as Hex
            assert.strictEqual(hash, Write.hash(raw))
            assert.strictEqual(count(send), 1)
            yield* included({ from, hash })
          }
        }),
      60_000
    )
  }

  it.effect("the report tells of looks, too", () =>
    Effect.gen(function* () {
      const transaction = yield* signed()
      const { nodes, rpc } = yield* facing(once(Scenario.dropMidway), 1)
      const names = nodes.map(({ port }) => `127.0.0.1:${port}`)
      const { report } = yield* JsonRpc.explain(rpc.request(JsonRpc.makeRequest(send, [transaction.raw])))
      const asked = report.steps.flatMap((step) => (step.step === "ask" ? [step.upstream] : []))
      assert.deepStrictEqual(asked, names)
      assert.strictEqual(report.answeredBy, names[1])
      yield* included(transaction)
    })
  )

  it.effect("known is success; so is a used nonce, if it is what used it; another's is a rejection", () =>
    Effect.gen(function* () {
      const transaction = yield* signed()
      const { count, rpc } = yield* facing({}, 1)
      const again = rpc.request(JsonRpc.makeRequest(send, [transaction.raw]))
      assert.strictEqual(yield* again, transaction.hash)
      assert.strictEqual(yield* again, transaction.hash)
      assert.strictEqual(count(look), 0)
      yield* included(transaction)
      assert.strictEqual(yield* again, transaction.hash)
      assert.strictEqual(count(look), 1)
      const other = yield* signed(2n, transaction.from)
      const error = yield* Effect.flip(rpc.request(JsonRpc.makeRequest(send, [other.raw])))
      assert.deepInclude(error, { _tag: "Rejected", kind: "nonce" })
      assert.strictEqual(count(send), 4)
      yield* included(transaction)
    })
  )

  it.effect("a final rejection costs one request", () =>
    Effect.gen(function* () {
      const transaction = yield* signed(10n ** 30n)
      const { count, rpc } = yield* facing({}, 1)
      const error = yield* Effect.flip(rpc.request(JsonRpc.makeRequest(send, [transaction.raw])))
      assert.deepInclude(error, { _tag: "Rejected", kind: "transaction" })
      assert.deepStrictEqual([count(send), count(look)], [1, 0])
      assert.strictEqual(yield* nonceOf(transaction.from.address, "pending"), 0)
    })
  )

  it.effect("a caller who leaves sends no more, and gets the same hash when he comes back", () =>
    Effect.gen(function* () {
      const transaction = yield* signed()
      const { options, state } = keeping(Effect.never)
      const { count, first, rpc } = yield* facing(options, 1)
      const request = rpc.request(JsonRpc.makeRequest(send, [transaction.raw]))
      const fiber = yield* Effect.forkChild(request)
      while (state.accepted === 0) yield* Effect.promise(() => new Promise((resolve) => setImmediate(resolve)))
      yield* Fiber.interrupt(fiber)
      yield* first.until(({ aborted }) => aborted === 1)
      assert.deepStrictEqual([count(send), count(look)], [1, 0])
      assert.strictEqual(yield* request, transaction.hash)
      yield* included(transaction)
    })
  )

  it.effect("broadcast: each gets it, one of them hangs, and it is in the chain once", () =>
    Effect.gen(function* () {
      const transaction = yield* signed()
      const { nodes, rpc } = yield* facing(once(Scenario.hang), 2, { broadcast: 3 })
      assert.strictEqual(yield* rpc.request(JsonRpc.makeRequest(send, [transaction.raw])), transaction.hash)
      yield* Effect.forEach(nodes, (node) => node.until(() => node.count(send) === 1))
      yield* included(transaction)
      assert.deepStrictEqual(
        nodes.map((node) => node.count(send)),
        [1, 1, 1]
      )
    })
  )

  // Signed by the node, with a nonce of its own choice: twice would be two transactions.
  for (const method of ["eth_sendTransaction", "eth_sendRawTransactionSync"]) {
    for (const [name, { fault, reaches }] of Object.entries(faults)) {
      if (name.startsWith("answers null") || name.startsWith("answers with another hash")) continue
      it.effect(`${method}, and the node ${name}: not sent again`, () =>
        Effect.gen(function* () {
          const transaction = yield* signed()
          const { address } = transaction.from
          const params =
            method === "eth_sendTransaction" ? [{ from: address, to, value: "0x1", gas: "0x186a0" }] : [transaction.raw]
          // Without blocks the Sync variant would wait for one.
          const waits = reaches && method === "eth_sendRawTransactionSync"
          const { count, rpc } = yield* facing(once(waits ? Scenario.drop : fault, method), 1, { broadcast: 2 })
          assert.strictEqual((yield* Effect.flip(rpc.request(JsonRpc.makeRequest(method, params))))._tag, "NoAnswer")
          assert.deepStrictEqual([count(method), count(send), count(look)], [1, 0, 0])
          yield* anvil.rpc("evm_mine")
          assert.strictEqual(yield* nonceOf(address, "latest"), reaches && !waits ? 1 : 0)
        })
      )
    }
  }
})
