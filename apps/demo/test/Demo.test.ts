import { assert, describe, it } from "@effect/vitest"
import { Scenario } from "@hawser/testkit"
import { Effect, Logger } from "effect"
import * as Demo from "../src/Demo.ts"
import * as Nodes from "../src/Nodes.ts"
import * as Screen from "../src/Screen.ts"
import type { Phase } from "../src/Storm.ts"
import * as Summary from "../src/Summary.ts"

const down = { label: "down", scenario: Scenario.refuse }

const phases: ReadonlyArray<Phase> = [
  { title: "calm", seconds: 0.3, faults: {} },
  { title: "one is down", seconds: 0.2, faults: { bravo: down } },
  { title: "all are down", seconds: 0.2, faults: { alpha: down, bravo: down, charlie: down } },
  { title: "calm again", seconds: 0.3, faults: {} }
]

describe("storm", () => {
  // What came of it depends on the machine, and is for `npm run demo -- --once` to judge.
  it.live("plays all phases over simulated nodes, counts everybody's requests, and ends", () =>
    Effect.gen(function* () {
      let text = ""
      const screen = yield* Screen.make({ write: (more) => (text += more) }, {})
      const nodes = { all: yield* Nodes.simulate, simulated: "as told" }
      const outcome = yield* Demo.storm({ screen, port: 0, nodes, phases, rate: 50 })
      for (const { title } of phases) assert.include(text, title)
      assert.include(text, "(as told)")
      assert.isAbove(outcome.service.total, 0)
      assert.isAbove(outcome.bare.total, 0)
      assert.lengthOf(outcome.verdict.recoveries, 1)
      assert.include(Summary.write(outcome).join("\n"), "the whole storm")
    }).pipe(Effect.scoped, Effect.provide(Logger.layer([])))
  )
})
