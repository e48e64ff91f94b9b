/**
 * What a policy tells about itself as it happens: a set of listeners that costs nothing while it is empty.
 */
import * as Effect from "effect/Effect"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"

/** Something to listen to. */
export interface Events<out A> {
  /** Calls `listener` for every event from now on. Returns the function that stops it. */
  readonly on: (listener: (event: A) => void) => () => void
}

/** Where events go. Ask `active` before building one, so that an event nobody hears is never built. */
export interface Sink<in A> {
  readonly active: boolean
  readonly emit: (event: A) => void
}

/** Both ends. */
export interface Hub<in out A> extends Events<A>, Sink<A> {}

/** Where events go that nobody asked for. */
export const nobody: Sink<unknown> = { active: false, emit: () => {} }

/**
 * Makes a hub without listeners.
 *
 * A listener that throws disturbs neither the call that caused the event nor the other listeners; what it threw
 * surfaces as an uncaught error, as in an `EventTarget`.
 */
export const make = <A>(): Hub<A> => {
  const listeners = new Set<(event: A) => void>()
  return {
    get active() {
      return listeners.size > 0
    },
    on(listener) {
      // Wrapped, so that the same function registered twice is called twice and removed once each.
      const own = (event: A) => listener(event)
      listeners.add(own)
      return () => {
        listeners.delete(own)
      }
    },
    emit(event) {
      for (const listener of listeners) safely(() => listener(event))
    }
  }
}

/** Calls somebody who may throw: it disturbs nobody else, and surfaces as an uncaught error. */
export const safely = (f: () => void): void => {
  try {
    f()
  } catch (error) {
    queueMicrotask(() => {
      throw error
    })
  }
}

/** A sink that hands its events on to another, which knows whether anybody listens. */
export const into = <A, B>(target: Sink<B>, f: (event: A) => B): Sink<A> => ({
  get active() {
    return target.active
  },
  emit: (event) => target.emit(f(event))
})

/** The events from now on. Unbounded: a consumer that falls behind keeps them all in memory. */
export const stream = <A>(events: Events<A>): Stream.Stream<A> =>
  Stream.callback<A>((queue) =>
    Effect.acquireRelease(
      Effect.sync(() => events.on((event) => Queue.offerUnsafe(queue, event))),
      (off) => Effect.sync(off)
    )
  )
