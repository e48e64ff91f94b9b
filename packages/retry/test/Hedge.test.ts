import { AsyncLocalStorage } from "node:async_hooks"
import { assert, describe, it } from "@effect/vitest"
import { Call, JsonRpc, Options, Outcome } from "@hawser/core"
import { Budget, Hedge, Retry } from "@hawser/retry"
import { Interruption } from "@hawser/testkit"
import { Clock, Deferred, Duration, Effect, Exit, Fiber, type Layer, Schedule } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { expectTypeOf } from "vitest"
import { Boom, built, client, judged, now, read, sleep, upstream, watched, write } from "./support.ts"

type Ending = "answer" | "fail" | "revert" | "useless" | "die"

/** One attempt: how long it takes and how it ends. */
interface Effort {
  readonly takes: number
  readonly ends: Ending
}

const endings: Record<Ending, (n: number) => Effect.Effect<string, Boom | ReturnType<typeof judged>>> = {
  answer: (n) => Effect.succeed(`answer ${n}`),
  fail: (n) => Effect.fail(new Boom({ n })),
  // The same anywhere: an answer of a kind.
  revert: () => Effect.fail(judged({ again: "nowhere", counts: "success" })),
  // A failure of which no other try would make more.
  useless: () => Effect.fail(judged({ again: "nowhere" })),
  die: (n) => Effect.die(`bug ${n}`)
}

/** Runs the efforts one after the other, each with the next call; keeps what became of each. */
const script = (...efforts: ReadonlyArray<Effort>) => {
  const starts: Array<number> = []
  const exits: Array<Exit.Exit<unknown, unknown> | undefined> = []
  const insists: Array<Call.Insistence> = []
  const effect = Effect.suspend(() => {
    const n = starts.length
    const { ends, takes } = efforts[n] ?? { takes: 1e9, ends: "fail" }
    return Effect.flatMap(now, (at) => {
      starts.push(at)
      return Effect.flatMap(Call.Insist, (insist) => {
        insists.push(insist)
        return takes === 0 ? endings[ends](n) : Effect.andThen(sleep(takes), endings[ends](n))
      })
    }).pipe(Effect.onExit((exit) => Effect.sync(() => void (exits[n] = exit))))
  })
  return { starts, exits, insists, effect }
}

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

/** What an exit says, for comparison with the model. */
const said = (exit: Exit.Exit<unknown, unknown>): string => {
  if (Exit.isSuccess(exit)) return String(exit.value)
  const reason = exit.cause.reasons[0]!
  if (reason._tag === "Die") return String(reason.defect)
  if (reason._tag === "Interrupt") return "interrupted"
  return reason.error instanceof Boom ? `fail ${reason.error.n}` : "judged"
}

/** The reference model: the same rules, told as a list of who starts and ends when. */
const model = (efforts: ReadonlyArray<Effort>, delay: number, hedges: number) => {
  const starts: Array<number> = []
  const running = new Map<number, number>()
  let alarm = delay
  let left = hedges
  let failed: string | undefined
  const start = (at: number) => {
    running.set(starts.length, at + efforts[starts.length]!.takes)
    starts.push(at)
  }
  const hedge = (at: number) => {
    if (left === 0) return
    left--
    start(at)
    alarm = at + delay
  }
  start(0)
  for (;;) {
    const [n, end] = Array.from(running).toSorted((a, b) => a[1] - b[1])[0]!
    if (left > 0 && alarm < end) {
      hedge(alarm)
      continue
    }
    running.delete(n)
    const { ends } = efforts[n]!
    const word = { answer: `answer ${n}`, fail: `fail ${n}`, revert: "judged", useless: "judged", die: `bug ${n}` }[
      ends
    ]
    if (ends === "answer" || ends === "revert" || (ends === "die" && n === 0)) return { starts, word, at: end }
    if (n === 0) failed = word
    if (ends === "fail") hedge(end)
    else if (n === 0) left = 0
    if (running.size === 0) return { starts, word: failed!, at: end }
  }
}

