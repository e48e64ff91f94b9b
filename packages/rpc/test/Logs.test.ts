import { assert, describe, it } from "@effect/vitest"
import { Call, JsonRpc, Options, Outcome } from "@hawser/core"
import { Logs, RpcError } from "@hawser/rpc"
import { Interruption } from "@hawser/testkit"
import { Context, Effect, Exit, Fiber, Layer, Stream } from "effect"
import { TestClock } from "effect/testing"
import fc from "fast-check"
import { unable } from "../src/internal/head/errors.ts"
import type { Change } from "../src/internal/heads.ts"
import {
  addressOf,
  chainOf,
  dialects,
  type Draw,
  entry,
  type Entry,
  type Filter,
  hex,
  type Limits,
  matches,
  Node,
  seeded,
  topicOf
} from "./logs.model.ts"

type Failing = JsonRpc.Rejected | Call.NoAnswer<RpcError.ResponseError | RpcError.TransportError>

const noAnswer = (causes: ReadonlyArray<Call.Failure<any>>) =>
  new Call.NoAnswer<any>({ causes, [Outcome.TypeId]: Outcome.verdict({ again: "nowhere" }) })

/** A client over some nodes: asks one after another, as a pool does. */
class Client implements JsonRpc.Service<Failing> {
  readonly name = "pool"
  readonly inspect = () => ({ name: "pool" })
  readonly asked: Array<JsonRpc.Request> = []
  readonly calls: Array<Call.Call | undefined> = []
  underWay = 0
  most = 0
  head: number
  nodes: ReadonlyArray<Node>
  /** How long a request takes. */
  delay: () => Effect.Effect<void> = () => Effect.void
  /** What is answered instead. */
  instead: ((request: JsonRpc.Request) => Effect.Effect<unknown, Failing> | undefined) | undefined = undefined

  constructor(nodes: ReadonlyArray<Node>, head: number) {
    this.nodes = nodes
    this.head = head
  }

  readonly request = (request: JsonRpc.Request): Effect.Effect<unknown, Failing> =>
    Outcome.guard(
      Effect.withFiber((fiber) => {
        this.calls.push(fiber.getRef(Call.Current))
        return Effect.andThen(
          this.delay(),
          Effect.suspend(() => this.instead?.(request) ?? this.answer(request))
        )
      }),
      () => {
        this.asked.push(request)
        this.most = Math.max(this.most, ++this.underWay)
        return {}
      },
      () => void this.underWay--
    )

  private answer({ method, params }: JsonRpc.Request): Effect.Effect<unknown, Failing> {
    if (method === "eth_blockNumber") return Effect.succeed(hex(this.head))
    if (method === "eth_getBlockByNumber") return Effect.succeed({ number: hex(this.number(params[0])) })
    const filter = params[0] as Filter
    const from = this.number(filter.fromBlock)
    const numbers = { ...filter, fromBlock: hex(from), toBlock: hex(Math.min(this.number(filter.toBlock), this.head)) }
    if (from > this.head) return Effect.succeed([])
    const causes: Array<Call.Failure> = []
    for (const node of this.nodes) {
      const answer = node.search(numbers)
      if (!(answer instanceof Error)) return Effect.succeed(answer)
      causes.push({ upstream: node.name, error: answer })
    }
    return Effect.fail(noAnswer(causes))
  }

  private number(block: unknown): number {
    if (block === undefined || block === "latest") return this.head
    if (block === "finalized") return Math.max(0, this.head - 64)
    if (block === "safe") return Math.max(0, this.head - 32)
    return block === "earliest" ? 0 : Number(block)
  }

  get ranges(): ReadonlyArray<readonly [unknown, unknown]> {
    return this.asked
      .filter(({ method }) => method === "eth_getLogs")
      .map(({ params }) => params[0] as Filter)
      .map(
        ({ fromBlock, toBlock }) =>
          [fromBlock, toBlock].map((end) => (String(end).startsWith("0x") ? Number(end) : end)) as never
      )
  }

  layer(options?: Logs.Options) {
    const layer = Layer.succeed(JsonRpc.client<Failing>())(this).pipe(Logs.layer(options))
    return Effect.map(Layer.build(layer), (context) =>
      Context.get(context, JsonRpc.client<JsonRpc.ErrorOf<typeof layer>>())
    )
  }
}

const logsOf = (filter: unknown) => JsonRpc.makeRequest("eth_getLogs", [filter])

const range = (fromBlock: number, toBlock: number, more?: Filter) =>
  logsOf({ fromBlock: hex(fromBlock), toBlock: hex(toBlock), ...more })

/** A log in each block. */
const evenly = (blocks: number): ReadonlyArray<Entry> =>
  Array.from({ length: blocks }, (_, block) => entry(block, 0, addressOf(block % 3), [topicOf(block % 2)]))

