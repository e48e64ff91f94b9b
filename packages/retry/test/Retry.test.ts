import { assert, describe, it } from "@effect/vitest"
import { Call, JsonRpc, Options, type Outcome } from "@hawser/core"
import { Budget, Retry } from "@hawser/retry"
import { Interruption } from "@hawser/testkit"
import { Duration, Effect, Exit, Fiber, type Layer, Random, Schedule } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { expectTypeOf } from "vitest"
import { Boom, built, client, type Judged, judged, now, read, upstream, watched, work, write } from "./support.ts"

/** A fixed wait between rounds, so that times say which round it was. */
const every = (millis: number) => Schedule.spaced(Duration.millis(millis))

/** Runs an effect to its end in virtual time and gives its exit with the time of it. */
const timed = <A, E>(self: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const start = yield* now
    const fiber = yield* Effect.forkChild(
      Effect.flatMap(Effect.exit(self), (exit) => Effect.map(now, (at) => ({ exit, at: at - start }))),
      { startImmediately: true }
    )
    yield* TestClock.adjust("10 hours")
    return yield* Fiber.join(fiber)
  })

/** Fails as told, one failure for each attempt, and answers with the number of the attempt after that. */
const script = <E>(...failures: ReadonlyArray<E>) => {
  const starts: Array<number> = []
  const effect: Effect.Effect<number, E> = Effect.flatMap(now, (at) => {
    starts.push(at)
    const failure = failures[starts.length - 1]
    return failure === undefined ? Effect.succeed(starts.length) : Effect.fail(failure)
  })
  return { starts, effect }
}

const boom = (n: number) => new Boom({ n })
const booms = (n: number) => Array.from({ length: n }, (_, i) => boom(i + 1))