/** Remainders by eight keep all instants apart, so that the order of things is never a matter of taste. */
const efforts = fc
  .tuple(
    ...[1, 2, 4].map((rest) =>
      fc.record({
        takes: fc.nat(12).map((n) => 8 * n + rest),
        ends: fc.constantFrom<Ending>("answer", "fail", "fail", "revert", "useless", "die")
      })
    )
  )
  .map((all) => all as ReadonlyArray<Effort>)

describe("execute", () => {
  it.effect("HG1, HG2, HG3, HG4: who starts when, who wins and when are the model's", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(efforts, fc.constantFrom(8, 24, 48), fc.constantFrom(1, 2), (efforts, delay, hedges) =>
          Effect.runPromise(
            watched((watch) =>
              Effect.gen(function* () {
                const hedge = yield* Hedge.make({ delay, hedges, budget: false })
                const { effect, exits, starts } = script(...efforts)
                const { at, exit } = yield* timed(hedge.execute(effect))
                const expected = model(efforts, delay, hedges)
                assert.deepStrictEqual({ starts, word: said(exit), at }, expected)
                assert.isAtMost(starts.length, 1 + hedges)
                // HG12, and each loser was told once.
                assert.strictEqual(watch.sleeping, 0)
                assert.isTrue(starts.every((_, n) => exits[n] !== undefined))
              })
            ).pipe(Effect.provide(TestClock.layer()))
          )
        ),
        { numRuns: 150 }
      )
    )
  )

  it.effect("HG5: the caller goes on at once, though a loser's finalizer never ends", () =>
    Effect.gen(function* () {
      const hedge = yield* Hedge.make({ delay: 100 })
      const release = Deferred.makeUnsafe<void>()
      let asked = 0
      const effect = Effect.suspend(() =>
        asked++ === 0
          ? Effect.onInterrupt(Effect.never, () => Effect.andThen(Deferred.await(release), Effect.void))
          : Effect.as(sleep(10), "hedge")
      )
      assert.deepStrictEqual(yield* timed(hedge.execute(effect)), { exit: Exit.succeed("hedge"), at: 110 })
      yield* Deferred.succeed(release, undefined)
    })
  )

  it.effect("HG6: losers were interrupted and nothing else, which is neutral to whoever measures them", () =>
    Effect.gen(function* () {
      const hedge = yield* Hedge.make({ delay: 100, hedges: 2 })
      const { effect, exits } = script(
        { takes: 10_000, ends: "answer" },
        { takes: 10_000, ends: "answer" },
        { takes: 10, ends: "answer" }
      )
      yield* timed(hedge.execute(effect))
      assert.deepStrictEqual(
        exits.map((exit) => Outcome.ofExit(exit!)),
        ["neutral", "neutral", "success"]
      )
    })
  )

  it.effect("HG7: a caller who is interrupted takes all along, and nothing starts later", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const hedge = yield* Hedge.make({ delay: 100, hedges: 2 })
        const { effect, exits, starts } = script()
        const fiber = yield* Effect.forkChild(hedge.execute(effect), { startImmediately: true })
        yield* TestClock.adjust(150)
        yield* Fiber.interrupt(fiber)
        yield* TestClock.adjust(0)
        assert.strictEqual(watch.sleeping, 0)
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(starts, [0, 100])
        assert.isTrue(exits.every((exit) => exit !== undefined && Exit.hasInterrupts(exit)))
        assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
      })
    )
  )

  it.effect("HG12: the first answer in time leaves no timer and starts nothing", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const hedge = yield* Hedge.make({ delay: 100 })
        const { effect, starts } = script({ takes: 99, ends: "answer" })
        yield* timed(hedge.execute(effect))
        assert.strictEqual(watch.sleeping, 0)
        assert.strictEqual(starts.length, 1)
        // Its own wait, and one alarm.
        assert.strictEqual(watch.slept, 2)
        yield* hedge.execute(Effect.succeed(1))
        yield* TestClock.adjust("1 hour")
        assert.strictEqual(watch.slept, 2)
      })
    )
  )

  it.effect("leaves nothing behind, wherever it is interrupted", () =>
    Effect.gen(function* () {
      for (const takes of [20, 60]) {
        const steps = yield* Interruption.everywhere(
          Effect.gen(function* () {
            const hedge = yield* Hedge.make({ delay: 30, budget: false })
            let held = 0
            const effort = Outcome.guard(
              Effect.as(sleep(takes), "answer"),
              () => ({ held: ++held }),
              () => void held--
            )
            return { run: hedge.execute(effort), check: () => assert.strictEqual(held, 0) }
          })
        )
        assert.isAbove(steps, 8)
      }
    })
  )

  it.effect("the hedge insists on another upstream, the first request does not; both work for the same call", () =>
    Effect.gen(function* () {
      const hedge = yield* Hedge.make({ delay: 10 })
      const { effect, insists } = script({ takes: 50, ends: "answer" }, { takes: 50, ends: "answer" })
      const calls = new Set<Call.Call>()
      yield* timed(hedge.execute(Call.use((call) => (calls.add(call), effect))))
      assert.deepStrictEqual(insists, ["none", "hedge"])
      assert.strictEqual(calls.size, 1)
    })
  )

  it.effect("the hedge runs in its caller's asynchronous context, whoever set the alarm", () =>
    Effect.gen(function* () {
      const hedge = yield* Hedge.make({ delay: 100, hedges: 2 })
      const storage = new AsyncLocalStorage<string>()
      const seen: Array<string | undefined> = []
      const effect = Effect.suspend(() => (seen.push(storage.getStore()), Effect.never))
      const fork = Effect.runForkWith(yield* Effect.context())
      const fibers = ["a", "b"].map((name) => storage.run(name, () => fork(hedge.execute(effect))))
      yield* TestClock.adjust(250)
      assert.deepStrictEqual(seen, ["a", "b", "a", "b", "a", "b"])
      yield* Fiber.interruptAll(fibers)
    })
  )

  it.effect("a failure that asks for a pause is not followed by a hedge at once", () =>
    Effect.gen(function* () {
      const hedge = yield* Hedge.make({ delay: 100 })
      let asked = 0
      const busy = judged({ retryAfter: Duration.seconds(1) })
      const { exit } = yield* timed(hedge.execute(Effect.suspend(() => (asked++, Effect.fail(busy)))))
      assert.deepStrictEqual(exit, Exit.fail(busy))
      assert.strictEqual(asked, 1)
    })
  )

  it.effect("a hedge that ends the call in the turn in which it starts leaves no alarm for the next", () =>
    watched((watch) =>
      Effect.gen(function* () {
        const hedge = yield* Hedge.make({ delay: 100, hedges: 2 })
        const first = Deferred.makeUnsafe<string>()
        let asked = 0
        const effect = Effect.suspend(() =>
          asked++ === 0 ? Deferred.await(first) : Effect.andThen(Deferred.succeed(first, "first"), Effect.never)
        )
        const fiber = yield* Effect.forkChild(hedge.execute(effect), { startImmediately: true })
        yield* TestClock.adjust(100)
        assert.strictEqual(yield* Fiber.join(fiber), "first")
        assert.strictEqual(watch.sleeping, 0)
      })
    )
  )

  it.effect("a hedge whose attempt throws is a hedge that failed", () =>
    Effect.gen(function* () {
      let asked = 0
      const service = yield* built(
        client(() => {
          if (asked++ > 0) throw new Error("bug")
          return Effect.as(sleep(500), "first")
        }).pipe(Hedge.layer({ delay: 100 }))
      )
      assert.deepStrictEqual(yield* timed(service.request(read)), { exit: Exit.succeed("first"), at: 500 })
    })
  )
})

