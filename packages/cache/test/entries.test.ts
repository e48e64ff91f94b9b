import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { type Ages, Entries, type Entry, type Write } from "../src/internal/entries.ts"

const roomy = { entries: 1_000, weight: Infinity }

const write = (payload: unknown, ages: Partial<Ages>, now: number, more: Partial<Write> = {}): Write => ({
  payload,
  ages: { fresh: 0, stale: 0, spare: 0, ...ages },
  weight: 0,
  tags: [],
  writtenAt: now,
  ...more
})

/** What every entry of the real cache must agree with: a plain list of what was written last. */
class Model {
  readonly rows = new Map<string, Write & { readonly until: number }>()

  put(key: string, row: Write): void {
    const until = row.writtenAt + row.ages.fresh + row.ages.stale + row.ages.spare
    this.rows.set(key, { ...row, until })
  }

  find(key: string, now: number) {
    const row = this.rows.get(key)
    return row !== undefined && now < row.until ? row : undefined
  }

  deleteTag(tag: string): void {
    for (const [key, row] of this.rows) if (row.tags.includes(tag)) this.rows.delete(key)
  }
}

const age = fc.constantFrom(0, 0, 1, 5, 20, Infinity)
const command = fc.oneof(
  fc.record({ do: fc.constant("put" as const), fresh: age, stale: age, spare: age, payload: fc.anything() }),
  fc.record({ do: fc.constant("tick" as const), by: fc.integer({ min: 0, max: 12 }) }),
  fc.record({ do: fc.constantFrom("read", "read", "delete", "deleteTag", "clear" as const) })
)
const commands = fc.array(
  fc.record({
    command,
    key: fc.constantFrom("a", "b", "c", "d"),
    tags: fc.uniqueArray(fc.constantFrom("x", "y", "z"))
  }),
  { maxLength: 80, size: "max" }
)

const differs = (make: () => Entries) =>
  fc.check(
    fc.property(commands, (list) => {
      const real = make()
      const model = new Model()
      let now = 0
      for (const { command, key, tags } of list) {
        if (command.do === "put") {
          const row = write(command.payload, command, now, { ages: command, tags })
          real.put(key, row, now)
          model.put(key, row)
        } else if (command.do === "tick") now += command.by
        else if (command.do === "read") {
          const entry = real.find(key, now)
          if (entry !== undefined) real.read(entry)
        } else if (command.do === "delete") {
          real.delete(key)
          model.rows.delete(key)
        } else if (command.do === "deleteTag") {
          for (const tag of tags) {
            real.deleteTag(tag)
            model.deleteTag(tag)
          }
        } else {
          real.clear()
          model.rows.clear()
        }
        for (const known of ["a", "b", "c", "d"]) {
          const entry = real.find(known, now)
          const row = model.find(known, now)
          assert.strictEqual(entry === undefined, row === undefined, known)
          if (entry === undefined || row === undefined) continue
          assert.strictEqual(entry.payload, row.payload)
          assert.strictEqual(entry.freshUntil, row.writtenAt + row.ages.fresh)
          assert.strictEqual(entry.staleUntil, row.writtenAt + row.ages.fresh + row.ages.stale)
          assert.strictEqual(entry.until, row.until)
        }
      }
    }),
    { seed: 5, numRuns: 200 }
  )

