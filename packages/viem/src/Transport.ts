import {
  BaseError,
  type Chain,
  createTransport,
  HttpRequestError,
  RpcRequestError,
  TimeoutError,
  type Transport
} from "viem"
import * as Errors from "./internal/errors.ts"
import * as Pools from "./internal/pools.ts"

export type { Options, Source } from "./internal/pools.ts"

/** What the transport adds to `client.transport`. */
export interface Attributes extends Pools.Attributes {
  /** Subscribes as `eth_subscribe` does: heads and logs in order, each once, whichever upstream tells of them. */
  readonly subscribe: Pools.Subscribe
}

/** `webSocket` is the type by which viem's watchers know that they can subscribe. */
export type HawserTransport = Transport<"hawser" | "webSocket", Attributes>

/**
 * A viem transport over many upstreams.
 *
 * ```ts
 * const client = createPublicClient({ chain: mainnet, transport: hawser(["https://a", "https://b"]) })
 * ```
 *
 * The client's `chain.id` is the chain that upstreams must be of. One pool serves the transport and the chain, however
 * often viem instantiates it. viem's own retries are off, since they would multiply ours; its `timeout` is replaced by
 * the options `timeout` (one attempt) and `deadline` (the whole call). `signal` is honoured.
 */
export const hawser = (source: Pools.Source, options: Pools.Options = {}): HawserTransport => {
  const { open, pushing, ...identity } = Pools.make(source, options, toViemError)
  return ({ chain }: { readonly chain?: Chain | undefined }) => {
    const { request, ...attributes } = open(chain?.id)
    return createTransport<"hawser" | "webSocket", Attributes>(
      { ...identity, type: pushing ? "webSocket" : "hawser", retryCount: 0, request: request as never },
      attributes
    )
  }
}

const toViemError = Errors.mapper({
  rpc: ({ body, code, data, message, status, url }) =>
    new RpcRequestError({ body, url, error: { code, message, data }, ...(status === undefined ? {} : { status }) }),
  http: ({ body, cause, status, url }) =>
    new HttpRequestError({
      body,
      url,
      cause,
      details: cause.message,
      ...(status === undefined ? {} : { status })
    }),
  timeout: ({ body, url }) => new TimeoutError({ body, url }),
  bug: ({ cause }) => new BaseError("Request failed.", { details: cause.message })
})