const wires = (chain: ReadonlyArray<Entry>, from: number, to: number) =>
  chain.filter(({ block }) => block >= from && block <= to).map(({ wire }) => wire)

const one = (chain: ReadonlyArray<Entry>, limits: Limits, dialect = "quicknode") =>
  new Client([new Node("a", chain, limits, dialects[dialect]!)], chain.at(-1)?.block ?? 0)

const inspect = (service: JsonRpc.Service<unknown>) => service.inspect()["logs"] as Logs.Inspection

describe("a query that is not too much", () => {
  it.effect("is asked as it is, and nothing else is", () =>
    Effect.gen(function* () {
      const client = one(evenly(100), { blocks: 100 })
      const service = yield* client.layer()
      const requests = [range(0, 99), logsOf({ address: addressOf(1) }), logsOf({ fromBlock: "0x32" })]
      for (const request of requests) yield* service.request(request)
      assert.deepStrictEqual(client.asked, requests)
    })
  )

  it.effect("other methods pass", () =>
    Effect.gen(function* () {
      const client = one([], {})
      const service = yield* client.layer()
      assert.strictEqual(yield* service.request(JsonRpc.makeRequest("eth_blockNumber")), "0x0")
    })
  )
})

describe("no reason to take a query apart", () => {
  const reply = (code: number, message: string, status = 200) => {
    const said = { method: "eth_getLogs", nature: "read", status, error: { code, message } } as const
    return RpcError.make("a", said, RpcError.classify(said, 0))
  }
  const failures: ReadonlyArray<readonly [string, Error]> = [
    ["a rate limit", reply(-32005, "credits limited to 6000/sec")],
    ["another", reply(429, "Too many requests")],
    ["an outage", reply(-32011, "no backend is currently healthy to serve traffic", 503)],
    ["a plan", reply(-32701, "Please specify an address in your request")],
    ["history that is gone", reply(-32000, "pruned history unavailable")],
    ["invalid params", reply(-32602, "invalid block range params")],
    ["a batch that is too large", reply(-32000, "batch too large")],
    ["a lost connection", new RpcError.TransportError({ upstream: "a", reason: "closed", message: "x", reached: true })]
  ]
  for (const [what, error] of failures) {
    it.effect(what, () =>
      Effect.gen(function* () {
        const client = one(evenly(100), {})
        const failure = error instanceof JsonRpc.Rejected ? error : noAnswer([{ upstream: "a", error }])
        client.instead = () => Effect.fail(failure)
        const service = yield* client.layer()
        assert.strictEqual(yield* Effect.flip(service.request(range(0, 99))), failure as never)
        assert.strictEqual(client.asked.length, 1)
      })
    )
  }

  it.effect("a query that says what is not understood, or by hash, or up to pending", () =>
    Effect.gen(function* () {
      const client = one(evenly(100), { blocks: 1 })
      const service = yield* client.layer()
      const filters = [
        { fromBlock: "0x0", toBlock: "0x9", limit: 5 },
        { fromBlock: "0x0", toBlock: "pending" },
        { fromBlock: "0x9", toBlock: "0x0" }
      ]
      client.instead = () => Effect.fail(noAnswer([{ upstream: "a", error: reply(-32000, "block range too large") }]))
      for (const filter of filters) {
        client.asked.length = 0
        yield* Effect.flip(service.request(logsOf(filter)))
        assert.strictEqual(client.ranges.length, 1)
      }
    })
  )

  it.effect("but one upstream's refusal is, whatever the others failed of", () =>
    Effect.gen(function* () {
      const chain = evenly(100)
      const client = one(chain, { blocks: 50 })
      const { request } = client
      const rate = { upstream: "b", error: reply(429, "Too many requests") }
      const both: JsonRpc.Service<Failing> = {
        name: client.name,
        inspect: client.inspect,
        request: (asked) =>
          Effect.mapError(request(asked), (error) =>
            error instanceof Call.NoAnswer ? noAnswer([rate, ...error.causes]) : error
          )
      }
      const layer = Layer.succeed(JsonRpc.client<Failing>())(both).pipe(Logs.layer())
      const service = Context.get(yield* Layer.build(layer), JsonRpc.client<JsonRpc.ErrorOf<typeof layer>>())
      assert.deepStrictEqual(yield* service.request(range(0, 99)), wires(chain, 0, 99))
      assert.strictEqual(client.asked.length, 4)
    })
  )
})

/** Takes some turns, as others run. */
const turns = (draw: Draw): Effect.Effect<void> =>
  Effect.forEach(Array.from({ length: draw.below(5) }), () => Effect.yieldNow, { discard: true })

