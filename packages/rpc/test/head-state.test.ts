import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { absurd, ChainState, stuck } from "../src/internal/head/chainState.ts"
import { type Evidence, height } from "../src/internal/head/evidence.ts"
import type { Tracker } from "../src/internal/head/tracker.ts"
import type { Change } from "../src/internal/heads.ts"

const blockTime = 1_000
const limits = { blockTime, blocks: 3, time: 3_000 }

class Pool {
  readonly changes: Array<Change> = []
  readonly state = new ChainState(limits, (change) => this.changes.push(change))
  readonly trackers: ReadonlyArray<Tracker>
  now = 0

  constructor(size: number) {
    this.trackers = Array.from({ length: size }, (_, i) => this.state.join(String(i)))
  }

  /** An upstream tells a caller of its head, perhaps with its hash. */
  show(who: number, number: number, told = true, chain?: string): void {
    this.state.observe(
      this.trackers[who]!,
      chain === undefined ? height(number) : block(number, chain),
      this.now,
      told,
      told
    )
  }
}

const block = (number: number, chain: string, kind: Evidence["kind"] = "head"): Evidence => ({
  kind,
  number,
  hash: `${chain}${number}`,
  parentHash: `${chain}${number - 1}`,
  timestamp: undefined
})

describe("a pool of one", () => {
  it("believes whatever it is told, and never goes back", () => {
    const pool = new Pool(1)
    for (const [number, floor] of [
      [10, 10],
      [1e12, 1e12],
      [11, 1e12]
    ] as const) {
      pool.show(0, number)
      assert.strictEqual(pool.state.floor, floor)
    }
  })

  it("goes back with a reorganisation", () => {
    const pool = new Pool(1)
    pool.show(0, 9, true, "a")
    pool.show(0, 10, true, "a")
    pool.show(0, 9, true, "a")
    assert.strictEqual(pool.state.floor, 10)
    pool.show(0, 9, true, "b")
    assert.strictEqual(pool.state.floor, 9)
    assert.deepStrictEqual(
      pool.changes.filter(({ type }) => type === "reorg"),
      [{ type: "reorg", from: 8 }]
    )
    assert.strictEqual(pool.state.history.latest?.hash, "b9")
  })
})

describe("the floor", () => {
  it("rises to what another upstream is near", () => {
    const pool = new Pool(2)
    pool.show(0, 100)
    pool.show(1, 101)
    assert.strictEqual(pool.state.floor, 101)
  })

  it("does not rise to what nobody bears out, and does when it has stood a block time without contradiction", () => {
    const pool = new Pool(2)
    pool.show(0, 100)
    pool.show(0, 103)
    assert.strictEqual(pool.state.floor, 100)
    pool.now += blockTime
    pool.show(0, 103)
    assert.strictEqual(pool.state.floor, 103)
  })

  it("is not held back by who shows an old block: it may have newer ones", () => {
    const pool = new Pool(2)
    for (const who of [0, 1]) pool.show(who, 100)
    pool.now += 10
    pool.state.observe(pool.trackers[1]!, block(100, "a", "block"), pool.now, true, true)
    pool.state.observe(pool.trackers[0]!, height(103), pool.now, true, true, pool.now)
    assert.strictEqual(pool.state.floor, 103)
  })

  it("rises to a block of which the caller knows, unless somebody who is asked has less", () => {
    const vouched = (mention: (pool: Pool) => void) => {
      const pool = new Pool(3)
      for (const who of [0, 1, 2]) pool.show(who, 100)
      pool.now += 10
      mention(pool)
      pool.state.observe(pool.trackers[0]!, height(103), pool.now, true, true, pool.now)
      return pool.state.floor
    }
    assert.strictEqual(
      vouched(() => {}),
      100
    )
    assert.strictEqual(
      vouched(({ state }) => state.mention(102)),
      100
    )
    assert.strictEqual(
      vouched(({ state }) => state.mention(103)),
      103
    )
    assert.strictEqual(
      vouched((pool) => {
        pool.state.mention(103)
        pool.show(1, 100)
      }),
      100
    )
  })

  it("does not rise to a block of which the caller knows from a chain that was left", () => {
    const pool = new Pool(3)
    for (const who of [0, 1, 2]) pool.show(who, 100, true, "a")
    pool.state.mention(103)
    for (const who of [1, 2]) pool.show(who, 100, true, "b")
    pool.now += 10
    pool.state.observe(pool.trackers[0]!, height(103), pool.now, true, true, pool.now)
    assert.strictEqual(pool.state.floor, 100)
  })

  it("rises with the chain's pace while one contradicts", () => {
    const pool = new Pool(2)
    pool.show(0, 100)
    for (let n = 101; n < 130; n++) {
      pool.now += blockTime
      pool.show(1, 100)
      pool.show(0, n)
      assert.strictEqual(pool.state.floor, n)
    }
  })

  it("does not rise while two contradict that go on, and does when they are stuck", () => {
    const pool = new Pool(3)
    for (let n = 0; n < 30; n++) {
      for (const who of [0, 1]) pool.show(who, 100 + n)
      pool.show(2, 105 + 3 * n)
      assert.strictEqual(pool.state.floor, 100 + n)
      pool.now += blockTime
    }
    for (let n = 0; n < 10; n++) {
      for (const who of [0, 1]) pool.show(who, 130)
      pool.show(2, 200 + n)
      pool.now += blockTime
    }
    assert.isAbove(pool.state.floor!, 135)
  })

  it("is given up when everybody who was heard had less for ten minutes", () => {
    const pool = new Pool(2)
    pool.show(0, 100)
    pool.show(1, 100)
    for (let minute = 0; minute < 10; minute++) {
      pool.show(minute % 2, 90)
      assert.strictEqual(pool.state.floor, 100)
      pool.now += 60_000
    }
    pool.show(0, 90)
    assert.strictEqual(pool.state.floor, 90)
  })

  it("is taken back if the first head of all was far beyond what two others say", () => {
    const pool = new Pool(3)
    pool.show(2, 5_000, true, "z")
    pool.show(0, 100, true, "a")
    assert.strictEqual(pool.state.floor, 5_000)
    pool.show(1, 101, true, "a")
    assert.strictEqual(pool.state.floor, 101)
    assert.isUndefined(pool.state.history.at(5_000))
    pool.show(0, 101, true, "a")
    assert.strictEqual(pool.state.history.latest?.hash, "a101")
  })

  it("is never what no chain can be, unless there is nobody else", () => {
    const pool = new Pool(2)
    pool.show(0, absurd + 1)
    assert.isUndefined(pool.state.floor)
    pool.show(1, 100)
    assert.strictEqual(pool.state.floor, 100)
  })
})

