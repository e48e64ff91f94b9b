/**
 * Have we the answer?
 *
 * A cache in front of any effect. Callers who ask for one key share one load, and each may leave when it likes. A
 * value that has grown old is returned at once while a new one is fetched, or in place of a failure, if the policy
 * says so; then the caller's report says so, too. Failures are not kept.
 *
 * Values are shared between callers: treat them as immutable.
 */
import { Call, type Events, JsonRpc, Options as Read } from "@hawser/core"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { build, flightsOf, readers } from "./internal/build.ts"
import { bulk, type Route } from "./internal/bulk.ts"
import type { Event } from "./internal/commits.ts"
import { keyOf } from "./internal/keys.ts"
import type { Policy } from "./internal/policy.ts"
import type { Store } from "./internal/secondLevel.ts"

export type { Event, Why } from "./internal/commits.ts"
export type { Negative, Policy } from "./internal/policy.ts"
export type { Store, Stored } from "./internal/secondLevel.ts"

/** What the cache as a whole may use, and how it refreshes. */
export interface Options<in EP = unknown> {
  /** Entries at most. Default 10,000. */
  readonly capacity?: number | undefined
  /** Weight of all values at most, in the unit of `weigh`. Default: values are not weighed. */
  readonly maxWeight?: number | undefined
  /**
   * The weight of a value, 0 or more. By default a cheap estimate of the bytes that it and its key take in memory: the
   * length of its texts and a fixed sum for all else; of long lists it looks at 32 elements.
   */
  readonly weigh?: ((value: unknown, key: string) => number) | undefined
  /** Each ttl is shortened by a random part of at most this much, so that not all ends at once. Default 0.1. */
  readonly jitter?: number | undefined
  /** How long a load goes on after its last caller has left. Default 0: it is interrupted. */
  readonly linger?: Duration.Input | undefined
  /** The part of its ttl after which a value that was read before is refreshed by its next reader. Default 1: never. */
  readonly refreshAhead?: number | undefined
  /** Refreshes at most at one time, over all keys; further ones are left to later readers. Default 16. */
  readonly refreshConcurrency?: number | undefined
  /** How long one refresh may take. Default 30 seconds. */
  readonly refreshTimeout?: Duration.Input | undefined
  /**
   * Pause after a refresh that failed; doubles with each further one, and is at least as long as the error's
   * `retryAfter`. At most one minute. Default 1 second.
   */
  readonly refreshBackoff?: Duration.Input | undefined
  /**
   * Which errors a spare value may stand in for. By default all but the chain's own answers; `Rejected` never is one
   * of them, whatever this says.
   */
  readonly staleOn?: ((error: EP) => boolean) | undefined
  /** A second level, asked when this one has nothing. */
  readonly store?: Store | undefined
  /** How long the store may take. Default 50 milliseconds. */
  readonly storeTimeout?: Duration.Input | undefined
}

/** Which requests are cached, and as what. */
export interface Routing<in EP = unknown> {
  /**
   * How a request is cached; `undefined`: not at all, and not shared. Only reads are asked about: a write or a session
   * request is never cached. By default reads share their load and nothing is kept.
   */
  readonly policy?: ((request: JsonRpc.Request) => Policy<unknown, EP> | undefined) | undefined
  /**
   * The key of a request; `undefined` as in `policy`. By default requests are the same if their method and the JSON
   * of their parameters are, letter by letter.
   */
  readonly key?: ((request: JsonRpc.Request) => string | undefined) | undefined
}

/** A cache of its own. `R` is what its loads need. */
export interface ResponseCache<in out R = never> {
  /**
   * The value of `key`: from the cache, from a load that is under way, or from `effect`.
   *
   * The load runs for everyone who waits, in the context in which the cache was made. It must not ask the cache for
   * its own key: it would wait for itself.
   */
  readonly execute: <A, E>(key: string, effect: Effect.Effect<A, E, R>, policy: Policy<A, E>) => Effect.Effect<A, E>
  /** What this level holds of a key, fresh or not. Not a read: neither counted nor refreshed. */
  readonly get: (key: string) => Held | undefined
  /** Puts a value in the place of whatever is held or being loaded. */
  readonly set: <A>(key: string, value: A, policy: Policy<A, never>) => Effect.Effect<void>
  /** Drops a value. No load that began before gives it back, nor any that the store still has. */
  readonly invalidate: (key: string) => Effect.Effect<void>
  /** Drops all values with a tag. A load under way whose tags depend on its value counts as having it. */
  readonly invalidateTag: (tag: string) => Effect.Effect<void>
  /** Drops everything, from the store, too. */
  readonly clear: () => Effect.Effect<void>
  readonly inspect: () => Inspection
  readonly events: Events.Events<Event>
}

/** A value that is held, and its age in milliseconds. */
export interface Held {
  readonly value: unknown
  readonly age: number
  readonly stale: boolean
}

