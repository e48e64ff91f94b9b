import { assert, describe, it } from "@effect/vitest"
import { Call, JsonRpc, Options, Outcome } from "@hawser/core"
import { Context, Data, Deferred, Duration, Effect, Exit, Fiber, Random, Scope, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { ResponseCache } from "../src/index.ts"
import { World } from "./support/world.ts"

class Broken extends Data.TaggedError("Broken")<{ readonly n: number }> {}

class Busy extends Data.TaggedError("Busy")<{ readonly [Outcome.TypeId]: Outcome.Verdict }> {}

const rejected = new JsonRpc.Rejected({
  upstream: "a",
  code: 3,
  message: "execution reverted",
  data: "0x",
  kind: "revert",
  [Outcome.TypeId]: Outcome.verdict({ counts: "success", again: "nowhere" })
})

/** A load that takes `millis` and counts its runs: the nth gives what `f` gives for n. */
const counted = <A, E>(millis: number, f: (run: number) => Effect.Effect<A, E>) => {
  const runs = { started: 0, interrupted: 0 }
  const load = Effect.suspend(() => {
    const run = ++runs.started
    return Effect.andThen(Effect.sleep(millis), f(run)).pipe(
      Effect.onInterrupt(() => Effect.sync(() => void runs.interrupted++))
    )
  })
  return { load, runs }
}

const numbers = (millis = 10) => counted(millis, Effect.succeed)

const make = (options: ResponseCache.Options = {}) => ResponseCache.make({ jitter: 0, ...options })

const fork = <A, E>(self: Effect.Effect<A, E>) => Effect.forkChild(self, { startImmediately: true })

/** Runs it while the clock goes on as far as it needs. */
const timed = <A, E>(self: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* fork(Effect.exit(self))
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust(1)
    return yield* yield* Fiber.join(fiber)
  })

/** Runs it as a call that ends in so many milliseconds, and keeps its report. */
const within = <A, E>(millis: number, self: Effect.Effect<A, E>) =>
  Effect.clockWith((clock) => {
    const report = new Call.Recorder()
    const call = new Call.Call(report)
    call.deadline = Call.now(clock) + millis
    return Effect.map(Effect.provideService(Effect.exit(self), Call.Current, call), (exit) => ({ call, exit, report }))
  })

