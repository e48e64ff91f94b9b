import { assert, describe, it } from "@effect/vitest"
import fc from "fast-check"
import { Ejection, type Rules } from "../src/internal/ejection.ts"
import type { Member } from "../src/internal/member.ts"
import { Roster, type Settings } from "../src/internal/roster.ts"

const rules: Rules = {
  consecutive: 5,
  rate: 0.5,
  minimum: 20,
  interval: 10_000,
  base: 30_000,
  max: 300_000,
  jitter: 0,
  share: 0.5
}

const settings: Settings = {
  decay: 10_000,
  penalty: 5_000,
  balance: "latency",
  overflow: 1.4,
  panic: 0.5,
  ejection: undefined,
  slowStart: 0
}

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

interface Spec {
  readonly tier?: number
  readonly weight?: number
  readonly capacity?: number
}

const rosterOf = (specs: ReadonlyArray<Spec>, options: Partial<Settings> = {}) => {
  const roster = new Roster<string>({ ...settings, ...options })
  roster.set(
    specs.map(({ capacity = Infinity, tier = 0, weight = 1 }, i) => ({
      name: `${i}`,
      upstream: `${i}`,
      tier,
      weight,
      capacity
    })),
    0
  )
  return roster
}

const refuse = (member: Member<unknown>, until = Infinity) => {
  member.leftOut = { error: "refused", until }
}

const tally = (roster: Roster<string>, times: number, random: () => number, now = 0) => {
  const picks = new Map<string, number>()
  for (let i = 0; i < times; i++) {
    const { name } = roster.pick(undefined, now, random)!
    picks.set(name, (picks.get(name) ?? 0) + 1)
  }
  return picks
}

describe("pick", () => {
  it("LB1: one who is eligible is taken if there is one; else one who is not, unless it drains", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(2), fc.constantFrom("ok", "refuses", "drains")), { minLength: 1, maxLength: 6 }),
        fc.nat(),
        (specs, seed) => {
          const roster = rosterOf(specs.map(([tier]) => ({ tier })))
          roster.members.forEach((member, i) => {
            if (specs[i]![1] === "refuses") refuse(member)
            if (specs[i]![1] === "drains") member.draining = true
          })
          const picked = roster.pick(undefined, 0, seeded(seed + 1))
          const states = specs.map(([, state]) => state)
          if (states.includes("ok")) assert.strictEqual(states[Number(picked!.name)], "ok")
          else if (states.includes("refuses")) assert.strictEqual(states[Number(picked!.name)], "refuses")
          else assert.isUndefined(picked)
        }
      )
    )
  })

  it("LB3: the dearest is never taken while there is a choice", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 1_000 }), { minLength: 2, maxLength: 6 }),
        fc.nat(),
        (costs, seed) => {
          const roster = rosterOf(costs.map(() => ({})))
          roster.members.forEach((member, i) => member.load.success(costs[i]!, 0))
          const dearest = Math.max(...costs)
          if (costs.filter((cost) => cost === dearest).length > 1) return
          assert.isUndefined(tally(roster, 100, seeded(seed + 1)).get(`${costs.indexOf(dearest)}`))
        }
      )
    )
  })

  it("LB4: equals share equally (chi-square within the 99.9 % band, 4 degrees of freedom)", () => {
    const roster = rosterOf([{}, {}, {}, {}, {}])
    const picks = tally(roster, 10_000, seeded(7))
    const chi = roster.members.reduce((sum, { name }) => sum + (picks.get(name)! - 2_000) ** 2 / 2_000, 0)
    assert.isBelow(chi, 18.47)
  })

  it("LB3: nor among those whom others' refusals leave", () => {
    const roster = rosterOf([{}, {}, {}])
    roster.members.forEach((member, i) => member.load.success(10 * (i + 1), 0))
    refuse(roster.members[0]!)
    assert.deepStrictEqual(Array.from(tally(roster, 100, seeded(9)).keys()), ["1"])
  })

  it("LB4: every pair is equally likely (chi-square within the 99.9 % band, 2 degrees of freedom)", () => {
    const roster = rosterOf([{}, {}, {}, {}])
    roster.members.forEach((member, i) => member.load.success(10 * (4 - i), 0))
    const picks = tally(roster, 12_000, seeded(13))
    // Of six pairs the cheapest is in three, the next in two without it, the third in one, the dearest never wins.
    const shares = [0, 2_000, 4_000, 6_000]
    assert.isUndefined(picks.get("0"))
    const chi = shares.slice(1).reduce((sum, share, i) => sum + (picks.get(`${i + 1}`)! - share) ** 2 / share, 0)
    assert.isBelow(chi, 13.82)
  })

  it("LB16: what is untried is taken before anything, in its tier before the next", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(2), fc.boolean()), { minLength: 1, maxLength: 6 }),
        fc.nat(),
        (specs, seed) => {
          const roster = rosterOf(specs.map(([tier]) => ({ tier })))
          const tried = roster.members.filter((_, i) => specs[i]![1])
          const untried = roster.members.filter((member) => !tried.includes(member))
          const picked = roster.pick(tried, 0, seeded(seed + 1))
          if (untried.length === 0) return assert.isUndefined(picked)
          assert.include(untried, picked!)
          assert.strictEqual(picked!.tier, Math.min(...untried.map(({ tier }) => tier)))
        }
      )
    )
  })

  it("LB18: the same draws give the same picks", () => {
    const roster = rosterOf([{}, {}, {}])
    const trace = (seed: number) => {
      const random = seeded(seed)
      return Array.from({ length: 50 }, () => roster.pick(undefined, 0, random)!.name).join("")
    }
    assert.strictEqual(trace(3), trace(3))
    assert.notStrictEqual(trace(3), trace(4))
  })

  it("weight makes an upstream cheaper", () => {
    const [light, heavy] = rosterOf([{}, { weight: 3 }]).members
    for (const member of [light!, heavy!]) member.load.success(100, 0)
    assert.strictEqual(heavy!.cost(0), light!.cost(0) / 3)
  })
})

