import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Scheduler } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { Alarm, alarmOf, Ring } from "../src/internal/alarm.ts"
import { watched } from "./support.ts"

class Bell extends Ring {
  private readonly f: () => void

  constructor(f: () => void) {
    super()
    this.f = f
  }

  ring(): void {
    this.f()
  }
}

/** Has `f` called at some time. */
const set = (alarm: Alarm, at: number, f: () => void): Ring => {
  const bell = new Bell(f)
  alarm.set(bell, at)
  return bell
}

const makeAlarm = Effect.withFiber((fiber) => Effect.succeed(alarmOf(fiber)))

describe("Alarm", () => {
  it.effect("rings everyone at their time, in order, and nobody who has called off", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const alarm = yield* makeAlarm
        const rang: Array<string> = []
        const at = (millis: number, name: string) => set(alarm, millis, () => rang.push(`${name}@${alarm.now()}`))
        at(300, "c")
        const b = at(200, "b")
        at(100, "a")
        at(300, "d")
        alarm.cancel(b)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(rang, ["a@100", "c@300", "d@300"])
        assert.strictEqual(watch.sleeping, 0)
      })
    )
  )

  it.effect("one sleeper for all who wait, none when nobody does", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const alarm = yield* makeAlarm
        assert.strictEqual(yield* makeAlarm, alarm)
        const rings = Array.from({ length: 100 }, (_, i) => set(alarm, 1000 + i, () => {}))
        yield* TestClock.adjust(0)
        assert.strictEqual(watch.sleeping, 1)
        for (const ring of rings.slice(0, 99)) alarm.cancel(ring)
        assert.strictEqual(watch.sleeping, 1)
        alarm.cancel(rings[99]!)
        yield* TestClock.adjust(0)
        assert.strictEqual(watch.sleeping, 0)
        assert.strictEqual(watch.slept, 1)
      })
    )
  )

  it.effect("those who set theirs in the turn in which the last was called off need no other sleeper", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const alarm = yield* makeAlarm
        const rang: Array<number> = []
        let ring = set(alarm, 1000, () => {})
        for (let at = 2000; at <= 5000; at += 1000) {
          yield* TestClock.adjust(0)
          alarm.cancel(ring)
          ring = set(alarm, at, () => void rang.push(alarm.now()))
        }
        assert.strictEqual(watch.slept, 1)
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(rang, [5000])
        assert.strictEqual(watch.sleeping, 0)
      })
    )
  )

  it.effect("what is called off in the turn in which it was set costs no timer", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const alarm = yield* makeAlarm
        alarm.cancel(set(alarm, 1000, () => assert.fail("rang")))
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(watch.slept, 0)
      })
    )
  )

  it.effect("those who set another while it rings, or earlier than the sleeper wakes, are rung in time", () =>
    Effect.gen(function* () {
      const alarm = yield* makeAlarm
      const rang: Array<number> = []
      const note = () => void rang.push(alarm.now())
      set(alarm, 1000, note)
      yield* TestClock.adjust("100 millis")
      set(alarm, 200, () => {
        note()
        set(alarm, 250, note)
        alarm.cancel(set(alarm, 220, note))
      })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(rang, [200, 250, 1000])
    })
  )

  it.effect("one that is set again is rung at the later time alone, and one that is not set can be called off", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const alarm = yield* makeAlarm
        const rang: Array<number> = []
        const bell = new Bell(() => rang.push(alarm.now()))
        alarm.cancel(bell)
        alarm.set(bell, 100)
        alarm.set(bell, 300)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(rang, [300])
        alarm.cancel(bell)
        alarm.set(bell, 2000)
        yield* TestClock.adjust("2 seconds")
        assert.deepStrictEqual(rang, [300, 2000])
        assert.strictEqual(watch.sleeping, 0)
      })
    )
  )

  it.effect("one that throws keeps nobody else from being rung", () =>
    Effect.gen(function* () {
      // A clock of its own, whose sleeps end when the test says so.
      let wake: ((_: Effect.Effect<void>) => void) | undefined
      let time = 0
      const clock = Object.assign(Object.create(yield* Clock.Clock) as Clock.Clock, {
        monotonicTimeNanosUnsafe: () => BigInt(time * 1e6),
        sleep: () => Effect.callback<void>((resume) => void (wake = resume))
      })
      const alarm = new Alarm(clock, yield* Scheduler.Scheduler)
      const rang: Array<number> = []
      set(alarm, 10, () => {
        throw new Error("boom")
      })
      set(alarm, 10, () => rang.push(1))
      yield* Effect.yieldNow
      time = 10
      assert.throws(() => wake!(Effect.void), "boom")
      wake!(Effect.void)
      assert.deepStrictEqual(rang, [1])
    })
  )

  it.effect("rings exactly as a list of timers would, whatever is set and called off", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(
            fc.record({
              wait: fc.nat(30),
              delay: fc.integer({ min: 1, max: 60 }),
              cancel: fc.option(fc.nat(20), { nil: undefined })
            }),
            { maxLength: 25, size: "max" }
          ),
          (steps) =>
            Effect.runPromise(
              Effect.gen(function* () {
                const alarm = yield* makeAlarm
                const rang: Array<string> = []
                const expected: Array<{ readonly name: number; readonly at: number; off: boolean }> = []
                const rings = []
                for (const [name, { cancel, delay, wait }] of steps.entries()) {
                  yield* TestClock.adjust(wait)
                  const start = alarm.now()
                  expected.push({ name, at: start + delay, off: false })
                  rings.push(set(alarm, start + delay, () => rang.push(`${name}@${alarm.now()}`)))
                  const victim = cancel === undefined ? undefined : expected[cancel]
                  if (victim === undefined) continue
                  alarm.cancel(rings[cancel!]!)
                  if (victim.at > start) victim.off = true
                }
                yield* TestClock.adjust("1 second")
                assert.deepStrictEqual(
                  rang,
                  expected
                    .filter(({ off }) => !off)
                    .toSorted((a, b) => a.at - b.at || a.name - b.name)
                    .map(({ at, name }) => `${name}@${at}`)
                )
              }).pipe(Effect.provide(TestClock.layer()))
            )
        ),
        { numRuns: 25 }
      )
    )
  )
})
