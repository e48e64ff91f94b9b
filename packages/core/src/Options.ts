/**
 * Checks options where they are given: a wrong value, or a name that nobody reads, is an error at construction
 * that names the option and what it takes.
 */
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Option from "effect/Option"

/** An option that cannot be used. Thrown where the policy is made, never later. */
export class InvalidOption extends Data.TaggedError("InvalidOption")<{
  /** Where it was given, as in `Breaker.failureRate`. */
  readonly option: string
  /** What it takes. */
  readonly expected: string
  /** What was given, as far as it may be shown: what can hold a credential is not. */
  readonly received: string
}> {
  override get message(): string {
    return `${this.option} takes ${this.expected}, got ${this.received}`
  }
}

/** Makes the error of an option that cannot be used. */
export const invalid = (option: string, expected: string, received: unknown): InvalidOption =>
  new InvalidOption({ option, expected, received: show(received) })

/** Stands for a received value that may hold a credential. */
export const hidden: unique symbol = Symbol("hidden")

/** Reads one option: returns its value or throws {@link InvalidOption}. */
export type Reader<A> = (option: string, received: unknown) => A

/** Reads a record of options. Unknown names are refused; `undefined` stands for "not given". */
export const read = <const Readers extends Readonly<Record<string, Reader<unknown>>>>(
  owner: string,
  options: unknown,
  readers: Readers
): { readonly [K in keyof Readers]: ReturnType<Readers[K]> } => {
  const given = options ?? {}
  if (typeof given !== "object" || Array.isArray(given)) return reject(owner, "a record of options", shielded(options))
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(readers, name)) {
      reject(
        `${owner}.${name}`,
        `no value: the options are ${Object.keys(readers).join(", ")}`,
        shielded(given[name as never])
      )
    }
  }
  const result: Record<string, unknown> = {}
  for (const [name, reader] of Object.entries(readers)) result[name] = reader(`${owner}.${name}`, given[name as never])
  return result as never
}

/** Throws {@link InvalidOption}. */
export const reject = (option: string, expected: string, received: unknown): never => {
  throw invalid(option, expected, received)
}

/** Makes readers: with `default: undefined` an option may be left out, with another default it has that value then. */
interface Making<A, In, Bounds> {
  (bounds: Bounds & { readonly default: undefined }): Reader<A | undefined>
  (bounds?: Bounds & { readonly default?: In }): Reader<A>
}

/** `accept` gives the value, or `undefined` if it is none. */
const making = <A, In, Bounds>(
  accept: (value: unknown, bounds: Bounds) => A | undefined,
  expected: (bounds: Bounds) => string
): Making<A, In, Bounds> =>
  ((bounds = {} as Bounds & { readonly default?: unknown }) =>
    (option: string, received: unknown) => {
      const value = received === undefined ? bounds.default : received
      if (value === undefined && "default" in bounds) return undefined
      return accept(value, bounds) ?? reject(option, expected(bounds), received)
    }) as never

interface Interval {
  readonly min?: number
  readonly max?: number
}

/** A whole number within `[min, max]`. */
export const integer = making<number, number, Interval>(
  (value, { max = Number.MAX_SAFE_INTEGER, min = Number.MIN_SAFE_INTEGER }) =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= max ? (value as number) : undefined,
  (bounds) => `a whole number ${within(bounds)}`
)

/** A finite number within `[min, max]`, or above `above`. */
export const number = making<number, number, Interval & { readonly above?: number }>(
  (value, { above = -Infinity, max = Infinity, min = -Infinity }) =>
    typeof value === "number" && Number.isFinite(value) && value > above && value >= min && value <= max
      ? value
      : undefined,
  (bounds) =>
    bounds.above === undefined
      ? `a number ${within(bounds)}`
      : `a number above ${bounds.above}${bounds.max === undefined ? "" : ` and at most ${bounds.max}`}`
)

/**
 * A duration, in milliseconds: `"2 seconds"`, `500` (milliseconds), `Duration.minutes(1)`. At least one millisecond
 * unless `min` says otherwise; `Infinity` only where `infinite` does.
 */
export const duration = making<number, Duration.Input, { readonly min?: number; readonly infinite?: boolean }>(
  (value, { infinite = false, min = 1 }) => {
    const parsed = Duration.fromInput(value as Duration.Input)
    const millis = Option.isSome(parsed) ? Duration.toMillis(parsed.value) : NaN
    return millis >= min && (Number.isFinite(millis) || infinite) ? millis : undefined
  },
  ({ infinite = false, min = 1 }) =>
    `a duration of at least ${min} ms${infinite ? ", or Infinity" : ""} such as "2 seconds"`
)

/** True or false. */
export const boolean = making<boolean, boolean, object>(
  (value) => (typeof value === "boolean" ? value : undefined),
  () => "true or false"
)

/** A text of at least one character. */
export const string = making<string, string, object>(
  (value) => (typeof value === "string" && value.length > 0 ? value : undefined),
  () => "a non-empty string"
)

/** One of a few words. */
export const oneOf =
  <const A extends string>(values: ReadonlyArray<A>, fallback: A) =>
  (option: string, received: unknown): A => {
    const value = received === undefined ? fallback : received
    return values.includes(value as A)
      ? (value as A)
      : reject(option, `one of ${values.map((v) => `"${v}"`).join(", ")}`, received)
  }

/** A function; its type is the caller's word. */
export const fn =
  <F extends (...args: never) => unknown, D extends F | undefined = F>(bounds?: { readonly default?: D }) =>
  (option: string, received: unknown): F | D => {
    const value = received === undefined ? bounds?.default : received
    if (value === undefined && bounds !== undefined && "default" in bounds) return value as D
    return typeof value === "function" ? (value as F) : reject(option, "a function", received)
  }

/** Anything; for values that are checked by whoever they are handed to. */
export const any =
  <A>() =>
  (_option: string, received: unknown): A | undefined =>
    received as A | undefined

const within = ({ max, min }: Interval): string => {
  if (max === undefined) return min === undefined ? "of any size" : `of at least ${min}`
  return min === undefined ? `of at most ${max}` : `from ${min} to ${max}`
}

/** A text in a place where none belongs may be anything, a key for instance. */
const shielded = (value: unknown): unknown => (typeof value === "string" ? hidden : value)

// Long or nested values are cut: an error message is not the place for a whole configuration.
const show = (value: unknown): string => {
  if (value === hidden) return "something else (not shown, it may hold a key)"
  if (typeof value === "string")
    return value.length > 40 || value.includes("://") ? show(hidden) : JSON.stringify(value)
  if (typeof value === "number" || typeof value === "boolean" || value == null) return String(value)
  if (typeof value === "bigint") return `${value}n`
  return Array.isArray(value) ? "a list" : typeof value === "object" ? "a record" : `a ${typeof value}`
}