describe("balance by weight", () => {
  const weights = fc.array(fc.integer({ min: 1, max: 7 }), { minLength: 1, maxLength: 6 })

  it("LB5: in any run of as many picks as the weights sum to, each has its exact share", () => {
    fc.assert(
      fc.property(weights, fc.nat(30), (weights, offset) => {
        const roster = rosterOf(
          weights.map((weight) => ({ weight })),
          { balance: "weight" }
        )
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        for (let i = 0; i < offset; i++) roster.pick(undefined, 0, Math.random)
        const picks = tally(roster, total, () => 0)
        weights.forEach((weight, i) => assert.strictEqual(picks.get(`${i}`), weight))
      })
    )
  })

  it("LB5: and at every prefix each is less than two picks from its share", () => {
    fc.assert(
      fc.property(weights, (weights) => {
        const roster = rosterOf(
          weights.map((weight) => ({ weight })),
          { balance: "weight" }
        )
        const total = weights.reduce((sum, weight) => sum + weight, 0)
        const picks = weights.map(() => 0)
        for (let n = 1; n <= 2 * total; n++) {
          picks[Number(roster.pick(undefined, 0, () => 0)!.name)]!++
          weights.forEach((weight, i) => assert.isBelow(Math.abs(picks[i]! - (n * weight) / total), 2))
        }
      })
    )
  })

  it("a mutant that gives each its picks in a row breaks LB5", () => {
    const weights = [5, 1]
    const burst = [0, 0, 0, 0, 0, 1]
    const worst = burst.reduce(
      (worst, _, n) => Math.max(worst, Math.abs(burst.slice(0, n + 1).filter((i) => i === 1).length - (n + 1) / 6)),
      0
    )
    const roster = rosterOf(
      weights.map((weight) => ({ weight })),
      { balance: "weight" }
    )
    const smooth = Array.from({ length: 6 }, () => Number(roster.pick(undefined, 0, () => 0)!.name))
    assert.notDeepEqual(smooth, burst)
    assert.isAbove(worst, 0.8)
    assert.strictEqual(smooth.indexOf(1), 3)
  })
})

