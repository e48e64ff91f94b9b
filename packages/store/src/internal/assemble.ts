/** Makes a store of the two things it must be able to do. */
import type { ResponseCache } from "@hawser/cache"
import { Events, Options as Read } from "@hawser/core"
import type { Event, Store } from "../Store.ts"
import type { States } from "./program.ts"
import { share } from "./sharing.ts"
import { quota } from "./quota.ts"

const common = {
  name: Read.string({ default: undefined }),
  timeout: Read.duration({ default: "50 millis" })
}

const cacheReaders = {
  name: Read.string(),
  maxEntryBytes: Read.integer({ min: 1, default: 1_048_576 })
}

const limitReaders = {
  onFailure: Read.oneOf(["local", "open"], "local"),
  share: Read.number({ above: 0, max: 1, default: 1 }),
  ...common
}

/** The beginning of a key that no other name, with a part of the key, can look like. */
export const apart = (name: string): string => `${name.replaceAll(/[%:]/g, encodeURIComponent)}:`

/** A second level for a cache of this name. It is never given more than `maxEntryBytes`. */
export type CacheOf = (name: string, maxEntryBytes: number) => ResponseCache.Store

export const assemble = (states: States, cacheOf: CacheOf): Store => {
  const events = Events.make<Event>()
  const failed = (what: Event["what"]) => (error: unknown) => {
    if (events.active) events.emit({ type: "failed", what, error })
  }
  return {
    cache(options) {
      const { maxEntryBytes, name } = Read.read("Store.cache", options, cacheReaders)
      return cacheOf(name, maxEntryBytes)
    },
    rateLimit(options) {
      const { name = "", onFailure, share, timeout } = Read.read("Store.rateLimit", options, limitReaders)
      return {
        quota: quota(states, `limit:${apart(name)}`, timeout, failed("rateLimit")),
        alone: onFailure === "open" ? undefined : share
      }
    },
    breaker(options) {
      const { name = "", timeout } = Read.read("Store.breaker", options, common)
      return share(states, `circuit:${apart(name)}`, timeout, failed("breaker"))
    },
    events
  }
}
