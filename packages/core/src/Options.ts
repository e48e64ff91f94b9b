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
  readonly received: unknown
}> {
  override get message(): string {
    return `${this.option} takes ${this.expected}, got ${show(this.received)}`
  }
}

/** Reads one option: returns its value or throws {@link InvalidOption}. */
export type Reader<A> = (option: string, received: unknown) => A

/** Reads a record of options. Unknown names are refused; `undefined` stands for "not given". */
export const read = <const Readers extends Readonly<Record<string, Reader<unknown>>>>(
  owner: string,
  options: unknown,
  readers: Readers
): { readonly [K in keyof Readers]: ReturnType<Readers[K]> } => {
  const given = options ?? {}
  if (typeof given !== "object" || Array.isArray(given)) return reject(owner, "a record of options", options)
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(readers, name)) {
      reject(`${owner}.${name}`, `no value: the options are ${Object.keys(readers).join(", ")}`, given[name as never])
    }
  }
  const result: Record<string, unknown> = {}
  for (const [name, reader] of Object.entries(readers)) result[name] = reader(`${owner}.${name}`, given[name as never])
  return result as never
}

/** Throws {@link InvalidOption}. */
export const reject = (option: string, expected: string, received: unknown): never => {
  throw new InvalidOption({ option, expected, received })
}

/** A whole number within `[min, max]`. */
export const integer =
  <const D extends number | undefined = never>(bounds: {
    readonly min: number
    readonly max?: number
    readonly default?: D
  }) =>
  (option: string, received: unknown): number | D => {
    const value = received === undefined ? bounds.default : received
    if (value === undefined && "default" in bounds) return value as D
    const max = bounds.max ?? Number.MAX_SAFE_INTEGER
    return Number.isInteger(value) && (value as number) >= bounds.min && (value as number) <= max
      ? (value as number)
      : reject(option, `a whole number ${interval(bounds.min, bounds.max)}`, received)
  }

/** A finite number within `[min, max]`, or above `above`. */
export const number =
  <const D extends number | undefined = never>(bounds: {
    readonly min?: number
    readonly above?: number
    readonly max?: number
    readonly default?: D
  }) =>
  (option: string, received: unknown): number | D => {
    const value = received === undefined ? bounds.default : received
    if (value === undefined && "default" in bounds) return value as D
    const ok =
      typeof value === "number" &&
      Number.isFinite(value) &&
      value >= (bounds.min ?? -Infinity) &&
      value > (bounds.above ?? -Infinity) &&
      value <= (bounds.max ?? Infinity)
    return ok
      ? value
      : reject(
          option,
          bounds.above === undefined
            ? `a number ${interval(bounds.min ?? -Infinity, bounds.max)}`
            : `a number above ${bounds.above}${bounds.max === undefined ? "" : ` and at most ${bounds.max}`}`,
          received
        )
  }

/** A duration, in milliseconds: `"2 seconds"`, `500` (milliseconds), `Duration.minutes(1)`. */
export const duration =
  <const D extends Duration.Input | undefined = never>(bounds?: {
    /** The least, in milliseconds. One millisecond unless given. */
    readonly min?: number
    /** Whether `Infinity` is a value. */
    readonly infinite?: boolean
    readonly default?: D
  }) =>
  (option: string, received: unknown): number | Extract<D, undefined> => {
    const value = received === undefined ? bounds?.default : received
    if (value === undefined && bounds !== undefined && "default" in bounds) return value as Extract<D, undefined>
    const parsed = Duration.fromInput(value as Duration.Input)
    const millis = Option.isSome(parsed) ? Duration.toMillis(parsed.value) : NaN
    const min = bounds?.min ?? 1
    const ok = millis >= min && (Number.isFinite(millis) || bounds?.infinite === true)
    return ok
      ? millis
      : reject(
          option,
          `a duration of at least ${min} ms${bounds?.infinite === true ? ", or Infinity" : ""} such as "2 seconds"`,
          received
        )
  }

/** True or false. */
export const boolean =
  <const D extends boolean | undefined = never>(bounds?: { readonly default?: D }) =>
  (option: string, received: unknown): boolean | D => {
    const value = received === undefined ? bounds?.default : received
    if (value === undefined && bounds !== undefined && "default" in bounds) return value as D
    return typeof value === "boolean" ? value : reject(option, "true or false", received)
  }

/** A text of at least one character. */
export const string =
  <const D extends string | undefined = never>(bounds?: { readonly default?: D }) =>
  (option: string, received: unknown): string | D => {
    const value = received === undefined ? bounds?.default : received
    if (value === undefined && bounds !== undefined && "default" in bounds) return value as D
    return typeof value === "string" && value.length > 0 ? value : reject(option, "a non-empty string", received)
  }

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

const interval = (min: number, max: number | undefined): string =>
  max === undefined || max === Number.MAX_SAFE_INTEGER
    ? `of at least ${min}`
    : min === -Infinity
      ? `of at most ${max}`
      : `from ${min} to ${max}`

// Long or nested values are cut: an error message is not the place for a whole configuration.
const show = (value: unknown): string => {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  if (typeof value === "number" || typeof value === "boolean" || value == null) return String(value)
  if (typeof value === "bigint") return `${value}n`
  return Array.isArray(value) ? "a list" : typeof value === "object" ? "a record" : `a ${typeof value}`
}
