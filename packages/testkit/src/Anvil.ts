/**
 * A real node for tests: foundry's anvil on a free port, for as long as a scope lasts.
 *
 * ```ts
 * it.live.skipIf(Anvil.binary === undefined)("mines", () => Effect.gen(function* () {
 *   const anvil = yield* Anvil.make({ chainId: 5 })
 *   yield* anvil.rpc("anvil_mine", ["0x3"])
 * }))
 * ```
 */
import { Options as Given } from "@hawser/core"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { pathToFileURL } from "node:url"
import { find } from "./internal/anvilBinary.ts"
import { Child } from "./internal/child.ts"
import { RpcError } from "./internal/rpcError.ts"
import { Upstream } from "./internal/upstream.ts"

/**
 * The path of anvil, or `undefined`: `ANVIL_BIN` if it is set, else the package `@foundry-rs/anvil` as this package or the
 * working directory sees it, else the PATH.
 */
export const binary: string | undefined = find({
  env: process.env,
  platform: process.platform,
  arch: process.arch,
  from: [import.meta.url, pathToFileURL(`${process.cwd()}/`)]
})

export interface Options {
  /** Time between blocks. Default: a block for each transaction. */
  readonly blockTime?: Duration.Input | undefined
  /** Default 31337. */
  readonly chainId?: number | undefined
  /** Further arguments, as in `["--accounts", "3"]`. */
  readonly args?: ReadonlyArray<string> | undefined
  /** The anvil to start. Default: {@link binary}. */
  readonly binary?: string | undefined
}

/** Anvil could not be started, or answered a call with an error: then with its code and data. */
export class AnvilError extends Data.TaggedError("AnvilError")<{
  readonly reason: string
  readonly code?: number | undefined
  readonly data?: unknown
}> {
  override get message(): string {
    return this.reason
  }
}

export interface Anvil {
  readonly url: string
  readonly port: number
  readonly pid: number
  readonly rpc: (method: string, params?: ReadonlyArray<unknown>) => Effect.Effect<unknown, AnvilError>
}

/**
 * Starts anvil. The end of the scope kills it, and so does the end of this process: by itself or by an error, on POSIX
 * systems also by any signal.
 */
export const make = (options?: Options): Effect.Effect<Anvil, AnvilError, Scope.Scope> =>
  Effect.gen(function* () {
    const given = Given.read("Anvil", options, readers)
    const file = given.binary ?? binary
    if (file === undefined) {
      return yield* new AnvilError({ reason: "no anvil: set ANVIL_BIN or install @foundry-rs/anvil" })
    }
    const child = yield* Effect.acquireRelease(
      Effect.sync(() => new Child(file, commandLine(given))),
      (child) => child.kill
    )
    const listening = yield* Effect.mapError(
      child.says(/Listening on [\d.]+:(\d+)\s/),
      (reason) => new AnvilError({ reason })
    )
    child.started()
    const port = Number(listening[1])
    const url = `http://127.0.0.1:${port}`
    const upstream = yield* Effect.acquireRelease(
      Effect.sync(() => new Upstream(new URL(url))),
      (upstream) => Effect.sync(() => upstream.close())
    )
    return { url, port, pid: child.pid, rpc: (method, params = []) => ask(upstream, method, params) }
  })

const readers = {
  blockTime: Given.duration({ default: undefined }),
  chainId: Given.integer({ min: 1, default: undefined }),
  args: Given.any<ReadonlyArray<string>>(),
  binary: Given.string({ default: undefined })
}

const commandLine = ({ args, blockTime, chainId }: Omit<Options, "blockTime"> & { blockTime: number | undefined }) => [
  "--host",
  "127.0.0.1",
  "--port",
  "0",
  ...(blockTime === undefined ? [] : ["--block-time", String(blockTime / 1000)]),
  ...(chainId === undefined ? [] : ["--chain-id", String(chainId)]),
  ...(args ?? [])
]

const ask = (upstream: Upstream, method: string, params: ReadonlyArray<unknown>): Effect.Effect<unknown, AnvilError> =>
  Effect.flatMap(
    Effect.mapError(upstream.call(method, params, {}), ({ cause }) => new AnvilError({ reason: String(cause) })),
    (answer) =>
      answer instanceof RpcError
        ? Effect.fail(new AnvilError({ reason: `${method}: ${answer.message}`, code: answer.code, data: answer.data }))
        : Effect.succeed(answer)
  )
