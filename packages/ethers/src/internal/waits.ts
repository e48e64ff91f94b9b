// The `wait()` of a transaction is ethers' own, of contracts' transactions, too, which ethers makes itself. It hears of
// receipts, and of nothing else: a provider that is destroyed says nothing more, and it never settles. So it is told by the
// one thing that it hears of, a receipt, which refuses to be read. Nobody else may be given that.
import { isHexString, type Listener, type Provider, TransactionResponse, type TransactionResponseParams } from "ethers"

/** Those who wait for a transaction by ethers' own `wait()`. */
export class Waits {
  private readonly listeners = new Set<Listener>()

  constructor() {
    learn()
  }

  add(event: unknown, listener: Listener): void {
    if (isHexString(event, 32) && String(listener) === source) this.listeners.add(listener)
  }

  delete(listener: Listener): void {
    this.listeners.delete(listener)
  }

  /** Rejects them all. */
  reject(error: Error): void {
    const receipt = {
      confirmations: () => Promise.resolve(Infinity),
      get status(): never {
        throw error
      }
    }
    for (const listener of this.listeners) listener(receipt)
    this.listeners.clear()
  }
}

/** The source of the function by which `wait()` listens: each call makes a new one, all of the same source. */
let source: string | undefined

/** Waits for nothing, to see how it is done. Where ethers does it otherwise one day, nothing is recognized. */
const learn = (): void => {
  if (source !== undefined) return
  source = ""
  const nowhere: Pick<Provider, "getTransactionReceipt" | "on"> = {
    getTransactionReceipt: () => Promise.resolve(null),
    on(_event, listener) {
      source = String(listener)
      return Promise.resolve(this as Provider)
    }
  }
  new TransactionResponse({} as TransactionResponseParams, nowhere as Provider).wait().catch(() => {})
}
