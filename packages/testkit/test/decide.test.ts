import { assert, describe, it } from "@effect/vitest"
import { Scenario } from "@hawser/testkit"
import { Arbitrary, Schema } from "effect"
import { type Decision, decide, Memory } from "../src/internal/decide.ts"
import { sample, seeded, shuffled } from "../src/internal/random.ts"
import { checked, history, scenarios } from "./arbitrary.ts"

const request = (fields: Partial<Scenario.Request> = {}): Scenario.Request => ({
  method: "eth_call",
  params: [],
  id: 1,
  index: 0,
  batch: undefined,
  headers: {},
  connection: 1,
  reused: false,
  ...fields
})

const batchOf = (...methods: ReadonlyArray<string>) =>
  methods.map((method, index) => request({ method, index, batch: methods.length }))

/** Plays a scenario: each call of the function is one HTTP request. */
const player = (scenario: Scenario.Scenario, seed = 1) => {
  const memory = new Memory()
  const random = seeded(seed)
  return (calls: ReadonlyArray<Scenario.Request> = [request()], elapsed = 0): Decision =>
    decide(scenario, calls, memory, random, elapsed)
}

const tags = (decision: Decision) => [decision.exchange?._tag, ...decision.answers.map((answer) => answer?._tag)]

const fails = Scenario.error(-32000, "no")

describe("faults", () => {
  it("a fault alone meets every request", () => {
    const play = player(Scenario.hang)
    assert.deepStrictEqual(tags(play()), ["Hang", undefined])
    assert.deepStrictEqual(tags(play()), ["Hang", undefined])
    assert.deepStrictEqual(tags(player(fails)()), [undefined, "Error"])
  })

  it("a fault of batches meets batches only", () => {
    const play = player(Scenario.batch("missing"))
    assert.deepStrictEqual(tags(play()), [undefined, undefined])
    assert.deepStrictEqual(tags(play(batchOf("a"))), ["Batch", undefined])
  })
})

describe("when", () => {
  it("all that is named must hold", () => {
    const match = { method: ["eth_call", "eth_chainId"], reused: true, batch: false }
    const play = player(Scenario.when(match, Scenario.drop))
    const met = (fields: Partial<Scenario.Request>) => play([request(fields)]).exchange !== undefined
    assert.isTrue(met({ reused: true }))
    assert.isTrue(met({ reused: true, method: "eth_chainId" }))
    assert.isFalse(met({ reused: false }))
    assert.isFalse(met({ reused: true, method: "eth_getLogs" }))
    assert.isFalse(met({ reused: true, batch: 1 }))
    assert.isTrue(player(Scenario.when({}, Scenario.drop))().exchange !== undefined)
  })

  it("a predicate sees the call", () => {
    const play = player(Scenario.when(({ params }) => (params as Array<unknown>)[0] === 7, Scenario.drop))
    assert.isDefined(play([request({ params: [7] })]).exchange)
    assert.isUndefined(play([request({ params: [8] })]).exchange)
  })
})

describe("first and after", () => {
  const arbitrary = Arbitrary.all([
    Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 }))),
    Arbitrary.array(Arbitrary.schema(Schema.Literals(["eth_call", "eth_chainId"])), { maxLength: 40 })
  ])

  it.effect("divide the requests that reach them, exactly", () =>
    checked(arbitrary, ([count, methods]) => {
      const first = player(Scenario.when({ method: "eth_call" }, Scenario.first(count, Scenario.drop)))
      const after = player(Scenario.when({ method: "eth_call" }, Scenario.after(count, Scenario.drop)))
      let seen = 0
      return methods.every((method) => {
        const reaches = method === "eth_call"
        const expected = reaches && seen < count
        if (reaches) seen++
        const calls = [request({ method })]
        return (
          (first(calls).exchange !== undefined) === expected &&
          (after(calls).exchange !== undefined) === (reaches && !expected)
        )
      })
    })
  )

  it("a rule that is not reached does not count", () => {
    const play = player(Scenario.firstOf(Scenario.first(2, Scenario.drop), Scenario.first(1, Scenario.hang)))
    assert.deepStrictEqual(
      [play(), play(), play(), play()].map((decision) => decision.exchange?._tag),
      ["Drop", "Drop", "Hang", undefined]
    )
  })

  it("an object used in two places counts both", () => {
    const once = Scenario.first(1, Scenario.drop)
    const play = player(Scenario.firstOf(Scenario.when({ method: "a" }, once), Scenario.when({ method: "b" }, once)))
    assert.isDefined(play([request({ method: "a" })]).exchange)
    assert.isUndefined(play([request({ method: "b" })]).exchange)
  })
})