describe("rounds", () => {
  it.effect(
    "RT1, RT2: asks until it succeeds, at most as often as it may, and returns the first success or last failure",
    () =>
      Effect.gen(function* () {
        for (let failures = 0; failures < 9; failures++) {
          for (const attempts of [1, 2, 5, undefined]) {
            const retry = yield* Retry.make({ attempts, schedule: every(10), budget: false })
            const { effect, starts } = script(...booms(failures))
            const { exit } = yield* timed(retry.execute(effect))
            const most = attempts ?? 6
            assert.strictEqual(starts.length, Math.min(failures + 1, most))
            assert.deepStrictEqual(exit, failures < most ? Exit.succeed(failures + 1) : Exit.fail(boom(most)))
          }
        }
      })
  )

  it.effect("RT1: a schedule that ends, ends the rounds", () =>
    Effect.gen(function* () {
      const retry = yield* Retry.make({ schedule: Schedule.recurs(2), budget: false })
      const { effect, starts } = script(...booms(9))
      assert.deepStrictEqual((yield* timed(retry.execute(effect))).exit, Exit.fail(boom(3)))
      assert.strictEqual(starts.length, 3)
      assert.strictEqual(retry.inspect().exhausted, 1)
    })
  )

  it.effect("RT3: a final failure, a defect or an interruption ends the rounds where it happens", () =>
    Effect.gen(function* () {
      const retry = yield* Retry.make({ schedule: every(10) })
      const final = judged({ again: "nowhere" })
      const ends: ReadonlyArray<Effect.Effect<never, Boom | Judged>> = [
        Effect.fail(final),
        Effect.die("bug"),
        Effect.interrupt
      ]
      for (const end of ends) {
        let asked = 0
        const exit = yield* Effect.exit(
          Effect.forkChild(
            retry.execute(Effect.suspend((): typeof end => (++asked < 2 ? Effect.fail(boom(1)) : end)))
          ).pipe(
            Effect.tap(() => TestClock.adjust("1 hour")),
            Effect.flatMap(Fiber.join)
          )
        )
        assert.strictEqual(asked, 2)
        assert.isTrue(Exit.isFailure(exit))
      }
      // A failure beside a defect is a defect.
      let asked = 0
      const both = Effect.suspend(() => {
        asked++
        return Effect.ensuring(Effect.fail(boom(1)), Effect.die("bug"))
      })
      assert.isTrue(Exit.hasDies(yield* Effect.exit(retry.execute(both))))
      assert.strictEqual(asked, 1)
    })
  )

  it.effect("RT6: who is interrupted while waiting is gone at once, and starts nothing", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const retry = yield* Retry.make({ schedule: every(10_000) })
        const { effect, starts } = script(...booms(9))
        const fiber = yield* Effect.forkChild(retry.execute(effect), { startImmediately: true })
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(watch.sleeping, 1)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(yield* now, 5000)
        assert.strictEqual(watch.sleeping, 0)
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(starts, [0])
      })
    )
  )

  it.effect("RT11: concurrent runs of one policy know nothing of each other", () =>
    Effect.gen(function* () {
      const retry = yield* Retry.make({ schedule: Retry.backoff({ base: 10, jitter: "none" }), budget: false })
      const scripts = Array.from({ length: 20 }, () => script(...booms(3)))
      const fiber = yield* Effect.forkChild(
        Effect.forEach(scripts, ({ effect }) => retry.execute(effect), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      for (const { starts } of scripts) assert.deepStrictEqual(starts, [0, 10, 30, 70])
    })
  )

  it.effect("RT12: a first success costs no timer, no fiber and no step of the schedule", () =>
    watched((watch) =>
      Effect.gen(function* () {
        let steps = 0
        const schedule = Schedule.fromStep(
          Effect.sync(() => {
            steps++
            return () => Effect.succeed([0, Duration.zero] as [number, Duration.Duration])
          })
        )
        const retry = yield* Retry.make({ schedule })
        const own = yield* Effect.withFiber(Effect.succeed)
        assert.strictEqual(yield* retry.execute(Effect.withFiber(Effect.succeed)), own)
        assert.strictEqual(steps, 0)
        assert.strictEqual(watch.slept, 0)
      })
    )
  )

  it.effect("RT14: one more failure in front never means fewer attempts", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.constantFrom("anywhere", "elsewhere", "nowhere"), { maxLength: 8 }),
          fc.integer({ min: 1, max: 6 }),
          (verdicts, attempts) =>
            Effect.runPromise(
              Effect.gen(function* () {
                const count = (verdicts: ReadonlyArray<"anywhere" | "elsewhere" | "nowhere">) =>
                  Effect.gen(function* () {
                    const retry = yield* Retry.make({ attempts, schedule: every(0) })
                    const { effect, starts } = script(...verdicts.map((again) => judged({ again })))
                    yield* timed(retry.execute(effect))
                    return starts.length
                  })
                assert.isAtLeast(yield* count(["anywhere", ...verdicts]), yield* count(verdicts))
              }).pipe(Effect.provide(TestClock.layer()))
            )
        ),
        { numRuns: 30 }
      )
    )
  )

  it.effect("leaves nothing behind, wherever it is interrupted", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.gen(function* () {
          const retry = yield* Retry.make({ attempts: 3, schedule: every(20), budget: false })
          const { counts, effect } = work(20, "fail")
          return {
            run: retry.execute(effect),
            check: () => assert.strictEqual(counts.finished, counts.started)
          }
        })
      )
      assert.isAbove(steps, 20)
    })
  )
})