describe("any chain, nodes, filter and order of answers", () => {
  it.effect(
    "the answer is the one of a node without limits",
    () =>
      Effect.gen(function* () {
        const tally = { equal: 0, split: 0, failed: 0 }
        const seeds = fc.sample(fc.integer({ min: 1, max: 2 ** 30 }), 100)
        for (const seed of seeds) {
          const draw = seeded(seed)
          const blocks = 1 + draw.below(600)
          const addresses = 1 + draw.below(5)
          const chain = chainOf(draw, blocks, addresses)
          const nodes = Array.from({ length: 1 + draw.below(3) }, (_, i) => {
            const limits: Limits = {
              ...(draw.below(3) > 0 ? { results: 1 + draw.below(60) } : {}),
              ...(draw.below(2) > 0 ? { blocks: 1 + draw.below(blocks) } : {}),
              ...(draw.below(4) === 0 ? { addresses: 1 + draw.below(3) } : {})
            }
            return new Node(`n${i}`, chain, limits, dialects[draw.pick(Object.keys(dialects))]!)
          })
          const client = new Client(nodes, blocks - 1)
          client.delay = () => turns(draw)
          const concurrency = 1 + draw.below(6)
          const service = yield* client.layer({ concurrency })
          for (let i = 0; i < 3; i++) {
            const from = draw.below(blocks)
            const to = from + draw.below(blocks - from)
            const ends = draw.pick([
              { fromBlock: hex(from), toBlock: hex(to) },
              { fromBlock: hex(from), toBlock: "latest" },
              { fromBlock: hex(from) },
              { fromBlock: "earliest", toBlock: "finalized" },
              { fromBlock: hex(from), toBlock: "0xffffffff" },
              {}
            ])
            const filter = {
              ...ends,
              ...draw.pick([{}, { address: Array.from({ length: 4 }, () => addressOf(draw.below(addresses))) }]),
              ...draw.pick([{}, { topics: [[topicOf(0), topicOf(1), topicOf(1)]] }])
            }
            const low = ends.fromBlock === undefined ? blocks - 1 : ends.fromBlock === "earliest" ? 0 : from
            const high =
              ends.toBlock === hex(to) ? to : ends.toBlock === "finalized" ? Math.max(0, blocks - 65) : blocks - 1
            const expected = chain
              .filter((log) => log.block >= low && log.block <= high && matches(filter, log))
              .map(({ wire }) => wire)
            const exit = yield* Effect.exit(service.request(logsOf(filter)))
            assert.isAtMost(client.most, concurrency, `seed ${seed}`)
            assert.strictEqual(client.underWay, 0, `seed ${seed}`)
            if (Exit.isSuccess(exit)) {
              assert.deepStrictEqual(exit.value, expected, `seed ${seed}, query ${i}`)
              tally.equal++
            } else {
              // There is a part that cannot be made less and that no node tells.
              const counts = new Map<string, number>()
              for (const log of chain.filter((log) => log.block >= low && log.block <= high && matches(filter, log))) {
                const { address, topics } = filter as Filter
                const key = `${log.block}/${address === undefined ? "" : log.address}/${topics === undefined ? "" : log.topics[0]}`
                counts.set(key, (counts.get(key) ?? 0) + 1)
              }
              const told = Math.max(...nodes.map(({ limits }) => limits.results ?? Infinity))
              assert.isAbove(Math.max(...counts.values()), told, `seed ${seed}, query ${i}`)
              tally.failed++
            }
          }
          tally.split += inspect(service).split
        }
        assert.isAbove(tally.equal, 150)
        assert.isAbove(tally.split, 60)
      }),
    30_000
  )
})

