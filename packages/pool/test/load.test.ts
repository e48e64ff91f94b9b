import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { Load } from "../src/internal/load.ts"

const settings = { decay: 10_000, penalty: 5_000 }

const command = fc.oneof(
  fc.record({ kind: fc.constantFrom("success", "failure", "waited"), elapsed: fc.integer({ min: 0, max: 20_000 }) }),
  fc.record({ kind: fc.constant("advance"), elapsed: fc.integer({ min: -5_000, max: 60_000 }) }),
  fc.record({ kind: fc.constantFrom("start", "end"), elapsed: fc.constant(0) })
)

describe("Load", () => {
  it("LB7: latency is a peak average, the cost is monotone in requests under way, never NaN, never negative", () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60, size: "max" }), (commands) => {
        const load = new Load(settings)
        let now = 0
        for (const { elapsed, kind } of commands) {
          const before = load.latency
          if (kind === "success") {
            load.success(elapsed, now)
            assert.isTrue(elapsed > before ? load.latency === elapsed : load.latency <= before)
          } else if (kind === "failure" || kind === "waited") {
            load[kind](elapsed, now)
            assert.isTrue(load.latency >= elapsed && load.latency >= before)
          } else if (kind === "advance") now += elapsed
          else load.inflight = Math.max(0, load.inflight + (kind === "start" ? 1 : -1))
          assert.isTrue(load.failing >= 0 && load.failing <= 1)
          const cost = load.cost(now)
          assert.isTrue(Number.isFinite(cost) && cost >= 0)
          load.inflight++
          assert.isTrue(load.cost(now) >= cost)
          load.inflight--
        }
      })
    )
  })

  it("LB7: adding a constant to all times changes nothing", () => {
    fc.assert(
      fc.property(
        fc.array(command, { maxLength: 40, size: "max" }),
        fc.integer({ min: 0, max: 1e9 }),
        (commands, shift) => {
          const a = new Load(settings)
          const b = new Load(settings)
          let now = 0
          for (const { elapsed, kind } of commands) {
            if (kind === "advance") now += Math.max(0, elapsed)
            else if (kind === "success" || kind === "failure" || kind === "waited") {
              a[kind](elapsed, now)
              b[kind](elapsed, now + shift)
            }
            assert.closeTo(a.cost(now), b.cost(now + shift), 1e-6)
          }
        }
      )
    )
  })

  it("LB12: a caller who leaves early changes nothing; one who waited longer than usual raises the estimate", () => {
    const load = new Load(settings)
    load.success(100, 0)
    load.waited(90, 10)
    assert.strictEqual(load.latency, 100)
    load.waited(3_000, 20)
    assert.strictEqual(load.latency, 3_000)
  })

  it("a single failure does not weigh like many, and is forgotten", () => {
    const load = new Load(settings)
    for (let i = 0; i < 100; i++) load.success(50, i)
    load.failure(1, 100)
    assert.closeTo(load.cost(100), 50 + settings.penalty / 20, 1)
    for (let i = 0; i < 100; i++) load.success(50, 101 + i)
    assert.isBelow(load.cost(201), 60)
  })

  it("one that failed is tried after a rest, forgiven if it is well, and rests longer if not", () => {
    const load = new Load(settings)
    const fail = (now: number) => load.failure(1, now)
    for (let i = 0; i < 100; i++) fail(i)
    assert.isAbove(load.cost(5_098), 1_000)
    assert.strictEqual(load.cost(5_099), 0)
    load.inflight = 1
    assert.isAbove(load.cost(5_099), 1_000)
    load.inflight = 0
    fail(5_099)
    // 5, 10, 20, 40, 80, 120, 120 seconds.
    let now = 5_099
    for (const rest of [10_000, 20_000, 40_000, 80_000, 120_000, 120_000]) {
      assert.isAbove(load.cost(now + rest - 1), 0)
      now += rest
      assert.strictEqual(load.cost(now), 0)
      fail(now)
    }
    now += 120_000
    load.success(50, now)
    assert.closeTo(load.cost(now), 50, 1)
    fail(now)
    assert.isAbove(load.cost(now + 4_999), 50)
    assert.strictEqual(load.cost(now + 5_000), 0)
  })

  it("one without history takes one request, not all of them", () => {
    const load = new Load(settings)
    assert.strictEqual(load.cost(0), 0)
    load.inflight = 1
    assert.isAtLeast(load.cost(0), settings.penalty)
  })

  it("an answer that takes as long as expected leaves the estimate as it is, to the last bit", () => {
    const load = new Load(settings)
    load.success(19_997, 0)
    load.success(19_997, 114_233)
    assert.strictEqual(load.latency, 19_997)
  })

  it("a faster answer pulls the estimate down by the time that has passed", () => {
    const load = new Load(settings)
    load.success(100, 0)
    load.success(50, 5_000)
    assert.closeTo(load.latency, 50 + 50 * Math.exp(-0.5), 1e-9)
  })

  it("the cost falls while nobody asks, and a clock that steps back makes nothing older", () => {
    const load = new Load(settings)
    load.success(100, 10_000)
    assert.strictEqual(load.cost(10_000), 100)
    assert.closeTo(load.cost(20_000), 100 / Math.E, 1e-9)
    load.success(100, 0)
    assert.strictEqual(load.cost(0), 100)
    assert.strictEqual(load.cost(10_000), 100)
  })

  it("a success before the rest is over forgives nothing, one after it all", () => {
    const fallen = () => {
      const load = new Load(settings)
      for (let i = 0; i < 100; i++) load.failure(50, 0)
      return load
    }
    const early = fallen()
    early.success(50, 4_999)
    assert.isAbove(early.cost(4_999), settings.penalty / 2)
    const rested = fallen()
    rested.success(50, 5_000)
    assert.closeTo(rested.cost(5_000), 50, 1e-9)
  })
})
