import { assert, describe, it } from "@effect/vitest"
import { Call, JsonRpc, Options } from "@hawser/core"
import { Deadline, Hedge, Retry, Timeout } from "@hawser/retry"
import { Interruption } from "@hawser/testkit"
import { Clock, Deferred, Effect, Exit, Fiber, type Layer } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { expectTypeOf } from "vitest"
import { Boom, built, client, fiberless, judged, now, read, sleep, upstream, watched, work, write } from "./support.ts"

/** Runs an effect to its end in virtual time and gives its exit with the time of it. */
const timed = <A, E>(self: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const start = yield* now
    const fiber = yield* Effect.forkChild(
      Effect.flatMap(Effect.exit(self), (exit) => Effect.map(now, (at) => ({ exit, at: at - start }))),
      { startImmediately: true }
    )
    yield* TestClock.adjust("1 hour")
    return yield* Fiber.join(fiber)
  })

const failureOf = <A, E>(exit: Exit.Exit<A, E>): E | undefined => {
  const reason = Exit.isFailure(exit) ? exit.cause.reasons[0] : undefined
  return reason?._tag === "Fail" ? reason.error : undefined
}

describe("execute", () => {
  it.effect("TO1: work that ends in time keeps its exit, and no timer is left", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const timeout = yield* Timeout.make("4 seconds")
        for (const self of [
          Effect.as(sleep(3999), 1),
          Effect.andThen(sleep(10), Effect.fail(new Boom({ n: 1 }))),
          Effect.andThen(sleep(10), Effect.die("bug")),
          Effect.andThen(sleep(10), Effect.interrupt)
        ]) {
          const alone = yield* timed(self)
          const limited = yield* timed(timeout.execute(self))
          // An interruption names the fiber that asked for it, and these are two.
          if (!Exit.hasInterrupts(alone.exit)) assert.deepStrictEqual(limited.exit, alone.exit)
          else assert.isTrue(Exit.hasInterrupts(limited.exit))
          assert.strictEqual(limited.at, alone.at)
          assert.strictEqual(watch.sleeping, 0)
        }
        assert.deepStrictEqual(timeout.inspect(), { timeouts: 0 })
      })
    )
  )

  it.effect("TO2: work that takes longer fails at exactly the limit, and is interrupted once", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const timeout = yield* Timeout.make("4 seconds")
        const { counts, effect } = work(4001)
        const { at, exit } = yield* timed(timeout.execute(effect))
        const error = failureOf(exit)
        assert.instanceOf(error, Timeout.TimeoutError)
        assert.isTrue(Timeout.isTimeoutError(error))
        assert.strictEqual(error.message, "No answer within 4s")
        assert.strictEqual(at, 4000)
        assert.deepStrictEqual(counts, { started: 1, interrupted: 1, finished: 1 })
        assert.strictEqual(watch.sleeping, 0)
        assert.deepStrictEqual(timeout.inspect(), { timeouts: 1 })
      })
    )
  )

  it.effect("TO3: what ends at exactly the limit has missed it, whoever was woken first", () =>
    Effect.gen(function* () {
      const timeout = yield* Timeout.make(100)
      // Asleep before the timer, after it, and woken by a fiber that slept before either.
      for (const self of [
        sleep(100),
        Effect.andThen(sleep(50), sleep(50)),
        Effect.andThen(sleep(100), Effect.fail("late, too"))
      ]) {
        const { exit } = yield* timed(timeout.execute(self as Effect.Effect<void, string>))
        assert.instanceOf(failureOf(exit), Timeout.TimeoutError)
      }
      const signal = Deferred.makeUnsafe<void>()
      yield* Effect.forkChild(Effect.andThen(sleep(100), Deferred.succeed(signal, undefined)), {
        startImmediately: true
      })
      assert.instanceOf(failureOf((yield* timed(timeout.execute(Deferred.await(signal)))).exit), Timeout.TimeoutError)
    })
  )

  it.effect("TO4: of nested limits the shortest fires, of two equal ones the outer", () =>
    Effect.gen(function* () {
      const inner = yield* Timeout.make(100)
      const outer = yield* Deadline.make(100)
      const wide = yield* Timeout.make(200)
      const narrow = yield* Timeout.make(50)
      const { at, exit } = yield* timed(outer.execute(inner.execute(Effect.never)))
      assert.strictEqual(at, 100)
      assert.instanceOf(failureOf(exit), Call.DeadlineExceeded)
      assert.strictEqual((yield* timed(wide.execute(narrow.execute(Effect.never)))).at, 50)
      assert.strictEqual((yield* timed(narrow.execute(wide.execute(Effect.never)))).at, 50)
      assert.deepStrictEqual([wide.inspect().timeouts, narrow.inspect().timeouts], [0, 2])
    })
  )

  it.effect("TO5: a caller who is interrupted is interrupted, and so is the work; it is no timeout", () =>
    Effect.gen(function* () {
      const timeout = yield* Timeout.make("4 seconds")
      const { counts, effect } = work(10_000)
      const fiber = yield* Effect.forkChild(timeout.execute(effect), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      const exit = yield* Fiber.await(fiber)
      assert.isTrue(Exit.hasInterrupts(exit))
      assert.isUndefined(failureOf(exit))
      assert.deepStrictEqual(counts, { started: 1, interrupted: 1, finished: 1 })
      assert.deepStrictEqual(timeout.inspect(), { timeouts: 0 })
    })
  )

  it.effect("TO6: each attempt has the full time", () =>
    Effect.gen(function* () {
      const timeout = yield* Timeout.make(100)
      const { at } = yield* timed(Effect.retry(timeout.execute(Effect.never), { times: 2 }))
      assert.strictEqual(at, 300)
    })
  )

  it.effect("TO8: work that will not be interrupted runs on; what it says comes too late for everybody", () =>
    Effect.gen(function* () {
      const timeout = yield* Timeout.make(100)
      const { counts, effect } = work(5000)
      const { at, exit } = yield* timed(Effect.andThen(timeout.execute(Effect.uninterruptible(effect)), Effect.void))
      assert.strictEqual(at, 100)
      assert.instanceOf(failureOf(exit), Timeout.TimeoutError)
      assert.deepStrictEqual(counts, { started: 1, interrupted: 0, finished: 1 })
      assert.deepStrictEqual(timeout.inspect(), { timeouts: 1 })
    })
  )

  it.effect("TO9: without a limit there is no timer and no other fiber; none below a millisecond can be made", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const timeout = yield* Timeout.make(Infinity)
        const own = yield* Effect.withFiber(Effect.succeed)
        assert.strictEqual(yield* timeout.execute(Effect.withFiber(Effect.succeed)), own)
        yield* timed(timeout.execute(sleep(10)))
        assert.strictEqual(watch.slept, 1)
        for (const limit of [0, -1, 0.5, NaN, "soon" as never]) {
          assert.throws(() => Timeout.make(limit), Options.InvalidOption, "Timeout.limit takes a duration")
        }
      })
    )
  )

  it.effect("TO11: one call's timeout interrupts no other call", () =>
    Effect.gen(function* () {
      const timeout = yield* Timeout.make(100)
      const slow = work(150)
      const fast = work(60)
      const first = yield* Effect.forkChild(Effect.exit(timeout.execute(slow.effect)), { startImmediately: true })
      yield* TestClock.adjust(50)
      const second = yield* Effect.forkChild(Effect.exit(timeout.execute(fast.effect)), { startImmediately: true })
      yield* TestClock.adjust(1000)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(first)))
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(second)))
      assert.strictEqual(fast.counts.interrupted, 0)
    })
  )

  it.effect("work that never waits costs no timer", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const timeout = yield* Timeout.make(100)
        assert.strictEqual(yield* timeout.execute(Effect.succeed(1)), 1)
        assert.strictEqual(yield* Effect.flip(timeout.execute(Effect.fail("no"))), "no")
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(watch.slept, 0)
      })
    )
  )

  it.effect("the work runs in the caller's context, and for the same call", () =>
    Effect.gen(function* () {
      const timeout = yield* Timeout.make(100)
      const seen = yield* timeout
        .execute(Call.use((call) => Effect.as(Effect.yieldNow, call)))
        .pipe((self) => Call.use((call) => Effect.map(self, (inner) => [call, inner] as const)))
      assert.strictEqual(seen[1], seen[0])
      const clock = yield* Clock.Clock
      assert.strictEqual(yield* timeout.execute(Effect.andThen(Effect.yieldNow, Clock.Clock)), clock)
    })
  )

  it.effect("any number at once: each ends as it would alone", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.array(fc.record({ start: fc.nat(200), takes: fc.integer({ min: 1, max: 200 }) }), {
            maxLength: 30,
            size: "max"
          }),
          (calls) =>
            Effect.runPromise(
              watched((watch) =>
                Effect.gen(function* () {
                  const timeout = yield* Timeout.make(100)
                  const fiber = yield* Effect.forkChild(
                    Effect.forEach(
                      calls,
                      ({ start, takes }) =>
                        Effect.andThen(sleep(start), Effect.exit(timeout.execute(sleep(takes)))).pipe(
                          Effect.flatMap((exit) => Effect.map(now, (at) => `${Exit.isSuccess(exit)}@${at - start}`))
                        ),
                      { concurrency: "unbounded" }
                    )
                  )
                  yield* TestClock.adjust("1 second")
                  assert.deepStrictEqual(
                    yield* Fiber.join(fiber),
                    calls.map(({ takes }) => `${takes < 100}@${Math.min(takes, 100)}`)
                  )
                  assert.strictEqual(watch.sleeping, 0)
                })
              ).pipe(Effect.provide(TestClock.layer()))
            )
        ),
        { numRuns: 15 }
      )
    )
  )

  it.effect("leaves nothing behind, wherever it is interrupted", () =>
    Effect.gen(function* () {
      for (const limit of [20, 60]) {
        const steps = yield* Interruption.everywhere(
          Effect.gen(function* () {
            const timeout = yield* Timeout.make(limit)
            const { counts, effect } = work(40)
            return {
              run: timeout.execute(effect),
              check: (exit: Exit.Exit<number, Boom | Timeout.TimeoutError>) => {
                assert.strictEqual(counts.finished, counts.started)
                if (Exit.isSuccess(exit)) assert.strictEqual(limit, 60)
              }
            }
          })
        )
        assert.isAbove(steps, 8)
      }
    })
  )

  it.effect("tells when it happens", () =>
    Effect.gen(function* () {
      const timeout = yield* Timeout.make(100)
      const events: Array<Timeout.Event> = []
      timeout.events.on((event) => events.push(event))
      yield* timed(timeout.execute(Effect.never))
      assert.deepStrictEqual(events, [{ type: "timed-out", limit: 100 }])
    })
  )
})

