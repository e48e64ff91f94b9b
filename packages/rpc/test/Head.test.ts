import { assert, describe, it } from "@effect/vitest"
import { JsonRpc, Outcome } from "@hawser/core"
import { Context, Duration, Effect, Layer } from "effect"
import * as fc from "fast-check"
import * as Head from "../src/Head.ts"
import { readerOf } from "../src/internal/head/evidence.ts"
import { methods } from "../src/internal/methods.ts"

const hash = (n: number) => `0x${n.toString(16).padStart(64, "0")}`

const block = { number: "0x64", hash: hash(0xa64), parentHash: hash(0xa63), timestamp: "0x10", transactions: [] }
const seen = { number: 100, hash: hash(0xa64), parentHash: hash(0xa63), timestamp: 16 }
const within = { blockNumber: "0x64", blockHash: hash(0xa64) }
const bare = { number: 100, hash: hash(0xa64), parentHash: undefined, timestamp: undefined }

const shown = (method: string, params: ReadonlyArray<unknown>, result: unknown) =>
  readerOf(JsonRpc.makeRequest(method, params))?.(params, result)

describe("what an answer shows", () => {
  it("a block, by tag or number, is of the upstream's chain", () => {
    assert.deepStrictEqual(shown("eth_getBlockByNumber", ["latest", false], block), { kind: "head", ...seen })
    assert.deepStrictEqual(shown("eth_getBlockByNumber", [], block), { kind: "head", ...seen })
    assert.deepStrictEqual(shown("eth_getBlockByNumber", ["safe", false], block), { kind: "safe", ...seen })
    assert.deepStrictEqual(shown("eth_getBlockByNumber", ["finalized", false], block), { kind: "finalized", ...seen })
    assert.deepStrictEqual(shown("eth_getBlockByNumber", ["0x64", true], block), { kind: "block", ...seen })
    assert.deepStrictEqual(shown("eth_getBlockByNumber", ["earliest", true], block), { kind: "block", ...seen })
    assert.isUndefined(shown("eth_getBlockByNumber", ["pending", false], block))
  })

  it("one that is asked for by its hash may have left it", () => {
    assert.deepStrictEqual(shown("eth_getBlockByHash", [block.hash, false], block), { kind: "has", ...seen })
    assert.deepStrictEqual(shown("eth_getLogs", [{ blockHash: block.hash }], [within]), { kind: "has", ...bare })
    assert.deepStrictEqual(shown("eth_getBlockReceipts", [block.hash], [within]), { kind: "has", ...bare })
  })

  it("receipts, transactions and logs say where they are; of many the last", () => {
    assert.deepStrictEqual(shown("eth_getTransactionReceipt", ["0x"], within), { kind: "block", ...bare })
    assert.deepStrictEqual(shown("eth_getTransactionByHash", ["0x"], within), { kind: "block", ...bare })
    const earlier = { blockNumber: "0x1", blockHash: hash(1) }
    assert.deepStrictEqual(shown("eth_getLogs", [{}], [earlier, within]), { kind: "block", ...bare })
    assert.isUndefined(shown("eth_getTransactionByHash", ["0x"], { blockNumber: null, blockHash: null }))
    assert.isUndefined(shown("eth_getLogs", [{}], [{ ...within, removed: true }]))
    assert.isUndefined(shown("eth_getLogs", [{}], []))
  })

  it("nothing, if it is not what it should be", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...methods.keys()),
        fc.array(fc.anything()),
        fc.anything(),
        (method, params, result) => {
          const evidence = shown(method, params, result)
          if (evidence !== undefined) assert.isTrue(Number.isSafeInteger(evidence.number))
        }
      )
    )
    for (const number of ["0x", "100", 100, "-0x1", "0x1.5", "0xfffffffffffffffff", null]) {
      assert.isUndefined(shown("eth_getBlockByNumber", ["latest", false], { ...block, number }))
    }
  })
})

