import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { groups } from "../src/cost/Costs.ts"
import { crowds } from "../src/cost/groups/crowds.ts"
import { measure, ratio, spread } from "../src/cost/Harness.ts"
import * as Report from "../src/cost/Report.ts"

describe("what is measured", () => {
  for (const { cases, name } of groups) {
    it(`${name}: every case does its work`, async () => {
      for (const { call } of cases()) {
        await ("promise" in call ? call.promise() : Effect.runPromise(call.effect()))
      }
    })
  }

  for (const { make, name, of } of crowds) {
    it(`${name}, of many ${of}: takes part among three`, async () => {
      const { call } = make(3)
      for (let i = 0; i < 3; i++) await Effect.runPromise(call())
    })
  }
})

describe("measure", () => {
  it("has every subject make as many calls in each round as in every other", async () => {
    const calls: Record<string, Array<number>> = { a: [], b: [] }
    const subjects = ["a", "b"].map((name) => ({
      name,
      least: name === "b" ? 64 : 1,
      run: async (n: number) => void calls[name]!.push(n)
    }))
    const times = await measure(subjects, { rounds: 5, millis: 0 })
    assert.deepStrictEqual(calls["a"]!.slice(-5), Array(5).fill(1))
    assert.deepStrictEqual(calls["b"]!.slice(-5), Array(5).fill(64))
    assert.strictEqual(times.get("a")!.length, 5)
  })

  it("compares round by round, so that one slow round bends both", () => {
    const times = new Map([
      ["base", [10, 100, 10, 10, 10]],
      ["twice", [20, 200, 20, 20, 20]]
    ])
    assert.deepStrictEqual(ratio(times, "twice", "base"), { q1: 2, median: 2, q3: 2 })
    assert.deepStrictEqual(spread([4, 1, 3, 2]), { q1: 1, median: 2, q3: 3 })
  })
})

describe("the report", () => {
  it("names what misses its budget", () => {
    const same = { q1: 2, median: 2, q3: 2 }
    const row = { group: "pool", name: "Pool", by: "hawser", nanos: same, alone: same, within: undefined } as const
    const growth = { name: "Line", of: "waiters", by: "hawser", nanos: [same], bytes: 1, factor: 30 } as const
    assert.deepStrictEqual(Report.missed([{ ...row, budget: undefined }], [{ ...growth, met: true }]), [])
    const missed = Report.missed([{ ...row, budget: { text: "≤ 1 ×", met: false } }], [{ ...growth, met: false }])
    assert.deepStrictEqual(missed, ["Pool: 2 ns, 2.00 × Effect.sync; budget ≤ 1 ×", "Line: 30.0 × with waiters"])
    assert.include(Report.costs([{ ...row, budget: { text: "≤ 1 ×", met: false } }]), "MISSED")
  })
})