describe("a reorganisation", () => {
  it("to fewer blocks lets the floor fall when the chain is shown, whoever shows it", () => {
    const pool = new Pool(2)
    for (const who of [0, 1]) for (const n of [98, 99, 100]) pool.show(who, n, true, "a")
    // The other still vouches for the old chain.
    pool.show(0, 98, true, "b")
    assert.strictEqual(pool.state.floor, 100)
    pool.show(1, 98, true, "b")
    assert.strictEqual(pool.state.floor, 98)
    assert.strictEqual(pool.state.history.at(98)?.hash, "b98")
  })

  it("seen by a receipt lets it fall when the head is known", () => {
    const pool = new Pool(1)
    for (const n of [95, 100]) pool.show(0, n, true, "a")
    pool.state.observe(pool.trackers[0]!, { ...block(95, "b", "block"), parentHash: undefined }, 0, true, true)
    assert.strictEqual(pool.state.floor, 100)
    assert.isTrue(pool.state.isLeft(pool.trackers[0]!))
    pool.show(0, 97, true, "b")
    assert.strictEqual(pool.state.floor, 97)
    assert.isFalse(pool.state.isLeft(pool.trackers[0]!))
  })

  it("puts those in doubt who have not shown the new chain", () => {
    const pool = new Pool(3)
    for (const who of [0, 1, 2]) pool.show(who, 100, true, "a")
    for (const who of [0, 1]) pool.show(who, 101, true, "b")
    assert.deepStrictEqual(
      pool.trackers.map(({ height }) => height),
      [101, 101, 99]
    )
  })

  it("takes back what was final", () => {
    const pool = new Pool(1)
    pool.show(0, 100, true, "a")
    pool.state.observe(pool.trackers[0]!, block(90, "a", "finalized"), 0, true, true)
    assert.strictEqual(pool.state.finalized?.number, 90)
    pool.state.observe(pool.trackers[0]!, block(90, "b", "block"), 0, true, true)
    assert.isUndefined(pool.state.finalized)
  })
})

describe("finality", () => {
  it("is what two upstreams say, or the only one that says anything", () => {
    const pool = new Pool(3)
    const say = (who: number, number: number) =>
      pool.state.observe(pool.trackers[who]!, block(number, "a", "finalized"), pool.now, true, true)
    for (const who of [0, 1, 2]) pool.show(who, 100)
    say(0, 60)
    assert.strictEqual(pool.state.finalized?.number, 60)
    say(1, 99)
    assert.strictEqual(pool.state.finalized?.number, 60)
    say(2, 64)
    assert.strictEqual(pool.state.finalized?.number, 64)
  })
})

