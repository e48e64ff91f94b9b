// A random history of several processes that guard one upstream.
import { assert } from "@effect/vitest"
import { Breaker } from "@hawser/breaker"
import { Call } from "@hawser/core"
import { Clock, Deferred, Duration, Effect, Exit, Fiber, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { eventually, fork } from "./help.ts"
import type { Dice } from "./random.ts"
import type { World } from "./worlds.ts"

interface Running {
  readonly process: number
  readonly end: Deferred.Deferred<void, string>
  readonly fiber: Fiber.Fiber<void, unknown>
  readonly isProbe: boolean
  readonly isForced: boolean
  readonly startedAt: number
  /** The openings before it. */
  readonly era: number
}

const openFor = 4_000
const probeLease = 10_000

/** Performs it, checks that the invariants hold, and gives what has happened. */
export const perform = (dice: Dice, world: World): Effect.Effect<ReadonlyArray<unknown>, unknown, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const now = () => clock.currentTimeMillisUnsafe()
    const probes = 1 + dice.below(3)
    const successes = 1 + dice.below(probes)
    const log: Array<unknown> = [{ probes, successes }]
    let running: Array<Running> = []
    let open = { at: -Infinity, until: -Infinity }
    let opening = open
    let era = 0

    const processes = Effect.forEach([0, 1, 2], () =>
      Effect.gen(function* () {
        const breaker = yield* Breaker.make({
          name: "node",
          consecutive: 2,
          openFor,
          maxOpenFor: 4 * openFor,
          jitter: 0,
          probes,
          successes,
          probeLease,
          shared: (yield* world.open).breaker()
        })
        breaker.events.on(({ openFor, to, why }) => {
          if (to === "closed" || to === "half-open") open = { at: -Infinity, until: -Infinity }
          if (to !== "open" || why === "restored") return
          // Who opens what is open already has come too late.
          if (now() >= open.until) opening = { at: now(), until: now() + openFor }
        })
        return breaker
      })
    )

    const start = (process: number, breaker: Breaker.Breaker, isForced: boolean) =>
      Effect.gen(function* () {
        const end = yield* Deferred.make<void, string>()
        let entered = false
        const work = Effect.andThen(
          Effect.sync(() => void (entered = true)),
          Deferred.await(end)
        )
        const isKnownOpen = now() < open.until && now() - open.at >= 1_000
        const fiber = yield* fork(
          Effect.provideService(breaker.execute(work), Call.Insist, isForced ? "probe" : "none")
        )
        yield* eventually(() => entered || fiber.pollUnsafe() !== undefined)
        if (!entered) {
          const error = yield* Effect.flip(Fiber.join(fiber))
          const { reason, retryAfter } = error as Breaker.CircuitOpen
          return log.push({ process, reason, retryAfter: Duration.toMillis(retryAfter) })
        }
        assert.isFalse(isKnownOpen && !isForced, "CB1: it runs although the circuit is open")
        const isProbe = breaker.inspect().state !== "closed"
        running.push({ process, end, fiber, isProbe, isForced, startedAt: now(), era })
        const probing = running.filter((one) => one.isProbe && one.era === era && now() - one.startedAt < probeLease)
        assert.isAtMost(probing.length, probes, "CB2: too many probes")
        return log.push({ process, isProbe })
      })

    let breakers: ReadonlyArray<Breaker.Breaker> = []

    const finish = (one: Running, how: "success" | "failure" | "interrupt") =>
      Effect.gen(function* () {
        running = running.filter((other) => other !== one)
        opening = open
        if (how === "interrupt") yield* Fiber.interrupt(one.fiber)
        else yield* how === "success" ? Deferred.succeed(one.end, undefined) : Deferred.fail(one.end, "broken")
        const exit = yield* Fiber.await(one.fiber)
        log.push({ process: one.process, how, exit: Exit.isSuccess(exit) })
        // Not if the others have heard better: its lease was over.
        if (one.isForced && how === "success") open = { at: -Infinity, until: -Infinity }
        const { retryAfter, state } = breakers[one.process]!.inspect()
        if (opening === open || state !== "open" || now() + retryAfter! !== opening.until) return
        open = opening
        era++
      })

    breakers = yield* processes
    for (let round = 0; round < 80; round++) {
      if (round === 40) {
        for (const one of running) yield* finish(one, "interrupt")
        yield* world.restart
        breakers = yield* processes
      }
      const what = dice.next()
      if (what < 0.4) {
        const process = dice.below(3)
        yield* start(process, breakers[process]!, dice.below(8) === 0)
      } else if (what < 0.75 && running.length > 0) {
        yield* finish(dice.of(running), dice.of(["success", "failure", "failure", "interrupt"]))
      } else yield* TestClock.adjust(dice.of([1, 50, 500, 1_000, 4_000]))
      log.push(breakers.map((breaker) => breaker.inspect().state))
    }

    // CB5: when all is over and time has passed, every process comes to ask again.
    for (const one of running) yield* finish(one, "interrupt")
    for (const breaker of breakers) {
      yield* TestClock.adjust(4 * openFor + probeLease)
      for (let calls = 0; calls < successes; calls++) yield* breaker.execute(Effect.void)
      assert.strictEqual(breaker.inspect().state, "closed", "CB5: it is wedged")
    }
    return log
  })
