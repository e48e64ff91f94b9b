import { Call, type JsonRpc, Outcome } from "@hawser/core"
import type { Hash } from "./quantity.ts"

/** The causes that the errors of a client may hold. */
export type CauseOf<E> = E extends Call.NoAnswer<infer C> ? C : never

/**
 * Somebody may have accepted the transaction: an answer was lost, and it was not found since. A `NoAnswer`, whose causes
 * say how.
 *
 * Look for it before you sign another with the same purpose; the same bytes may be sent again at any time.
 */
export class InDoubt<out C = unknown> extends Call.NoAnswer<C> {
  /** What to look for. `undefined` for a type of transaction whose hash we cannot tell. */
  readonly hash: Hash | undefined
  /** What an upstream answered after the answer of another had been lost. */
  readonly rejected: JsonRpc.Rejected | undefined

  constructor(fields: {
    readonly causes: ReadonlyArray<Call.Failure<C>>
    readonly hash: Hash | undefined
    readonly rejected: JsonRpc.Rejected | undefined
  }) {
    super({ causes: fields.causes, [Outcome.TypeId]: final })
    this.hash = fields.hash
    this.rejected = fields.rejected
  }

  override get message(): string {
    const { hash, rejected } = this
    const subject = hash === undefined ? "the transaction" : `transaction ${hash}`
    const but = rejected === undefined ? "" : `, although ${rejected.upstream} rejects it: ${rejected.message}`
    return `${super.message}; ${subject} may have been accepted${but}`
  }
}

// To send it again is for whoever has looked.
const final = Outcome.verdict({ again: "nowhere" })
