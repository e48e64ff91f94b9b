import * as Cache from "effect/Cache"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import { ResponseCache } from "hawser"
import { LRUCache } from "lru-cache"
import { effects, type Group, npm, ours } from "../Cases.ts"
import { made } from "../Harness.ts"
import { settled } from "./works.ts"

/** A cache that nobody closes. */
export const ownCache = (capacity: number): ResponseCache.ResponseCache =>
  made(
    Effect.flatMap(Scope.make(), (scope) => Effect.provideService(ResponseCache.make({ capacity }), Scope.Scope, scope))
  )

export const cache: Group = {
  name: "cache",
  about: "a hit",
  cases: () => {
    const policy = { ttl: "1 hour" } as const
    const own = ownCache(10_000)
    const load = Effect.succeed("0x1")
    made(own.execute("a", load, policy))
    const theirs = made(Cache.make({ capacity: 10_000, lookup: (key: string) => Effect.succeed(key) }))
    const lru = new LRUCache<string, number>({ max: 10_000, ttl: 3_600_000, fetchMethod: settled })
    return [
      ours("ResponseCache", () => own.execute("a", load, policy), { times: 2.5 }),
      effects("effect Cache", () => Cache.get(theirs, "a")),
      npm("lru-cache, fetch", () => lru.fetch("a"))
    ]
  }
}
