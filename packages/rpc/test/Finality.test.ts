import { assert, describe, it } from "@effect/vitest"
import { JsonRpc } from "@hawser/core"
import * as Finality from "../src/Finality.ts"
import type { Block, Change, Heads } from "../src/internal/heads.ts"

const hashOf = (number: number, branch = 0) => `0x${branch}${number.toString(16).padStart(63, "0")}`
const hex = (number: number) => `0x${number.toString(16)}`
const blockOf = (number: number, branch = 0): Block => ({
  number,
  hash: hashOf(number, branch),
  parentHash: hashOf(number - 1, branch),
  timestamp: number * 12
})

/** Heads that are set by hand. */
class Told implements Heads {
  known: { latest?: number; safe?: number; finalized?: number }
  branch = 0
  private readonly listeners = new Set<(change: Change) => void>()

  constructor(known: Told["known"] = { latest: 100, safe: 95, finalized: 90 }) {
    this.known = known
  }

  private at(number: number | undefined) {
    return number === undefined ? undefined : blockOf(number, this.branch)
  }
  readonly latest = () => this.at(this.known.latest)
  readonly safe = () => this.at(this.known.safe)
  readonly finalized = () => this.at(this.known.finalized)
  readonly hashAt = (number: number) =>
    number > (this.known.latest ?? -1) || number < 80 ? undefined : hashOf(number, this.branch)
  readonly on = (listener: (change: Change) => void) => {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }
  tell(change: Change): void {
    for (const listener of this.listeners) listener(change)
  }
  get heard(): number {
    return this.listeners.size
  }
}

const address = `0x${"a".repeat(40)}`
const ask = (method: string, ...params: ReadonlyArray<unknown>) => JsonRpc.makeRequest(method, params)
const balance = (block: unknown) => ask("eth_getBalance", address, block)
const header = (number: number, branch = 0) => ({ number: hex(number), hash: hashOf(number, branch) })
const mined = (number: number, branch = 0) => ({ blockNumber: hex(number), blockHash: hashOf(number, branch) })
const receipt = ask("eth_getTransactionReceipt", hashOf(1))

const options = { latest: "2 seconds", unfinal: "30 seconds" } as const

/** For how long an answer is kept, and under which tags; nothing if it is not kept. */
const kept = (
  request: JsonRpc.Request,
  value: unknown,
  heads: Heads = new Told(),
  given: Finality.Options = options
) => {
  const policy = Finality.make(heads, given).policy(request)
  const ttl = policy?.ttl(value)
  if (ttl === undefined || ttl === 0) return undefined
  const tags = policy!.tags ?? []
  return [ttl, ...(typeof tags === "function" ? tags(value) : tags)]
}

const final = [Infinity, "final"]
const untilHead = [2_000, "latest"]
const recent = (number: number) => [30_000, `block/${number}`, "unfinal"]

describe("by what is asked", () => {
  const cases: ReadonlyArray<readonly [JsonRpc.Request, unknown, ReadonlyArray<unknown> | undefined]> = [
    [ask("eth_chainId"), "0x1", [Infinity]],
    [ask("net_version"), "1", [Infinity]],
    [ask("eth_getBlockByHash", hashOf(100), false), header(100), [Infinity]],
    [ask("eth_call", {}, { blockHash: hashOf(100) }), "0x", [Infinity]],
    [ask("eth_call", {}, { blockHash: hashOf(100), requireCanonical: true }), "0x", untilHead],

    [balance("0x0"), "0x0", final],
    [balance(hex(90)), "0x0", final],
    [balance(hex(91)), "0x0", recent(91)],
    [balance(hex(100)), "0x0", recent(100)],
    [balance(hex(101)), "0x0", untilHead],
    [balance("latest"), "0x0", untilHead],
    [balance("earliest"), "0x0", untilHead],
    [balance("safe"), "0x0", [30_000, "safe"]],
    [balance("finalized"), "0x0", [30_000, "finalized"]],
    [balance("pending"), "0x0", undefined],
    [ask("eth_getBalance", address), "0x0", untilHead],
    [ask("eth_getBalance", address, 100), "0x0", undefined],

    [ask("eth_getLogs", { fromBlock: hex(1), toBlock: hex(90) }), [], final],
    [ask("eth_getLogs", { fromBlock: hex(1), toBlock: hex(91) }), [mined(5)], recent(91)],
    [ask("eth_getLogs", { fromBlock: hex(1), toBlock: hex(91) }), [], [2_000, "block/91", "unfinal"]],
    [ask("eth_getLogs", { fromBlock: hex(1) }), [mined(5)], untilHead],
    [ask("eth_getLogs", { fromBlock: hex(1), toBlock: "finalized" }), [], [30_000, "finalized"]],
    [ask("eth_getLogs", { fromBlock: "safe", toBlock: "finalized" }), [], [2_000, "latest", "safe", "finalized"]],
    [ask("eth_getLogs", { fromBlock: "finalized", toBlock: hex(90) }), [], [2_000, "latest", "safe", "finalized"]],
    [ask("eth_getLogs", { blockHash: hashOf(5) }), [mined(5)], [Infinity]],
    [ask("eth_getLogs", { blockHash: hashOf(5) }), [], undefined],
    [ask("eth_feeHistory", "0x4", hex(90), []), {}, final],

    [receipt, mined(90), final],
    [receipt, mined(91), recent(91)],
    [receipt, mined(101), untilHead],
    [receipt, { ...mined(91), blockHash: null, blockNumber: null }, undefined],
    [ask("trace_transaction", hashOf(1)), [{ blockNumber: 91, blockHash: hashOf(91) }], recent(91)],
    [ask("trace_transaction", hashOf(1)), [], undefined],

    [ask("eth_blockNumber"), hex(100), untilHead],
    [ask("eth_blockNumber"), hex(99), undefined],
    [ask("eth_gasPrice"), "0x1", untilHead],
    [ask("eth_estimateGas", {}, hex(90)), "0x1", undefined],
    [ask("debug_traceTransaction", hashOf(1)), {}, undefined],
    [ask("eth_syncing"), false, undefined],
    [ask("vendor_getThings"), "0x1", undefined]
  ]
  for (const [request, value, expected] of cases) {
    it(`${request.method}(${JSON.stringify(request.params)}) = ${JSON.stringify(value)}`, () => {
      assert.deepStrictEqual(kept(request, value), expected)
      assert.isUndefined(kept(request, null))
    })
  }
})

