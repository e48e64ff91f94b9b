import { assert, describe, it } from "@effect/vitest"
import { Exit } from "effect"
import * as fc from "fast-check"
import { Flights } from "../src/internal/flights.ts"
import { type How, keys, Trial } from "./support/trial.ts"

const key = fc.constantFrom(...keys)
const often = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary })
const ways = fc.array(fc.constantFrom<How>("value", "value", "refusal", "failure"), { minLength: 1, maxLength: 4 })
const step = fc.oneof(
  often(5, fc.record({ do: fc.constant("batch" as const), keys: fc.array(key, { minLength: 1, maxLength: 6 }) })),
  often(4, fc.record({ do: fc.constant("single" as const), key })),
  often(6, fc.record({ do: fc.constant("end" as const), which: fc.nat({ max: 5 }), ways, whole: fc.nat({ max: 4 }) })),
  often(3, fc.record({ do: fc.constant("pass" as const), millis: fc.integer({ min: 1, max: 15 }) })),
  often(2, fc.record({ do: fc.constant("leave" as const), which: fc.nat({ max: 5 }) })),
  often(
    2,
    fc.record({ do: fc.constant("drop" as const), how: fc.constantFrom("invalidate", "tag", "clear", "set"), key })
  )
)

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never

const take = (one: Step, trial: Trial): void => {
  switch (one.do) {
    case "batch":
      return trial.ask(one.keys, true)
    case "single":
      return trial.ask([one.key], false)
    case "end":
      return trial.end(one.which, one.ways, one.whole === 0)
    case "pass":
      return trial.pass(one.millis)
    case "leave":
      return trial.leave(one.which)
    case "drop":
      return trial.drop(one.how, one.key)
  }
}

const trials = (numRuns: number, endOnFailure = false) =>
  fc.check(
    fc.property(fc.array(step, { minLength: 10, maxLength: 50 }), (steps) => {
      const trial = new Trial()
      for (const one of steps) {
        take(one, trial)
        trial.check()
      }
      trial.close()
    }),
    { seed: 42, numRuns, endOnFailure }
  )

describe("batches and single requests, under any interleaving", () => {
  it("get what was loaded for them, once at a time, and leave nothing", () => {
    const { counterexample, errorInstance, failed } = trials(500)
    assert.isFalse(failed, `${JSON.stringify(counterexample)} ${String((errorInstance as Error)?.stack)}`)
  })
})

describe("mutants: each defect is found under some interleaving", () => {
  const flights = Flights.prototype as any
  const { begin, forsake, land } = flights

  const mutants: Record<string, Record<string, (this: any, ...args: any) => any>> = {
    "a batch loads what somebody loads already": {
      begin(fiber, key, ...rest) {
        this.current.delete(key)
        return begin.call(this, fiber, key, ...rest)
      }
    },
    "a batch's load is nobody else's": {
      begin(...args) {
        const flight = begin.apply(this, args)
        if (flight !== undefined) this.current.delete(flight.key)
        return flight
      }
    },
    "a batch brings back what was dropped": {
      land(flight, exit) {
        this.current.set(flight.key, flight)
        return land.call(this, flight, exit)
      }
    },
    "a batch's failure is for all who wait": {
      forsake(flight) {
        if (!flight.settled) land.call(this, flight, Exit.fail("gone"))
      }
    },
    "nobody loads what a batch did not bring": {
      forsake(flight) {
        this.running.delete(flight)
        this.current.delete(flight.key)
      }
    },
    "what a batch did not bring is never free again": { forsake() {} },
    "what a batch did not bring takes a newer load out of the map": {
      forsake(flight) {
        forsake.call(this, flight)
        if (!flight.settled && flight.fiber === undefined) this.current.delete(flight.key)
      }
    },
    "what a batch did not bring is loaded although nobody waits": {
      forsake(flight) {
        if (!flight.settled && flight.fiber === undefined) this.launch(flight)
      }
    },
    "what a batch did not bring is loaded whenever it is let go": {
      forsake(flight) {
        if (flight.settled) return
        flight.fiber = undefined
        forsake.call(this, flight)
      }
    }
  }

  it.each(Object.entries(mutants))("%s", (_name, defects) => {
    Object.assign(flights, defects)
    try {
      assert.isTrue(trials(300, true).failed)
    } finally {
      Object.assign(flights, { begin, forsake, land })
    }
  })
})
