import { Call, Events, Outcome } from "@hawser/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Circuit, Transition } from "./circuit.ts"
import { CircuitOpen, factory } from "./circuit.ts"
import type { Entry } from "./registry.ts"
import { Registry } from "./registry.ts"
import type { Draft } from "./settings.ts"
import type { Inspection, Snapshot } from "./snapshot.ts"
import type { Judge, Permit } from "./state.ts"

/** A change of state of the circuit that `upstream` names. */
export interface KeyedTransition extends Transition {
  readonly upstream: string
}

/** Circuits by key, all with the same options, made when first used and dropped when idle. */
export interface Keyed<in E = unknown> {
  /** Runs an effect under the circuit of a key. */
  readonly execute: <A, E1 extends E, R>(
    key: string,
    self: Effect.Effect<A, E1, R>
  ) => Effect.Effect<A, E1 | CircuitOpen, R>
  /** Every circuit in memory. */
  readonly inspect: () => { readonly [key: string]: Inspection }
  readonly events: Events.Events<KeyedTransition>
  /** Refuses every call for a key until `reset`, and keeps its circuit in memory until then. */
  readonly isolate: (key: string) => void
  readonly reset: (key: string) => void
  readonly snapshot: () => { readonly [key: string]: Snapshot }
  readonly restore: (snapshot: { readonly [key: string]: Snapshot }) => void
}

export const keyed = <E>(draft: Draft, judge: Judge<never> | undefined, idle: number): Effect.Effect<Keyed<E>> =>
  Effect.map(Effect.all([factory(draft, judge), Clock.Clock]), ([circuit, clock]) => {
    const events = Events.make<KeyedTransition>()
    const registry = new Registry<Circuit>(
      idle,
      (upstream) =>
        circuit(
          upstream,
          Events.into(events, (event) => ({ ...event, upstream }))
        ),
      (circuit) => circuit.retire()
    )
    const touch = (key: string) => registry.touch(key, Call.now(clock))

    const each = <A>(f: (circuit: Circuit) => A): { readonly [key: string]: A } => {
      registry.sweep(Call.now(clock))
      return Object.fromEntries(Array.from(registry.entries, ([key, entry]) => [key, f(entry.value)]))
    }

    return {
      execute: (key, self) =>
        Outcome.guard(
          self,
          (): Lease | CircuitOpen => {
            const entry = touch(key)
            const permit = entry.value.admit()
            if (permit instanceof CircuitOpen) return permit
            entry.running++
            return { entry, permit }
          },
          ({ entry, permit }, exit) => {
            entry.running--
            registry.renew(entry, Call.now(clock))
            entry.value.settle(permit, exit)
          }
        ),
      inspect: () => each((circuit) => circuit.inspect()),
      events,
      isolate: (key) => touch(key).value.isolate(),
      reset: (key) => registry.entries.get(key)?.value.reset(),
      snapshot: () => each((circuit) => circuit.snapshot()),
      restore(snapshots) {
        for (const [key, snapshot] of Object.entries(snapshots)) touch(key).value.restore(snapshot)
      }
    }
  })

// What a running call holds: its circuit stays in memory for as long.
interface Lease {
  readonly entry: Entry<Circuit>
  readonly permit: Permit
}