describe("tiers", () => {
  const healths = fc.array(fc.tuple(fc.integer({ min: 1, max: 5 }), fc.nat(5)), { minLength: 1, maxLength: 4 })

  const troubled = (sizes: ReadonlyArray<readonly [number, number]>) => {
    const roster = rosterOf(sizes.flatMap(([size], tier) => Array.from({ length: size }, () => ({ tier }))))
    sizes.forEach(([size, sick], tier) => {
      for (const member of roster.members.filter((member) => member.tier === tier).slice(0, Math.min(size, sick))) {
        refuse(member)
      }
    })
    return roster
  }

  it("LB13: shares sum to one; a tier in order leaves nothing to the next", () => {
    fc.assert(
      fc.property(healths, (sizes) => {
        const roster = troubled(sizes)
        const shares = roster.shares(0)
        assert.closeTo(
          shares.reduce((sum, share) => sum + share, 0),
          1,
          1e-9
        )
        const [size, sick] = sizes[0]!
        if ((size - Math.min(size, sick)) / size >= 1 / 1.4) assert.strictEqual(shares[0], 1)
      })
    )
  })

  it("LB13: shares are monotone in a tier's health", () => {
    fc.assert(
      fc.property(healths, fc.nat(3), (sizes, index) => {
        const tier = index % sizes.length
        const [size, sick] = sizes[tier]!
        if (sick === 0 || size === 1) return
        const healthier = sizes.map((entry, i) => (i === tier ? ([size, Math.min(size, sick) - 1] as const) : entry))
        assert.isAtLeast(troubled(healthier).shares(0)[tier]! + 1e-9, troubled(sizes).shares(0)[tier]!)
      })
    )
  })

  it("half a tier of two sends three tenths of the traffic to the next", () => {
    const roster = troubled([
      [2, 1],
      [1, 0]
    ])
    const picks = tally(roster, 10_000, seeded(11))
    assert.closeTo(picks.get("2")! / 10_000, 0.3, 0.02)
    assert.isUndefined(picks.get("0"))
  })

  it("only a first request is sent on to the next tier; another one stays where there is somebody untried", () => {
    const roster = troubled([
      [2, 1],
      [1, 0]
    ])
    const [sick] = roster.members
    const random = seeded(17)
    const names = (tried: Array<object>) =>
      new Set(Array.from({ length: 200 }, () => roster.pick(tried, 0, random)!.name))
    assert.sameMembers(Array.from(names([])), ["1", "2"])
    assert.deepStrictEqual(Array.from(names([sick!])), ["1"])
  })

  it("one who is sent on to a tier where nobody may be asked goes to who has room before it", () => {
    const roster = rosterOf([{}, { capacity: 1 }, {}, { tier: 1 }])
    const [sick, full, free] = roster.members
    refuse(sick!)
    full!.load.success(1, 0)
    full!.load.inflight = 1
    free!.load.success(1_000, 0)
    // The first draw is that of the tier.
    assert.strictEqual(roster.pick(undefined, 0, () => 0.99)!.name, "3")
    assert.strictEqual(
      roster.pick(undefined, 0, () => 0.99, ["3"]),
      free
    )
  })

  it("a hedge stays within its tier", () => {
    const roster = rosterOf([{ tier: 0 }, { tier: 0 }, { tier: 1 }])
    const [own, other] = roster.members
    assert.strictEqual(roster.pickBeside([own!], 0, seeded(1)), other)
    assert.isUndefined(roster.pickBeside([own!, other!], 0, seeded(1)))
    refuse(other!)
    assert.isUndefined(roster.pickBeside([own!], 0, seeded(1)))
    // Beside nobody it is like any other.
    for (const tried of [undefined, []])
      assert.strictEqual(
        roster.pickBeside(tried, 0, () => 0),
        own
      )
  })
})

