import { assert, describe, it } from "@effect/vitest"
import { Outcome } from "@hawser/core"
import { Interruption } from "@hawser/testkit"
import { Effect, Exit } from "effect"

const work = Effect.sleep("20 millis").pipe(
  Effect.as(1),
  Effect.map((n) => n + 1)
)

describe("everywhere", () => {
  it.effect("interrupts at every step, and once not at all", () =>
    Effect.gen(function* () {
      const ends: Array<boolean> = []
      const steps = yield* Interruption.everywhere(
        Effect.sync(() => ({ run: work, check: (exit: Exit.Exit<number>) => void ends.push(Exit.isSuccess(exit)) }))
      )
      assert.strictEqual(ends.length, steps + 1)
      assert.isAbove(steps, 5)
      assert.isFalse(ends[0])
      assert.isTrue(ends.at(-1))
    })
  )

  it.effect("finds the permit that is lost between acquiring it and promising to release it", () =>
    Effect.gen(function* () {
      const leaks = (hold: (count: (by: number) => void) => Effect.Effect<number>) =>
        Effect.gen(function* () {
          let leaked = 0
          yield* Interruption.everywhere(
            Effect.sync(() => {
              let held = 0
              return { run: hold((by) => void (held += by)), check: () => void (leaked += held) }
            })
          )
          return leaked
        })
      const late = yield* leaks((count) =>
        Effect.suspend(() => {
          count(1)
          return Effect.onExit(work, () => Effect.sync(() => count(-1)))
        })
      )
      const guarded = yield* leaks((count) =>
        Outcome.guard(
          work,
          () => {
            count(1)
            return {}
          },
          () => count(-1)
        )
      )
      assert.isAbove(late, 0)
      assert.strictEqual(guarded, 0)
    })
  )

  it.effect("a fiber left asleep is a failure", () =>
    Effect.gen(function* () {
      const exit = yield* Effect.exit(
        Interruption.everywhere(
          Effect.sync(() => ({ run: Effect.forkDetach(Effect.sleep("1 hour")), check: () => {} }))
        )
      )
      assert.isTrue(Exit.isFailure(exit))
    })
  )
})
