import { assert } from "@effect/vitest"
import { HawserProvider, type Options, type Source } from "@hawser/ethers"
import { Effect } from "effect"
import { type EthersError, type JsonRpcApiProvider, JsonRpcProvider, Wallet } from "ethers"

export const to = "0x00000000000000000000000000000000000000aa"

/** The first account that anvil funds. */
export const wallet = new Wallet("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")

const destroyed = <P extends JsonRpcApiProvider>(make: () => P) =>
  Effect.acquireRelease(Effect.sync(make), (provider) => Effect.sync(() => provider.destroy()))

/** A provider, destroyed with the scope. */
export const providerOf = (source: Source, network: number | "none" = 1, options?: Options) =>
  destroyed(() => new HawserProvider(source, network === "none" ? undefined : network, options))

/** ethers' own over one node, as near to ours as its options let it be. */
export const bareOf = (url: string, network = 1) =>
  destroyed(
    () =>
      new JsonRpcProvider(url, network, {
        staticNetwork: true,
        batchMaxCount: 1,
        cacheTimeout: -1,
        pollingInterval: 10
      })
  )

/** What a promise rejects with. */
export const failed = (promise: Promise<unknown>) =>
  promise.then(
    (value) => assert.fail(`resolved with ${String(value)}`),
    (error: unknown) => error as EthersError & { readonly cause?: unknown }
  )

export const errorOf = (promise: () => Promise<unknown>) => Effect.promise(() => failed(promise()))
