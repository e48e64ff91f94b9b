import { assert, describe, it } from "@effect/vitest"
import { Call, JsonRpc, Options, Outcome } from "@hawser/core"
import { Deadline, Fallback } from "@hawser/retry"
import { Interruption } from "@hawser/testkit"
import { Cause, Context, Data, Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { expectTypeOf } from "vitest"
import { Boom, built, client, read, sleep, upstream, work } from "./support.ts"

class Stale extends Data.TaggedError("Stale")<{ readonly age: number }> {}

const boom = new Boom({ n: 1 })
const stale = new Stale({ age: 7 })

/** What a cause says went wrong, in order. */
const failures = (exit: Exit.Exit<unknown, unknown>): ReadonlyArray<unknown> =>
  Exit.isSuccess(exit)
    ? []
    : exit.cause.reasons.map((reason) => (Cause.isFailReason(reason) ? reason.error : reason._tag))

describe("execute", () => {
  it.effect("FB1: while all is well the fallback is never thought of", () =>
    Effect.gen(function* () {
      const fallback = yield* Fallback.make({
        on: () => assert.fail("asked"),
        run: () => assert.fail("run")
      })
      assert.strictEqual(yield* fallback.execute(Effect.succeed(1)), 1)
      assert.deepStrictEqual(fallback.inspect(), { used: 0, failed: 0 })
    })
  )

  it.effect("FB2: it is for the failures it names, by tag, tags or predicate", () =>
    Effect.gen(function* () {
      const run = () => Effect.succeed("instead")
      const byTag = yield* Fallback.make({ on: "Boom", run })
      const byTags = yield* Fallback.make({ on: ["Boom", "Stale"], run })
      const byPredicate = yield* Fallback.make({ on: (error: Boom | Stale) => error._tag === "Stale", run })
      const ask = (error: Boom | Stale) => Effect.fail(error) as Effect.Effect<number, Boom | Stale>
      assert.strictEqual(yield* byTag.execute(ask(boom)), "instead")
      assert.strictEqual(yield* Effect.flip(byTag.execute(ask(stale))), stale)
      assert.strictEqual(yield* byTags.execute(ask(boom)), "instead")
      assert.strictEqual(yield* byTags.execute(ask(stale)), "instead")
      assert.strictEqual(yield* Effect.flip(byPredicate.execute(ask(boom))), boom)
      assert.strictEqual(yield* byPredicate.execute(ask(stale)), "instead")
      // What carries no tag has no name.
      const anything = yield* Fallback.make({ on: ["Boom"] as ReadonlyArray<string>, run })
      for (const error of [undefined, null, "Boom", { tag: "Boom" }]) {
        assert.strictEqual(yield* Effect.flip(anything.execute(Effect.fail(error))), error)
      }
    })
  )

  it.effect("FB2: defects and interruption pass, also beside a failure that it names", () =>
    Effect.gen(function* () {
      const fallback = yield* Fallback.make({ on: () => true, run: () => Effect.succeed("instead") })
      for (const self of [
        Effect.die("bug"),
        Effect.interrupt,
        Effect.ensuring(Effect.fail(boom), Effect.die("bug")),
        Effect.failCause(Cause.combine(Cause.fail(boom), Cause.interrupt(1)))
      ]) {
        const exit = yield* Effect.exit(Effect.flatMap(Effect.forkChild(fallback.execute(self)), Fiber.join))
        assert.isTrue(Exit.isFailure(exit))
      }
      assert.deepStrictEqual(fallback.inspect(), { used: 0, failed: 0 })
    })
  )

  it.effect("FB3: if it fails, too, the exit holds both failures, the first one first", () =>
    Effect.gen(function* () {
      for (const [second, expected] of [
        [Effect.fail(stale), stale],
        [Effect.die("bug"), "Die"]
      ] as const) {
        const fallback = yield* Fallback.make({ on: "Boom", run: () => second })
        const events: Array<Fallback.Event> = []
        fallback.events.on((event) => events.push(event))
        const exit = yield* Effect.exit(fallback.execute(Effect.fail(boom)))
        assert.deepStrictEqual(failures(exit), [boom, expected])
        assert.deepStrictEqual(fallback.inspect(), { used: 0, failed: 1 })
        assert.deepStrictEqual(events, [{ type: "failed", error: boom }])
      }
      // To whoever judges the exit it is a failure, as it was without the fallback.
      const fallback = yield* Fallback.make({ on: "Boom", run: () => Effect.fail(stale) })
      assert.strictEqual(Outcome.ofExit(yield* Effect.exit(fallback.execute(Effect.fail(boom)))), "failure")
    })
  )

  it.effect("FB5: in a chain each runs at most once, in order, the outer for what the inner leaves", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      const step = (name: string, result: Effect.Effect<string, Stale | Boom>) =>
        Fallback.make({ on: () => true, run: () => Effect.suspend(() => (ran.push(name), result)) })
      const inner = yield* step("inner", Effect.fail(stale))
      const outer = yield* step("outer", Effect.succeed("outer"))
      assert.strictEqual(yield* outer.execute(inner.execute(Effect.fail(boom))), "outer")
      assert.deepStrictEqual(ran, ["inner", "outer"])
    })
  )

  it.effect("FB5: none is run after the deadline, one is cut short by it", () =>
    Effect.gen(function* () {
      const { counts, effect } = work(400)
      const fallback = yield* Fallback.make({ on: "Boom", run: () => effect })
      const run = (failsAfter: number) =>
        Effect.gen(function* () {
          const deadline = yield* Deadline.make(500)
          const fiber = yield* Effect.forkChild(
            Effect.exit(deadline.execute(fallback.execute(Effect.andThen(sleep(failsAfter), Effect.fail(boom)))))
          )
          yield* TestClock.adjust("10 seconds")
          return yield* Fiber.join(fiber)
        })
      assert.deepStrictEqual(yield* run(99), Exit.succeed(1))
      assert.instanceOf(failures(yield* run(101))[0], Call.DeadlineExceeded)
      assert.deepStrictEqual(counts, { started: 2, interrupted: 1, finished: 2 })
      // Nobody above to cut it short, but the time is over.
      const late = Call.use((call) => {
        call.deadline = 0
        return fallback.execute(Effect.fail(boom))
      })
      assert.deepStrictEqual(failures(yield* Effect.exit(late)), [boom])
      assert.strictEqual(counts.started, 2)
    })
  )

  it.effect("is a call of its own: all its attempts, and the deadline that held when the effect began", () =>
    Effect.gen(function* () {
      const inside = yield* Deadline.make(100)
      const fallback = yield* Fallback.make({ on: "DeadlineExceeded", run: () => Call.use(Effect.succeed) })
      const call = new Call.Call()
      Call.limit(call, 0)
      call.deadline = 5000
      const fiber = yield* Effect.forkChild(
        Effect.provideService(fallback.execute(inside.execute(Effect.never)), Call.Current, call)
      )
      yield* TestClock.adjust("1 second")
      const own = yield* Fiber.join(fiber)
      assert.notStrictEqual(own, call)
      // The deadline further in is what it stands in for; that of the caller holds.
      assert.strictEqual(call.deadline, 100)
      assert.strictEqual(own.deadline, 5000)
      assert.isTrue(Call.spend(own))
    })
  )

  it.effect("FB6: the report says whose answer it is, on every path", () =>
    Effect.gen(function* () {
      const fallback = yield* Fallback.make({ on: "Boom", run: () => Effect.succeed("instead") })
      const failing = yield* Fallback.make({ on: "Boom", run: () => Effect.fail(stale) })
      const report = <A, E>(self: Effect.Effect<A, E>) =>
        Effect.map(JsonRpc.explain(Effect.exit(self)), ({ report }) => [report.degraded, report.steps] as const)
      assert.deepStrictEqual(yield* report(fallback.execute(Effect.succeed(1) as Effect.Effect<number, Boom>)), [
        false,
        []
      ])
      assert.deepStrictEqual(yield* report(failing.execute(Effect.fail(boom))), [false, []])
      assert.deepStrictEqual(yield* report(fallback.execute(Effect.fail(boom))), [
        true,
        [{ at: 0, step: "fallback", error: "Boom" }]
      ])
    })
  )

  it.effect("leaves nothing behind, wherever it is interrupted", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.gen(function* () {
          const { counts, effect } = work(20)
          const fallback = yield* Fallback.make({ on: "Boom", run: () => effect })
          return {
            run: fallback.execute(Effect.andThen(sleep(20), Effect.fail(boom))),
            check: () => assert.strictEqual(counts.finished, counts.started)
          }
        })
      )
      assert.isAbove(steps, 8)
    })
  )
})

