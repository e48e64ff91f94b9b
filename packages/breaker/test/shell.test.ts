/** The same commands, once on the pure core and once on fibers and a `TestClock`: both must show the same. */
import { assert, describe, it } from "@effect/vitest"
import { Breaker } from "@hawser/breaker"
import { Call, Outcome } from "@hawser/core"
import { Clock, Data, Deferred, Duration, Effect, Exit, Fiber, Random } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import * as Machine from "../src/internal/machine.ts"
import * as Snapshot from "../src/internal/snapshot.ts"
import { Permit } from "../src/internal/state.ts"
import type { Command, Sketch } from "./trace.ts"
import { commands, dice, settingsOf, sketch } from "./trace.ts"

class Busy extends Data.TaggedError("Busy")<{ readonly hint: number }> {
  readonly [Outcome.TypeId] = Outcome.verdict({ retryAfter: Duration.millis(this.hint) })
}

const optionsOf = (sketch: Sketch): Breaker.Options => ({
  consecutive: sketch.consecutive === Infinity ? false : sketch.consecutive,
  rate: sketch.rate === Infinity ? false : sketch.rate,
  minimumCalls: sketch.minimumCalls,
  window: "calls" in sketch.window ? sketch.window : sketch.window.millis,
  slow: sketch.slowAfter === Infinity ? false : { after: sketch.slowAfter, rate: sketch.slowRate },
  openFor: sketch.base,
  maxOpenFor: sketch.maxOpenFor,
  jitter: sketch.jitter,
  probes: sketch.probes,
  successes: sketch.successes,
  probeLease: sketch.probeLease,
  recovery: sketch.recovery
})

interface Running {
  readonly fiber: Fiber.Fiber<void, Busy | Breaker.CircuitOpen>
  readonly gate: Deferred.Deferred<void, Busy>
  readonly permit: Permit
}

const replay = (sketch: Sketch, commands: ReadonlyArray<Command>) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const breaker = yield* Breaker.make(optionsOf(sketch))
    const events: Array<Breaker.Transition> = []
    breaker.events.on((event) => events.push(event))
    const machine = Machine.make(settingsOf(sketch), Call.now(clock))
    const calls: Array<Running> = []

    for (const command of commands) {
      switch (command.do) {
        case "call": {
          const result = Machine.acquire(machine, Call.now(clock), () => command.insists)
          const gate = yield* Deferred.make<void, Busy>()
          const fiber = yield* breaker
            .execute(Deferred.await(gate))
            .pipe(Effect.provideService(Call.Insist, command.insists), Effect.forkChild({ startImmediately: true }))
          if (result instanceof Permit) calls.push({ fiber, gate, permit: result })
          else {
            const error = yield* Effect.flip(Fiber.join(fiber))
            assert.instanceOf(error, Breaker.CircuitOpen)
            assert.strictEqual(error.reason, result.reason)
            assert.strictEqual(Duration.toMillis(error.retryAfter), Math.ceil(result.retryAfter))
          }
          break
        }
        case "end": {
          const call = calls[Math.max(0, calls.length - 1 - command.which)]
          if (call === undefined || call.fiber.pollUnsafe() !== undefined) break
          const { outcome } = command
          Machine.settle(machine, call.permit, outcome, Call.now(clock), command.hint)
          if (outcome === "neutral") yield* Fiber.interrupt(call.fiber)
          else if (outcome === "success") yield* Deferred.succeed(call.gate, undefined)
          else yield* Deferred.fail(call.gate, new Busy({ hint: command.hint }))
          const exit = yield* Fiber.await(call.fiber)
          assert.strictEqual(Exit.isSuccess(exit), outcome === "success")
          break
        }
        case "wait":
          yield* TestClock.adjust(Math.abs(command.millis))
          break
        case "isolate":
          Machine.isolate(machine, Call.now(clock))
          breaker.isolate()
          break
        case "reset":
          Machine.reset(machine, Call.now(clock))
          breaker.reset()
          break
      }
      assert.deepStrictEqual(breaker.inspect(), Snapshot.inspect(machine, Call.now(clock)))
      assert.deepStrictEqual(
        events.splice(0),
        machine.moves.splice(0).map((move) => ({ type: "transition" as const, ...move }))
      )
    }
  })

describe("fibers and the core", () => {
  it("CB10: a history of concurrent calls is that of the core, in some order: the order in which they ended", () =>
    fc.assert(
      fc.asyncProperty(sketch, commands, (sketch, commands) => {
        const opening = { ...sketch, base: Math.max(1, sketch.base) }
        const random = dice(sketch.seed)
        return replay(opening, commands).pipe(
          Effect.scoped,
          Effect.provideService(Random.Random, { nextIntUnsafe: random, nextDoubleUnsafe: random }),
          Effect.provide(TestClock.layer()),
          Effect.runPromise
        )
      }),
      { numRuns: 60 }
    ))
})