describe("one load for all", () => {
  it.effect("CA2: callers of one key share a load, those of another do not", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const { load, runs } = numbers()
      const fibers = yield* Effect.forEach(["a", "a", "b", "a"], (key) =>
        fork(cache.execute(key, load, { ttl: "1 second" }))
      )
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(yield* Effect.forEach(fibers, Fiber.join), [1, 1, 2, 1])
      assert.strictEqual(runs.started, 2)
      assert.deepInclude(cache.inspect(), { hits: 0, misses: 2, joined: 2, size: 2, inFlight: 0 })
    })
  )

  it.effect("CA3, CA4: each may leave alone; the last one ends the load", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const { load, runs } = numbers()
      const ask = fork(cache.execute("a", load, { ttl: "1 second" }))
      const [leader, second, third] = [yield* ask, yield* ask, yield* ask]
      yield* Fiber.interrupt(leader)
      yield* Fiber.interrupt(second)
      assert.strictEqual(runs.interrupted, 0)
      yield* TestClock.adjust(10)
      assert.strictEqual(yield* Fiber.join(third), 1)

      yield* TestClock.adjust("1 second")
      const [fourth, fifth] = [yield* ask, yield* ask]
      yield* Fiber.interrupt(fourth)
      yield* Fiber.interrupt(fifth)
      assert.deepStrictEqual(runs, { started: 2, interrupted: 1 })
      assert.strictEqual(cache.inspect().inFlight, 0)
    })
  )

  it.effect("whoever leaves last waits until the load has cleaned up; nobody joins it meanwhile", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const cleaned = yield* Deferred.make<void>()
      const slow = Effect.onExit(Effect.never, () => Deferred.await(cleaned))
      const caller = yield* fork(cache.execute("a", slow, { ttl: 1 }))
      const leaving = yield* fork(Fiber.interrupt(caller))
      assert.strictEqual(yield* cache.execute("a", Effect.succeed(2), { ttl: 1 }), 2)
      assert.isUndefined(leaving.pollUnsafe())
      assert.strictEqual(cache.inspect().inFlight, 1)
      yield* Deferred.succeed(cleaned, undefined)
      yield* Fiber.join(leaving)
      assert.strictEqual(cache.inspect().inFlight, 0)
    })
  )

  it.effect("a load lingers as long as it may, and a new caller finds it", () =>
    Effect.gen(function* () {
      const cache = yield* make({ linger: "1 second" })
      const { load, runs } = numbers(500)
      const policy = { ttl: "1 minute" } as const
      yield* Fiber.interrupt(yield* fork(cache.execute("a", load, policy)))
      yield* TestClock.adjust(400)
      const late = yield* fork(cache.execute("a", load, policy))
      yield* TestClock.adjust(100)
      assert.strictEqual(yield* Fiber.join(late), 1)

      const never = yield* fork(cache.execute("b", Effect.never, policy))
      yield* Fiber.interrupt(never)
      assert.strictEqual(cache.inspect().inFlight, 1)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(cache.inspect().inFlight, 0)
      assert.deepStrictEqual(runs, { started: 1, interrupted: 0 })
    })
  )

  it.effect("the load runs in the context of the cache and under a call of its own", () =>
    Effect.gen(function* () {
      const Colour = Context.Reference<string>("test/Colour", { defaultValue: () => "none" })
      const cache = yield* Effect.provideService(make(), Colour, "cache")
      const seen = Effect.withFiber((fiber) =>
        Effect.succeed({
          call: fiber.getRef(Call.Current),
          colour: fiber.getRef(Colour),
          insist: fiber.getRef(Call.Insist),
          span: Context.getOption(fiber.context, Tracer.ParentSpan)._tag
        })
      )
      const own = new Call.Call()
      const { call, ...rest } = yield* cache
        .execute("a", seen, { ttl: 0 })
        .pipe(
          Effect.provideService(Call.Current, own),
          Effect.provideService(Call.Insist, "wait"),
          Effect.provideService(Colour, "caller"),
          Effect.withSpan("caller")
        )
      assert.deepStrictEqual(rest, { colour: "cache", insist: "none", span: "None" })
      assert.isDefined(call)
      assert.notStrictEqual(call, own)
    }).pipe(Effect.withSpan("program"))
  )

  it.effect("what its loads need is taken where it is made", () => {
    class Db extends Context.Service<Db, { readonly name: string }>()("test/Db") {}
    return Effect.gen(function* () {
      const cache = yield* ResponseCache.make<Db>()
      const read = Effect.map(Db, (db) => db.name)
      assert.strictEqual(yield* cache.execute("a", read, { ttl: "1 second" }), "one")
    }).pipe(Effect.provideService(Db, { name: "one" }))
  })

  it.effect("the load's deadline is the latest of its callers', and no later than a layer below has set it", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const deadlines: Array<number> = []
      let flight: Call.Call | undefined
      const load = Call.use((call) => {
        flight = call
        return Effect.never
      })
      const ask = (millis: number) => fork(within(millis, cache.execute("a", load, { ttl: 0 })))
      const log = () => void deadlines.push(flight!.deadline)
      const short = yield* ask(100)
      log()
      const long = yield* ask(900)
      log()
      yield* Fiber.interrupt(long)
      log()
      const unlimited = yield* fork(cache.execute("a", load, { ttl: 0 }))
      log()
      flight!.deadline = 500
      const middle = yield* ask(400)
      log()
      yield* Fiber.interrupt(unlimited)
      log()
      yield* ask(900)
      log()
      assert.deepStrictEqual(deadlines, [100, 900, 100, Infinity, 500, 400, 500])
      yield* Fiber.interruptAll([short, middle])
    })
  )

  it.effect("every caller learns what the load learned: its steps and the failures on its way", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const load = Effect.clockWith((clock) =>
        Call.use((call) =>
          Effect.gen(function* () {
            Call.fail(call, "a", "down")
            yield* Effect.sleep(10)
            Call.fail(call, "b", "late")
            Call.note(call, clock, () => ({ step: "answer", upstream: "c", outcome: "success" }))
            return 1
          })
        )
      )
      const ask = cache.execute("a", load, { ttl: "1 second" })
      const silent = yield* fork(ask)
      const first = yield* fork(within(1_000, ask))
      yield* TestClock.adjust(5)
      const second = yield* fork(within(1_000, ask))
      yield* TestClock.adjust(5)
      for (const fiber of [first, second]) {
        const { call, report } = yield* Fiber.join(fiber)
        assert.deepStrictEqual(Call.failures(call), [
          { upstream: "a", error: "down" },
          { upstream: "b", error: "late" }
        ])
        assert.strictEqual(report.answeredBy, "c")
        assert.deepStrictEqual(
          report.steps.map((step) => step.step),
          ["cache", "answer"]
        )
      }
      yield* Fiber.join(silent)
    })
  )

  it.effect("with its scope ends everything; then it only passes on", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const cache = yield* Effect.provideService(make(), Scope.Scope, scope)
      const { load, runs } = numbers()
      const policy = { ttl: 5, staleWhileRevalidate: "1 hour" } as const
      yield* timed(cache.execute("a", load, policy))
      yield* TestClock.adjust(10)
      assert.strictEqual(yield* cache.execute("a", load, policy), 1)
      const waiting = yield* fork(cache.execute("b", load, policy))
      assert.deepInclude(cache.inspect(), { inFlight: 2, refreshing: 1 })
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(waiting)))
      assert.deepInclude(cache.inspect(), { inFlight: 0, refreshing: 0, size: 0 })
      assert.deepStrictEqual(runs, { started: 3, interrupted: 2 })
      const own = new Call.Call()
      const seen = Effect.provideService(cache.execute("a", Call.Current, policy), Call.Current, own)
      assert.strictEqual(yield* seen, own)
      assert.strictEqual(cache.inspect().size, 0)
    })
  )

  it.effect("CA10: neither capacity nor eviction touches a load under way", () =>
    Effect.gen(function* () {
      const cache = yield* make({ capacity: 1 })
      const { load, runs } = numbers()
      const policy = { ttl: "1 minute" } as const
      const fibers = yield* Effect.forEach(["a", "b", "c", "a", "b", "c"], (key) =>
        fork(cache.execute(key, load, policy))
      )
      assert.strictEqual(cache.inspect().inFlight, 3)
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(yield* Effect.forEach(fibers, Fiber.join), [1, 2, 3, 1, 2, 3])
      assert.strictEqual(runs.started, 3)
      assert.deepInclude(cache.inspect(), { size: 1, evictions: 2 })
    })
  )
})

