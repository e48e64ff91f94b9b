import { assert, describe, it } from "@effect/vitest"
import { JsonRpc } from "@hawser/core"
import { RpcError } from "@hawser/rpc"
import fc from "fast-check"
import { Plan } from "../src/internal/logs/plan.ts"
import { type Piece, type Query, read, requestOf, span, whole } from "../src/internal/logs/query.ts"
import { refusalOf } from "../src/internal/logs/refusal.ts"
import {
  addressOf,
  chainOf,
  dialects,
  type Draw,
  type Entry,
  type Filter,
  hex,
  honest,
  type Limits,
  matches,
  Node,
  seeded,
  topicOf
} from "./logs.model.ts"

const queryOf = (filter: Filter): Query => read(JsonRpc.makeRequest("eth_getLogs", [filter]))!

interface Run {
  readonly logs: ReadonlyArray<Entry["wire"]>
  readonly asked: number
  readonly refused: number
  readonly most: number
}

/** Runs a plan with so many workers, whose requests end in any order. */
const run = (node: Node, filter: Filter, workers: number, draw: Draw): Run => {
  const query = queryOf(filter)
  const all = whole(query, { from: Number(filter.fromBlock), to: Number(filter.toBlock) })
  const plan = new Plan({ blocks: Infinity, addresses: Infinity }, Infinity)
  plan.add(all)
  const underWay: Array<Piece> = []
  const logs: Array<Entry["wire"]> = []
  let most = 0
  for (;;) {
    while (underWay.length < workers) {
      const piece = plan.take()
      if (piece === undefined) break
      underWay.push(piece)
    }
    most = Math.max(most, underWay.length)
    if (underWay.length === 0) break
    const [piece] = underWay.splice(draw.below(underWay.length), 1)
    const answer = node.search(requestOf(query, piece!).params[0] as Filter)
    if (Array.isArray(answer)) {
      logs.push(...answer)
      plan.answered(piece!)
    } else if (!plan.refused(piece!, refusalOf(answer, piece!)!)) throw answer
  }
  const sorted = logs.toSorted(
    (a, b) => Number(a.blockNumber) - Number(b.blockNumber) || Number(a.logIndex) - Number(b.logIndex)
  )
  return { logs: sorted, asked: node.asked, refused: node.refused, most }
}

const log2 = (n: number) => Math.ceil(Math.log2(Math.max(1, n)))

/** The fewest requests that could do, asking from the lowest block on for as much as is allowed. */
const fewest = (chain: ReadonlyArray<Entry>, blocks: number, limits: Limits): number => {
  const { results = Infinity } = limits
  const counts = new Map<number, number>()
  for (const { block } of chain) counts.set(block, (counts.get(block) ?? 0) + 1)
  let pieces = 1
  let width = 0
  let held = 0
  for (let block = 0; block < blocks; block++) {
    const count = counts.get(block) ?? 0
    if (width > 0 && (held + count > results || width === (limits.blocks ?? Infinity))) {
      pieces++
      width = held = 0
    }
    width++
    held += count
    if (count > results) pieces += Math.ceil(count / results)
  }
  return pieces
}

/** Repeats for many seeds, and names the one that fails. */
const forSeeds = (count: number, f: (draw: Draw, seed: number) => void) =>
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 ** 30 }), (seed) => f(seeded(seed), seed)),
    { numRuns: count }
  )

describe("a limit on blocks", () => {
  it("whose number is told, or not, costs at most twice the requests needed and a few to find it out", () => {
    forSeeds(300, (draw) => {
      const blocks = 1 + draw.below(20_000)
      const limit = 1 + draw.below(blocks)
      const node = new Node("a", [], { blocks: limit }, dialects[draw.pick(honest)]!)
      const { asked } = run(node, { fromBlock: "0x0", toBlock: hex(blocks - 1) }, 1 + draw.below(8), draw)
      assert.isAtMost(asked, 2 * Math.ceil(blocks / limit) + asked / 20 + 2 * log2(blocks) + 8)
    })
  })

  it("that is named costs one request more than needed, up to eight parts", () => {
    forSeeds(100, (draw) => {
      const limit = 2 + draw.below(1_000)
      const parts = 2 + draw.below(7)
      const node = new Node("a", [], { blocks: limit }, dialects["quicknode"]!)
      const { asked, refused } = run(node, { fromBlock: "0x0", toBlock: hex(limit * parts - 1) }, 4, draw)
      assert.deepStrictEqual({ asked, refused }, { asked: parts + 1, refused: 1 })
    })
  })

  it("that is not named is found out by one request at a time", () => {
    const node = new Node("a", [], { blocks: 100 }, dialects["silent"]!)
    const { asked, refused } = run(node, { fromBlock: "0x0", toBlock: hex(6_399) }, 8, seeded(1))
    assert.deepStrictEqual({ asked, refused }, { asked: 64 + 6 + 2, refused: 6 + 2 })
  })

  it("that is a lie costs a logarithm more, whatever it says", () => {
    forSeeds(300, (draw) => {
      const blocks = 1 + draw.below(5_000)
      const limit = 1 + draw.below(blocks)
      const node = new Node("a", [], { blocks: limit }, dialects[draw.pick(Object.keys(dialects))]!)
      const { asked } = run(node, { fromBlock: "0x0", toBlock: hex(blocks - 1) }, 1 + draw.below(8), draw)
      assert.isAtMost(asked, 4 * (blocks / limit + 8) * (log2(blocks) + 1))
    })
  })
})

