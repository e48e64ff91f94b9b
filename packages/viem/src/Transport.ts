import type { JsonRpc } from "hawser"
import { Provider, type Stack } from "hawser"
import { type Chain, createTransport, type Transport } from "viem"
import { toViemError } from "./internal/errors.ts"

/** Where answers come from: URLs (or upstreams with options), a layer, a client, or a provider that is shared. */
export type Source =
  | string
  | ReadonlyArray<string | URL | Stack.Upstream>
  | Exclude<Provider.Source, Stack.Options>
  | Provider.Provider

/** Options of the transport: those of the default stack, and viem's own `key` and `name`. */
export interface Options extends Omit<Stack.Options, "upstreams" | "chainId"> {
  /** Identifies the transport in viem. Default `hawser`. */
  readonly key?: string | undefined
  /** Names the transport in viem. Default `Hawser`. */
  readonly name?: string | undefined
}

/** What the transport adds to `client.transport`. */
export interface Attributes {
  /** Every upstream, what is known of it, and why it is left out. */
  readonly status: Provider.Provider["status"]
  /** Calls a listener for each event. Returns the function that stops it. */
  readonly on: Provider.Provider["on"]
  /** Rejects what is under way and closes every socket, for every client of this transport on this chain. */
  readonly close: Provider.Provider["close"]
}

export type HawserTransport = Transport<"hawser", Attributes>

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
export const hawser = (source: Source, options: Options = {}): HawserTransport => {
  const { key = "hawser", name = "Hawser", ...stack } = options
  const open = provider(source, stack)
  const pools = new Map<number | undefined, Provider.Provider>()
  return ({ chain }: { readonly chain?: Chain | undefined }) => {
    const chainId = chain?.id
    let pool = pools.get(chainId)
    if (pool === undefined) {
      pool = open(chainId)
      pools.set(chainId, pool)
    }
    const { close, on, request, status } = pool
    return createTransport<"hawser", Attributes>(
      {
        key,
        name,
        type: "hawser",
        retryCount: 0,
        request: (async (args: JsonRpc.Request, requestOptions?: { readonly signal?: AbortSignal }) => {
          try {
            return await request(args, requestOptions)
          } catch (error) {
            throw toViemError(error, args)
          }
        }) as never
      },
      { close, on, status }
    )
  }
}

// Checked at once, so that a wrong option fails where it is written and not at the first request.
const provider = (source: Source, options: object): ((chainId: number | undefined) => Provider.Provider) => {
  if (typeof source === "string" || Array.isArray(source)) {
    const upstreams = typeof source === "string" ? [source] : (source as ReadonlyArray<string | URL | Stack.Upstream>)
    Provider.make({ ...options, upstreams })
    return (chainId) => Provider.make({ ...options, upstreams, ...(chainId === undefined ? {} : { chainId }) })
  }
  const shared = Provider.isProvider(source) ? source : Provider.make(source as Provider.Source)
  return () => shared
}
