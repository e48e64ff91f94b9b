import { circuitBreaker, ConsecutiveBreaker, handleAll, SamplingBreaker } from "cockatiel"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as Scope from "effect/Scope"
import { Breaker } from "hawser"
import Opossum from "opossum"
import { effects, type Group, npm, ours } from "../Cases.ts"
import { made } from "../Harness.ts"
import { settled, sync } from "./works.ts"

/** Effect's own, with its store in memory. */
export const theirs = (): CircuitBreaker.CircuitBreaker =>
  made(
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const store = yield* Layer.buildWithScope(CircuitBreaker.layerStoreMemory(), scope)
      return yield* CircuitBreaker.make({ tripPolicy: CircuitBreaker.rate({}), openDuration: "5 seconds" }).pipe(
        Effect.provide(store),
        Effect.provideService(Scope.Scope, scope)
      )
    })
  )

export const breaker: Group = {
  name: "breaker",
  about: "closed",
  cases: () => {
    const closed = made(Breaker.make())
    const slow = made(Breaker.make({ slow: { after: "2 seconds" } }))
    const keyed = made(Breaker.makeKeyed())
    const effect = theirs()
    const sampling = circuitBreaker(handleAll, {
      halfOpenAfter: 5000,
      breaker: new SamplingBreaker({ threshold: 0.5, duration: 10_000 })
    })
    const consecutive = circuitBreaker(handleAll, { halfOpenAfter: 5000, breaker: new ConsecutiveBreaker(10) })
    const opossum = new Opossum(settled, { timeout: false })
    return [
      ours("Breaker", () => closed.execute(sync()), { times: 3.5 }),
      ours("Breaker, with a slow rule", () => slow.execute(sync())),
      ours("Breaker, by key", () => keyed.execute("a", sync())),
      effects("effect CircuitBreaker", () => effect.execute(sync(), { key: "a" })),
      npm("cockatiel, sampling", () => sampling.execute(settled)),
      npm("cockatiel, consecutive", () => consecutive.execute(settled)),
      npm("opossum", () => opossum.fire())
    ]
  }
}
