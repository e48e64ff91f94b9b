import { assert, describe, it } from "@effect/vitest"
import { Events } from "@hawser/core"
import { Effect, Fiber, Stream } from "effect"

describe("Hub", () => {
  it("is inactive until somebody listens and after the last has gone", () => {
    const hub = Events.make<number>()
    const heard: Array<number> = []
    const listener = (n: number) => heard.push(n)
    assert.isFalse(hub.active)
    const off = hub.on(listener)
    const offTwin = hub.on(listener)
    hub.emit(1)
    off()
    hub.emit(2)
    off()
    hub.emit(3)
    offTwin()
    assert.deepStrictEqual(heard, [1, 1, 2, 3])
    assert.isFalse(hub.active)
  })

  it("a listener that throws disturbs neither the emitter nor the others", async () => {
    const hub = Events.make<number>()
    const heard: Array<number> = []
    const uncaught: Array<unknown> = []
    const listeners = process.listeners("uncaughtException")
    process.removeAllListeners("uncaughtException")
    process.once("uncaughtException", (error) => uncaught.push(error))
    hub.on(() => {
      throw new Error("mine")
    })
    hub.on((n) => heard.push(n))
    hub.emit(1)
    await new Promise((resolve) => setImmediate(resolve))
    for (const listener of listeners) process.on("uncaughtException", listener)
    assert.deepStrictEqual(heard, [1])
    assert.strictEqual((uncaught[0] as Error).message, "mine")
  })

  it("into hands on only while somebody listens there", () => {
    const hub = Events.make<string>()
    const sink = Events.into(hub, (n: number) => `#${n}`)
    assert.isFalse(sink.active)
    const heard: Array<string> = []
    hub.on((s) => heard.push(s))
    assert.isTrue(sink.active)
    sink.emit(1)
    assert.deepStrictEqual(heard, ["#1"])
  })
})

describe("stream", () => {
  it.effect("carries events in order and stops listening when its consumer stops", () =>
    Effect.gen(function* () {
      const hub = Events.make<number>()
      const fiber = yield* Effect.forkChild(Stream.runCollect(Stream.take(Events.stream(hub), 3)), {
        startImmediately: true
      })
      while (!hub.active) yield* Effect.yieldNow
      for (const n of [1, 2, 3, 4]) hub.emit(n)
      assert.deepStrictEqual(yield* Fiber.join(fiber), [1, 2, 3])
      assert.isFalse(hub.active)
    })
  )
})