describe("in parts", () => {
  it.effect("as a node says, each once, and no more at once than allowed", () =>
    Effect.gen(function* () {
      const chain = evenly(1_000)
      const client = one(chain, { blocks: 100 })
      client.delay = () => Effect.sleep("100 millis")
      const service = yield* client.layer({ concurrency: 3 })
      const fiber = yield* Effect.forkChild(service.request(range(0, 799)), { startImmediately: true })
      for (let i = 0; i < 6; i++) yield* TestClock.adjust("100 millis")
      assert.deepStrictEqual(fiber.pollUnsafe(), Exit.succeed(wires(chain, 0, 799)))
      assert.strictEqual(client.most, 3)
      // The whole, the head, and eight parts: a round trip each, but for the parts.
      assert.strictEqual(client.asked.length, 10)
      assert.deepStrictEqual(
        client.ranges.slice(1).toSorted((a, b) => Number(a[0]) - Number(b[0])),
        Array.from({ length: 8 }, (_, i) => [100 * i, 100 * i + 99] as const)
      )
    })
  )

  it.effect("up to the head of one moment", () =>
    Effect.gen(function* () {
      const chain = evenly(1_000)
      const client = one(chain, { blocks: 100 })
      client.head = 499
      client.delay = () => Effect.sync(() => void client.head++)
      const service = yield* client.layer()
      const logs = yield* service.request(logsOf({ fromBlock: "0x0" }))
      // The whole was asked at 500, the head at 501.
      assert.deepStrictEqual(logs, wires(chain, 0, 501))
      assert.strictEqual(client.asked.filter(({ method }) => method === "eth_blockNumber").length, 1)
    })
  )

  it.effect("not of blocks above the head, which a number may name that means all there is", () =>
    Effect.gen(function* () {
      const chain = evenly(300)
      const client = one(chain, { blocks: 100 })
      const service = yield* client.layer()
      assert.deepStrictEqual(yield* service.request(range(0, 0xffffffff)), wires(chain, 0, 299))
      assert.strictEqual(client.asked.length, 5)
    })
  )

  it.effect("of addresses and topics, where one block is too much", () =>
    Effect.gen(function* () {
      const chain = Array.from({ length: 24 }, (_, i) =>
        entry(7, i, addressOf(i % 3), [topicOf(i % 2), topicOf(i % 4)])
      )
      const client = one(chain, { results: 5 }, "silent")
      const service = yield* client.layer()
      const address = [0, 1, 2].map(addressOf)
      const topics = [[topicOf(0), topicOf(1)], [0, 1, 2, 3].map(topicOf)]
      assert.deepStrictEqual(yield* service.request(range(0, 9, { address, topics })), wires(chain, 0, 9))
      const error = yield* Effect.flip(service.request(range(0, 9)))
      assert.instanceOf(error, Call.NoAnswer)
      assert.match(error.message, /returned more than/)
    })
  )

  it.effect("of addresses, where they are too many, and so again without being told", () =>
    Effect.gen(function* () {
      const chain = evenly(100)
      const address = Array.from({ length: 50 }, (_, i) => addressOf(i))
      for (const dialect of ["silent", "infura"]) {
        const client = one(chain, { addresses: 10 }, dialect)
        const service = yield* client.layer()
        assert.deepStrictEqual(yield* service.request(range(0, 99, { address })), wires(chain, 0, 99), dialect)
        client.asked.length = 0
        const refused = client.nodes[0]!.refused
        assert.deepStrictEqual(yield* service.request(range(0, 99, { address })), wires(chain, 0, 99), dialect)
        assert.strictEqual(client.nodes[0]!.refused, refused)
        assert.isAtMost(client.asked.length, 1 + 8)
      }
    })
  )

  it.effect("a request that is too long is not made shorter by fewer blocks", () =>
    Effect.gen(function* () {
      const client = one(evenly(1_000), {})
      const said = {
        method: "eth_getLogs",
        nature: "read",
        status: 413,
        body: "<title>413 Request Entity Too Large</title>"
      } as const
      const error = RpcError.make("a", said, RpcError.classify(said, 0))
      client.instead = ({ params }) =>
        ((params[0] as { readonly address?: string } | undefined)?.address?.length ?? 0) > 10
          ? Effect.fail(noAnswer([{ upstream: "a", error }]))
          : undefined
      const service = yield* client.layer()
      const address = Array.from({ length: 40 }, (_, i) => addressOf(i))
      assert.deepStrictEqual(yield* service.request(range(0, 999, { address })), wires(evenly(1_000), 0, 999))
      assert.isTrue(client.ranges.every(([from, to]) => from === 0 && to === 999))
    })
  )

  it.effect("an answer with more bytes than we take is too much, too", () =>
    Effect.gen(function* () {
      const chain = evenly(100)
      const client = one(chain, {})
      const error = new RpcError.TransportError({ upstream: "a", reason: "too-large", message: "x", reached: true })
      client.instead = ({ method, params }) => {
        const { fromBlock, toBlock } = (params[0] ?? {}) as Filter
        return method === "eth_getLogs" && Number(toBlock) - Number(fromBlock) >= 30
          ? Effect.fail(noAnswer([{ upstream: "a", error }]))
          : undefined
      }
      const service = yield* client.layer()
      assert.deepStrictEqual(yield* service.request(range(0, 99)), wires(chain, 0, 99))
      // How many bytes blocks have is nothing to be remembered of a node.
      assert.deepStrictEqual(inspect(service).maxBlocks, {})
    })
  )

  it.effect("what is not even asked, for what was said before, is too much as well", () =>
    Effect.gen(function* () {
      const chain = evenly(100)
      const client = one(chain, {})
      client.instead = ({ method, params }) => {
        const { fromBlock, toBlock } = (params[0] ?? {}) as Filter
        return method === "eth_getLogs" && Number(toBlock) - Number(fromBlock) >= 25
          ? Effect.fail(noAnswer([{ upstream: "a", error: unable("a", method, { kind: "range", blocks: 25 }) }]))
          : undefined
      }
      const service = yield* client.layer()
      assert.deepStrictEqual(yield* service.request(range(0, 99)), wires(chain, 0, 99))
      assert.strictEqual(client.ranges.length, 5)
    })
  )

  it.effect("calls of their own, with the caller's deadline, in the caller's report", () =>
    Effect.gen(function* () {
      const client = one(evenly(100), { blocks: 30 })
      const service = yield* client.layer()
      const caller = new Call.Call(new Call.Recorder())
      caller.deadline = 1_234
      caller.attempts = 1
      yield* Effect.provideService(service.request(range(0, 99)), Call.Current, caller)
      const [whole, ...rest] = client.calls
      assert.strictEqual(whole, caller)
      assert.strictEqual(new Set(rest).size, 5)
      for (const call of rest) {
        assert.notStrictEqual(call, caller)
        assert.deepInclude(call, { deadline: 1_234, attempts: undefined, recorder: caller.recorder })
      }
    })
  )

  it.effect("if one fails the query does, and the others are given up", () =>
    Effect.gen(function* () {
      const client = one(evenly(1_000), { blocks: 100 })
      const service = yield* client.layer()
      const failure = noAnswer([{ upstream: "a", error: new Error("down") }])
      client.instead = ({ params }) =>
        (params[0] as Filter)?.fromBlock === hex(200)
          ? Effect.fail(failure)
          : (params[0] as Filter)?.toBlock === hex(999)
            ? undefined
            : Effect.andThen(Effect.sleep("1 second"), Effect.never)
      client.instead = (
        (instead) => (request: JsonRpc.Request) =>
          request.method === "eth_getLogs" ? instead(request) : undefined
      )(client.instead)
      const caller = new Call.Call()
      const failed = Effect.flip(service.request(range(0, 999)))
      assert.strictEqual(yield* Effect.provideService(failed, Call.Current, caller), failure as never)
      assert.strictEqual(client.underWay, 0)
      assert.deepStrictEqual(
        Call.failures(caller).map(({ upstream }) => upstream),
        ["a"]
      )
    })
  )

  it.effect("an answer that is none fails, and so does one of other blocks", () =>
    Effect.gen(function* () {
      const chain = evenly(1_000)
      for (const answer of [null, {}, [null], [{ blockNumber: null }], wires(chain, 0, 999), wires(chain, 150, 220)]) {
        const client = one(chain, { blocks: 100 })
        client.instead = ({ params }) => {
          const { fromBlock, toBlock } = (params[0] ?? {}) as Filter
          return fromBlock === "0x64" && toBlock !== hex(999) ? Effect.succeed(answer) : undefined
        }
        const service = yield* client.layer()
        const error = yield* Effect.flip(service.request(range(0, 999)))
        assert.instanceOf(error, Call.NoAnswer)
        assert.match(error.message, /pool: eth_getLogs (is not a list|has logs of other blocks)/)
      }
    })
  )

  it.effect("more logs than wanted in memory fail", () =>
    Effect.gen(function* () {
      const client = one(evenly(1_000), { blocks: 100 })
      const service = yield* client.layer({ maxLogs: 450, concurrency: 1 })
      assert.strictEqual(((yield* service.request(range(0, 449))) as ReadonlyArray<unknown>).length, 450)
      client.asked.length = 0
      const error = yield* Effect.flip(service.request(range(0, 999)))
      assert.instanceOf(error, Call.NoAnswer)
      assert.deepInclude(error.causes[0]!.error, { _tag: "TooManyLogs", limit: 450 })
      assert.strictEqual(Outcome.of(error).again, "nowhere")
      // It stops at once: five parts and the head.
      assert.strictEqual(client.asked.length, 6)
    })
  )

  it.effect(
    "interrupted anywhere, nothing is left under way",
    () =>
      Effect.gen(function* () {
        const listening = new Set<unknown>()
        const steps = yield* Interruption.everywhere(
          Effect.gen(function* () {
            const chain = evenly(20)
            const client = one(chain, { blocks: 10 })
            client.delay = () => Effect.sleep("10 millis")
            const heads = {
              on: (listener: unknown) => {
                listening.add(listener)
                return () => void listening.delete(listener)
              }
            }
            const service = yield* client.layer({ heads, concurrency: 3 })
            return {
              run: service.request(range(0, 19)),
              check: (exit, step) => {
                assert.strictEqual(client.underWay, 0, `step ${step}`)
                assert.strictEqual(listening.size, 0, `step ${step}`)
                if (Exit.isSuccess(exit)) assert.deepStrictEqual(exit.value, wires(chain, 0, 19))
              }
            }
          })
        )
        assert.isAbove(steps, 50)
      }),
    30_000
  )
})

