import { assert, describe, it } from "@effect/vitest"
import { Follower, type Found, type Step } from "../../src/internal/subscription/follower.ts"
import { type Head, readHead } from "../../src/internal/subscription/head.ts"
import { Ledger, type Log, readLogs } from "../../src/internal/subscription/ledger.ts"
import { seeded, settle, Tree, Witness } from "./tree.ts"

const bounds = { depth: 60, gap: 200 }

const seeds = Array.from({ length: 400 }, (_, i) => i + 1)

/** How it goes wrong with the first seed with which it does. */
const failure = (run: (seed: number) => void): Error | undefined => {
  for (const seed of seeds) {
    try {
      run(seed)
    } catch (error) {
      return new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error })
    }
  }
  return undefined
}

const holds = (run: (seed: number) => void): void => {
  const error = failure(run)
  if (error !== undefined) throw error
}

type Make = (start: Head) => Follower

/**
 * A chain that grows and is reorganised, told by nodes that lag, lose, repeat and reorder what they say, with listeners
 * that come late. Throws if anybody hears anything but the chain.
 */
const play = (seed: number, make: Make = (start) => new Follower(start, bounds)): void => {
  const random = seeded(seed)
  const upTo = (n: number) => Math.floor(random() * n)
  const tree = new Tree(10 + upTo(20))
  const follower = make(tree.head)
  // Knows what lies below the start too: a fork may be there.
  const witness = new Witness(tree.chain)
  /** What was said and has not arrived yet. */
  const wire: Array<Head> = []
  /** A node that still stands on an older chain. */
  let stale = tree.chain.slice()
  const deliver = (head: Head) => {
    const found = settle(follower, follower.offer(head), (hash) =>
      // A node may not have a block that another told.
      random() < 0.1 && hash !== follower.oldest.parentHash ? undefined : tree.blocks.get(hash)
    )
    if (found.type === "lost") throw new Error(`lost: ${found.why} ${found.from} ${found.to}`)
    for (const step of found.steps) witness.hear(step)
    if (follower.tip.hash !== witness.chain.at(-1)!.hash) throw new Error("told something else than is held")
  }
  for (let i = 0; i < 120; i++) {
    const what = random()
    if (what < 0.3) wire.push(tree.mine())
    else if (what < 0.38) tree.reorg(1 + upTo(4), upTo(3))
    else if (what < 0.41) tree.reorg(3, -1)
    else if (what < 0.46) stale = tree.chain.slice()
    else if (what < 0.56) wire.push(tree.head)
    else if (what < 0.62) wire.push(stale[Math.max(0, stale.length - 1 - upTo(3))]!)
    else if (wire.length > 0) {
      const [head] = wire.splice(random() < 0.7 ? 0 : upTo(wire.length), 1)
      const fate = random()
      if (fate > 0.15) deliver(head!)
      if (fate > 0.85) deliver(head!)
    }
  }
  // In the end somebody says it, three times if need be: it may be lower than what we hold.
  for (let i = 0; i < 3; i++) {
    const found = settle(follower, follower.offer(tree.head), (hash) => tree.blocks.get(hash))
    if (found.type === "lost")
      throw new Error(
        `lost at last: ${found.why} ${found.from} ${found.to}; tip ${follower.tip.number}, oldest ${follower.oldest.number}, head ${tree.head.number}`
      )
    for (const step of found.steps) witness.hear(step)
  }
  const heard = witness.chain.map(({ hash }) => hash)
  const actual = tree.chain.map(({ hash }) => hash)
  if (heard.join() !== actual.join()) throw new Error("not the chain in the end")
}

