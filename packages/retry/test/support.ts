import { Call, JsonRpc, Outcome } from "@hawser/core"
import { Clock, Context, Data, Duration, Effect, Exit, Layer } from "effect"

export class Boom extends Data.TaggedError("Boom")<{ readonly n: number }> {}

/** An error with a verdict. */
export class Judged extends Data.TaggedError("Judged")<{ readonly [Outcome.TypeId]: Outcome.Verdict }> {}

export const judged = (fields: Partial<Outcome.Verdict>): Judged =>
  new Judged({ [Outcome.TypeId]: Outcome.verdict(fields) })

/** A clock that knows who sleeps, and how often somebody went to sleep. */
export interface Watch extends Clock.Clock {
  sleeping: number
  slept: number
}

/** Puts a {@link Watch} before the clock there is. */
export const watched = <A, E, R>(f: (watch: Watch) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.clockWith((clock) => {
    // Over the clock, so that it still is the test's, whose time can be moved.
    const watch: Watch = Object.assign(Object.create(clock) as Clock.Clock, {
      sleeping: 0,
      slept: 0,
      sleep: (duration: Duration.Duration) =>
        Outcome.guard(
          clock.sleep(duration),
          () => {
            watch.sleeping++
            watch.slept++
            return watch
          },
          () => void watch.sleeping--
        )
    })
    return Effect.provideService(f(watch), Clock.Clock, watch)
  })

/** The time since a test began, in milliseconds. */
export const now: Effect.Effect<number> = Effect.clockWith((clock) => Effect.succeed(Call.now(clock)))

export const sleep = (millis: number): Effect.Effect<void> => Effect.sleep(Duration.millis(millis))

/** Answers with its number, or fails with it, after the time given; counts how often it was started and ended. */
export const work = (millis: number, outcome: "answer" | "fail" = "answer") => {
  const counts = { started: 0, interrupted: 0, finished: 0 }
  const effect = Effect.suspend(() => {
    let n = 0
    const result = Effect.suspend(() => (outcome === "answer" ? Effect.succeed(n) : Effect.fail(new Boom({ n }))))
    return Outcome.guard(
      Effect.andThen(sleep(millis), result),
      () => {
        n = ++counts.started
        return counts
      },
      (_, exit) => {
        counts.finished++
        if (Exit.hasInterrupts(exit)) counts.interrupted++
      }
    )
  })
  return { counts, effect }
}

/** A client that does as it is told. */
export const client = <E>(request: (request: JsonRpc.Request) => Effect.Effect<unknown, E>, name = "pool") =>
  Layer.succeed(JsonRpc.client<E>())({ name, request, inspect: () => ({ name }) })

/** An upstream that does as it is told. */
export const upstream = <E>(request: (request: JsonRpc.Request) => Effect.Effect<unknown, E>, name = "a") =>
  Layer.succeed(JsonRpc.upstream<E>())({ name, request, inspect: () => ({ name }) })

/** A client whose reads need no fiber, and end when the test says so. Whatever else it is asked it answers at once. */
export const fiberless = () => {
  const state = { asked: 0, left: 0, caller: undefined as JsonRpc.Caller | undefined }
  const layer = Layer.succeed(JsonRpc.client<never>())({
    name: "a",
    contextFree: true,
    inspect: () => ({ name: "a" }),
    request: ({ method }) =>
      Effect.sync(() => {
        state.asked++
        return method
      }),
    submit: (request, caller) => {
      if (request.nature !== "read") return undefined
      state.caller = caller
      return { leave: () => Effect.sync(() => void state.left++) }
    }
  })
  return { layer, state }
}

/** Builds a stack and gives the service at its top. */
export const built = <T extends JsonRpc.Tier, E, LE>(layer: Layer.Layer<JsonRpc.JsonRpc<T, E>, LE>) =>
  Effect.map(Layer.build(layer), (context): JsonRpc.Service<E> => Context.get(context, JsonRpc.client<E>() as never))

export const read = JsonRpc.makeRequest("eth_blockNumber")
export const write = JsonRpc.makeRequest("eth_sendRawTransaction", ["0x"])
