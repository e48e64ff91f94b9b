import { assert, describe, it } from "@effect/vitest"
import { percent, time } from "../src/format.ts"
import { random } from "../src/Plan.ts"
import { median, quantile, round, tally } from "../src/stats.ts"

describe("stats", () => {
  it("a quantile is the least value that so many do not exceed", () => {
    for (let seed = 0; seed < 200; seed++) {
      const draw = random(seed)
      const values = Array.from({ length: 1 + Math.floor(draw() * 40) }, () => Math.floor(draw() * 20))
      const share = 0.01 + draw() * 0.99
      const found = quantile(values, share)!
      const atMost = (limit: number) => values.filter((value) => value <= limit).length
      assert.include(values, found)
      assert.isAtLeast(atMost(found), share * values.length - 1e-9, `seed ${seed}`)
      assert.isBelow(atMost(found - 1), share * values.length, `seed ${seed}`)
    }
    assert.isUndefined(quantile([], 0.5))
    assert.strictEqual(quantile([1, Infinity], 0.99), Infinity)
  })

  it("the median is in the middle", () => {
    assert.strictEqual(median([3, 1, 2]), 2)
    assert.strictEqual(median([4, 1, 2, 3]), 2.5)
  })

  it("a tally has the most frequent first", () => {
    assert.deepStrictEqual(Object.entries(tally(["a", "b", "b"])), [
      ["b", 2],
      ["a", 1]
    ])
  })

  it("rounds to digits that mean something", () => {
    assert.strictEqual(round(12.3456), 12.3)
    assert.strictEqual(round(0.123456, 2), 0.12)
  })
})

describe("format", () => {
  it("100 % is all, and nothing is rounded up to it", () => {
    assert.deepStrictEqual(
      [percent(1500, 1500), percent(99_999, 100_000), percent(29, 100), percent(0, 5), percent(0, 0)],
      ["100 %", "99.99 %", "29.0 %", "0.0 %", "–"]
    )
  })

  it("times have a unit, and there is a never", () => {
    assert.deepStrictEqual([time(0.51), time(45.4), time(1234), time(null)], ["0.5 ms", "45 ms", "1.2 s", "never"])
  })
})