describe("following a chain", () => {
  it("tells each block once, in order, without a gap, whoever says what", () => holds(play))

  describe("differs from one that", () => {
    const mutants: Readonly<Record<string, Make>> = {
      "takes every head as it comes": (start) =>
        new (class extends Follower {
          override offer(head: Head): Found {
            const found = super.offer(head)
            return found.type === "need" ? { type: "steps", steps: [{ type: "added", block: head }] } : found
          }
        })(start, bounds),
      "forgets what was removed": (start) =>
        new (class extends Follower {
          override supply(head: Head): Found {
            const found = super.supply(head)
            return found.type === "steps"
              ? { ...found, steps: found.steps.filter(({ type }) => type === "added") }
              : found
          }
        })(start, bounds),
      "removes the oldest first": (start) =>
        new (class extends Follower {
          override supply(head: Head): Found {
            const found = super.supply(head)
            if (found.type !== "steps") return found
            const removed = found.steps.filter(({ type }) => type === "removed").toReversed()
            return { ...found, steps: [...removed, ...found.steps.filter(({ type }) => type === "added")] }
          }
        })(start, bounds),
      "drops what fills the gap": (start) =>
        new (class extends Follower {
          override supply(head: Head): Found {
            const found = super.supply(head)
            return found.type === "steps" ? { ...found, steps: found.steps.slice(-1) } : found
          }
        })(start, bounds),
      "tells twice what is said twice": (start) =>
        new (class extends Follower {
          private last: ReadonlyArray<Step> = []
          override offer(head: Head): Found {
            if (head.hash === this.tip.hash) return { type: "steps", steps: this.last }
            const found = super.offer(head)
            if (found.type === "steps" && found.steps.length > 0) this.last = found.steps
            return found
          }
        })(start, bounds),
      "never believes a lower chain": (start) =>
        new (class extends Follower {
          override offer(head: Head): Found {
            return head.number < this.tip.number ? { type: "steps", steps: [] } : super.offer(head)
          }
        })(start, bounds),
      "gives up where a block is missing": (start) =>
        new (class extends Follower {
          private stuck = false
          override offer(head: Head): Found {
            return this.stuck ? { type: "steps", steps: [] } : super.offer(head)
          }
          override missing(hash: string): Found {
            this.stuck = true
            return super.missing(hash)
          }
        })(start, bounds)
    }
    for (const [name, make] of Object.entries(mutants)) {
      it(name, () => assert.isDefined(failure((seed) => play(seed, make))))
    }
  })

  const steps = (found: Found) => {
    assert(found.type === "steps")
    return found.steps.map(({ block, type }) => `${type} ${block.number}`)
  }

  it("needs no block that was seen", () => {
    const tree = new Tree(5)
    const follower = new Follower(tree.head, bounds)
    const [a, b, c] = [tree.mine(), tree.mine(), tree.mine()]
    assert.deepStrictEqual(follower.offer(b), { type: "need", hash: a.hash, number: a.number })
    assert.deepStrictEqual(follower.offer(c), { type: "need", hash: a.hash, number: a.number })
    assert.deepStrictEqual(steps(follower.supply(a)), ["added 5", "added 6", "added 7"])
  })

  it("takes no parent of another height", () => {
    const tree = new Tree(5)
    const follower = new Follower(tree.head, bounds)
    const [a, b] = [tree.mine(), tree.mine()]
    follower.note({ ...a, number: 3 })
    assert.deepStrictEqual(follower.offer(b), { type: "need", hash: a.hash, number: a.number })
  })

  it("goes below its start for the fork, and starts there if that cannot be had", () => {
    const tree = new Tree(10)
    const start = tree.head
    const [deep, shallow] = [new Follower(start, bounds), new Follower(start, bounds)]
    tree.reorg(3, 1)
    const get = (hash: string) => tree.blocks.get(hash)
    assert.deepStrictEqual(steps(settle(deep, deep.offer(tree.head), get)), [
      "removed 9",
      "removed 8",
      "removed 7",
      "added 7",
      "added 8",
      "added 9",
      "added 10"
    ])
    const gone = (hash: string) => (hash === start.parentHash ? undefined : tree.blocks.get(hash))
    assert.deepStrictEqual(steps(settle(shallow, shallow.offer(tree.head), gone)), ["removed 9", "added 9", "added 10"])
  })

  it("is lost where more is missing, or replaced, than it may be", () => {
    const tree = new Tree(10)
    const follower = new Follower(tree.head, { depth: 4, gap: 6 })
    for (let i = 0; i < 8; i++) follower.offer(tree.mine())
    assert.strictEqual(follower.oldest.number, 14)
    const before = tree.chain.slice()
    for (let i = 0; i < 8; i++) tree.mine()
    const get = (hash: string) => tree.blocks.get(hash)
    assert.deepStrictEqual(settle(follower, follower.offer(tree.head), get), {
      type: "lost",
      why: "gap",
      from: 18,
      to: 25
    })
    tree.chain = before
    tree.reorg(5, 1)
    const found = settle(follower, follower.offer(tree.head), get)
    assert(found.type === "lost")
    assert.strictEqual(found.why, "reorg")
  })

  it("reads no head that is none", () => {
    const [block] = new Tree(1).chain
    assert.isDefined(readHead(block!.header))
    for (const [field, value] of [
      ["number", null],
      ["number", 7],
      ["hash", null],
      ["hash", "0x12"],
      ["parentHash", undefined]
    ] as const) {
      assert.isUndefined(readHead({ ...block!.header, [field]: value }))
    }
    assert.isUndefined(readHead(null))
    const full = readHead({ ...block!.header, transactions: [], uncles: [], size: "0x1", withdrawals: [] })!
    assert.deepStrictEqual(full.header, block!.header)
  })
})