describe("layer", () => {
  it.effect("answers instead of a client, with the request and the failure in hand", () =>
    Effect.gen(function* () {
      const service = yield* built(
        client(() => Effect.fail(boom)).pipe(
          Fallback.layer({ on: "Boom", run: (error, request) => Effect.succeed([request.method, error.n]) })
        )
      )
      assert.deepStrictEqual(yield* service.request(read), ["eth_blockNumber", 1])
      assert.deepStrictEqual(service.inspect(), { name: "pool", fallback: { used: 1, failed: 0 } })
    })
  )

  it.effect("takes what it needs when it is built, and leaves the caller what is the caller's", () => {
    class Archive extends Context.Service<Archive, { readonly answer: string }>()("test/Archive") {}
    const Flag = Context.Reference<string>("test/Flag", { defaultValue: () => "default" })
    const live = client(() => Effect.fail(boom)).pipe(
      Fallback.layer({
        on: "Boom",
        run: () =>
          Effect.gen(function* () {
            return `${(yield* Archive).answer} ${yield* Flag}`
          })
      })
    )
    expectTypeOf(live).toEqualTypeOf<Layer.Layer<JsonRpc.Client<Boom>, never, Archive>>()
    return Effect.gen(function* () {
      const service = yield* built(
        live.pipe(Layer.provide([Layer.succeed(Archive)({ answer: "old" }), Layer.succeed(Flag)("builder")]))
      )
      assert.strictEqual(yield* Effect.provideService(service.request(read), Flag, "caller"), "old caller")
    })
  })

  it("wrong options are refused where they are given", () => {
    const run = () => Effect.void
    for (const [options, message] of [
      [{ run }, "Fallback.on takes a tag, a list of tags, or a predicate"],
      [{ on: [], run }, "Fallback.on takes a tag"],
      [{ on: 1, run }, "Fallback.on takes a tag"],
      [{ on: "Boom" }, "Fallback.run takes a function"],
      [{ on: "Boom", run, after: 1 }, "Fallback.after takes no value"]
    ] as const) {
      assert.throws(() => Fallback.make(options as never), Options.InvalidOption, message)
      assert.throws(() => Fallback.layer(options as never), Options.InvalidOption, message)
    }
  })
})

