// Many calls in one, by the contract Multicall3: its words, and which calls can be said in them.
import type { JsonRpc } from "@hawser/core"
import { forgetAfter } from "./batchLimit.ts"

/** A call that others may share a request with. */
export interface Part {
  readonly to: string
  /** With `0x`. */
  readonly data: string
  /** The block as the request names it, and a name of it that is the same for the same block. */
  readonly block: unknown
  readonly key: string
}

/**
 * The part that a request can be; `undefined` if it has a sender, a value, a gas limit, overrides or anything else that
 * the shared call could not give it, or is not well-formed: then the node's own words are wanted.
 */
export const partOf = ({ method, params }: JsonRpc.Request): Part | undefined => {
  if (method !== "eth_call" || params.length === 0 || params.length > 2) return undefined
  const [call, block = "latest"] = params
  if (typeof call !== "object" || call === null) return undefined
  const { data, input, to, ...rest } = call as Readonly<Record<string, unknown>>
  for (const name in rest) if (rest[name] !== undefined) return undefined
  const bytes = input ?? data
  if (typeof to !== "string" || typeof bytes !== "string" || (data !== undefined && data !== bytes)) return undefined
  if (!address.test(to) || !hex.test(bytes)) return undefined
  const key = keyOf(block)
  return key === undefined ? undefined : { to, data: bytes, block, key }
}

export const address = /^0x[0-9a-f]{40}$/i

const hex = /^0x(?:[0-9a-f]{2})*$/i

const keyOf = (block: unknown): string | undefined => {
  if (typeof block === "string") return block
  return typeof block === "object" && block !== null ? JSON.stringify(block) : undefined
}

/** Bytes of calldata. */
export const bytesOf = ({ data }: Part): number => data.length / 2 - 1

/** The calldata of `aggregate3((address target, bool allowFailure, bytes callData)[])`, where each may fail. */
export const encode = (parts: ReadonlyArray<Pick<Part, "to" | "data">>): string => {
  let heads = ""
  let tails = ""
  for (const { data, to } of parts) {
    const bytes = data.slice(2)
    heads += word(parts.length * 32 + tails.length / 2)
    tails += to.slice(2).padStart(64, "0") + word(1) + word(96) + word(bytes.length / 2) + padded(bytes)
  }
  return aggregate3 + word(32) + word(parts.length) + heads + tails
}

// The first four bytes of the hash of its signature.
const aggregate3 = "0x82ad56cb"

const word = (value: number): string => value.toString(16).padStart(64, "0")

const padded = (bytes: string): string => bytes.padEnd(Math.ceil(bytes.length / 64) * 64, "0")

/** What one of the calls gave, with `0x`; `undefined` if it failed. */
export type Result = string | undefined

/** Reads the `(bool success, bytes returnData)[]` of so many calls; `undefined` if it is not that. */
export const decode = (answer: unknown, count: number): ReadonlyArray<Result> | undefined => {
  if (typeof answer !== "string" || !hex.test(answer)) return undefined
  const words = new Words(answer.slice(2))
  const list = words.number(0)
  if (words.number(list) !== count) return undefined
  const results: Array<Result> = []
  for (let i = 0; i < count; i++) {
    const item = list + 32 + words.number(list + 32 + i * 32)
    const success = words.number(item)
    const bytes = words.bytes(item + words.number(item + 32))
    if (bytes === undefined || (success !== 0 && success !== 1)) return undefined
    results.push(success === 1 ? `0x${bytes}` : undefined)
  }
  return results
}

/** Reads at offsets in bytes. What is not there is not a number. */
class Words {
  private readonly text: string

  constructor(text: string) {
    this.text = text
  }

  number(offset: number): number {
    const word = this.text.slice(offset * 2, offset * 2 + 64)
    // Longer than any answer is.
    return word.length === 64 && word.startsWith("0".repeat(52)) ? Number.parseInt(word.slice(52), 16) : NaN
  }

  bytes(offset: number): string | undefined {
    const end = (offset + 32 + this.number(offset)) * 2
    return end <= this.text.length ? this.text.slice((offset + 32) * 2, end) : undefined
  }
}

/**
 * Where the contract is not. A block before the one at which it was found missing does not have it either; of blocks that
 * are named by hash, none is older than another, so all count as one.
 */
export class Absence {
  private height = -1
  private hashes = false
  private until = 0

  note(block: unknown, now: number): void {
    const height = heightOf(block)
    if (height === undefined) this.hashes = true
    else this.height = Math.max(this.height, height)
    this.until = now + forgetAfter
  }

  at(block: unknown, now: () => number): boolean {
    if (this.height < 0 && !this.hashes) return false
    if (now() >= this.until) {
      this.height = -1
      this.hashes = false
    }
    const height = heightOf(block)
    return height === undefined ? this.hashes : height <= this.height
  }
}

/** The tags stand for the head, or for blocks near it. */
const heightOf = (block: unknown): number | undefined => {
  const number = typeof block === "object" && block !== null ? (block as { blockNumber?: unknown }).blockNumber : block
  if (typeof number !== "string") return undefined
  if (number === "earliest") return 0
  return /^0x[0-9a-f]+$/i.test(number) ? Number(number) : Infinity
}
