import { AsyncLocalStorage } from "node:async_hooks"
import { assert, describe, it } from "@effect/vitest"
import { Call, type JsonRpc } from "@hawser/core"
import { Cause, Clock, Effect, Exit, Fiber, type Layer } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { Deadline, Hedge, Retry } from "../src/index.ts"
import { built, client, judged, now, read, sleep, watched } from "./support.ts"

type Client<E> = Layer.Layer<JsonRpc.Client<E>>

/** How one request after another ends, and after how many milliseconds: -1 without waiting at all. */
interface Step {
  readonly after: number
  readonly end: "answer" | "anywhere" | "nowhere" | "defect"
}

const arbitrary = fc.record({
  steps: fc.array(
    fc.record({
      after: fc.integer({ min: -1, max: 40 }),
      end: fc.constantFrom<Step["end"]>("answer", "anywhere", "anywhere", "nowhere", "defect")
    }),
    { minLength: 1, maxLength: 6 }
  ),
  attempts: fc.integer({ min: 1, max: 4 }),
  hedge: fc.option(fc.integer({ min: 5, max: 30 }), { nil: undefined }),
  deadline: fc.option(fc.integer({ min: 10, max: 120 }), { nil: undefined }),
  leaves: fc.option(fc.nat(80), { nil: undefined })
})

/** Leaves while it waits for the round that follows one that failed without waiting. */
const failsAtOnce: Case = {
  steps: [{ after: -1, end: "anywhere" }],
  attempts: 2,
  hedge: undefined,
  deadline: undefined,
  leaves: 5
}

type Case = typeof arbitrary extends fc.Arbitrary<infer A> ? A : never

const stack = <E>(below: Client<E>, { attempts, deadline, hedge }: Case): Client<E | Call.DeadlineExceeded> => {
  const schedule = Retry.backoff({ base: "10 millis", jitter: "none" })
  const hedged = hedge === undefined ? below : below.pipe(Hedge.layer({ delay: hedge, hedges: 2 }))
  return hedged.pipe(Retry.layer({ attempts, schedule }), Deadline.layer(deadline ?? "1 minute"))
}

const said = (exit: Exit.Exit<unknown, unknown>): string =>
  Exit.isSuccess(exit)
    ? String(exit.value)
    : Exit.hasInterrupts(exit)
      ? "interrupted"
      : String(Cause.squash(exit.cause))

/** Plays a case, on a fiber or without one, and tells all that can be seen of it. */
const play = (given: Case, how: "fiber" | "none") =>
  watched((watch) =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const log: Array<string> = []
      let asked = 0
      const below = client(() =>
        Effect.suspend(() => {
          const n = asked++
          const { after, end } = given.steps[n] ?? { after: 1, end: "answer" as const }
          const result =
            end === "answer"
              ? Effect.succeed(n)
              : end === "defect"
                ? Effect.die("broken")
                : Effect.fail(judged({ again: end }))
          const tell = (what: string) => Effect.map(now, (at) => void log.push(`${what} ${n}@${at}`))
          return Effect.andThen(tell("asked"), after < 0 ? result : Effect.andThen(sleep(after), result)).pipe(
            Effect.onExit((exit) => tell(Exit.hasInterrupts(exit) ? "interrupted" : "ended")),
            Effect.provideService(Clock.Clock, clock)
          )
        })
      )
      const service = yield* built(stack(below, given))
      const end = (exit: Exit.Exit<unknown, unknown>) => log.push(`told ${said(exit)}@${Call.now(clock)}`)
      let leave: Effect.Effect<unknown>
      if (how === "none") {
        const place = service.submit!(read, { end })
        leave = Effect.suspend(() => place!.leave())
      } else {
        const fiber = yield* Effect.forkChild(service.request(read), { startImmediately: true })
        fiber.addObserver((exit) => {
          if (!Exit.hasInterrupts(exit)) end(exit)
        })
        leave = Fiber.interrupt(fiber)
      }
      if (given.leaves !== undefined) {
        yield* TestClock.adjust(given.leaves)
        const told = log.some((line) => line.startsWith("told"))
        if (!told) {
          yield* leave
          log.push("left")
        }
      }
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(watch.sleeping, 0)
      return { log, inspection: service.inspect() }
    })
  ).pipe(Effect.scoped, Effect.provide(TestClock.layer()))

