import { type Call, Options as Read } from "@hawser/core"
import type { Budget, Options } from "../Budget.ts"
import { Bucket } from "./bucket.ts"

export const TypeId = "~hawser/retry/Budget"

/** `owner`: whose options they are. */
export const make = (owner: string, options: unknown): Budget => {
  const { floor, ratio, window } = Read.read(owner, options, {
    ratio: Read.number({ min: 0, max: 1000, default: 0.5 }),
    floor: Read.integer({ min: 0, max: 1_000_000, default: 10 }),
    window: Read.duration({ min: 100, default: "10 seconds" })
  } satisfies Record<keyof Options, unknown>)
  const bucket = new Bucket(ratio, floor, window)
  return {
    [TypeId]: TypeId,
    deposit: (now) => bucket.deposit(now),
    withdraw: (now) => bucket.withdraw(now),
    charge: (now) => bucket.charge(now),
    refund: (at) => bucket.refund(at),
    inspect: (now) => {
      const { deposits, spent } = bucket.totals(now)
      return { deposits, withdrawals: spent, balance: bucket.balance(now) / 1000 }
    }
  }
}

/** Reads an option that takes a budget, the options of one, or `false` for none. */
export const read = (option: string, received: unknown): Call.Budget | undefined =>
  received === false ? undefined : isCallBudget(received) ? received : make(option, received)

const isCallBudget = (u: unknown): u is Call.Budget =>
  typeof u === "object" && u !== null && "withdraw" in u && typeof u.withdraw === "function"
