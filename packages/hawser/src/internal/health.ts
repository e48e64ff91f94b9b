// Asks each upstream for its head at an interval, for those who want to know of one that nobody asks. What it finds is
// shown; whether the upstream is asked again is the breaker's to decide, and a success here only permits a probe.
import { Call, JsonRpc, Options as Read } from "@hawser/core"
import { Timeout } from "@hawser/retry"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Random from "effect/Random"

export interface Options {
  /** How often each upstream is asked. Spread by a tenth, and the first time within the first interval. */
  readonly every: Duration.Input
  /** How long an answer may take. Default 5 seconds. */
  readonly timeout?: Duration.Input | undefined
  /** Checks in a row that must fail before it is called unhealthy; the first of all decides alone. Default 2. */
  readonly unhealthyThreshold?: number | undefined
  /** Checks in a row that must succeed before it is called healthy again. Default 1. */
  readonly healthyThreshold?: number | undefined
}

export interface Inspection {
  /** The head it told of last, to us or to a caller. */
  readonly head: number | undefined
  /** Milliseconds since the last check ended, if there was one. */
  readonly checked: number | undefined
  /** Whether it is healthy, by the thresholds: not whether the last check succeeded. `undefined` before the first. */
  readonly ok: boolean | undefined
  /** The checks in a row that failed, up to the last one. */
  readonly streak: number
}

const blockNumber = JsonRpc.makeRequest("eth_blockNumber")

export const layer = (options: Options) => {
  const given = Read.read("Health", options, {
    every: Read.duration(),
    timeout: Read.duration({ default: "5 seconds" }),
    unhealthyThreshold: Read.integer({ min: 1, default: 2 }),
    healthyThreshold: Read.integer({ min: 1, default: 1 })
  })
  return <E, LE, R>(self: Layer.Layer<JsonRpc.Upstream<E>, LE, R>): Layer.Layer<JsonRpc.Upstream<E>, LE, R> =>
    JsonRpc.transform(self, "health", (below: JsonRpc.Service<E>, events) =>
      Effect.gen(function* () {
        const clock = yield* Clock.Clock
        const random = yield* Random.Random
        const timeout = yield* Timeout.make(given.timeout)
        let head: number | undefined
        let checked: number | undefined
        let ok: boolean | undefined
        let failures = 0
        let successes = 0

        const settle = (success: boolean) => {
          checked = Call.now(clock)
          failures = success ? 0 : failures + 1
          successes = success ? successes + 1 : 0
          const isEnough = success ? successes >= given.healthyThreshold : failures >= given.unhealthyThreshold
          if (ok === success || (ok !== undefined && !isEnough)) return
          ok = success
          if (events.active) events.emit({ type: ok ? "healthy" : "unhealthy" })
        }
        const seen = (request: JsonRpc.Request, result: unknown) => {
          if (request.method === "eth_blockNumber" && typeof result === "string") head = Number(result)
        }
        const check = timeout.execute(below.request(blockNumber)).pipe(
          Effect.provideService(Call.Insist, "health"),
          Effect.provideService(Call.Current, undefined),
          Effect.exit,
          Effect.map((exit) => {
            if (exit._tag === "Success") seen(blockNumber, exit.value)
            settle(exit._tag === "Success")
          })
        )
        const spread = () => Duration.millis(given.every * (0.9 + 0.2 * random.nextDoubleUnsafe()))
        yield* Effect.forkScoped(
          Effect.andThen(
            clock.sleep(Duration.millis(given.every * random.nextDoubleUnsafe())),
            Effect.forever(
              Effect.andThen(
                check,
                Effect.suspend(() => clock.sleep(spread()))
              )
            )
          )
        )
        return {
          request: (request: JsonRpc.Request) =>
            request.method === "eth_blockNumber"
              ? Effect.tap(below.request(request), (result) => Effect.sync(() => seen(request, result)))
              : below.request(request),
          inspect: (): Inspection => ({
            head,
            checked: checked === undefined ? undefined : Call.now(clock) - checked,
            ok,
            streak: failures
          })
        }
      })
    )
}
