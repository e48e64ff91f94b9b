import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { delay, type Jitter } from "../src/internal/backoff.ts"

const jitters = ["full", "equal", "decorrelated", "none"] as const

const settings = fc.record({
  jitter: fc.constantFrom<Jitter>(...jitters),
  base: fc.double({ min: 1, max: 1e6, noNaN: true }),
  factor: fc.double({ min: 1, max: 1e6, noNaN: true }),
  retry: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 1_000_000 })),
  random: fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }),
  // Where in [base, cap] the previous delay was.
  previous: fc.double({ min: 0, max: 1, noNaN: true })
})

type Delay = typeof delay

const finite = (delay: Delay) =>
  fc.property(settings, ({ base, factor, jitter, previous, random, retry }) => {
    const cap = base * factor
    const millis = delay(jitter, base, cap, retry, base + previous * (cap - base), random)
    assert.isTrue(Number.isFinite(millis) && millis >= 0 && millis <= cap, `${millis}`)
  })

/** A cheap source of numbers in [0, 1). */
const random = (seed: number) => () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed / 2 ** 32
}

const drawsAtCap = (delay: Delay, jitter: Jitter): ReadonlyArray<number> => {
  const next = random(42)
  return Array.from({ length: 10_000 }, () => delay(jitter, 100, 5000, 20, 5000, next()))
}

const spread = (values: ReadonlyArray<number>): number => {
  const mean = values.reduce((a, b) => a + b) / values.length
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length) / mean
}

describe("delay", () => {
  it("RT4: is finite, not negative and at most the cap, for a million retries and any base", () => {
    fc.assert(finite(delay), { numRuns: 2_000 })
  })

  it("RT4: a mutant that raises 2 to any power, or jitters after the cap, is found out", () => {
    const unclamped: Delay = (jitter, base, cap, retry, previous, random) =>
      jitter === "none"
        ? base * 2 ** (retry - 1) * Math.min(1, cap / (base * 2 ** (retry - 1)))
        : delay(jitter, base, cap, retry, previous, random)
    const after: Delay = (jitter, base, cap, retry, previous, random) =>
      delay("none", base, cap, retry, previous, random) * (0.8 + 0.4 * random)
    for (const mutant of [unclamped, after]) {
      assert.isTrue(fc.check(finite(mutant), { numRuns: 5_000, seed: 3, endOnFailure: true }).failed)
    }
  })

  it("RT5: stays in the range of its jitter", () => {
    fc.assert(
      fc.property(settings, ({ base, factor, previous, random, retry }) => {
        const cap = base * factor
        const before = base + previous * (cap - base)
        const bound = Math.min(cap, base * 2 ** Math.min(retry - 1, 1000))
        const draw = (jitter: Jitter) => delay(jitter, base, cap, retry, before, random)
        const within = (value: number, low: number, high: number) =>
          assert.isTrue(value >= low * (1 - 1e-12) && value <= high * (1 + 1e-12), `${low} ${value} ${high}`)
        within(draw("full"), 0, bound)
        within(draw("equal"), bound / 2, bound)
        within(draw("decorrelated"), base, Math.min(cap, 3 * before))
        within(draw("none"), bound, bound)
      }),
      { numRuns: 1_000 }
    )
  })

  it("RT5: keeps its spread at the cap, where nobody waits as long as anybody else", () => {
    for (const [jitter, least] of [
      ["full", 0.5],
      ["equal", 0.15],
      ["decorrelated", 0.5]
    ] as const) {
      const draws = drawsAtCap(delay, jitter)
      assert.strictEqual(new Set(draws).size, draws.length, jitter)
      assert.isAtLeast(spread(draws), least, jitter)
    }
    // Capping after the jitter, as others do: half of all wait equally long.
    const capped: Delay = (jitter, base, cap, retry, previous, random) =>
      Math.min(cap, delay(jitter, base, Infinity, Math.min(retry, 8), previous, random))
    assert.isBelow(new Set(drawsAtCap(capped, "full")).size, 10_000)
  })

  it("grows from the base", () => {
    const delays = [1, 2, 3, 4, 5, 6, 7, 8].map((retry) => delay("none", 100, 5000, retry, 100, 0))
    assert.deepStrictEqual(delays, [100, 200, 400, 800, 1600, 3200, 5000, 5000])
  })
})