describe("verdicts", () => {
  /** How often a request of that nature is sent, and why it is not sent again. */
  const sent = (request: JsonRpc.Request | undefined, error: Judged, pooled = false, options?: Retry.Options<Judged>) =>
    Effect.gen(function* () {
      const { effect, starts } = script(...Array.from({ length: 9 }, () => error))
      const self =
        request === undefined
          ? (yield* Retry.make({ schedule: every(1), ...options })).execute(effect)
          : (yield* built(client(() => effect).pipe(Retry.layer({ schedule: every(1), ...options })))).request(request)
      yield* timed(
        Call.use((call) => {
          call.pooled = pooled
          return Effect.ignore(self)
        })
      )
      return starts.length
    })

  it.effect("a read is asked again unless the answer would be the same anywhere", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* sent(read, judged({})), 6)
      assert.strictEqual(yield* sent(read, judged({ again: "elsewhere" })), 6)
      assert.strictEqual(yield* sent(read, judged({ again: "nowhere" })), 1)
    })
  )

  it.effect("a write or a session only where the failed one provably did not run; a plain effect like a read", () =>
    Effect.gen(function* () {
      for (const request of [write, JsonRpc.makeRequest("eth_newFilter")]) {
        assert.strictEqual(yield* sent(request, judged({})), 1)
        assert.strictEqual(yield* sent(request, judged({ ran: "no" })), 6)
        assert.strictEqual(yield* sent(request, judged({ ran: "no", again: "nowhere" })), 1)
        assert.strictEqual(yield* sent(request, judged({}), false, { while: () => true }), 1)
      }
      assert.strictEqual(yield* sent(undefined, judged({})), 6)
    })
  )

  it.effect("under a pool, what may only be tried elsewhere is the pool's to try", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* sent(read, judged({ again: "elsewhere" }), true), 1)
      // Seven: the pool has counted the first.
      assert.strictEqual(yield* sent(read, judged({ again: "anywhere" }), true), 7)
    })
  )

  it.effect("`while` stands in for the verdict's word on where to try again, and hears each failure once", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* sent(read, judged({ again: "nowhere" }), false, { while: () => true }), 6)
      assert.strictEqual(yield* sent(read, judged({}), false, { while: () => false }), 1)
      const heard: Array<number> = []
      const retry = yield* Retry.make({ schedule: every(1), while: ({ n }: Boom) => (heard.push(n), n < 3) })
      yield* timed(Effect.ignore(retry.execute(script(...booms(9)).effect)))
      assert.deepStrictEqual(heard, [1, 2, 3])
    })
  )
})