describe("entries", () => {
  it("CA1, CA7, CA14, CA15: what is held is what was written last, whatever it is, until its own end", () => {
    const { counterexample, errorInstance, failed } = differs(() => new Entries(roomy))
    assert.isFalse(failed, `${JSON.stringify(counterexample)} ${String(errorInstance)}`)
  })

  it("mutants: reads that prolong, values that are doubted, tags that are forgotten, ends that are missed", () => {
    class Prolonging extends Entries {
      override read(entry: Entry): void {
        super.read(entry)
        entry.until += 1
      }
    }
    class Doubting extends Entries {
      override put(key: string, row: Write, now: number): void {
        if (row.payload) super.put(key, row, now)
      }
    }
    class Forgetful extends Entries {
      override put(key: string, row: Write, now: number): void {
        super.put(key, { ...row, tags: row.tags.slice(1) }, now)
      }
    }
    class Late extends Entries {
      override find(key: string, now: number): Entry | undefined {
        return super.find(key, now - 1)
      }
    }
    for (const Mutant of [Prolonging, Doubting, Forgetful, Late]) {
      assert.isTrue(differs(() => new Mutant(roomy)).failed, Mutant.name)
    }
  })

  it("CA10: one that is heavier than all may be is not kept, and its predecessor neither", () => {
    const entries = new Entries({ entries: 10, weight: 100 })
    entries.put("a", write(1, { fresh: 10 }, 0, { weight: 90 }), 0)
    assert.strictEqual(entries.weight, 90)
    entries.put("a", write(2, { fresh: 10 }, 0, { weight: 101 }), 0)
    assert.isUndefined(entries.find("a", 0))
    assert.strictEqual(entries.weight, 0)
    assert.strictEqual(entries.size, 0)
  })

  it("CA10: one that grows makes room for itself", () => {
    const evicted: Array<string> = []
    const entries = new Entries({ entries: 10, weight: 100 }, 1, (key) => evicted.push(key))
    for (const key of ["a", "b", "c"]) entries.put(key, write(key, { fresh: 10 }, 0, { weight: 30 }), 0)
    entries.put("c", write("C", { fresh: 10 }, 0, { weight: 60 }), 0)
    assert.strictEqual(entries.weight, 90)
    assert.deepStrictEqual(evicted, ["a"])
    assert.strictEqual(entries.evictions, 1)
    assert.strictEqual(entries.find("c", 0)?.payload, "C")
  })

  it("what has expired is gone after as many writes as there are entries, and is no eviction", () => {
    const entries = new Entries(roomy)
    for (let i = 0; i < 100; i++) entries.put(`old ${i}`, write(i, { fresh: 10 }, 0), 0)
    for (let i = 0; i < 100; i++) entries.put(`new ${i}`, write(i, { fresh: 10 }, 20), 20)
    assert.strictEqual(entries.size, 100)
    assert.strictEqual(entries.evictions, 0)
  })

  it("is calm for a part of the fresh phase, and asks no clock where there is no end", () => {
    const entries = new Entries(roomy, 0.8)
    entries.put("a", write(1, { fresh: 10 }, 0), 0)
    assert.strictEqual(entries.calm("a", () => 7.9)?.payload, 1)
    assert.isUndefined(entries.calm("a", () => 8))
    assert.strictEqual(entries.find("a", 8)?.payload, 1)
    entries.put("b", write(2, { fresh: Infinity }, 0), 0)
    const never = () => assert.fail("the clock was asked")
    assert.strictEqual(entries.calm("b", never)?.payload, 2)
  })

  it("a value from elsewhere keeps its age", () => {
    const entries = new Entries(roomy)
    entries.put("a", write(1, { fresh: 10, stale: 5 }, 100, { writtenAt: 92 }), 100)
    assert.strictEqual(entries.find("a", 101)?.freshUntil, 102)
    assert.isUndefined(entries.find("a", 107))
    entries.put("b", write(1, { fresh: 10 }, 100, { writtenAt: 90 }), 100)
    assert.strictEqual(entries.size, 1)
  })

  it("CA10: one that is too heavy evicts nobody; one that takes all the room is kept", () => {
    const entries = new Entries({ entries: 10, weight: 100 })
    entries.put("a", write(1, { fresh: 10 }, 0, { weight: 10 }), 0)
    entries.put("b", write(2, { fresh: 10 }, 0, { weight: 101 }), 0)
    assert.isDefined(entries.find("a", 0))
    assert.strictEqual(entries.evictions, 0)
    entries.put("c", write(3, { fresh: 10 }, 0, { weight: 100 }), 0)
    assert.isDefined(entries.find("c", 0))
  })

  it("CA11: one that was read outlives those that were not", () => {
    const entries = new Entries({ entries: 3, weight: Infinity })
    for (const key of ["a", "b", "c"]) entries.put(key, write(key, { fresh: Infinity }, 0), 0)
    entries.read(entries.find("a", 0)!)
    for (const key of ["d", "e"]) entries.put(key, write(key, { fresh: Infinity }, 0), 0)
    assert.isDefined(entries.find("a", 0))
    assert.strictEqual(entries.evictions, 2)
  })

  it("one that has expired and must make room is no eviction", () => {
    const evicted: Array<string> = []
    const entries = new Entries({ entries: 4, weight: Infinity }, 1, (key) => evicted.push(key))
    entries.put("a", write("a", { fresh: 10 }, 0), 0)
    for (const key of ["b", "c", "d"]) entries.put(key, write(key, { fresh: Infinity }, 0), 0)
    // The sweep passes by the first two, so that it is the order that finds the oldest expired.
    entries.put("b", write("b", { fresh: Infinity }, 5), 5)
    entries.put("e", write("e", { fresh: Infinity }, 10), 10)
    assert.strictEqual(entries.size, 4)
    assert.deepStrictEqual(evicted, [])
    assert.strictEqual(entries.evictions, 0)
  })

  it("one that is written anew after its end stays the same entry, and leaves when it ends", () => {
    const entries = new Entries(roomy)
    entries.put("a", write(1, { fresh: 10 }, 0), 0)
    const before = entries.find("a", 0)
    entries.put("a", write(2, { fresh: 10 }, 10), 10)
    assert.strictEqual(entries.find("a", 10), before)
    entries.put("b", write(3, { fresh: 10 }, 20), 20)
    entries.put("c", write(4, { fresh: 10 }, 20), 20)
    assert.strictEqual(entries.size, 2)
  })

  it("a write looks at no more than two others", () => {
    const entries = new Entries(roomy)
    for (let i = 0; i < 100; i++) entries.put(`${i}`, write(i, { fresh: 10 }, 0), 0)
    for (let i = 1; i <= 10; i++) {
      entries.put("new", write(i, { fresh: 10 }, 20), 20)
      assert.isAtLeast(entries.size, 101 - 2 * i)
    }
  })

  it("CA6: a tag drops what bears it now, not what once did, and is forgotten with the last", () => {
    const entries = new Entries(roomy)
    const tagged = (tags: ReadonlyArray<string>) => write(1, { fresh: 10 }, 0, { tags })
    entries.put("a", tagged(["x", "y"]), 0)
    entries.put("b", tagged(["x"]), 0)
    entries.put("a", tagged(["y"]), 0)
    entries.delete("b")
    entries.put("b", tagged([]), 0)
    entries.deleteTag("x")
    assert.isDefined(entries.find("a", 0))
    assert.isDefined(entries.find("b", 0))
    entries.deleteTag("y")
    assert.isUndefined(entries.find("a", 0))
    assert.strictEqual((entries as unknown as { tagged: Map<string, unknown> }).tagged.size, 0)
  })
})
