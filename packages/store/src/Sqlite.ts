/**
 * A store in a file, for processes of one machine: through `node:sqlite`, without any other dependency.
 *
 * Processes that share a file share the machine's clock, which is read while the file is locked. Each operation is one
 * short transaction in the calling thread; who finds the file locked tries again and blocks nobody meanwhile.
 */
import { Options as Read } from "@hawser/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import { assemble } from "./internal/assemble.ts"
import { Database } from "./internal/database.ts"
import { cacheOf } from "./internal/sqliteCache.ts"
import { statesOf } from "./internal/sqliteStates.ts"
import { type Store, StoreError } from "./Store.ts"

export interface Options {
  /** The file, made if it is not there; `:memory:` keeps everything in this process. */
  readonly path: string
  /** What all caches in the file may hold together, in bytes of JSON text. The oldest goes first. Default 64 MiB. */
  readonly maxBytes?: number | undefined
}

/**
 * Makes a store in a file, which is closed with the scope.
 *
 * @throws `InvalidOption` at once.
 */
export const make = (options: Options): Effect.Effect<Store, StoreError, Scope.Scope> => {
  const { maxBytes, path } = Read.read("Sqlite", options, {
    path: Read.string(),
    maxBytes: Read.integer({ min: 1, default: 67_108_864 })
  })
  return Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const random = yield* Random.Random
    const { DatabaseSync } = yield* Effect.promise(() => import("node:sqlite"))
    const database = yield* Effect.acquireRelease(
      Effect.try({
        try: () =>
          new Database(
            new DatabaseSync(path),
            () => clock.currentTimeMillisUnsafe(),
            () => random.nextDoubleUnsafe()
          ),
        catch: (cause) => new StoreError({ store: "sqlite", cause })
      }),
      (database) => Effect.sync(() => database.close())
    )
    return assemble(statesOf(database), cacheOf(database, maxBytes))
  })
}
