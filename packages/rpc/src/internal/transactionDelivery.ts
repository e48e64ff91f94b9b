// One signed transaction on its way: who is asked to take it, and what is made of the answers.
import { Call, type Events, JsonRpc, Outcome } from "@hawser/core"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Result from "effect/Result"
import { TransportError } from "../RpcError.ts"
import { broadcast } from "./broadcast.ts"
import { type CauseOf, InDoubt } from "./transactionDoubt.ts"
import { type Ground as Looking, Lookup } from "./transactionLookup.ts"
import { read, type Transaction } from "./transaction.ts"
import { type Hash, isHash } from "./quantity.ts"

/** What happens to a transaction. */
export type Event =
  | { readonly type: "lost"; readonly hash: Hash | undefined; readonly error: unknown }
  | { readonly type: "looked"; readonly hash: Hash; readonly found: boolean }
  | { readonly type: "in-doubt"; readonly hash: Hash | undefined }

/** What the transactions of one client share. */
export interface Ground<E> extends Looking<E> {
  readonly events: Events.Sink<Event>
  readonly counts: { sent: number; lost: number; looks: number; found: number; inDoubt: number }
  /** How many upstreams get it at first. */
  readonly targets: number
  /** Sends of a broadcast that go on after the first acceptance. */
  readonly afloat: Set<Fiber.Fiber<unknown, unknown>>
}

export type Failing<E> = E | InDoubt<CauseOf<E> | TransportError>

/** What came of one send, or of several at once. */
interface Reply {
  readonly accepted?: Hash
  readonly rejected?: JsonRpc.Rejected
  readonly error?: unknown
  /** Somebody may have accepted it, and the answer was lost. */
  readonly lost: boolean
}

export class Delivery<E> {
  private readonly ground: Ground<E>
  private readonly call: Call.Call
  private readonly request: JsonRpc.Request
  private parsed: { readonly transaction: Transaction | undefined } | undefined
  /** An answer was lost, here or before. */
  private lost = false
  /** Why there is no answer, by upstream: where one was lost, that is why. */
  private readonly causes = new Map<string, unknown>()

  constructor(ground: Ground<E>, call: Call.Call, request: JsonRpc.Request) {
    this.ground = ground
    this.call = call
    // Whatever the caller calls it.
    this.request = request.nature === "write" ? request : { ...request, nature: "write" }
  }

  run(): Effect.Effect<Hash, Failing<E>> {
    const first = this.ground.targets > 1 ? this.sendToSome() : this.send(this.call)
    return Effect.flatMap(first, (reply) => this.settle(reply))
  }

  // Read when it has been sent: hashing takes longer than all else that is done here.
  private get transaction(): Transaction | undefined {
    return (this.parsed ??= { transaction: read(this.request.params[0]) }).transaction
  }

  /** The hash, if it is beyond doubt. */
  private get hash(): Hash | undefined {
    return this.transaction?.certain === true ? this.transaction.hash : undefined
  }

  private settle(reply: Reply): Effect.Effect<Hash, Failing<E>> {
    const { accepted, error, rejected } = reply
    if (accepted !== undefined) return Effect.succeed(accepted)
    if (reply.lost) this.noteLost(error)
    if (rejected !== undefined) return this.refused(rejected)
    // It provably ran nowhere, or there is no time left to find out.
    if (!this.lost || error instanceof Call.DeadlineExceeded) return Effect.fail(error as E)
    const { transaction } = this
    if (transaction === undefined) return this.giveUp()
    return Effect.flatMap(this.lookup(transaction).anybody(), (found) =>
      found ? Effect.succeed(transaction.hash) : this.mayGoOn() ? this.sendAgain() : this.giveUp()
    )
  }

  // "Known" and "nonce too low" may be about this very transaction. After a lost answer any rejection may come too late,
  // but for one: whoever says that the nonce is used, and not by this transaction, has seen by which.
  private refused(rejected: JsonRpc.Rejected): Effect.Effect<Hash, Failing<E>> {
    const { lost, transaction } = this
    const { kind, upstream } = rejected
    const asIs = Effect.fail(rejected as E)
    if (transaction === undefined || (!lost && kind !== "known" && kind !== "nonce")) return asIs
    return Effect.flatMap(
      this.lookup(transaction).everybody(lost && kind !== "nonce" ? undefined : upstream),
      (answer) => {
        if (answer === "found") return Effect.succeed(transaction.hash)
        return lost && answer !== "denied" ? this.giveUp(rejected) : asIs
      }
    )
  }

  private lookup({ hash }: Transaction): Lookup<E> {
    return new Lookup(this.ground, this.call, hash)
  }

  private noteLost(error: unknown): void {
    const { counts, events } = this.ground
    this.lost = true
    counts.lost++
    if (events.active) events.emit({ type: "lost", hash: this.hash, error })
  }

