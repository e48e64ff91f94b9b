import { assert, describe, it } from "vitest"
import * as fc from "fast-check"
import { checks } from "./invariants.ts"
import type { Trace } from "./trace.ts"
import { commands, core, origin, run, sketch } from "./trace.ts"

const titles: Record<string, string> = {
  "the reference model": "agrees with the reference model, step by step",
  CB1: "CB1: while open nothing starts, refusals tell the remaining time and move no counter",
  CB2: "CB2: probes under way and successful ones never exceed the limit of their epoch",
  CB3: "CB3: what was admitted in an earlier epoch changes nothing",
  CB4: "CB4: a neutral ending moves no counter but its own, and frees its place",
  CB5: "CB5: from every state the circuit comes back, also when probes never end",
  CB6: "CB6: only legal edges, one event each, on a connected path; settling twice is settling once",
  CB8: "CB8: opens only when a call ends, and as soon as a threshold is met",
  CB9: "CB9: the k-th opening in a row lasts as planned or as hinted, and nothing moves its end",
  CB13: "CB13: a call that took the limit or longer is slow, once, however it ended",
  CB15: "CB15: refusals are not calls",
  CB16: "CB16: the share let through after closing rises to 1"
}

describe("under random commands", () => {
  for (const [id, check] of Object.entries(checks)) {
    it(`${titles[id]}`, () => {
      fc.assert(
        fc.property(sketch, commands, (sketch, commands) => check(run(core, sketch, commands))),
        { numRuns: 200 }
      )
    })
  }
})

describe("time", () => {
  const seen = ({ steps }: Trace) => steps.map(({ after, call, moves }) => ({ after, call, moves }))

  it("CB11: no decision depends on the origin of the clock", () => {
    fc.assert(
      fc.property(sketch, commands, fc.nat(1_000_000_000), (sketch, commands, start) => {
        const exact = { ...sketch, jitter: 0 }
        assert.deepStrictEqual(seen(run(core, exact, commands, start)), seen(run(core, exact, commands, origin)))
      }),
      { numRuns: 100 }
    )
  })

  it("CB11: a clock that steps back stands still until it catches up", () => {
    fc.assert(
      fc.property(sketch, commands, (sketch, commands) => {
        let clock = 0
        let latest = 0
        const forward = commands.map((command) => {
          if (command.do !== "wait") return command
          clock += command.millis
          const millis = Math.max(0, clock - latest)
          latest += millis
          return { do: "wait" as const, millis }
        })
        assert.deepStrictEqual(seen(run(core, sketch, commands)), seen(run(core, sketch, forward)))
      }),
      { numRuns: 100 }
    )
  })
})
