import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { depth, History, type Witness } from "../src/internal/head/history.ts"
import type { Block } from "../src/internal/heads.ts"

/** A chain that forks: branch `b` differs from branch 0 from a number on. */
class World {
  readonly forks = [0]

  fork(at: number): number {
    return this.forks.push(at) - 1
  }

  hash(branch: number, number: number): string {
    return number < this.forks[branch]! ? `0/${number}` : `${branch}/${number}`
  }

  block(branch: number, number: number, parent: boolean): Block {
    return {
      number,
      hash: this.hash(branch, number),
      parentHash: parent && number > 0 ? this.hash(branch, number - 1) : undefined,
      timestamp: undefined
    }
  }
}

class Upstream implements Witness {
  height = -1
  seenAt = -Infinity
  branch = 0
}

const patience = 10

type Command =
  | { readonly do: "show"; readonly who: number; readonly back: number; readonly parent: boolean }
  | { readonly do: "grow"; readonly who: number; readonly by: number }
  | { readonly do: "fork"; readonly who: number; readonly back: number; readonly grow: number }
  | { readonly do: "join"; readonly who: number; readonly other: number }
  | { readonly do: "tick"; readonly by: number }

const commands = (upstreams: number): fc.Arbitrary<ReadonlyArray<Command>> => {
  const who = fc.nat({ max: upstreams - 1 })
  const back = fc.oneof(fc.constant(0), fc.nat({ max: 6 }))
  return fc.array(
    fc.oneof(
      {
        weight: 8,
        arbitrary: fc.record({ do: fc.constant("show" as const), who, back, parent: fc.boolean() })
      },
      {
        weight: 4,
        arbitrary: fc.record({ do: fc.constant("grow" as const), who, by: fc.integer({ min: 1, max: 3 }) })
      },
      {
        weight: 2,
        arbitrary: fc.record({ do: fc.constant("fork" as const), who, back, grow: fc.integer({ min: -2, max: 2 }) })
      },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("join" as const), who, other: who }) },
      { weight: 3, arbitrary: fc.record({ do: fc.constant("tick" as const), by: fc.integer({ min: 1, max: 15 }) }) }
    ),
    { maxLength: 60 }
  )
}

class Run {
  readonly world = new World()
  readonly history = new History<Upstream>()
  readonly upstreams: ReadonlyArray<Upstream>
  readonly heads: Array<number>
  now = 0

  constructor(upstreams: number) {
    this.upstreams = Array.from({ length: upstreams }, () => new Upstream())
    this.heads = this.upstreams.map(() => 20)
  }

  do(command: Command): void {
    if (command.do === "tick") {
      this.now += command.by
      return
    }
    const { who } = command
    const upstream = this.upstreams[who]!
    if (command.do === "grow") this.heads[who]! += command.by
    else if (command.do === "join") {
      upstream.branch = this.upstreams[command.other]!.branch
      this.heads[who] = this.heads[command.other]!
    } else if (command.do === "fork") {
      const from = Math.max(1, this.heads[who]! - command.back)
      // It follows from the first branch only.
      upstream.branch = this.world.fork(Math.min(from, this.world.forks[upstream.branch] || from))
      this.heads[who] = Math.max(from, this.heads[who]! + command.grow)
    } else this.show(who, Math.max(0, this.heads[who]! - command.back), command.parent)
  }

  show(who: number, number: number, parent: boolean): void {
    const { history, world } = this
    const upstream = this.upstreams[who]!
    upstream.height =
      number === this.heads[who] ? number : Math.max(number, Math.min(upstream.height, this.heads[who]!))
    upstream.seenAt = this.now
    const before = this.remembered()
    const block = world.block(upstream.branch, number, parent)
    const fork = history.place(block, upstream, this.now, patience)
    const after = this.remembered()
    for (const [n, hash] of before) {
      if (after.get(n) === hash) continue
      assert.isDefined(fork, `block ${n} changed without a fork`)
      assert.isAtLeast(n, fork.from)
    }
    if (fork !== undefined) {
      assert.strictEqual(after.get(number), block.hash)
      assert.isTrue(history.witnesses(fork.from).has(upstream))
      assert.isAtMost(fork.from, number)
      const under = after.get(fork.from - 1)
      if (!fork.open && under !== undefined) assert.strictEqual(under, world.hash(upstream.branch, fork.from - 1))
    }
    this.check()
  }

