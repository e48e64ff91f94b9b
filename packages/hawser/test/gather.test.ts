import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Interruption, Scenario } from "@hawser/testkit"
import { Context, Effect, Exit, Fiber, Layer, Schedule } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { Call, Http, JsonRpc, Outcome, Provider, Snapshot, type Stack, Sticky } from "hawser"
import * as Gather from "../src/internal/gather.ts"
import * as Names from "../src/internal/names.ts"

const echo = (value: unknown) => JsonRpc.makeRequest("test_getEcho", [value])

const numbers = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i)

const rejection = (code = 3) =>
  new JsonRpc.Rejected({
    upstream: "node",
    code,
    message: "execution reverted",
    data: undefined,
    kind: "revert",
    [Outcome.TypeId]: Outcome.verdict({ counts: "success", again: "nowhere" })
  })

const nobody = new Call.NoAnswer({ causes: [], [Outcome.TypeId]: Outcome.verdict() })

/** What a client below was asked: the values of a batch, or of a read by itself. */
interface Asked {
  readonly values: ReadonlyArray<unknown>
  readonly together: boolean
  readonly call: Call.Call | undefined
}

/** A client that keeps what it was asked, answers as `answer` says, and counts what was interrupted. */
const below = (answer: (asked: Asked, request: JsonRpc.Request) => Effect.Effect<unknown, unknown>) => {
  const asked: Array<Asked> = []
  const state = { interrupted: 0 }
  const service: JsonRpc.Service<unknown> = {
    name: "below",
    inspect: () => ({ name: "below" }),
    request: (request) =>
      Effect.flatMap(Call.Current, (call) => {
        const values = (request.batch ?? [request]).map(({ params }) => params[0])
        const one = { values, together: request.batch !== undefined, call }
        asked.push(one)
        return Effect.onInterrupt(answer(one, request), () => Effect.sync(() => void state.interrupted++))
      })
  }
  return { asked, state, service }
}

/** Answers each read with its value. */
const echoing = ({ together, values }: Asked) =>
  Effect.succeed(together ? values.map((value) => Exit.succeed(value)) : values[0])

const gathered = (service: JsonRpc.Service<unknown>, settings: Partial<Gather.Settings> = {}) =>
  Effect.map(
    Layer.build(
      Layer.succeed(JsonRpc.client<unknown>())(service).pipe(Gather.layer({ size: 100, attempts: 6, ...settings }))
    ),
    (context) => Context.get(context, JsonRpc.client<unknown>())
  )

const many = (client: JsonRpc.Service<unknown>, values: ReadonlyArray<unknown>) =>
  Effect.forEach(values, (value) => Effect.exit(client.request(echo(value))), { concurrency: "unbounded" })

const succeeded = (exits: ReadonlyArray<Exit.Exit<unknown, unknown>>) =>
  exits.forEach((exit, i) => assert.deepStrictEqual(exit, Exit.succeed(i)))

