/**
 * What a call through a closed circuit costs: `node packages/breaker/bench/Breaker.bench.ts`.
 *
 * Each row is the best of several rounds that take turns, as a multiple of a bare `Effect.sync` in the same process.
 * "alone" runs every call in a fiber of its own, "within" runs them one after the other inside one fiber, where
 * `Effect.sync` itself costs next to nothing. The numbers say nothing about latency under load.
 */
import { Options } from "@hawser/core"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as CircuitBreaker from "effect/persistence/CircuitBreaker"
import * as Scope from "effect/Scope"
import { Breaker } from "../src/index.ts"
import * as Machine from "../src/internal/machine.ts"
import * as Settings from "../src/internal/settings.ts"
import { Permit } from "../src/internal/state.ts"

const rounds = 15
const calls = 50_000

const theirs = Effect.gen(function* () {
  const scope = yield* Scope.make()
  const store = yield* Layer.buildWithScope(CircuitBreaker.layerStoreMemory(), scope)
  return yield* CircuitBreaker.make({ tripPolicy: CircuitBreaker.rate({}), openDuration: "5 seconds" }).pipe(
    Effect.provide(store),
    Effect.provideService(Scope.Scope, scope)
  )
})

const isolated = Effect.tap(Breaker.make(), (breaker) => Effect.sync(breaker.isolate))

const work = Effect.sync(() => 1)

const cases: Record<string, Effect.Effect<unknown, unknown>> = {
  "Effect.sync": work,
  closed: Effect.runSync(Breaker.make()).execute(work),
  "closed, count window": Effect.runSync(Breaker.make({ window: { calls: 100 } })).execute(work),
  "closed, with a slow rule": Effect.runSync(Breaker.make({ slow: { after: "2 seconds" } })).execute(work),
  "closed, by key": Effect.runSync(Breaker.makeKeyed()).execute("a", work),
  refused: Effect.ignore(Effect.runSync(isolated).execute(work)),
  "effect/persistence, closed": Effect.runSync(theirs).execute(work, { key: "a" })
}

const alone = (self: Effect.Effect<unknown, unknown>): void => {
  for (let i = 0; i < calls; i++) Effect.runSync(self)
}

const within = (self: Effect.Effect<unknown, unknown>): void => {
  let i = 0
  Effect.runSync(Effect.whileLoop({ while: () => i < calls, body: () => self, step: () => void i++ }))
}

const draft = Settings.draft(Options.read("Breaker", {}, Settings.readers))
const machine = Machine.make(Effect.runSync(Effect.map(Effect.context(), draft)), 0)

const core = (): void => {
  for (let i = 0; i < calls; i++) {
    const permit = Machine.acquire(machine, machine.now + 0.01, () => "none")
    if (permit instanceof Permit) Machine.settle(machine, permit, "success", machine.now + 0.01)
  }
}

const nanos = (run: () => void): number => {
  const start = process.hrtime.bigint()
  run()
  return Number(process.hrtime.bigint() - start) / calls
}

const best = (runs: Record<string, () => void>): Record<string, number> => {
  const result: Record<string, number> = {}
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of Object.entries(runs)) result[name] = Math.min(result[name] ?? Infinity, nanos(run))
  }
  return result
}

for (const [title, way] of Object.entries({ alone, within })) {
  const times = best(Object.fromEntries(Object.entries(cases).map(([name, self]) => [name, () => way(self)])))
  for (const [name, time] of Object.entries(times)) {
    const ratio = (time / times["Effect.sync"]!).toFixed(2)
    console.log(`${title.padEnd(7)} ${name.padEnd(27)} ${time.toFixed(0).padStart(6)} ns  × ${ratio}`)
  }
}
console.log(`the core, acquire and settle        ${best({ core })["core"]!.toFixed(0).padStart(6)} ns`)