describe("a ledger", () => {
  const logsOf = (block: Head): ReadonlyArray<Log> =>
    Array.from({ length: block.number % 3 }, (_, i) => ({ blockHash: block.hash, logIndex: `0x${i}`, removed: false }))

  // What a listener must have in the end: the logs of the chain, each taken back that was of another.
  const run = (seed: number, make = () => new Ledger(40)): void => {
    const random = seeded(seed)
    const tree = new Tree(20)
    const start = tree.chain.length
    const follower = new Follower(tree.head, bounds)
    const ledger = make()
    const held: Array<Log> = []
    const told: Array<string> = []
    const key = (log: Log) => `${log.blockHash}/${String(log["logIndex"])}`
    const tell = (logs: ReadonlyArray<Log>) => {
      for (const log of logs) {
        told.push(key(log))
        if (log.removed === true) {
          const last = held.pop()
          if (last === undefined || key(last) !== key(log)) throw new Error("took back what was not last")
        } else held.push(log)
      }
    }
    let asked: { readonly step: Step; readonly logs: ReadonlyArray<Log> } | undefined
    const work = () => {
      if (asked !== undefined) {
        const { logs, step } = asked
        asked = undefined
        tell(ledger.settle(step, logs))
        return
      }
      const step = ledger.next()
      if (step === undefined) return
      if (step.type === "added") asked = { step, logs: logsOf(step.block) }
      else tell(ledger.settle(step))
    }
    for (let i = 0; i < 150; i++) {
      const what = random()
      if (what < 0.35) tree.mine()
      else if (what < 0.45) tree.reorg(1 + Math.floor(random() * 4), Math.floor(random() * 2))
      else if (what < 0.6) {
        const found = settle(follower, follower.offer(tree.head), (hash) => tree.blocks.get(hash))
        if (found.type === "steps") for (const step of found.steps) ledger.apply(step)
      } else work()
    }
    const found = settle(follower, follower.offer(tree.head), (hash) => tree.blocks.get(hash))
    if (found.type === "steps") for (const step of found.steps) ledger.apply(step)
    work()
    while (ledger.length > 0) work()
    // Of a fork below the start the new blocks are told; the old ones were nobody's to take back.
    const wanted = tree.chain.filter((block) => block.number >= start).flatMap(logsOf)
    const got = held.slice(-wanted.length || held.length)
    if (got.map(key).join() !== wanted.map(key).join()) throw new Error("not the logs of the chain in the end")
  }

  it("tells the logs of the chain, and takes back those that are no longer of it", () => holds(run))

  it("differs from one that tells what it asked for although it is gone, or takes back what it never told", () => {
    class Late extends Ledger {
      override settle(step: Step, logs?: ReadonlyArray<Log>): ReadonlyArray<Log> {
        return step === this.next() ? super.settle(step, logs) : (logs ?? [])
      }
    }
    class Eager extends Ledger {
      override settle(step: Step, logs?: ReadonlyArray<Log>): ReadonlyArray<Log> {
        return step.type === "removed"
          ? logsOf(step.block).map((log) => ({ ...log, removed: true }))
          : super.settle(step, logs)
      }
    }
    class Ordered extends Ledger {
      override settle(step: Step, logs?: ReadonlyArray<Log>): ReadonlyArray<Log> {
        const said = super.settle(step, logs)
        return step.type === "removed" ? said.toReversed() : said
      }
    }
    for (const Mutant of [Late, Eager, Ordered]) {
      assert.isDefined(
        failure((seed) => run(seed, () => new Mutant(40))),
        Mutant.name
      )
    }
  })

  it("believes no logs of another block", () => {
    const [block] = new Tree(1).chain
    const log = { blockHash: block!.hash, removed: false }
    assert.deepStrictEqual(readLogs([log], block!), [log])
    assert.deepStrictEqual(readLogs([], block!), [])
    for (const wrong of [null, {}, [null], [{ blockHash: "0x1" }], [{ ...log, removed: true }]]) {
      assert.isUndefined(readLogs(wrong, block!))
    }
  })
})
