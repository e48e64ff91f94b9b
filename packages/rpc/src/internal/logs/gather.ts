// Puts the answers to pieces together again.
import type { Log } from "../../Logs.ts"
import type { Bounds, Piece } from "./query.ts"
import { numberOf } from "../quantity.ts"

/** Why an answer is none; `undefined`: it is a list of logs, all of the piece's blocks. */
export const faultOf = (answer: unknown, { from, to }: Bounds): string | undefined => {
  if (!Array.isArray(answer)) return "eth_getLogs is not a list"
  for (const log of answer) {
    const number = numberOf((log as Partial<Log> | null)?.blockNumber)
    if (number === undefined || number < from || number > to) return "eth_getLogs has logs of other blocks"
  }
  return undefined
}

/** The answers so far. */
export class Gathering {
  size = 0
  private readonly answers: Array<{ readonly from: number; readonly logs: ReadonlyArray<Log> }> = []

  add({ from }: Piece, logs: ReadonlyArray<Log>): void {
    this.size += logs.length
    if (logs.length > 0) this.answers.push({ from, logs })
  }

  /** All logs in the order of the chain. Where pieces share no blocks, each keeps the order its node gave it. */
  all(crosswise: boolean): ReadonlyArray<Log> {
    const logs = this.answers.toSorted((a, b) => a.from - b.from).flatMap(({ logs }) => logs)
    return crosswise ? inOrder(logs) : logs
  }
}

const inOrder = (logs: ReadonlyArray<Log>): ReadonlyArray<Log> =>
  logs
    .map((log) => ({ log, block: Number(log.blockNumber), index: Number(log.logIndex) }))
    .toSorted((a, b) => a.block - b.block || a.index - b.index)
    .map(({ log }) => log)

/** The first block of which there are logs under two hashes: they come from two branches. */
export const fork = (logs: ReadonlyArray<Log>): number | undefined => {
  for (let i = 1; i < logs.length; i++) {
    const [before, log] = [logs[i - 1]!, logs[i]!]
    if (log.blockNumber === before.blockNumber && log.blockHash !== before.blockHash) return Number(log.blockNumber)
  }
  return undefined
}

/** Those below a block. */
export const below = (logs: ReadonlyArray<Log>, block: number): ReadonlyArray<Log> =>
  logs.filter((log) => Number(log.blockNumber) < block)
