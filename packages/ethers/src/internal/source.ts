import { JsonRpc, Options, Provider, type Stack, Subscription } from "hawser"
import * as Layer from "effect/Layer"

/** Where answers come from: URLs (or upstreams with options), a layer, a client, or a provider that is shared. */
export type Source =
  | string
  | ReadonlyArray<string | URL | Stack.Upstream>
  | Exclude<Provider.Source, Stack.Options>
  | Provider.Provider

interface Opened {
  readonly provider: Provider.Provider
  /** It is somebody else's, and stays open. */
  readonly shared: boolean
}

/** A provider over a source. It has subscriptions, whatever the source has: that is how events are heard. */
export const open = (
  source: Source,
  options: Omit<Stack.Options, "upstreams" | "subscription">,
  subscription: Subscription.Options
): Opened => {
  if (typeof source === "string" || isList(source)) {
    const upstreams = typeof source === "string" ? [source] : source
    return { provider: Provider.make({ ...options, subscription, upstreams }), shared: false }
  }
  if (Provider.isProvider(source)) return { provider: source, shared: true }
  if (!Layer.isLayer(source) && typeof (source as Partial<JsonRpc.Service<unknown>> | null)?.request !== "function") {
    return Options.reject("HawserProvider.source", "a URL, a list of them, a layer, a client or a provider", source)
  }
  const layer = Layer.isLayer(source)
    ? (source as Layer.Layer<JsonRpc.Client<unknown>, unknown>)
    : Layer.succeed(JsonRpc.client<unknown>())(source as JsonRpc.Service<unknown>)
  return { provider: Provider.make(layer.pipe(Subscription.layer(subscription))), shared: false }
}

const isList = (source: object): source is ReadonlyArray<string | URL | Stack.Upstream> => Array.isArray(source)
