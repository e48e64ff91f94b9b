/**
 * A circuit breaker: stops asking an upstream that fails, and finds out gently when it works again.
 *
 * - **closed**: calls pass. Failures in a row, a share of failures or a share of slow calls opens the circuit.
 * - **open**: calls are refused at once with {@link CircuitOpen}, until the open time is over.
 * - **half-open**: a few calls pass as probes, all others are refused. Enough successes close the circuit, one failure
 *   opens it again, for longer.
 * - **isolated**: refused until `reset`.
 *
 * What counts is the call's `Outcome`: a call that was cancelled, or that an inner layer refused, is neutral and moves
 * nothing. What comes too late, after the circuit has changed its state, changes nothing either. There are no timers:
 * the state follows from the clock when somebody asks.
 *
 * Put a timeout below the breaker, so that a call that hangs is a failure, and put retries above it, so that it sees
 * each attempt. A breaker guards one upstream; above a pool there is nothing for it to guard, and `layer` says so at
 * compile time.
 *
 * **Not promised.** A call admitted before the circuit opened is not interrupted. State is kept in this process, unless
 * it is `shared`. Rates are looked at when a call ends, never in between.
 */
import { Events, JsonRpc, Options as Check, Outcome } from "@hawser/core"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import type * as Schedule from "effect/Schedule"
import type { Circuit, CircuitOpen, Transition } from "./internal/circuit.ts"
import { factory, outcomeOf } from "./internal/circuit.ts"
import type { Keyed } from "./internal/keyed.ts"
import { keyed } from "./internal/keyed.ts"
import * as Settings from "./internal/settings.ts"
import type { Inspection, Snapshot } from "./internal/snapshot.ts"
import type { Judge } from "./internal/state.ts"

export { CircuitOpen } from "./internal/circuit.ts"
export type { Transition } from "./internal/circuit.ts"
export type { Keyed, KeyedTransition } from "./internal/keyed.ts"
export type { Inspection, Snapshot } from "./internal/snapshot.ts"
export type { Judge, State, Why } from "./internal/state.ts"

/** Three rules open the circuit, whichever is met first: `consecutive`, `rate` and `slow`. */
export interface Options<in E = any> {
  /** Failures in a row that open the circuit. At least 1, or `false`. Default 10. */
  readonly consecutive?: number | false | undefined
  /** The share of failures in the window that opens it. Above 0 and at most 1, or `false`. Default 0.5. */
  readonly rate?: number | false | undefined
  /**
   * What the shares are taken of: the calls of the last so much time, or the last so many calls. Default
   * 10 seconds.
   */
  readonly window?: Duration.Input | { readonly calls: number } | undefined
  /**
   * Calls that the window must hold before a share means anything. Default 20, or all calls of a smaller
   * window.
   */
  readonly minimumCalls?: number | undefined
  /**
   * Opens when this share of the calls, 0.5 unless given, takes `after` or longer. Default off. A call that was cancelled
   * after it had waited that long counts as slow, too, and a slow probe is a failed one.
   */
  readonly slow?: { readonly after: Duration.Input; readonly rate?: number | undefined } | false | undefined
  /**
   * How long the circuit stays open: a time that doubles with each opening in a row, or a schedule whose k-th delay is
   * that of the k-th opening in a row. Default 5 seconds.
   *
   * The row ends once the circuit has stayed closed as long as it was last open. For a time that does not double, give
   * `Schedule.spaced`.
   */
  readonly openFor?: Duration.Input | Schedule.Schedule<unknown, number> | undefined
  /**
   * No opening lasts longer, whatever `openFor` or an upstream's `retryAfter` says. At least `openFor`.
   * Default 2 minutes.
   */
  readonly maxOpenFor?: Duration.Input | undefined
  /** The share by which an opening is shortened at random, at most; from 0 to 1. Never cuts a `retryAfter`. Default 0.2. */
  readonly jitter?: number | undefined
  /** Calls let through while half-open: those under way and those that succeeded, together. Default 1. */
  readonly probes?: number | undefined
  /** Probes that must succeed to close the circuit; at most `probes`. Default all of them. */
  readonly successes?: number | undefined
  /**
   * How long a probe may keep its place when others ask for it: what hangs cannot wedge the circuit.
   * Default 1 minute.
   */
  readonly probeLease?: Duration.Input | undefined
  /**
   * The time over which the traffic is let in again after probes have closed the circuit, a tenth at first.
   * Default 0: at once.
   */
  readonly recovery?: Duration.Input | undefined
  /**
   * How an error counts: a verdict, or `"success"`, `"failure"`, `"neutral"`. What it leaves `undefined` counts as the
   * error itself says, which is a failure unless it says something. Defects are failures, interruption is neutral.
   *
   * If it throws, the call counts as a failure and dies, with its own error and what was thrown in the cause.
   */
  readonly judge?: Judge<E> | undefined
}

