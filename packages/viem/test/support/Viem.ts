// A major version of viem in words that all of them share, so that the same tests run over each.
import { assert } from "@effect/vitest"
import { FaultyNode, type Scenario } from "@hawser/testkit"
import type { Options, Source } from "@hawser/viem"
import { Effect } from "effect"
import type { Provider } from "hawser"
import { parseAbi } from "viem"

/** `T` is what this version takes for a transport. */
export interface Viem<T> {
  readonly name: string
  readonly hawser: (source: Source, options?: Options) => T
  /** Its own transport, without retries: what ours is held to. */
  readonly http: (url: string) => T
  /** Its own, without retries. */
  readonly fallback: (transports: ReadonlyArray<T>) => T
  readonly client: (transport: T, chainId: 1 | 137 | undefined) => Client
  /** What a transport says of itself. */
  readonly identity: (transport: T) => { readonly key: string; readonly name: string; readonly type: string }
  /** Whether watchers subscribe. */
  readonly isPushing: (transport: T) => boolean
  readonly errors: Readonly<Record<"http" | "timeout" | "unsupported", new (...args: Array<any>) => Error>>
}

export interface Client {
  readonly uid: string
  readonly transport: Pick<Provider.Provider, "close" | "on" | "status"> & {
    readonly retryCount?: number | undefined
    readonly timeout?: number | undefined
  }
  readonly request: (
    asked: { readonly method: string; readonly params?: ReadonlyArray<unknown> },
    options?: {
      readonly dedupe?: boolean
      readonly retryCount?: number
      readonly retryDelay?: number
      readonly signal?: AbortSignal
    }
  ) => Promise<unknown>
  readonly head: () => Promise<bigint>
  /** Reads `pay` of {@link abi}. */
  readonly read: () => Promise<unknown>
  /** Other things that applications do, whatever they give. */
  readonly actions: Readonly<Record<string, () => Promise<unknown>>>
  readonly watchHeads: Watch<bigint>
  readonly watchPending: Watch<ReadonlyArray<string>>
  readonly subscribe: (
    params: ReadonlyArray<unknown>,
    onData?: (data: { readonly subscription: string; readonly result: unknown }) => void,
    onError?: (error: unknown) => void
  ) => Promise<{
    readonly subscriptionId: string
    readonly unsubscribe: () => Promise<{ readonly result?: unknown }>
  }>
}

/** Watches until the function that it returns is called. */
export type Watch<A> = (tell: (told: A) => void, onError: (error: Error) => void) => () => void

export const address = "0x00000000000000000000000000000000000000aa"

export const abi = parseAbi([
  "function pay(uint256) view returns (uint256)",
  "error Short(uint256 missing)",
  "error Error(string)"
])

/** What an error of viem's shows, in any version. */
export interface ViemError extends Error {
  readonly code?: number
  readonly data?: unknown
}

export const errorOf = (promise: () => Promise<unknown>): Effect.Effect<ViemError> =>
  Effect.promise(() =>
    promise().then(
      (value) => assert.fail(`resolved with ${String(value)}`),
      (error: unknown) => error as ViemError
    )
  )

/** An error and what it is because of. */
export const causes = (error: unknown): ReadonlyArray<ViemError> =>
  error instanceof Error ? [error, ...causes(error.cause)] : []

/** A client whose transport is closed with the scope. */
export const clientOf = <T>(viem: Viem<T>, transport: T, chainId: 1 | 137 | undefined = 1) =>
  Effect.acquireRelease(
    Effect.sync(() => viem.client(transport, chainId)),
    ({ transport }) => Effect.promise(() => transport.close())
  )

/** A client over faulty nodes. */
export const over = <T>(viem: Viem<T>, scenarios: ReadonlyArray<Scenario.Scenario>, options: Options = {}) =>
  Effect.gen(function* () {
    const nodes = yield* Effect.forEach(scenarios, (scenario) => FaultyNode.make({ scenario }))
    const urls = nodes.map(({ url }) => url)
    const transport = viem.hawser(urls, options)
    const client = yield* clientOf(viem, transport)
    return {
      client,
      nodes,
      transport,
      sent: (method?: string) => nodes.reduce((sum, node) => sum + node.count(method), 0)
    }
  })
