import { assert, describe, it } from "@effect/vitest"
import { Call, Events, JsonRpc, Trace } from "@hawser/core"
import { Clock, Data, Effect, Exit, Fiber, Layer, Tracer } from "effect"
import { TestClock } from "effect/testing"

class Broken extends Data.TaggedError("Broken")<{}> {}

/** A client that takes ten milliseconds and notes whom it asked. */
const slow = Layer.succeed(JsonRpc.client<Broken>())({
  name: "slow",
  request: ({ method }) =>
    Call.use((call) =>
      Effect.gen(function* () {
        const clock = yield* Clock.Clock
        Call.note(call, clock, () => ({ step: "ask", upstream: "a", attempt: 1 }))
        yield* Effect.sleep("10 millis")
        if (method === "broken") return yield* Effect.fail(new Broken())
        Call.note(call, clock, () => ({ step: "answer", upstream: "a", outcome: "success" }))
        return method
      })
    ),
  inspect: () => ({ name: "slow" })
})

const run = <A, E>(self: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.exit(self), { startImmediately: true })
    yield* TestClock.adjust("10 millis")
    return yield* Fiber.join(fiber)
  })

const built = (options?: Trace.Options) =>
  Effect.gen(function* () {
    const hub = Events.make<JsonRpc.Event>()
    const heard: Array<JsonRpc.Event> = []
    const context = yield* Layer.build(
      slow.pipe(Trace.layer(options), Layer.provide(Layer.succeed(JsonRpc.Observer)(hub)))
    )
    const rpc = yield* Effect.provide(JsonRpc.client<Broken>(), context)
    return {
      heard,
      listen: () => hub.on((event) => heard.push(event)),
      ask: (method: string) => rpc.request(JsonRpc.makeRequest(method))
    }
  })

describe("a caller without a fiber", () => {
  const built = (options?: Trace.Options) =>
    Effect.gen(function* () {
      const hub = Events.make<JsonRpc.Event>()
      const place: JsonRpc.Place = { leave: () => Effect.void }
      const below = Layer.succeed(JsonRpc.client<never>())({
        name: "below",
        request: () => Effect.never,
        submit: () => place,
        inspect: () => ({ name: "below" })
      })
      const context = yield* Layer.build(
        below.pipe(Trace.layer(options), Layer.provide(Layer.succeed(JsonRpc.Observer)(hub)))
      )
      const rpc = yield* Effect.provide(JsonRpc.client<never>(), context)
      return {
        hub,
        isTaken: () => rpc.submit?.(JsonRpc.makeRequest("eth_chainId"), { end: () => {} }) === place
      }
    })

  it.effect("is let through while there is nothing to tell", () =>
    Effect.gen(function* () {
      const { hub, isTaken } = yield* built()
      assert.isTrue(isTaken())
      const off = hub.on(() => {})
      assert.isFalse(isTaken())
      off()
      assert.isTrue(isTaken())
      assert.isFalse((yield* built({ spans: true })).isTaken())
    })
  )
})

describe("events", () => {
  it.effect("tell of a call that was answered, with its report", () =>
    Effect.gen(function* () {
      const { ask, heard, listen } = yield* built()
      listen()
      assert.deepStrictEqual(yield* run(ask("eth_chainId")), Exit.succeed("eth_chainId"))
      assert.strictEqual(heard.length, 1)
      assert.deepInclude(heard[0], {
        layer: "call",
        type: "answered",
        upstream: "slow",
        method: "eth_chainId",
        duration: 10,
        error: undefined
      })
      const report = heard[0]!["report"] as Call.Report
      assert.deepStrictEqual(report.steps, [
        { at: 0, step: "ask", upstream: "a", attempt: 1 },
        { at: 10, step: "answer", upstream: "a", outcome: "success" }
      ])
      assert.strictEqual(report.answeredBy, "a")
    })
  )

  it.effect("of one that failed, and of one that was given up", () =>
    Effect.gen(function* () {
      const { ask, heard, listen } = yield* built()
      const off = listen()
      yield* run(ask("broken"))
      assert.deepInclude(heard[0], { type: "failed", error: "Broken" })
      const fiber = yield* Effect.forkChild(ask("eth_chainId"), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.deepInclude(heard[1], { type: "interrupted", error: undefined })
      off()
      yield* run(ask("broken"))
      assert.strictEqual(heard.length, 2)
    })
  )

  it.effect("share the report of a call that is explained", () =>
    Effect.gen(function* () {
      const { ask, heard, listen } = yield* built()
      listen()
      const exit = yield* run(JsonRpc.explain(ask("eth_chainId")))
      assert.isTrue(Exit.isSuccess(exit))
      if (Exit.isSuccess(exit)) assert.strictEqual(exit.value.report, heard[0]!["report"])
    })
  )
})

describe("while nobody listens", () => {
  it.effect("nothing is recorded", () => {
    let recorder: unknown = "not asked"
    const looking = Layer.succeed(JsonRpc.client<never>())({
      name: "looking",
      request: () =>
        Effect.map(Call.Current, (call) => {
          recorder = call?.recorder
        }),
      inspect: () => ({ name: "looking" })
    })
    return Effect.gen(function* () {
      const rpc = yield* JsonRpc.client<never>()
      yield* rpc.request(JsonRpc.makeRequest("eth_chainId"))
      assert.strictEqual(recorder, undefined)
    }).pipe(Effect.provide(looking.pipe(Trace.layer())))
  })
})

describe("spans", () => {
  const collecting = () => {
    const spans: Array<Tracer.NativeSpan> = []
    const tracer = Tracer.make({
      span: (options) => {
        const span = new Tracer.NativeSpan(options)
        spans.push(span)
        return span
      }
    })
    return { spans, tracer: Layer.succeed(Tracer.Tracer)(tracer) }
  }

  it.effect("are named after the method and say what happened", () => {
    const { spans, tracer } = collecting()
    return Effect.gen(function* () {
      const { ask } = yield* built({ spans: true })
      yield* run(ask("eth_chainId"))
      yield* run(ask("broken"))
      const [answered, failed] = spans
      assert.strictEqual(answered!.name, "eth_chainId")
      assert.deepStrictEqual(Object.fromEntries(answered!.attributes), {
        "rpc.system": "jsonrpc",
        "rpc.method": "eth_chainId",
        "hawser.requests": 1,
        "hawser.stale": false,
        "hawser.degraded": false,
        "hawser.answered_by": "a"
      })
      assert.deepStrictEqual(
        answered!.events.map(([name, , attributes]) => [name, attributes]),
        [
          ["hawser.ask", { upstream: "a", attempt: 1 }],
          ["hawser.answer", { upstream: "a", outcome: "success" }]
        ]
      )
      assert.strictEqual(answered!.events[1]![1] - answered!.events[0]![1], 10_000_000n)
      assert.isFalse(failed!.attributes.has("hawser.answered_by"))
      assert.isTrue(failed!.status._tag === "Ended" && Exit.isFailure(failed!.status.exit))
    }).pipe(Effect.provide(tracer))
  })

  it.effect("are not made unless asked for", () => {
    const { spans, tracer } = collecting()
    return Effect.gen(function* () {
      const { ask, listen } = yield* built()
      listen()
      yield* run(ask("eth_chainId"))
      assert.strictEqual(spans.length, 0)
    }).pipe(Effect.provide(tracer))
  })

  it("the option is checked", () => {
    assert.throws(() => Trace.layer({ spans: 1 } as never), "Trace.spans takes true or false, got 1")
  })
})
