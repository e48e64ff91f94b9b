import { Provider, Stack } from "hawser"
import * as Duration from "effect/Duration"
import type { ToViemError } from "./errors.ts"

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
  /**
   * Whether viem's watchers subscribe to heads and logs instead of polling. Default: if an upstream is a WebSocket. Either
   * way they miss nothing when a node is lost.
   */
  readonly push?: boolean | undefined
}

/** What the transport adds to `client.transport`. */
export interface Attributes {
  /** Every upstream, what is known of it, and why it is left out. */
  readonly status: Provider.Provider["status"]
  /** Calls a listener for each event. Returns the function that stops it. */
  readonly on: Provider.Provider["on"]
  /**
   * Rejects what is under way and closes every socket, for every client of this transport on this chain. A provider that is
   * shared stays open.
   */
  readonly close: Provider.Provider["close"]
}

/** A pool with viem's errors. */
export interface Pool extends Attributes {
  readonly request: (
    args: { readonly method: string; readonly params?: unknown },
    options?: Provider.RequestOptions
  ) => Promise<unknown>
  /** Subscribes as viem 2 does. */
  readonly subscribe: Subscribe
}

/** A subscription in viem 2's terms. */
export interface Subscribe {
  (options: {
    readonly params: ReadonlyArray<unknown>
    readonly onData: (data: { readonly subscription: string; readonly result: never }) => void
    readonly onError?: ((error: never) => void) | undefined
  }): Promise<{
    readonly subscriptionId: `0x${string}`
    readonly unsubscribe: () => Promise<{ readonly result: true }>
  }>
}

/** What a transport is made of, whichever viem it is for. */
export interface Parts {
  readonly key: string
  readonly name: string
  /** Milliseconds that a call may take, for what viem times by its transport. */
  readonly timeout: number | undefined
  /** Whether watchers are to subscribe. */
  readonly pushing: boolean
  /** One pool for each chain, however often viem instantiates a transport. */
  readonly open: (chainId: number | undefined) => Pool
}

/** Reads the options at once, so that a wrong one fails where it is written and not at the first request. */
export const make = (
  source: Source,
  { key = "hawser", name = "Hawser", push, ...stack }: Options,
  toViemError: ToViemError
): Parts => {
  const pools = new Map<number | undefined, Pool>()
  const open = opener(source, stack)
  return {
    key,
    name,
    timeout: timeoutOf(stack),
    pushing: push ?? isPushing(source, stack),
    open: (chainId) => {
      let pool = pools.get(chainId)
      if (pool === undefined) {
        pool = adapted(open(chainId), toViemError)
        pools.set(chainId, pool)
      }
      return pool
    }
  }
}

const adapted = ({ close, on, request, status, subscribe }: Provider.Provider, toViemError: ToViemError): Pool => ({
  close,
  on,
  status,
  request: async ({ method, params }, options) => {
    const args = { method, params: params as ReadonlyArray<unknown> | undefined }
    try {
      return await request(args, options)
    } catch (error) {
      throw toViemError(error, args)
    }
  },
  subscribe: async ({ onData, onError, params }) => {
    // What is told before the answer is here has no name yet.
    let id = "0x"
    const hearing = {
      onNotification: (result: unknown) => onData({ subscription: id, result: result as never }),
      onLost: (error: unknown) => onError?.(error as never)
    }
    const opened = await subscribe(params, hearing).catch((error: unknown) => {
      throw toViemError(error, { method: "eth_subscribe", params })
    })
    id = opened.id
    return {
      subscriptionId: id as `0x${string}`,
      unsubscribe: () => {
        opened.stop()
        return Promise.resolve({ result: true })
      }
    }
  }
})

const isPushing = (source: Source, stack: Options): boolean =>
  (typeof source === "string" || Array.isArray(source)) && Stack.isPushing({ ...stack, upstreams: listOf(source) })

const timeoutOf = ({ deadline = 10_000 }: Options): number | undefined => {
  if (deadline === false) return undefined
  const millis = typeof deadline === "function" ? 10_000 : Duration.toMillis(Duration.fromInputUnsafe(deadline))
  return Number.isFinite(millis) ? millis : undefined
}

const listOf = (source: string | ReadonlyArray<string | URL | Stack.Upstream>) =>
  typeof source === "string" ? [source] : source

const opener = (source: Source, options: object): ((chainId: number | undefined) => Provider.Provider) => {
  if (typeof source === "string" || Array.isArray(source)) {
    const upstreams = listOf(source as string | ReadonlyArray<string | URL | Stack.Upstream>)
    Provider.make({ ...options, upstreams })
    return (chainId) => Provider.make({ ...options, upstreams, ...(chainId === undefined ? {} : { chainId }) })
  }
  const shared = Provider.isProvider(source) ? borrowed(source) : Provider.make(source as Provider.Source)
  return () => shared
}

/** A provider that is somebody else's to close. */
const borrowed = ({ on, request, status, subscribe }: Provider.Provider): Provider.Provider => ({
  on,
  request,
  status,
  subscribe,
  close: () => Promise.resolve(),
  [Symbol.asyncDispose]: () => Promise.resolve()
})
