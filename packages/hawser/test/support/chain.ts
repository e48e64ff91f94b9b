/**
 * A chain that grows, is reorganised and becomes final, and what a node on it answers. Every state it was in is kept, so
 * that an answer can be held against each of them.
 */
import type { Head } from "hawser"

export interface Block {
  readonly number: number
  readonly hash: string
  readonly parentHash: string
  readonly timestamp: number
  readonly transactions: ReadonlyArray<string>
}

/** The canonical chain, and how much of it is settled, at one time. */
export interface State {
  readonly blocks: ReadonlyArray<Block>
  readonly safe: number
  readonly finalized: number
  /** How many transactions the mempool has taken so far, and how many blocks there were, on all branches. */
  readonly sent: number
  readonly made: number
}

export const hex = (number: number): string => `0x${number.toString(16)}`
export const hashOf = (n: number): string => `0x${n.toString(16).padStart(64, "0")}`

const interval = 2

export class Chain {
  readonly states: Array<State> = []
  private readonly byHash = new Map<string, Block>()

  constructor() {
    this.states.push({ blocks: [], safe: 0, finalized: 0, sent: 0, made: 0 })
    this.advance(3)
  }

  get state(): State {
    return this.states.at(-1)!
  }

  /** Puts new blocks on top, and has people send a transaction for each. */
  advance(count: number): void {
    this.grow(this.state.blocks, count, this.state.sent + count)
  }

  /**
   * Puts others in the place of the newest blocks, but of none that is final. Transactions are mined anew, shuffled. The
   * chain may be shorter then, unless it is told not to.
   */
  reorganise(depth: number, count: number, shorter: boolean): void {
    const { blocks, finalized, sent } = this.state
    const below = blocks.slice(0, Math.max(finalized + 1, blocks.length - depth))
    this.grow(below, shorter ? count : Math.max(count, blocks.length - below.length), sent)
  }

  settle(what: "safe" | "finalized", number: number): void {
    const { state } = this
    const at = Math.max(state[what], Math.min(number, state.blocks.length - 1))
    this.states.push({ ...state, [what]: at, safe: Math.max(state.safe, at) })
  }

  send(): void {
    this.states.push({ ...this.state, sent: this.state.sent + 1 })
  }

  private grow(below: ReadonlyArray<Block>, count: number, sent: number): void {
    const blocks = [...below]
    let { made } = this.state
    const mined = new Set(blocks.flatMap(({ transactions }) => transactions))
    const waiting = Array.from({ length: sent }, (_, i) => hashOf(0xa000 + i)).filter((hash) => !mined.has(hash))
    for (let i = 0; i < count; i++) {
      const hash = hashOf(0xb000 + ++made)
      // Every third block is empty, others take one or two, from one end or the other.
      const few = made % 3
      const transactions = made % 2 === 0 ? waiting.splice(0, few) : waiting.splice(-few, few)
      const block: Block = {
        number: blocks.length,
        hash,
        parentHash: blocks.at(-1)?.hash ?? hashOf(0),
        timestamp: blocks.length * interval,
        transactions
      }
      this.byHash.set(hash, block)
      blocks.push(block)
    }
    this.states.push({ ...this.state, blocks, sent, made })
  }