describe("capacity", () => {
  const some = fc.tuple(fc.nat(2), fc.oneof(fc.integer({ min: 1, max: 3 }), fc.constant(Infinity)))
  const members = fc.array(some, { minLength: 1, maxLength: 6 })
  // To ask, to end what was asked first or last, to refuse or take again.
  const commands = fc.array(fc.tuple(fc.constantFrom("ask", "ask", "ask", "end", "refuse"), fc.nat(99)), {
    maxLength: 60,
    size: "max"
  })
  const balances = fc.constantFrom<Settings["balance"]>("latency", "weight")

  /** The tiers of those who may be asked, by what is left of them when each rule is applied. */
  const expected = (roster: Roster<string>) => {
    const eligible = roster.members.filter((member) => !member.refuses(0))
    const free = eligible.filter(({ capacity, load }) => load.inflight < capacity)
    return { eligible, free }
  }

  const lowest = (members: ReadonlyArray<Member<string>>) => Math.min(...members.map(({ tier }) => tier))

  it("one who has room is taken while there is one, of the first tier that has; else the cheapest of the first tier", () => {
    fc.assert(
      fc.property(members, commands, balances, fc.nat(), (specs, commands, balance, seed) => {
        const random = seeded(seed + 1)
        const roster = rosterOf(
          specs.map(([tier, capacity]) => ({ tier, capacity })),
          // Health alone moves nothing to a later tier.
          { balance, overflow: 1e9 }
        )
        const underWay: Array<Member<string>> = []
        for (const [command, n] of commands) {
          if (command === "end" && underWay.length > 0) underWay.splice(n % underWay.length, 1)[0]!.load.inflight--
          if (command === "refuse") {
            const member = roster.members[n % specs.length]!
            if (member.refuses(0)) member.leftOut = undefined
            else refuse(member)
          }
          if (command !== "ask") continue
          const { eligible, free } = expected(roster)
          const picked = roster.pick(undefined, 0, random)!
          if (free.length > 0) {
            assert.include(free, picked)
            assert.strictEqual(picked.tier, lowest(free))
          } else if (eligible.length > 0) {
            assert.include(eligible, picked)
            assert.strictEqual(picked.tier, lowest(eligible))
            const costs = eligible.filter(({ tier }) => tier === picked.tier).map((member) => member.cost(0))
            assert.strictEqual(picked.cost(0), Math.min(...costs))
          }
          picked.load.inflight++
          underWay.push(picked)
        }
      })
    )
  })

  it("nobody has more than its capacity while all together have no more than theirs", () => {
    fc.assert(
      fc.property(
        members,
        fc.array(fc.tuple(fc.boolean(), fc.nat(99)), { maxLength: 80, size: "max" }),
        fc.nat(),
        (specs, steps, seed) => {
          const random = seeded(seed + 1)
          const roster = rosterOf(specs.map(([tier, capacity]) => ({ tier, capacity })))
          const room = specs.reduce((sum, [, capacity]) => sum + capacity, 0)
          const underWay: Array<Member<string>> = []
          for (const [ask, n] of steps) {
            if (ask && underWay.length < room) {
              const picked = roster.pick(undefined, 0, random)!
              picked.load.inflight++
              underWay.push(picked)
            } else if (underWay.length > 0) underWay.splice(n % underWay.length, 1)[0]!.load.inflight--
            for (const { capacity, load } of roster.members) assert.isAtMost(load.inflight, capacity)
          }
        }
      )
    )
  })

  it("a call that has tried those with room comes to the others", () => {
    fc.assert(
      fc.property(members, fc.array(fc.boolean(), { minLength: 6, maxLength: 6 }), fc.nat(), (specs, full, seed) => {
        const roster = rosterOf(specs.map(([tier]) => ({ tier, capacity: 1 })))
        roster.members.forEach((member, i) => void (member.load.inflight = full[i]! ? 1 : 0))
        const tried: Array<Member<string>> = []
        const random = seeded(seed + 1)
        for (let next = roster.pick(tried, 0, random); next !== undefined; next = roster.pick(tried, 0, random)) {
          tried.push(next)
        }
        assert.sameMembers(tried, Array.from(roster.members))
        // Those with room first.
        const order = tried.map(({ isFull }) => isFull)
        assert.deepStrictEqual(
          order,
          order.toSorted((a, b) => Number(a) - Number(b))
        )
      })
    )
  })

  it("one that nobody reaches changes no pick", () => {
    fc.assert(
      fc.property(members, balances, fc.nat(), (specs, balance, seed) => {
        const [with_, without] = [100, Infinity].map((capacity) =>
          rosterOf(
            specs.map(([tier]) => ({ tier, capacity })),
            { balance }
          )
        )
        const [one, other] = [seeded(seed + 1), seeded(seed + 1)]
        for (let i = 0; i < 50; i++) {
          const picked = with_!.pick(undefined, 0, one)!
          assert.strictEqual(picked.name, without!.pick(undefined, 0, other)!.name)
        }
      })
    )
  })

  it("a hedge asks nobody at capacity; a scope stays where it is", () => {
    const roster = rosterOf([{ capacity: 2 }, { capacity: 1 }, { tier: 1 }])
    const [own, other] = roster.members
    assert.strictEqual(roster.pickBeside([own!], 0, seeded(1)), other)
    other!.load.inflight = 1
    assert.isUndefined(roster.pickBeside([own!], 0, seeded(1)))
    roster.stick("scope", other!)
    assert.strictEqual(roster.stuck("scope", undefined, 0), other)
  })

  it("half a tier that refuses does not send what it has room for to a tier that has none", () => {
    const roster = rosterOf([{}, {}, { tier: 1, capacity: 1 }])
    refuse(roster.members[0]!)
    roster.members[2]!.load.inflight = 1
    assert.deepStrictEqual(Array.from(tally(roster, 200, seeded(5)).keys()), ["1"])
  })

  it("may change while all else stays", () => {
    const roster = rosterOf([{ capacity: 1 }, {}])
    const [first, second] = roster.members
    first!.load.success(77, 0)
    first!.load.inflight = 1
    roster.set([{ name: "0", upstream: "0", tier: 0, weight: 1, capacity: 2 }, second!], 0)
    assert.strictEqual(roster.members[0], first)
    assert.isFalse(first!.isFull)
    assert.strictEqual(first!.load.latency, 77)
  })
})

