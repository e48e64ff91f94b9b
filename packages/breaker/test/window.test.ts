import { assert, describe, it } from "vitest"
import * as fc from "fast-check"
import type { Window } from "../src/internal/window.ts"
import * as Windows from "../src/internal/window.ts"

interface Entry {
  readonly at: number
  readonly bad: boolean
}

/** Time passes, then a call ends, well or badly, or somebody only looks. */
const steps = fc.array(
  fc.record({
    wait: fc.oneof(fc.constantFrom(0, 1, 99, 100, 101, 899, 900, 901, 999, 1000, 1001, 5000), fc.nat(400)),
    call: fc.constantFrom("good", "bad", "none")
  }),
  { maxLength: 40, size: "max" }
)

const both = (window: Window) => ({ total: window.total, bad: window.bad })

const count = (entries: ReadonlyArray<Entry>) => ({
  total: entries.length,
  bad: entries.filter(({ bad }) => bad).length
})

/** Plays steps on a window, and calls `check` after each with all calls so far. */
const play = (
  window: Window,
  played: ReadonlyArray<{ readonly wait: number; readonly call: string }>,
  start: number,
  check: (now: number, entries: ReadonlyArray<Entry>) => void
): number => {
  const entries: Array<Entry> = []
  let now = start
  for (const { call, wait } of played) {
    now += wait
    if (call === "none") window.forget(now)
    else {
      window.add(call === "bad", now)
      entries.push({ at: now, bad: call === "bad" })
    }
    check(now, entries)
  }
  return now
}

const span = 1000

const timed = (make: (now: number) => Window) =>
  fc.property(steps, fc.nat(10_000), (steps, start) => {
    const window = make(start)
    play(window, steps, start, (now, entries) => {
      const least = count(entries.filter(({ at }) => now - at <= 0.9 * span))
      const most = count(entries.filter(({ at }) => now - at < span))
      assert.isAtLeast(window.total, least.total)
      assert.isAtMost(window.total, most.total)
      assert.isAtLeast(window.bad, least.bad)
      assert.isAtMost(window.bad, most.bad)
    })
  })

describe("a time window", () => {
  it("CB7: holds at least the last nine tenths and at most the whole, at reads too; empty after a pause", () => {
    fc.assert(timed((now) => new Windows.TimeWindow(span, now)))
  })

  it("CB7 finds a window that clears one bucket per access", () => {
    class Lazy extends Windows.TimeWindow {
      private cleared = false
      override forget(now: number): void {
        this.cleared = false
        super.forget(now)
      }
      protected override clear(slot: number): void {
        if (!this.cleared) super.clear(slot)
        this.cleared = true
      }
    }
    assert.isTrue(
      fc.check(
        timed((now) => new Lazy(span, now)),
        { seed: 1, endOnFailure: true }
      ).failed
    )
  })

  it("CB7 finds a window whose reads do not forget", () => {
    class Stale extends Windows.TimeWindow {
      private adding = false
      override add(bad: boolean, now: number): void {
        this.adding = true
        super.add(bad, now)
        this.adding = false
      }
      override forget(now: number): void {
        if (this.adding) super.forget(now)
      }
    }
    assert.isTrue(
      fc.check(
        timed((now) => new Stale(span, now)),
        { seed: 1, endOnFailure: true }
      ).failed
    )
  })

  it("a clock that steps back finds the window as it was", () => {
    const window = new Windows.TimeWindow(span, 0)
    window.add(true, 950)
    window.forget(100)
    window.add(true, 100)
    assert.deepStrictEqual(both(window), { total: 2, bad: 2 })
    window.forget(1850)
    assert.deepStrictEqual(both(window), { total: 2, bad: 2 })
    window.forget(1900)
    assert.deepStrictEqual(both(window), { total: 0, bad: 0 })
  })
})

describe("a count window", () => {
  it("CB7: holds the last calls, exactly", () => {
    fc.assert(
      fc.property(steps, fc.integer({ min: 1, max: 12 }), (steps, size) => {
        const window = new Windows.CountWindow(size)
        play(window, steps, 0, (_, entries) => assert.deepStrictEqual(both(window), count(entries.slice(-size))))
      })
    )
  })
})

describe("saved and loaded", () => {
  const spans: ReadonlyArray<Windows.Span> = [{ calls: 7 }, { millis: span }]
  for (const span of spans) {
    it(`goes on as if nothing had happened, under another clock: ${JSON.stringify(span)}`, () => {
      fc.assert(
        fc.property(steps, steps, (before, after) => {
          const original = Windows.make(span, 500)
          const saved = original.save(play(original, before, 500, () => {}))
          const copy = Windows.make(span, 70_000)
          copy.load(JSON.parse(JSON.stringify(saved)) as Windows.SavedWindow, 70_000)
          const now = 500 + before.reduce((sum, { wait }) => sum + wait, 0)
          const seen: Array<unknown> = []
          play(original, after, now, () => seen.push(both(original)))
          play(copy, after, 70_000, () => assert.deepStrictEqual(both(copy), seen.shift()))
        })
      )
    })
  }

  it("a window of another shape starts empty, a smaller one keeps the latest calls", () => {
    const counted = new Windows.CountWindow(5)
    for (const bad of [true, true, false, true, false]) counted.add(bad)
    const smaller = new Windows.CountWindow(3)
    smaller.load(counted.save())
    assert.deepStrictEqual(both(smaller), { total: 3, bad: 1 })
    const other = new Windows.TimeWindow(1000, 0)
    other.load(counted.save(), 0)
    const wider = new Windows.TimeWindow(2000, 0)
    wider.add(true, 0)
    other.load(wider.save(0), 0)
    other.load({ width: 100, elapsed: 0, totals: [1, 1], bads: [1, 1] }, 0)
    assert.deepStrictEqual(both(other), { total: 0, bad: 0 })
    smaller.load(other.save(0))
    assert.deepStrictEqual(both(smaller), { total: 3, bad: 1 })
  })

  it("what is too old by then is not saved", () => {
    const window = new Windows.TimeWindow(1000, 0)
    window.add(true, 0)
    window.add(true, 350)
    const saved = window.save(1_000)
    const copy = new Windows.TimeWindow(1000, 70_000)
    copy.load(saved, 70_000)
    assert.deepStrictEqual(both(copy), { total: 1, bad: 1 })
    copy.forget(70_299)
    assert.deepStrictEqual(both(copy), { total: 1, bad: 1 })
    copy.forget(70_300)
    assert.deepStrictEqual(both(copy), { total: 0, bad: 0 })
  })
})