describe("a caller without a fiber", () => {
  it.effect("sees and causes what one with a fiber does, whatever happens and whenever it leaves", () =>
    Effect.promise(() =>
      fc.assert(
        fc.asyncProperty(arbitrary, async (given) => {
          const [bare, fiber] = await Promise.all([
            Effect.runPromise(play(given, "none")),
            Effect.runPromise(play(given, "fiber"))
          ])
          assert.deepStrictEqual(bare, fiber)
        }),
        { numRuns: 200, examples: [[failsAtOnce]] }
      )
    )
  )

  it.effect("is told of a defect where the user's word on a failure throws", () =>
    Effect.gen(function* () {
      const failing = client(() => Effect.fail(judged({})))
      const whim = () => {
        throw new Error("whim")
      }
      const service = yield* built(failing.pipe(Retry.layer({ while: whim })))
      const told: Array<string> = []
      service.submit!(read, { end: (exit) => void told.push(said(exit)) })
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(told, ["Error: whim"])
    })
  )

  it.effect("is told nothing once it has left, wherever its call stands", () =>
    Effect.gen(function* () {
      const schedule = Retry.backoff({ base: "10 millis", jitter: "none" })
      const failing = client(() => Effect.fail(judged({})))
      for (const after of [0, 5, 10, 15]) {
        const service = yield* built(failing.pipe(Retry.layer({ attempts: 3, schedule })))
        const told: Array<string> = []
        const place = service.submit!(read, { end: (exit) => void told.push(said(exit)) })!
        yield* TestClock.adjust(after)
        yield* place.leave()
        yield* TestClock.adjust("1 hour")
        assert.deepStrictEqual(told, [])
      }
    })
  )

  it.effect("starts nothing where its deadline has passed", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let asked = 0
      const service = yield* built(client(() => Effect.sync(() => ++asked)).pipe(Deadline.layer("1 second")))
      const call = new Call.Call(undefined, Call.now(clock) - 5)
      const told: Array<unknown> = []
      service.submit!(read, { call, end: (exit) => void told.push(Exit.isFailure(exit) && Cause.squash(exit.cause)) })
      assert.strictEqual(asked, 0)
      assert.instanceOf(told[0], Call.DeadlineExceeded)
    })
  )

  for (const [when, first] of Object.entries({
    "the alarm rings": Effect.never,
    "the first fails at once": Effect.fail(judged({})),
    "the first fails later": Effect.andThen(sleep(20), Effect.fail(judged({})))
  })) {
    it.effect(`is told of a defect where a budget throws when ${when}, as one with a fiber is`, () =>
      Effect.gen(function* () {
        const budget: Call.Budget = {
          deposit: () => {},
          charge: () => {},
          refund: () => {},
          withdraw: () => {
            throw new Error("empty")
          }
        }
        const clock = yield* Clock.Clock
        const below = client(() => Effect.provideService(first, Clock.Clock, clock))
        const service = yield* built(below.pipe(Hedge.layer({ delay: 50, budget })))
        const told: Array<string> = []
        // What is thrown before it waits goes to whoever asks.
        try {
          service.submit!(read, { end: (exit) => void told.push(said(exit)) })
        } catch (defect) {
          told.push(String(defect))
        }
        const fiber = yield* Effect.forkChild(Effect.exit(service.request(read)), { startImmediately: true })
        yield* TestClock.adjust("1 hour")
        told.push(said(yield* Fiber.join(fiber)))
        assert.deepStrictEqual(told, ["Error: empty", "Error: empty"])
      })
    )
  }

  it.effect("goes on in its own asynchronous context, whoever tells that its first round has failed", () =>
    Effect.gen(function* () {
      const storage = new AsyncLocalStorage<string>()
      const seen: Array<string | undefined> = []
      const below = client(() => Effect.never).pipe(Deadline.layer("50 millis"))
      const again = (): boolean => {
        seen.push(storage.getStore())
        return false
      }
      const service = yield* built(below.pipe(Retry.layer({ attempts: 2, while: again })))
      for (const name of ["a", "b", "c"]) storage.run(name, () => service.submit!(read, { end: () => {} }))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(seen, ["a", "b", "c"])
    })
  )

  it.effect("is asked for in its own asynchronous context each time, whoever set the alarm", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const storage = new AsyncLocalStorage<string>()
      const seen: Array<string | undefined> = []
      const below = client(() =>
        Effect.suspend(() => {
          seen.push(storage.getStore())
          return Effect.andThen(sleep(150), Effect.fail(judged({})))
        }).pipe(Effect.provideService(Clock.Clock, clock))
      )
      const schedule = Retry.backoff({ base: "10 millis", jitter: "none" })
      const service = yield* built(below.pipe(Hedge.layer({ delay: 100 }), Retry.layer({ attempts: 3, schedule })))
      const told: Array<string | undefined> = []
      const end = () => void told.push(storage.getStore())
      for (const name of ["a", "b"]) storage.run(name, () => service.submit!(read, { end }))
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(seen, ["a", "b", "a", "b", "a", "b"])
      assert.deepStrictEqual(told, ["a", "b"])
    })
  )
})
