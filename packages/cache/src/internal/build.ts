/** Puts the parts together: options in, cache out. */
import { Call, Events, Options } from "@hawser/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Tracer from "effect/Tracer"
import type { ResponseCache } from "../ResponseCache.ts"
import { Commits, type Event } from "./commits.ts"
import { Entries } from "./entries.ts"
import { Flights } from "./flights.ts"
import { type Policy, readPolicy } from "./policy.ts"
import { SecondLevel, type Store } from "./secondLevel.ts"
import { isAnswer } from "./verdict.ts"
import { weigh } from "./weigh.ts"

export const readers = {
  capacity: Options.integer({ min: 1, default: 10_000 }),
  maxWeight: Options.number({ above: 0, default: undefined }),
  weigh: Options.fn<(value: unknown, key: string) => number>({ default: (value, key) => weigh(value) + key.length }),
  jitter: Options.number({ min: 0, max: 1, default: 0.1 }),
  linger: Options.duration({ min: 0, infinite: true, default: 0 }),
  refreshAhead: Options.number({ above: 0, max: 1, default: 1 }),
  refreshConcurrency: Options.integer({ min: 1, default: 16 }),
  refreshTimeout: Options.duration({ infinite: true, default: "30 seconds" }),
  refreshBackoff: Options.duration({ default: "1 second" }),
  staleOn: Options.fn<(error: never) => boolean>({ default: (error) => !isAnswer(error) }),
  store: Options.any<Store>(),
  storeTimeout: Options.duration({ default: "50 millis" })
}

export type Settings = { readonly [K in keyof typeof readers]: ReturnType<(typeof readers)[K]> }

const internals = new WeakMap<object, Flights>()

/** How a layer reaches the hit path of a cache without the detour of an effect. */
export const flightsOf = (cache: ResponseCache): Flights | undefined => internals.get(cache)

/** Makes a cache of options that were read. */
export const build = <R>(settings: Settings): Effect.Effect<ResponseCache<R>, never, R | Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const random = yield* Random.Random
    // Loads belong to nobody's call and to nobody's span.
    const context = Context.omit(Tracer.ParentSpan)(yield* Effect.context()).pipe(
      Context.add(Call.Current, undefined),
      Context.add(Call.Insist, "none")
    )
    const events = Events.make<Event>()
    const { maxWeight, store } = settings
    const entries = new Entries(
      { entries: settings.capacity, weight: maxWeight ?? Infinity },
      settings.refreshAhead,
      (key) => {
        if (events.active) events.emit({ type: "evicted", key })
      }
    )
    const second =
      store &&
      new SecondLevel(store, settings.storeTimeout, clock, context, (operation, error) => {
        if (events.active) events.emit({ type: "store-failed", operation, error })
      })
    const commits = new Commits(
      entries,
      second,
      {
        ...settings,
        weigh: maxWeight === undefined ? undefined : settings.weigh,
        staleOn: settings.staleOn as (error: unknown) => boolean,
        random: () => random.nextDoubleUnsafe()
      },
      clock,
      events
    )
    const flights = new Flights(settings, commits, clock, context)
    const now = () => Call.now(clock)

    yield* Effect.addFinalizer(() =>
      Effect.andThen(
        flights.close(),
        Effect.suspend(() => {
          entries.clear()
          return second === undefined ? Effect.void : second.close()
        })
      )
    )

    const cache: ResponseCache<R> = {
      execute: <A, E>(key: string, effect: Effect.Effect<A, E, R>, policy: Policy<A, E>) =>
        Effect.withFiber((fiber) => {
          const call = fiber.getRef(Call.Current)
          return flights.hit(call, key) ?? flights.get(call, key, effect as Effect.Effect<A, E>, policy)
        }) as Effect.Effect<A, E>,
      get(key) {
        const entry = entries.find(key, now())
        const exit = entry?.payload as Exit.Exit<unknown> | undefined
        if (entry === undefined || exit?._tag !== "Success") return undefined
        return { value: exit.value, age: now() - entry.writtenAt, stale: now() >= entry.freshUntil }
      },
      set: (key, value, policy) =>
        Effect.suspend(() => {
          const write = commits.keep(key, value, readPolicy(policy), now())
          flights.detach(key)
          second?.supersede(key)
          if (second === undefined) return Effect.void
          return write === undefined ? second.invalidate(key) : second.set(key, value, write.ages, write.tags)
        }),
      invalidate: (key) =>
        Effect.suspend(() => {
          entries.delete(key)
          flights.detach(key)
          return second?.invalidate(key) ?? Effect.void
        }),
      invalidateTag: (tag) =>
        Effect.suspend(() => {
          entries.deleteTag(tag)
          flights.detachTag(tag)
          return second?.invalidateTag(tag) ?? Effect.void
        }),
      clear: () =>
        Effect.suspend(() => {
          entries.clear()
          flights.detachAll()
          return second?.clear() ?? Effect.void
        }),
      inspect() {
        const { counts } = commits
        return {
          ...counts,
          stale: { ...counts.stale },
          size: entries.size,
          weight: maxWeight === undefined ? undefined : entries.weight,
          inFlight: flights.inFlight,
          refreshing: flights.refreshesRunning,
          evictions: entries.evictions,
          store: second && { hits: second.hits, failures: second.failures }
        }
      },
      events
    }
    internals.set(cache, flights)
    return cache
  })
