/**
 * Retry, time limits and fallbacks against small models: random failures, waits, hints, budgets, deadlines and callers who
 * leave. Then defects that such layers have had in the field are put in, and the named invariant must find each.
 *
 * What fails prints fast-check's seed and its smallest counterexample; the mutants' seed is fixed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Call, Outcome } from "@hawser/core"
import { Deadline, Fallback, Retry, Timeout } from "@hawser/retry"
import { Cause, Duration, Effect, Exit, Fiber, Schedule } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { Boom, Judged, judged, now, sleep, type Watch, watched } from "./support.ts"

const millis = Duration.millis

/** Checks it in virtual time, and that nobody sleeps when it is over. */
const checked =
  <T>(arbitrary: fc.Arbitrary<T>, check: (input: T, watch: Watch) => Effect.Effect<void, unknown>) =>
  () =>
    fc.asyncProperty(arbitrary, (input) =>
      watched((watch) =>
        Effect.map(check(input, watch), () => assert.strictEqual(watch.sleeping, 0, "nobody sleeps any more"))
      ).pipe(Effect.provide(TestClock.layer()), Effect.runPromise)
    )

const holds = (property: () => fc.IAsyncProperty<any>, numRuns = 150) => fc.assert(property(), { numRuns })

/** Finds a counterexample, and to that invariant. */
const isRefuted = async (id: string, property: () => fc.IAsyncProperty<any>) => {
  const { errorInstance, failed } = await fc.check(property(), { seed: 20_261_126, numRuns: 300, endOnFailure: true })
  assert.isTrue(failed, "no counterexample in 300 runs")
  assert.match(String(errorInstance), new RegExp(`\\b${id}\\b`), "another invariant found it")
}

/** Runs several to their ends in virtual time, and tells how and when each ended. */
const timed = <A, E>(effects: ReadonlyArray<Effect.Effect<A, E>>, leaves: number = Infinity) =>
  Effect.gen(function* () {
    const ends = effects.map(() => Infinity)
    const fibers = yield* Effect.forEach(effects, (effect, i) =>
      Effect.forkChild(
        Effect.onExit(effect, () => Effect.map(now, (at) => void (ends[i] = at))),
        { startImmediately: true }
      )
    )
    if (leaves < Infinity) {
      yield* TestClock.adjust(leaves)
      for (const fiber of fibers) yield* Fiber.interrupt(fiber)
    }
    yield* TestClock.adjust("1 hour")
    const exits = yield* Effect.forEach(fibers, Fiber.await)
    return exits.map((exit, i) => ({ said: said(exit), at: ends[i]! }))
  })

const every = (wait: number, times: number) => Schedule.spaced(millis(wait)).pipe(Schedule.upTo({ times }))

/** An exit in words: its value, or what it failed with, the first one first. */
const said = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isSuccess(exit)
    ? String(exit.value)
    : exit.cause.reasons
        .map((reason) =>
          Cause.isFailReason(reason) ? nameOf(reason.error) : Cause.isDieReason(reason) ? "bug" : "left"
        )
        .join(" + ")

const nameOf = (error: unknown): string =>
  error instanceof Boom
    ? `boom ${error.n}`
    : error instanceof Timeout.TimeoutError || error instanceof Call.DeadlineExceeded
      ? `${error._tag} ${Duration.toMillis(error.limit)}`
      : error instanceof Judged
        ? "final"
        : String(error)

