/**
 * Defects that circuit breakers have had in the field, put into ours on purpose: the named invariant must find each.
 * The seed is fixed, so that this never fails by bad luck.
 */
import { assert, describe, it } from "vitest"
import * as fc from "fast-check"
import type { Machine } from "../src/internal/machine.ts"
import { Closed, Permit } from "../src/internal/state.ts"
import { checks } from "./invariants.ts"
import type { Core } from "./trace.ts"
import { commands, core, run, sketch } from "./trace.ts"

const settle = (f: (original: Core["settle"], ...args: Parameters<Core["settle"]>) => void): Partial<Core> => ({
  settle: (...args) => f(core.settle, ...args)
})

const settings = (change: (settings: Parameters<Core["make"]>[0]) => object): Partial<Core> => ({
  make: (settings, now) => core.make({ ...settings, ...change(settings) }, now)
})

const rejoin = (m: Machine, permit: Permit): Permit => {
  if (permit.epoch === m.epoch || permit.settled || m.epoch.state === "isolated") return permit
  const current = new Permit(m.epoch, permit.start, permit.health)
  if ("probes" in m.epoch) m.epoch.probes.push(current)
  return current
}

const mutants: ReadonlyArray<readonly [defect: string, invariant: string, Partial<Core>]> = [
  [
    "late results count in the current state",
    "CB3",
    settle((original, m, permit, ...rest) => original(m, rejoin(m, permit), ...rest))
  ],
  [
    "a late failure lengthens the open time",
    "CB9",
    settle((original, m, permit, outcome, ...rest) => {
      if (m.epoch.state === "open" && outcome === "failure" && permit.epoch !== m.epoch) m.epoch.until += 100
      original(m, permit, outcome, ...rest)
    })
  ],
  [
    "a neutral ending is a success",
    "CB4",
    settle((original, m, permit, outcome, ...rest) =>
      original(m, permit, outcome === "neutral" ? "success" : outcome, ...rest)
    )
  ],
  [
    "a neutral ending is a failure",
    "CB4",
    settle((original, m, permit, outcome, ...rest) =>
      original(m, permit, outcome === "neutral" ? "failure" : outcome, ...rest)
    )
  ],
  [
    "a neutral ending keeps the probe's place",
    "CB4",
    settle((original, m, permit, outcome, ...rest) => {
      if (outcome !== "neutral" || permit.epoch.state === "closed") original(m, permit, outcome, ...rest)
    })
  ],
  [
    "a neutral ending keeps the probe's place",
    "CB5",
    settle((original, m, permit, outcome, ...rest) => {
      if (outcome !== "neutral" || permit.epoch.state === "closed") original(m, permit, outcome, ...rest)
    })
  ],
  ["half-open lets everybody through", "CB2", settings(() => ({ probes: Infinity }))],
  [
    "probes are limited at a time, not in total",
    "CB2",
    {
      acquire: (m, at, insists) => {
        const { epoch } = m
        if (epoch.state !== "half-open") return core.acquire(m, at, insists)
        const { successes } = epoch
        epoch.successes = 0
        const result = core.acquire(m, at, insists)
        epoch.successes = successes
        return result
      }
    }
  ],
  ["a probe that hangs wedges the circuit", "CB5", settings(() => ({ probeLease: Infinity }))],
  [
    "a permit counts each time it is settled",
    "CB6",
    settle((original, m, permit, ...rest) => {
      permit.settled = false
      original(m, permit, ...rest)
    })
  ],
  [
    "each failure beyond the threshold opens the circuit once more",
    "CB6",
    settle((original, m, ...rest) => {
      const { epoch } = m
      original(m, ...rest)
      if (epoch.state === "closed" && m.moves.length === 1) m.moves.push(m.moves[0]!)
    })
  ],
  [
    "refusals count as calls",
    "CB15",
    {
      acquire: (m, at, insists) => {
        const result = core.acquire(m, at, insists)
        if (!(result instanceof Permit) && m.epoch.state === "closed") m.epoch.failures.add(false, m.now)
        return result
      }
    }
  ],
  ["the minimum volume is not asked for", "the reference model", settings(() => ({ minimumCalls: 0 }))],
  ["a rate may open on a success alone", "the reference model", settings(({ rate }) => ({ rate: rate / 2 }))],
  ["a threshold must be exceeded", "CB8", settings(({ rate }) => ({ rate: rate + 1e-9 }))],
  [
    "a hint shortens the open time",
    "CB9",
    settle((original, m, permit, outcome, at, hint) => {
      original(m, permit, outcome, at, hint)
      const [move] = m.moves
      if (move?.to === "open" && m.epoch.state === "open" && hint !== undefined && hint > 0 && hint < move.openFor) {
        m.moves[0] = { ...move, openFor: hint }
      }
    })
  ],
  ["a hint is not capped", "CB9", settings(({ openFor }) => ({ maxOpenFor: Infinity, openFor }))],
  [
    "the row of openings ends as soon as the circuit closes",
    "CB9",
    settle((original, m, ...rest) => {
      original(m, ...rest)
      if (m.epoch.state === "closed") m.openings = 0
    })
  ],
  [
    "the clock's steps back are believed",
    "the reference model",
    {
      acquire: (m, at, insists) => {
        m.now = -Infinity
        return core.acquire(m, at, insists)
      }
    }
  ],
  [
    "a slow call that was cancelled is not slow",
    "CB13",
    settle((original, m, permit, outcome, at, hint) => {
      if (outcome === "neutral" && m.epoch === permit.epoch) {
        const { slow } = m.counts
        original(m, permit, outcome, at, hint)
        m.counts.slow = slow
      } else original(m, permit, outcome, at, hint)
    })
  ],
  [
    "the whole crowd comes back at once",
    "CB16",
    {
      inspect: (m, at) => {
        const seen = core.inspect(m, at)
        return { ...seen, share: m.epoch instanceof Closed ? (seen.share < 1 ? 0 : 1) : 0 }
      }
    }
  ]
]

describe("the invariants find", () => {
  for (const [defect, invariant, change] of mutants) {
    it(`${invariant}: ${defect}`, () => {
      const mutant = { ...core, ...change }
      const property = fc.property(sketch, commands, (sketch, commands) =>
        checks[invariant]!(run(mutant, sketch, commands))
      )
      const { errorInstance, failed } = fc.check(property, { seed: 20_261_125, numRuns: 2_000, endOnFailure: true })
      assert.isTrue(failed, "no counterexample in 2,000 traces")
      assert.strictEqual((errorInstance as Error).name, "AssertionError", "a mutant that merely crashes proves nothing")
    })
  }
})