describe("sometimes", () => {
  it("meets its share, within five standard deviations of 20,000 draws", () => {
    for (const rate of [0.01, 0.2, 0.5, 0.99]) {
      for (const seed of [0, 1, 2, 3, 0xffff_ffff]) {
        const play = player(Scenario.sometimes(rate, Scenario.drop), seed)
        const draws = 20_000
        let met = 0
        for (let i = 0; i < draws; i++) if (play().exchange !== undefined) met++
        assert.closeTo(met / draws, rate, 5 * Math.sqrt((rate * (1 - rate)) / draws), `rate ${rate}, seed ${seed}`)
      }
    }
  })

  it("0 is never, 1 is always", () => {
    const never = player(Scenario.sometimes(0, Scenario.drop))
    const always = player(Scenario.sometimes(1, Scenario.drop))
    for (let i = 0; i < 1_000; i++) {
      assert.isUndefined(never().exchange)
      assert.isDefined(always().exchange)
    }
  })

  it("two in a row are independent", () => {
    const play = player(Scenario.together(Scenario.sometimes(0.5, Scenario.drop), Scenario.sometimes(0.5, fails)), 5)
    let both = 0
    for (let i = 0; i < 10_000; i++) {
      const { answers, exchange } = play()
      if (exchange !== undefined && answers[0] !== undefined) both++
    }
    assert.closeTo(both / 10_000, 0.25, 0.025)
  })
})

describe("timeline", () => {
  const scenario = Scenario.timeline([
    { for: "2 seconds", fault: Scenario.drop },
    { for: "1 second", fault: Scenario.healthy },
    { fault: Scenario.hang }
  ])

  it("changes exactly on time", () => {
    const play = player(scenario)
    const at = (elapsed: number) => play([request()], elapsed).exchange?._tag
    assert.deepStrictEqual(
      [at(0), at(1_999.999), at(2_000), at(2_999.999), at(3_000), at(1e12)],
      ["Drop", "Drop", undefined, undefined, "Hang", "Hang"]
    )
  })

  it("applies to nothing after its end, or begins again", () => {
    const steps = [
      { for: 10, fault: Scenario.drop },
      { for: 20, fault: Scenario.hang }
    ] as const
    const idle = player(
      Scenario.firstOf(Scenario.timeline([{ for: 10 }, { fault: Scenario.hang }]), Scenario.truncated)
    )
    assert.strictEqual(idle([request()], 9).exchange?._tag, "Truncated")
    assert.strictEqual(idle([request()], 10).exchange?._tag, "Hang")
    const once = player(Scenario.firstOf(Scenario.timeline(steps), Scenario.truncated))
    assert.strictEqual(once([request()], 30).exchange?._tag, "Truncated")
    const again = player(Scenario.timeline(steps, { repeat: true }))
    const at = (elapsed: number) => again([request()], elapsed).exchange?._tag
    assert.deepStrictEqual(
      [at(29.9), at(30), at(39.9), at(40), at(3_000_000_005)],
      ["Hang", "Drop", "Drop", "Hang", "Drop"]
    )
  })

  it("times of an inner one begin with its step", () => {
    const inner = Scenario.timeline([{ for: 5, fault: Scenario.drop }, { fault: Scenario.hang }])
    const play = player(Scenario.timeline([{ for: 100, fault: Scenario.healthy }, { fault: inner }]))
    const at = (elapsed: number) => play([request()], elapsed).exchange?._tag
    assert.deepStrictEqual([at(3), at(100), at(104.9), at(105)], [undefined, "Drop", "Drop", "Hang"])
  })
})