describe("retry", () => {
  type Ending = "boom" | "final" | "bug" | { readonly hint: number }
  interface Script {
    readonly failures: ReadonlyArray<{ readonly takes: number; readonly ends: Ending }>
    readonly deadline: number
    readonly tokens: number
  }
  interface Terms {
    readonly wait: number
    readonly recurs: number
    readonly attempts: number
    readonly longest: number
  }

  const failing = (ends: Ending, n: number): Effect.Effect<never, Boom | Judged> => {
    if (ends === "boom") return Effect.fail(new Boom({ n }))
    if (ends === "bug") return Effect.die("bug")
    if (ends === "final") return Effect.fail(judged({ again: "nowhere" }))
    return Effect.fail(judged({ retryAfter: millis(ends.hint) }))
  }

  /** The same rules, told as a loop. */
  const model = ({ attempts, longest, recurs, wait }: Terms, { deadline, failures, tokens }: Script) => {
    const starts: Array<number> = []
    let at = 0
    let asked = 0
    for (;;) {
      starts.push(at)
      const failure = failures[starts.length - 1]
      if (failure === undefined) return { starts, asked, at, answered: true, left: "" }
      at += failure.takes
      const over = { starts, asked, at, answered: false }
      const { ends } = failure
      if (ends === "final" || ends === "bug") return { ...over, left: ends }
      const hint = ends === "boom" ? 0 : ends.hint
      const left = ends === "boom" ? `boom ${starts.length}` : "hint"
      const delay = Math.max(wait, hint)
      if (starts.length > recurs || starts.length >= attempts || hint > longest || at + delay >= deadline) {
        return { ...over, left }
      }
      asked++
      if (asked > tokens) return { ...over, asked, left }
      at += delay
    }
  }

  type Attempt = Effect.Effect<number, Boom | Judged>
  type Subject = (
    terms: Terms,
    self: Attempt,
    call: Call.Call,
    budget: Call.Budget,
    run: (terms: Terms, self: Attempt, options?: Retry.Options) => Attempt
  ) => Attempt

  const ours: Subject = (terms, self, _call, _budget, run) => run(terms, self)

  const script = fc.record({
    failures: fc.array(
      fc.record({
        takes: fc.nat(30),
        ends: fc.oneof(
          { weight: 5, arbitrary: fc.constant<Ending>("boom") },
          { weight: 1, arbitrary: fc.constantFrom<Ending>("final", "bug") },
          { weight: 2, arbitrary: fc.record({ hint: fc.constantFrom(1, 40, 90) }) }
        )
      }),
      { maxLength: 8 }
    ),
    deadline: fc.oneof(fc.constant(Infinity), fc.integer({ min: 1, max: 300 })),
    tokens: fc.oneof(fc.constant(Infinity), fc.nat(4))
  })
  const terms = fc.record({
    wait: fc.constantFrom(0, 10, 25, 60),
    recurs: fc.integer({ min: 0, max: 6 }),
    attempts: fc.integer({ min: 1, max: 6 }),
    longest: fc.constantFrom(50, 1_000)
  })

  const equals = (subject: Subject) =>
    checked(fc.tuple(terms, fc.array(script, { minLength: 1, maxLength: 3 })), ([terms, scripts]) =>
      Effect.gen(function* () {
        const seen = scripts.map(() => ({ starts: [] as Array<number>, asked: 0, told: 0 }))
        const budgets = scripts.map(({ tokens }, i): Call.Budget => ({
          deposit: () => void seen[i]!.told++,
          withdraw: () => ++seen[i]!.asked <= tokens,
          charge: () => {},
          refund: () => {}
        }))
        // One policy for all of them, but for the budget, which each has to itself.
        let current = 0
        const shared: Call.Budget = {
          deposit: (at) => budgets[current]!.deposit(at),
          withdraw: () => assert.fail("the budget is the call's own"),
          charge: () => {},
          refund: () => {}
        }
        const policies = new Map<string, Retry.Retry>()
        const run = (terms: Terms, self: Attempt, options?: Retry.Options): Attempt => {
          const key = JSON.stringify([terms, Object.keys(options ?? {})])
          const schedule = every(terms.wait, terms.recurs)
          const made = Retry.make({
            schedule,
            attempts: terms.attempts,
            maxRetryAfter: millis(terms.longest),
            budget: shared,
            ...options
          })
          return Effect.flatMap(
            Effect.suspend(() => {
              const known = policies.get(key)
              return known === undefined ? made : Effect.succeed(known)
            }),
            (policy) => {
              policies.set(key, policy)
              return policy.execute(self)
            }
          )
        }
        const runs = scripts.map(({ deadline, failures }, i) => {
          const attempt = Effect.flatMap(now, (at): Attempt => {
            const n = seen[i]!.starts.push(at)
            const failure = failures[n - 1]
            if (failure === undefined) return Effect.succeed(n)
            const ends = failing(failure.ends, n)
            return failure.takes === 0 ? ends : Effect.andThen(sleep(failure.takes), ends)
          })
          return Effect.suspend(() => {
            const call = Object.assign(new Call.Call(), { deadline, budget: budgets[i]! })
            current = i
            budgets[i]!.deposit(0)
            return Effect.provideService(subject(terms, attempt, call, budgets[i]!, run), Call.Current, call)
          })
        })
        const results = yield* timed(runs)
        for (const [i, { at, said }] of results.entries()) {
          const expected = model(terms, scripts[i]!)
          const { asked, starts, told } = seen[i]!
          assert.deepStrictEqual(starts, expected.starts, "RT1, RT3, RT7, RT8, RT10, RT11: who starts when")
          assert.strictEqual(at, expected.at, "RT7: ends at the failure, not later")
          if (expected.answered) assert.strictEqual(said, String(starts.length), "RT2: the first success")
          else if (expected.left !== "hint") assert.strictEqual(said, expected.left, "RT2: the last failure, as it is")
          assert.strictEqual(
            asked,
            expected.asked,
            "RT8, RT10: the budget is asked once for each retry, and for nothing else"
          )
          assert.strictEqual(told, 1, "RT10, RB4: told once for each call")
        }
      })
    )

  it("RT1, RT2, RT3, RT7, RT8, RT10, RT11, RT12, RB4: equals a loop, whatever fails when", () => holds(equals(ours)))

  const mutants: Record<string, Subject> = {
    "RT1: one attempt too many": (terms, self, _call, _budget, run) =>
      run({ ...terms, attempts: terms.attempts + 1, recurs: terms.recurs + 1 }, self),
    "RT1: one attempt too few": (terms, self, _call, _budget, run) =>
      run({ ...terms, attempts: Math.max(1, terms.attempts - 1) }, self),
    "RT2: the first failure is returned": (terms, self, _call, _budget, run) =>
      Effect.suspend(() => {
        let first: Boom | Judged | undefined
        return run(
          terms,
          Effect.tapError(self, (error) => Effect.sync(() => void (first ??= error)))
        ).pipe(Effect.mapError((error) => first ?? error))
      }),
    "RT3: what is final is asked again": (terms, self, _call, _budget, run) => run(terms, self, { while: () => true }),
    "RT3: a defect is a failure": (terms, self, _call, _budget, run) =>
      run(
        terms,
        Effect.catchDefect(self, () => Effect.fail(new Boom({ n: 0 })))
      ),
    "RT7: the deadline is not looked at": (terms, self, call, _budget, run) => {
      call.deadline = Infinity
      return run(terms, self)
    },
    "RT8: a hint is not heard": (terms, self, _call, _budget, run) =>
      run(
        terms,
        Effect.mapError(self, (error) =>
          error instanceof Judged && Outcome.of(error).retryAfter !== undefined ? judged({}) : error
        )
      ),
    "RT8: a hint has no longest time": (terms, self, _call, _budget, run) => run({ ...terms, longest: 1e6 }, self),
    "RT10: the first attempt costs budget, too": (terms, self, _call, budget, run) =>
      Effect.suspend(() => {
        budget.withdraw(0)
        return run(terms, self)
      }),
    "RT10: a denial is not minded": (terms, self, call, budget, run) => {
      call.budget = { ...budget, withdraw: (at) => (budget.withdraw(at), true) }
      return run(terms, self)
    },
    "RB4: retries deposit": (terms, self, _call, budget, run) =>
      run(
        terms,
        Effect.tapError(self, () => Effect.sync(() => budget.deposit(0)))
      )
  }

  it.each(Object.entries(mutants))("mutant %s", (name, subject) =>
    isRefuted(name.slice(0, name.indexOf(":")), equals(subject))
  )
})

