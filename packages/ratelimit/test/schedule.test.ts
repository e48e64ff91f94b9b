// The shells against simulations that know nothing of fibers: who starts when, who is refused when, who leaves.
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { Concurrency, RateLimit } from "../src/index.ts"
import { Crowd, type Person, TokenBucket } from "./models.ts"

interface Visitor {
  /** Second of arrival. */
  readonly at: number
  readonly weight: number
  readonly priority: number
  /** Seconds after which it leaves, if it has not started. */
  readonly patience: number | undefined
  /** Seconds of work. */
  readonly work: number
}

interface Limits {
  readonly maxQueue: number
  readonly maxWait: number
}

type Fate = { readonly started: number } | { readonly refused: number } | { readonly left: number }

// Everybody arrives in a millisecond of its own and leaves in another, so that no two things happen at once.
const arrival = (visitor: Visitor, id: number) => visitor.at * 1000 + id
const departure = (visitor: Visitor, id: number) =>
  visitor.patience === undefined ? Infinity : (visitor.at + visitor.patience) * 1000 + 500 + id

const visitors = fc.array(
  fc.record<Visitor>({
    at: fc.nat(12),
    weight: fc.integer({ min: 1, max: 3 }),
    priority: fc.constantFrom(0, 0, 0, 1, -1),
    patience: fc.option(fc.nat(6), { nil: undefined, freq: 2 }),
    work: fc.integer({ min: 1, max: 5 })
  }),
  { maxLength: 30, size: "max" }
)

const limits = fc.record<Limits>({
  maxQueue: fc.constantFrom(0, 2, 100),
  maxWait: fc.constantFrom(3000, 9000, Infinity)
})

/** What the line leads to, in a simulation. */
interface Gate {
  readonly take: (now: number, visitor: Visitor) => boolean
  /** When the gate opens for the head. */
  readonly opens: (now: number, weight: number) => number
  readonly estimate: (now: number, weight: number, ahead: number) => number
}

const simulate = (visitors: ReadonlyArray<Visitor>, limits: Limits, gate: Gate): Array<Fate | undefined> => {
  const fates: Array<Fate | undefined> = visitors.map(() => undefined)
  const crowd = new Crowd()
  const arrivals = visitors.map((visitor, id) => ({ visitor, id, at: arrival(visitor, id) }))
  const departures = visitors.map((visitor, id) => ({ visitor, id, at: departure(visitor, id) }))
  const settle = (now: number) => {
    for (;;) {
      const head = crowd.people.length === 0 ? undefined : crowd.head()
      if (head !== undefined && gate.take(now, visitors[head.id]!)) {
        crowd.serve()
        fates[head.id] = { started: now }
        continue
      }
      const late = crowd.people.find(({ expiresAt }) => expiresAt <= now)
      if (late === undefined) return
      crowd.remove(late)
      fates[late.id] = { refused: now }
    }
  }
  const arrive = (now: number, id: number, visitor: Visitor) => {
    if (crowd.people.length === 0 && gate.take(now, visitor)) {
      fates[id] = { started: now }
      return
    }
    const wait = gate.estimate(now, visitor.weight, crowd.ahead(visitor.priority))
    const isFull = crowd.people.length >= limits.maxQueue
    const displaced = isFull ? crowd.displaced(visitor.priority) : undefined
    if (wait === Infinity || wait > limits.maxWait || (isFull && displaced === undefined)) {
      fates[id] = { refused: now }
      return
    }
    if (displaced !== undefined) {
      crowd.remove(displaced)
      fates[displaced.id] = { refused: now }
    }
    const person: Person = { id, priority: visitor.priority, weight: visitor.weight, expiresAt: now + limits.maxWait }
    crowd.people.push(person)
  }
  let now = 0
  for (;;) {
    settle(now)
    const head = crowd.people.length === 0 ? undefined : crowd.head()
    const next = Math.min(
      ...arrivals.map(({ at }) => at),
      ...departures.map(({ at }) => at),
      crowd.firstToExpire(),
      head === undefined ? Infinity : gate.opens(now, head.weight)
    )
    if (next === Infinity) return fates
    now = next
    settle(now)
    const comes = arrivals.findIndex(({ at }) => at === now)
    if (comes >= 0) {
      const [{ id, visitor }] = arrivals.splice(comes, 1) as [(typeof arrivals)[0]]
      arrive(now, id, visitor)
    }
    const goes = departures.findIndex(({ at }) => at === now)
    if (goes >= 0) {
      const [{ id }] = departures.splice(goes, 1) as [(typeof departures)[0]]
      const person = crowd.people.find((person) => person.id === id)
      if (person !== undefined) {
        crowd.remove(person)
        fates[id] = { left: now }
      }
    }
  }
}

