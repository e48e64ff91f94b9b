import type { JsonRpc } from "hawser"
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

export type { Attributes, Options, Source } from "./internal/pools.ts"

/** `webSocket` is the type by which viem's watchers know that they can subscribe. */
export type HawserTransport = Transport<"hawser" | "webSocket", Pools.Attributes>

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
  const { key = "hawser", name = "Hawser", push, ...stack } = options
  const pools = Pools.make(source, stack)
  const timeout = Pools.timeoutOf(stack)
  const type = Pools.isPushing(source, { push, ...stack }) ? "webSocket" : "hawser"
  return ({ chain }: { readonly chain?: Chain | undefined }) => {
    const pool = pools(chain?.id)
    const { close, on, request, status } = pool
    return createTransport<"hawser" | "webSocket", Pools.Attributes>(
      {
        key,
        name,
        type,
        retryCount: 0,
        ...(timeout === undefined ? {} : { timeout }),
        request: (async (args: JsonRpc.Request, requestOptions?: { readonly signal?: AbortSignal }) => {
          try {
            return await request(args, requestOptions)
          } catch (error) {
            throw toViemError(error, args)
          }
        }) as never
      },
      { close, on, status, subscribe: Pools.subscriber(pool, toViemError) }
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
