import { assert, describe, it } from "vitest"
import type { Outcome } from "@hawser/core"
import * as fc from "fast-check"
import * as Machine from "../src/internal/machine.ts"
import * as Snapshot from "../src/internal/snapshot.ts"
import { Permit } from "../src/internal/state.ts"
import type { Sketch } from "./trace.ts"
import { admitted, machineOf, no } from "./trace.ts"

/** Runs calls of no duration, and returns the index of the one that opened the circuit. */
const firstOpening = (m: Machine.Machine, outcomes: ReadonlyArray<Outcome.Outcome>): number =>
  outcomes.findIndex((outcome, now) => {
    Machine.settle(m, admitted(m, now), outcome, now)
    return m.epoch.state === "open"
  })

describe("the trip rules", () => {
  it("CB8: a failure in place of a success never makes the first opening later", () => {
    const rules = fc.record({
      consecutive: fc.constantFrom(2, 3, Infinity),
      rate: fc.constantFrom(0.3, 0.5, 0.8),
      minimumCalls: fc.integer({ min: 1, max: 6 }),
      window: fc.constantFrom({ calls: 7 }, { millis: 8 })
    })
    const outcomes = fc.array(fc.constantFrom<Outcome.Outcome>("success", "failure", "neutral"), {
      maxLength: 30,
      size: "max"
    })
    fc.assert(
      fc.property(rules, outcomes, (rules, outcomes) => {
        const first = firstOpening(machineOf(rules), outcomes)
        for (let i = 0; i < outcomes.length; i++) {
          if (outcomes[i] !== "success") continue
          const worse = firstOpening(machineOf(rules), outcomes.with(i, "failure"))
          if (first >= 0) assert.isTrue(worse >= 0 && worse <= first)
        }
      })
    )
  })

  it("CB8: a share means nothing before the window holds the minimum, and nothing without a failure", () => {
    assert.strictEqual(firstOpening(machineOf({ rate: 0.5, minimumCalls: 5 }), Array(9).fill("failure")), 4)
    for (const rate of [1e-9, 0]) {
      assert.strictEqual(firstOpening(machineOf({ rate }), Array(50).fill("success")), -1)
    }
  })

  it("the call that fills the minimum may be a success", () => {
    const outcomes = ["failure", "failure", "success", "success"] as const
    assert.strictEqual(firstOpening(machineOf({ rate: 0.5, minimumCalls: 4 }), outcomes), 3)
  })

  it("while everybody is let through, nobody is asked whether he insists", () => {
    const never = () => assert.fail("asked")
    const m = machineOf({ consecutive: 1 })
    assert.instanceOf(Machine.acquire(m, 0, never), Permit)
    Machine.isolate(m, 0)
    Machine.acquire(m, 0, never)
  })

  it("an open time below zero is none", () => {
    const m = machineOf({ consecutive: 1, base: -5 })
    assert.strictEqual(firstOpening(m, ["failure"]), 0)
    assert.strictEqual(Snapshot.inspect(m, 0).retryAfter, 0)
    assert.strictEqual(m.moves[0]!.openFor, 0)
  })

  it("a streak is broken by a success only", () => {
    const m = machineOf({ consecutive: 3 })
    assert.strictEqual(firstOpening(m, ["failure", "failure", "success", "failure", "neutral", "failure"]), -1)
    assert.strictEqual(firstOpening(m, ["failure"]), 0)
  })

  it("CB13: cancelled calls that waited past the limit open the circuit, so that a hanging upstream is found out", () => {
    const m = machineOf({ slowAfter: 500, slowRate: 0.5, minimumCalls: 4 })
    for (let now = 0; now < 3_000; now += 1_000) Machine.settle(m, admitted(m, now), "neutral", now + 500)
    Machine.settle(m, admitted(m, 3_000), "neutral", 3_499)
    assert.strictEqual(m.epoch.state, "closed")
    assert.strictEqual(Snapshot.inspect(m, 3_500).total, 0)
    Machine.settle(m, admitted(m, 4_000), "neutral", 4_500)
    assert.strictEqual(m.moves[0]!.why, "slow")
  })

  it("a slow probe is a failed probe", () => {
    for (const outcome of ["success", "neutral"] as const) {
      const m = machineOf({ consecutive: 1, slowAfter: 500 })
      Machine.settle(m, admitted(m, 0), "failure", 0)
      Machine.settle(m, admitted(m, 100), outcome, 600)
      assert.strictEqual(m.epoch.state, "open")
      assert.strictEqual(m.openings, 2)
    }
  })
})

