import { assert, describe, it } from "@effect/vitest"
import { type Sample, summarize } from "../src/Samples.ts"
import { Account, script } from "../src/Storm.ts"
import { judge } from "../src/Verdict.ts"

const sample = (outcome: Sample["outcome"], start: number, end = start + 10, number?: number): Sample => ({
  outcome,
  start,
  end,
  number,
  why: outcome === "failed" ? "HTTP 503" : undefined
})
const fresh = (start: number, end?: number, number?: number) => sample("fresh", start, end, number)
const stale = (start: number, end?: number) => sample("stale", start, end)
const failed = (start: number, end?: number) => sample("failed", start, end)

describe("judge: never fails while a node is up", () => {
  it("nothing but fresh answers is what was promised", () => {
    assert.deepStrictEqual(judge([fresh(0), fresh(20)], []), { recoveries: [], breaches: [] })
  })

  it("a failure and a stale answer are not", () => {
    const { breaches } = judge([fresh(0), failed(20), failed(40), stale(60)], [])
    assert.deepStrictEqual(breaches, [
      "3 of 4 requests had no fresh answer while a node was up: 2 × HTTP 503, 1 × stale"
    ])
  })

  it("nothing asked is nothing shown", () => {
    assert.deepStrictEqual(judge([], []).breaches, ["nothing was asked"])
  })

  const blackout = { from: 1000, to: 2000 }
  const back = fresh(2010, 2020)
  const counts = (one: Sample) => judge([one, back], [blackout]).breaches.length > 0

  it("what met a time without any node does not count", () => {
    for (const one of [stale(1500), failed(500, 1000), failed(1999, 2500), failed(900, 5000)])
      assert.isFalse(counts(one))
  })

  it("what ended before it, or began more than a second after it, does", () => {
    for (const one of [failed(500, 999), stale(3001), failed(3001, 9000)]) assert.isTrue(counts(one))
  })

  it("a blackout that did not end excuses what came later", () => {
    const { breaches, recoveries } = judge([fresh(0), failed(1500)], [{ from: 1000, to: Infinity }])
    assert.deepStrictEqual(recoveries, [Infinity])
    assert.deepStrictEqual(breaches, ["it did not come back after no node had been up"])
  })
})

describe("judge: is back within a second", () => {
  const blackout = { from: 1000, to: 2000 }
  const after = (...samples: ReadonlyArray<Sample>) => judge(samples, [blackout])

  it("from the first fresh answer on, if none went without one later", () => {
    assert.deepStrictEqual(after(fresh(1990, 2040), fresh(2100)), { recoveries: [40], breaches: [] })
    assert.deepStrictEqual(after(fresh(2990, 3000)), { recoveries: [1000], breaches: [] })
    assert.deepStrictEqual(after(fresh(2010, 2020), stale(2500), fresh(2520)).recoveries, [500])
  })

  it("an answer that came before is none", () => {
    assert.deepStrictEqual(after(fresh(990, 1999), fresh(2300)).recoveries, [310])
  })

  it("a millisecond more than a second is too late", () => {
    assert.deepStrictEqual(after(fresh(2990, 3001)).breaches, [
      "it took 1001 ms to come back after no node had been up"
    ])
    assert.deepStrictEqual(after(fresh(2010), stale(3000)).breaches, [])
    assert.lengthOf(after(fresh(2010), stale(3000.5)).breaches, 2)
  })

  it("no fresh answer at all is not back", () => {
    assert.deepStrictEqual(after(stale(2010)).breaches, ["it did not come back after no node had been up"])
  })

  it("each blackout is judged by what came before the next", () => {
    const blackouts = [blackout, { from: 3000, to: 4000 }]
    const { breaches, recoveries } = judge(
      [fresh(2010, 2020), stale(2900, 3100), stale(3500), fresh(4040, 4050)],
      blackouts
    )
    assert.deepStrictEqual(recoveries, [20, 50])
    assert.deepStrictEqual(breaches, [])
    assert.deepStrictEqual(judge([fresh(4040, 4050)], blackouts).recoveries, [Infinity, 50])
  })
})

describe("summarize", () => {
  it("counts outcomes, and takes latencies over all of them", () => {
    const samples = Array.from({ length: 100 }, (_, n) =>
      sample(n < 90 ? "fresh" : n < 97 ? "stale" : "failed", n, n + n + 1)
    )
    const { failed, fresh, p50, p99, stale, total } = summarize(samples, 200)
    assert.deepStrictEqual(
      { failed, fresh, p50, p99, stale, total },
      {
        failed: 3,
        fresh: 90,
        p50: 50,
        p99: 99,
        stale: 7,
        total: 100
      }
    )
  })

  it("the longest silence is between two answers, before the first or after the last", () => {
    const answers = [fresh(0, 10), stale(20, 50), failed(60, 70), fresh(80, 100)]
    assert.strictEqual(summarize(answers, 110).silence, 50)
    assert.strictEqual(summarize(answers, 300).silence, 200)
    assert.strictEqual(summarize([failed(100, 110), fresh(120, 300)], 310).silence, 200)
    assert.strictEqual(summarize([], 310).silence, 0)
  })

  it("an answer is older only than one that had come before it was asked for", () => {
    const samples = [fresh(0, 100, 7), fresh(50, 60, 9), fresh(60, 70, 8), fresh(61, 71, 8), fresh(62, 72, 9)]
    assert.strictEqual(summarize(samples, 200).older, 1)
  })
})

describe("Account", () => {
  it("a blackout lasts from the fall of the last node to the return of the first", () => {
    const account = new Account(["alpha", "bravo"])
    account.fails("alpha", 10)
    account.fails("alpha", 20)
    assert.deepStrictEqual(account.blackouts, [])
    account.fails("bravo", 30)
    assert.deepStrictEqual(account.blackouts, [{ from: 30, to: Infinity }])
    account.fails("alpha", 40)
    account.recovers("bravo", 50)
    account.recovers("alpha", 60)
    assert.deepStrictEqual(account.blackouts, [{ from: 30, to: 50 }])
    account.fails("bravo", 70)
    account.fails("alpha", 80)
    account.recovers("alpha", 90)
    assert.deepStrictEqual(account.blackouts, [
      { from: 30, to: 50 },
      { from: 80, to: 90 }
    ])
  })
})

describe("the script", () => {
  it("takes about fifty seconds, spares nobody, and leaves everybody up", () => {
    const seconds = script.reduce((sum, phase) => sum + phase.seconds, 0)
    assert.isAtLeast(seconds, 45)
    assert.isAtMost(seconds, 60)
    assert.deepStrictEqual(script.at(-1)!.faults, {})
    for (const name of ["alpha", "bravo", "charlie"] as const) {
      assert.isAtLeast(script.filter(({ faults }) => faults[name] !== undefined).length, 4)
    }
  })
})