describe("types", () => {
  const below = client((): Effect.Effect<unknown, Boom> => Effect.never)

  it("the fallback's failures join those below, which stay", () => {
    const combinator = Fallback.layer({ on: "Boom", run: () => Effect.fail(stale) })
    expectTypeOf(below.pipe(combinator)).toEqualTypeOf<Layer.Layer<JsonRpc.Client<Boom | Stale>>>()
    const sure = Fallback.layer({ on: (error: Boom) => error.n > 0, run: () => Effect.succeed(1) })
    expectTypeOf(below.pipe(sure)).toEqualTypeOf<Layer.Layer<JsonRpc.Client<Boom>>>()
    const run = (
      fallback: Fallback.Fallback<any, "Boom", string, Stale, "other">,
      effect: Effect.Effect<number, Boom, "need">
    ) => fallback.execute(effect)
    expectTypeOf(run).returns.toEqualTypeOf<Effect.Effect<number | string, Boom | Stale, "need" | "other">>()
  })

  it("what cannot go wrong below cannot be named", () => {
    const run = () => Effect.succeed(1)
    // @ts-expect-error: nothing below fails with Stale
    below.pipe(Fallback.layer({ on: "Stale", run }))
    const combinator = Fallback.layer({ on: ["Boom", "Stale"], run })
    // @ts-expect-error: nor when it was kept in a const first
    below.pipe(combinator)
    // @ts-expect-error: nor by a predicate
    below.pipe(Fallback.layer({ on: (error) => error._tag === "Stale", run }))
    // @ts-expect-error: it is for clients, not for one upstream
    upstream((): Effect.Effect<unknown, Boom> => Effect.never).pipe(Fallback.layer({ on: "Boom", run }))
    const wrong = (fallback: Fallback.Fallback<any, "Stale", number, never, never>) =>
      // @ts-expect-error: this fails with Boom alone
      fallback.execute(Effect.fail(boom))
    expectTypeOf(wrong).toBeFunction()
  })
})
