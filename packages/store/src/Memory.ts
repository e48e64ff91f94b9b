/**
 * A store in this process: for tests, and for several stacks of one program. It is what the others are compared with,
 * and keeps whatever it is given until its time is over.
 */
import type { ResponseCache } from "@hawser/cache"
import { Call } from "@hawser/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { assemble, type CacheOf } from "./internal/assemble.ts"
import { Kept } from "./internal/kept.ts"
import { type States, step } from "./internal/program.ts"
import type { Store } from "./Store.ts"

/** Makes a store in this process. */
export const make = (): Effect.Effect<Store> =>
  Effect.map(Clock.Clock, (clock) => {
    const now = () => Call.now(clock)
    return assemble(statesOf(now), cacheOf(now))
  })

const statesOf = (now: () => number): States => {
  const kept = new Kept<string>()
  return {
    run: (program, key, args) =>
      Effect.sync(() => {
        const millis = now()
        const { reply, text, ttl } = step(program, kept.get(key, millis), Math.floor(millis * 1000), args)
        if (text !== undefined) kept.set(key, text, millis + Math.ceil(ttl / 1000) + 1, millis)
        return reply
      })
  }
}

const cacheOf = (now: () => number): CacheOf => {
  const caches = new Map<string, Kept<string>>()
  return (name, maxEntryBytes) => {
    const kept = caches.get(name) ?? new Kept<string>()
    caches.set(name, kept)
    const read = (text: string): ResponseCache.Stored => JSON.parse(text)
    return {
      get: (key) =>
        Effect.sync(() => {
          const text = kept.get(key, now())
          return text === undefined ? undefined : read(text)
        }),
      set: (key, entry, ttl) =>
        Effect.sync(() => {
          const text = JSON.stringify(entry)
          if (Buffer.byteLength(text) > maxEntryBytes) kept.delete(key)
          else kept.set(key, text, now() + ttl, now())
        }),
      invalidate: (key) => Effect.sync(() => kept.delete(key)),
      invalidateTag: (tag) => Effect.sync(() => kept.deleteWhere((text) => read(text).tags.includes(tag))),
      clear: () => Effect.sync(() => kept.clear())
    }
  }
}