describe("time limits", () => {
  interface Terms {
    /** Each attempt takes so long; the last one answers. */
    readonly takes: ReadonlyArray<number>
    readonly wait: number
    readonly timeout: number
    readonly deadlines: readonly [outer: number, inner: number]
    readonly leaves: number
  }

  const model = ({ deadlines, leaves, takes, timeout, wait }: Terms) => {
    const deadline = Math.min(...deadlines)
    const starts: Array<number> = []
    const over = (said: string, at: number) =>
      leaves < at && leaves < deadline
        ? { said: "left", at: leaves, starts: starts.filter((start) => start <= leaves) }
        : at >= deadline
          ? { said: `DeadlineExceeded ${deadline}`, at: deadline, starts }
          : { said, at, starts }
    let at = 0
    for (const [i, lasts] of takes.entries()) {
      if (at >= deadline) break
      starts.push(at)
      const late = lasts >= timeout
      at += late ? timeout : lasts
      const said = late ? `TimeoutError ${timeout}` : i === takes.length - 1 ? "answer" : `boom ${i}`
      // A wait that does not fit the deadline fails now.
      if (said === "answer" || i === takes.length - 1 || at + wait >= deadline) return over(said, at)
      at += wait
    }
    return over("", at)
  }

  type Layer = <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, E | Timeout.TimeoutError | Call.DeadlineExceeded>
  interface Layers {
    readonly outer: Layer
    readonly inner: Layer
    readonly retry: <A, E>(self: Effect.Effect<A, E>) => Effect.Effect<A, E>
    readonly timeout: Layer
  }
  type Subject = <E>(layers: Layers, self: Effect.Effect<string, E>) => Effect.Effect<string, unknown>

  const ours: Subject = ({ inner, outer, retry, timeout }, self) => outer(inner(retry(timeout(self))))

  const terms: fc.Arbitrary<Terms> = fc.record({
    takes: fc.array(fc.nat(100), { minLength: 1, maxLength: 4 }),
    wait: fc.constantFrom(0, 10),
    timeout: fc.integer({ min: 1, max: 100 }),
    deadlines: fc.tuple(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 300 })),
    // Between all others, so that who leaves leaves at an instant of its own.
    leaves: fc.oneof(
      { weight: 3, arbitrary: fc.constant(Infinity) },
      { weight: 1, arbitrary: fc.nat(200).map((n) => n + 0.5) }
    )
  })

  const equals = (subject: Subject) =>
    checked(terms, (terms) =>
      Effect.gen(function* () {
        const { deadlines, leaves, takes, timeout, wait } = terms
        const outer = yield* Deadline.make(millis(deadlines[0]))
        const inner = yield* Deadline.make(millis(deadlines[1]))
        const each = yield* Timeout.make(millis(timeout))
        const retry = yield* Retry.make({
          schedule: every(wait, takes.length - 1),
          budget: false
        })
        const starts: Array<number> = []
        const ended: Array<number> = []
        let limits = 0
        const attempt = Effect.flatMap(Call.Current, (call) =>
          Effect.flatMap(now, (at) => {
            const i = starts.push(at) - 1
            limits = Math.max(limits, call!.deadline)
            const ends = i >= takes.length - 1 ? Effect.succeed("answer") : Effect.fail(new Boom({ n: i }))
            return Effect.onExit(takes[i] === 0 ? ends : Effect.andThen(sleep(takes[i] ?? 0), ends), () =>
              Effect.sync(() => void (ended[i] = (ended[i] ?? 0) + 1))
            )
          })
        )
        const layers: Layers = {
          outer: outer.execute,
          inner: inner.execute,
          retry: retry.execute,
          timeout: each.execute
        }
        const [result] = yield* timed([subject(layers, attempt)], leaves)
        const expected = model(terms)
        assert.deepStrictEqual(starts, expected.starts, "TO6: each attempt has its time, all together the deadline's")
        assert.strictEqual(result!.said, expected.said, "TO1, TO2, TO3, TO4, TO5: whose limit it was")
        assert.strictEqual(result!.at, expected.at, "TO2: at exactly the limit")
        assert.isAtMost(limits, Math.min(...deadlines), "TO4, TO6, TO7: none beyond its parent's")
        for (const n of ended) assert.strictEqual(n, 1, "TO2, TO8: each attempt is ended once")
      })
    )

  it("TO1 to TO8: retry in deadlines, with a timeout for each attempt, equals a loop", () => holds(equals(ours)))

  const mutants: Record<string, Subject> = {
    "TO6: the timeout is for all attempts": ({ inner, outer, retry, timeout }, self) =>
      outer(inner(timeout(retry(self)))),
    "TO6: the deadline starts anew with each attempt": ({ inner, outer, retry, timeout }, self) =>
      retry(Effect.provideService(outer(inner(timeout(self))), Call.Current, undefined)),
    "TO4: the inner deadline replaces the outer": ({ inner, retry, timeout }, self) => inner(retry(timeout(self))),
    "TO5: who leaves has timed out": ({ inner, outer, retry, timeout }, self) =>
      Effect.onInterrupt(outer(inner(retry(timeout(self)))), () => Effect.die("late"))
  }

  it.each(Object.entries(mutants))("mutant %s", (name, subject) =>
    isRefuted(name.slice(0, name.indexOf(":")), equals(subject))
  )
})