describe("a process that is itself slow", () => {
  it.effect("an alarm that is late asks nobody, and is set again", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let late = 0
      const busy: Clock.Clock = Object.create(clock, {
        sleep: { value: (duration: Duration.Duration) => clock.sleep(Duration.sum(duration, Duration.millis(late))) }
      })
      for (const [lag, hedgedAt] of [
        [0, 100],
        [9, 109],
        [50, 400]
      ] as const) {
        late = lag
        const { effect, starts } = script({ takes: 1_000, ends: "answer" }, { takes: 10, ends: "answer" })
        const hedge = yield* Effect.provideService(Hedge.make({ delay: 100 }), Clock.Clock, busy)
        const started = yield* now
        const fiber = yield* Effect.forkChild(hedge.execute(effect), { startImmediately: true })
        yield* TestClock.adjust("200 millis")
        late = 0
        yield* TestClock.adjust("2 seconds")
        yield* Fiber.join(fiber)
        assert.deepStrictEqual(
          starts.map((at) => at - started),
          [0, hedgedAt]
        )
      }
    })
  )
})

describe("the books of the call", () => {
  const budget = (allowed = Infinity) => {
    const counts = { deposits: 0, asked: 0 }
    const budget: Call.Budget = {
      deposit: () => void counts.deposits++,
      withdraw: () => ++counts.asked <= allowed,
      charge: () => {},
      refund: () => {}
    }
    return { counts, budget }
  }

  it.effect("HG8: each hedge takes one from the budget; denied, it is a plain call", () =>
    Effect.gen(function* () {
      const rich = budget()
      const hedge = yield* Hedge.make({ delay: 100, hedges: 2, budget: rich.budget })
      yield* timed(hedge.execute(script({ takes: 250, ends: "answer" }).effect))
      assert.deepStrictEqual(rich.counts, { deposits: 1, asked: 2 })
      const poor = budget(0)
      const denied = yield* Hedge.make({ delay: 100, hedges: 2, budget: poor.budget })
      const { effect, starts } = script({ takes: 250, ends: "fail" })
      assert.strictEqual((yield* timed(denied.execute(effect))).at, 250)
      assert.strictEqual(starts.length, 1)
      // Asked once: who is denied does not ask on.
      assert.deepStrictEqual(poor.counts, { deposits: 1, asked: 1 })
      assert.deepStrictEqual(denied.inspect().denied, { attempts: 0, deadline: 0, budget: 1 })
    })
  )

  it.effect("draws on the attempts of the call, and stops when none is left", () =>
    Effect.gen(function* () {
      const hedge = yield* Hedge.make({ delay: 100, hedges: 5, budget: false })
      const { effect, starts } = script()
      const call = new Call.Call()
      Call.limit(call, 3)
      const fiber = yield* Effect.forkChild(Effect.provideService(hedge.execute(effect), Call.Current, call))
      yield* TestClock.adjust(1000)
      assert.deepStrictEqual(starts, [0, 100, 200])
      assert.deepStrictEqual([call.sent, call.attempts, call.prepaid], [3, 0, false])
      assert.strictEqual(hedge.inspect().denied.attempts, 1)
      yield* Fiber.interrupt(fiber)
    })
  )

  it.effect("what a pool below counts is not counted twice", () =>
    Effect.gen(function* () {
      const hedge = yield* Hedge.make({ delay: 100, budget: false })
      const call = new Call.Call()
      const pool = Call.use((call) =>
        Effect.suspend(() => {
          call.pooled = true
          return Call.spend(call) ? Effect.as(sleep(150), call.sent) : Effect.fail("spent")
        })
      )
      yield* timed(Effect.provideService(hedge.execute(pool), Call.Current, call))
      assert.deepStrictEqual([call.sent, call.attempts, call.prepaid], [2, 4, false])
    })
  )

  it.effect("where a pool below counts, whoever fails last names every upstream that was asked", () =>
    Effect.gen(function* () {
      const hedge = yield* Hedge.make({ delay: 100 })
      let n = 0
      const pooled = Call.use((call) => {
        call.pooled = true
        const asked = ++n
        return Effect.andThen(
          sleep(asked === 1 ? 200 : 300),
          Effect.suspend(() => {
            Call.fail(call, `upstream ${asked}`, new Boom({ n: asked }))
            return Effect.fail(new Call.NoAnswer({ causes: Call.failures(call), [Outcome.TypeId]: Outcome.verdict() }))
          })
        )
      })
      const { at, exit } = yield* timed(Effect.flip(hedge.execute(pooled)))
      assert.strictEqual(at, 400)
      const causes = Exit.isSuccess(exit) ? exit.value.causes : []
      assert.deepStrictEqual(
        causes.map(({ upstream }) => upstream),
        ["upstream 1", "upstream 2"]
      )
    })
  )

  it.effect("a hedge that nobody below takes costs neither attempt nor budget, and ends nothing", () =>
    Effect.gen(function* () {
      // Nobody is left to ask; or somebody is asked and refuses before it does anything.
      const nobodyLeft = () => {}
      const refuses = (call: Call.Call) => {
        if (Call.spend(call)) Call.refund(call)
      }
      for (const [turn, again] of [
        [nobodyLeft, "nowhere"],
        [nobodyLeft, "anywhere"],
        [refuses, "anywhere"]
      ] as const) {
        const budget = Budget.make({ ratio: 0, floor: 1 })
        const service = yield* built(
          client(() =>
            Effect.flatMap(Call.Insist, (insist) =>
              Call.use((call) => {
                call.pooled = true
                if (insist === "hedge") {
                  turn(call)
                  return Effect.fail(new Call.NoAnswer({ causes: [], [Outcome.TypeId]: Outcome.verdict({ again }) }))
                }
                Call.spend(call)
                return Effect.as(sleep(500), "first")
              })
            )
          ).pipe(Hedge.layer({ delay: 100, hedges: 3, budget }))
        )
        const call = new Call.Call()
        const { at, exit } = yield* timed(Effect.provideService(service.request(read), Call.Current, call))
        assert.deepStrictEqual([at, exit], [500, Exit.succeed("first")])
        assert.deepStrictEqual([call.sent, call.attempts, call.prepaid], [1, 5, false])
        assert.strictEqual(budget.inspect(100).balance, 1)
        const inspection = service.inspect()["hedge"] as Hedge.Inspection
        assert.deepStrictEqual([inspection.refused, inspection.hedges], [1, 1])
      }
    })
  )

  it.effect("without a budget it neither takes from another layer's nor gives back to it", () =>
    Effect.gen(function* () {
      const hedge = yield* Hedge.make({ delay: 100, budget: false })
      const budget = Budget.make({ ratio: 0, floor: 5 })
      budget.charge(0)
      const call = new Call.Call()
      call.budget = budget
      const refused = Effect.flatMap(Call.Insist, (insist) =>
        insist === "hedge" ? Effect.fail(judged({ refused: true, ran: "no" })) : sleep(500)
      )
      const fiber = yield* Effect.forkChild(Effect.provideService(hedge.execute(refused), Call.Current, call))
      yield* TestClock.adjust(500)
      yield* Fiber.join(fiber)
      assert.strictEqual(hedge.inspect().refused, 1)
      assert.deepStrictEqual([call.sent, budget.inspect(500).balance], [1, 4])
    })
  )

  it.effect("a hedge does not start when an answer could not be expected before the deadline", () =>
    Effect.gen(function* () {
      const hedge = yield* Hedge.make({ delay: 100 })
      // Answers take 80 ms, as far as anybody knows.
      for (let i = 0; i < 20; i++) yield* timed(hedge.execute(sleep(80)))
      const within = (deadline: number) =>
        Effect.gen(function* () {
          const start = yield* now
          const { effect, starts } = script({ takes: 150, ends: "answer" })
          yield* timed(
            Call.use((call) => {
              call.deadline = start + deadline
              return hedge.execute(effect)
            })
          )
          return starts.length
        })
      assert.strictEqual(yield* within(1000), 2)
      assert.strictEqual(yield* within(180), 1)
      assert.strictEqual(hedge.inspect().denied.deadline, 1)
    })
  )

  it.effect("retry × hedge: six attempts are six, however they are mixed", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(
          fc.integer({ min: 1, max: 8 }),
          fc.integer({ min: 1, max: 3 }),
          fc.array(fc.record({ takes: fc.nat(200), ends: fc.constantFrom<Ending>("fail", "useless") }), {
            minLength: 24,
            maxLength: 24
          }),
          fc.boolean(),
          (attempts, hedges, efforts, counting) =>
            Effect.runPromise(
              Effect.gen(function* () {
                const { effect, starts } = script(...efforts)
                const below = counting
                  ? Call.use((call) => {
                      call.pooled = true
                      return Call.spend(call) ? effect : Effect.fail(new Boom({ n: -1 }))
                    })
                  : effect
                const service = yield* built(
                  client(() => below).pipe(
                    Hedge.layer({ delay: 50, hedges, budget: false }),
                    Retry.layer({ attempts, schedule: Schedule.spaced("10 millis"), budget: false })
                  )
                )
                const call = new Call.Call()
                const fiber = yield* Effect.forkChild(
                  Effect.exit(Effect.provideService(service.request(read), Call.Current, call))
                )
                yield* TestClock.adjust("1 hour")
                yield* Fiber.join(fiber)
                assert.isAtMost(starts.length, attempts)
                assert.strictEqual(call.sent, starts.length)
                assert.strictEqual(call.attempts, attempts - call.sent)
                assert.isFalse(call.prepaid)
              }).pipe(Effect.provide(TestClock.layer()), Effect.scoped)
            )
        ),
        { numRuns: 60 }
      )
    )
  )
})