export interface Inspection {
  /** Entries, those that have expired and were not yet swept included. */
  readonly size: number
  /** `undefined` without a `maxWeight`. */
  readonly weight: number | undefined
  /** Loads that run, and refreshes among them. */
  readonly inFlight: number
  readonly refreshing: number
  /** Answers given fresh; callers who started a load; callers who joined one. */
  readonly hits: number
  readonly misses: number
  readonly joined: number
  /** Answers given stale: while a refresh runs, after a failed load, just before the caller's deadline. */
  readonly stale: { readonly revalidate: number; readonly error: number; readonly deadline: number }
  readonly refreshes: number
  readonly refreshFailures: number
  /** Entries given up for want of room. */
  readonly evictions: number
  readonly store: { readonly hits: number; readonly failures: number } | undefined
}

const routers = {
  policy: Read.fn<Router["policy"]>({ default: () => ({ ttl: 0 }) }),
  key: Read.fn<Router["key"]>({ default: ({ method, params }) => keyOf(method, params) })
}

interface Router {
  readonly policy: (request: JsonRpc.Request) => Policy<unknown, never> | undefined
  readonly key: (request: JsonRpc.Request) => string | undefined
}

/**
 * Makes a cache. Its loads run in the context in which it is made, and end with its scope.
 *
 * ```ts
 * const cache = yield* ResponseCache.make({ capacity: 1_000 })
 * const user = cache.execute("user/7", fetchUser(7), { ttl: "1 minute", staleIfError: "1 hour" })
 * ```
 *
 * @throws `InvalidOption` at once.
 */
export const make = <R = never>(options?: Options): Effect.Effect<ResponseCache<R>, never, R | Scope.Scope> =>
  build<R>(Read.read("ResponseCache", options, readers))

/**
 * Puts a cache over a client. Errors are unchanged. A caller whose answer is stale finds so in its report
 * (`JsonRpc.explain`).
 *
 * ```ts
 * const client = UpstreamPool.layer(upstreams).pipe(
 *   ResponseCache.layer({ policy: ({ method }) => ({ ttl: method === "eth_chainId" ? Infinity : 0 }) })
 * )
 * ```
 *
 * @throws `InvalidOption` at once.
 */
export const layer = <EP = any>(
  options?: Options<EP> & Routing<EP>
): (<E, LE, R>(self: JsonRpc.Over<"client", E, EP, LE, R>) => Layer.Layer<JsonRpc.Client<E>, LE, R>) => {
  const { key, policy, ...settings } = Read.read("ResponseCache", options, { ...readers, ...routers })
  return (self) => over(self, build(settings), { key, policy })
}

/**
 * Puts a cache that exists over a client, for a program that sets or invalidates what its client caches. Give each
 * client a cache of its own, or keys that name its chain.
 *
 * @throws `InvalidOption` at once.
 */
export const layerOver = <EP = any>(
  cache: ResponseCache,
  routing?: Routing<EP>
): (<E, LE, R>(self: JsonRpc.Over<"client", E, EP, LE, R>) => Layer.Layer<JsonRpc.Client<E>, LE, R>) => {
  const router = Read.read("ResponseCache", routing, routers)
  if (flightsOf(cache) === undefined) Read.reject("ResponseCache.layerOver", "a cache that `make` gave", cache)
  return (self) => over(self, Effect.succeed(cache), router)
}

const over = <E, EP, LE, R>(
  self: JsonRpc.Over<"client", E, EP, LE, R>,
  make: Effect.Effect<ResponseCache, never, Scope.Scope>,
  { key: keyed, policy: ruled }: Router
): Layer.Layer<JsonRpc.Client<E>, LE, R> =>
  JsonRpc.transform(self, "cache", (below, observer) =>
    Effect.gen(function* () {
      const cache = yield* make
      const off = cache.events.on((event) => observer.emit(event))
      yield* Effect.addFinalizer(() => Effect.sync(off))
      const flights = flightsOf(cache)!
      const route: Route = (request) => {
        const policy = request.nature === "read" ? ruled(request) : undefined
        const key = policy === undefined ? undefined : keyed(request)
        return key === undefined ? undefined : { key, policy: policy! }
      }
      return {
        request: (request) =>
          Effect.withFiber((fiber): Effect.Effect<unknown, E> => {
            if (request.batch !== undefined) return bulk(request.batch, route, flights, below)
            const routed = route(request)
            if (routed === undefined) return below.request(request)
            const { key, policy } = routed
            const call = fiber.getRef(Call.Current)
            const answer = flights.hit(call, key) ?? flights.get(call, key, below.request(request), policy)
            return answer as Effect.Effect<unknown, E>
          }),
        submit: (request, caller) => {
          const routed = request.batch === undefined ? route(request) : undefined
          if (routed === undefined) return below.submit?.(request, caller)
          const { key, policy } = routed
          const answer = flights.hit(caller.call, key)
          if (answer === undefined) {
            const load = Effect.suspend(() => below.request(request))
            return flights.take(key, load, policy, caller)
          }
          caller.end(answer)
          return JsonRpc.nowhere
        },
        inspect: cache.inspect
      }
    })
  )
