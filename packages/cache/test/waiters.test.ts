import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { type Waiter, Waiters } from "../src/internal/waiters.ts"

interface Named extends Waiter {
  readonly name: number
}

const commands = fc.array(
  fc.oneof(
    { weight: 10, arbitrary: fc.record({ add: fc.oneof(fc.integer({ min: 0, max: 20 }), fc.constant(Infinity)) }) },
    { weight: 10, arbitrary: fc.record({ remove: fc.nat({ max: 30 }) }) },
    { weight: 1, arbitrary: fc.constant({ drain: true }) }
  ),
  { maxLength: 100, size: "max" }
)

const differs = (make: () => Waiters<Named>) =>
  fc.check(
    fc.property(commands, (list) => {
      const real = make()
      let model: Array<Named> = []
      const all: Array<Named> = []
      for (const command of list) {
        if ("add" in command) {
          const waiter = { deadline: command.add, slot: 0, name: all.length }
          all.push(waiter)
          model.push(waiter)
          real.add(waiter)
        } else if ("drain" in command) {
          assert.deepStrictEqual(real.drain(), model)
          model = []
        } else if (command.remove < all.length) {
          const waiter = all[command.remove]!
          assert.strictEqual(real.delete(waiter), model.includes(waiter))
          model = model.filter((other) => other !== waiter)
        }
        assert.strictEqual(real.size, model.length)
        assert.strictEqual(real.latest, Math.max(...model.map((waiter) => waiter.deadline)))
        assert.deepStrictEqual(
          Array.from(real, (waiter) => waiter.name),
          model.map((waiter) => waiter.name)
        )
      }
    }),
    { seed: 3, numRuns: 200 }
  )

describe("waiters", () => {
  it("the latest deadline is that of those present, in whatever order they leave", () => {
    const { counterexample, errorInstance, failed } = differs(() => new Waiters())
    assert.isFalse(failed, `${JSON.stringify(counterexample)} ${String(errorInstance)}`)
  })

  it("mutants: a latest deadline that never falls, or forgets a later comer", () => {
    class Rising extends Waiters<Named> {
      private highest = -Infinity
      override get latest(): number {
        return (this.highest = Math.max(this.highest, super.latest))
      }
    }
    class First extends Waiters<Named> {
      override get latest(): number {
        for (const waiter of this) return waiter.deadline
        return -Infinity
      }
    }
    for (const Mutant of [Rising, First]) assert.isTrue(differs(() => new Mutant()).failed, Mutant.name)
  })
})
