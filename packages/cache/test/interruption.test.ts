import { assert, describe, it } from "@effect/vitest"
import { Call } from "@hawser/core"
import { Interruption } from "@hawser/testkit"
import { Effect, Exit, type Fiber, Scope } from "effect"
import { ResponseCache } from "../src/index.ts"
import { Flights } from "../src/internal/flights.ts"

/** A load of two steps that knows how many of its kind run. */
const working = () => {
  const state = { running: 0, started: 0 }
  const load = Effect.onExit(
    Effect.andThen(
      Effect.sync(() => {
        state.running++
        return ++state.started
      }),
      (run) => Effect.as(Effect.sleep(20), run)
    ),
    () => Effect.sync(() => void state.running--)
  )
  return { load, state }
}

const make = (options: ResponseCache.Options = {}) => ResponseCache.make({ jitter: 0, ...options })

describe("interrupted at every step", () => {
  it.effect("a lone caller leaves nothing behind: no load, no waiter, no timer", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.gen(function* () {
          const cache = yield* make()
          const { load, state } = working()
          return {
            run: cache.execute("a", load, { ttl: "1 hour" }),
            check: (exit) => {
              assert.strictEqual(state.running, 0)
              assert.deepInclude(cache.inspect(), { inFlight: 0, size: Exit.isSuccess(exit) ? 1 : 0 })
            }
          }
        })
      )
      assert.isAbove(steps, 3)
    })
  )

  it.effect("CA3: the leader goes, and its followers have their value from its load", () =>
    Effect.gen(function* () {
      let left = 0
      yield* Interruption.everywhere(
        Effect.gen(function* () {
          const cache = yield* make()
          const followers: Array<Fiber.Fiber<number>> = []
          let loads = 0
          let finish = () => {}
          const ask: Effect.Effect<number> = Effect.suspend(() => cache.execute("a", load, { ttl: "1 hour" }))
          const load = Effect.withFiber<number>((fiber) => {
            loads++
            followers.push(Effect.runForkWith(fiber.context)(ask))
            return Effect.callback((resume) => {
              finish = () => resume(Effect.succeed(1))
            })
          })
          return {
            run: Effect.timeoutOption(ask, 30),
            check: () => {
              assert.strictEqual(cache.inspect().inFlight, loads)
              if (loads > 0) left++
              finish()
              for (const follower of followers) assert.deepStrictEqual(follower.pollUnsafe(), Exit.succeed(1))
              assert.isAtMost(loads, 1)
              assert.strictEqual(cache.inspect().inFlight, 0)
            }
          }
        })
      )
      assert.isAbove(left, 3)
    })
  )

  it.effect("CA4: a follower goes, and the load knows nothing of it", () =>
    Effect.gen(function* () {
      yield* Interruption.everywhere(
        Effect.gen(function* () {
          const cache = yield* make()
          let finish = () => {}
          const load = Effect.callback<number>((resume) => {
            finish = () => resume(Effect.succeed(1))
          })
          const ask = cache.execute("a", load, { ttl: "1 hour" })
          const leader = yield* Effect.forkDetach(ask, { startImmediately: true })
          return {
            run: Effect.timeoutOption(ask, 30),
            check: () => {
              assert.isUndefined(leader.pollUnsafe())
              finish()
              assert.deepStrictEqual(leader.pollUnsafe(), Exit.succeed(1))
              assert.strictEqual(cache.inspect().inFlight, 0)
            }
          }
        })
      )
    })
  )

  it.effect("a caller with a spare and a deadline", () =>
    Effect.gen(function* () {
      yield* Interruption.everywhere(
        Effect.gen(function* () {
          const cache = yield* make()
          const { load, state } = working()
          const policy = { ttl: 0, staleIfError: "1 hour" } as const
          yield* cache.set("a", 0, policy)
          const call = new Call.Call()
          call.deadline = Infinity
          const run = Effect.clockWith((clock) => {
            call.deadline = Call.now(clock) + 15
            return Effect.provideService(cache.execute("a", load, policy), Call.Current, call)
          })
          return {
            run,
            check: (exit) => {
              assert.strictEqual(state.running, 0)
              assert.strictEqual(cache.inspect().inFlight, 0)
              if (Exit.isSuccess(exit)) assert.strictEqual(exit.value, 0)
            }
          }
        })
      )
    })
  )

  it.effect("CA13: a refresh that its caller started goes on without it, and ends with the scope", () =>
    Effect.gen(function* () {
      yield* Interruption.everywhere(
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const cache = yield* Effect.provideService(make(), Scope.Scope, scope)
          const { load, state } = working()
          const policy = { ttl: 0, staleWhileRevalidate: "1 hour" } as const
          yield* cache.set("a", 0, policy)
          return {
            run: cache.execute("a", load, policy),
            check: (exit) => {
              const { refreshing } = cache.inspect()
              assert.strictEqual(refreshing, state.running)
              if (Exit.isSuccess(exit)) assert.strictEqual(refreshing, 1)
              Effect.runSync(Scope.close(scope, Exit.void))
              assert.strictEqual(state.running, 0)
              assert.strictEqual(cache.inspect().refreshing, 0)
            }
          }
        })
      )
    })
  )

  it.effect("the whole cache, made and used and closed", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.sync(() => {
          const { load, state } = working()
          const policy = { ttl: 5, staleWhileRevalidate: 5, staleIfError: "1 hour" } as const
          const use = Effect.gen(function* () {
            const cache = yield* make({ linger: 5 })
            const ask = cache.execute("a", load, policy)
            yield* Effect.all([ask, ask, Effect.andThen(Effect.sleep(10), cache.invalidate("a"))], {
              concurrency: "unbounded"
            })
            yield* ask
            yield* Effect.sleep(10)
            yield* ask
            yield* cache.clear()
          })
          return { run: Effect.scoped(use), check: () => assert.strictEqual(state.running, 0) }
        })
      )
      assert.isAbove(steps, 50)
    })
  )

  it.effect("a store that is asked and written to", () =>
    Effect.gen(function* () {
      yield* Interruption.everywhere(
        Effect.gen(function* () {
          let asking = 0
          const slow = Effect.onExit(
            Effect.andThen(
              Effect.sync(() => void asking++),
              Effect.sleep(10)
            ),
            () => Effect.sync(() => void asking--)
          )
          const scope = yield* Scope.make()
          const store: ResponseCache.Store = {
            get: () => Effect.as(slow, undefined),
            set: () => slow,
            invalidate: () => slow,
            invalidateTag: () => slow,
            clear: () => slow
          }
          const cache = yield* Effect.provideService(make({ store }), Scope.Scope, scope)
          const { load, state } = working()
          return {
            run: Effect.andThen(cache.execute("a", load, { ttl: "1 hour" }), cache.invalidate("a")),
            check: () => {
              Effect.runSync(Scope.close(scope, Exit.void))
              assert.strictEqual(asking, 0)
              assert.strictEqual(state.running, 0)
            }
          }
        })
      )
    })
  )
})

describe("mutant", () => {
  it.effect("a caller who is counted before its leaving is provided for", () =>
    Effect.gen(function* () {
      const flights = Flights.prototype as any
      const { get } = flights
      flights.get = function (_fiber: unknown, key: string, load: unknown, policy: unknown) {
        let early: Exit.Exit<unknown> | undefined
        let late: (exit: Exit.Exit<unknown>) => void = (exit) => void (early = exit)
        const leave = this.wait(undefined, key, load, policy, (exit: Exit.Exit<unknown>) => late(exit))
        return Effect.callback<unknown>((resume) => {
          if (early !== undefined) return resume(early)
          late = resume
          return leave
        })
      }
      const exit = yield* Effect.exit(
        Interruption.everywhere(
          Effect.gen(function* () {
            const cache = yield* make()
            const { load } = working()
            return {
              run: cache.execute("a", load, { ttl: "1 hour" }),
              check: () => assert.strictEqual(cache.inspect().inFlight, 0)
            }
          })
        )
      ).pipe(Effect.ensuring(Effect.sync(() => void (flights.get = get))))
      assert.isTrue(Exit.isFailure(exit))
    })
  )
})
