// The entry points of the viem adapter, in words that viem 2 and viem 3 share.
import type { Options, Source } from "@hawser/viem"
import type { Provider } from "hawser"
import { viem2 } from "./viems/viem2.ts"
import { viem3 } from "./viems/viem3.ts"

export interface Viem {
  readonly name: string
  readonly hawser: (source: Source, options?: Options) => Client
  /** Over viem's own transport, without retries. */
  readonly http: (url: string) => Client
  /** What this version calls an error. */
  readonly errors: Readonly<Record<ErrorName, string>>
}

/** As viem 2 has them. */
export type ErrorName = "HttpRequestError" | "TimeoutError" | "InvalidInputRpcError"

export interface Client {
  readonly transport: Pick<Provider.Provider, "close" | "status">
  readonly request: (
    asked: { readonly method: string; readonly params?: ReadonlyArray<unknown> },
    options?: { readonly signal?: AbortSignal }
  ) => Promise<unknown>
  readonly watchers: Readonly<Record<string, Watch>>
  /** The first block that a watcher is told, which is stopped then. */
  readonly firstBlock: () => Promise<bigint>
  /** The block of a transaction's receipt. */
  readonly waitForReceipt: (hash: `0x${string}`, confirmations: number) => Promise<bigint>
}

/** Watches, and tells of the number of each block. Returns the function that stops it. */
export type Watch = (tell: (block: bigint) => void, onError: (error: Error) => void) => () => void

export const viems: ReadonlyArray<Viem> = [viem2, viem3]
