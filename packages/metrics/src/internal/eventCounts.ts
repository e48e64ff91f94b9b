import type { JsonRpc } from "@hawser/core"
import type * as Context from "effect/Context"
import * as Metric from "effect/Metric"
import type { Naming } from "./registry.ts"

export const description = {
  name: "events_total",
  help: "What the layers told, by layer, type and upstream.",
  labels: ["layer", "type", "upstream"]
}

/** Makes the function that counts an event. Layers, types and upstreams are few, and none is a caller's to invent. */
export const counter = ({ labels, prefix }: Naming, context: Context.Context<never>) => {
  const counters = new Map<string, Metric.Counter<number>>()
  return ({ layer, type, upstream }: JsonRpc.Event): void => {
    const key = JSON.stringify([layer, type, upstream])
    let found = counters.get(key)
    if (found === undefined) {
      found = Metric.counter(prefix + description.name, {
        description: description.help,
        attributes: { ...labels, layer, type, upstream },
        incremental: true
      })
      counters.set(key, found)
    }
    found.updateUnsafe(1, context)
  }
}