describe("half-open", () => {
  const half = (sketch: Partial<Sketch>) => {
    const m = machineOf({ consecutive: 1, ...sketch })
    Machine.settle(m, admitted(m, 0), "failure", 0)
    return m
  }

  it("says when to ask again: as long again as the oldest probe has run, no longer than its lease", () => {
    const m = half({ probeLease: 400 })
    admitted(m, 100)
    const wait = (now: number) => (Machine.acquire(m, now, no) as { readonly retryAfter: number }).retryAfter
    assert.deepStrictEqual([100, 120, 200, 300, 450, 499].map(wait), [50, 50, 100, 200, 50, 1])
    assert.instanceOf(Machine.acquire(m, 500, no), Permit)
  })

  it("the first of the successes closes it when one suffices, whatever else is under way", () => {
    const m = half({ probes: 3, successes: 1 })
    const [first, second] = [admitted(m, 100), admitted(m, 100)]
    Machine.settle(m, second, "success", 110)
    assert.strictEqual(m.epoch.state, "closed")
    Machine.settle(m, first, "failure", 120)
    assert.strictEqual(m.epoch.state, "closed")
  })

  it("a forced probe opens the way for the others, or changes nothing", () => {
    const yes = () => "probe" as const
    const m = half({ probes: 2, successes: 2 })
    const forced = Machine.acquire(m, 10, yes) as Permit
    assert.deepStrictEqual(Machine.acquire(m, 20, yes), { reason: "open", retryAfter: 80 })
    Machine.settle(m, forced, "failure", 30)
    assert.deepStrictEqual(Machine.acquire(m, 30, no), { reason: "open", retryAfter: 70 })
    Machine.settle(m, Machine.acquire(m, 40, yes) as Permit, "success", 50)
    assert.strictEqual(m.epoch.state, "half-open")
    Machine.settle(m, admitted(m, 60), "success", 60)
    assert.strictEqual(m.epoch.state, "closed")
    assert.deepStrictEqual(
      m.moves.map(({ to, why }) => `${to}: ${why}`),
      ["open: consecutive", "half-open: probe", "closed: probe"]
    )
  })
})

describe("a health check", () => {
  const health = () => "health" as const

  it("passes an open circuit, and its success lets a probe through, no more", () => {
    const m = machineOf({ consecutive: 1 })
    Machine.settle(m, admitted(m, 0), "failure", 0)
    Machine.settle(m, Machine.acquire(m, 10, health) as Permit, "failure", 20)
    assert.strictEqual(m.epoch.state, "open")
    Machine.settle(m, Machine.acquire(m, 30, health) as Permit, "success", 40)
    assert.strictEqual(m.epoch.state, "half-open")
    assert.strictEqual(m.moves.at(-1)!.why, "health")
    Machine.settle(m, admitted(m, 50), "success", 60)
    assert.strictEqual(m.epoch.state, "closed")
  })

  it("does not take a probe's place, nor decide in its stead", () => {
    const m = machineOf({ consecutive: 1 })
    Machine.settle(m, admitted(m, 0), "failure", 0)
    Machine.acquire(m, 10, health)
    const forced = Machine.acquire(m, 10, () => "probe") as Permit
    assert.instanceOf(forced, Permit)
    Machine.settle(m, forced, "failure", 20)
    const late = Machine.acquire(m, 100, health) as Permit
    assert.strictEqual(m.epoch.state, "open")
    const probe = admitted(m, 100)
    const checks = [1, 2].map(() => Machine.acquire(m, 100, health) as Permit)
    for (const check of [late, ...checks]) {
      assert.instanceOf(check, Permit)
      Machine.settle(m, check, "success", 110)
      assert.strictEqual(m.epoch.state, "half-open")
    }
    Machine.settle(m, probe, "failure", 120)
    assert.strictEqual(m.openings, 2)
  })
})

describe("recovery", () => {
  it("CB16: lets through the share of the traffic that the time since closing is of the recovery", () => {
    const m = machineOf({ consecutive: 1, recovery: 1_000, seed: 7 })
    Machine.settle(m, admitted(m, 0), "failure", 0)
    Machine.settle(m, admitted(m, 100), "success", 100)
    const share = (now: number) => {
      let passed = 0
      for (let i = 0; i < 2_000; i++) if (Machine.acquire(m, now, no) instanceof Permit) passed++
      return passed / 2_000
    }
    for (const [now, expected] of [
      [100, 0.1],
      [150, 0.1],
      [400, 0.3],
      [600, 0.5],
      [1_000, 0.9]
    ] as const) {
      assert.closeTo(share(now), expected, 0.04)
    }
    assert.strictEqual(share(1_100), 1)
    Machine.reset(m, 1_100)
    assert.strictEqual(share(1_100), 1)
  })

  it("a caller that insists is let through", () => {
    const m = machineOf({ consecutive: 1, recovery: 1_000 })
    Machine.settle(m, admitted(m, 0), "failure", 0)
    Machine.settle(m, admitted(m, 100), "success", 100)
    for (let i = 0; i < 50; i++)
      assert.instanceOf(
        Machine.acquire(m, 100, () => "probe"),
        Permit
      )
  })
})