describe("firstOf and together", () => {
  it("the first that applies stands, and healthy applies", () => {
    const exempt = Scenario.when({ method: "eth_chainId" }, Scenario.healthy)
    const play = player(Scenario.firstOf(exempt, Scenario.drop, Scenario.hang))
    assert.isUndefined(play([request({ method: "eth_chainId" })]).exchange)
    assert.strictEqual(play().exchange?._tag, "Drop")
  })

  it("delays add up, the first fault of each kind stands", () => {
    const play = player(
      Scenario.together(
        Scenario.latency(30),
        Scenario.sometimes(1, Scenario.together(Scenario.latency(12), fails)),
        Scenario.drop,
        Scenario.hang,
        Scenario.answer(1)
      )
    )
    assert.deepStrictEqual([play().delay, ...tags(play())], [42, "Drop", "Error"])
  })
})

describe("batches", () => {
  it("a fault of an answer meets single calls", () => {
    const play = player(Scenario.when({ method: "b" }, fails))
    assert.deepStrictEqual(tags(play(batchOf("a", "b", "c"))), [undefined, undefined, "Error", undefined])
  })

  it("a fault of the request that one call meets takes all", () => {
    const play = player(Scenario.firstOf(Scenario.when({ method: "b" }, Scenario.drop), fails))
    assert.deepStrictEqual(tags(play(batchOf("a", "b"))), ["Drop", "Error", undefined])
  })

  it("chances and counts are drawn for each call, but once where the request is at stake", () => {
    const hundred = batchOf(...Array.from({ length: 100 }, () => "eth_call"))
    const errors = player(Scenario.sometimes(0.2, fails))(hundred).answers.filter(Boolean).length
    assert.isAbove(errors, 5)
    assert.isBelow(errors, 40)
    const play = player(Scenario.sometimes(0.2, Scenario.drop))
    let dropped = 0
    for (let i = 0; i < 5_000; i++) if (play(hundred).exchange !== undefined) dropped++
    assert.closeTo(dropped / 5_000, 0.2, 0.03)

    const calls = player(Scenario.first(3, fails))
    assert.deepStrictEqual(tags(calls(batchOf("a", "b"))), [undefined, "Error", "Error"])
    assert.deepStrictEqual(tags(calls(batchOf("a", "b"))), [undefined, "Error", undefined])
    const requests = player(Scenario.first(1, Scenario.drop))
    assert.strictEqual(requests(batchOf("a", "b")).exchange?._tag, "Drop")
    assert.isUndefined(requests(batchOf("a", "b")).exchange)
  })

  it("latency is drawn once", () => {
    const one = player(Scenario.latency({ mean: 10 }), 9)()
    const many = player(Scenario.latency({ mean: 10 }), 9)(batchOf("a", "b", "c", "d"))
    assert.strictEqual(many.delay, one.delay)
    const slow = player(Scenario.when({ method: "b" }, Scenario.latency(10)))
    assert.deepStrictEqual([slow(batchOf("a", "b")).delay, slow(batchOf("a")).delay], [10, 0])
  })
})

