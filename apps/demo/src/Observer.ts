/** Logs what changes at an upstream: one structured line for each change of state. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Events, JsonRpc } from "hawser"

/** To be provided to a stack. */
export const layer: Layer.Layer<never> = Layer.effect(JsonRpc.Observer)(
  Effect.gen(function* () {
    const hub = Events.make<JsonRpc.Event>()
    yield* Effect.forkScoped(Stream.runForEach(Events.stream(hub), log), { startImmediately: true })
    return hub
  })
)

const log = (event: JsonRpc.Event): Effect.Effect<void> => {
  const { layer, upstream } = event
  const line = (message: string, details: Record<string, unknown> = {}) =>
    Effect.annotateLogs(Effect.logInfo(message), { upstream, ...details })
  switch (`${layer} ${event.type}`) {
    case "breaker transition":
      return line(`breaker ${String(event["to"])}`, {
        from: event["from"],
        why: event["why"],
        ...(event["to"] === "open" ? { seconds: seconds(event["openFor"]) } : {})
      })
    case "rateLimit paused":
      return line("paused", { seconds: seconds(event["for"]) })
    case "rateLimit resumed":
      return line("pause is over")
    case "chain wrong-chain":
      return line("wrong chain", { expected: event["expected"], actual: event["actual"] })
    case "health healthy":
      return line("healthy by its checks")
    case "health unhealthy":
      return line("unhealthy by its checks")
  }
  // Single requests are for metrics, not for logs.
  return Effect.void
}

const seconds = (millis: unknown): number => Math.round(Number(millis) / 100) / 10