describe("ages", () => {
  it.effect("CA7, CA8: fresh, then stale while one refresh runs, then only a spare, then nothing", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const { load, runs } = counted(10, (run) =>
        run === 3 ? Effect.fail(new Broken({ n: run })) : Effect.succeed(run)
      )
      const ask = JsonRpc.explain(cache.execute("a", load, { ttl: 100, staleWhileRevalidate: 100, staleIfError: 100 }))
      const report = (self: Effect.Effect<{ value: number; report: Call.Report }, Broken>) =>
        Effect.map(timed(self), ({ report, value }) => [
          value,
          report.stale,
          ...report.steps.flatMap((step) => (step.step === "cache" ? [step.verdict, step.age] : []))
        ])
      assert.deepStrictEqual(yield* report(ask), [1, false, "miss", undefined])
      yield* TestClock.adjust(99)
      assert.deepStrictEqual(yield* ask.pipe(report), [1, false, "hit", 99])
      assert.strictEqual(runs.started, 1)
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* ask.pipe(report), [1, true, "stale", 100])
      assert.deepStrictEqual(yield* ask.pipe(report), [1, true, "stale", 100])
      assert.strictEqual(runs.started, 2)
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(yield* ask.pipe(report), [2, false, "hit", 0])
      yield* TestClock.adjust(250)
      assert.deepStrictEqual(yield* ask.pipe(report), [2, true, "miss", undefined, "stale", 260])
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(yield* ask.pipe(report), [4, false, "miss", undefined])
    })
  )

  it.effect("what is kept, and how long, may depend on the value", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const policy = {
        ttl: (receipt: string | null) => (receipt === null ? undefined : "1 minute"),
        staleIfError: 10
      } as const
      assert.isNull(yield* cache.execute("a", Effect.succeed(null), policy))
      assert.isUndefined(cache.get("a"))
      assert.strictEqual(yield* cache.execute("a", Effect.succeed("receipt"), policy), "receipt")
      assert.deepStrictEqual(cache.get("a"), { value: "receipt", age: 0, stale: false })
    })
  )

  it.effect("a refresh that brings what is not to be kept removes the old value", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const { load } = counted(0, (run) => Effect.succeed(run === 1 ? "receipt" : null))
      const policy = {
        ttl: (value: unknown) => (value === null ? undefined : 10),
        staleWhileRevalidate: "1 hour"
      } as const
      yield* cache.execute("a", load, policy)
      yield* TestClock.adjust(20)
      assert.strictEqual(yield* cache.execute("a", load, policy), "receipt")
      assert.isUndefined(cache.get("a"))
    })
  )

  it.effect("ttl 0 shares the load and keeps nothing", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const { load, runs } = numbers()
      const fibers = yield* Effect.forEach([1, 2], () => fork(cache.execute("a", load, { ttl: 0 })))
      yield* TestClock.adjust(10)
      yield* Effect.forEach(fibers, Fiber.join)
      assert.strictEqual(runs.started, 1)
      assert.strictEqual(cache.inspect().size, 0)
    })
  )

  it.effect("CA12: jitter takes away at most its part of the ttl, and nothing from the other phases", () =>
    Effect.gen(function* () {
      const cache = yield* ResponseCache.make({ jitter: 0.25 })
      const lives: Array<number> = []
      for (let i = 0; i < 100; i++) {
        yield* cache.set(`${i}`, i, { ttl: 1_000, staleWhileRevalidate: 100 })
        lives.push(0)
      }
      for (let now = 0; now < 1_200; now += 10) {
        for (let i = 0; i < 100; i++) if (cache.get(`${i}`)?.stale === false) lives[i] = now
        const whole = lives.every((life, i) => cache.get(`${i}`) !== undefined || now >= life + 100)
        assert.isTrue(whole)
        yield* TestClock.adjust(10)
      }
      assert.isAtLeast(Math.min(...lives), 740)
      assert.isAtMost(Math.max(...lives), 1_000)
      assert.isAbove(Math.max(...lives) - Math.min(...lives), 150)
    }).pipe(Random.withSeed("jitter"))
  )

  it("CA15: a jump of the wall clock neither prolongs nor cuts a life", () => {
    for (const jump of [-3_600_000, 3_600_000]) {
      const world = new World({ jitter: 0 })
      world.run(world.cache.set("a", 1, { ttl: 100 }))
      world.clock.wall += jump
      world.clock.advance(99)
      assert.isFalse(world.cache.get("a")?.stale)
      world.clock.advance(1)
      assert.isUndefined(world.cache.get("a"))
    }
  })

  it.effect("refreshes ahead what was read before, and only that", () =>
    Effect.gen(function* () {
      const cache = yield* make({ refreshAhead: 0.8 })
      const { load, runs } = numbers(0)
      const policy = { ttl: 100 } as const
      for (const key of ["hot", "cold"]) yield* timed(cache.execute(key, load, policy))
      yield* TestClock.adjust(50)
      yield* cache.execute("hot", load, policy)
      yield* TestClock.adjust(30)
      assert.strictEqual(runs.started, 2)
      assert.strictEqual(yield* cache.execute("hot", load, policy), 1)
      assert.strictEqual(yield* cache.execute("cold", load, policy), 2)
      yield* TestClock.adjust(1)
      assert.strictEqual(runs.started, 3)
      assert.strictEqual(yield* cache.execute("hot", load, policy), 3)
      assert.deepInclude(cache.inspect(), { refreshes: 1, misses: 2, hits: 4 })
    })
  )
})

