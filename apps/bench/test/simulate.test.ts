import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { JsonRpc } from "hawser"
import { run, type Spoil } from "../src/simulate/Run.ts"
import { scenarios } from "../src/simulate/Scenarios.ts"

const named = (name: string) => scenarios.find((scenario) => scenario.name === name)!

/** Puts something of its own in the way of each request to an upstream. */
const spoilt = (
  request: (below: JsonRpc.Service<unknown>, request: JsonRpc.Request) => Effect.Effect<unknown, unknown>
): Spoil => {
  return (layer) =>
    JsonRpc.transform(layer, "spoilt", (below: JsonRpc.Service<unknown>) =>
      Effect.succeed({ request: (one: JsonRpc.Request) => request(below, one) })
    )
}

/** What a run with something wrong in it finds. */
const findings = (spoil: Spoil, scenario = "all well"): string => run(named(scenario), 1, spoil).violations.join("\n")

describe("a simulation", () => {
  for (const name of ["all well", "one dead", "one wrong chain", "a fifth fails", "all rate-limited", "brown-out"]) {
    it(`${name}: all holds that must`, () => {
      const { answered, calls, trace, violations } = run(named(name), 7)
      assert.deepStrictEqual(violations, [], `seed 7, trace ${trace}`)
      assert.isAbove(calls, 1000)
      assert.isAbove(answered, 500)
    })
  }

  it("the same seed gives the same history, another one another", () => {
    const traces = [3, 3, 4].map((seed) => run(named("by the dice"), seed).trace)
    assert.strictEqual(traces[0], traces[1])
    assert.notStrictEqual(traces[0], traces[2])
  })
})

describe("finds", () => {
  it("an upstream that gives one request's answer to another", () => {
    let last: unknown = "0x"
    const spoil = spoilt((below, request) =>
      request.method !== "eth_getBalance"
        ? below.request(request)
        : Effect.map(below.request(request), (answer) => {
            const other = last
            last = answer
            return other
          })
    )
    assert.include(findings(spoil), "is not the answer")
  })

  it("an answer of the wrong chain, where somebody answers for the chain id", () => {
    const spoil = spoilt((below, request) =>
      request.method === "eth_chainId" ? Effect.succeed("0x1") : below.request(request)
    )
    assert.include(findings(spoil, "one wrong chain"), "is not the answer")
  })

  it("a request that runs on after its caller has left", () => {
    const spoil = spoilt((below, request) =>
      Effect.contextWith((context) =>
        Effect.callback((resume) => {
          Effect.runForkWith(context)(below.request(request)).addObserver(resume)
        })
      )
    )
    assert.include(findings(spoil), "still asked, though its caller has left")
  })

  it("a write that is sent again, and a call that sends too much", () => {
    const twice = spoilt((below, request) => Effect.andThen(below.request(request), below.request(request)))
    assert.include(findings(twice), "a write has run twice")
    const often = spoilt((below, request) =>
      Array.from({ length: 6 }).reduce<Effect.Effect<unknown, unknown>>(
        (self) => Effect.andThen(self, below.request(request)),
        below.request(request)
      )
    )
    assert.include(findings(often), "7 requests for one call")
  })

  it("a pause that is not kept", () => {
    const spoil = spoilt((below, request) => Effect.catch(below.request(request), () => below.request(request)))
    assert.include(findings(spoil, "limits unknown"), "before it said")
  })
})
