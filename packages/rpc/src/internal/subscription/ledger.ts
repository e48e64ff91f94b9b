// What one who listens to logs has been told of which block, and has still to be told.
import type { Head } from "./head.ts"
import type { Step } from "./follower.ts"

export interface Log {
  readonly blockHash: string
  readonly removed?: boolean
  readonly [field: string]: unknown
}

export class Ledger {
  private readonly depth: number
  private readonly queue: Array<Step> = []
  private readonly told = new Map<string, { readonly number: number; readonly logs: ReadonlyArray<Log> }>()

  constructor(depth: number) {
    this.depth = depth
  }

  /** Steps that are still to be told. */
  get length(): number {
    return this.queue.length
  }

  apply(step: Step): void {
    const last = this.queue.at(-1)
    // What was never told need not be taken back.
    if (step.type === "removed" && last?.type === "added" && last.block.hash === step.block.hash) this.queue.pop()
    else this.queue.push(step)
  }

  /** What is to be told next. A block that was added takes its logs to {@link settle}; ask again when they are there. */
  next(): Step | undefined {
    return this.queue[0]
  }

  /** The blocks whose logs are wanted next, so many at most. */
  ahead(most: number): ReadonlyArray<Step> {
    const end = this.queue.findIndex(({ type }) => type === "removed")
    return this.queue.slice(0, end === -1 ? most : Math.min(end, most))
  }

  /** Tells a step: returns what it means for the listener, or nothing if it is no longer the next. */
  settle(step: Step, logs: ReadonlyArray<Log> = []): ReadonlyArray<Log> {
    if (this.queue[0] !== step) return []
    this.queue.shift()
    const { hash, number } = step.block
    if (step.type === "removed") {
      const gone = this.told.get(hash)?.logs ?? []
      this.told.delete(hash)
      return gone.toReversed().map((log) => ({ ...log, removed: true }))
    }
    if (logs.length > 0) this.told.set(hash, { number, logs })
    for (const [old, { number: height }] of this.told) {
      if (height > number - this.depth) break
      this.told.delete(old)
    }
    return logs
  }
}

/** The logs that `eth_getLogs` gave for a block, or `undefined` if they are not that block's. */
export const readLogs = (value: unknown, block: Head): ReadonlyArray<Log> | undefined =>
  Array.isArray(value) &&
  value.every(
    (log: unknown) =>
      typeof log === "object" &&
      log !== null &&
      String((log as Partial<Log>).blockHash).toLowerCase() === block.hash &&
      (log as Partial<Log>).removed !== true
  )
    ? (value as ReadonlyArray<Log>)
    : undefined