describe("failures", () => {
  const fails = <E>(error: E) => counted(0, () => Effect.fail(error))

  it.effect("CA5: reach all who wait, and are not kept", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const { load, runs } = counted(10, (n) => Effect.fail(new Broken({ n })))
      const ask = fork(Effect.flip(cache.execute("a", load, { ttl: "1 hour" })))
      const fibers = [yield* ask, yield* ask]
      yield* TestClock.adjust(10)
      const [one, two] = yield* Effect.forEach(fibers, Fiber.join)
      assert.strictEqual(one, two)
      assert.strictEqual(cache.inspect().size, 0)
      yield* timed(Effect.exit(cache.execute("a", load, { ttl: "1 hour" })))
      assert.strictEqual(runs.started, 2)
    })
  )

  it.effect("CA5: are kept where the policy asks for it, as long as it says", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const negative = {
        ttl: "2 seconds",
        when: (error: Broken | JsonRpc.Rejected) => error._tag === "Rejected"
      } as const
      const policy = { ttl: "1 hour", negative } as const
      const { load, runs } = counted(0, (n) => Effect.fail(n === 1 ? new Broken({ n }) : rejected))
      const ask = Effect.flip(cache.execute("a", load, policy))
      assert.strictEqual((yield* timed(ask))._tag, "Broken")
      assert.strictEqual((yield* timed(ask))._tag, "Rejected")
      assert.strictEqual((yield* timed(ask))._tag, "Rejected")
      assert.strictEqual(runs.started, 2)
      assert.isUndefined(cache.get("a"))
      yield* TestClock.adjust("2 seconds")
      yield* timed(ask)
      assert.strictEqual(runs.started, 3)
    })
  )

  it.effect("CA5: an interruption and a defect are never kept", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const policy = { ttl: "1 hour", negative: { ttl: "1 hour", when: () => true } } as const
      for (const load of [Effect.interrupt, Effect.die("bug"), Effect.andThen(Effect.sleep(1), Effect.interrupt)]) {
        const exit = yield* timed(Effect.exit(cache.execute("a", load, policy)))
        assert.isTrue(Exit.isFailure(exit))
        assert.strictEqual(cache.inspect().size, 0)
      }
    })
  )

  it.effect("CA8: a spare stands in for failures, defects included, but not for the chain's own answer", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const policy = { ttl: 0, staleIfError: "1 hour" } as const
      yield* cache.set("a", "old", policy)
      const ask = (load: Effect.Effect<string, unknown>) => timed(Effect.exit(cache.execute("a", load, policy)))
      const answer = new Busy({ [Outcome.TypeId]: Outcome.verdict({ counts: "neutral", again: "nowhere" }) })
      const fault = new Busy({ [Outcome.TypeId]: Outcome.verdict({ counts: "failure", again: "nowhere" }) })
      assert.deepStrictEqual(yield* ask(fails(new Broken({ n: 1 })).load), Exit.succeed("old"))
      assert.deepStrictEqual(yield* ask(fails(fault).load), Exit.succeed("old"))
      assert.deepStrictEqual(yield* ask(Effect.die("bug")), Exit.succeed("old"))
      assert.deepStrictEqual(yield* ask(fails(rejected).load), Exit.fail(rejected))
      assert.deepStrictEqual(yield* ask(fails(answer).load), Exit.fail(answer))
      assert.isTrue(Exit.hasInterrupts(yield* ask(Effect.interrupt)))
      assert.strictEqual(cache.inspect().stale.error, 3)
      yield* TestClock.adjust("1 hour")
      assert.isTrue(Exit.isFailure(yield* ask(fails(new Broken({ n: 1 })).load)))
    })
  )

  it.effect("CA8: which failures those are may be said; a rejection never is one", () =>
    Effect.gen(function* () {
      const cache = yield* make({ staleOn: (error) => error === "soft" || error === rejected })
      const policy = { ttl: 0, staleIfError: "1 hour" } as const
      yield* cache.set("a", "old", policy)
      assert.strictEqual(yield* timed(cache.execute("a", fails("soft").load, policy)), "old")
      assert.strictEqual(yield* timed(Effect.flip(cache.execute("a", fails("hard").load, policy))), "hard")
      assert.strictEqual(yield* timed(Effect.flip(cache.execute("a", fails(rejected).load, policy))), rejected)
    })
  )

  it.effect("a failure that is kept never takes a value's place; an answer does, in a refresh, too", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const policy = { ttl: 0, staleWhileRevalidate: "1 hour", negative: { ttl: "1 hour", when: () => true } } as const
      yield* cache.set("a", "old", policy)
      yield* timed(Effect.exit(cache.execute("a", fails(new Broken({ n: 1 })).load, policy)))
      yield* TestClock.adjust(1_000)
      assert.strictEqual(cache.get("a")?.value, "old")
      yield* timed(Effect.exit(cache.execute("a", fails(rejected).load, policy)))
      yield* TestClock.adjust(1)
      assert.strictEqual(yield* Effect.flip(cache.execute("a", Effect.succeed("new"), policy)), rejected)
    })
  )

  it.effect("shortly before its deadline a caller gets the old value rather than nothing", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const policy = { ttl: 0, staleIfError: "1 hour" } as const
      yield* cache.set("a", "old", policy)
      const { load, runs } = counted(60_000, () => Effect.succeed("new"))
      for (const [deadline, expected] of [
        [10_000, 9_900],
        [200, 180],
        [0, 0]
      ] as const) {
        const fiber = yield* fork(within(deadline, cache.execute("a", load, policy)))
        if (expected > 0) {
          yield* TestClock.adjust(expected - 1)
          assert.isUndefined(fiber.pollUnsafe())
          yield* TestClock.adjust(1)
        }
        const { exit, report } = yield* Fiber.join(fiber)
        assert.deepStrictEqual(exit, Exit.succeed("old"))
        assert.isTrue(report.stale)
      }
      assert.deepStrictEqual(runs, { started: 2, interrupted: 2 })
      assert.strictEqual(cache.inspect().stale.deadline, 3)
    })
  )

  it.effect("one caller's deadline takes nothing from the others", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const policy = { ttl: 0, staleIfError: "1 hour" } as const
      yield* cache.set("a", "old", policy)
      const { load } = counted(1_000, () => Effect.succeed("new"))
      const hurried = yield* fork(within(100, cache.execute("a", load, policy)))
      const patient = yield* fork(cache.execute("a", load, policy))
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual((yield* Fiber.join(hurried)).exit, Exit.succeed("old"))
      assert.strictEqual(yield* Fiber.join(patient), "new")
    })
  )

  it.effect("CA6, CA8: a value that was invalidated is no spare any more", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const policy = { ttl: 0, staleIfError: "1 hour" } as const
      yield* cache.set("a", "old", policy)
      const { load } = counted(10, (n) => Effect.fail(new Broken({ n })))
      const caller = yield* fork(within(1_000, cache.execute("a", load, policy)))
      yield* cache.invalidate("a")
      yield* TestClock.adjust(10)
      assert.deepStrictEqual((yield* Fiber.join(caller)).exit, Exit.fail(new Broken({ n: 1 })))
    })
  )

  it.effect("CA9: refreshes back off, doubling, and no sooner than the upstream asked", () =>
    Effect.gen(function* () {
      const cache = yield* make({ refreshBackoff: "1 second" })
      const starts: Array<number> = []
      let retryAfter: Duration.Duration | undefined
      const load = Effect.suspend(() => {
        starts.push(now)
        return Effect.fail(new Busy({ [Outcome.TypeId]: Outcome.verdict({ retryAfter }) }))
      })
      const policy = { ttl: 0, staleWhileRevalidate: "1 day" } as const
      yield* cache.set("a", 1, policy)
      let now = 0
      for (; now < 20_000; now += 500) {
        if (now === 7_000) retryAfter = Duration.seconds(10)
        assert.strictEqual(yield* cache.execute("a", load, policy), 1)
        yield* TestClock.adjust(500)
      }
      assert.deepStrictEqual(starts, [0, 1_000, 3_000, 7_000, 17_000])
      assert.deepInclude(cache.inspect(), { refreshes: 5, refreshFailures: 5 })
    })
  )

  it.effect("CA13: a refresh outlives its caller, but not its own time; then it counts as failed", () =>
    Effect.gen(function* () {
      const cache = yield* make({ refreshTimeout: "5 seconds" })
      const policy = { ttl: 0, staleWhileRevalidate: "1 day" } as const
      yield* cache.set("a", 1, policy)
      const { load, runs } = counted(60_000, Effect.succeed)
      yield* Fiber.join(yield* fork(cache.execute("a", load, policy)))
      yield* TestClock.adjust(4_999)
      assert.deepStrictEqual(runs, { started: 1, interrupted: 0 })
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(runs, { started: 1, interrupted: 1 })
      assert.deepInclude(cache.inspect(), { refreshing: 0, refreshFailures: 1 })
      assert.strictEqual(cache.get("a")?.value, 1)
    })
  )

  it.effect("a defect in a function of the policy reaches the caller and holds nothing up", () =>
    Effect.gen(function* () {
      const cache = yield* make({ maxWeight: 100, weigh: (value) => (value === "bad" ? -1 : 1) })
      const bug = () => {
        throw new Error("bug")
      }
      const policies: ReadonlyArray<ResponseCache.Policy> = [
        { ttl: bug },
        { ttl: () => -1 },
        { ttl: 10, tags: bug },
        { ttl: -1 },
        { ttl: 10, staleIfError: "yesterday" as never },
        { ttl: 10, stale: 3 } as never
      ]
      for (const policy of policies) {
        const exit = yield* Effect.exit(cache.execute("a", Effect.succeed(1), policy))
        assert.isTrue(Exit.hasDies(exit))
      }
      assert.isTrue(Exit.hasDies(yield* Effect.exit(cache.execute("a", Effect.succeed("bad"), { ttl: 10 }))))
      const negative = { ttl: 1, when: bug }
      assert.isTrue(Exit.hasDies(yield* Effect.exit(cache.execute("a", Effect.fail(1), { ttl: 10, negative }))))
      assert.deepInclude(cache.inspect(), { inFlight: 0, size: 0 })
    })
  )
})

