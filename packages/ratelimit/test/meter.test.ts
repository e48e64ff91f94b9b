import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Gcra, type Rate } from "../src/internal/gcra.ts"
import { Meter, type MeterEvent, type MeterOptions } from "../src/internal/meter.ts"
import { excess, isNear, isRefuted, type Taken, TokenBucket } from "./models.ts"

const meter = (options: Partial<MeterOptions> & { readonly now?: number; readonly heard?: Array<MeterEvent> } = {}) =>
  new Meter(
    { rates: [], maxPause: Infinity, learning: undefined, ...options },
    options.now ?? 0,
    (event) => void options.heard?.push(event)
  )

/** Any rate at all. */
const rate: fc.Arbitrary<Rate> = fc.record({
  limit: fc.integer({ min: 1, max: 30 }),
  window: fc.integer({ min: 1, max: 2000 }),
  burst: fc.integer({ min: 1, max: 40 })
})

/** A rate of which one unit takes a whole number of milliseconds. */
const round: fc.Arbitrary<Rate> = fc
  .record({
    limit: fc.integer({ min: 1, max: 8 }),
    each: fc.integer({ min: 1, max: 50 }),
    burst: fc.integer({ min: 1, max: 10 })
  })
  .map(({ burst, each, limit }) => ({ limit, window: limit * each, burst }))

interface Step {
  readonly after: number
  readonly weight: number
}

const steps = (after: fc.Arbitrary<number>, maxWeight = 10): fc.Arbitrary<Array<Step>> =>
  fc.array(fc.record({ after, weight: fc.integer({ min: 0, max: maxWeight }) }), { maxLength: 60, size: "max" })

const milliseconds = steps(fc.oneof({ weight: 2, arbitrary: fc.constant(0) }, fc.nat(120)))

/** In steps of a microsecond. */
const microseconds = steps(fc.oneof(fc.constant(0), fc.nat(200_000)).map((micros) => micros / 1000))

/** What the invariants are about. A mutant is one with a defect. */
interface Limiter {
  take(now: number, weight: number): boolean
  wait(now: number, weight: number, ahead: number): number
}

type Make = (rate: Rate) => Limiter

const run = (limiter: Limiter, steps: ReadonlyArray<Step>): Array<Taken> => {
  const taken: Array<Taken> = []
  let at = 0
  for (const { after, weight } of steps) {
    at += after
    if (limiter.take(at, weight)) taken.push({ at, weight })
  }
  return taken
}

const RL1 = (make: Make) =>
  fc.property(rate, milliseconds, (rate, steps) => {
    assert.isUndefined(excess(run(make(rate), steps), rate))
  })

const RL2 = (make: Make) =>
  fc.property(rate, milliseconds, fc.integer({ min: 1, max: 10 }), (rate, steps, weight) => {
    const twice = [make(rate), make(rate)] as const
    for (const limiter of twice) run(limiter, steps)
    const now = steps.reduce((sum, { after }) => sum + after, 0)
    const wait = Math.ceil(twice[0].wait(now, weight, 0) - 1e-6)
    if (wait === Infinity) return
    if (wait > 0) assert.isFalse(twice[0].take(now + wait - 1, weight), "passes a millisecond early")
    assert.isTrue(twice[1].take(now + wait, weight), "does not pass in time")
  })

const RL3 = (make: Make) =>
  fc.property(rate, milliseconds, (rate, steps) => {
    const [asked, spared] = [make(rate), make(rate)]
    const taken = run(asked, steps)
    // The same steps without the denied ones.
    const accepted = taken.map(({ at, weight }, i) => ({ after: at - (taken[i - 1]?.at ?? 0), weight }))
    assert.deepStrictEqual(run(spared, accepted), taken)
    const now = steps.reduce((sum, { after }) => sum + after, 0)
    for (const weight of [1, 2, 5]) assert.isTrue(isNear(asked.wait(now, weight, 0), spared.wait(now, weight, 0), 1e-3))
  })

