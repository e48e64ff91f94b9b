/**
 * A store in Redis, through the client that the program has.
 *
 * What belongs to one limit or one circuit is one key, changed by one script at the server's time: clients whose clocks
 * differ agree, and a cluster is as good as a server. Redis 5 or later, or whatever speaks its language and knows Lua.
 */
import { Options as Read } from "@hawser/core"
import * as Effect from "effect/Effect"
import * as Effects from "effect/persistence/Redis"
import { open } from "./internal/redis.ts"
import { serverTime } from "./internal/program.ts"
import type { Store } from "./Store.ts"

export interface Options {
  /** Sends one command and gives the reply. `key` is the one key it touches, for clients of a cluster. */
  readonly send: (command: ReadonlyArray<string>, key: string) => PromiseLike<unknown>
  /** What all keys begin with. Default `hawser:`. */
  readonly prefix?: string | undefined
}

const readers = { prefix: Read.string({ default: "hawser:" }) }

/**
 * Makes a store of a client: `send` is `(command) => client.sendCommand(command)` with redis, and
 * `([name, ...args]) => client.call(name, ...args)` with ioredis. The client stays its owner's.
 *
 * @throws `InvalidOption` at once.
 */
export const make = (options: Options): Effect.Effect<Store> => {
  const { prefix, send } = Read.read("Redis", options, { ...readers, send: Read.fn<Options["send"]>() })
  return open((command, key) => Effect.tryPromise(() => send(command, key)), prefix, serverTime)
}

/**
 * Makes a store of Effect's own `Redis` service, such as `NodeRedis.layer` gives it.
 *
 * @throws `InvalidOption` at once.
 */
export const fromEffect = (options?: {
  /** What all keys begin with. Default `hawser:`. */
  readonly prefix?: string | undefined
}): Effect.Effect<Store, never, Effects.Redis> => {
  const { prefix } = Read.read("Redis", options, readers)
  return Effect.flatMap(Effects.Redis, (redis) =>
    open(([name, ...args]) => redis.send(name!, ...args), prefix, serverTime)
  )
}