describe("waits", () => {
  it.effect("RT9: the same seed, clock and failures give the same waits, and another seed others", () =>
    Effect.gen(function* () {
      const starts = (seed: string) =>
        Effect.gen(function* () {
          const retry = yield* Retry.make({ budget: false })
          const { effect, starts } = script(...booms(5))
          const start = yield* now
          yield* timed(retry.execute(effect))
          return starts.map((at) => at - start)
        }).pipe(Random.withSeed(seed))
      const first = yield* starts("a")
      assert.deepStrictEqual(
        (yield* starts("a")).map((at) => Math.round(at * 1000)),
        first.map((at) => Math.round(at * 1000))
      )
      assert.notDeepEqual(yield* starts("b"), first)
      // Full jitter from 100 ms: 100, 200, 400, 800, 1600 at most.
      const waits = first.slice(1).map((at, i) => at - first[i]!)
      for (const [i, wait] of waits.entries()) assert.isBelow(wait, 100 * 2 ** i + 0.001)
    })
  )

  it.effect("randomness is that of whoever made the policy", () =>
    Effect.gen(function* () {
      const retry = yield* Retry.make({ budget: false }).pipe(Random.withSeed("maker"))
      const run = Effect.gen(function* () {
        const { effect, starts } = script(...booms(1))
        yield* timed(retry.execute(effect))
        return starts[1]! - starts[0]!
      })
      const again = yield* Retry.make({ budget: false }).pipe(Random.withSeed("maker"))
      const { effect, starts } = script(...booms(1))
      yield* timed(again.execute(effect))
      assert.closeTo(yield* run.pipe(Random.withSeed("caller")), starts[1]! - starts[0]!, 0.001)
    })
  )

  it.effect("backoff is exponential, capped, and starts afresh for each call", () =>
    Effect.gen(function* () {
      const schedule = Retry.backoff({ base: "1 second", cap: "4 seconds", jitter: "none" })
      const retry = yield* Retry.make({ schedule, budget: false })
      for (let i = 0; i < 2; i++) {
        const start = yield* now
        const { effect, starts } = script(...booms(5))
        yield* timed(retry.execute(effect))
        assert.deepStrictEqual(
          starts.map((at) => at - start),
          [0, 1000, 3000, 7000, 11_000, 15_000]
        )
      }
    })
  )

  it.effect("RT8: an upstream's hint is the least, up to the longest that is worth it; nonsense asks for nothing", () =>
    Effect.gen(function* () {
      const wait = (retryAfter: Duration.Duration) =>
        Effect.gen(function* () {
          const retry = yield* Retry.make({ schedule: every(100), maxRetryAfter: "30 seconds" })
          const start = yield* now
          const { effect, starts } = script(judged({ retryAfter }))
          const { at } = yield* timed(Effect.ignore(retry.execute(effect)))
          return starts[1] === undefined ? `gave up at ${at}` : starts[1] - start
        })
      assert.strictEqual(yield* wait(Duration.seconds(2)), 2000)
      assert.strictEqual(yield* wait(Duration.millis(20)), 100)
      assert.strictEqual(yield* wait(Duration.seconds(30)), 30_000)
      assert.strictEqual(yield* wait(Duration.millis(30_001)), "gave up at 0")
      assert.strictEqual(yield* wait(Duration.infinity), "gave up at 0")
      for (const nonsense of [-1000, -Infinity, NaN]) {
        assert.strictEqual(yield* wait(Duration.millis(nonsense)), 100)
      }
    })
  )

  it.effect("RT7: nothing starts at or after the deadline, and a wait that does not fit fails now", () =>
    Effect.gen(function* () {
      const until = (deadline: number, wait: number) =>
        Effect.gen(function* () {
          const retry = yield* Retry.make({ schedule: every(wait) })
          const start = yield* now
          const { effect, starts } = script(...booms(9))
          const { at } = yield* timed(
            Call.use((call) => {
              call.deadline = start + deadline
              return Effect.ignore(retry.execute(effect))
            })
          )
          assert.isTrue(starts.every((at) => at < start + deadline))
          return [starts.length, at, retry.inspect().denied.deadline]
        })
      assert.deepStrictEqual(yield* until(1000, 300), [4, 900, 1])
      // A round that would start at the very deadline does not fit.
      assert.deepStrictEqual(yield* until(1000, 500), [2, 500, 1])
      assert.deepStrictEqual(yield* until(1000, 1001), [1, 0, 1])
    })
  )

  it.effect("RT7: nor when the deadline has come closer during the wait", () =>
    Effect.gen(function* () {
      const retry = yield* Retry.make({ schedule: every(100) })
      const { effect, starts } = script(...booms(9))
      const call = new Call.Call()
      const fiber = yield* Effect.forkChild(
        Effect.exit(Effect.provideService(retry.execute(effect), Call.Current, call))
      )
      yield* TestClock.adjust(150)
      call.deadline = 160
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(yield* Fiber.join(fiber), Exit.fail(boom(2)))
      assert.deepStrictEqual(starts, [0, 100])
      assert.strictEqual(retry.inspect().denied.deadline, 1)
    })
  )

  it.effect("a schedule that waits for ever fails now", () =>
    Effect.gen(function* () {
      const retry = yield* Retry.make({ schedule: Schedule.spaced(Infinity) })
      const { effect } = script(...booms(1))
      assert.deepStrictEqual((yield* timed(retry.execute(effect))).exit, Exit.fail(boom(1)))
    })
  )

  it.effect("a schedule sees each failure, and a time that no wall clock turns back", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const schedule = Schedule.max([every(1000), Schedule.during("3500 millis")]).pipe(
        Schedule.setInputType<Boom>(),
        Schedule.tap(({ input }) => Effect.sync(() => seen.push(input.n)))
      )
      const retry = yield* Retry.make({ attempts: 100, schedule, budget: false })
      const { effect, starts } = script(...booms(50))
      const fiber = yield* Effect.forkChild(Effect.ignore(retry.execute(effect)), { startImmediately: true })
      yield* TestClock.adjust("2500 millis")
      yield* TestClock.setTime(0)
      yield* TestClock.adjust("1 hour")
      yield* Fiber.join(fiber)
      // The third wait has lasted until the wall clock came round again, 5.5 seconds after the first failure.
      assert.strictEqual(starts.length, 4)
      assert.deepStrictEqual(seen, [1, 2, 3])
    })
  )
})

