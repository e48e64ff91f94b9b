/** A block's header, as far as following the chain needs it. */
import { isHash, numberOf } from "../quantity.ts"
export interface Head {
  readonly number: number
  readonly hash: string
  readonly parentHash: string
  /** Seconds, as the chain says. */
  readonly timestamp: number | undefined
  /** The header as a subscription tells it. */
  readonly header: Header
}

/** A header as nodes send it. */
export interface Header {
  readonly number: string
  readonly hash: string
  readonly parentHash: string
  readonly logsBloom?: unknown
  readonly [field: string]: unknown
}

/** Reads a header or a block; `undefined` for what is none, and for the pending one. */
export const readHead = (value: unknown, keep: (block: Header) => Header = headerOf): Head | undefined => {
  if (typeof value !== "object" || value === null) return undefined
  const { hash, number, parentHash, timestamp } = value as Record<string, unknown>
  const height = numberOf(number)
  if (height === undefined || !isHash(hash) || !isHash(parentHash)) return undefined
  return {
    number: height,
    hash: hash.toLowerCase(),
    parentHash: parentHash.toLowerCase(),
    timestamp: numberOf(timestamp),
    header: keep(value as Header)
  }
}

// What a block has beyond its header is left out. Told or polled, a head looks the same.
const headerOf = (block: Header): Header => {
  const { size: _, totalDifficulty: __, transactions: ___, uncles: ____, withdrawals: _____, ...header } = block
  return header
}

/** Keeps of a block what is needed to know it, for those who remember many and tell none. */
export const identityOf = ({ hash, logsBloom, number, parentHash }: Header): Header => ({
  hash,
  number,
  parentHash,
  logsBloom
})
