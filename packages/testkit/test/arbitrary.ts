/** Random scenarios, and random requests over time. */
import { assert } from "@effect/vitest"
import { Scenario } from "@hawser/testkit"
import { Arbitrary, Effect, Schema } from "effect"

/** HTTP requests with the methods of their calls, in order of time. */
export const history = Arbitrary.map(
  Arbitrary.array(
    Arbitrary.all({
      at: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 100 }))),
      calls: Arbitrary.array(Arbitrary.schema(Schema.Literals(["a", "b"])), { minLength: 1, maxLength: 3 })
    }),
    { maxLength: 12 }
  ),
  (requests) => requests.toSorted((a, b) => a.at - b.at)
)

const leaves: ReadonlyArray<Scenario.Scenario> = [
  Scenario.healthy,
  Scenario.hang,
  Scenario.drop,
  Scenario.refuse,
  Scenario.refuse,
  Scenario.batch("missing"),
  Scenario.latency(5),
  Scenario.latency({ mean: 5 }),
  Scenario.error(-32000, "no"),
  Scenario.answer(null)
]

const below = (bound: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: bound - 1 })))

/** Scenarios nested up to this deep. */
export const scenarios = (depth: number): Arbitrary.Arbitrary<Scenario.Scenario> => {
  const leaf = Arbitrary.map(below(leaves.length), (i) => leaves[i]!)
  if (depth === 0) return leaf
  const inner = scenarios(depth - 1)
  return Arbitrary.map(Arbitrary.all([below(8), below(4), inner, inner]), ([kind, n, one, other]) => {
    switch (kind) {
      case 0:
        return Scenario.when({ method: n < 2 ? "a" : "b" }, one)
      case 1:
        return Scenario.sometimes(n / 3, one)
      case 2:
        return Scenario.first(n, one)
      case 3:
        return Scenario.after(n, one)
      case 4:
        return Scenario.timeline(
          [
            { for: 10 * n + 10, fault: one },
            { for: 15, fault: other }
          ],
          { repeat: n === 3 }
        )
      case 5:
        return Scenario.firstOf(one, other)
      case 6:
        return Scenario.together(one, other)
      default:
        return one
    }
  })
}

/** Fails with the shrunk value and its replay token if the property does not hold for 200 random values. */
export const checked = <A>(arbitrary: Arbitrary.Arbitrary<A>, holds: (value: A) => boolean) =>
  Effect.map(Arbitrary.checkEffect(arbitrary, holds, { runs: 200 }), (outcome) =>
    assert.strictEqual(outcome._tag, "Passed", Arbitrary.formatCheckFailure(outcome))
  )