describe("attempts", () => {
  /** Something below that counts what it sends, as a pool does: asks `sends` upstreams in each round. */
  const pool = (sends: number, asked: { count: number }) =>
    Call.use((call) =>
      Effect.suspend(() => {
        call.pooled = true
        for (let i = 0; i < sends && Call.spend(call); i++) asked.count++
        return Effect.fail(boom(asked.count))
      })
    )

  it.effect("a pool below uses the attempts that are paid for, and all end when none is left", () =>
    Effect.gen(function* () {
      for (const [sends, attempts] of [
        [1, 6],
        [2, 6],
        [4, 6],
        [6, 6],
        [3, 7]
      ] as const) {
        const asked = { count: 0 }
        const retry = yield* Retry.make({ attempts, schedule: every(1), budget: false })
        const call = new Call.Call()
        yield* timed(Effect.ignore(Effect.provideService(retry.execute(pool(sends, asked)), Call.Current, call)))
        assert.strictEqual(asked.count, attempts, `${sends} of ${attempts}`)
        assert.strictEqual(call.sent, attempts)
        assert.strictEqual(call.attempts, 0)
        assert.isFalse(call.prepaid)
      }
    })
  )

  it.effect("a pool that refuses, and takes its attempts back, is still asked only so often", () =>
    Effect.gen(function* () {
      for (const attempts of [4, undefined]) {
        let asked = 0
        const refusing = Call.use((call) => {
          call.pooled = true
          asked++
          if (Call.spend(call)) Call.refund(call)
          return Effect.fail(judged({}))
        })
        const retry = yield* Retry.make({ attempts, schedule: every(1), budget: false })
        const fiber = yield* Effect.forkChild(Effect.ignore(retry.execute(refusing)))
        yield* TestClock.adjust(100)
        assert.strictEqual(asked, attempts ?? 6)
        yield* Fiber.join(fiber)
      }
    })
  )

  it.effect("each round forgets whom the call has asked", () =>
    Effect.gen(function* () {
      const tried: Array<number> = []
      const asking = Call.use((call) => {
        tried.push(call.tried?.length ?? 0)
        ;(call.tried ??= []).push({})
        return Effect.fail(boom(1))
      })
      const retry = yield* Retry.make({ attempts: 3, schedule: every(1) })
      yield* timed(Effect.ignore(retry.execute(asking)))
      assert.deepStrictEqual(tried, [0, 0, 0])
    })
  )

  it.effect("RT13: nested retries ask no more than the outermost allows", () =>
    Effect.gen(function* () {
      for (const [outer, middle, inner, most] of [
        [3, 5, 5, 3],
        [6, 2, 2, 6],
        [undefined, 3, 3, 6],
        [1, 4, 4, 1]
      ] as const) {
        const make = (attempts: number | undefined) => Retry.make({ attempts, schedule: every(1), budget: false })
        const [a, b, c] = [yield* make(outer), yield* make(middle), yield* make(inner)]
        const { effect, starts } = script(...booms(500))
        yield* timed(Effect.ignore(a.execute(b.execute(c.execute(effect)))))
        assert.isAtMost(starts.length, most)
        assert.isAtLeast(starts.length, Math.min(most, inner))
      }
    })
  )

  it.effect("a layer's own attempts bound its rounds, whatever the call may still send", () =>
    Effect.gen(function* () {
      const retry = yield* Retry.make({ attempts: 2, schedule: every(1) })
      const { effect, starts } = script(...booms(9))
      const call = new Call.Call()
      Call.limit(call, 10)
      yield* timed(Effect.ignore(Effect.provideService(retry.execute(effect), Call.Current, call)))
      assert.strictEqual(starts.length, 2)
      assert.strictEqual(call.attempts, 8)
    })
  )

  it.effect("a round that succeeds uses up what was paid for it", () =>
    Effect.gen(function* () {
      const retry = yield* Retry.make({ schedule: every(1), budget: false })
      const call = new Call.Call()
      const run = (failures: number) =>
        timed(Effect.provideService(retry.execute(script(...booms(failures)).effect), Call.Current, call))
      yield* run(1)
      assert.deepStrictEqual([call.sent, call.attempts, call.prepaid], [2, 4, false])
      yield* run(2)
      assert.deepStrictEqual([call.sent, call.attempts, call.prepaid], [5, 1, false])
    })
  )

  it.effect("attempts that are gone by the end of a wait cannot be used", () =>
    Effect.gen(function* () {
      const retry = yield* Retry.make({ schedule: every(100) })
      const { effect, starts } = script(...booms(9))
      const call = new Call.Call()
      const fiber = yield* Effect.forkChild(
        Effect.ignore(Effect.provideService(retry.execute(effect), Call.Current, call))
      )
      yield* TestClock.adjust(50)
      while (Call.spend(call)) continue
      yield* TestClock.adjust(1000)
      yield* Fiber.join(fiber)
      assert.strictEqual(starts.length, 1)
      assert.strictEqual(retry.inspect().denied.attempts, 1)
    })
  )

  it.effect("a call without attempts is asked once, so that there is a failure to return", () =>
    Effect.gen(function* () {
      const retry = yield* Retry.make({ schedule: every(1) })
      const { effect, starts } = script(...booms(9))
      const call = new Call.Call()
      Call.limit(call, 0)
      yield* timed(Effect.ignore(Effect.provideService(retry.execute(effect), Call.Current, call)))
      assert.strictEqual(starts.length, 1)
      assert.strictEqual(retry.inspect().denied.attempts, 1)
    })
  )
})

