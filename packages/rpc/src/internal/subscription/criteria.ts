// Which logs are wanted: in one form, so that the same wish is known as the same.
import { keccak_256 } from "@noble/hashes/sha3.js"
import { hexToBytes } from "@noble/hashes/utils.js"
import { numberOf } from "../quantity.ts"

/** Addresses and topics that a log may have. An empty list, or `null`, is anything. */
export interface Criteria {
  readonly address: ReadonlyArray<string>
  readonly topics: ReadonlyArray<ReadonlyArray<string> | null>
  /** Heights outside of which no block is asked for. */
  readonly from: number
  readonly to: number
}

/** Reads the filter of `eth_subscribe` or `eth_newFilter`; a text says what is wrong with it. */
export const readCriteria = (filter: unknown): Criteria | string => {
  if (filter === undefined || filter === null) return { address: [], topics: [], from: 0, to: Infinity }
  if (typeof filter !== "object" || Array.isArray(filter)) return "the filter is not an object"
  const { address, blockHash, fromBlock, toBlock, topics } = filter as Record<string, unknown>
  if (blockHash !== undefined && blockHash !== null) return "a filter of one block has nothing to tell"
  const addresses = listOf(address, 42)
  if (addresses === undefined) return "an address is 20 bytes"
  if (topics !== undefined && topics !== null && !Array.isArray(topics)) return "topics are a list"
  const places = ((topics ?? []) as ReadonlyArray<unknown>).map((topic) => listOf(topic, 66))
  if (places.length > 4 || places.some((place) => place === undefined)) return "topics are up to four of 32 bytes each"
  // Places that may be anything, at the end, still say how many topics there are at least.
  const wanted = places.map((place) => (place!.length === 0 ? null : place!))
  return { address: addresses, topics: wanted, from: numberOf(fromBlock) ?? 0, to: numberOf(toBlock) ?? Infinity }
}

const listOf = (value: unknown, length: number): ReadonlyArray<string> | undefined => {
  if (value === undefined || value === null) return []
  const list: ReadonlyArray<unknown> = Array.isArray(value) ? value : [value]
  // One that may be anything makes the others superfluous.
  if (list.includes(null)) return []
  const valid = list.every((item) => typeof item === "string" && item.length === length && /^0x[0-9a-f]*$/i.test(item))
  return valid
    ? Array.from(new Set((list as ReadonlyArray<string>).map((item) => item.toLowerCase()))).toSorted()
    : undefined
}

/** The part of an `eth_getLogs` filter that says which logs. */
export const filterOf = ({ address, topics }: Criteria): { readonly [field: string]: unknown } => ({
  ...(address.length === 0 ? {} : { address: address.length === 1 ? address[0] : address }),
  ...(topics.length === 0 ? {} : { topics: topics.map((place) => (place?.length === 1 ? place[0] : place)) })
})

/**
 * Whether a block with this bloom may hold such a log. A bloom that cannot be read rules nothing out.
 *
 * Yellow Paper, 4.3.1: three of 2048 bits for each address and topic, by the low 11 bits of the first three pairs of bytes of
 * its keccak-256.
 */
export const mayHold = ({ address, topics }: Criteria, bloom: unknown): boolean => {
  if (typeof bloom !== "string" || !/^0x[0-9a-f]{512}$/i.test(bloom)) return true
  const bits = hexToBytes(bloom.slice(2))
  const any = (values: ReadonlyArray<string>) => values.length === 0 || values.some((value) => isIn(bits, value))
  return any(address) && topics.every((place) => place === null || any(place))
}

const isIn = (bits: Uint8Array, value: string): boolean => {
  const hash = keccak_256(hexToBytes(value.slice(2)))
  return [0, 2, 4].every((i) => {
    const bit = ((hash[i]! << 8) | hash[i + 1]!) & 2047
    return (bits[255 - (bit >> 3)]! & (1 << (bit & 7))) !== 0
  })
}