const RL13 = (make: Make) =>
  fc.property(round, microseconds, (rate, steps) => {
    const limiter = make(rate)
    const bucket = new TokenBucket(rate, 0)
    let at = 0
    for (const { after, weight } of steps) {
      at += after
      const wait = weight === 0 ? 0 : bucket.wait(at, weight)
      assert.isTrue(isNear(limiter.wait(at, weight, 0), wait))
      assert.strictEqual(limiter.take(at, weight), wait === 0)
      if (weight > 0) bucket.take(at, weight)
    }
  })

const one: Make = (rate) => meter({ rates: [rate] })

describe("a rate", () => {
  it("RL1: at most burst + floor(W / T) pass in any closed interval", () => {
    fc.assert(RL1(one))
  })

  it("RL1: the bound is reached", () => {
    const limiter = meter({ rates: [{ limit: 10, window: 1000, burst: 3 }] })
    let taken = 0
    for (let at = 0; at <= 1000; at++) while (limiter.take(at, 1)) taken++
    assert.strictEqual(taken, 3 + 10)
  })

  it("RL2: a wait is enough, and no shorter one is", () => {
    fc.assert(RL2(one))
  })

  it("RL3: a denial changes nothing", () => {
    fc.assert(RL3(one))
  })

  it("RL4: what is heavier than can ever pass never passes", () => {
    fc.assert(
      fc.property(rate, milliseconds, (rate, steps) => {
        const limiter = one(rate)
        run(limiter, steps)
        const capacity = Math.max(rate.limit, rate.burst)
        assert.strictEqual(limiter.wait(1e9, capacity + 1, 0), Infinity)
        assert.isFalse(limiter.take(1e9, capacity + 1))
        assert.strictEqual(limiter.wait(1e9, capacity, 0), 0)
      })
    )
  })

  it("RL5: a weight of 0 changes nothing", () => {
    fc.assert(
      fc.property(rate, milliseconds, (rate, steps) => {
        const taken = run(one(rate), steps)
        const without = steps.map((step, i) =>
          i % 2 === 0
            ? [
                { after: step.after, weight: 0 },
                { ...step, after: 0 }
              ]
            : [step]
        )
        assert.deepStrictEqual(
          run(one(rate), without.flat()).filter(({ weight }) => weight > 0),
          taken.filter(({ weight }) => weight > 0)
        )
      })
    )
  })

  it("RL6: after rest exactly the burst passes at once", () => {
    fc.assert(
      fc.property(rate, milliseconds, (rate, steps) => {
        const limiter = one(rate)
        run(limiter, steps)
        const rested = 1e6
        for (let i = 0; i < rate.burst; i++) assert.isTrue(limiter.take(rested, 1))
        assert.isFalse(limiter.take(rested, 1))
      })
    )
  })

  it("RL10: a clock that is set back makes no time pass", () => {
    fc.assert(
      fc.property(rate, steps(fc.integer({ min: -3000, max: 300 })), (rate, steps) => {
        const [real, envelope] = [one(rate), one(rate)]
        let now = 0
        let elapsed = 0
        for (const { after, weight } of steps) {
          now += after
          elapsed += Math.max(0, after)
          assert.isTrue(isNear(real.wait(now, weight, 0), envelope.wait(elapsed, weight, 0)))
          assert.strictEqual(real.take(now, weight), envelope.take(elapsed, weight))
        }
      })
    )
  })

  it("RL13: a token bucket gives the same answers", () => {
    fc.assert(RL13(one))
  })

  it("RL15: no drift after 10,000,000 takes, at three in a second", () => {
    const gcra = new Gcra({ limit: 3, window: 1000, burst: 2 }, 0)
    const n = 10_000_000
    let denied = 0
    for (let i = 0; i < n; i++) {
      if (gcra.allows(Math.ceil((i * 1000) / 3), 1)) gcra.take(1)
      else denied++
    }
    assert.strictEqual(denied, 0)
    // The bucket of two is full again when all n have had their third of a second.
    const end = Math.ceil((n * 1000) / 3)
    assert.strictEqual(gcra.available(end - 1), 1)
    assert.strictEqual(gcra.available(end), 2)
  })

  it("RL15: exact at a million in a second, after ten years", () => {
    const gcra = new Gcra({ limit: 1_000_000, window: 1000, burst: 5 }, 0)
    const now = 10 * 366 * 86_400_000
    for (let i = 0; i < 5; i++) {
      assert.isTrue(gcra.allows(now, 1))
      gcra.take(1)
    }
    assert.isFalse(gcra.allows(now, 1))
    assert.isTrue(isNear(gcra.wait(now, 1, 0), 0.001, 1e-4))
  })

  it("what may pass waits for nothing, however long it might have passed already", () => {
    const gcra = new Gcra({ limit: 10, window: 1000, burst: 2 }, 0)
    for (const now of [0, 0.0015, 100, 5000]) {
      for (const weight of [1, 2]) assert.strictEqual(gcra.wait(now, weight, 0), 0)
    }
  })

  it("what weighs more than the burst waits for a full bucket and overdraws it", () => {
    const limiter = meter({ rates: [{ limit: 10, window: 1000, burst: 2 }] })
    assert.isTrue(limiter.take(0, 5))
    assert.strictEqual(limiter.available(0), -3)
    assert.strictEqual(limiter.wait(0, 1, 0), 400)
    assert.strictEqual(limiter.wait(0, 5, 0), 500)
    assert.strictEqual(limiter.wait(0, 1, 7), 1100)
  })

  it("mutants: each defect found in the field breaks its invariant", () => {
    const wrapped =
      (change: (limiter: Meter) => Limiter): Make =>
      (rate) =>
        change(meter({ rates: [rate] }))
    const denialConsumes = wrapped((limiter) => ({
      take: (now, weight) =>
        limiter.take(now, weight) || (limiter.take(now, 0) && (limiter as any).rates[0].take(weight), false),
      wait: (now, weight) => limiter.wait(now, weight, 0)
    }))
    const offBy =
      (ticks: (rate: Rate) => number): Make =>
      (rate) => {
        const limiter = meter({ rates: [rate] })
        return {
          take: (now, weight) => limiter.take(now, weight),
          wait: (now, weight) => Math.max(0, limiter.wait(now, weight, 0) + ticks(rate))
        }
      }
    const fixedWindow: Make = (rate) => {
      let start = 0
      let left = rate.limit
      const roll = (now: number) => {
        if (now < start + rate.window) return
        start = now - ((now - start) % rate.window)
        left = rate.limit
      }
      return {
        take: (now, weight) => (roll(now), weight <= left && ((left -= weight), true)),
        wait: (now, weight) => (roll(now), weight <= left ? 0 : start + rate.window - now)
      }
    }
    // Gives back the one before last, as if cancelled: by then its time may have come and gone.
    const refundsLate: Make = (rate) => {
      const limiter = meter({ rates: [rate] })
      const gcra: any = (limiter as any).rates[0]
      let last = 0
      return {
        take: (now, weight) => {
          if (!limiter.take(now, weight)) return false
          gcra.tat -= last * gcra.cost
          last = last === 0 ? weight : 0
          return true
        },
        wait: (now, weight) => limiter.wait(now, weight, 0)
      }
    }
    assert.isTrue(isRefuted(RL3(denialConsumes)), "a denial consumes")
    assert.isTrue(isRefuted(RL2(offBy(() => -1))), "a wait one millisecond short")
    assert.isTrue(isRefuted(RL2(offBy(({ limit, window }) => window / limit))), "a wait one emission long")
    assert.isTrue(isRefuted(RL13(offBy(() => 0.001))), "a wait one tick long")
    assert.isTrue(isRefuted(RL1(fixedWindow)), "a fixed window")
    assert.isTrue(isRefuted(RL13(fixedWindow)), "a fixed window")
    assert.isTrue(isRefuted(RL1(refundsLate)), "a refund after the slot began")
  })
})