describe("the delay", () => {
  it.effect("is the initial one until enough is known, then the quantile, within bounds", () =>
    Effect.gen(function* () {
      const hedge = yield* Hedge.make({ min: "50 millis", max: "2 seconds", initial: "500 millis", samples: 20 })
      assert.strictEqual(hedge.inspect().delay, 500)
      for (let i = 0; i < 20; i++) yield* timed(hedge.execute(sleep(100)))
      // Forgotten in the ten hours that each run takes here.
      assert.deepStrictEqual([hedge.inspect().samples, hedge.inspect().delay], [0, 500])
      const fiber = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 20 }), () => hedge.execute(sleep(100)), { concurrency: "unbounded" })
      )
      yield* TestClock.adjust(100)
      yield* Fiber.join(fiber)
      assert.strictEqual(hedge.inspect().samples, 20)
      const delay = hedge.inspect().delay!
      assert.isTrue(delay >= 100 && delay <= 110, `${delay}`)
      const { effect, starts } = script({ takes: 10_000, ends: "answer" }, { takes: 1, ends: "answer" })
      const started = yield* now
      yield* timed(hedge.execute(effect))
      assert.closeTo(starts[1]! - started, delay, 0.001)
    })
  )

  it.effect("while nearly every call is slow nothing is hedged, not even after a failure", () =>
    Effect.gen(function* () {
      const hedge = yield* Hedge.make({ max: "1 second", samples: 5, budget: false })
      const many = (self: Effect.Effect<unknown, Boom>, times: number) =>
        Effect.forEach(Array.from({ length: times }), () => Effect.exit(hedge.execute(self)), {
          concurrency: "unbounded"
        })
      const slow = yield* Effect.forkChild(many(sleep(3000), 20))
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(slow)
      assert.strictEqual(hedge.inspect().delay, undefined)
      const before = hedge.inspect().hedges
      const failing = yield* Effect.forkChild(many(Effect.fail(new Boom({ n: 1 })), 3))
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(failing)
      assert.strictEqual(hedge.inspect().hedges, before)
    })
  )

  it.effect("a call that its caller gave up counts with the time it had waited", () =>
    Effect.gen(function* () {
      const hedge = yield* Hedge.make({ delay: 100, budget: false })
      const abandon = (after: number) =>
        Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(hedge.execute(Effect.never), { startImmediately: true })
          yield* TestClock.adjust(after)
          yield* Fiber.interrupt(fiber)
        })
      yield* abandon(50)
      assert.strictEqual(hedge.inspect().samples, 0)
      yield* abandon(150)
      assert.strictEqual(hedge.inspect().samples, 1)
      // Nor does one count twice that failed late, when its hedge answers later.
      const { effect } = script({ takes: 150, ends: "fail" }, { takes: 300, ends: "answer" })
      const fiber = yield* Effect.forkChild(hedge.execute(effect))
      yield* TestClock.adjust(400)
      yield* Fiber.join(fiber)
      assert.strictEqual(hedge.inspect().samples, 2)
    })
  )
})

