import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Interruption, Scenario } from "@hawser/testkit"
import { Effect, Exit } from "effect"

/** What keeps this process alive of ports and connections. */
const sockets = () => process.getActiveResourcesInfo().filter((name) => /^(TCP|Pipe)/.test(name)).length

describe("interruption", () => {
  it.effect(
    "at any step leaves no port, no connection and no timer",
    () =>
      Effect.gen(function* () {
        const before = sockets()
        let completed = 0
        const steps = yield* Interruption.everywhere(
          Effect.sync(() => ({
            run: Effect.gen(function* () {
              const node = yield* FaultyNode.make({
                scenario: Scenario.timeline([{ for: "1 second" }, { fault: Scenario.refuse }])
              })
              yield* node.play(Scenario.refuse)
              yield* node.play(Scenario.healthy)
            }).pipe(Effect.scoped),
            check: (exit: Exit.Exit<void, unknown>, step: number) => {
              assert.strictEqual(sockets(), before, `interrupted at step ${step}`)
              if (Exit.isSuccess(exit)) completed++
            }
          }))
        )
        assert.isAbove(steps, 50)
        assert.strictEqual(completed, 1)
      }),
    30_000
  )
})
