/**
 * Who else knows? What several processes share: the second level of their caches, their rate limits, and what they know
 * of the circuits they guard. A store gives each of the three primitives what its option takes.
 *
 * Nobody depends on it: while it fails or hangs, a cache misses, a limit is kept by each process for itself, and each
 * breaker learns for itself.
 */
import type { Breaker } from "@hawser/breaker"
import type { ResponseCache } from "@hawser/cache"
import type { Events } from "@hawser/core"
import type { RateLimit } from "@hawser/ratelimit"
import * as Data from "effect/Data"
import type * as Duration from "effect/Duration"

/** One place that several processes share. */
export interface Store {
  /** The second level of a `ResponseCache`: its option `store`. */
  readonly cache: (options: CacheOptions) => ResponseCache.Store
  /**
   * Rate limits that all who use this store keep together: the option `shared` of a `RateLimit`. A limit is known by the
   * name of its upstream and by its rates, so that processes which differ in those have limits of their own.
   */
  readonly rateLimit: (options?: RateLimitOptions) => RateLimit.Shared
  /** Circuits that all who use this store know by the name of their upstream: the option `shared` of a `Breaker`. */
  readonly breaker: (options?: BreakerOptions) => Breaker.Shared
  readonly events: Events.Events<Event>
}

export interface CacheOptions {
  /** Keeps caches apart that have the same keys: give each chain its own. */
  readonly name: string
  /** The largest entry that is kept, in bytes of its JSON text. Default 1 MiB. */
  readonly maxEntryBytes?: number | undefined
}

export interface Apart {
  /** Keeps apart what has the same name: two chains at one host, say. By default all of a name is one. */
  readonly name?: string | undefined
}

export interface RateLimitOptions extends Apart {
  /**
   * What holds while the store does not answer. `local`: this process keeps to its `share` of the limit; `open`: there is
   * no limit. Default `local`.
   */
  readonly onFailure?: "local" | "open" | undefined
  /**
   * The share of the limit that this process may use by itself, above 0 and at most 1: with n processes give 1/n, or all
   * together may exceed the limit n times while the store is away. Default 1.
   */
  readonly share?: number | undefined
  /** How long the store may take. After that it is left alone for a second. Default 50 milliseconds. */
  readonly timeout?: Duration.Input | undefined
}

export interface BreakerOptions extends Apart {
  /** How long the store may take. After that it is left alone for a second. Default 50 milliseconds. */
  readonly timeout?: Duration.Input | undefined
}

/** What a store tells: that it did not do for a limit or a circuit what it was asked. `undefined`: it took too long. */
export interface Event {
  readonly type: "failed"
  readonly what: "rateLimit" | "breaker"
  readonly error: unknown
}

/** The store did not do what it was asked. */
export class StoreError extends Data.TaggedError("StoreError")<{
  readonly store: "redis" | "sqlite"
  readonly cause: unknown
}> {
  // What the cause says may hold what nobody should read.
  override get message(): string {
    return `${this.store === "redis" ? "Redis" : "SQLite"} did not do what it was asked`
  }
}