/** One circuit, for effects that fail with at most `E`. */
export interface Breaker<in E = unknown> {
  /** Runs an effect if the circuit lets it pass. Its exit is left as it is. */
  readonly execute: <A, E1 extends E, R>(self: Effect.Effect<A, E1, R>) => Effect.Effect<A, E1 | CircuitOpen, R>
  readonly inspect: () => Inspection
  readonly events: Events.Events<Transition>
  /** Refuses every call until `reset`. */
  readonly isolate: () => void
  /** Closes the circuit and forgets what it has learned. Calls under way no longer count. */
  readonly reset: () => void
  /** The state as JSON-able data: what has passed and what remains, no points in time, no calls under way. */
  readonly snapshot: () => Snapshot
  /**
   * Takes over a snapshot, also one of another process. Time in which nobody held it has not passed. A window of
   * another shape starts empty. Throws `InvalidOption` if it is no snapshot.
   */
  readonly restore: (snapshot: Snapshot) => void
}

/**
 * Makes the breakers of several processes act as one: what the `breaker` of a store gives (see `@hawser/store`). Takes a
 * breaker of this process and gives its `execute` another meaning.
 */
export type Shared = (breaker: Breaker, terms: Terms) => Effect.Effect<Breaker["execute"]>

/** What a shared breaker must know of the one it is made of. Times are milliseconds. */
export interface Terms {
  readonly name: string
  readonly probes: number
  readonly successes: number
  readonly probeLease: number
  /** How a call counts. */
  readonly outcome: (exit: Exit.Exit<unknown, unknown>) => Outcome.Outcome
}

/** Where the state is kept. */
export interface Sharing {
  /** Lets other processes know when the circuit opens and closes, and bounds the probes of all together. Default off. */
  readonly shared?: Shared | undefined
}

const readers = { ...Settings.readers, shared: Check.fn<Shared, undefined>({ default: undefined }) }

/**
 * Makes a circuit breaker for any effect.
 *
 * ```ts
 * const breaker = yield* Breaker.make({ name: "payments", consecutive: 5 })
 * const receipt = yield* breaker.execute(charge(order))
 * ```
 */
export const make = <E = unknown>(
  options?: Options<E> &
    Sharing & {
      /** What refusals call the upstream. `"upstream"`. */
      readonly name?: string | undefined
    }
): Effect.Effect<Breaker<E>> => {
  const given = Check.read("Breaker", options, { ...readers, name: Check.string({ default: "upstream" }) })
  return Effect.flatMap(factory(Settings.draft(given), given.judge), (circuit) => {
    const events = Events.make<Transition>()
    return guarding(circuit(given.name, events), events, given.name, given)
  })
}

const guarding = (
  { execute, inspect, isolate, reset, restore, snapshot }: Circuit,
  events: Events.Hub<Transition>,
  name: string,
  { judge, probeLease, probes, shared, successes = probes }: Given
): Effect.Effect<Breaker> => {
  const breaker = { execute, inspect, events, isolate, reset, snapshot, restore }
  return shared === undefined
    ? Effect.succeed(breaker)
    : Effect.map(shared(breaker, { name, probes, successes, probeLease, outcome: outcomeOf(judge) }), (execute) => ({
        ...breaker,
        execute
      }))
}

type Given = { readonly [K in keyof typeof readers]: ReturnType<(typeof readers)[K]> }

/**
 * Makes circuit breakers by key: hosts, tenants, methods.
 *
 * A circuit that nobody has used for `idle` is dropped, together with what it knew, when any key is used or inspected
 * next. An isolated one and one with calls under way are kept.
 */
export const makeKeyed = <E = unknown>(
  options?: Options<E> & {
    /** How long an unused circuit is kept. 10 minutes; at least `maxOpenFor` and the window. */
    readonly idle?: Duration.Input | undefined
  }
): Effect.Effect<Keyed<E>> => {
  const given = Check.read("Breaker", options, { ...Settings.readers, idle: Check.duration({ default: undefined }) })
  return keyed(Settings.draft(given), given.judge, Settings.idle(given))
}

/**
 * Guards one upstream with a breaker of its own. Refusals name the upstream.
 *
 * ```ts
 * Http.layer({ url }).pipe(Timeout.layer("4 seconds"), Breaker.layer({ consecutive: 5 }))
 * ```
 */
export const layer = <EP = any>(options?: Options<EP> & Sharing) => {
  const given = Check.read("Breaker", options, readers)
  const circuits = factory(Settings.draft(given), given.judge)
  return <E, LE, R>(
    self: JsonRpc.Over<"upstream", E, EP, LE, R>
  ): Layer.Layer<JsonRpc.Upstream<E | CircuitOpen>, LE, R> =>
    JsonRpc.transform(self, "breaker", (below, observer) =>
      Effect.flatMap(circuits, (circuit) => {
        const events = Events.make<Transition>()
        // Whoever shares the circuit listens, too.
        if (given.shared !== undefined) events.on((event) => observer.emit(event))
        const one = circuit(below.name, given.shared === undefined ? observer : events)
        return Effect.map(guarding(one, events, below.name, given), ({ execute, inspect }) => ({
          request: (request) => execute(Effect.suspend(() => below.request(request))),
          inspect
        }))
      })
    )
}

/** Whether an error is a breaker's refusal. */
export const isCircuitOpen = (u: unknown): u is CircuitOpen =>
  Predicate.isTagged(u, "CircuitOpen") && Outcome.TypeId in u