describe("reads that are asked in one turn", () => {
  it.effect("go as one, and each gets its own answer", () =>
    Effect.gen(function* () {
      const { asked, service } = below(echoing)
      succeeded(yield* many(yield* gathered(service), numbers(20)))
      assert.deepStrictEqual(
        asked.map(({ together, values }) => [together, values.length]),
        [[true, 20]]
      )
    })
  )

  it.effect("go by as many as there may be in a batch", () =>
    Effect.gen(function* () {
      const { asked, service } = below(echoing)
      succeeded(yield* many(yield* gathered(service, { size: 8 }), numbers(20)))
      assert.deepStrictEqual(
        asked.map(({ values }) => values.length),
        [8, 8, 4]
      )
    })
  )

  it.effect("go in another turn as another", () =>
    Effect.gen(function* () {
      const { asked, service } = below(echoing)
      const client = yield* gathered(service)
      succeeded(yield* many(client, numbers(2)))
      succeeded(yield* many(client, numbers(3)))
      assert.deepStrictEqual(
        asked.map(({ values }) => values.length),
        [2, 3]
      )
    })
  )

  it.effect("of which there is one, goes by itself", () =>
    Effect.gen(function* () {
      const { asked, service } = below(echoing)
      succeeded(yield* many(yield* gathered(service), numbers(1)))
      assert.deepStrictEqual(asked, [{ values: [0], together: false, call: undefined }])
    })
  )

  it.effect("leave alone what writes, what belongs to a node, what is heavy, and logs", () =>
    Effect.gen(function* () {
      const { asked, service } = below(echoing)
      const client = yield* gathered(service)
      const methods = [
        "eth_sendRawTransaction",
        "eth_newFilter",
        "trace_block",
        "eth_getLogs",
        "eth_call",
        "eth_getCode"
      ]
      yield* Effect.forEach(methods, (method) => client.request(JsonRpc.makeRequest(method, [method])), {
        concurrency: "unbounded"
      })
      assert.deepStrictEqual(
        asked.map(({ values }) => values),
        [["eth_sendRawTransaction"], ["eth_newFilter"], ["trace_block"], ["eth_getLogs"], ["eth_call", "eth_getCode"]]
      )
    })
  )

  it.effect("go by themselves where they are somebody's already", () =>
    Effect.gen(function* () {
      const { asked, service } = below(echoing)
      const client = yield* gathered(service)
      const both = Effect.all([client.request(echo(0)), client.request(echo(1))], { concurrency: "unbounded" })
      yield* JsonRpc.explain(both)
      yield* Snapshot.run(both)
      yield* Sticky.run(both)
      yield* Effect.provideService(both, Call.Exclude, ["a"])
      yield* Effect.provideService(both, Call.Insist, "health")
      assert.strictEqual(asked.length, 10)
      assert.isTrue(asked.every(({ together }) => !together))
    })
  )

  it.effect("go by themselves while somebody listens", () =>
    Effect.gen(function* () {
      const { asked, service } = below(echoing)
      const heard = { active: true, emit: () => {} }
      const client = yield* Effect.provideService(gathered(service), JsonRpc.Observer, heard)
      succeeded(yield* many(client, numbers(3)))
      assert.isTrue(asked.every(({ together }) => !together))
      heard.active = false
      succeeded(yield* many(client, numbers(3)))
      assert.isTrue(asked.at(-1)!.together)
    })
  )
})