describe("invalidation", () => {
  it.effect("CA6: what was loading then is given to those who wait, and to nobody later", () =>
    Effect.gen(function* () {
      const drops: ReadonlyArray<(cache: ResponseCache.ResponseCache) => Effect.Effect<void>> = [
        (cache) => cache.invalidate("a"),
        (cache) => cache.invalidateTag("x"),
        (cache) => cache.clear()
      ]
      for (const drop of drops) {
        const cache = yield* make()
        const { load } = numbers()
        const ask = fork(cache.execute("a", load, { ttl: "1 hour", tags: ["x"] }))
        const before = yield* ask
        yield* TestClock.adjust(5)
        yield* drop(cache)
        const after = yield* ask
        yield* TestClock.adjust(5)
        assert.strictEqual(yield* Fiber.join(before), 1)
        assert.isUndefined(cache.get("a"))
        yield* TestClock.adjust(5)
        assert.strictEqual(yield* Fiber.join(after), 2)
        assert.strictEqual(cache.get("a")?.value, 2)
      }
    })
  )

  it.effect("CA6: what was set while a load ran stays", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const { load } = numbers()
      const before = yield* fork(cache.execute("a", load, { ttl: "1 hour" }))
      yield* cache.set("a", 7, { ttl: "1 hour" })
      assert.strictEqual(yield* cache.execute("a", load, { ttl: "1 hour" }), 7)
      yield* TestClock.adjust(10)
      assert.strictEqual(yield* Fiber.join(before), 1)
      assert.strictEqual(cache.get("a")?.value, 7)
    })
  )

  it.effect("a refresh whose value nobody may have is interrupted", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const { load, runs } = numbers()
      const policy = { ttl: 0, staleWhileRevalidate: "1 hour" } as const
      yield* cache.set("a", 0, policy)
      yield* cache.execute("a", load, policy)
      yield* cache.invalidate("a")
      assert.deepStrictEqual(runs, { started: 1, interrupted: 1 })
      assert.strictEqual(cache.inspect().refreshing, 0)
    })
  )

  it.effect("a tag drops what bears it, and loads that may turn out to", () =>
    Effect.gen(function* () {
      const cache = yield* make()
      const policy = { ttl: "1 hour", tags: ({ block }: { readonly block: string }) => [`block ${block}`] } as const
      for (const block of ["1", "2"]) yield* cache.set(block, { block }, policy)
      const { load } = counted(10, () => Effect.succeed({ block: "1" }))
      const loading = yield* fork(cache.execute("tx", load, policy))
      yield* cache.invalidateTag("block 1")
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(yield* Fiber.join(loading), { block: "1" })
      assert.isUndefined(cache.get("tx"))
      assert.isUndefined(cache.get("1"))
      assert.isDefined(cache.get("2"))
    })
  )
})