describe("several rates", () => {
  const RL16 = (make: (rates: ReadonlyArray<Rate>) => Limiter) =>
    fc.property(fc.array(round, { minLength: 2, maxLength: 3 }), milliseconds, (rates, steps) => {
      const buckets = rates.map((rate) => new TokenBucket(rate, 0))
      const limiter = make(rates)
      let at = 0
      for (const { after, weight } of steps) {
        at += after
        const wait = weight === 0 ? 0 : Math.max(...buckets.map((bucket) => bucket.wait(at, weight)))
        assert.isTrue(isNear(limiter.wait(at, weight, 0), wait))
        assert.strictEqual(limiter.take(at, weight), wait === 0)
        if (wait === 0 && weight > 0) for (const bucket of buckets) bucket.take(at, weight)
      }
    })

  it("RL16: take from all or from none", () => {
    fc.assert(RL16((rates) => meter({ rates })))
  })

  it("mutant: taking from the first before the second has agreed", () => {
    const refuted = isRefuted(
      RL16((rates) => {
        const each = rates.map((rate) => meter({ rates: [rate] }))
        return {
          take: (now, weight) => each.every((limiter) => limiter.take(now, weight)),
          wait: (now, weight) => Math.max(...each.map((limiter) => limiter.wait(now, weight, 0)))
        }
      })
    )
    assert.isTrue(refuted)
  })
})