describe("by what is known", () => {
  it("of no head: only what never changes is kept", () => {
    const heads = new Told({})
    for (const block of ["0x1", "latest", "safe", "finalized", { blockNumber: "0x5" }]) {
      assert.isUndefined(kept(balance(block), "0x0", heads))
    }
    for (const request of [ask("eth_blockNumber"), ask("eth_gasPrice")]) assert.isUndefined(kept(request, "0x1", heads))
    assert.isUndefined(kept(receipt, mined(5), heads))
    assert.deepStrictEqual(kept(ask("eth_chainId"), "0x1", heads), [Infinity])
    assert.deepStrictEqual(kept(balance({ blockHash: hashOf(5) }), "0x0", heads), [Infinity])
    assert.deepStrictEqual(kept(balance("0x0"), "0x0", heads), final)
  })

  it("of no finalized block: nothing but the first is final", () => {
    const heads = new Told({ latest: 100 })
    assert.deepStrictEqual(kept(balance("0x1"), "0x0", heads), recent(1))
    assert.isUndefined(kept(balance("finalized"), "0x0", heads))
    const deep = { ...options, finalAfter: 64 }
    assert.deepStrictEqual(kept(balance(hex(36)), "0x0", heads, deep), final)
    assert.deepStrictEqual(kept(balance(hex(37)), "0x0", heads, deep), recent(37))
    assert.deepStrictEqual(kept(balance(hex(36)), "0x0", new Told({ latest: 100, finalized: 30 }), deep), recent(36))
    assert.deepStrictEqual(kept(balance("0x0"), "0x0", new Told({}), deep), final)
    assert.isUndefined(kept(balance("0x1"), "0x0", new Told({}), deep))
  })

  it("a block that became final while it was on its way is kept as such", () => {
    const heads = new Told()
    const policy = Finality.make(heads, options).policy(balance(hex(95)))!
    heads.known.finalized = 95
    assert.strictEqual(policy.ttl("0x0"), Infinity)
  })

  it("an answer of another branch, or of an older head, is not kept", () => {
    assert.isUndefined(kept(receipt, mined(95, 1)))
    assert.isUndefined(kept(ask("eth_getBlockByNumber", hex(95), false), header(95, 1)))
    assert.isUndefined(kept(ask("eth_getBlockByNumber", "latest", false), header(100, 1)))
    assert.isUndefined(kept(ask("eth_getBlockByNumber", "latest", false), header(99)))
    assert.isUndefined(kept(ask("eth_getBlockByNumber", "finalized", false), header(89)))
    assert.isUndefined(kept(ask("eth_getLogs", { fromBlock: "0x1", toBlock: hex(95) }), [mined(3), mined(94, 1)]))
    // Older blocks are not remembered.
    assert.deepStrictEqual(kept(receipt, mined(70, 1)), final)
  })

  it("without end, if so wanted; tags are asked again after a minute all the same", () => {
    const always = { ...options, unfinal: Infinity, staleIfError: "1 hour" } as const
    assert.deepStrictEqual(kept(balance(hex(95)), "0x0", new Told(), always), [Infinity, "block/95", "unfinal"])
    assert.deepStrictEqual(kept(balance("finalized"), "0x0", new Told(), always), [60_000, "finalized"])
    assert.strictEqual(Finality.make(new Told(), always).policy(balance("latest"))!.staleIfError, 3_600_000)
    assert.isUndefined(Finality.make(new Told(), always).policy(balance(hex(5)))!.staleIfError)
  })

  it("a wrong option is named", () => {
    assert.throws(() => Finality.make(new Told(), { unfinal: "soon" as never }), /Finality\.unfinal takes a duration/)
    assert.throws(() => Finality.make(new Told(), { chainId: 0 }), /Finality\.chainId/)
  })
})