/** Sends the visitors through a limiter on the test clock. */
const observe = <E>(
  visitors: ReadonlyArray<Visitor>,
  enter: (visitor: Visitor, started: Effect.Effect<void>) => Effect.Effect<void, E>
) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    const fates: Array<Fate | undefined> = visitors.map(() => undefined)
    const visit = (visitor: Visitor, id: number) =>
      Effect.gen(function* () {
        yield* Effect.sleep(arrival(visitor, id))
        const work = enter(
          visitor,
          Effect.sync(() => void (fates[id] = { started: now() }))
        )
        const fiber = yield* Effect.forkChild(work, { startImmediately: true })
        fiber.addObserver((exit) => {
          if (fates[id] !== undefined || Exit.isSuccess(exit)) return
          fates[id] = Cause.hasInterruptsOnly(exit.cause) ? { left: now() } : { refused: now() }
        })
        if (visitor.patience === undefined) return yield* Fiber.await(fiber)
        yield* Effect.sleep(departure(visitor, id) - arrival(visitor, id))
        if (fates[id] === undefined) yield* Fiber.interrupt(fiber)
        return yield* Fiber.await(fiber)
      })
    const all = yield* Effect.forkChild(Effect.forEach(visitors, visit, { concurrency: "unbounded", discard: true }), {
      startImmediately: true
    })
    yield* TestClock.adjust("1 hour")
    yield* Fiber.join(all)
    return fates
  })

const onTestClock = <A, E>(self: Effect.Effect<A, E>): Promise<A> =>
  Effect.runPromise(Effect.provide(self, TestClock.layer()))

describe("RateLimit", () => {
  it("RL7, RL8, BH2, BH5, BH7: everybody starts, is refused or leaves when a simulation says so", () =>
    fc.assert(
      fc.asyncProperty(
        visitors,
        limits,
        fc.record({
          limit: fc.constantFrom(1, 3),
          each: fc.integer({ min: 1, max: 3 }),
          burst: fc.integer({ min: 1, max: 4 })
        }),
        (visitors, limits, { burst, each, limit }) => {
          const rate = { limit, window: limit * each * 1000, burst }
          const bucket = new TokenBucket(rate, 0)
          const expected = simulate(visitors, limits, {
            take: (now, { weight }) => bucket.take(now, weight),
            opens: (now, weight) => now + bucket.wait(now, weight),
            estimate: (now, weight, ahead) => bucket.wait(now, weight, ahead)
          })
          return onTestClock(
            Effect.gen(function* () {
              const limiter = yield* RateLimit.make({ ...rate, ...limits })
              const fates = yield* observe(visitors, ({ priority, weight }, started) =>
                limiter.execute(started, { weight, priority })
              )
              assert.deepStrictEqual(fates, expected)
              const { abandoned, admitted, refused, waiting } = limiter.inspect()
              assert.strictEqual(waiting, 0)
              assert.strictEqual(admitted + refused + abandoned, visitors.length)
            })
          )
        }
      ),
      { numRuns: 60 }
    ))
})

describe("Concurrency", () => {
  it("BH1-BH7: everybody starts, is refused or leaves when a simulation says so", () =>
    fc.assert(
      fc.asyncProperty(visitors, limits, fc.integer({ min: 1, max: 4 }), (visitors, limits, limit) => {
        let ends: Array<number> = []
        const expected = simulate(visitors, limits, {
          take: (now, { work }) => {
            ends = ends.filter((end) => end > now)
            if (ends.length >= limit) return false
            ends.push(now + work * 1000)
            return true
          },
          opens: () => Math.min(...ends),
          estimate: () => 0
        })
        return onTestClock(
          Effect.gen(function* () {
            const limiter = yield* Concurrency.make({ limit, ...limits })
            let running = 0
            const fates = yield* observe(visitors, ({ priority, work }, started) =>
              limiter.execute(
                Effect.gen(function* () {
                  assert.isAtMost(++running, limit)
                  yield* started
                  yield* Effect.sleep(work * 1000)
                  running--
                }),
                { priority }
              )
            )
            assert.deepStrictEqual(fates, expected)
            const { abandoned, admitted, inflight, refused, waiting } = limiter.inspect()
            assert.deepStrictEqual([running, inflight, waiting], [0, 0, 0])
            assert.strictEqual(admitted + refused + abandoned, visitors.length)
          })
        )
      }),
      { numRuns: 60 }
    ))
})