describe("layer", () => {
  it.effect("limits each request and names the upstream", () =>
    Effect.gen(function* () {
      const service = yield* built(upstream(() => Effect.never).pipe(Timeout.layer("4 seconds")))
      const { at, exit } = yield* timed(service.request(read))
      assert.strictEqual(at, 4000)
      assert.strictEqual(failureOf(exit)?.message, "No answer from a within 4s")
      assert.deepStrictEqual(service.inspect(), { name: "a", timeout: { timeouts: 1 } })
    })
  )

  it.effect("asks without a fiber what needs none", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const { layer, state } = fiberless()
        const service = yield* built(layer.pipe(Timeout.layer(100)))
        const answered = yield* Effect.forkChild(service.request(read), { startImmediately: true })
        state.caller!.end(Exit.succeed(7))
        assert.strictEqual(yield* Fiber.join(answered), 7)
        const late = yield* timed(service.request(read))
        assert.instanceOf(failureOf(late.exit), Timeout.TimeoutError)
        assert.deepStrictEqual([late.at, state.left], [100, 1])
        const leaving = yield* Effect.forkChild(service.request(read), { startImmediately: true })
        yield* Fiber.interrupt(leaving)
        assert.deepStrictEqual([state.left, state.asked], [2, 0])
        assert.strictEqual(yield* service.request(write), write.method)
        assert.strictEqual(state.asked, 1)
        assert.deepStrictEqual(service.inspect()["timeout"], { timeouts: 1 })
        assert.strictEqual(watch.sleeping, 0)
      })
    )
  )

  it.effect("keeps the caller's call and context for layers below, even if they can do without a fiber", () =>
    Effect.gen(function* () {
      const seen: Array<unknown> = []
      const below = client(() =>
        Effect.withFiber((fiber) => {
          seen.push([fiber.getRef(Call.Exclude), fiber.getRef(Call.Sticky), fiber.getRef(Call.Current)])
          return Effect.fail(judged({}))
        })
      )
      const service = yield* built(
        below.pipe(Hedge.layer({ budget: false }), Retry.layer({ budget: false }), Timeout.layer("1 minute"))
      )
      const call = new Call.Call()
      call.attempts = 2
      yield* timed(
        service
          .request(read)
          .pipe(
            Effect.provideService(Call.Exclude, ["b"]),
            Effect.provideService(Call.Sticky, "scope"),
            Effect.provideService(Call.Current, call)
          )
      )
      assert.deepStrictEqual(seen, [
        [["b"], "scope", call],
        [["b"], "scope", call]
      ])
    })
  )

  it.effect("takes a function of the request; what it throws or gives wrongly is a defect", () =>
    Effect.gen(function* () {
      const limit = (request: JsonRpc.Request) => (request === read ? 50 : request === write ? Infinity : -1)
      const service = yield* built(client(() => Effect.as(sleep(100), 1)).pipe(Timeout.layer(limit)))
      assert.strictEqual((yield* timed(service.request(read))).at, 50)
      assert.deepStrictEqual((yield* timed(service.request(write))).exit, Exit.succeed(1))
      const { exit } = yield* timed(service.request(JsonRpc.makeRequest("eth_chainId")))
      assert.isTrue(Exit.hasDies(exit))
    })
  )

  it("a wrong limit is refused where it is given", () => {
    assert.throws(
      () => Timeout.layer(0),
      'Timeout.limit takes a duration of at least 1 ms, or Infinity such as "2 seconds", got 0'
    )
  })

  it("adds its error to what lies below, on both tiers", () => {
    const combinator = Timeout.layer("4 seconds")
    const up = upstream((): Effect.Effect<unknown, Boom> => Effect.never)
    expectTypeOf(up.pipe(combinator)).toEqualTypeOf<Layer.Layer<JsonRpc.Upstream<Boom | Timeout.TimeoutError>>>()
    expectTypeOf(client((): Effect.Effect<unknown, Boom> => Effect.never).pipe(combinator)).toEqualTypeOf<
      Layer.Layer<JsonRpc.Client<Boom | Timeout.TimeoutError>>
    >()
    // @ts-expect-error: the limit is a duration
    assert.throws(() => Timeout.layer({ limit: 1 }))
    // @ts-expect-error: a deadline is for a whole call, not for one upstream
    up.pipe(Deadline.layer("4 seconds"))
  })

  it("execute keeps what the work gives, fails with and needs", () => {
    const run = (timeout: Timeout.Timeout, effect: Effect.Effect<number, Boom, "need">) => timeout.execute(effect)
    expectTypeOf(run).returns.toEqualTypeOf<Effect.Effect<number, Boom | Timeout.TimeoutError, "need">>()
  })
})