  private giveUp(rejected?: JsonRpc.Rejected): Effect.Effect<never, Failing<E>> {
    const { counts, events } = this.ground
    const { hash } = this
    counts.inDoubt++
    if (events.active) events.emit({ type: "in-doubt", hash })
    const causes = Array.from(this.causes, ([upstream, error]) => ({ upstream, error: error as CauseOf<E> }))
    return Effect.fail(Outcome.stackless(() => new InDoubt({ causes, hash, rejected })))
  }

  private mayGoOn(): boolean {
    const { call } = this
    if (Call.limit(call) <= 0 || !Call.fits(call, this.now(), 0)) return false
    return !Array.from(this.causes.values()).some((error) => error instanceof Call.Defect)
  }

  private now(): number {
    return Call.now(this.ground.clock)
  }

  /** To one that has not had it, or else to all again. The bytes are the same, so that no chain includes them twice. */
  private sendAgain(): Effect.Effect<Hash, Failing<E>> {
    const { call } = this
    const { sent } = call
    return Effect.flatMap(this.send(call), (reply) => {
      if (call.sent > sent) {
        call.budget?.charge(this.now())
        return this.settle(reply)
      }
      if (call.budget?.withdraw(this.now()) === false) return this.giveUp()
      call.tried = undefined
      return Effect.flatMap(this.send(call), (reply) => (call.sent > sent ? this.settle(reply) : this.giveUp()))
    })
  }

  private send(call: Call.Call): Effect.Effect<Reply> {
    return Effect.suspend(() => {
      const { below, counts } = this.ground
      const { sent } = call
      counts.sent++
      return Effect.map(Effect.result(below.request(this.request)), (result) => {
        // Counted by nobody below.
        if (!call.pooled && call.sent === sent) Call.spend(call)
        return Result.isSuccess(result) ? this.answered(result.success) : this.failed(result.failure)
      })
    })
  }

  private answered(answer: unknown): Reply {
    const { hash } = this
    if (isHash(answer) && (hash === undefined || answer.toLowerCase() === hash))
      return { accepted: answer, lost: false }
    const message = isHash(answer) ? "answered with the hash of another transaction" : "answered without a hash"
    const upstream = this.ground.below.name
    return this.failed(new TransportError({ upstream, reason: "reply", message, reached: true }))
  }

  private failed(error: unknown): Reply {
    if (error instanceof JsonRpc.Rejected) {
      const { hash } = this
      return error.kind === "known" && hash !== undefined
        ? { accepted: hash, lost: false }
        : { rejected: error, lost: false }
    }
    const upstream = this.ground.below.name
    for (const cause of error instanceof Call.NoAnswer ? error.causes : [{ upstream, error }]) {
      // That it refused later says less than that its answer was lost.
      if (this.causes.has(cause.upstream) && Outcome.of(cause.error).ran === "no") continue
      this.causes.set(cause.upstream, cause.error)
    }
    return { error, lost: Outcome.of(error).ran !== "no" }
  }

  private sendToSome(): Effect.Effect<Reply> {
    const { afloat, clock, targets } = this.ground
    let first: Call.Call | undefined
    const send = (call: Call.Call) => {
      first ??= call
      return this.send(call)
    }
    const accepts = ({ accepted }: Reply) => accepted !== undefined
    return Effect.map(
      broadcast(this.call, { targets, clock, afloat, send, accepts, late: { lost: true } }),
      (replies) => {
        // What follows is bounded as the call of one target is.
        if (first?.attempts !== undefined) Call.limit(this.call, first.attempts + first.sent)
        this.call.budget ??= first?.budget
        this.call.pooled ||= first?.pooled === true
        return replies.find(accepts) ?? this.together(replies)
      }
    )
  }

  /** What several upstreams said, none of whom accepted it. */
  private together(replies: ReadonlyArray<Reply>): Reply {
    const lost = replies.some((reply) => reply.lost)
    const rank = ({ kind }: JsonRpc.Rejected) => telling.indexOf(kind)
    const [rejected] = replies.flatMap((reply) => reply.rejected ?? []).toSorted((a, b) => rank(a) - rank(b))
    if (rejected !== undefined) return { rejected, error: undefined, lost }
    const errors = replies.flatMap(({ error }) => error ?? [])
    const other = errors.find((error) => !(error instanceof Call.NoAnswer))
    if (other !== undefined) return { error: other, lost }
    // One cause for each upstream, whichever of the sends asked it.
    const causes = Array.from(this.causes, ([upstream, error]) => ({ upstream, error }))
    const verdict = Outcome.verdict({ again: "nowhere", ran: lost ? "maybe" : "no" })
    return { error: Outcome.stackless(() => new Call.NoAnswer({ causes, [Outcome.TypeId]: verdict })), lost }
  }
}

/** Rejections, from the one that tells most to the one that tells least. */
const telling: ReadonlyArray<JsonRpc.RejectedKind> = [
  "known",
  "nonce",
  "transaction",
  "revert",
  "invalid",
  "sender-limit",
  "filter"
]