describe("errors", () => {
  it("say what they are about, and where to go", () => {
    const refusal = Outcome.refusal(undefined, "wait")
    const errors = [
      [
        new Head.Behind({ upstream: "a", needed: 7, head: 5, [Outcome.TypeId]: refusal }),
        "is at block 5, behind 7",
        { refused: true, insist: "wait" }
      ],
      [
        new Head.Behind({ upstream: "a", needed: 7, head: undefined, [Outcome.TypeId]: refusal }),
        "is not known to have block 7",
        { refused: true }
      ],
      [
        new Head.Pruned({ upstream: "a", method: "eth_call", earliest: 9 }),
        "has no block below 9 for eth_call",
        { refused: true, insist: "wait", counts: "neutral" }
      ],
      [
        new Head.Unsupported({ upstream: "a", method: "trace_block", kind: "plan", blocks: undefined }),
        "has trace_block only on another plan",
        { refused: true, insist: "wait" }
      ],
      [
        new Head.Unsupported({ upstream: "a", method: "eth_getLogs", kind: "range", blocks: 10 }),
        "takes eth_getLogs over at most 10 blocks",
        { refused: true, insist: "wait" }
      ],
      [
        new Head.NotFound({ upstream: "a", method: "eth_call" }),
        "has no answer to eth_call",
        { refused: false, counts: "neutral", again: "elsewhere", ran: "no" }
      ]
    ] as const
    for (const [error, message, verdict] of errors) {
      assert.strictEqual(error.message, message)
      assert.deepInclude(Outcome.of(error), verdict)
    }
  })
})

describe("options", () => {
  it("that are wrong name themselves", () => {
    for (const [options, message] of [
      [{ lag: "never" }, /Head\.lag takes one of "wait", "serve"/],
      [{ tolerance: { blocks: -1 } }, /Head\.tolerance\.blocks takes a whole number of at least 0/],
      [{ tolerance: 3 }, /Head\.tolerance takes a record/],
      [{ blockTime: 0 }, /Head\.blockTime takes a duration/],
      [{ track: ["newest"] }, /Head\.track takes one of/],
      [{ track: "latest" }, /Head\.track takes a list/],
      [{ track: [undefined] }, /Head\.track takes one of/],
      [{ memory: "soon" }, /Head\.memory takes a duration/],
      [{ poll: true }, /Head\.poll takes no value/]
    ] as const) {
      assert.throws(() => Head.make(options as never), message)
    }
    assert.throws(() => Head.upstream({} as never), /Head takes what Head\.make gave/)
    assert.throws(() => Head.client({} as never), /Head takes what Head\.make gave/)
  })

  it.effect("have their defaults, and all that is known is shown", () =>
    Effect.gen(function* () {
      const head = Head.make()
      assert.isUndefined(head.floor())
      const upstream = Layer.succeed(JsonRpc.upstream<never>())({
        name: "a",
        request: ({ method }) => Effect.succeed(method === "eth_blockNumber" ? "0x64" : block),
        inspect: () => ({ name: "a" })
      }).pipe(Head.upstream(head))
      const client = Layer.succeed(JsonRpc.client<never>())({
        name: "pool",
        request: () => Effect.succeed("0x63"),
        inspect: () => ({ name: "pool" })
      }).pipe(Head.client(head))
      const below = Context.get(yield* Layer.build(upstream), JsonRpc.upstream<unknown>())
      const above = Context.get(yield* Layer.build(client), JsonRpc.client<never>())
      assert.deepInclude(below.inspect()["head"], { latest: undefined, age: undefined, lag: undefined, late: false })
      yield* below.request(JsonRpc.makeRequest("eth_blockNumber"))
      assert.deepStrictEqual(above.inspect()["head"], {
        floor: 100,
        quorum: 100,
        latest: undefined,
        safe: undefined,
        finalized: undefined,
        blockTime: Duration.toMillis("12 seconds")
      })
      yield* below.request(JsonRpc.makeRequest("eth_getBlockByNumber", ["finalized", false]))
      assert.deepStrictEqual(below.inspect()["head"], {
        latest: 100,
        safe: undefined,
        finalized: 100,
        age: 0,
        lag: { blocks: 0, time: 0 },
        late: false,
        unsupported: [],
        earliest: {},
        ranges: {}
      })
      assert.strictEqual(head.finalized()?.hash, block.hash)
      assert.strictEqual(head.hashAt(99), block.parentHash)
      assert.strictEqual(yield* above.request(JsonRpc.makeRequest("eth_blockNumber")), "0x64")
    }).pipe(Effect.scoped)
  )
})
