import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Latency } from "../src/internal/latency.ts"
import { Pace } from "../src/internal/pace.ts"

const growth = 2 ** (1 / 8)

/** A cheap source of numbers in [0, 1). */
const random = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}

/** The exact quantile: the least value that at most a share of `1 - q` exceeds. */
const exact = (values: ReadonlyArray<number>, q: number): number => {
  const sorted = values.toSorted((a, b) => a - b)
  const above = Math.floor((1 - q) * values.length + 1e-9)
  return sorted[values.length - 1 - above]!
}

describe("Latency", () => {
  it("a quantile is never below the true one, and above it by less than a tenth", () => {
    fc.assert(
      fc.property(
        fc.array(fc.double({ min: 0, max: 3000, noNaN: true }), { minLength: 1, maxLength: 300, size: "max" }),
        fc.constantFrom(0.5, 0.9, 0.95, 0.99),
        (values, q) => {
          const latency = new Latency(50, 2000)
          for (const value of values) latency.record(value, true, 0)
          const estimate = latency.quantile(q, 0)
          const truth = exact(values, q)
          if (truth >= 2000) assert.strictEqual(estimate, Infinity)
          else if (truth <= 50) assert.strictEqual(estimate, 50)
          else assert.isTrue(estimate >= truth * (1 - 1e-12) && estimate <= truth * growth * (1 + 1e-12))
        }
      ),
      { numRuns: 500 }
    )
  })

  it("what was given up is not taken for an answer, and not left out either", () => {
    const latency = new Latency(50, 2000)
    const record = (times: number, elapsed: number, answered: boolean) => {
      for (let i = 0; i < times; i++) latency.record(elapsed, answered, 0)
    }
    record(93, 80, true)
    record(7, 580, false)
    assert.isAtMost(latency.quantile(0.93, 0), 80 * growth)
    // Seven of a hundred take longer than 580; how much longer nobody knows until one answers.
    assert.strictEqual(latency.quantile(0.95, 0), Infinity)
    record(1, 1200, true)
    assert.isTrue(latency.quantile(0.95, 0) >= 1200 && latency.quantile(0.95, 0) <= 1200 * growth)
  })

  it("cutting answers short at random does not make them look faster", () => {
    const next = random(5)
    const whole = new Latency(50, 2000)
    const cut = new Latency(50, 2000)
    for (let i = 0; i < 5000; i++) {
      const takes = -300 * Math.log(1 - next())
      const patience = 200 + 1500 * next()
      whole.record(takes, true, 0)
      cut.record(Math.min(takes, patience), takes <= patience, 0)
    }
    for (const q of [0.5, 0.9, 0.95]) {
      assert.closeTo(Math.log(cut.quantile(q, 0) / whole.quantile(q, 0)), 0, Math.log(growth) + 1e-9, `${q}`)
    }
  })

  it("forgets what is older than a minute, and nothing that is younger than half of one", () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20_000), { maxLength: 60, size: "max" }), (gaps) => {
        const latency = new Latency(50, 2000)
        const times: Array<number> = []
        let now = 0
        for (const gap of gaps) {
          now += gap
          latency.record(100, true, now)
          times.push(now)
          const known = latency.known(now)
          assert.isAtLeast(known, times.filter((at) => at > now - 30_000).length)
          // A generation begins with the first record after the last one's end.
          assert.isAtMost(known, times.filter((at) => at > now - 80_000).length)
        }
        assert.strictEqual(latency.known(now + 80_000), 0)
      }),
      { numRuns: 300 }
    )
  })

  it("bounds that are one are no trouble", () => {
    const latency = new Latency(100, 100)
    latency.record(50, true, 0)
    assert.strictEqual(latency.quantile(0.5, 0), 100)
    for (let i = 0; i < 3; i++) latency.record(100, true, 0)
    assert.strictEqual(latency.quantile(0.5, 0), Infinity)
  })
})

const settings = { fixed: undefined, quantile: 0.95, min: 50, max: 2000, samples: 20, initial: 500 }

const distributions: Record<string, (u: number) => number> = {
  uniform: (u) => 100 + 900 * u,
  exponential: (u) => -200 * Math.log(1 - u),
  heavy: (u) => 60 / (1 - u) ** 0.7,
  bimodal: (u) => (u < 0.93 ? 80 + u : 1200 + u)
}

/** Runs ten thousand calls, each with a hedge that answers after another draw, and counts the hedges. */
const share = (draw: (u: number) => number, pace: Pace): number => {
  const next = random(9)
  let hedges = 0
  for (let i = 0; i < 10_000; i++) {
    const now = i * 10
    const delay = pace.delay(now)
    const first = draw(next())
    if (first <= delay) pace.record(first, true, delay, now)
    else {
      if (i >= 20) hedges++
      const second = delay + draw(next())
      pace.record(Math.min(first, second), first <= second, delay, now)
    }
  }
  return hedges / 10_000
}

describe("Pace", () => {
  it("HG9: hedges at most a share of 1 - quantile of the calls, whatever the latencies", () => {
    for (const [name, draw] of Object.entries(distributions)) {
      const pace = new Pace(settings)
      assert.isAtMost(share(draw, pace), 0.06, name)
    }
  })

  it("HG9: mutants that do not learn from first requests that lost, or learn too much, hedge more", () => {
    class Forgetful extends Pace {
      override record(elapsed: number, succeeded: boolean, delay: number, now: number): void {
        if (succeeded) super.record(elapsed, true, delay, now)
      }
    }
    // Nor does one that takes the time they had waited for the time that they take.
    class Gullible extends Pace {
      override record(elapsed: number, succeeded: boolean, delay: number, now: number): void {
        if (succeeded || elapsed >= delay) super.record(elapsed, true, delay, now)
      }
    }
    for (const mutant of [Forgetful, Gullible]) {
      assert.isAbove(share(distributions["bimodal"]!, new mutant(settings)), 0.06, mutant.name)
    }
  })

  it("waits the initial delay until it knows enough, and again once it has forgotten", () => {
    const pace = new Pace(settings)
    for (let i = 0; i < 19; i++) pace.record(80, true, 500, 0)
    assert.strictEqual(pace.delay(0), 500)
    pace.record(80, true, 500, 0)
    assert.isBelow(pace.delay(0), 90)
    assert.strictEqual(pace.delay(61_000), 500)
  })

  it("stops while nearly every call is slow, and starts again when they are not", () => {
    const pace = new Pace(settings)
    for (let i = 0; i < 100; i++) pace.record(i % 10 === 0 ? 3000 : 80, true, 500, 0)
    assert.strictEqual(pace.delay(0), Infinity)
    // While it stops it still learns, also from calls that were given up.
    pace.record(4000, false, Infinity, 0)
    assert.strictEqual(pace.known(0), 101)
    for (let i = 0; i < 100; i++) pace.record(80, true, Infinity, 61_000)
    assert.isBelow(pace.delay(61_000), 90)
  })

  it("a failure before the delay says nothing", () => {
    const pace = new Pace(settings)
    pace.record(1, false, 500, 0)
    assert.strictEqual(pace.known(0), 0)
    assert.strictEqual(pace.typical, 0)
  })

  it("knows what is typical", () => {
    const pace = new Pace(settings)
    for (let i = 0; i < 100; i++) pace.record(80, true, 500, 0)
    assert.strictEqual(pace.typical, 80)
    for (let i = 0; i < 100; i++) pace.record(160, true, 500, 0)
    assert.closeTo(pace.typical, 160, 1)
  })
})
