/**
 * JSON-RPC over one WebSocket: one upstream.
 *
 * The socket opens at the first request, carries requests and subscriptions, and closes when nobody has waited or listened
 * for a while. When it ends, all who wait are told at once; the next request opens another. A socket that is only half
 * open is found by its silence: the upstream is asked for a sign of life, and given up if none comes.
 *
 * An `eth_subscribe` is heard by the `Subscription.Listener` under which it is asked, and ends with the socket, which the
 * listener is told. `Subscription` does the rest: it subscribes again for as long as somebody listens, and fills the gap.
 */
import { JsonRpc } from "@hawser/core"
import type * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { open, takesHeaders } from "#websocket"
import { read } from "./internal/ws/settings.ts"
import { build, type WsError } from "./internal/ws/upstream.ts"
import type * as RpcError from "./RpcError.ts"

export type { WsError } from "./internal/ws/upstream.ts"

export interface Options {
  /** `ws:` or `wss:`. A user and password in it become basic authentication. */
  readonly url: string | URL
  /** What it is called in errors, logs and metrics. Default: the URL's host. */
  readonly name?: string | undefined
  /** Sent with the handshake. Their values appear in no error, log or metric. Not in browsers, which send their own. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** How long the socket is kept when nobody waits or listens. Default 4 seconds. */
  readonly keepAlive?: Duration.Input | undefined
  /**
   * How long the upstream may be silent while somebody waits or listens before it is asked for a sign of life
   * (`net_version`), for which it has five seconds. One second once somebody has given up waiting. Default 30 seconds.
   */
  readonly silence?: Duration.Input | undefined
  /** Rules that come before the built-in ones when an error is classified. */
  readonly errors?: ReadonlyArray<RpcError.Row> | undefined
}

export interface Inspection {
  readonly open: boolean
  /** Requests that wait for their reply, or for the socket to open. */
  readonly inflight: number
  readonly subscriptions: number
}

/**
 * An upstream. Opens no socket before the first request and closes it with its scope. An idle socket keeps the process
 * alive for `keepAlive`, no longer.
 */
export const make = (options: Options): Effect.Effect<JsonRpc.Service<WsError>, never, Scope.Scope> =>
  build(read(options, takesHeaders), open)

/** An upstream as a layer. */
export const layer = (options: Options): Layer.Layer<JsonRpc.Upstream<WsError>> => {
  const settings = read(options, takesHeaders)
  return Layer.effect(JsonRpc.upstream<WsError>())(build(settings, open))
}
