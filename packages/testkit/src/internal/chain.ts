/**
 * A simulated chain: blocks follow from chain id, fork and number, so that nothing is stored and two chains with the
 * same options agree. It knows its head, its forks and the transactions it was sent.
 */
import { keccak_256 } from "@noble/hashes/sha3.js"
import { bytesToHex, hexToBytes } from "@noble/hashes/utils.js"
import { hash } from "node:crypto"
import { RpcError } from "./rpcError.ts"

/** What a request may know of a chain. */
export interface View {
  readonly chainId: number
  readonly head: number
}

export interface ChainOptions {
  readonly chainId: number
  readonly head: number
  readonly fork: number
  /** Milliseconds between blocks, or `undefined`: the head moves only when told to. */
  readonly blockTime: number | undefined
  readonly now: () => number
}

export const zeroHash = `0x${"0".repeat(64)}`

export const quantity = (value: number): string => `0x${value.toString(16)}`

/** 32 bytes that follow from a text. Not keccak: nobody outside checks them, and this one is quick. */
export const digest = (text: string): string => `0x${hash("sha256", text)}`

export class Chain {
  readonly chainId: number
  private readonly options: ChainOptions
  // Each fork replaces the blocks from its first on; the last one that holds a block counts.
  private readonly forks: Array<{ readonly from: number; readonly salt: number }>
  private readonly transactions = new Map<string, number>()
  private readonly included = new Map<number, Array<string>>()
  private base: number
  private since: number

  constructor(options: ChainOptions) {
    this.options = options
    this.chainId = options.chainId
    this.forks = [{ from: 0, salt: options.fork }]
    this.base = options.head
    this.since = options.now()
  }

  get head(): number {
    const { blockTime, now } = this.options
    return blockTime === undefined ? this.base : this.base + Math.floor((now() - this.since) / blockTime)
  }

  /** Milliseconds until the head moves by itself. */
  get untilNext(): number {
    const { blockTime, now } = this.options
    return blockTime === undefined ? Infinity : blockTime - ((now() - this.since) % blockTime)
  }

  setHead(head: number): void {
    this.base = Math.max(0, head)
    this.since = this.options.now()
  }

  /** Replaces the newest blocks by others. The head keeps its height. */
  reorg(depth: number): void {
    this.forks.push({ from: Math.max(1, this.head - depth + 1), salt: this.forks.at(-1)!.salt + 1 })
  }

  /** The hash of a block. It ends in the block's number, so that a block is found by its hash. */
  hash(chainId: number, number: number): string {
    const { salt } = this.forks.findLast((fork) => fork.from <= number)!
    return digest(`${chainId}/${salt}/${number}`).slice(0, 54) + number.toString(16).padStart(12, "0")
  }

  /** The number of a block of the present fork, or `undefined`. */
  find(view: View, blockHash: string): number | undefined {
    const number = Number.parseInt(blockHash.slice(54), 16)
    return number <= view.head && this.hash(view.chainId, number) === blockHash.toLowerCase() ? number : undefined
  }

  /** Remembers a signed transaction: it is in the next block. Returns its hash. */
  send(raw: string): string | RpcError {
    const id = `0x${bytesToHex(keccak_256(hexToBytes(raw.slice(2))))}`
    if (this.transactions.has(id)) return new RpcError(-32000, "already known")
    const block = this.head + 1
    this.transactions.set(id, block)
    const others = this.included.get(block)
    if (others === undefined) this.included.set(block, [id])
    else others.push(id)
    return id
  }

  /** The block a transaction is in, or will be; `undefined`: never heard of. */
  blockOf(id: string): number | undefined {
    return this.transactions.get(id.toLowerCase())
  }

  /** The transactions that were sent, but for the first so many. */
  sentAfter(count: number): ReadonlyArray<string> {
    return count === this.transactions.size ? [] : Array.from(this.transactions.keys()).slice(count)
  }

  transactionsIn(number: number): ReadonlyArray<string> {
    return this.included.get(number) ?? []
  }
}