describe("what a batch does not settle", () => {
  it.effect("goes on by itself, with the attempts and the time that are left, and by what was learned", () =>
    Effect.gen(function* () {
      const { asked, service } = below(({ call, together, values }) => {
        if (!together) return Effect.succeed(values[0])
        call!.deadline = 5_000
        Call.spend(call!)
        Call.fail(call!, "a", "busy")
        return Effect.succeed([Exit.succeed(0), Exit.fail("no answer"), JsonRpc.apart, Exit.fail(rejection())])
      })
      const exits = yield* many(yield* gathered(service), numbers(4))
      succeeded(exits.slice(0, 3))
      assert.deepStrictEqual(exits[3], Exit.fail(rejection()))
      assert.deepStrictEqual(
        asked.map(({ values }) => values),
        [[0, 1, 2, 3], [1], [2]]
      )
      for (const { call } of asked.slice(1)) {
        assert.deepInclude(call, { attempts: 5, sent: 1, deadline: 5_000 })
        assert.deepStrictEqual(Call.failures(call!), [{ upstream: "a", error: "busy" }])
      }
      assert.notStrictEqual(asked[1]!.call!.failures, asked[2]!.call!.failures)
    })
  )

  it.effect("is all of it, where the batch fails", () =>
    Effect.gen(function* () {
      const { asked, service } = below((one) => (one.together ? Effect.fail(nobody) : echoing(one)))
      succeeded(yield* many(yield* gathered(service), numbers(3)))
      assert.strictEqual(asked.length, 4)
    })
  )

  it.effect("is all of it, where a layer throws: each learns of it by itself", () =>
    Effect.gen(function* () {
      const { service } = below((one) => (one.together || one.values[0] === 1 ? Effect.die("bug") : echoing(one)))
      const exits = yield* many(yield* gathered(service), numbers(3))
      assert.deepStrictEqual(exits, [Exit.succeed(0), Exit.die("bug"), Exit.succeed(2)])
    })
  )

  it.effect("is nothing, where no time is left", () =>
    Effect.gen(function* () {
      const late = new Call.DeadlineExceeded({ limit: 10 as never, causes: [] })
      const { asked, service } = below(() => Effect.fail(late))
      assert.deepStrictEqual(yield* many(yield* gathered(service), numbers(2)), [Exit.fail(late), Exit.fail(late)])
      assert.strictEqual(asked.length, 1)
    })
  )

  for (const attempts of [1, 2, 3, 6]) {
    it.effect(`keeps to ${attempts} attempts in all, two of which may be the batch's`, () =>
      Effect.gen(function* () {
        let sent = 0
        const { asked, service } = below(({ call }) =>
          Effect.suspend(() => {
            while (Call.spend(call!)) sent++
            return Effect.fail(nobody)
          })
        )
        const exits = yield* many(yield* gathered(service, { attempts }), numbers(2))
        assert.isTrue(exits.every(Exit.isFailure))
        const first = Math.min(2, attempts)
        assert.strictEqual(sent, first + 2 * (attempts - first))
        assert.strictEqual(asked[0]!.call!.sent, first)
        for (const { call } of asked.slice(1)) assert.strictEqual(call!.sent, attempts)
      })
    )
  }
})

describe("who leaves", () => {
  it.effect("before the batch is sent, is not asked for", () =>
    Effect.gen(function* () {
      const { asked, service } = below(echoing)
      const client = yield* gathered(service)
      const fibers = yield* Effect.forEach(numbers(3), (i) =>
        Effect.forkChild(client.request(echo(i)), { startImmediately: true })
      )
      yield* Fiber.interrupt(fibers[1]!)
      assert.strictEqual(yield* Fiber.join(fibers[2]!), 2)
      assert.deepStrictEqual(asked[0]!.values, [0, 2])
    })
  )

  it.effect("leaves the others to it; the last one ends it", () =>
    Effect.gen(function* () {
      const { asked, service, state } = below(() => Effect.never)
      const client = yield* gathered(service)
      const fibers = yield* Effect.forEach(numbers(3), (i) => Effect.forkChild(client.request(echo(i))))
      while (asked.length === 0) yield* Effect.yieldNow
      yield* Fiber.interrupt(fibers[0]!)
      yield* Fiber.interrupt(fibers[1]!)
      assert.strictEqual(state.interrupted, 0)
      yield* Fiber.interrupt(fibers[2]!)
      assert.strictEqual(state.interrupted, 1)
    })
  )

  it.effect("is gone for what goes on by itself, too", () =>
    Effect.gen(function* () {
      const { asked, service, state } = below(({ together }) => (together ? Effect.fail(nobody) : Effect.never))
      const client = yield* gathered(service)
      const fibers = yield* Effect.forEach(numbers(2), (i) => Effect.forkChild(client.request(echo(i))))
      while (asked.length < 3) yield* Effect.yieldNow
      yield* Fiber.interrupt(fibers[0]!)
      assert.strictEqual(state.interrupted, 1)
      yield* Fiber.interrupt(fibers[1]!)
      assert.strictEqual(state.interrupted, 2)
    })
  )

  it.effect("interrupted at any step, leaves nothing under way", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.gen(function* () {
          let open = 0
          const slowly = (result: Effect.Effect<unknown, unknown>) =>
            Effect.acquireUseRelease(
              Effect.sync(() => void open++),
              () => Effect.andThen(Effect.sleep("10 millis"), result),
              () => Effect.sync(() => void open--)
            )
          const { service } = below((one) =>
            slowly(one.together ? Effect.succeed([Exit.succeed(0), JsonRpc.apart]) : echoing(one))
          )
          const client = yield* Effect.scoped(gathered(service))
          return {
            run: Effect.map(many(client, numbers(2)), succeeded),
            check: () => assert.strictEqual(open, 0)
          }
        })
      )
      assert.isAbove(steps, 20)
    })
  )
})