describe("budget", () => {
  /** A budget that counts what it is told, and allows so many retries. */
  const counting = (allowed = Infinity) => {
    const counts = { deposits: 0, asked: 0, charges: 0 }
    const budget: Call.Budget = {
      deposit: () => void counts.deposits++,
      withdraw: () => ++counts.asked <= allowed,
      charge: () => void counts.charges++,
      refund: () => {}
    }
    return { counts, budget }
  }

  it.effect("RT10, RB4: is told of each call once and asked for each retry once, never for the first attempt", () =>
    Effect.gen(function* () {
      const { budget, counts } = counting()
      const retry = yield* Retry.make({ schedule: every(1), budget })
      yield* retry.execute(Effect.succeed(1))
      assert.deepStrictEqual(counts, { deposits: 1, asked: 0, charges: 0 })
      yield* timed(retry.execute(script(...booms(3)).effect))
      assert.deepStrictEqual(counts, { deposits: 2, asked: 3, charges: 0 })
      // Nested, it is still one call.
      yield* timed(retry.execute(retry.execute(script(...booms(2)).effect)))
      assert.deepStrictEqual(counts, { deposits: 3, asked: 5, charges: 0 })
    })
  )

  it.effect("RT10: a denial ends the rounds at once with the last failure, and says so", () =>
    Effect.gen(function* () {
      const { budget } = counting(2)
      const retry = yield* Retry.make({ schedule: every(1000), budget })
      const { report, value } = yield* timed(
        JsonRpc.explain(Effect.exit(retry.execute(script(...booms(9)).effect)))
      ).pipe(Effect.flatMap(({ exit }) => exit))
      assert.deepStrictEqual(value, Exit.fail(boom(3)))
      assert.deepStrictEqual(report.steps, [
        { at: 0, step: "wait", for: 1000, why: "backoff" },
        { at: 1000, step: "retry", round: 2, delay: 1000 },
        { at: 1000, step: "wait", for: 1000, why: "backoff" },
        { at: 2000, step: "retry", round: 3, delay: 1000 },
        { at: 2000, step: "denied", what: "retry", why: "budget" }
      ])
      assert.deepStrictEqual(retry.inspect(), {
        retries: 2,
        exhausted: 0,
        denied: { attempts: 0, hint: 0, deadline: 0, budget: 1 },
        budget: undefined
      })
    })
  )

  it.effect("is not asked for a retry that something else forbids", () =>
    Effect.gen(function* () {
      const { budget, counts } = counting()
      const retry = yield* Retry.make({ attempts: 2, schedule: every(1000), budget })
      yield* timed(
        Call.use((call) => {
          call.deadline = 500
          return Effect.ignore(retry.execute(script(...booms(9)).effect))
        })
      )
      assert.strictEqual(counts.asked, 0)
      yield* timed(Effect.ignore(retry.execute(script(...booms(9)).effect)))
      assert.strictEqual(counts.asked, 1)
    })
  )

  it.effect("the outermost layer's goes first; `false` neither asks nor sets one", () =>
    Effect.gen(function* () {
      const outer = counting()
      const inner = counting()
      const a = yield* Retry.make({ attempts: 6, schedule: every(1), budget: outer.budget, while: () => false })
      const b = yield* Retry.make({ attempts: 3, schedule: every(1), budget: inner.budget })
      yield* timed(Effect.ignore(a.execute(b.execute(script(...booms(9)).effect))))
      assert.deepStrictEqual([outer.counts.deposits, outer.counts.asked], [1, 2])
      assert.deepStrictEqual([inner.counts.deposits, inner.counts.asked], [0, 0])
      const none = yield* Retry.make({ schedule: every(1), budget: false })
      yield* timed(Effect.ignore(none.execute(b.execute(script(...booms(2)).effect))))
      assert.deepStrictEqual([inner.counts.deposits, inner.counts.asked], [1, 2])
      const before = outer.counts.asked
      yield* timed(Effect.ignore(a.execute(none.execute(script(...booms(2)).effect))))
      assert.strictEqual(outer.counts.asked, before)
    })
  )

  it.effect("bounds an outage: a thousand failing calls are 1,510 requests, not 6,000", () =>
    Effect.gen(function* () {
      const retry = yield* Retry.make()
      let asked = 0
      const failing = Effect.suspend(() => Effect.fail(boom(++asked)))
      const fiber = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 1000 }), () => Effect.ignore(retry.execute(failing)), {
          concurrency: "unbounded"
        })
      )
      yield* TestClock.adjust("9 seconds")
      yield* Fiber.join(fiber)
      assert.strictEqual(asked, 1000 + 500 + 10)
      const { budget, denied } = retry.inspect()
      assert.deepStrictEqual(budget, { deposits: 1000, withdrawals: 510, balance: 0 })
      assert.isAbove(denied.budget, 0)
    })
  )
})

