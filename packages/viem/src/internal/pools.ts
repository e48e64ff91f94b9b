import { Provider, type Stack } from "hawser"

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

/**
 * One pool for each chain, however often viem instantiates a transport.
 *
 * Options are checked at once, so that a wrong one fails where it is written and not at the first request.
 */
export const make = (source: Source, options: object): ((chainId: number | undefined) => Provider.Provider) => {
  const pools = new Map<number | undefined, Provider.Provider>()
  const open = opener(source, options)
  return (chainId) => {
    let pool = pools.get(chainId)
    if (pool === undefined) {
      pool = open(chainId)
      pools.set(chainId, pool)
    }
    return pool
  }
}

const opener = (source: Source, options: object): ((chainId: number | undefined) => Provider.Provider) => {
  if (typeof source === "string" || Array.isArray(source)) {
    const upstreams = typeof source === "string" ? [source] : (source as ReadonlyArray<string | URL | Stack.Upstream>)
    Provider.make({ ...options, upstreams })
    return (chainId) => Provider.make({ ...options, upstreams, ...(chainId === undefined ? {} : { chainId }) })
  }
  const shared = Provider.isProvider(source) ? source : Provider.make(source as Provider.Source)
  return () => shared
}