describe("lag", () => {
  it("is counted from what two upstreams have, in blocks and in time", () => {
    const pool = new Pool(3)
    pool.show(0, 100)
    pool.show(1, 101)
    pool.show(2, 1_000_000)
    const [a, b, liar] = pool.trackers
    assert.deepStrictEqual(
      [a, b, liar].map((tracker) => pool.state.lag(tracker!)),
      [1, 0, 0]
    )
    assert.isFalse(pool.state.isLate(a!))
    for (let n = 102; n < 106; n++) {
      pool.now += blockTime
      pool.show(1, n)
      pool.show(2, n)
    }
    assert.strictEqual(pool.state.lag(a!), 5)
    assert.isTrue(pool.state.isLate(a!))
  })
})

type Command =
  | { readonly do: "tick"; readonly by: number }
  | { readonly do: "ask"; readonly who: number; readonly told: boolean }
  | { readonly do: "lie"; readonly height: number }

const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant("tick" as const), by: fc.integer({ min: 1, max: 3_000 }) }) },
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant("ask" as const), who: fc.nat({ max: 2 }), told: fc.boolean() })
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("lie" as const),
      height: fc.oneof(fc.nat({ max: 1_200 }), fc.constantFrom(0, 1e9, 1e12))
    })
  }
)

describe("under any schedule of lags and lies", () => {
  /** Three honest upstreams, each some blocks behind the chain, and a liar. */
  const scenario = fc.record({
    lags: fc.array(fc.nat({ max: 6 }), { minLength: 3, maxLength: 3 }),
    moving: fc.boolean(),
    commands: fc.array(command, { maxLength: 80 })
  })

  it("the floor never falls but from a lie, and none that two others contradict raises it", () => {
    fc.assert(
      fc.property(scenario, ({ commands, lags, moving }) => {
        const pool = new Pool(4)
        const honest = (who: number) => 1_000 + (moving ? Math.floor(pool.now / blockTime) : 0) - lags[who]!
        for (const who of [0, 1, 2]) pool.show(who, honest(who))
        for (const command of commands) {
          const { floor } = pool.state
          if (command.do === "tick") pool.now += command.by
          else if (command.do === "ask") pool.show(command.who, honest(command.who), command.told)
          else pool.show(3, command.height)
          const risen = pool.state.floor!
          const last = pool.changes.at(-1)
          const retracted = last?.type === "reorg" && last.from === risen + 1
          if (retracted) assert.isAbove(floor!, risen + 256)
          else assert.isAtLeast(risen, floor!)
          pool.changes.length = 0
          if (command.do !== "lie" || risen === floor) continue
          const within = (at: number, times: number) => pool.now - at <= times * pool.state.blockTime
          const heard = pool.trackers
            .slice(0, 3)
            .filter(({ roseAt, saidAt }) => within(saidAt, 1) && within(roseAt, stuck))
          const known = Math.max(...pool.trackers.slice(0, 3).map((tracker) => tracker.height))
          if (heard.length >= 2 && risen > known + 1) {
            assert.isBelow(heard.filter(({ height }) => height < risen - 1).length, 2)
          }
        }
      }),
      { numRuns: 1_000 }
    )
  })

  it("a liar makes nobody late", () => {
    fc.assert(
      fc.property(scenario, ({ commands, lags, moving }) => {
        const pool = new Pool(4)
        // Without callers, so that nothing but heads is counted.
        const lag = (who: number) => Math.min(1, lags[who]!)
        const honest = (who: number) => 1_000 + (moving ? Math.floor(pool.now / blockTime) : 0) - lag(who)
        for (const command of commands) {
          if (command.do === "tick") pool.now += command.by
          else if (command.do === "lie") pool.show(3, command.height, false)
          for (const who of [0, 1, 2]) {
            pool.show(who, honest(who), false)
            assert.isFalse(pool.state.isLate(pool.trackers[who]!))
          }
        }
      }),
      { numRuns: 500 }
    )
  })

  it("a chain of which all tell is told of at once, whatever its pace", () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 40 }), (steps) => {
        const pool = new Pool(3)
        let head = 1_000
        for (const step of steps) {
          head += step
          pool.now += 100
          for (const who of [0, 1, 2]) pool.show(who, head)
          assert.strictEqual(pool.state.floor, head)
        }
      }),
      { numRuns: 500 }
    )
  })
})
