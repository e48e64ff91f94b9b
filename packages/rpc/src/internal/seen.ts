/** What an answer says of itself: in which block it is. */
import { numberOf } from "./quantity.ts"

export interface Seen {
  readonly number: number
  readonly hash: string
}

/**
 * The block an answer is, or is of: a block, a transaction, a receipt, a trace, a log, or the last of several.
 * `undefined` for all else, and for what is in no block yet.
 */
export const seenIn = (value: unknown): Seen | undefined => {
  const last: unknown = Array.isArray(value) ? value.at(-1) : value
  if (typeof last !== "object" || last === null) return undefined
  const record = last as Readonly<Record<string, unknown>>
  const within = "blockHash" in record
  const hash = record[within ? "blockHash" : "hash"]
  const given = record[within ? "blockNumber" : "number"]
  // Traces have plain numbers.
  const number = typeof given === "number" ? given : numberOf(given)
  if (number === undefined || typeof hash !== "string") return undefined
  return { number, hash: hash.toLowerCase() }
}

export const isEmptyList = (value: unknown): boolean => Array.isArray(value) && value.length === 0
