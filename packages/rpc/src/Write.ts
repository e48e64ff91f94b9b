/**
 * Sends signed transactions so that each gets in once, and so that the caller learns that it did although an answer was
 * lost on the way.
 *
 * - `eth_sendRawTransaction` goes to one upstream. When its answer is lost, the transaction is looked for, by the hash that
 *   is computed from its bytes, and only then sent again, to another. Bytes that are the same are the same transaction, so
 *   this includes nothing twice.
 * - "Already known" is success: it was this one. "Nonce too low" is success if this one is found, and else a rejection.
 * - A rejection surfaces at once, unless an answer had been lost before: then one upstream's word does not settle it.
 * - All other writes (`eth_sendTransaction`, `eth_sendRawTransactionSync`, `personal_*`, private transactions, bundles)
 *   pass through untouched. Nobody could tell whether they ran, so they are never sent twice.
 *
 * **Not promised.** That an accepted transaction is ever included, or that an upstream spreads it. Private upstreams keep
 * nothing private beside public ones: what one did not answer, another is sent.
 */
import { Call, type Events, JsonRpc, Options as Read } from "@hawser/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import type { Hash } from "./internal/quantity.ts"
import { read as readTransaction } from "./internal/transaction.ts"
import { Delivery, type Event, type Failing, type Ground } from "./internal/transactionDelivery.ts"
import type { CauseOf, InDoubt } from "./internal/transactionDoubt.ts"
import type { TransportError } from "./RpcError.ts"

export type { Hash } from "./internal/quantity.ts"
export type { Event } from "./internal/transactionDelivery.ts"
export { type CauseOf, InDoubt } from "./internal/transactionDoubt.ts"

export interface Options {
  /**
   * How many upstreams get a transaction at once. The first acceptance wins; the others go on until the deadline, since an
   * acceptance by more of them is the purpose. Default 1.
   */
  readonly broadcast?: number | undefined
}

/** What has happened to signed transactions. */
export interface Inspection {
  /** Sends, one for each target of a broadcast. */
  readonly sent: number
  /** Sends whose answer was lost. */
  readonly lost: number
  /** Answers to look-ups, and those that found the transaction. */
  readonly looks: number
  readonly found: number
  /** Calls that ended in {@link InDoubt}. */
  readonly inDoubt: number
}

/**
 * The hash of a signed transaction in its raw form: `undefined` for what is none, and for types other than 0 to 4, whose
 * rule is not known. A blob transaction has the same hash with and without its sidecar.
 */
export const hash = (raw: string): Hash | undefined => {
  const transaction = readTransaction(raw)
  return transaction?.certain === true ? transaction.hash : undefined
}

/**
 * Takes care of the transactions of a client. Belongs above whatever asks again (retry, hedge, pool), which leaves alone
 * a write that may have run.
 *
 * Looks and further sends are requests of the same call: they draw on its attempts and its deadline. Each target of a
 * broadcast is a call of its own.
 */
export const layer = (options?: Options) => {
  const { broadcast } = Read.read("Write", options, { broadcast: Read.integer({ min: 1, default: 1 }) })
  return <E, LE, R>(
    self: Layer.Layer<JsonRpc.Client<E>, LE, R>
  ): Layer.Layer<JsonRpc.Client<E | InDoubt<CauseOf<E> | TransportError>>, LE, R> =>
    JsonRpc.transform(self, "write", (below: JsonRpc.Service<E>, events: Events.Sink<Event>) =>
      Effect.gen(function* () {
        const counts = { sent: 0, lost: 0, looks: 0, found: 0, inDoubt: 0 }
        const afloat = new Set<Fiber.Fiber<unknown, unknown>>()
        const clock = yield* Clock.Clock
        yield* Effect.addFinalizer(() => Fiber.interruptAll(afloat))
        const ground: Ground<E> = { below, clock, events, counts, targets: broadcast, afloat }
        return {
          request: (request: JsonRpc.Request): Effect.Effect<unknown, Failing<E>> =>
            request.method === "eth_sendRawTransaction"
              ? Call.use((call) => new Delivery(ground, call, request).run())
              : below.request(request),
          submit: JsonRpc.passReads(below),
          inspect: (): Inspection => ({ ...counts })
        }
      })
    )
}