describe("what it tells", () => {
  it.effect("events", () =>
    Effect.gen(function* () {
      const cache = yield* make({ capacity: 1 })
      const heard: Array<ResponseCache.Event> = []
      cache.events.on((event) => heard.push(event))
      const policy = { ttl: 0, staleWhileRevalidate: "1 hour" } as const
      yield* cache.set("a", 1, policy)
      yield* TestClock.adjust(5)
      yield* Effect.exit(cache.execute("a", Effect.fail("broken"), policy))
      yield* cache.set("b", 1, policy)
      assert.deepStrictEqual(heard, [
        { type: "stale", key: "a", why: "revalidate", age: 5 },
        { type: "refresh-failed", key: "a", error: "broken", again: 1_000 },
        { type: "evicted", key: "a" }
      ])
    })
  )

  it.effect("weight", () =>
    Effect.gen(function* () {
      const cache = yield* make({ maxWeight: 1_000 })
      yield* cache.set("a", "x".repeat(500), { ttl: "1 hour" })
      const { weight } = cache.inspect()
      assert.isAtLeast(weight!, 500)
      yield* cache.set("b", "x".repeat(600), { ttl: "1 hour" })
      assert.isAtMost(cache.inspect().weight!, 1_000)
      assert.strictEqual(cache.inspect().size, 1)
      yield* cache.set("c", "x".repeat(2_000), { ttl: "1 hour" })
      assert.isUndefined(cache.get("c"))
      assert.isUndefined((yield* make()).inspect().weight)
    })
  )

  it("a wrong option is named where it is given", () => {
    const wrong: ReadonlyArray<readonly [string, ResponseCache.Options]> = [
      ["capacity", { capacity: 0 }],
      ["maxWeight", { maxWeight: 0 }],
      ["jitter", { jitter: 2 }],
      ["linger", { linger: -1 }],
      ["refreshAhead", { refreshAhead: 0 }],
      ["refreshConcurrency", { refreshConcurrency: 0 }],
      ["refreshTimeout", { refreshTimeout: 0 }],
      ["refreshBackoff", { refreshBackoff: "soon" as never }],
      ["storeTimeout", { storeTimeout: 0 }],
      ["ttl", { ttl: 5 } as never]
    ]
    for (const [name, options] of wrong) {
      for (const use of [ResponseCache.make, ResponseCache.layer]) {
        assert.throws(() => use(options), Options.InvalidOption, `ResponseCache.${name}`)
      }
    }
  })
})
