/**
 * The transport for viem 3, whose contract differs: a transport is an object with a `setup`.
 *
 * viem 3 is a preview; this is tested against 3.0.0-next.12.
 */
import { Errors as Base, Transport } from "#viem3"
import { type RpcClient, RpcResponse } from "#viem3/utils"
import * as Errors from "./internal/errors.ts"
import * as Pools from "./internal/pools.ts"

export type { Options, Source } from "./internal/pools.ts"

/** What the transport adds to `client.transport`. */
export interface Attributes extends Pools.Attributes {
  /**
   * Subscribes as `eth_subscribe` does: heads and logs in order, each once, whichever upstream tells of them. It is there
   * if watchers are to use it: viem 3 looks for it.
   */
  readonly subscribe?: RpcClient.Socket.subscribe.Fn
}

export type HawserTransport = Transport.Transport<"hawser", Attributes>

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
  const { key, name, open, pushing, timeout } = Pools.make(source, options, toViemError)
  return Transport.from({
    key,
    name,
    type: "hawser",
    setup: ({ chain }) => {
      const { subscribe, ...pool } = open(chain?.id)
      return { ...pool, ...(pushing ? { subscribe: listeningLater(subscribe) } : {}), retryCount: 0, timeout }
    }
  })
}

/** viem 3 gives its listeners to the subscription it gets. What is told before is kept for them. */
const listeningLater =
  (subscribe: Pools.Subscribe): RpcClient.Socket.subscribe.Fn =>
  async ({ params }) => {
    const data = kept<unknown>()
    const errors = kept<Error>()
    const { subscriptionId, unsubscribe } = await subscribe({
      params,
      onData: ({ result }) => data.tell(result),
      onError: errors.tell
    })
    return {
      subscriptionId,
      onData: (listener) => data.listen((result) => listener({ subscription: subscriptionId, result })),
      onError: errors.listen,
      unsubscribe: async () => ({ id: 0, jsonrpc: "2.0", ...(await unsubscribe()) })
    }
  }

const kept = <A>() => {
  const waiting: Array<A> = []
  let listener = (told: A): void => void waiting.push(told)
  return {
    tell: (told: A) => listener(told),
    listen: (added: (told: A) => void) => {
      listener = added
      for (const told of waiting.splice(0)) added(told)
    }
  }
}

const toViemError = Errors.mapper({
  rpc: ({ code, data, message }) => RpcResponse.parseError({ code, message, data }),
  http: ({ body, cause, status, url }) => new Transport.HttpError({ body, cause, details: cause.message, status, url }),
  timeout: ({ body, url }) => new Transport.TimeoutError({ body, url }),
  bug: ({ cause }) => new Base.BaseError("Request failed.", { details: cause.message })
})
