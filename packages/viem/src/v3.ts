/**
 * The transport for viem 3, whose contract differs: a transport is an object with a `setup`.
 *
 * viem 3 is a preview; this is tested against 3.0.0-next.12.
 */
import { Errors as Base, Transport } from "#viem3"
import { RpcResponse } from "#viem3/utils"
import * as Errors from "./internal/errors.ts"
import * as Pools from "./internal/pools.ts"

export type { Attributes, Options, Source } from "./internal/pools.ts"

/** `subscribe` is there if watchers are to use it: viem 3 looks for it. */
export type HawserTransport = Transport.Transport<
  "hawser",
  Omit<Pools.Attributes, "subscribe"> & Partial<Pick<Pools.Attributes, "subscribe">>
>

/**
 * A viem 3 transport over many upstreams.
 *
 * ```ts
 * const client = Client.create({ chain: mainnet, transport: hawser(["https://a", "https://b"]) })
 * ```
 *
 * As with viem 2: the client's `chain.id` is the chain that upstreams must be of, one pool serves the transport and the
 * chain, viem's own retries are off, and `signal` is honoured.
 */
export const hawser = (source: Pools.Source, options: Pools.Options = {}): HawserTransport => {
  const { key = "hawser", name = "Hawser", push, ...stack } = options
  const pools = Pools.make(source, stack)
  const timeout = Pools.timeoutOf(stack)
  const pushing = Pools.isPushing(source, { push, ...stack })
  return Transport.from({
    key,
    name,
    type: "hawser",
    setup: ({ chain }) => {
      const pool = pools(chain?.id)
      const { close, on, request, status } = pool
      return {
        retryCount: 0,
        ...(timeout === undefined ? {} : { timeout }),
        close,
        on,
        status,
        ...(pushing ? { subscribe: Pools.subscriber(pool, toViemError) } : {}),
        request: async ({ method, params }, requestOptions) => {
          const args = { method, params: params as ReadonlyArray<unknown> | undefined }
          try {
            return await request(args, requestOptions)
          } catch (error) {
            throw toViemError(error, args)
          }
        }
      }
    }
  })
}

const toViemError = Errors.mapper({
  rpc: ({ code, data, message }) => RpcResponse.parseError({ code, message, data }),
  http: ({ body, cause, status, url }) => new Transport.HttpError({ body, cause, details: cause.message, status, url }),
  timeout: ({ body, url }) => new Transport.TimeoutError({ body, url }),
  bug: ({ cause }) => new Base.BaseError("Request failed.", { details: cause.message })
})