describe("any limits, any words", () => {
  it("the parts give what the whole would, in a number of requests that is bounded", () => {
    const tally = { whole: 0, apart: 0, impossible: 0 }
    forSeeds(250, (draw) => {
      const blocks = 1 + draw.below(800)
      const addresses = 1 + draw.below(6)
      const chain = chainOf(draw, blocks, addresses)
      const limits: Limits = {
        ...(draw.below(3) > 0 ? { results: 1 + draw.below(60) } : {}),
        ...(draw.below(2) > 0 ? { blocks: 1 + draw.below(blocks) } : {}),
        ...(draw.below(4) === 0 ? { addresses: 1 + draw.below(3) } : {}),
        ...(draw.below(4) === 0 ? { topics: 1 + draw.below(2) } : {})
      }
      const filter = filterOf(draw, blocks, addresses)
      const expected = chain
        .filter((log) => log.block >= Number(filter.fromBlock) && log.block <= Number(filter.toBlock))
        .filter((log) => matches(filter, log))
      const node = new Node("a", chain, limits, dialects[draw.pick(Object.keys(dialects))]!)
      const workers = 1 + draw.below(8)
      try {
        const { asked, logs, most } = run(node, filter, workers, draw)
        assert.deepStrictEqual(
          logs,
          expected.map(({ wire }) => wire)
        )
        assert.isAtMost(most, workers)
        const needed = fewest(expected, blocks, limits)
        // The last factor is for addresses and topics, each of which may have to be asked for alone.
        assert.isAtMost(asked, 8 * (needed + 8) * (log2(blocks) + 1) * 8)
        tally[asked === 1 ? "whole" : "apart"]++
      } catch (error) {
        if (!(error instanceof RpcError.ResponseError)) throw error
        // One block, address and topic of each place has more than the node tells.
        assert.isTrue(tooDense(expected, filter, limits), JSON.stringify({ limits, filter }))
        tally.impossible++
      }
    })
    assert.isAbove(tally.apart, 50)
  })
})

const filterOf = (draw: Draw, blocks: number, addresses: number): Filter => {
  const from = draw.below(blocks)
  const some = (of: (n: number) => string, n: number) => {
    // Doubles, and letters of either case.
    const list = Array.from({ length: 1 + draw.below(6) }, () => of(draw.below(n)))
    return list.map((value) => (draw.below(4) === 0 ? `0x${value.slice(2).toUpperCase()}` : value))
  }
  const places = Array.from({ length: draw.below(4) }, () =>
    draw.below(3) === 0 ? null : draw.below(2) === 0 ? topicOf(draw.below(4)) : some(topicOf, 4)
  )
  return {
    fromBlock: hex(from),
    toBlock: hex(from + draw.below(blocks - from)),
    ...draw.pick([{}, { address: addressOf(draw.below(addresses)) }, { address: some(addressOf, addresses) }]),
    ...(draw.below(2) === 0 ? {} : { topics: places })
  }
}

/** Whether there is a part that cannot be made less and yet has more than is allowed. */
const tooDense = (logs: ReadonlyArray<Entry>, filter: Filter, { results = Infinity, topics = Infinity }: Limits) => {
  if (topics < 1) return true
  const counts = new Map<string, number>()
  for (const log of logs) {
    const places = Array.isArray(filter.topics) ? filter.topics : []
    const key = JSON.stringify([
      log.block,
      Array.isArray(filter.address) ? log.address : "",
      places.map((place, i) => (Array.isArray(place) ? log.topics[i] : ""))
    ])
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return Array.from(counts.values()).some((count) => count > results)
}

describe("what is asked for", () => {
  const of = (filter: unknown, ...more: ReadonlyArray<unknown>) =>
    read(JsonRpc.makeRequest("eth_getLogs", [filter, ...more]))

  it.each([
    ["another method", JsonRpc.makeRequest("eth_getBalance", [{ fromBlock: "0x1" }])],
    ["a block by its hash", JsonRpc.makeRequest("eth_getLogs", [{ blockHash: topicOf(1) }])],
    ["no filter", JsonRpc.makeRequest("eth_getLogs", [])],
    ["more than a filter", JsonRpc.makeRequest("eth_getLogs", [{}, {}])],
    ["a field that nobody knows", JsonRpc.makeRequest("eth_getLogs", [{ fromBlock: "0x1", limit: 5 }])],
    ["up to the pending block", JsonRpc.makeRequest("eth_getLogs", [{ fromBlock: "0x1", toBlock: "pending" }])],
    ["a number that is none", JsonRpc.makeRequest("eth_getLogs", [{ fromBlock: 1 }])]
  ])("%s is not taken apart", (_, request) => assert.isUndefined(read(request)))

  it("an end that is not given is the head", () => {
    assert.deepInclude(of({}), { from: "latest", to: "latest" })
    assert.deepInclude(of({ fromBlock: null, toBlock: "0x7" }), { from: "latest", to: 7 })
    assert.deepInclude(of({ fromBlock: "earliest" }), { from: "earliest", to: "latest" })
  })

  it("stays in the caller's words as far as it is not taken apart", () => {
    const filter = {
      fromBlock: "0x1",
      toBlock: "0x9",
      address: ["0xAA", "0xaa", "0xBB"],
      topics: [null, ["0x1", "0x1"]]
    }
    const query = of(filter)!
    const all = whole(query, { from: 1, to: 9 })
    assert.deepStrictEqual(requestOf(query, all).params, [filter])
    assert.deepStrictEqual(requestOf(query, { ...all, to: 4, addresses: ["0xAA"] }).params, [
      { ...filter, toBlock: "0x4", address: ["0xAA"] }
    ])
    assert.deepStrictEqual(all.addresses, ["0xAA", "0xBB"])
    assert.strictEqual(span(all), 9)
  })
})
