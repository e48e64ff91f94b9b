import { createHash } from "node:crypto"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { type Store, StoreError } from "../Store.ts"
import { assemble } from "./assemble.ts"
import { type LuaClock, luaOf, type Program, type States } from "./program.ts"
import { cacheOf } from "./redisCache.ts"

export type Send = (command: ReadonlyArray<string>, key: string) => Effect.Effect<unknown, unknown>

/** Runs a script on one key. */
export type Script = (key: string, args: ReadonlyArray<string>) => Effect.Effect<unknown, StoreError>

/** A server that was restarted has forgotten its scripts: then the text is sent again. */
export const scriptOf = (send: Send, source: string): Script => {
  const sha = createHash("sha1").update(source).digest("hex")
  return (key, args) =>
    send(["EVALSHA", sha, "1", key, ...args], key).pipe(
      Effect.catchIf(isUnknownScript, () => send(["EVAL", source, "1", key, ...args], key)),
      Effect.mapError(storeError)
    )
}

export const storeError = (cause: unknown): StoreError => new StoreError({ store: "redis", cause })

// Clients wrap what the server says; Effect does so once more.
const isUnknownScript = (error: unknown): boolean => {
  for (let e = error, depth = 0; typeof e === "object" && e !== null && depth < 5; depth++) {
    if ("message" in e && String(e.message).includes("NOSCRIPT")) return true
    e = "cause" in e ? e.cause : undefined
  }
  return false
}

export const open = (send: Send, prefix: string, clock: LuaClock): Effect.Effect<Store> =>
  Effect.map(Random.Random, (random) =>
    assemble(
      statesOf(send, prefix, clock),
      cacheOf(send, prefix, () => random.nextDoubleUnsafe().toString(36).slice(2))
    )
  )

export const statesOf = (send: Send, prefix: string, clock: LuaClock): States => {
  const scripts = new Map<Program, Script>()
  const scriptFor = (program: Program): Script => {
    let script = scripts.get(program)
    if (script === undefined) scripts.set(program, (script = scriptOf(send, luaOf(program, clock))))
    return script
  }
  return {
    run: (program, key, args) =>
      Effect.flatMap(scriptFor(program)(prefix + key, args.map(String)), (reply) => {
        const numbers = Array.isArray(reply) ? reply.map(Number) : []
        return numbers.length > 0 && numbers.every(Number.isSafeInteger)
          ? Effect.succeed(numbers)
          : Effect.fail(storeError(reply))
      })
  }
}