  /** What a node says that is in this state, or an error. A node keeps what has left the canonical chain. */
  answer(state: State, method: string, params: ReadonlyArray<unknown>): unknown {
    const { blocks, finalized, safe } = state
    const latest = blocks.length - 1
    const numberOf = (ref: unknown): number => {
      if (ref === undefined || ref === "latest") return latest
      if (ref === "pending") return latest + 1
      if (ref === "earliest") return 0
      return ref === "safe" ? safe : ref === "finalized" ? finalized : Number(ref)
    }
    const find = (ref: unknown): Block | undefined => {
      const object = typeof ref === "object" ? (ref as Readonly<Record<string, unknown>>) : undefined
      const hash = object?.["blockHash"] ?? (typeof ref === "string" && ref.length === 66 ? ref : undefined)
      if (hash === undefined) return blocks[numberOf(object?.["blockNumber"] ?? ref)]
      const block = Number(hash) - 0xb000 > state.made ? undefined : this.byHash.get(hash as string)
      const canonical = block !== undefined && blocks[block.number] === block
      return object?.["requireCanonical"] === true && !canonical ? undefined : block
    }
    const block = (ref: unknown): Block => {
      // The mempool's block has what was sent so far.
      if (ref === "pending") return { ...blocks[latest]!, hash: hashOf(0xc0000 + state.sent) }
      const found = find(ref)
      if (found === undefined) throw new Error("header not found")
      return found
    }
    const place = (hash: unknown) => blocks.find(({ transactions }) => transactions.includes(hash as string))
    const logsOf = (of: Block) =>
      of.transactions
        .filter((_, i) => i % 2 === 0)
        .map((transactionHash) => ({ blockNumber: hex(of.number), blockHash: of.hash, transactionHash }))
    const render = (of: Block | undefined, hydrated: unknown) =>
      of === undefined
        ? null
        : {
            ...of,
            number: hex(of.number),
            timestamp: hex(of.timestamp),
            transactions: hydrated === true ? of.transactions.map((hash) => ({ hash })) : of.transactions
          }
    const [first, second] = params
    switch (method) {
      case "eth_chainId":
        return "0x1"
      case "eth_blockNumber":
        return hex(latest)
      case "eth_gasPrice":
        return blocks[latest]!.hash
      case "eth_getBlockByNumber":
        return first === "pending"
          ? { ...render(blocks[latest], second), number: hex(latest + 1), hash: null, sent: state.sent }
          : render(find(first), second)
      case "eth_getBlockByHash":
        return render(find(first), second)
      case "eth_getBlockReceipts": {
        const of = find(first)
        return of === undefined ? null : of.transactions.map((hash) => this.receipt(of, hash))
      }
      case "eth_getBalance":
      case "eth_call":
        return block(second).hash
      case "eth_estimateGas":
        return `${block(second).hash}, or so`
      case "eth_getTransactionCount":
        return `${block(second).hash} of ${String(first)}`
      case "eth_feeHistory": {
        const newest = block(second).number
        const from = Math.max(0, newest - Number(first) + 1)
        return { oldestBlock: hex(from), hashes: blocks.slice(from, newest + 1).map(({ hash }) => hash) }
      }
      case "eth_getTransactionReceipt": {
        const of = place(first)
        return of === undefined ? null : this.receipt(of, first as string)
      }
      case "eth_getTransactionByHash": {
        const of = place(first)
        const known = Number(first) - 0xa000 < state.sent
        if (of === undefined) return known ? { hash: first, blockNumber: null, blockHash: null } : null
        return { hash: first, blockNumber: hex(of.number), blockHash: of.hash }
      }
      case "debug_traceTransaction":
        return place(first)?.hash ?? null
      case "eth_getLogs": {
        const { blockHash, fromBlock, toBlock } = first as Readonly<Record<string, unknown>>
        if (blockHash !== undefined) return logsOf(block(blockHash))
        // As far as there are blocks, like most nodes.
        return blocks.slice(numberOf(fromBlock), numberOf(toBlock) + 1).flatMap(logsOf)
      }
      default:
        throw new Error(`${method} is not supported`)
    }
  }

  private receipt(of: Block, transactionHash: string) {
    return { transactionHash, blockNumber: hex(of.number), blockHash: of.hash }
  }
}

/** Heads that are told by hand. */
export class ToldHeads implements Head.Heads {
  /** Which state of the chain they know; -1: none. */
  known = -1
  private state: State | undefined = undefined
  private readonly listeners = new Set<(change: Head.Change) => void>()
  private readonly chain: Chain
  private readonly memory: number

  /** They know the hashes of the newest blocks, so many of them. */
  constructor(chain: Chain, memory: number) {
    this.chain = chain
    this.memory = memory
  }

  /** How many listen. */
  get heard(): number {
    return this.listeners.size
  }

  readonly latest = () => this.state?.blocks.at(-1)
  readonly safe = () => this.state?.blocks[this.state.safe]
  readonly finalized = () => this.state?.blocks[this.state.finalized]
  readonly hashAt = (number: number) =>
    this.state !== undefined && number >= this.state.blocks.length - this.memory
      ? this.state.blocks[number]?.hash
      : undefined

  readonly on = (listener: (change: Head.Change) => void) => {
    this.listeners.add(listener)
    return () => void this.listeners.delete(listener)
  }

  /** Tells what happened up to a state, all at once. */
  tell(index: number): void {
    const [before, after] = [this.state, this.chain.states[index]!]
    this.known = index
    this.state = after
    if (before !== undefined) {
      const from = before.blocks.findIndex((block, i) => after.blocks[i] !== block)
      if (from >= 0) this.emit({ type: "reorg", from })
    }
    if (before?.blocks.at(-1) !== after.blocks.at(-1)) this.emit({ type: "head", block: after.blocks.at(-1)! })
    for (const type of ["safe", "finalized"] as const) {
      if (before?.[type] !== after[type]) this.emit({ type, block: after.blocks[after[type]]! })
    }
  }

  private emit(change: Head.Change): void {
    for (const listener of this.listeners) listener(change)
  }
}