describe("whatever happens", () => {
  type Fate = "answer" | "reject" | "fail" | "apart"
  const fates = fc.constantFrom<Fate>("answer", "answer", "reject", "fail", "apart")
  interface Read {
    readonly turn: number
    readonly first: Fate
    readonly second: Fate
    readonly leaves: boolean
  }
  const readOf: fc.Arbitrary<Read> = fc.record({
    turn: fc.integer({ min: 0, max: 3 }),
    first: fates,
    second: fates,
    leaves: fc.boolean()
  })

  it("each caller gets the answer to its own read, once, and no read is asked more than once in a batch", () =>
    fc.assert(
      fc.asyncProperty(
        fc.array(readOf, { maxLength: 30 }),
        fc.integer({ min: 1, max: 8 }),
        fc.integer({ min: 0, max: 3 }),
        (reads, size, lost) =>
          Effect.runPromise(Effect.scoped(Effect.provide(scenario(reads, size, lost), TestClock.layer())))
      ),
      { numRuns: 200 }
    ))

  const scenario = (reads: ReadonlyArray<Read>, size: number, lost: number) =>
    Effect.gen(function* () {
      let batches = 0
      const fateOf = (value: unknown, which: "first" | "second") => reads[value as number]![which]
      const exitOf = (value: unknown, fate: Fate): Exit.Exit<unknown, unknown> => {
        if (fate === "answer") return Exit.succeed(`answer ${String(value)}`)
        if (fate === "reject") return Exit.fail(rejection(value as number))
        return fate === "apart" ? JsonRpc.apart : Exit.fail(nobody)
      }
      const { asked, service } = below(({ together, values }) => {
        const slowly = (exit: Effect.Effect<unknown, unknown>) => Effect.andThen(Effect.sleep("5 millis"), exit)
        if (!together) return slowly(exitOf(values[0], fateOf(values[0], "second")))
        return ++batches === lost
          ? slowly(Effect.fail(nobody))
          : slowly(Effect.succeed(values.map((value) => exitOf(value, fateOf(value, "first")))))
      })
      const client = yield* gathered(service, { size })
      const fibers: Array<readonly [number, Fiber.Fiber<unknown, unknown>]> = []
      for (const turn of numbers(4)) {
        for (const [i, read] of reads.entries()) {
          if (read.turn === turn) fibers.push([i, yield* Effect.forkChild(client.request(echo(i)))])
        }
        yield* TestClock.adjust("2 millis")
        for (const [i, fiber] of fibers) {
          if (reads[i]!.leaves && reads[i]!.turn === turn) yield* Fiber.interrupt(fiber)
        }
      }
      yield* TestClock.adjust("20 millis")
      for (const [i, fiber] of fibers) {
        const exit = yield* Fiber.await(fiber)
        if (reads[i]!.leaves) {
          assert.isTrue(Exit.hasInterrupts(exit))
          continue
        }
        const together = asked.find((one) => one.together && one.values.includes(i))
        const alone = asked.filter((one) => !one.together && one.values[0] === i)
        const first = together && asked.filter((one) => one.together).indexOf(together) + 1
        const fate = together === undefined || first === lost ? "fail" : reads[i]!.first
        const settled = fate === "answer" || fate === "reject"
        assert.strictEqual(alone.length, settled ? 0 : 1)
        assert.deepStrictEqual(exit, exitOf(i, settled ? fate : reads[i]!.second))
      }
      for (const i of reads.keys()) {
        assert.isAtMost(asked.filter((one) => one.together && one.values.includes(i)).length, 1)
      }
      for (const { values } of asked) assert.isAtMost(values.length, size)
    })
})