describe("layer", () => {
  it.effect("HG10: only reads are hedged", () =>
    Effect.gen(function* () {
      let asked = 0
      const service = yield* built(
        client(() => (asked++, Effect.as(sleep(1000), "ok"))).pipe(Hedge.layer({ delay: 100 }))
      )
      for (const request of [write, JsonRpc.makeRequest("eth_newFilter")]) {
        asked = 0
        yield* timed(service.request(request))
        assert.strictEqual(asked, 1)
      }
      asked = 0
      yield* timed(service.request(read))
      assert.strictEqual(asked, 2)
      const inspection = service.inspect()["hedge"] as Hedge.Inspection
      assert.deepStrictEqual([inspection.hedges, inspection.won, inspection.delay], [1, 0, 100])
    })
  )

  it.effect("tells what it does, in events and in the report", () =>
    Effect.gen(function* () {
      const hedge = yield* Hedge.make({ delay: 100 })
      const events: Array<Hedge.Event> = []
      hedge.events.on((event) => events.push(event))
      const { effect } = script({ takes: 500, ends: "answer" }, { takes: 20, ends: "answer" })
      const { exit } = yield* timed(JsonRpc.explain(hedge.execute(effect)))
      assert.deepStrictEqual((yield* exit).report.steps, [{ at: 0, step: "hedge", after: 100 }])
      assert.deepStrictEqual(events, [
        { type: "hedging", after: 100 },
        { type: "won", after: 120 }
      ])
      assert.strictEqual(hedge.inspect().won, 1)
      const none = yield* Hedge.make({ delay: 100, budget: { ratio: 0, floor: 0 } })
      none.events.on((event) => events.push(event))
      const plain = yield* timed(JsonRpc.explain(none.execute(sleep(150))))
      assert.deepStrictEqual((yield* plain.exit).report.steps, [
        { at: 0, step: "denied", what: "hedge", why: "budget" }
      ])
      assert.deepStrictEqual(events.at(-1), { type: "denied", why: "budget" })
    })
  )

  it("wrong options are refused where they are given", () => {
    const wrong: ReadonlyArray<[options: unknown, message: string]> = [
      [{ quantile: 0 }, "Hedge.quantile takes a number above 0"],
      [{ quantile: 1 }, "Hedge.quantile takes a number above 0"],
      [{ min: "3 seconds" }, "Hedge.max takes a duration of at least min, 3000 ms"],
      [{ hedges: 6 }, "Hedge.hedges takes a whole number from 1 to 5, got 6"],
      [{ delay: 100, samples: 3 }, "Hedge.delay takes no value beside samples"],
      [{ budget: { floor: -1 } }, "Hedge.budget.floor takes a whole number from 0"]
    ]
    for (const [options, message] of wrong) {
      assert.throws(() => Hedge.make(options as Hedge.Options), Options.InvalidOption, message)
      assert.throws(() => Hedge.layer(options as Hedge.Options), Options.InvalidOption, message)
    }
  })

  it("is for clients, whose errors stay what they are", () => {
    const combinator = Hedge.layer({ quantile: 0.9 })
    const below = client((): Effect.Effect<unknown, Boom> => Effect.never)
    expectTypeOf(below.pipe(combinator)).toEqualTypeOf<Layer.Layer<JsonRpc.Client<Boom>>>()
    // @ts-expect-error: one upstream cannot be hedged with itself
    upstream(() => Effect.never).pipe(combinator)
    const run = (hedge: Hedge.Hedge, effect: Effect.Effect<number, Boom, "need">) => hedge.execute(effect)
    expectTypeOf(run).returns.toEqualTypeOf<Effect.Effect<number, Boom, "need">>()
  })
})
