// The hash under which a chain knows a signed transaction, from its raw form.
import { keccak_256 } from "@noble/hashes/sha3.js"
import { bytesToHex, concatBytes, hexToBytes } from "@noble/hashes/utils.js"
import type { Hash } from "./quantity.ts"
import { type Item, itemsAt } from "./rlp.ts"

export interface Transaction {
  readonly hash: Hash
  /**
   * The chain is bound to call it so. Otherwise it is a type whose rule we do not know: whatever is found under this hash
   * is it, but it may be known under another.
   */
  readonly certain: boolean
}

/** Fields of the largest envelope that is no list of parts, and then some: EIP-7702 has 13. */
const mostFields = 32

/**
 * Reads a signed transaction as `eth_sendRawTransaction` takes it. `undefined` for what is none: never throws, and takes
 * time in proportion to what it hashes.
 */
export const read = (raw: unknown): Transaction | undefined => {
  const bytes = bytesOf(raw)
  if (bytes === undefined) return undefined
  const type = bytes[0]!
  // Legacy: a list and nothing else.
  if (type >= 0xc0)
    return itemsAt(bytes, 0, mostFields) === undefined ? undefined : { hash: hashOf(bytes), certain: true }
  // EIP-2718 leaves 0x80 to 0xbf to nobody.
  if (type >= 0x80) return undefined
  if (type !== 1 && type !== 2 && type !== 3 && type !== 4) return { hash: hashOf(bytes), certain: false }
  const items = itemsAt(bytes, 1, mostFields)
  if (items === undefined) return undefined
  return type === 3 && items[0]?.list === true ? withBlobs(bytes, items) : { hash: hashOf(bytes), certain: true }
}

/** The hash of a blob transaction leaves out its sidecar: proofs (EIP-4844), or a version and cell proofs (EIP-7594). */
const withBlobs = (bytes: Uint8Array, items: ReadonlyArray<Item>): Transaction => {
  const { end, start } = items[0]!
  const lists = items.map(({ list }) => list).join()
  const version = bytes[items[1]?.start ?? 0]
  const certain = lists === "true,true,true,true" || (lists === "true,false,true,true,true" && version === 1)
  return { hash: hashOf(concatBytes(bytes.subarray(0, 1), bytes.subarray(start, end))), certain }
}

const hashOf = (bytes: Uint8Array): Hash => `0x${bytesToHex(keccak_256(bytes))}`

const bytesOf = (raw: unknown): Uint8Array | undefined => {
  if (typeof raw !== "string" || raw.length < 4 || !raw.startsWith("0x")) return undefined
  try {
    return hexToBytes(raw.slice(2))
  } catch {
    return undefined
  }
}