describe("a stack", () => {
  const methods = { test_getEcho: ([value]: ReadonlyArray<unknown>) => value, eth_sendRawTransaction: () => "0xhash" }

  const over = (scenarios: ReadonlyArray<Scenario.Scenario>, options: Partial<Stack.Options> = {}) =>
    Effect.gen(function* () {
      const nodes = yield* Effect.forEach(scenarios, (scenario) => FaultyNode.make({ scenario, methods }))
      const upstreams = nodes.map(({ url }) => url)
      const provider = yield* Effect.acquireRelease(
        Effect.sync(() => Provider.make({ upstreams, chainId: 1, batch: true, hedge: false, ...options })),
        (provider) => Effect.promise(() => provider.close())
      )
      const ask = (value: unknown, signal?: AbortSignal) =>
        provider.request({ method: "test_getEcho", params: [value] }, { signal })
      const all = (n: number) => Effect.promise(() => Promise.allSettled(numbers(n).map((i) => ask(i))))
      return {
        nodes,
        provider,
        ask,
        all,
        echoes: () => nodes.reduce((sum, node) => sum + node.count("test_getEcho"), 0)
      }
    })

  const fulfilled = (settled: ReadonlyArray<PromiseSettledResult<unknown>>) =>
    settled.forEach((one, i) => assert.deepStrictEqual(one, { status: "fulfilled", value: i }))

  const warm = ({ ask }: { readonly ask: (value: unknown) => Promise<unknown> }) => Effect.promise(() => ask("warm"))

  it.live("asks one node once for what its callers ask in one turn", () =>
    Effect.gen(function* () {
      const stack = yield* over([Scenario.batch("shuffled"), Scenario.batch("shuffled")])
      yield* warm(stack)
      const before = stack.provider.status().upstreams.map(({ pool }) => pool!.asked)
      fulfilled(yield* stack.all(50))
      const after = stack.provider.status().upstreams.map(({ pool }) => pool!.asked)
      assert.strictEqual(after.reduce((sum, n) => sum + n, 0) - before.reduce((sum, n) => sum + n, 0), 1)
      assert.strictEqual(stack.echoes(), 51)
    })
  )

  for (const [name, fault] of Object.entries({
    "connections are lost midway": Scenario.dropMidway,
    "every request is refused with 500": Scenario.status(500),
    "batches are refused": Scenario.batch("refused"),
    "an answer is missing": Scenario.batch("missing"),
    "an answer has a foreign id": Scenario.batch("duplicate"),
    "one read always fails": Scenario.when(
      (request) => JSON.stringify(request.params) === "[7]",
      Scenario.error(-32603, "internal error")
    )
  })) {
    it.live(`gets every answer where at one node ${name}`, () =>
      Effect.gen(function* () {
        const stack = yield* over([fault, Scenario.healthy])
        yield* warm(stack)
        for (let i = 0; i < 5; i++) fulfilled(yield* stack.all(20))
      })
    )
  }

  it.live("is as patient with a node that lost its batches as with one that lost a request", () =>
    Effect.gen(function* () {
      const stack = yield* over([Scenario.healthy, Scenario.healthy], { retry: { attempts: 3 } })
      yield* warm(stack)
      for (const node of stack.nodes) yield* node.play(Scenario.status(500))
      const before = stack.echoes()
      const settled = yield* stack.all(10)
      for (const one of settled) {
        assert.strictEqual(one.status, "rejected")
        const { reason } = one as PromiseRejectedResult
        assert.instanceOf(reason, Call.NoAnswer)
        assert.strictEqual(reason.causes.length, 2)
      }
      assert.isAtMost(stack.echoes() - before, 30)
    })
  )

  it.live("ends what its callers have given up, and nothing else", () =>
    Effect.gen(function* () {
      const stack = yield* over([Scenario.healthy], { timeout: false, deadline: false })
      yield* warm(stack)
      const [node] = stack.nodes
      yield* node!.play(Scenario.hang)
      const controllers = numbers(3).map(() => new AbortController())
      const promises = controllers.map(({ signal }, i) => stack.ask(i, signal))
      const settled = Promise.allSettled(promises)
      yield* node!.until((node) => node.count("test_getEcho") === 4)
      controllers[0]!.abort("first")
      controllers[1]!.abort("second")
      assert.strictEqual(node!.aborted, 0)
      controllers[2]!.abort("third")
      yield* node!.until((node) => node.aborted > 0)
      assert.deepStrictEqual(
        (yield* Effect.promise(() => settled)).map((one) => (one as PromiseRejectedResult).reason as unknown),
        ["first", "second", "third"]
      )
    })
  )

  it.live("ends what went on by itself when its caller gives up", () =>
    Effect.gen(function* () {
      const stack = yield* over([Scenario.healthy], { timeout: false, deadline: false })
      yield* warm(stack)
      const [node] = stack.nodes
      yield* node!.play(Scenario.firstOf(Scenario.when({ batch: true }, Scenario.batch("refused")), Scenario.hang))
      const controllers = numbers(2).map(() => new AbortController())
      const settled = Promise.allSettled(controllers.map(({ signal }, i) => stack.ask(i, signal)))
      yield* node!.until((node) => node.count("test_getEcho") === 5)
      for (const controller of controllers) controller.abort("enough")
      yield* node!.until((node) => node.aborted === 2)
      for (const one of yield* Effect.promise(() => settled)) {
        assert.strictEqual((one as PromiseRejectedResult).reason, "enough")
      }
    })
  )

  it.live("ends what its caller gives up while it begins", () =>
    Effect.gen(function* () {
      const giving = new AbortController()
      const trace: { echo?: () => void } = {}
      const key = ({ method, params }: JsonRpc.Request) => {
        if (method === "test_getEcho") trace.echo?.()
        return method + JSON.stringify(params)
      }
      const cache = { key, policy: () => ({ ttl: 0 }) }
      const stack = yield* over([Scenario.healthy], { cache })
      yield* warm(stack)
      yield* stack.nodes[0]!.play(Scenario.hang)
      trace.echo = () => giving.abort("enough")
      const error = yield* Effect.promise(() => stack.ask(100, giving.signal).catch((reason: unknown) => reason))
      assert.strictEqual(error, "enough")
      const underWay = () => {
        const { cache, upstreams } = stack.provider.status()
        return [cache!.inFlight, upstreams[0]!.pool!.inflight, upstreams[0]!.http!.inflight]
      }
      while (underWay().some((n) => n > 0)) yield* Effect.sleep("1 millis")
    })
  )

  it.live("rejects all that is under way when it is closed", () =>
    Effect.gen(function* () {
      const stack = yield* over([Scenario.healthy])
      yield* warm(stack)
      const [node] = stack.nodes
      yield* node!.play(Scenario.hang)
      const sent = Promise.allSettled(numbers(3).map((i) => stack.ask(i)))
      yield* node!.until((node) => node.count("test_getEcho") === 4)
      const waiting = Promise.allSettled(numbers(3).map((i) => stack.ask(i)))
      yield* Effect.promise(() => stack.provider.close())
      for (const one of [...(yield* Effect.promise(() => sent)), ...(yield* Effect.promise(() => waiting))]) {
        assert.instanceOf((one as PromiseRejectedResult).reason, Provider.Closed)
      }
      yield* node!.until(({ connections }) => connections.open === 0)
    })
  )

  it.live("gives up on all of them at the deadline, and says who has not answered", () =>
    Effect.gen(function* () {
      const stack = yield* over([Scenario.healthy], { deadline: "200 millis" })
      yield* warm(stack)
      yield* stack.nodes[0]!.play(Scenario.hang)
      for (const one of yield* stack.all(3)) {
        const { reason } = one as PromiseRejectedResult
        assert.instanceOf(reason, Call.DeadlineExceeded)
        assert.strictEqual(reason.causes.length, 1)
      }
    })
  )

  it.live("tells a listener of each call", () =>
    Effect.gen(function* () {
      const stack = yield* over([Scenario.healthy])
      yield* warm(stack)
      const heard: Array<unknown> = []
      stack.provider.on((event) => {
        if (event.layer === "call") heard.push((event["report"] as Call.Report).answeredBy)
      })
      fulfilled(yield* stack.all(5))
      assert.strictEqual(heard.length, 5)
      assert.isTrue(heard.every((upstream) => typeof upstream === "string"))
    })
  )

  it.live("keeps what a batch has brought, and asks no more for it", () =>
    Effect.gen(function* () {
      const stack = yield* over([Scenario.healthy, Scenario.healthy])
      yield* warm(stack)
      const blocks = () =>
        Effect.promise(() =>
          Promise.all(
            numbers(10).map((i) =>
              stack.provider.request({ method: "eth_getBlockByNumber", params: [`0x${(i % 5).toString(16)}`, false] })
            )
          )
        )
      const first = yield* blocks()
      const count = () => stack.nodes.reduce((sum, node) => sum + node.count("eth_getBlockByNumber"), 0)
      assert.strictEqual(count(), 5)
      assert.deepStrictEqual(first.slice(0, 5), first.slice(5))
    })
  )
})