describe("latency", () => {
  const draws = (distribution: Parameters<typeof Scenario.latency>[0]) => {
    const scenario = Scenario.latency(distribution)
    assert(scenario._tag === "Latency")
    const random = seeded(42)
    return Array.from({ length: 40_000 }, () => sample(scenario.distribution, random)).toSorted((a, b) => a - b)
  }
  const quantile = (sorted: ReadonlyArray<number>, q: number) => sorted[Math.floor(sorted.length * q)]!

  it("has the distribution it is said to have", () => {
    assert.deepStrictEqual(new Set(draws("20 millis")), new Set([20]))
    const uniform = draws({ min: 10, max: 50 })
    assert.isAtLeast(uniform[0]!, 10)
    assert.isAtMost(uniform.at(-1)!, 50)
    assert.closeTo(quantile(uniform, 0.25), 20, 0.5)
    assert.closeTo(quantile(uniform, 0.75), 40, 0.5)
    const exponential = draws({ mean: 100 })
    assert.closeTo(quantile(exponential, 0.5), 100 * Math.log(2), 3)
    assert.closeTo(quantile(exponential, 0.95), -100 * Math.log(0.05), 10)
    const lognormal = draws({ p50: 40, p99: 400 })
    assert.isAbove(lognormal[0]!, 0)
    assert.closeTo(quantile(lognormal, 0.5), 40, 1)
    assert.closeTo(quantile(lognormal, 0.99), 400, 25)
  })
})

describe("determinism", () => {
  it.effect("the same seed, requests and times give the same decisions, and another seed others", () =>
    checked(Arbitrary.all([scenarios(3), history]), ([scenario, history]) => {
      const run = (seed: number) => {
        const play = player(scenario, seed)
        return JSON.stringify(history.map(({ at, calls }) => play(batchOf(...calls), at)))
      }
      return run(7) === run(7)
    })
  )

  it("another seed gives another sequence", () => {
    const sequence = (seed: number) => {
      const play = player(Scenario.sometimes(0.5, Scenario.drop), seed)
      return Array.from({ length: 64 }, () => (play().exchange === undefined ? "." : "x")).join("")
    }
    assert.strictEqual(new Set([0, 1, 2, 3, 4].map(sequence)).size, 5)
  })
})

describe("the algebra of scenarios", () => {
  const same = (left: (s: Scenario.Scenario) => Scenario.Scenario, right: typeof left) =>
    checked(Arbitrary.all([scenarios(3), history]), ([scenario, history]) => {
      const [a, b] = [player(left(scenario), 3), player(right(scenario), 3)]
      return history.every(
        ({ at, calls }) => JSON.stringify(a(batchOf(...calls), at)) === JSON.stringify(b(batchOf(...calls), at))
      )
    })
  const itself = (scenario: Scenario.Scenario) => scenario

  it.effect("one alternative is that alternative", () => same((s) => Scenario.firstOf(s), itself))
  it.effect("one part is that part", () => same((s) => Scenario.together(s), itself))
  it.effect("what never applies changes nothing", () =>
    same((s) => Scenario.firstOf(Scenario.when({ method: "z" }, Scenario.drop), s, Scenario.firstOf()), itself)
  )
  it.effect("a rule that matches everything changes nothing", () => same((s) => Scenario.when({}, s), itself))
  it.effect("first of none and after none", () =>
    same((s) => Scenario.firstOf(Scenario.first(0, Scenario.drop), Scenario.after(0, s)), itself)
  )
  it.effect("a timeline of one lasting step", () => same((s) => Scenario.timeline([{ fault: s }]), itself))
  it.effect("healthy hides what follows", () =>
    same(
      (s) => Scenario.firstOf(Scenario.healthy, s),
      () => Scenario.healthy
    )
  )
})

describe("shuffled", () => {
  it("keeps the values and leaves none in its place", () => {
    for (let seed = 0; seed < 50; seed++) {
      for (const length of [2, 3, 10]) {
        const values = Array.from({ length }, (_, i) => i)
        const moved = shuffled(values, seeded(seed))
        assert.deepStrictEqual(
          moved.toSorted((a, b) => a - b),
          values
        )
        assert.isTrue(moved.every((value, i) => value !== i))
      }
    }
  })
})
