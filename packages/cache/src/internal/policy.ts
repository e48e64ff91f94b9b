/** What to keep, for how long, and under which tags: as the user writes it, and as the machinery reads it. */
import { Options } from "@hawser/core"
import type * as Duration from "effect/Duration"
import { type Ages, noTags } from "./entries.ts"

/**
 * How one request is cached. The policy of the load that wrote an entry decides over that entry's life.
 *
 * An entry goes through three phases, one after the other: fresh for `ttl`, stale for `staleWhileRevalidate`, a spare
 * for `staleIfError`. After the last it is gone.
 */
export interface Policy<in A = unknown, in E = unknown> {
  /**
   * How long a value is returned without asking. May depend on the value; `undefined` keeps it not at all. With 0,
   * callers share the load, and nothing is kept unless a later phase has a length.
   */
  readonly ttl: Duration.Input | ((value: A) => Duration.Input | undefined)
  /** After that: how long the old value is returned at once while one refresh runs. Default 0. */
  readonly staleWhileRevalidate?: Duration.Input | undefined
  /**
   * After that: how long the old value is returned if a new one cannot be had, because the load fails or the caller's
   * deadline is near: a tenth of the time it had left when it came, and at most 100 ms. Default 0.
   */
  readonly staleIfError?: Duration.Input | undefined
  /** Which failures are kept, and how long. By default none is. Interruptions and defects never are. */
  readonly negative?: Negative<E> | undefined
  /** Names under which `invalidateTag` finds the entry. May depend on the value. */
  readonly tags?: ReadonlyArray<string> | ((value: A) => ReadonlyArray<string>) | undefined
}

export interface Negative<in E = unknown> {
  readonly ttl: Duration.Input
  readonly when: (error: E) => boolean
}

/** A policy in milliseconds. */
export interface Terms {
  readonly ttl: (value: unknown) => number | undefined
  readonly stale: number
  readonly spare: number
  readonly negative: { readonly ttl: number; readonly when: (error: unknown) => boolean } | undefined
  readonly tags: ReadonlyArray<string> | ((value: unknown) => ReadonlyArray<string>)
}

const millis = Options.duration({ min: 0, infinite: true })
const phase = Options.duration({ min: 0, infinite: true, default: 0 })

/** Reads a policy, once if it is the same record each time; throws `InvalidOption` if it cannot be used. */
export const readPolicy = (policy: Policy<never, never>): Terms => {
  let terms = known.get(policy)
  if (terms === undefined) known.set(policy, (terms = parse(policy)))
  return terms
}

const known = new WeakMap<Policy<never, never>, Terms>()

const parse = (policy: Policy<never, never>): Terms => {
  const { negative, staleIfError, staleWhileRevalidate, tags, ttl } = Options.read("ResponseCache.policy", policy, {
    ttl: lifetime,
    staleWhileRevalidate: phase,
    staleIfError: phase,
    negative: failures,
    tags: names
  })
  return { ttl, stale: staleWhileRevalidate, spare: staleIfError, negative, tags }
}

const lifetime: Options.Reader<Terms["ttl"]> = (option, received) => {
  if (typeof received !== "function") {
    const fixed = millis(option, received)
    return () => fixed
  }
  return (value) => {
    const given: unknown = received(value)
    return given === undefined ? undefined : millis(option, given)
  }
}

const failures: Options.Reader<Terms["negative"]> = (option, received) =>
  received === undefined
    ? undefined
    : Options.read(option, received, { ttl: millis, when: Options.fn<(error: unknown) => boolean>() })

const names: Options.Reader<Terms["tags"]> = (option, received) => {
  if (received === undefined) return noTags
  if (typeof received === "function" || Array.isArray(received)) return received as never
  return Options.reject(option, "a list of names, or a function that gives one", received)
}

/** How long a value lives: its ages, or `undefined` if it is not kept. Jitter shortens the first phase only. */
export const agesOf = (terms: Terms, value: unknown, jitter: number): Ages | undefined => {
  const ttl = terms.ttl(value)
  return ttl === undefined ? undefined : { fresh: ttl * (1 - jitter), stale: terms.stale, spare: terms.spare }
}

export const tagsOf = (terms: Terms, value: unknown): ReadonlyArray<string> =>
  typeof terms.tags === "function" ? terms.tags(value) : terms.tags