describe("the options", () => {
  const settings = (options: Partial<Stack.Options>) => {
    const { upstreams = ["http://a", "https://b"], ...rest } = options
    return Gather.settings({ batch: true, ...rest, upstreams: Names.upstreams("upstreams", upstreams) })
  }

  it("let reads go together where batches are on", () => {
    assert.deepStrictEqual(settings({}), { size: 100, attempts: 6 })
    assert.deepStrictEqual(settings({ batch: { size: 20 }, retry: { attempts: 3 } }), { size: 20, attempts: 3 })
    assert.deepStrictEqual(settings({ cache: false, deadline: "5 seconds", timeout: false }), {
      size: 100,
      attempts: 6
    })
  })

  it("keep them apart where each is to be treated by itself", () => {
    const http = { url: "http://a" }
    const apart: Record<string, Partial<Stack.Options>> = {
      "no batches": { batch: false },
      "no second attempt": { retry: false },
      "a word on second attempts": { retry: { while: () => true } },
      "a schedule of attempts": { retry: { schedule: Schedule.spaced("1 second") } },
      "a store": { cache: { store: {} as never } },
      "loads that linger": { cache: { linger: "1 second" } },
      "batches of one": { batch: { size: 1 } },
      "batches that wait": { batch: { wait: "5 millis" } },
      "a deadline for each": { deadline: () => "1 second" },
      "a timeout for each": { timeout: () => "1 second" },
      "one upstream's timeout for each": { upstreams: [{ ...http, timeout: () => "1 second" }] },
      "a quorum": { quorum: { agree: 2 } as never },
      multicall: { multicall: {} },
      spans: { trace: { spans: true } },
      "a rate limit": { upstreams: [{ ...http, rateLimit: { limit: 10, window: "1 second" } as never }] },
      "a limit of requests": { upstreams: [{ ...http, concurrency: { limit: 10 } }] },
      "some methods": { upstreams: [{ ...http, methods: { exclude: ["eth_call"] } }] },
      "one without batches": { upstreams: [http, { ...http, batch: false }] },
      "a WebSocket": { upstreams: [http, "ws://b"] },
      "a layer": { upstreams: [http, Http.layer({ url: "http://b" })] }
    }
    for (const [why, options] of Object.entries(apart)) assert.isFalse(settings(options), why)
  })
})