describe("events", () => {
  it.effect("tell of each retry before its wait, and of giving up", () =>
    Effect.gen(function* () {
      const retry = yield* Retry.make({ schedule: every(100), attempts: 2 })
      const events: Array<Retry.Event> = []
      retry.events.on((event) => events.push(event))
      yield* timed(Effect.ignore(retry.execute(script(...booms(9)).effect)))
      assert.deepStrictEqual(events, [
        { type: "retrying", round: 2, delay: 100, error: boom(1) },
        { type: "denied", why: "attempts", error: boom(2) }
      ])
    })
  )

  it.effect("the report tells a wait that an upstream asked for", () =>
    Effect.gen(function* () {
      const retry = yield* Retry.make({ schedule: every(100) })
      const { effect } = script(judged({ retryAfter: Duration.seconds(2) }))
      const { exit } = yield* timed(JsonRpc.explain(retry.execute(effect)))
      assert.deepStrictEqual((yield* exit).report.steps, [
        { at: 0, step: "wait", for: 2000, why: "the upstream asked for it" },
        { at: 2000, step: "retry", round: 2, delay: 2000 }
      ])
    })
  )
})

describe("layer", () => {
  it.effect("makes one policy for each application, and shows it", () =>
    Effect.gen(function* () {
      const combinator = Retry.layer({ schedule: every(1) })
      const failing = () => Effect.fail(boom(1))
      const a = yield* built(client(failing).pipe(combinator))
      const b = yield* built(client(failing).pipe(combinator))
      yield* timed(Effect.ignore(a.request(read)))
      assert.deepStrictEqual(a.inspect()["retry"], {
        retries: 5,
        exhausted: 0,
        denied: { attempts: 1, hint: 0, deadline: 0, budget: 0 },
        budget: { deposits: 0, withdrawals: 0, balance: 10 }
      })
      assert.strictEqual((b.inspect()["retry"] as Retry.Inspection).retries, 0)
    })
  )

  it.effect("calls the client below anew for each round", () =>
    Effect.gen(function* () {
      // One that answers at once, with an exit: asked again, the same exit would fail again.
      let asked = 0
      const service = yield* built(
        client(() => (++asked < 3 ? Exit.fail(boom(asked)) : Exit.succeed("ok"))).pipe(
          Retry.layer({ schedule: every(1) })
        )
      )
      assert.deepStrictEqual((yield* timed(service.request(read))).exit, Exit.succeed("ok"))
    })
  )

  it("wrong options are refused where they are given", () => {
    const wrong: ReadonlyArray<[options: unknown, message: string]> = [
      [{ attempts: 0 }, "Retry.attempts takes a whole number of at least 1, got 0"],
      [{ tries: 3 }, "Retry.tries takes no value: the options are schedule, attempts, while, budget, maxRetryAfter"],
      [{ schedule: 100 }, "Retry.schedule takes a Schedule, as Retry.backoff gives, got 100"],
      [{ budget: { ratio: -1 } }, "Retry.budget.ratio takes a number from 0 to 1000, got -1"],
      [{ budget: true }, "Retry.budget takes a record of options, got true"],
      [{ while: "always" }, 'Retry.while takes a function, got "always"']
    ]
    for (const [options, message] of wrong) {
      assert.throws(() => Retry.make(options as Retry.Options), Options.InvalidOption, message)
      assert.throws(() => Retry.layer(options as Retry.Options), Options.InvalidOption, message)
    }
    assert.throws(() => Retry.backoff({ base: 0 }), "Retry.backoff.base takes a duration of at least 1 ms")
    assert.throws(
      () => Retry.backoff({ base: 200, cap: 100 }),
      "Retry.backoff.cap takes a duration of at least the base"
    )
    assert.throws(() => Retry.backoff({ jitter: "some" as never }), "Retry.backoff.jitter takes one of")
  })
})