describe("slow start", () => {
  it("LB14: the factor lies within [0.1, 1], never falls, and is 1 at the end of the window", () => {
    const [member] = rosterOf([{}], { slowStart: 10_000 }).members
    let before = 0
    for (let now = 0; now <= 10_000; now += 100) {
      const factor = member!.ramp(now)
      assert.isTrue(factor >= 0.1 && factor <= 1 && factor >= before)
      before = factor
    }
    assert.strictEqual(member!.ramp(10_000), 1)
  })

  it("LB6: a new upstream gets a first request, and no more than its part until the window ends", () => {
    const roster = rosterOf([{}, {}, {}], { slowStart: 10_000 })
    for (const member of roster.members) member.load.success(50, 0)
    roster.set([...roster.members, { name: "new", upstream: "new", tier: 0, weight: 1, capacity: Infinity }], 20_000)
    const random = seeded(5)
    const picks = { new: 0, others: 0 }
    for (let i = 0; i < 1_000; i++) {
      const member = roster.pick(undefined, 20_000 + i, random)!
      member.load.success(50, 20_000 + i)
      picks[member.name === "new" ? "new" : "others"]++
    }
    assert.isAtLeast(picks.new, 1)
    assert.isBelow(picks.new, 250)
  })
})

describe("ejection", () => {
  const settle = (roster: Roster<string>, member: Member<string>, ok: boolean, now: number, random = () => 0) => {
    if (ok) return member.ejection!.success(now)
    if (member.ejection!.failure(now)) roster.eject(member, now, random)
  }

  it("LB8: never more than the share, never all of several, never the only one", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.array(fc.tuple(fc.nat(5), fc.boolean(), fc.nat(5_000)), { maxLength: 300, size: "max" }),
        (n, share, steps) => {
          const roster = rosterOf(
            Array.from({ length: n }, () => ({})),
            { ejection: { ...rules, consecutive: 2, share } }
          )
          let now = 0
          for (const [i, ok, passed] of steps) {
            now += passed
            settle(roster, roster.members[i % n]!, ok, now)
            const out = roster.members.filter((member) => member.isEjected(now)).length
            assert.isAtMost(out, Math.max(1, Math.floor(share * n)))
            if (n >= 1) assert.isBelow(out, Math.max(1, n))
          }
        }
      )
    )
  })

  it("LB9: lasts base times the count, capped, within the jitter; the count falls in health", () => {
    const ejection = new Ejection({ ...rules, jitter: 0.5 })
    let now = 0
    for (let k = 1; k <= 15; k++) {
      ejection.eject(now, 1 - 1 / k)
      const planned = Math.min(rules.base * k, rules.max)
      assert.strictEqual(ejection.count, k)
      assert.isTrue(ejection.until - now >= planned && ejection.until - now <= planned * 1.5)
      now = ejection.until
    }
    now += rules.base * 14
    ejection.eject(now, 0)
    assert.strictEqual(ejection.count, 2)
    now = ejection.until + rules.base * 100
    ejection.eject(now, 0)
    assert.strictEqual(ejection.count, 1)
  })

  it("LB17: no share counts below its minimum, and none without failures", () => {
    const ejection = new Ejection({ ...rules, consecutive: 1_000 })
    for (let i = 0; i < 19; i++) assert.isFalse(ejection.failure(0))
    assert.isTrue(ejection.failure(0))
    const healthy = new Ejection(rules)
    for (let i = 0; i < 1_000; i++) healthy.success(i)
    assert.isFalse(healthy.failure(1_000))
  })

  it("failures longer ago than two intervals count no more", () => {
    const ejection = new Ejection({ ...rules, consecutive: 1_000 })
    for (let i = 0; i < 19; i++) ejection.failure(0)
    for (let i = 0; i < 30; i++) ejection.success(20_000)
    assert.isFalse(ejection.failure(20_001))
  })

  it("a share is of the last one to two intervals", () => {
    const shares: Rules = { ...rules, consecutive: 1_000 }
    const fail = (ejection: Ejection, times: number, now: number) => {
      for (let i = 0; i < times; i++) assert.isFalse(ejection.failure(now))
    }
    // The interval before counts too, and the present one goes on.
    const two = new Ejection(shares)
    fail(two, 5, 5_000)
    fail(two, 5, 12_000)
    fail(two, 9, 13_000)
    assert.isTrue(two.failure(19_000))
    // What is older does not, whether it was good or bad.
    const old = new Ejection(shares)
    fail(old, 19, 1)
    fail(old, 1, 40_000)
    fail(old, 18, 40_001)
    assert.isTrue(old.failure(40_002))
    const mixed = new Ejection(shares)
    for (let i = 0; i < 25; i++) mixed.success(10_000)
    fail(mixed, 24, 20_000)
    assert.isTrue(mixed.failure(20_000))
  })

  it("one that is out is not put aside again, and begins anew when it is back", () => {
    const ejection = new Ejection(rules)
    for (let i = 0; i < 4; i++) assert.isFalse(ejection.failure(0))
    assert.isTrue(ejection.failure(0))
    ejection.eject(0, 0)
    assert.isTrue(ejection.isOut(rules.base - 1))
    for (let i = 0; i < 10; i++) assert.isFalse(ejection.failure(1))
    assert.isFalse(ejection.isOut(rules.base))
    const shares = new Ejection({ ...rules, consecutive: 1_000 })
    for (let i = 0; i < 20; i++) shares.failure(0)
    shares.eject(0, 0)
    for (let i = 0; i < 19; i++) assert.isFalse(shares.failure(rules.base))
    assert.isTrue(shares.failure(rules.base))
    // Also within the interval in which it was put aside.
    const brief = new Ejection({ ...rules, consecutive: 1_000, base: 10 })
    for (let i = 0; i < 19; i++) brief.failure(0)
    brief.eject(0, 0)
    for (let i = 0; i < 19; i++) assert.isFalse(brief.failure(10))
    assert.isTrue(brief.failure(10))
  })

  it("only with rules, and says whether", () => {
    const none = rosterOf([{}, {}, {}])
    assert.isFalse(none.eject(none.members[0]!, 0, () => 0))
    const some = rosterOf([{}, {}, {}], { ejection: { ...rules, share: 0.5 } })
    assert.isTrue(some.eject(some.members[0]!, 0, () => 0))
    assert.isFalse(some.eject(some.members[1]!, 0, () => 0))
  })

  it("LB10: in panic everybody is asked but those who drain", () => {
    const roster = rosterOf([{}, {}, {}, {}], { ejection: { ...rules, share: 1 }, panic: 0.5 })
    const [a, b, c, d] = roster.members
    roster.eject(a!, 0, () => 0)
    roster.eject(b!, 0, () => 0)
    assert.isFalse(roster.inPanic(0))
    assert.sameMembers(Array.from(tally(roster, 200, seeded(3)).keys()), ["2", "3"])
    roster.eject(c!, 0, () => 0)
    assert.isTrue(roster.inPanic(0))
    d!.draining = true
    assert.sameMembers(Array.from(tally(roster, 200, seeded(3)).keys()), ["0", "1", "2"])
  })
})