  remembered(): Map<number, string> {
    return new Map(
      Array.from({ length: 400 }, (_, n) => [n, this.history.at(n)?.hash] as const).filter(
        (entry): entry is readonly [number, string] => entry[1] !== undefined
      )
    )
  }

  check(): void {
    for (const [n, hash] of this.remembered()) {
      assert.strictEqual(this.history.numberOf(hash), n)
      const { parentHash } = this.history.at(n)!
      if (n > 0 && parentHash !== undefined) assert.strictEqual(this.history.at(n - 1)?.hash, parentHash)
    }
    const newest = Math.max(-1, ...this.remembered().keys())
    assert.strictEqual(this.history.latest?.number ?? -1, newest)
  }
}

describe("the newest blocks", () => {
  it("are linked; what changes is told; a fork that is closed joins the chain it says", () => {
    fc.assert(
      fc.property(commands(3), (commands) => {
        const run = new Run(3)
        for (const command of commands) run.do(command)
      }),
      { numRuns: 800 }
    )
  })

  it("of one upstream are those that it showed last", () => {
    fc.assert(
      fc.property(commands(1), (commands) => {
        const run = new Run(1)
        for (const command of commands) {
          run.do(command)
          if (command.do !== "show") continue
          const number = Math.max(0, run.heads[0]! - command.back)
          assert.strictEqual(run.history.at(number)?.hash, run.world.hash(run.upstreams[0]!.branch, number))
        }
      }),
      { numRuns: 800 }
    )
  })

  it("are those of the chain on which all agree, whatever was before", () => {
    fc.assert(
      fc.property(commands(3), fc.boolean(), (commands, parent) => {
        const run = new Run(3)
        for (const command of commands) run.do(command)
        for (const who of [1, 2]) run.do({ do: "join", who, other: 0 })
        for (const who of [0, 1, 2]) run.show(who, run.heads[who]!, parent)
        const { branch } = run.upstreams[0]!
        assert.strictEqual(run.history.at(run.heads[0]!)?.hash, run.world.hash(branch, run.heads[0]!))
      }),
      { numRuns: 800 }
    )
  })

  const shown = (number: number, branch: string, parent?: string): Block => ({
    number,
    hash: `${branch}${number}`,
    parentHash: parent === undefined ? undefined : `${parent}${number - 1}`,
    timestamp: undefined
  })
  const upstream = (height: number) => ({ height, seenAt: 0 })

  it("stay while as many who were heard lately vouch for them, and the other chain is no longer", () => {
    const history = new History<Witness>()
    const [a, b, c] = [upstream(5), upstream(5), upstream(5)]
    for (const witness of [a, b]) history.place(shown(5, "x", "x"), witness, 0, patience)
    assert.isUndefined(history.place(shown(5, "y", "x"), c, 0, patience))
    assert.deepStrictEqual(history.place(shown(5, "y", "x"), b, 0, patience), { from: 5, open: false })
    assert.strictEqual(history.at(5)?.hash, "y5")
  })

  it("give way to a longer chain", () => {
    const history = new History<Witness>()
    const [a, b] = [upstream(5), upstream(6)]
    history.place(shown(5, "x", "x"), a, 0, patience)
    assert.deepStrictEqual(history.place(shown(6, "y", "y"), b, 0, patience), { from: 5, open: true })
    assert.strictEqual(history.latest?.hash, "y6")
    assert.strictEqual(history.at(5)?.hash, "y5")
  })

  it("give way when nobody who was heard lately vouches for them", () => {
    const history = new History<Witness>()
    const [a, b] = [upstream(5), { height: 5, seenAt: 11 }]
    history.place(shown(5, "x"), a, 0, patience)
    assert.deepStrictEqual(history.place(shown(5, "y"), b, 11, patience), { from: 5, open: false })
  })

  it("are as many as it says", () => {
    const history = new History<Witness>()
    for (let n = 0; n < 3_000; n++) history.place(shown(n, "x", "x"), upstream(n), 0, patience)
    assert.isUndefined(history.at(3_000 - 2 * depth))
    assert.strictEqual(history.at(3_000 - depth)?.hash, `x${3_000 - depth}`)
    assert.isUndefined(history.numberOf("x0"))
  })
})