describe("of several rates", () => {
  const rates = [
    { limit: 10, window: 1000, burst: 10 },
    { limit: 20, window: 5000, burst: 4 }
  ]

  it("what is left is what the tightest leaves", () => {
    for (const given of [rates, rates.toReversed()]) {
      const limiter = meter({ rates: given })
      assert.strictEqual(limiter.available(0), 4)
      limiter.take(0, 3)
      assert.strictEqual(limiter.available(0), 1)
    }
    assert.isUndefined(meter().available(0))
  })

  it("the shortest window is the one in which they are lowered once", () => {
    for (const given of [rates, rates.toReversed()]) {
      const limiter = meter({ rates: given, learning: { decrease: 0.5, recover: 0, floor: 0.1 } })
      for (const now of [0, 999, 1000]) limiter.lower(limiter.taken + 1, now)
      assert.strictEqual(limiter.share, 0.25)
    }
  })
})

describe("what is given back", () => {
  it("a weight of 0 gives back nothing", () => {
    const limiter = meter({ rates: [{ limit: 10, window: 1000, burst: 5 }] })
    limiter.take(0, 5)
    limiter.take(0, 0)
    limiter.undo(limiter.taken, 0)
    assert.strictEqual(limiter.available(0), 0)
  })

  it("RL1: the last take, as if it had not been; never an earlier one", () => {
    const undoing = fc.array(
      fc.record({ after: fc.nat(60), weight: fc.integer({ min: 1, max: 4 }), undo: fc.nat(4) }),
      {
        maxLength: 60,
        size: "max"
      }
    )
    fc.assert(
      fc.property(rate, undoing, (rate, steps) => {
        const limiter = meter({ rates: [rate] })
        const reference = meter({ rates: [rate] })
        const permits: Array<{ readonly permit: number; readonly weight: number }> = []
        let now = 0
        for (const { after, undo, weight } of steps) {
          now += after
          // Now and then the reference does not take what is given back at once.
          const giveBack = undo === 0
          const wait = reference.wait(now, weight, 0)
          assert.isTrue(isNear(limiter.wait(now, weight, 0), wait))
          const passed = limiter.take(now, weight)
          if (!passed) continue
          permits.push({ permit: limiter.taken, weight })
          if (giveBack) {
            const last = permits.at(-1)!
            limiter.undo(last.permit, last.weight)
            limiter.undo(last.permit, last.weight)
          } else {
            reference.take(now, weight)
            for (const { permit, weight } of permits.slice(0, -1)) limiter.undo(permit, weight)
          }
        }
        assert.strictEqual(limiter.admitted, reference.admitted)
      })
    )
  })
})

