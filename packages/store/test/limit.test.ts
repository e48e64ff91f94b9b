import { assert, describe, it } from "@effect/vitest"
import * as Limit from "../src/internal/limit.ts"
import { step } from "../src/internal/program.ts"
import { excess } from "./support/limitModel.ts"
import { Dice, seeds } from "./support/random.ts"

/** One limit, as a store keeps it. */
const keep = (rate: { readonly limit: number; readonly window: number; readonly burst: number }) => {
  const args = Limit.argsOf([rate])
  let text: string | undefined
  return (now: number, weight = 1): number => {
    const done = step(Limit.take, text, now, [weight, ...args])
    text = done.text ?? text
    return done.reply[0]!
  }
}

describe("a limit in one key", () => {
  it("RL10: a clock that is set back makes no time pass, and none twice", () => {
    for (const seed of seeds(50)) {
      const dice = new Dice(seed)
      const rate = { limit: 1 + dice.below(100), window: 1_000, burst: 1 + dice.below(10) }
      const take = keep(rate)
      const taken: Array<{ readonly at: number; readonly weight: number }> = []
      // What has passed on the clock, set backs left out, and what it shows.
      let passed = 0
      let shown = 1.7e15
      for (let round = 0; round < 200; round++) {
        if (dice.below(10) === 0) shown -= dice.below(3_600e6)
        const forward = dice.below(200_000)
        passed += forward
        shown += forward
        if (take(shown) === 0) taken.push({ at: passed, weight: 1 })
      }
      assert.isUndefined(excess(taken, rate), `seed ${seed}`)
    }
  })

  it("RL2 RL10: a wait is exact to the microsecond, and a clock set back by an hour does not prolong it", () => {
    for (const limit of [1, 3, 7, 10, 333, 1_000_000]) {
      const take = keep({ limit, window: 1_000, burst: 1 })
      let now = 1.7e15
      for (let round = 0; round < 50; round++) {
        assert.strictEqual(take(now), 0)
        const wait = take(now)
        assert.isAbove(wait, 0)
        if (wait > 1) assert.strictEqual(take(now + wait - 1), 1)
        if (round === 25) {
          now -= 3_600e6
          assert.strictEqual(take(now), wait)
        }
        now += wait
      }
    }
  })

  it("RL15: does not drift, however many are taken", () => {
    const take = keep({ limit: 3, window: 1_000, burst: 2 })
    const start = 1.7e15
    let now = start
    const count = 20_000
    for (let i = 0; i < count; i++) {
      const wait = take(now)
      now += wait
      if (wait > 0) assert.strictEqual(take(now), 0)
    }
    // Two pass at once, each other a third of a second later.
    assert.closeTo(now - start, ((count - 2) * 1e6) / 3, 1)
  })

  it("what weighs more than the burst waits for a full bucket and overdraws it", () => {
    const take = keep({ limit: 10, window: 1_000, burst: 2 })
    assert.strictEqual(take(0, 10), 0)
    assert.strictEqual(take(0, 1), 900_000)
  })
})