describe("membership", () => {
  it("LB15: who stays keeps what is known of it, who goes is picked no more", () => {
    const roster = rosterOf([{}, {}])
    const [stays, goes] = roster.members
    stays!.load.success(77, 0)
    roster.stick("scope", goes!)
    roster.set([stays!, { name: "9", upstream: "9", tier: 0, weight: 1, capacity: Infinity }], 10)
    assert.strictEqual(roster.members[0], stays)
    assert.strictEqual(roster.members[0]!.load.latency, 77)
    assert.isUndefined(roster.stuck("scope", undefined, 10))
    assert.isFalse(tally(roster, 100, seeded(2), 10).has(goes!.name))
  })

  it("one whose upstream, tier or weight changed is new", () => {
    const roster = rosterOf([{}])
    const [before] = roster.members
    const same = { name: "0", upstream: "0", tier: 0, weight: 1, capacity: Infinity }
    roster.set([same], 0)
    assert.strictEqual(roster.members[0], before)
    for (const change of [{ upstream: "other" }, { tier: 1 }, { weight: 2 }]) {
      const [before] = roster.members
      roster.set([{ ...same, ...change }], 0)
      assert.notStrictEqual(roster.members[0], before)
    }
  })

  it("a scope stays with its upstream while others come and go", () => {
    const roster = rosterOf([{}, {}])
    const [first, second] = roster.members
    roster.stick("scope", first!)
    roster.set([first!, { name: "9", upstream: "9", tier: 0, weight: 1, capacity: Infinity }], 10)
    assert.notInclude(roster.members, second!)
    assert.strictEqual(roster.stuck("scope", undefined, 10), first)
  })

  it("scopes are forgotten, the longest unused first, before they fill the memory", () => {
    const roster = rosterOf([{}])
    for (let i = 0; i < 10_001; i++) roster.stick(`${i}`, roster.members[0]!)
    assert.isUndefined(roster.stuck("0", undefined, 0))
    assert.isDefined(roster.stuck("1", undefined, 0))
    roster.stick("1", roster.members[0]!)
    roster.stick("10001", roster.members[0]!)
    assert.isDefined(roster.stuck("1", undefined, 0))
    assert.isUndefined(roster.stuck("2", undefined, 0))
  })
})