describe("what has been learned", () => {
  it.effect("is not asked again, and is forgotten in time", () =>
    Effect.gen(function* () {
      const chain = evenly(300)
      const client = one(chain, { blocks: 100 })
      const service = yield* client.layer({ remember: "10 minutes" })
      yield* service.request(range(0, 299))
      assert.deepStrictEqual(inspect(service).maxBlocks, { a: 100 })
      client.asked.length = 0
      yield* TestClock.adjust("9 minutes")
      assert.deepStrictEqual(yield* service.request(range(0, 299)), wires(chain, 0, 299))
      assert.deepStrictEqual(client.ranges, [
        [0, 99],
        [100, 199],
        [200, 299]
      ])
      // What fits is asked without any ado.
      client.asked.length = 0
      yield* service.request(range(0, 99))
      assert.strictEqual(client.asked.length, 1)
      client.nodes = one(chain, {}).nodes
      yield* TestClock.adjust("1 minute")
      client.asked.length = 0
      yield* service.request(range(0, 299))
      assert.deepStrictEqual(client.ranges, [[0, 299]])
      assert.deepStrictEqual(inspect(service).maxBlocks, {})
    })
  )

  it.effect("a range up to a tag is measured first", () =>
    Effect.gen(function* () {
      const chain = evenly(300)
      const client = one(chain, { blocks: 100 })
      const service = yield* client.layer()
      yield* service.request(range(0, 299))
      client.asked.length = 0
      assert.deepStrictEqual(
        yield* service.request(logsOf({ fromBlock: "0x0", toBlock: "safe" })),
        wires(chain, 0, 267)
      )
      assert.deepStrictEqual(client.ranges, [
        [0, 99],
        [100, 199],
        [200, 267]
      ])
      client.asked.length = 0
      yield* service.request(logsOf({ fromBlock: hex(250) }))
      assert.deepStrictEqual(client.asked, [JsonRpc.makeRequest("eth_blockNumber"), logsOf({ fromBlock: hex(250) })])
    })
  )

  it.effect("each upstream has its own limit, and the query goes by the widest", () =>
    Effect.gen(function* () {
      const chain = evenly(1_000)
      const client = new Client(
        [
          new Node("a", chain, { blocks: 10 }, dialects["quicknode"]!),
          new Node("b", chain, { blocks: 250 }, dialects["reth"]!)
        ],
        999
      )
      const service = yield* client.layer()
      yield* service.request(range(0, 999))
      assert.deepStrictEqual(inspect(service).maxBlocks, { a: 10, b: 250 })
      assert.strictEqual(client.ranges.length, 5)
    })
  )

  it.effect("a limit that is no longer true is outgrown", () =>
    Effect.gen(function* () {
      const chain = evenly(20_000)
      const client = one(chain, { blocks: 10 })
      const service = yield* client.layer()
      yield* service.request(range(0, 99))
      client.nodes = one(chain, { blocks: 5_000 }).nodes
      client.asked.length = 0
      assert.deepStrictEqual(yield* service.request(range(0, 19_999)), wires(chain, 0, 19_999))
      assert.isAtMost(client.asked.length, 200)
      assert.isAtLeast(inspect(service).maxBlocks["a"]!, 1_000)
    })
  )

  it.effect("how dense one query's logs are is not held against the next", () =>
    Effect.gen(function* () {
      const chain = evenly(1_000)
      const client = one(chain, { results: 100 }, "infura")
      const service = yield* client.layer()
      assert.deepStrictEqual(yield* service.request(range(0, 999)), wires(chain, 0, 999))
      client.asked.length = 0
      const filter = { address: addressOf(99) }
      assert.deepStrictEqual(yield* service.request(range(0, 999, filter)), [])
      assert.strictEqual(client.asked.length, 1)
    })
  )

  it.effect("what the user knows need not be learned", () =>
    Effect.gen(function* () {
      const chain = evenly(300)
      const client = one(chain, { blocks: 100 })
      const service = yield* client.layer({ maxBlocks: 100 })
      assert.deepStrictEqual(yield* service.request(range(0, 299)), wires(chain, 0, 299))
      assert.strictEqual(client.nodes[0]!.refused, 0)
    })
  )
})

