// The stores that must all behave the same, each with a way to end it by force and start it again.
import { Clock, Effect, Exit, Scope } from "effect"
import { mkdtempSync, rmSync } from "node:fs"
import { join } from "node:path"
import { open } from "../../src/internal/redis.ts"
import { Memory, Sqlite, type Store } from "../../src/index.ts"
import type { Server } from "./redisServer.ts"
import { temporary } from "./temporary.ts"

/** One store that several processes open. */
export interface World {
  /** As one process opens it. */
  readonly open: Effect.Effect<Store.Store, unknown, Scope.Scope>
  /** Ends it by force, and starts it again. Whoever had opened it must open it again. */
  readonly restart: Effect.Effect<void>
}

export interface Subject {
  readonly name: string
  /** Random scenarios for each property; a restart takes real time in some. */
  readonly scenarios: number
  /** A store with nothing in it. */
  readonly world: Effect.Effect<World, never, Scope.Scope>
}

export const memory: Subject = {
  name: "memory",
  scenarios: 20,
  world: Effect.map(Memory.make(), (store) => ({ open: Effect.succeed(store), restart: Effect.void }))
}

export const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(temporary, "hawser-store-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
)

export const sqlite: Subject = {
  name: "SQLite",
  scenarios: 4,
  world: Effect.gen(function* () {
    const path = join(yield* folder, "store.db")
    let life = yield* Scope.make()
    yield* Effect.addFinalizer(() => Effect.suspend(() => Scope.close(life, Exit.void)))
    return {
      open: Effect.suspend(() => Scope.provide(Sqlite.make({ path }), life)),
      restart: Effect.gen(function* () {
        yield* Scope.close(life, Exit.void)
        life = yield* Scope.make()
      })
    }
  })
}

/**
 * Real Redis, but its scripts are told the time, so that a test can let it pass; and what they write never expires by
 * itself while the test stands still.
 */
export const virtualTime = { now: "local now = tonumber(table.remove(args))", ttl: "math.ceil(ttl / 1000) + 3600000" }

let worlds = 0

export const redis = (server: Server): Subject => ({
  name: "Redis",
  scenarios: 4,
  world: Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const prefix = `world${++worlds}:`
    const told = (command: ReadonlyArray<string>): ReadonlyArray<string> =>
      command[0]!.startsWith("EVAL") ? [...command, String(clock.currentTimeMillisUnsafe() * 1000)] : command
    return {
      open: open((command) => Effect.tryPromise(() => server.send(told(command))), prefix, virtualTime),
      restart: Effect.promise(() => server.restart())
    }
  })
})