// What must not compile does not please the Effect diagnostics either.
// @effect-diagnostics missingEffectError:off
describe("types", () => {
  class Slow {
    readonly _tag = "Slow"
  }
  const below = client((): Effect.Effect<unknown, Boom | Judged> => Effect.never)

  it("errors stay what they are, on both tiers", () => {
    const combinator = Retry.layer({ attempts: 3 })
    expectTypeOf(below.pipe(combinator)).toEqualTypeOf<Layer.Layer<JsonRpc.Client<Boom | Judged>>>()
    const up = upstream((): Effect.Effect<unknown, Boom> => Effect.never)
    expectTypeOf(up.pipe(combinator)).toEqualTypeOf<Layer.Layer<JsonRpc.Upstream<Boom>>>()
    expectTypeOf(below.pipe(Retry.layer())).toEqualTypeOf<Layer.Layer<JsonRpc.Client<Boom | Judged>>>()
  })

  it("a predicate and a schedule see the errors below and no others", () => {
    below.pipe(
      Retry.layer({
        while: (error) => {
          expectTypeOf(error).toEqualTypeOf<Boom | Judged>()
          return error._tag === "Boom"
        }
      })
    )
    const wide = (error: Boom | Judged | Slow) => error._tag === "Slow"
    expectTypeOf(below.pipe(Retry.layer({ while: wide }))).toEqualTypeOf<Layer.Layer<JsonRpc.Client<Boom | Judged>>>()
    const narrow = Retry.layer({ while: (error: Boom) => error.n > 0 })
    // @ts-expect-error: below there are failures that it does not take
    below.pipe(narrow)
    // @ts-expect-error: nothing below fails with Slow
    below.pipe(Retry.layer({ while: (error) => error._tag === "Slow" }))
    const schedule = every(1).pipe(Schedule.setInputType<Boom>())
    // @ts-expect-error: nor is every failure below an input of this schedule
    below.pipe(Retry.layer({ schedule }))
  })

  it("execute keeps what the effect gives, fails with and needs", () => {
    const run = (retry: Retry.Retry, effect: Effect.Effect<number, Boom, "need">) => retry.execute(effect)
    expectTypeOf(run).returns.toEqualTypeOf<Effect.Effect<number, Boom, "need">>()
    const made = Retry.make({ while: (error: Boom) => error.n > 0 })
    expectTypeOf(made).toEqualTypeOf<Effect.Effect<Retry.Retry<Boom>>>()
    const wrong = (retry: Retry.Retry<Boom>) =>
      // @ts-expect-error: the predicate does not take this failure
      retry.execute(Effect.fail(new Slow()))
    expectTypeOf(wrong).toBeFunction()
    expectTypeOf(Budget.make()).toExtend<Call.Budget>()
    expectTypeOf<Outcome.Verdict>().toBeObject()
  })
})
