import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { Load } from "../src/internal/load.ts"
import { Member, pick, tiersOf } from "../src/internal/members.ts"

const settings = { decay: 10_000, penalty: 5_000 }

/** xorshift: enough for draws that must repeat. */
const seeded = (seed: number) => {
  let x = seed | 1
  return () => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>> 0) / 2 ** 32
  }
}

const member = (name: string, options: { readonly tier?: number; readonly weight?: number } = {}) =>
  new Member({ name, upstream: name, tier: options.tier ?? 0, weight: options.weight ?? 1 }, settings)

const command = fc.oneof(
  fc.record({ kind: fc.constantFrom("success", "failure", "waited"), elapsed: fc.integer({ min: 0, max: 20_000 }) }),
  fc.record({ kind: fc.constant("advance"), elapsed: fc.integer({ min: -5_000, max: 60_000 }) }),
  fc.record({ kind: fc.constantFrom("start", "end"), elapsed: fc.constant(0) })
)

describe("Load", () => {
  it("LB7: latency is a peak average, the cost is monotone in requests under way, never NaN, never negative", () => {
    fc.assert(
      fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
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
      fc.property(fc.array(command, { maxLength: 40 }), fc.integer({ min: 0, max: 1e9 }), (commands, shift) => {
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
      })
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

  it("one without history takes one request, not all of them", () => {
    const load = new Load(settings)
    assert.strictEqual(load.cost(0), 0)
    load.inflight = 1
    assert.isAtLeast(load.cost(0), settings.penalty)
  })
})

describe("pick", () => {
  const draw = (members: ReadonlyArray<Member<string>>, times: number, seed: number) => {
    const tiers = tiersOf(members)
    const random = seeded(seed)
    const picks = new Map<string, number>()
    for (let i = 0; i < times; i++) {
      const name = pick(tiers, [], 0, random)!.name
      picks.set(name, (picks.get(name) ?? 0) + 1)
    }
    return picks
  }

  it("LB3: the dearest is never taken while there is a choice", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 2, maxLength: 6 }),
        fc.nat(),
        (costs, seed) => {
          const members = costs.map((cost, i) => {
            const it = member(`${i}`)
            it.load.success(cost, 0)
            return it
          })
          const dearest = Math.max(...costs)
          if (costs.filter((cost) => cost === dearest).length > 1) return
          assert.isUndefined(draw(members, 100, seed + 1).get(`${costs.indexOf(dearest)}`))
        }
      )
    )
  })

  it("LB4: equals share equally (chi-square within the 99.9 % band, 4 degrees of freedom)", () => {
    const members = ["a", "b", "c", "d", "e"].map((name) => member(name))
    const picks = draw(members, 10_000, 7)
    const chi = members.reduce((sum, { name }) => sum + (picks.get(name)! - 2_000) ** 2 / 2_000, 0)
    assert.isBelow(chi, 18.47)
  })

  it("LB16: what is untried is taken before anything, in its tier before the next", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(2), fc.boolean()), { minLength: 1, maxLength: 6 }),
        fc.nat(),
        (specs, seed) => {
          const members = specs.map(([tier], i) => member(`${i}`, { tier }))
          const tried = members.filter((_, i) => specs[i]![1])
          const untried = members.filter((it) => !tried.includes(it))
          const picked = pick(tiersOf(members), tried, 0, seeded(seed + 1))
          if (untried.length === 0) assert.isUndefined(picked)
          else {
            assert.include(untried, picked!)
            assert.strictEqual(picked!.tier, Math.min(...untried.map(({ tier }) => tier)))
          }
        }
      )
    )
  })

  it("LB18: the same draws give the same picks", () => {
    const members = ["a", "b", "c"].map((name) => member(name))
    const trace = (seed: number) => {
      const random = seeded(seed)
      return Array.from({ length: 50 }, () => pick(tiersOf(members), [], 0, random)!.name).join("")
    }
    assert.strictEqual(trace(3), trace(3))
    assert.notStrictEqual(trace(3), trace(4))
  })

  it("weight makes an upstream cheaper", () => {
    const [light, heavy] = [member("light"), member("heavy", { weight: 3 })]
    for (const it of [light, heavy]) it.load.success(100, 0)
    assert.strictEqual(heavy.cost(0), light.cost(0) / 3)
  })
})
