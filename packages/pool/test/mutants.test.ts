/**
 * Defects that balancers have had in the field, put into ours on purpose: the named invariant must find each, and must
 * hold without it. The mutants' seed is fixed, so that this never fails by bad luck.
 */
import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Ejection, type Rules } from "../src/internal/ejection.ts"
import { Load } from "../src/internal/load.ts"
import type { Member } from "../src/internal/member.ts"
import { Roster, type Settings } from "../src/internal/roster.ts"

const rules: Rules = {
  consecutive: 3,
  rate: 0.5,
  minimum: 20,
  interval: 10_000,
  base: 30_000,
  max: 300_000,
  jitter: 0.1,
  share: 0.5
}

const settings: Settings = {
  decay: 10_000,
  penalty: 5_000,
  balance: "latency",
  overflow: 1.4,
  panic: 0.5,
  ejection: rules,
  slowStart: 1_000
}

/** What the invariants are about. A mutant is one with a defect. */
interface Core {
  readonly Roster: new (settings: Settings) => Roster<string>
  readonly Ejection: new (rules: Rules) => Ejection
  readonly Load: new (settings: Settings) => Load
}

const core: Core = { Roster, Ejection, Load }

const specs = (weights: ReadonlyArray<number>, tier = 0) =>
  weights.map((weight, i) => ({ name: `${tier}:${i}`, upstream: "", tier, weight, capacity: Infinity }))

const rosterOf = ({ Roster }: Core, weights: ReadonlyArray<number>, options?: Partial<Settings>) => {
  const roster = new Roster({ ...settings, ...options })
  roster.set(specs(weights), 0)
  return roster
}