describe("a pause", () => {
  it("RL9: nothing passes before its end, and late news does not extend it", () => {
    const commands = fc.array(
      fc.oneof(
        fc.record({ do: fc.constant("take" as const), after: fc.nat(300) }),
        fc.record({ do: fc.constant("hint" as const), after: fc.nat(300), which: fc.nat(1000), millis: fc.nat(900) }),
        fc.record({ do: fc.constant("pause" as const), after: fc.nat(300), millis: fc.nat(500) })
      ),
      { maxLength: 80, size: "max" }
    )
    fc.assert(
      fc.property(commands, (commands) => {
        const heard: Array<MeterEvent> = []
        const limiter = meter({ maxPause: 600, heard })
        /** When each permit was given, and when the last pause began and ends. */
        const permits: Array<{ readonly permit: number; readonly order: number }> = []
        let now = 0
        let until = 0
        let began = -1
        for (const [order, command] of commands.entries()) {
          now += command.after
          if (command.do === "take") {
            assert.strictEqual(limiter.take(now, 1), now >= until)
            if (now >= until) permits.push({ permit: limiter.taken, order })
          } else if (command.do === "pause") {
            limiter.pause(command.millis, now)
            until = command.millis > 0 ? now + command.millis : 0
            if (command.millis > 0) began = order
          } else if (permits.length > 0) {
            const sent = permits[command.which % permits.length]!
            const end = now + Math.min(command.millis, 600)
            const news = sent.order > began && end > Math.max(now, until)
            assert.strictEqual(limiter.hint(sent.permit, command.millis, now), news)
            if (news) {
              until = end
              began = order
            }
          }
          assert.strictEqual(limiter.pausedFor(now), Math.max(0, until - now))
        }
        const told = heard.map(({ type }) => type).join(" ")
        assert.notMatch(told, /resumed resumed/)
      })
    )
  })

  it("RL9, mutant: without the fence a burst of late hints extends the pause", () => {
    class Unfenced extends Meter {
      override hint(_permit: number, millis: number, now: number): boolean {
        return super.hint(Infinity, millis, now)
      }
    }
    for (const Kind of [Meter, Unfenced]) {
      const limiter = new Kind({ rates: [], maxPause: 60_000, learning: undefined }, 0, () => {})
      const sent = [0, 0, 0].map(() => (limiter.take(0, 1), limiter.taken))
      for (const [i, permit] of sent.entries()) limiter.hint(permit, 1000, i * 400)
      assert.strictEqual(limiter.pausedFor(800), Kind === Meter ? 200 : 1000)
    }
  })

  it("is told when it begins and when somebody passes again", () => {
    const heard: Array<MeterEvent> = []
    const limiter = meter({ heard })
    limiter.take(0, 1)
    limiter.hint(limiter.taken, 500, 10)
    assert.isFalse(limiter.take(509, 1))
    assert.isTrue(limiter.take(510, 1))
    assert.isTrue(limiter.take(511, 1))
    assert.deepStrictEqual(heard, [{ type: "paused", for: 500 }, { type: "resumed" }])
  })

  it("that is called off is over at once, and told to be; one that was not there is not", () => {
    const heard: Array<MeterEvent> = []
    const limiter = meter({ heard })
    limiter.pause(0, 0)
    assert.deepStrictEqual(heard, [])
    limiter.pause(500, 0)
    limiter.pause(0, 10)
    assert.deepStrictEqual(heard, [{ type: "paused", for: 500 }, { type: "resumed" }])
    assert.isTrue(limiter.take(10, 1))
    assert.lengthOf(heard, 2)
  })

  it("of the same length comes out of an estimate once, whatever waits behind it", () => {
    const limiter = meter({ rates: [{ limit: 10, window: 1000, burst: 2 }] })
    limiter.take(0, 2)
    limiter.pause(1000, 0)
    assert.strictEqual(limiter.wait(0, 1, 0), 1000)
    assert.strictEqual(limiter.wait(0, 1, 1), 1000)
    assert.strictEqual(limiter.wait(0, 1, 2), 1100)
    assert.strictEqual(limiter.wait(0, 0, 2), 1000)
  })
})