describe("a reorganisation while parts are read", () => {
  const branchOf = (branch: number, from: number) => (log: Entry) =>
    log.block >= from ? entry(log.block, log.index, log.address, log.topics, branch) : log

  it.effect("that is told has the blocks it replaced read again", () =>
    Effect.gen(function* () {
      const before = evenly(100)
      const after = before.map(branchOf(1, 70))
      const client = one(before, { blocks: 25 })
      const listeners = new Set<(change: Change) => void>()
      const heads = {
        on: (listener: (change: Change) => void) => {
          listeners.add(listener)
          return () => void listeners.delete(listener)
        }
      }
      client.instead = ({ params }) => {
        if ((params[0] as Filter)?.fromBlock === hex(75) && listeners.size > 0 && client.nodes[0]!.name === "a") {
          client.nodes = [new Node("b", after, { blocks: 25 }, dialects["quicknode"]!)]
          for (const listener of listeners) listener({ type: "reorg", from: 70 })
        }
        return undefined
      }
      const service = yield* client.layer({ concurrency: 1, heads })
      assert.deepStrictEqual(yield* service.request(range(0, 99)), wires(after, 0, 99))
      assert.strictEqual(inspect(service).repeated, 1)
      assert.deepStrictEqual(client.ranges.slice(5), [
        [70, 94],
        [95, 99]
      ])
      assert.strictEqual(listeners.size, 0)
    })
  )

  it.effect("that shows in one block under two hashes is noticed; if it does not end, the query fails", () =>
    Effect.gen(function* () {
      const chain = Array.from({ length: 30 }, (_, i) => entry(3 + Math.floor(i / 10), i % 10, addressOf(i % 2), []))
      const address = [addressOf(0), addressOf(1)]
      const client = one(chain, { addresses: 1 })
      let torn = 1
      client.instead = ({ params }) => {
        const filter = (params[0] ?? {}) as Filter
        if (torn === 0 || JSON.stringify(filter.address) !== JSON.stringify([addressOf(1)])) return undefined
        torn--
        const other = chain.map(branchOf(1, 4)).filter(({ address }) => address === addressOf(1))
        return Effect.succeed(wires(other, Number(filter.fromBlock), Number(filter.toBlock)))
      }
      const service = yield* client.layer()
      assert.deepStrictEqual(yield* service.request(range(0, 9, { address })), wires(chain, 0, 9))
      assert.strictEqual(inspect(service).repeated, 1)
      torn = Infinity
      const error = yield* Effect.flip(service.request(range(0, 9, { address })))
      assert.instanceOf(error, Call.NoAnswer)
      assert.deepInclude(error.causes[0]!.error, { _tag: "Reorganised", from: 4 })
      assert.strictEqual(Outcome.of(error).again, "anywhere")
    })
  )
})

