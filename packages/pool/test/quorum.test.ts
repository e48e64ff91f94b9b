import { assert, describe, it } from "@effect/vitest"
import { Outcome } from "@hawser/core"
import { Cause, Data, Effect, Exit, Fiber } from "effect"
import { Ballot, Disagreement, type Group, poll } from "../src/internal/quorum.ts"

class Broken extends Data.TaggedError("Broken")<{ readonly n: number }> {}

class Reverted extends Data.TaggedError("Reverted")<{}> {
  readonly [Outcome.TypeId] = Outcome.verdict({ counts: "success", again: "nowhere" })
}

const equal = (a: Group["answer"], b: Group["answer"]) => "value" in a && "value" in b && a.value === b.value

/** Polls upstreams a, b, c, d, which say this in turn, without waiting. */
const polled = (agree: number, script: ReadonlyArray<string | Error>) => {
  let asked = 0
  const ask = Effect.suspend((): Effect.Effect<Ballot, Broken> => {
    const said = script[asked]!
    const name = "abcd"[asked++]!
    if (said instanceof Broken) return Effect.fail(said)
    return said instanceof Error ? Effect.die(said) : Effect.succeed(new Ballot(name, { value: said }))
  })
  return Effect.map(Effect.exit(poll(ask, script.length, agree, equal)), (exit) => ({ exit, asked: () => asked }))
}

describe("a poll", () => {
  it.effect("the larger group wins, whoever spoke first", () =>
    Effect.gen(function* () {
      for (const script of [
        ["1", "2", "2"],
        ["2", "1", "2"]
      ]) {
        const { exit } = yield* polled(2, script)
        assert.deepStrictEqual(Exit.isSuccess(exit) && exit.value.answer, { value: "2" })
      }
    })
  )

  it.effect("asks nobody more once it is decided, and nobody more than it was told to", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* polled(1, ["1", "2", "3"])).asked(), 1)
      let asked = 0
      const never = Effect.suspend(() => {
        asked++
        return Effect.never
      })
      const fiber = yield* Effect.forkChild(poll(never, 3, 2, equal), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(asked, 3)
    })
  )

  it.effect("one that fails before anybody has answered spoils nothing", () =>
    Effect.gen(function* () {
      for (const failure of [new Broken({ n: 1 }), new Error("defect")]) {
        assert.isTrue(Exit.isSuccess((yield* polled(2, [failure, "1", "1"])).exit))
      }
    })
  )

  it.effect("too few answers are the first failure; enough that differ are a disagreement, failures or not", () =>
    Effect.gen(function* () {
      const first = new Broken({ n: 1 })
      const few = yield* polled(2, [first, "1", new Broken({ n: 2 })])
      assert.deepStrictEqual(few.exit, Exit.fail(first))
      const defect = new Error("defect")
      const died = yield* polled(2, [defect, "1", new Broken({ n: 2 })])
      assert.deepStrictEqual(died.exit, Exit.die(defect))
      const split = yield* polled(2, ["1", "2", first])
      assert.isTrue(Exit.isFailure(split.exit))
      const error = Exit.isFailure(split.exit) ? Cause.squash(split.exit.cause) : undefined
      assert.instanceOf(error, Disagreement)
      assert.strictEqual(error._tag, "Disagreement")
      assert.strictEqual(error.message, "2 upstreams had to agree: a against b")
    })
  )

  it.effect("a disagreement names the largest group first", () =>
    Effect.gen(function* () {
      const { exit } = yield* polled(3, ["1", "2", "2", "3"])
      const error = Exit.isFailure(exit) ? (Cause.squash(exit.cause) as Disagreement) : undefined
      assert.strictEqual(error?.needed, 3)
      assert.deepStrictEqual(
        error?.groups.map(({ upstreams }) => upstreams),
        [["b", "c"], ["a"], ["d"]]
      )
      assert.strictEqual(error?.message, "3 upstreams had to agree: b + c against a against d")
    })
  )

  it("a ballot that is an error has the error's verdict, so that nobody else is asked in its place", () => {
    assert.strictEqual(new Ballot("a", { error: new Reverted() })[Outcome.TypeId].again, "nowhere")
    assert.deepStrictEqual(new Ballot("a", { value: 1 })[Outcome.TypeId], Outcome.verdict())
  })
})