describe("what a change drops", () => {
  const watched = (used: ReadonlyArray<number> = []) => {
    const heads = new Told()
    const finality = Finality.make(heads, options)
    const dropped: Array<string> = []
    const off = finality.watch((tag) => dropped.push(tag))
    for (const number of used) finality.policy(balance(hex(number)))
    const after = (change: Change) => {
      dropped.length = 0
      heads.tell(change)
      return [...dropped]
    }
    return { heads, finality, off, after, dropped }
  }
  const block = blockOf(101)

  it("its tag", () => {
    const { after } = watched([95])
    assert.deepStrictEqual(after({ type: "head", block }), ["latest"])
    assert.deepStrictEqual(after({ type: "safe", block }), ["safe"])
    assert.deepStrictEqual(after({ type: "finalized", block }), ["finalized"])
  })

  it("a reorganisation: whatever goes up to one of its blocks, and all tags", () => {
    const { after } = watched([92, 99, 97])
    assert.deepStrictEqual(after({ type: "reorg", from: 96 }), [
      "latest",
      "safe",
      "finalized",
      "block/96",
      "block/97",
      "block/98",
      "block/99"
    ])
    assert.deepStrictEqual(after({ type: "reorg", from: 100 }), ["latest", "safe", "finalized"])
  })

  it("a deep one: whatever is not final; one of what was final: that, too", () => {
    const { after, finality, heads } = watched([99])
    heads.known = { latest: 500, safe: 95, finalized: 90 }
    finality.policy(balance(hex(400)))
    assert.deepStrictEqual(after({ type: "reorg", from: 91 }), ["latest", "safe", "finalized", "unfinal"])
    finality.policy(balance(hex(80)))
    assert.deepStrictEqual(after({ type: "reorg", from: 80 }), ["latest", "safe", "finalized", "final", "unfinal"])
  })

  it("an answer that tells of a newer block than the heads: what was the latest", () => {
    const { dropped, finality } = watched()
    finality.note(ask("eth_blockNumber"), hex(100))
    finality.note(receipt, mined(100))
    assert.deepStrictEqual(dropped, [])
    finality.note(receipt, mined(101))
    finality.note(ask("eth_blockNumber"), hex(101))
    assert.deepStrictEqual(dropped, ["latest"])
    finality.note(ask("eth_blockNumber"), hex(102))
    assert.deepStrictEqual(dropped, ["latest", "latest"])
  })

  it("nothing any more, once it is stopped", () => {
    const { after, finality, heads, off } = watched()
    off()
    assert.strictEqual(heads.heard, 0)
    assert.deepStrictEqual(after({ type: "head", block }), [])
    finality.note(ask("eth_blockNumber"), hex(200))
  })
})

describe("what else an answer answers", () => {
  const also = (request: JsonRpc.Request, value: unknown) =>
    Finality.make(new Told(), options)
      .note(request, value)
      .map(({ method, params }) => [method, ...params])
  const byHash = (number: number, branch = 0) => ["eth_getBlockByHash", hashOf(number, branch), false]
  const byNumber = (number: number) => ["eth_getBlockByNumber", hex(number), false]
  const latest = ["eth_getBlockByNumber", "latest", false]

  it("a block has a hash and a number, if it is of the chain as it was seen", () => {
    assert.deepStrictEqual(also(ask("eth_getBlockByNumber", "latest", false), header(100)), [
      byHash(100),
      byNumber(100),
      latest
    ])
    assert.deepStrictEqual(also(ask("eth_getBlockByNumber", "latest", false), header(99)), [byHash(99), byNumber(99)])
    assert.deepStrictEqual(also(ask("eth_getBlockByNumber", "safe", false), header(95)), [byHash(95), byNumber(95)])
    assert.deepStrictEqual(also(ask("eth_getBlockByHash", hashOf(95), false), header(95)), [byHash(95), byNumber(95)])
    assert.deepStrictEqual(also(ask("eth_getBlockByHash", hashOf(95, 1), false), header(95, 1)), [byHash(95, 1)])
    assert.deepStrictEqual(also(ask("eth_getBlockByNumber", "latest", false), header(101)), [byHash(101)])
  })

  it("with transactions as it has them", () => {
    assert.deepStrictEqual(also(ask("eth_getBlockByNumber", "safe", true), header(95)), [
      ["eth_getBlockByHash", hashOf(95), true],
      ["eth_getBlockByNumber", hex(95), true]
    ])
  })

  it("no block that is not one yet, and nothing else", () => {
    assert.deepStrictEqual(also(ask("eth_getBlockByNumber", "pending", false), header(101)), [])
    assert.deepStrictEqual(also(ask("eth_getBlockByNumber", "latest", false), { ...header(101), hash: null }), [])
    assert.deepStrictEqual(also(ask("eth_getBlockByNumber", hex(200), false), null), [])
    assert.deepStrictEqual(also(receipt, mined(95)), [])
  })
})