describe("learning", () => {
  const learning = { decrease: 0.5, recover: 0.1, floor: 0.2 }
  const rates = [{ limit: 10, window: 1000, burst: 1 }]

  it("lowers the rate at most once in a window, down to the floor, and recovers step by step", () => {
    const heard: Array<MeterEvent> = []
    const limiter = meter({ rates, learning, heard })
    const lower = (now: number) => limiter.lower(limiter.taken + 1, now)
    lower(0)
    lower(10)
    lower(999)
    assert.strictEqual(limiter.share, 0.5)
    lower(1000)
    assert.closeTo(limiter.share, 0.3, 1e-9)
    lower(2500)
    assert.strictEqual(limiter.share, 0.2)
    limiter.take(3499, 1)
    assert.strictEqual(limiter.share, 0.2)
    limiter.take(3500, 1)
    assert.closeTo(limiter.share, 0.3, 1e-9)
    limiter.take(5600, 1)
    assert.closeTo(limiter.share, 0.5, 1e-9)
    limiter.take(60_000, 1)
    assert.strictEqual(limiter.share, 1)
    assert.isTrue(heard.every(({ type }) => type === "rate"))
  })

  it("tells of each change, and of nothing at the floor", () => {
    const heard: Array<MeterEvent> = []
    const limiter = meter({ rates, learning: { decrease: 0.5, recover: 0, floor: 0.4 }, heard })
    for (const now of [0, 1000, 2000, 3000]) limiter.lower(limiter.taken + 1, now)
    assert.deepStrictEqual(heard, [
      { type: "rate", share: 0.5 },
      { type: "rate", share: 0.4 }
    ])
  })

  it("without it nothing is lowered", () => {
    const limiter = meter({ rates })
    limiter.lower(1, 0)
    assert.strictEqual(limiter.share, 1)
  })

  it("a request from before the last decrease lowers nothing", () => {
    const limiter = meter({ rates, learning: { ...learning, recover: 0.001 } })
    limiter.take(0, 1)
    const old = limiter.taken
    limiter.take(100, 1)
    limiter.lower(limiter.taken, 100)
    limiter.lower(old, 5000)
    limiter.lower(limiter.taken, 5000)
    assert.closeTo(limiter.share, 0.5, 0.01)
  })

  it("a lower rate takes longer, and what is left stays", () => {
    const limiter = meter({ rates: [{ limit: 10, window: 1000, burst: 4 }], learning })
    for (const [now, share] of [
      [0, 0.5],
      [1000, 0.3],
      [90_000, 0.5]
    ] as const) {
      limiter.take(now, 3)
      limiter.lower(limiter.taken, now)
      assert.closeTo(limiter.share, share, 1e-9)
      assert.strictEqual(limiter.available(now), 1)
      assert.isTrue(limiter.take(now, 1))
      assert.closeTo(limiter.wait(now, 1, 0), 100 / share, 1e-3)
    }
  })

  it("a recovered rate gives nothing for the time in which it was lower", () => {
    const limiter = meter({ rates: [{ limit: 10, window: 1000, burst: 10 }], learning: { ...learning, recover: 0.5 } })
    limiter.take(50_000, 10)
    limiter.lower(limiter.taken, 50_000)
    assert.strictEqual(limiter.available(51_000), 5)
    assert.isTrue(limiter.take(51_000, 1))
    assert.strictEqual(limiter.share, 1)
    assert.strictEqual(limiter.available(51_000), 4)
    assert.strictEqual(limiter.available(51_100), 5)
  })

  it("RL1: whatever the rate does, it never exceeds the configured one", () => {
    const commands = fc.array(
      fc.record({ after: fc.nat(80), weight: fc.integer({ min: 1, max: 4 }), lower: fc.nat(3) }),
      {
        maxLength: 60,
        size: "max"
      }
    )
    fc.assert(
      fc.property(rate, commands, (rate, commands) => {
        const limiter = meter({ rates: [rate], learning })
        const taken: Array<Taken> = []
        let at = 0
        for (const { after, lower, weight } of commands) {
          at += after
          if (limiter.take(at, weight)) taken.push({ at, weight })
          if (lower === 0) limiter.lower(limiter.taken, at)
          assert.isTrue(limiter.share >= 0.2 && limiter.share <= 1)
        }
        assert.isUndefined(excess(taken, rate))
      })
    )
  })
})