/** A linear congruence: enough for draws that must repeat. */
const seeded = (seed: number) => {
  let state = seed
  return () => (state = (state * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648
}

const seeds = fc.integer({ min: 1, max: 1e9 })
const late = 1e6

const invariants: Record<string, (core: Core) => fc.IPropertyWithHooks<any>> = {
  LB3: (core) =>
    fc.property(
      fc.uniqueArray(fc.integer({ min: 1, max: 1_000 }), { minLength: 2, maxLength: 6 }),
      seeds,
      (costs, seed) => {
        const roster = rosterOf(
          core,
          costs.map(() => 1)
        )
        roster.members.forEach(({ load }, i) => load.success(costs[i]!, late))
        const random = seeded(seed)
        const dearest = roster.members[costs.indexOf(Math.max(...costs))]
        for (let i = 0; i < 50; i++) assert.notStrictEqual(roster.pick(undefined, late, random), dearest)
      }
    ),

  LB5: (core) =>
    fc.property(
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 2, maxLength: 5 }),
      fc.nat(30),
      (weights, skip) => {
        const roster = rosterOf(core, weights, { balance: "weight" })
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        const next = () => roster.members.indexOf(roster.pick(undefined, late, Math.random)!)
        const all = Array.from({ length: skip + total }, next)
        const share = (until: number, i: number) => all.slice(0, until).filter((pick) => pick === i).length
        weights.forEach((weight, i) => {
          assert.strictEqual(share(skip + total, i) - share(skip, i), weight, "exact in any run")
          for (let n = 1; n <= all.length; n++)
            assert.isBelow(Math.abs(share(n, i) - (n * weight) / total), 2, "a prefix")
        })
      }
    ),

  LB7: ({ Load }) =>
    fc.property(fc.array(fc.tuple(fc.nat(500), fc.nat(2_000)), { maxLength: 40 }), (samples) => {
      const load = new Load(settings)
      let now = 0
      for (const [elapsed, passed] of samples) {
        const before = load.latency
        load.success(elapsed, (now += passed))
        if (elapsed > before) assert.strictEqual(load.latency, elapsed, "a peak replaces it")
        else
          assert.isTrue(
            load.latency <= before + 1e-9 && load.latency >= elapsed - 1e-9,
            "else it falls, and not below the sample"
          )
        const cost = load.cost(now)
        load.inflight++
        assert.isTrue(cost >= 0 && load.cost(now) >= cost, "what is under way costs")
        load.inflight--
      }
    }),

  LB8: (core) =>
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.array(fc.nat(5), { maxLength: 60 }),
      (n, share, failures) => {
        const roster = rosterOf(
          core,
          Array.from({ length: n }, () => 1),
          { ejection: { ...rules, share } }
        )
        for (const i of failures) {
          const member = roster.members[i % n]!
          if (member.ejection!.failure(late)) roster.eject(member, late, () => 0.5)
          const out = roster.members.filter((member) => member.isEjected(late)).length
          assert.isAtMost(out, Math.max(1, Math.floor(share * n)))
          assert.isBelow(out, Math.max(n, 1), "the last never")
        }
      }
    ),

  LB9: ({ Ejection }) =>
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 1, 12), fc.double({ min: 0, max: 1, noNaN: true })), {
        maxLength: 40,
        size: "max"
      }),
      (steps) => {
        const ejection = new Ejection(rules)
        let now = 0
        let count = 0
        for (const [healthy, random] of steps) {
          // Between two steps, so that no rounding decides.
          now += (healthy + 0.5) * rules.base
          count = Math.max(0, count - healthy) + 1
          ejection.eject(now, random)
          const least = Math.min(rules.base * count, rules.max)
          assert.isAtLeast(ejection.until - now, least - 1e-6)
          assert.isAtMost(ejection.until - now, least * (1 + rules.jitter) + 1e-6)
          now = ejection.until
        }
      }
    ),

  LB10: (core) =>
    fc.property(fc.integer({ min: 2, max: 6 }), fc.integer({ min: 0, max: 6 }), seeds, (n, out, seed) => {
      const roster = rosterOf(
        core,
        Array.from({ length: n }, () => 1)
      )
      const ejected = roster.members.slice(0, Math.min(out, n - 1))
      for (const { ejection } of ejected) ejection!.eject(late, 0)
      const panic = (n - ejected.length) / n < settings.panic
      for (const member of roster.members) {
        assert.strictEqual(roster.isEligible(member, late), panic || !ejected.includes(member))
      }
      const random = seeded(seed)
      for (let i = 0; i < 20; i++) {
        const member = roster.pick(undefined, late, random)!
        assert.isTrue(panic || !ejected.includes(member))
      }
    }),

  // Four upstreams, of which one fails at once and the others take 100 ms, two requests under way at a time.
  LB11: (core) =>
    fc.property(seeds, (seed) => {
      const random = seeded(seed)
      const roster = rosterOf(core, [1, 1, 1, 1], { slowStart: 0, ejection: undefined })
      const [bad] = roster.members
      for (const member of roster.members) Object.assign(member, { load: new core.Load(settings) })
      let failed = 0
      let picks = 0
      const running: Array<{ readonly member: Member<string>; readonly until: number }> = []
      for (let now = 0; now < 60_000; now += 25) {
        while (running.length > 0 && running[0]!.until <= now) {
          const { member } = running.shift()!
          member.load.inflight--
          member.load.success(100, now)
        }
        const member = roster.pick(undefined, now, random)!
        if (failed >= 5) picks++
        if (member === bad) {
          if (failed++ >= 5) assert.isAtMost(failed - 5, Math.max(20, picks / 4), "at most its share from then on")
          member.load.failure(0, now)
        } else {
          member.load.inflight++
          running.push({ member, until: now + 100 })
        }
      }
    }),

  LB13: (core) =>
    fc.property(
      fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.nat(5)), { minLength: 1, maxLength: 4 }),
      (tiers) => {
        const roster = new core.Roster(settings)
        roster.set(
          tiers.flatMap(([size], tier) =>
            specs(
              Array.from({ length: size }, () => 1),
              tier
            )
          ),
          0
        )
        tiers.forEach(([size, sick], tier) => {
          const members = roster.members.filter((member) => member.tier === tier).slice(0, Math.min(sick, size))
          for (const member of members) member.draining = true
        })
        const shares = roster.shares(late)
        assert.closeTo(
          shares.reduce((sum, share) => sum + share, 0),
          1,
          1e-9,
          "they sum to one"
        )
        tiers.forEach(([size, sick], tier) => {
          const healthy = Math.max(0, size - sick) / size
          if (healthy * 1.4 < 1) return
          for (const share of shares.slice(tier + 1)) assert.strictEqual(share, 0, "a tier in order leaves nothing")
        })
      }
    ),

  LB14: ({ Roster }) =>
    fc.property(fc.array(fc.nat(300), { maxLength: 30 }), (steps) => {
      const roster = rosterOf({ ...core, Roster }, [1])
      let last = 0
      let now = 0
      for (const passed of steps) {
        const ramp = roster.members[0]!.ramp((now += passed))
        assert.isTrue(ramp >= 0.1 && ramp <= 1 && ramp >= last)
        if (now >= settings.slowStart) assert.strictEqual(ramp, 1)
        last = ramp
      }
    }),

  LB17: ({ Ejection }) =>
    fc.property(fc.array(fc.tuple(fc.nat(3_000), fc.boolean()), { maxLength: 60 }), (steps) => {
      const ejection = new Ejection({ ...rules, consecutive: Infinity })
      let now = 0
      const all: Array<{ readonly at: number; readonly ok: boolean }> = []
      for (const [passed, ok] of steps) {
        now += passed
        all.push({ at: now, ok })
        const due = ok ? (ejection.success(now), false) : ejection.failure(now)
        const recent = all.filter(({ at }) => at > now - 2 * rules.interval)
        if (due) assert.isAtLeast(recent.length, rules.minimum, "below its minimum no share counts")
        if (recent.every(({ ok }) => ok)) assert.isFalse(due)
      }
    })
}

