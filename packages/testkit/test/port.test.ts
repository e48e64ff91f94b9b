import { assert, describe, it } from "@effect/vitest"
import { Scenario } from "@hawser/testkit"
import { Arbitrary } from "effect"
import { decide, Memory } from "../src/internal/decide.ts"
import { port, refuses } from "../src/internal/port.ts"
import { seeded } from "../src/internal/random.ts"
import { checked, history, scenarios } from "./arbitrary.ts"

const { after, first, firstOf, healthy, refuse, sometimes, timeline, together, when } = Scenario

const call: Scenario.Request = {
  method: "a",
  params: [],
  id: 1,
  index: 0,
  batch: undefined,
  headers: {},
  connection: 1,
  reused: false
}

const open = (scenario: Scenario.Scenario, elapsed = 0, memory = new Memory()) => port(scenario, memory, elapsed).open

describe("port", () => {
  it("is closed while the scenario refuses, whoever asks", () => {
    assert.isFalse(open(refuse))
    assert.isFalse(open(together(Scenario.latency(5), refuse)))
    assert.isFalse(open(firstOf(when({ method: "a" }, healthy), refuse)))
    assert.isTrue(open(firstOf(healthy, refuse)))
    assert.isTrue(open(firstOf(Scenario.hang, refuse)))
  })

  it("is open where only a request can tell", () => {
    assert.isTrue(open(when({}, refuse)))
    assert.isTrue(open(sometimes(1, refuse)))
    assert.isTrue(open(firstOf(sometimes(1, refuse), healthy)))
  })

  it("changes with time, and knows when", () => {
    const scenario = timeline([
      { for: 10, fault: healthy },
      { for: 5, fault: refuse }
    ])
    const memory = new Memory()
    assert.deepStrictEqual(port(scenario, memory, 0), { open: true, for: 10 })
    assert.deepStrictEqual(port(scenario, memory, 9.5), { open: true, for: 0.5 })
    assert.deepStrictEqual(port(scenario, memory, 10), { open: false, for: 5 })
    assert.deepStrictEqual(port(scenario, memory, 15), { open: true, for: Infinity })
  })

  it("changes with the requests seen", () => {
    for (const [scenario, expected] of [
      [after(2, refuse), [true, true, false]],
      [first(2, refuse), [false, false, true]]
    ] as const) {
      const memory = new Memory()
      const states = expected.map(() => {
        const state = open(scenario, 0, memory)
        decide(scenario, [call], memory, seeded(0), 0)
        return state
      })
      assert.deepStrictEqual(states, [...expected])
    }
  })

  it.effect("stays as it is for as long as it says", () =>
    checked(Arbitrary.all([scenarios(3), history]), ([scenario, history]) => {
      const memory = new Memory()
      const random = seeded(1)
      return history.every(({ at, calls }) => {
        decide(
          scenario,
          calls.map((method) => ({ ...call, method })),
          memory,
          random,
          at
        )
        const now = port(scenario, memory, at)
        const wait = Math.min(now.for, 1_000)
        return (
          now.for > 0 && [0.25, 0.5, 0.999].every((part) => port(scenario, memory, at + part * wait).open === now.open)
        )
      })
    })
  )

  it.effect("a closed port is what every request would have met", () =>
    checked(Arbitrary.all([scenarios(3), history]), ([scenario, history]) =>
      history.every(({ at, calls }) => {
        if (port(scenario, new Memory(), at).open) return true
        const { exchange } = decide(
          scenario,
          calls.map((method) => ({ ...call, method })),
          new Memory(),
          () => 1,
          at
        )
        // A rule for some requests only may come first.
        return exchange !== undefined || JSON.stringify(scenario).includes("When")
      })
    )
  )

  it.effect("is never closed by a scenario that does not refuse", () =>
    checked(Arbitrary.all([scenarios(3), history]), ([scenario, history]) =>
      history.every(({ at }) => refuses(scenario) || port(scenario, new Memory(), at).open)
    )
  )
})