describe("fallbacks", () => {
  type Ending = "answer" | "named" | "other" | "bug"
  const source = fc.record({
    takes: fc.nat(20),
    ends: fc.constantFrom<Ending>("answer", "named", "named", "other", "bug")
  })

  const model = (sources: ReadonlyArray<{ readonly takes: number; readonly ends: Ending }>) => {
    const causes: Array<string> = []
    let at = 0
    for (const [i, { ends, takes }] of sources.entries()) {
      at += takes
      const runs = i + 1
      if (ends === "answer") return { runs, at, said: `answer ${i}`, degraded: i > 0 }
      causes.push(ends === "named" ? `boom ${i}` : ends === "other" ? `other ${i}` : "bug")
      if (causes[0] !== "boom 0" || ends === "bug") return { runs, at, said: causes.join(" + "), degraded: false }
    }
    return { runs: sources.length, at, said: causes.join(" + "), degraded: false }
  }

  type Source = Effect.Effect<string, Boom | string>
  type Subject = (
    execute: (self: Source, instead: Source) => Source,
    self: Source,
    instead: Source,
    outcomes: Array<Outcome.Outcome>
  ) => Source

  const ours: Subject = (execute, self, instead) => execute(self, instead)

  const equals = (subject: Subject) =>
    checked(fc.array(source, { minLength: 1, maxLength: 4 }), (sources) =>
      Effect.gen(function* () {
        const runs: Array<number> = []
        const outcomes: Array<Outcome.Outcome> = []
        const effects = sources.map(({ ends, takes }, i): Source => {
          const ending: Source =
            ends === "answer"
              ? Effect.succeed(`answer ${i}`)
              : ends === "named"
                ? Effect.fail(new Boom({ n: i }))
                : ends === "other"
                  ? Effect.fail(`other ${i}`)
                  : Effect.die("bug")
          return Effect.suspend(() => {
            runs.push(i)
            return takes === 0 ? ending : Effect.andThen(sleep(takes), ending)
          })
        })
        const [primary, ...rest] = effects
        const seen: Source = Effect.onExit(primary!, (exit) =>
          Effect.sync(() => void outcomes.push(Outcome.ofExit(exit)))
        )
        const execute = (self: Source, instead: Source): Source =>
          Effect.flatMap(Fallback.make({ on: "Boom", run: () => instead }), (fallback) => fallback.execute(self))
        const chain = rest.reduce<Source>((self, instead) => subject(execute, self, instead, outcomes), seen)
        const recorder = new Call.Recorder()
        const [result] = yield* timed([Effect.provideService(chain, Call.Current, new Call.Call(recorder))])
        const expected = model(sources)
        assert.deepStrictEqual(
          runs,
          Array.from({ length: expected.runs }, (_, i) => i),
          "FB1, FB2, FB5: each at most once, in order, while it is needed"
        )
        assert.strictEqual(result!.said, expected.said, "FB2, FB3: the answer, or all failures, the first one first")
        assert.strictEqual(result!.at, expected.at)
        assert.strictEqual(recorder.degraded, expected.degraded, "FB6: whose answer it is")
        assert.deepStrictEqual(
          outcomes,
          [{ answer: "success", named: "failure", other: "failure", bug: "failure" }[sources[0]!.ends]],
          "FB4: what the first one did is what whoever measures it sees"
        )
      })
    )

  it("FB1 to FB6: a chain equals a loop", () => holds(equals(ours)))

  const mutants: Record<string, Subject> = {
    "FB1: the fallback is run beforehand": (execute, self, instead) =>
      Effect.flatMap(Effect.exit(instead), (exit) => execute(self, exit)),
    "FB2: it is for any failure": (execute, self, instead) =>
      execute(
        Effect.mapError(self, () => new Boom({ n: 0 })),
        instead
      ),
    "FB2: it is for defects, too": (execute, self, instead) =>
      execute(
        Effect.catchDefect(self, () => Effect.fail(new Boom({ n: 0 }))),
        instead
      ),
    "FB3: its own failure hides the first": (_execute, self, instead) =>
      Effect.catch(self, (error) => (error instanceof Boom ? instead : Effect.fail(error))),
    "FB4: its answer counts for what failed": (execute, self, instead, outcomes) =>
      Effect.tap(execute(self, instead), () => Effect.sync(() => void outcomes.splice(0, 1, "success"))),
    "FB5: it is run once more": (execute, self, instead) => execute(self, Effect.retry(instead, { times: 1 })),
    "FB6: nobody is told": (execute, self, instead) =>
      Effect.provideService(execute(self, instead), Call.Current, new Call.Call())
  }

  it.each(Object.entries(mutants))("mutant %s", (name, subject) =>
    isRefuted(name.slice(0, name.indexOf(":")), equals(subject))
  )
})
