import { type JsonRpc, Options as Read } from "@hawser/core"
import type { Hints } from "./hints.ts"
import { isRejected, type Kind, meanings } from "./kind.ts"
import type { Reply } from "./said.ts"

/**
 * One thing that upstreams say, and what it means. All conditions that are given must hold; the first row wins.
 *
 * A row whose kind is the chain's own answer holds for JSON-RPC errors only, never for a bare HTTP status.
 */
export interface Row {
  readonly kind: Kind
  /**
   * Is found in the error's message or data, upper or lower case. For the kinds that are about access, load and health
   * also in the body of a bare HTTP error; no such body speaks of blocks or methods.
   */
  readonly pattern?: string | RegExp | undefined
  /** The JSON-RPC code. Codes are not portable: with a pattern beside it, or as the last resort. */
  readonly code?: number | ReadonlyArray<number> | undefined
  /** The HTTP status; `"5xx"` stands for all of 500 to 599. */
  readonly status?: number | ReadonlyArray<number> | "5xx" | undefined
  /** The method that was asked. */
  readonly method?: RegExp | undefined
  /** What the request does: `"write"` for all that hands in a transaction. */
  readonly nature?: JsonRpc.Nature | undefined
  /** How long to leave the upstream alone if it does not say, in milliseconds, instead of what the kind says; 0 for not. */
  readonly pause?: number | undefined
  /** Whether a write may have run, instead of what the kind says. */
  readonly ran?: "maybe" | "no" | undefined
  /** Reads the hints from the text, which is in lower case, instead of what the kind reads. If it throws there are none. */
  readonly hints?: ((text: string) => Hints) | undefined
  /** Who says it, where only one does. */
  readonly vendor?: string | undefined
  /** Why it means that. */
  readonly note?: string | undefined
}

/** A row made ready: no allocation when it is compared. */
export interface Compiled {
  readonly row: Row
  readonly word: string | undefined
  readonly pattern: RegExp | undefined
  readonly codes: ReadonlyArray<number> | undefined
  readonly statuses: ReadonlyArray<number> | undefined
  readonly method: RegExp | undefined
  /** Its kind is the chain's own answer. */
  readonly final: boolean
  /** Its pattern may be found in the body of a bare HTTP error. */
  readonly inBody: boolean
}

const compile = (row: Row): Compiled => ({
  row,
  word: typeof row.pattern === "string" ? row.pattern.toLowerCase() : undefined,
  pattern: row.pattern instanceof RegExp ? insensitive(row.pattern, "lower") : undefined,
  codes: listed(row.code),
  statuses: row.status === "5xx" ? undefined : listed(row.status),
  method: row.method === undefined ? undefined : insensitive(row.method, "any"),
  final: isRejected(row.kind),
  inBody: row.kind !== "missing" && row.kind !== "unsupported"
})

// "g" and "y" would make the expression remember where it was. Lower case meets lower case without "i", in half the time.
const insensitive = ({ flags, source }: RegExp, text: "lower" | "any"): RegExp => {
  const kept = flags.replace(/[giy]/g, "")
  return new RegExp(source, text === "lower" && !/[A-Z]/.test(source.replace(/\\./g, "")) ? kept : `${kept}i`)
}

const listed = (value: number | ReadonlyArray<number> | undefined): ReadonlyArray<number> | undefined =>
  typeof value === "number" ? [value] : value

const known = new WeakMap<ReadonlyArray<Row>, ReadonlyArray<Compiled>>()

/** Makes a table ready, once. */
export const compiled = (rows: ReadonlyArray<Row>): ReadonlyArray<Compiled> => {
  let table = known.get(rows)
  if (table === undefined) {
    table = rows.map(compile)
    known.set(rows, table)
  }
  return table
}

/** Whether a row speaks of this reply: `said` is the text of its error, `text` also that of its body. */
export const matches = (
  compiled: Compiled,
  reply: Reply,
  code: number | undefined,
  said: string,
  text: string
): boolean => {
  const { codes, method, pattern, row, statuses, word } = compiled
  // The chain's own answer comes as JSON-RPC or not at all.
  if (compiled.final && reply.error === undefined) return false
  if (codes !== undefined && (code === undefined || !codes.includes(code))) return false
  if (statuses !== undefined && !statuses.includes(reply.status)) return false
  if (row.status === "5xx" && !(reply.status >= 500 && reply.status < 600)) return false
  if (row.nature !== undefined && row.nature !== reply.nature) return false
  if (method !== undefined && !method.test(reply.method)) return false
  const where = compiled.inBody ? text : said
  if (word !== undefined) return where.includes(word)
  return pattern === undefined || pattern.test(where)
}

/** Checks rows that a user made. */
export const read = (option: string, given: unknown): ReadonlyArray<Row> => {
  if (!Array.isArray(given)) return Read.reject(option, "a list of rows", given)
  return given.map((row: unknown, i) => readRow(`${option}[${i}]`, row))
}

const readRow = (option: string, row: unknown): Row => {
  const read = Read.read(option, row, {
    kind: Read.any<unknown>(),
    pattern: Read.any<unknown>(),
    code: Read.any<unknown>(),
    status: Read.any<unknown>(),
    method: Read.any<unknown>(),
    nature: Read.any<unknown>(),
    pause: Read.integer({ min: 0, default: undefined }),
    ran: Read.any<unknown>(),
    hints: Read.fn<(text: string) => Hints, undefined>({ default: undefined }),
    vendor: Read.string({ default: undefined }),
    note: Read.string({ default: undefined })
  })
  const check = (
    name: "kind" | "pattern" | "code" | "status" | "method" | "nature" | "ran",
    ok: boolean,
    expected: string
  ) => {
    if (!ok) Read.reject(`${option}.${name}`, expected, read[name])
  }
  const { code, kind, method, nature, pattern, ran, status } = read
  check("kind", typeof kind === "string" && Object.hasOwn(meanings, kind), `one of ${Object.keys(meanings).join(", ")}`)
  check("pattern", pattern === undefined || isText(pattern), "a non-empty string or a RegExp")
  check("code", code === undefined || isNumbers(code), "a code or a list of codes")
  check("status", status === undefined || status === "5xx" || isNumbers(status), `a status, a list of them, or "5xx"`)
  check("method", method === undefined || method instanceof RegExp, "a RegExp")
  check("nature", nature === undefined || natures.includes(nature), `one of ${natures.join(", ")}`)
  check("ran", ran === undefined || ran === "maybe" || ran === "no", `"maybe" or "no"`)
  const conditions = [pattern, code, status, method, nature]
  if (conditions.every((condition) => condition === undefined)) {
    Read.reject(
      option,
      "at least one of pattern, code, status, method, nature: without them it is true of every reply",
      row
    )
  }
  return row as Row
}

const natures: ReadonlyArray<unknown> = ["read", "write", "session"]

const isText = (value: unknown): boolean => value instanceof RegExp || (typeof value === "string" && value !== "")

const isNumbers = (value: unknown): boolean =>
  typeof value === "number" || (Array.isArray(value) && value.every((item) => typeof item === "number"))