class WithReplacement extends Roster<string> {
  override pick(_tried: unknown, now: number, random: () => number) {
    const draw = () => this.members[Math.floor(random() * this.members.length)]!
    const [first, second] = [draw(), draw()]
    return second.cost(now) < first.cost(now) ? second : first
  }
}

class InARow extends Roster<string> {
  private n = 0
  override pick() {
    const all = this.members.flatMap((member) => Array.from({ length: member.weight }, () => member))
    return all[this.n++ % all.length]
  }
}

/** By chance in proportion: right on average, exact in no run. */
class ByChance extends Roster<string> {
  override pick(_tried: unknown, _now: number, random: () => number) {
    const all = this.members.flatMap((member) => Array.from({ length: member.weight }, () => member))
    return all[Math.floor(random() * all.length)]
  }
}

class EjectsAll extends Roster<string> {
  override eject(member: Member<string>, now: number, random: () => number) {
    member.ejection!.eject(now, random())
    return true
  }
}

class NeverPanics extends Roster<string> {
  override inPanic = () => false
}

class SharesByHealth extends Roster<string> {
  override shares(now: number) {
    const length = new Set(this.members.map(({ tier }) => tier)).size
    const healths = Array.from({ length }, (_, tier) => {
      const all = this.members.filter((member) => member.tier === tier)
      return all.filter((member) => this.isEligible(member, now)).length / all.length
    })
    const total = healths.reduce((sum, health) => sum + health, 0)
    return total === 0 ? healths.map((_, i) => (i === 0 ? 1 : 0)) : healths.map((health) => health / total)
  }
}

class Plain extends Load {
  override success(elapsed: number, now: number) {
    const { latency } = this
    super.success(elapsed, now)
    if (latency > 0) this.latency = 0.9 * latency + 0.1 * elapsed
  }
}

/** A failure is as cheap as the time it took: the trap of the fast failure. */
class Unbiased extends Load {
  override failure(elapsed: number, now: number) {
    super.success(elapsed, now)
  }
}

class Grows extends Ejection {
  override eject(now: number, random: number) {
    super.eject(now, random)
    this.until = now + 30_000 * this.count * (1 + 0.1 * random)
  }
}

class NeverForgets extends Ejection {
  override eject(now: number, random: number) {
    const { count } = this
    super.eject(now, random)
    this.count = count + 1
    this.until = now + Math.min(30_000 * this.count, 300_000)
  }
}

class Hasty extends Ejection {
  private failed = 0
  private total = 0
  override success(now: number) {
    this.total++
    super.success(now)
  }
  override failure(now: number) {
    return super.failure(now) || ++this.failed / ++this.total > 0.5
  }
}

const mutants: ReadonlyArray<readonly [defect: string, invariant: string, Partial<Core>]> = [
  ["two draws may be the same", "LB3", { Roster: WithReplacement }],
  ["weights are expanded in a row", "LB5", { Roster: InARow }],
  ["weights are chances", "LB5", { Roster: ByChance }],
  ["a peak is averaged away", "LB7", { Load: Plain }],
  ["all may be ejected", "LB8", { Roster: EjectsAll }],
  ["an ejection has no longest time", "LB9", { Ejection: Grows }],
  ["health is not credited", "LB9", { Ejection: NeverForgets }],
  ["the last survivor takes it all", "LB10", { Roster: NeverPanics }],
  ["a failure at once looks fast", "LB11", { Load: Unbiased }],
  ["a tier in order shares with the next", "LB13", { Roster: SharesByHealth }],
  ["one failure of one request is a share", "LB17", { Ejection: Hasty }]
]

describe("the invariants", () => {
  it.each(Object.entries(invariants))("%s holds", (_id, invariant) => fc.assert(invariant(core)))

  for (const [defect, id, change] of mutants) {
    it(`${id} finds: ${defect}`, () => {
      const result = fc.check(invariants[id]!({ ...core, ...change }), {
        seed: 20_261_126,
        numRuns: 1_000,
        endOnFailure: true
      })
      assert.isTrue(result.failed, "no counterexample in 1,000 runs")
      assert.strictEqual((result.errorInstance as Error).name, "AssertionError", "a crash proves nothing")
    })
  }
})
