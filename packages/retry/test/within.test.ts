import { assert, describe, it } from "@effect/vitest"
import type { JsonRpc } from "@hawser/core"
import { Interruption } from "@hawser/testkit"
import { Cause, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { type Alarm, alarmOf } from "../src/internal/alarm.ts"
import { Within } from "../src/internal/within.ts"
import { Forked, wait, type Work } from "../src/internal/work.ts"
import { now, sleep, watched, work } from "./support.ts"

class Limited extends Within {
  protected late() {
    return Exit.fail("late")
  }
}

const makeAlarm = Effect.withFiber((fiber) => Effect.succeed(alarmOf(fiber)))

const limited = <A, E>(self: Effect.Effect<A, E>, millis: number): Effect.Effect<A, E | string> =>
  Effect.withFiber((fiber) => {
    const alarm = alarmOf(fiber)
    return wait(new Limited(new Forked(self, fiber.context), alarm, alarm.now() + millis))
  })

/** Work without a fiber, which ends when the test says so. */
class Bare implements Work, JsonRpc.Place {
  left = 0
  caller: JsonRpc.Caller | undefined = undefined
  private readonly finalizer: Effect.Effect<void>

  constructor(finalizer: Effect.Effect<void> = Effect.void) {
    this.finalizer = finalizer
  }

  begin(caller: JsonRpc.Caller): this {
    this.caller = caller
    return this
  }

  leave(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.left++
      return this.finalizer
    })
  }
}

/** Whoever waits for it, and what it was told. */
class Listener implements JsonRpc.Caller {
  readonly told: Array<string> = []
  private readonly alarm: Alarm

  constructor(alarm: Alarm) {
    this.alarm = alarm
  }

  end(exit: Exit.Exit<unknown, unknown>): void {
    const said = Exit.isSuccess(exit) ? exit.value : Cause.squash(exit.cause)
    this.told.push(`${String(said)}@${this.alarm.now()}`)
  }
}

describe("work on a fiber", () => {
  it.effect("leaves no fiber and no timer, wherever it is interrupted", () =>
    Effect.gen(function* () {
      for (const millis of [20, 60]) {
        const steps = yield* Interruption.everywhere(
          Effect.sync(() => {
            const { counts, effect } = work(40)
            return {
              run: limited(effect, millis),
              check: (exit: Exit.Exit<unknown, unknown>) => {
                assert.strictEqual(counts.finished, counts.started)
                if (Exit.isFailure(exit) && !Cause.hasInterrupts(exit.cause)) assert.strictEqual(millis, 20)
              }
            }
          })
        )
        assert.isAbove(steps, 8)
      }
    })
  )

  it.effect("is interrupted when its time is over in an uninterruptible region, too", () =>
    Effect.gen(function* () {
      const { counts, effect } = work(1000)
      const fiber = yield* Effect.forkChild(Effect.uninterruptible(limited(effect, 10)))
      yield* TestClock.adjust("10 millis")
      assert.strictEqual(yield* Effect.flip(Fiber.join(fiber)), "late")
      assert.strictEqual(counts.interrupted, 1)
    })
  )

  it.effect("keeps nobody waiting for its finalizers when it is late, but whoever leaves it", () =>
    Effect.gen(function* () {
      const stubborn = Effect.never.pipe(Effect.onInterrupt(() => sleep(5000)))
      const late = yield* Effect.forkChild(Effect.andThen(Effect.exit(limited(stubborn, 10)), now))
      const leaver = yield* Effect.forkChild(limited(stubborn, 60_000), { startImmediately: true })
      const left = yield* Effect.forkChild(Effect.andThen(Fiber.interrupt(leaver), now))
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* Fiber.join(late), 10)
      assert.strictEqual(yield* Fiber.join(left), 5000)
    })
  )
})

describe("work without a fiber", () => {
  it.effect("that ends while it is begun has used no time, and sets no alarm", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const alarm = yield* makeAlarm
        const listener = new Listener(alarm)
        const hasty: Work = {
          begin: (caller) => {
            caller.end(Exit.succeed(1))
            caller.end(Exit.succeed(2))
            return new Bare(Effect.die("left"))
          }
        }
        const within = new Limited(hasty, alarm, alarm.now()).begin(listener)
        yield* TestClock.adjust("1 hour")
        yield* within.leave()
        assert.deepStrictEqual(listener.told, ["1@0"])
        assert.strictEqual(watch.slept, 0)
      })
    )
  )

  it.effect("that is late is left, and what it says afterwards is for nobody", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const alarm = yield* makeAlarm
        const listener = new Listener(alarm)
        const bare = new Bare()
        new Limited(bare, alarm, 100).begin(listener)
        yield* TestClock.adjust(100)
        assert.deepStrictEqual(listener.told, ["late@100"])
        assert.strictEqual(bare.left, 1)
        assert.strictEqual(watch.sleeping, 0)
        bare.caller!.end(Exit.succeed(1))
        assert.deepStrictEqual(listener.told, ["late@100"])
      })
    )
  )

  it.effect("that cannot be begun is a defect of whoever waits, and leaves no timer", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const alarm = yield* makeAlarm
        const broken: Work = {
          begin: () => {
            throw new Error("broken")
          }
        }
        const exit = yield* Effect.exit(wait<never, never, never>(new Limited(broken, alarm, 100)))
        assert.isTrue(Exit.hasDies(exit))
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(watch.slept, 0)
      })
    )
  )

  it.effect("ends once, in time, late or left, whatever comes when", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.record({
            limit: fc.integer({ min: 1, max: 10 }),
            ends: fc.array(fc.nat(12), { maxLength: 3 }),
            leaves: fc.option(fc.nat(12), { nil: undefined })
          }),
          ({ ends, leaves = Infinity, limit }) =>
            Effect.runPromise(
              watched((watch) =>
                Effect.gen(function* () {
                  const alarm = yield* makeAlarm
                  const listener = new Listener(alarm)
                  const bare = new Bare()
                  const within = new Limited(bare, alarm, limit).begin(listener)
                  for (let at = 0; at <= 12; at++) {
                    if (ends.includes(at)) bare.caller!.end(Exit.succeed("answer"))
                    if (leaves === at) yield* within.leave()
                    yield* TestClock.adjust(1)
                  }
                  const end = Math.min(Infinity, ...ends)
                  if (end < limit && end <= leaves) {
                    assert.deepStrictEqual([listener.told, bare.left], [[`answer@${end}`], 0])
                  } else if (leaves < limit) {
                    assert.deepStrictEqual([listener.told, bare.left], [[], 1])
                  } else {
                    assert.deepStrictEqual([listener.told, bare.left], [[`late@${limit}`], 1])
                  }
                  assert.strictEqual(watch.sleeping, 0)
                })
              ).pipe(Effect.provide(TestClock.layer()))
            )
        ),
        { numRuns: 100 }
      )
    )
  )
})