describe("options", () => {
  it.each([
    [{ concurrency: 0 }, /Logs.concurrency takes a whole number of at least 1/],
    [{ maxBlocks: 0 }, /Logs.maxBlocks/],
    [{ maxLogs: -1 }, /Logs.maxLogs/],
    [{ remember: "soon" }, /Logs.remember/],
    [{ window: 5 }, /Logs.window takes no value/]
  ])("%j", (options, message) => assert.throws(() => Logs.layer(options as never), message))

  it("are those of a stream, too", () => {
    const client = one([], {})
    const streamed = (options: unknown) => () => Logs.stream(client, {}, options as never)
    assert.throws(streamed({}), /Logs.stream.from takes a block/)
    assert.throws(streamed({ from: -1 }), /Logs.stream.from/)
    assert.throws(streamed({ from: "pending" }), /Logs.stream.from takes a block's number or "earliest"/)
    assert.throws(streamed({ cursor: { block: 1.5 } }), /Logs.stream.cursor.block/)
    assert.throws(streamed({ from: 0, chunk: 0 }), Options.InvalidOption)
  })
})

describe("a stream", () => {
  const collect = <E>(stream: Stream.Stream<Logs.Chunk, E>) => Stream.runCollect(stream)
  const flat = (chunks: ReadonlyArray<Logs.Chunk>) => chunks.flatMap(({ logs }) => logs)

  /** Chunks follow one another from the first block to the last. */
  const assertSeamless = (chunks: ReadonlyArray<Logs.Chunk>, from: number, to: number) => {
    let next = from
    for (const chunk of chunks) {
      assert.strictEqual(chunk.from, next)
      assert.isAtLeast(chunk.to, chunk.from)
      assert.deepStrictEqual(chunk.cursor, { block: chunk.to })
      next = chunk.to + 1
    }
    assert.strictEqual(next, Math.max(from, to + 1))
  }

  it.effect(
    "gives all logs up to the finalized block, and can be resumed after every chunk and every log",
    () =>
      Effect.gen(function* () {
        const seeds = fc.sample(fc.integer({ min: 1, max: 2 ** 30 }), 8)
        for (const seed of seeds) {
          const draw = seeded(seed)
          const blocks = 100 + draw.below(3_000)
          const chain = chainOf(draw, blocks, 3)
          const dialect = dialects[draw.pick(Object.keys(dialects))]!
          const client = new Client([new Node("a", chain, { blocks: 1 + draw.below(blocks) }, dialect)], blocks - 1)
          const from = draw.below(blocks - 70)
          const chunk = 1 + draw.below(100)
          const read = (options: Logs.StreamOptions) => collect(Logs.stream(client, {}, { chunk, ...options }))
          const expected = wires(chain, from, blocks - 65)
          const chunks = yield* read({ from })
          assertSeamless(chunks, from, blocks - 65)
          assert.deepStrictEqual(flat(chunks), expected, `seed ${seed}`)
          const cursors = chunks.map(({ cursor }) => cursor)
          for (let i = 0; i < 8; i++) {
            const seen = 1 + chunks.indexOf(draw.pick(chunks))
            const cursor = JSON.parse(JSON.stringify(cursors[seen - 1])) as Logs.Cursor
            const rest = yield* read({ cursor })
            assertSeamless(rest, cursor.block + 1, blocks - 65)
            assert.deepStrictEqual([...flat(chunks.slice(0, seen)), ...flat(rest)], expected, `seed ${seed}`)
            if (expected.length === 0) continue
            const logs = 1 + draw.below(expected.length)
            const after = yield* read({ cursor: Logs.after(expected[logs - 1]!) })
            assert.deepStrictEqual([...expected.slice(0, logs), ...flat(after)], expected, `seed ${seed}`)
          }
        }
      }),
    30_000
  )

  it.effect(
    "makes chunks of about the size wanted, whatever the density",
    () =>
      Effect.gen(function* () {
        const chain = [
          ...Array.from({ length: 20_000 }, (_, block) => block),
          ...Array.from({ length: 30 }, (_, i) => 20_000 + i).flatMap((block) =>
            Array.from({ length: 40 }, () => block)
          ),
          ...Array.from({ length: 20 }, (_, i) => 30_000 + 5_000 * i)
        ].map((block, i) => entry(block, i, addressOf(0), []))
        const client = new Client([new Node("a", chain, {}, dialects["silent"]!)], 200_000)
        const chunks = yield* collect(Logs.stream(client, {}, { from: 0, to: "latest", chunk: 100 }))
        assertSeamless(chunks, 0, 200_000)
        assert.deepStrictEqual(flat(chunks), wires(chain, 0, 200_000))
        for (const { logs } of chunks.slice(1)) assert.isAtMost(logs.length, 1_300)
        assert.isBelow(chunks.length, 20_000 / 100 + 60 + 100)
      }),
    30_000
  )

  it.effect("that would be too large in memory is given up for a smaller one", () =>
    Effect.gen(function* () {
      const chain = evenly(4_000)
      const client = one(chain, { blocks: 100 })
      const chunks = yield* collect(Logs.stream(client, {}, { from: 0, to: 3_999, chunk: 50 }))
      assert.deepStrictEqual(flat(chunks), wires(chain, 0, 3_999))
      for (const { logs } of chunks) assert.isAtMost(logs.length, 8 * 50)
      // A layer below it may say so as well.
      const service = yield* client.layer({ maxLogs: 300 })
      const again = yield* collect(Logs.stream(service, {}, { from: 0, to: 3_999, chunk: 50 }))
      assert.deepStrictEqual(flat(again), wires(chain, 0, 3_999))
      for (const { logs } of again) assert.isAtMost(logs.length, 300)
    })
  )

  it.effect("makes smaller ones of what takes long", () =>
    Effect.gen(function* () {
      const client = one([], { blocks: 10 })
      client.head = 50_000
      client.delay = () => Effect.sleep("1 second")
      const widths: Array<number> = []
      const fiber = yield* Logs.stream(client, {}, { from: 0, to: 20_000 }).pipe(
        Stream.take(8),
        Stream.runForEach(({ from, to }) => Effect.sync(() => void widths.push(to - from + 1))),
        Effect.forkChild({ startImmediately: true })
      )
      while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust("1 second")
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
      // Four at a time, ten blocks each, five seconds.
      for (const width of widths.slice(3)) assert.isAtMost(width, 400)
      assert.isAtLeast(widths.at(-1)!, 50)
    })
  )

  it.effect("goes no further than it is read, and nothing is left when the reader leaves", () =>
    Effect.gen(function* () {
      const client = one(evenly(10_000), {})
      const chunks = yield* Logs.stream(client, {}, { from: 0, to: 9_999 }).pipe(Stream.take(2), Stream.runCollect)
      assert.strictEqual(chunks.length, 2)
      assert.strictEqual(client.ranges.length, 2)
      assert.strictEqual(client.underWay, 0)
    })
  )

  it.effect("of nothing ends at once", () =>
    Effect.gen(function* () {
      const client = one(evenly(100), {})
      assert.deepStrictEqual(yield* collect(Logs.stream(client, {}, { from: 5, to: 4 })), [])
      assert.deepStrictEqual(yield* collect(Logs.stream(client, {}, { cursor: { block: 99 }, to: "latest" })), [])
      assert.strictEqual(client.ranges.length, 0)
    })
  )

  it.effect("fails as the client does, and where there is no such block", () =>
    Effect.gen(function* () {
      const client = one(evenly(100), {})
      client.instead = () => Effect.succeed(null)
      const none = yield* Effect.flip(collect(Logs.stream(client, {}, { from: 0 })))
      assert.match(none.message, /there is no finalized block/)
      const failure = noAnswer([{ upstream: "a", error: new Error("down") }])
      client.instead = () => Effect.fail(failure)
      assert.strictEqual(yield* Effect.flip(collect(Logs.stream(client, {}, { from: 0, to: 9 }))), failure as never)
    })
  )
})
