import { assert, describe, it } from "@effect/vitest"
import { Call, JsonRpc, Options } from "@hawser/core"
import { Deadline, Retry, Timeout } from "@hawser/retry"
import { Interruption } from "@hawser/testkit"
import { Cause, Clock, Effect, Exit, Fiber, type Layer } from "effect"
import { TestClock } from "effect/testing"
import { expectTypeOf } from "vitest"
import { Boom, built, client, now, read, sleep, upstream, watched, work, write } from "./support.ts"

/** The deadline of the call that the fiber works for. */
const deadline = Call.use((call) => Effect.succeed(call.deadline))

/** Runs an effect to its end in virtual time and gives its failure or value with the time of it. */
const timed = <A, E>(self: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const start = yield* now
    const fiber = yield* Effect.forkChild(
      Effect.flatMap(
        Effect.match(self, { onSuccess: (value): A | E => value, onFailure: (error): A | E => error }),
        (outcome) => Effect.map(now, (at) => ({ outcome, at: at - start }))
      ),
      { startImmediately: true }
    )
    yield* TestClock.adjust("1 hour")
    return yield* Fiber.join(fiber)
  })

describe("execute", () => {
  it.effect("opens a call, with an instant for its end, and finds one that is open", () =>
    Effect.gen(function* () {
      const ten = yield* Deadline.make("10 seconds")
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* ten.execute(deadline), 15_000)
      const calls = yield* Call.use((call) =>
        Effect.map(ten.execute(Call.use(Effect.succeed)), (inner) => [call, inner])
      )
      assert.strictEqual(calls[0], calls[1])
      assert.isUndefined(yield* Call.Current)
    })
  )

  it.effect("fails at exactly the deadline with what each upstream has said, also at the last moment", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const policy = yield* Deadline.make("10 seconds")
        const events: Array<Deadline.Event> = []
        policy.events.on((event) => events.push(event))
        const { counts, effect } = work(60_000)
        const asking = Call.use((call) => {
          Call.fail(call, "a", new Boom({ n: 1 }))
          return Effect.onInterrupt(effect, () => Effect.sync(() => Call.fail(call, "b", "in flight")))
        })
        const { at, outcome } = yield* timed(policy.execute(asking))
        assert.strictEqual(at, 10_000)
        assert.instanceOf(outcome, Call.DeadlineExceeded)
        assert.strictEqual(outcome.message, "No answer within 10s: a: Boom; b: in flight")
        assert.deepStrictEqual(
          outcome.causes.map(({ upstream }) => upstream),
          ["a", "b"]
        )
        assert.deepStrictEqual(counts, { started: 1, interrupted: 1, finished: 1 })
        assert.deepStrictEqual(policy.inspect(), { exceeded: 1 })
        assert.deepStrictEqual(events, [{ type: "exceeded", limit: 10_000 }])
        assert.strictEqual(watch.sleeping, 0)
      })
    )
  )

  it.effect("does not wait for finalizers", () =>
    Effect.gen(function* () {
      const policy = yield* Deadline.make(100)
      const stubborn = Effect.never.pipe(Effect.onInterrupt(() => sleep(60_000)))
      assert.strictEqual((yield* timed(policy.execute(stubborn))).at, 100)
    })
  )

  it.effect("what ends at exactly the deadline has missed it; what ends before keeps its exit", () =>
    Effect.gen(function* () {
      const policy = yield* Deadline.make(100)
      assert.instanceOf((yield* timed(policy.execute(sleep(100)))).outcome, Call.DeadlineExceeded)
      assert.strictEqual((yield* timed(policy.execute(Effect.as(sleep(99), 7)))).outcome, 7)
      const failure = new Boom({ n: 1 })
      assert.strictEqual(
        (yield* timed(policy.execute(Effect.andThen(sleep(99), Effect.fail(failure))))).outcome,
        failure
      )
    })
  )

  it.effect("TO6: retries and attempts do not move it", () =>
    Effect.gen(function* () {
      const policy = yield* Deadline.make(1000)
      const attempt = yield* Timeout.make(300)
      const { at, outcome } = yield* timed(policy.execute(Effect.retry(attempt.execute(Effect.never), { times: 100 })))
      assert.strictEqual(at, 1000)
      assert.instanceOf(outcome, Call.DeadlineExceeded)
    })
  )

  it.effect("TO7: a deadline further in comes earlier or not at all", () =>
    Effect.gen(function* () {
      const one = yield* Deadline.make("1 second")
      const ten = yield* Deadline.make("10 seconds")
      assert.strictEqual(yield* ten.execute(one.execute(deadline)), 1000)
      assert.strictEqual(yield* one.execute(ten.execute(deadline)), 1000)
      const nested = yield* timed(ten.execute(one.execute(Effect.never)))
      assert.strictEqual(nested.at, 1000)
      assert.deepStrictEqual([one.inspect().exceeded, ten.inspect().exceeded], [1, 0])
      // The outer one is as near: it is the outer one that tells, and its own limit that it names.
      const even = yield* timed(one.execute(ten.execute(Effect.never)))
      assert.strictEqual((even.outcome as unknown as Error).message, "No answer within 1s")
      assert.strictEqual(even.at, 1000)
    })
  )

  it.effect("holds a deadline that somebody else has set", () =>
    Effect.gen(function* () {
      const policy = yield* Deadline.make("10 seconds")
      const { at, outcome } = yield* timed(
        Call.use((call) => {
          call.deadline = 300
          return policy.execute(Effect.never)
        })
      )
      assert.strictEqual(at, 300)
      assert.strictEqual((outcome as unknown as Error).message, "No answer within 300ms")
    })
  )

  it.effect("TO9: Infinity sets no deadline, takes no timer and no fiber, but opens a call", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const policy = yield* Deadline.make(Infinity)
        const own = yield* Effect.withFiber(Effect.succeed)
        const [fiber, call] = yield* policy.execute(
          Call.use((call) => Effect.withFiber((fiber) => Effect.succeed([fiber, call] as const)))
        )
        assert.strictEqual(fiber, own)
        assert.strictEqual(call.deadline, Infinity)
        yield* timed(policy.execute(sleep(10)))
        assert.strictEqual(watch.slept, 1)
        for (const limit of [0, -5, "never" as never]) {
          assert.throws(() => Deadline.make(limit), Options.InvalidOption, "Deadline.limit takes")
          assert.throws(() => Deadline.layer(limit), Options.InvalidOption, "Deadline.limit takes")
        }
      })
    )
  )

  it.effect("TO10: a call whose time is over is not started", () =>
    Effect.gen(function* () {
      const policy = yield* Deadline.make("10 seconds")
      const { counts, effect } = work(1)
      const error = yield* Effect.flip(
        Call.use((call) => {
          call.deadline = 500
          Call.fail(call, "a", "HTTP 500")
          return Effect.andThen(TestClock.adjust(500), policy.execute(effect))
        })
      )
      assert.instanceOf(error, Call.DeadlineExceeded)
      assert.deepStrictEqual(error.causes, [{ upstream: "a", error: "HTTP 500" }])
      assert.strictEqual(counts.started, 0)
      assert.deepStrictEqual(policy.inspect(), { exceeded: 1 })
    })
  )

  it.effect("a caller who is interrupted interrupts the work; it is no deadline", () =>
    Effect.gen(function* () {
      const policy = yield* Deadline.make("10 seconds")
      const { counts, effect } = work(60_000)
      const fiber = yield* Effect.forkChild(policy.execute(effect), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      assert.deepStrictEqual(counts, { started: 1, interrupted: 1, finished: 1 })
      assert.deepStrictEqual(policy.inspect(), { exceeded: 0 })
    })
  )

  it.effect("leaves nothing behind, wherever it is interrupted", () =>
    Effect.gen(function* () {
      for (const limit of [20, 60]) {
        const steps = yield* Interruption.everywhere(
          Effect.gen(function* () {
            const policy = yield* Deadline.make(limit)
            const { counts, effect } = work(40)
            return {
              run: policy.execute(effect),
              check: (exit: Exit.Exit<unknown, unknown>) => {
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
})

describe("layer", () => {
  it.effect("gives each call its time, waits between rounds included", () =>
    Effect.gen(function* () {
      let asked = 0
      const service = yield* built(
        client(() => Effect.andThen(sleep(200), Effect.fail(new Boom({ n: ++asked })))).pipe(
          Retry.layer({ attempts: 100, budget: false, schedule: Retry.backoff({ base: 300, jitter: "none" }) }),
          Deadline.layer("2 seconds")
        )
      )
      // 200 + 300 + 200 + 600 + 200 + 1200: the third wait would not end in time, so it fails at once.
      const { at, outcome } = yield* timed(service.request(read))
      assert.strictEqual(at, 1500)
      assert.strictEqual((outcome as Boom).n, 3)
      assert.strictEqual((yield* timed(service.request(read))).at, 1500)
      assert.deepStrictEqual(service.inspect()["deadline"], { exceeded: 0 })
    })
  )

  it.effect("takes a function of the request; what it throws or gives wrongly is a defect", () =>
    Effect.gen(function* () {
      const limit = (request: JsonRpc.Request) => (request === read ? 50 : request === write ? Infinity : -1)
      const service = yield* built(client(() => Effect.as(sleep(100), 1)).pipe(Deadline.layer(limit)))
      assert.strictEqual((yield* timed(service.request(read))).at, 50)
      assert.strictEqual((yield* timed(service.request(write))).outcome, 1)
      const exit = yield* Effect.exit(service.request(JsonRpc.makeRequest("eth_chainId")))
      assert.isTrue(Exit.hasDies(exit))
    })
  )

  it.effect("gives a caller without a fiber a call of its own, and its time", () =>
    watched((watch) =>
      Effect.gen(function* () {
        let call: Call.Call | undefined
        const { counts, effect } = work(150)
        const inTestTime = Effect.provideService(effect, Clock.Clock, yield* Clock.Clock)
        const service = yield* built(
          client(() =>
            Call.use((own) => {
              call = own
              return inTestTime
            })
          ).pipe(Deadline.layer((request) => (request === read ? 100 : request === write ? Infinity : -1)))
        )
        const told: Array<string> = []
        const ask = (request: JsonRpc.Request) =>
          service.submit!(request, {
            end: (exit) => {
              const said = Exit.isSuccess(exit) ? exit.value : Cause.squash(exit.cause)
              told.push(String(said))
            }
          })
        ask(read)
        assert.deepStrictEqual([call!.deadline, call!.sent], [100, 0])
        ask(write)
        assert.strictEqual(call!.deadline, Infinity)
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(told, ["DeadlineExceeded: No answer within 100ms", "2"])
        assert.deepStrictEqual(counts, { started: 2, interrupted: 1, finished: 2 })
        const place = ask(read)
        yield* TestClock.adjust(50)
        yield* place!.leave()
        yield* TestClock.adjust("1 second")
        assert.strictEqual(told.length, 2)
        assert.deepStrictEqual(counts, { started: 3, interrupted: 2, finished: 3 })
        assert.throws(() => ask(JsonRpc.makeRequest("eth_chainId")), Options.InvalidOption)
        assert.deepStrictEqual(service.inspect()["deadline"], { exceeded: 1 })
        assert.strictEqual(watch.sleeping, 0)
      })
    )
  )

  it("adds its error to a client's, exactly", () => {
    const failing = client((): Effect.Effect<unknown, Boom> => Effect.never)
    const combinator = Deadline.layer("10 seconds")
    expectTypeOf(failing.pipe(combinator)).toEqualTypeOf<Layer.Layer<JsonRpc.Client<Boom | Call.DeadlineExceeded>>>()
    // @ts-expect-error: it is for a whole call, not for one upstream
    upstream(() => Effect.never).pipe(combinator)
  })
})
