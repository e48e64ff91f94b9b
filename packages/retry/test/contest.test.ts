import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Scheduler } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { Alarm, alarmOf } from "../src/internal/alarm.ts"
import { contest } from "../src/internal/contest.ts"
import { now, sleep, watched, work } from "./support.ts"

const makeAlarm = Effect.withFiber((fiber) => Effect.succeed(alarmOf(fiber)))

describe("Alarm", () => {
  it.effect("rings everyone at their time, in order, and nobody who has called off", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const alarm = yield* makeAlarm
        const rang: Array<string> = []
        const at = (millis: number, name: string) => alarm.set(millis, () => rang.push(`${name}@${alarm.now()}`))
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
        const rings = Array.from({ length: 100 }, (_, i) => alarm.set(1000 + i, () => {}))
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
        let ring = alarm.set(1000, () => {})
        for (let at = 2000; at <= 5000; at += 1000) {
          yield* TestClock.adjust(0)
          alarm.cancel(ring)
          ring = alarm.set(at, () => void rang.push(alarm.now()))
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
        alarm.cancel(alarm.set(1000, () => assert.fail("rang")))
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
      alarm.set(1000, note)
      yield* TestClock.adjust("100 millis")
      alarm.set(200, () => {
        note()
        alarm.set(250, note)
        alarm.cancel(alarm.set(220, note))
      })
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(rang, [200, 250, 1000])
    })
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
      alarm.set(10, () => {
        throw new Error("boom")
      })
      alarm.set(10, () => rang.push(1))
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
                  rings.push(alarm.set(start + delay, () => rang.push(`${name}@${alarm.now()}`)))
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

describe("contest", () => {
  const first = <E = never>(...efforts: ReadonlyArray<Effect.Effect<number, E>>) =>
    Effect.flatMap(makeAlarm, (alarm) =>
      Effect.withFiber((caller) =>
        contest<number, E, never>(caller, alarm, (contest) => {
          for (const effort of efforts) {
            const exit = contest.start(effort, caller.context, (exit) => contest.decide(() => exit))
            if (exit !== undefined) contest.decide(() => exit)
          }
        })
      )
    )

  it.effect("the first decides, the others are interrupted, and their finalizers keep nobody waiting", () =>
    Effect.gen(function* () {
      const finalized: Array<number> = []
      const slow = Effect.never.pipe(
        Effect.onInterrupt(() => Effect.map(Effect.andThen(sleep(5000), now), (at) => finalized.push(at)))
      )
      const fiber = yield* Effect.forkChild(
        Effect.flatMap(first(slow, Effect.as(sleep(10), 2)), (n) => Effect.map(now, (at) => [n, at]))
      )
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual(yield* Fiber.join(fiber), [2, 10])
      assert.deepStrictEqual(finalized, [])
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(finalized, [5010])
    })
  )

  it.effect("a caller who is interrupted waits for the finalizers of all", () =>
    Effect.gen(function* () {
      const slow = Effect.never.pipe(Effect.onInterrupt(() => sleep(5000)))
      const fiber = yield* Effect.forkChild(first(slow, Effect.never), { startImmediately: true })
      const interruption = yield* Effect.forkChild(Effect.andThen(Fiber.interrupt(fiber), now))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(interruption), 5000)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
    })
  )

  it.effect("one that is started by whoever ends the contest does not live on", () =>
    Effect.gen(function* () {
      const done = Deferred.makeUnsafe<number>()
      const { counts, effect } = work(1000)
      // Ends the contest in the very turn in which it is started.
      const traitor = Effect.andThen(Deferred.succeed(done, 7), effect)
      assert.strictEqual(yield* first(Deferred.await(done), traitor), 7)
      assert.deepStrictEqual(counts, { started: 1, interrupted: 1, finished: 1 })
    })
  )

  it.effect("works in an uninterruptible region, where it can still interrupt the others", () =>
    Effect.gen(function* () {
      const { counts, effect } = work(1000)
      const fiber = yield* Effect.forkChild(Effect.uninterruptible(first(effect, Effect.as(sleep(10), 2))))
      yield* TestClock.adjust("10 millis")
      assert.strictEqual(yield* Fiber.join(fiber), 2)
      assert.strictEqual(counts.interrupted, 1)
    })
  )
})
