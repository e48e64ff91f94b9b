import { Effect, Layer, Metric, type Scope } from "effect"
import type { JsonRpc, Stack } from "hawser"
import * as Server from "../src/Server.ts"
import * as Service from "../src/Service.ts"
import type { UsageError } from "../src/Settings.ts"

/** Nothing that waits: under a `TestClock` no time passes by itself. */
export const impatient = { retry: false, hedge: false, health: false } as const

export interface Page {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  /** The body, if it is JSON. */
  readonly json: any
}

export type Get = (path: string, init?: RequestInit) => Effect.Effect<Page>

/** Starts a service on a free port, for as long as the scope lasts. Gives what asks it for a page. */
export const serve = (
  client: Layer.Layer<JsonRpc.Client<Stack.Error>>,
  options?: Service.Options
): Effect.Effect<Get, UsageError, Scope.Scope> =>
  Effect.gen(function* () {
    const registry = Layer.sync(Metric.MetricRegistry)(() => new Map())
    const context = yield* Layer.build(
      Service.layer(options).pipe(Layer.provideMerge(Layer.merge(Server.layer(0), client)), Layer.provide(registry))
    )
    const url = yield* Effect.provideContext(Server.url, context)
    return (path, init) =>
      Effect.promise(async (signal) => {
        const response = await fetch(url + path, { ...init, signal })
        const text = await response.text()
        const isJson = response.headers.get("content-type") === "application/json" && text !== ""
        return { status: response.status, headers: response.headers, text, json: isJson ? JSON.parse(text) : undefined }
      })
  })
