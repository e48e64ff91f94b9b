import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { Agenda, type Entry } from "../src/internal/agenda.ts"

type Command = { readonly add: number } | { readonly remove: number } | { readonly pop: true }

const add = fc.record({ add: fc.integer({ min: 0, max: 20 }) })

// A heap that is full enough to have several branches, then all that can be done to it.
const commands: fc.Arbitrary<ReadonlyArray<Command>> = fc
  .tuple(
    fc.array(add, { maxLength: 30, size: "max" }),
    fc.array(fc.oneof(add, fc.record({ remove: fc.nat(40) }), fc.constant({ pop: true } as const)), {
      maxLength: 40,
      size: "max"
    })
  )
  .map(([filling, rest]) => [...filling, ...rest])

/** The model: a list, sorted whenever somebody looks. */
const run = (commands: ReadonlyArray<Command>, make: () => Agenda<Entry>) => {
  const agenda = make()
  const all: Array<Entry> = []
  let model: Array<Entry> = []
  const first = () => model.toSorted((a, b) => a.at - b.at || all.indexOf(a) - all.indexOf(b))[0]
  for (const command of commands) {
    if ("add" in command) {
      const entry = { at: command.add, place: -1 }
      all.push(entry)
      model.push(entry)
      agenda.add(entry)
    } else {
      // Also entries that have left already: calling off twice is harmless.
      const entry = "pop" in command ? first() : all[command.remove]
      if (entry === undefined) continue
      model = model.filter((other) => other !== entry)
      agenda.remove(entry)
    }
    assert.strictEqual(agenda.first, first())
    assert.strictEqual(agenda.size, model.length)
    assert.isTrue(all.every((entry) => entry.place >= 0 === model.includes(entry)))
  }
}

describe("Agenda", () => {
  it("gives what is due first, in the order of its setting, as a sorted list would", () => {
    fc.assert(
      fc.property(commands, (commands) => run(commands, () => new Agenda())),
      { numRuns: 150 }
    )
  })

  it("a mutant that forgets to lift what fills a gap is found out", () => {
    class Sinking extends Agenda<Entry> {
      override remove(entry: Entry): void {
        const self = this as unknown as {
          rise: (...entry: ReadonlyArray<unknown>) => void
          sink: (...entry: ReadonlyArray<unknown>) => void
        }
        const rise = self.rise
        self.rise = (...entry) => self.sink(...entry)
        super.remove(entry)
        self.rise = rise
      }
    }
    const result = fc.check(
      fc.property(commands, (commands) => run(commands, () => new Sinking())),
      { numRuns: 3_000, seed: 1, endOnFailure: true }
    )
    assert.isTrue(result.failed)
  })

  it("holds a hundred thousand and lets each go at once", () => {
    const agenda = new Agenda<Entry>()
    const entries = Array.from({ length: 100_000 }, (_, at) => ({ at, place: -1 }))
    for (const entry of entries) agenda.add(entry)
    for (const entry of entries.slice(1)) agenda.remove(entry)
    assert.strictEqual(agenda.first, entries[0])
    assert.strictEqual(agenda.size, 1)
  })
})
