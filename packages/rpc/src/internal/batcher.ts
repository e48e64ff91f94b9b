/**
 * Requests of one upstream that travel together.
 *
 * Only reads do. A write never shares a body with another request, so nothing that happens to a batch can send one twice;
 * nor does a request to a filter, whose answer is given only once. That is why whatever was in a batch may be asked again.
 */
import type { JsonRpc } from "@hawser/core"
import type * as Effect from "effect/Effect"
import { blamesBatch, missing, readBatch, type Sign, signOf } from "./batch.ts"
import { Limit } from "./batchLimit.ts"
import type { Done, Fault, Reply } from "./dispatch.ts"
import type { Kind } from "./errors/kind.ts"
import type { Failed, Outcome } from "./reply.ts"

/** A request on its way, and who takes the answer. */
export interface Asked<E> {
  readonly id: number
  readonly request: JsonRpc.Request
  /** As it is sent. */
  readonly text: string
  readonly resume: (answer: Effect.Effect<unknown, E>) => void
}

/** What the transport does for its batches. */
export interface Transport<E> {
  /** Posts reads. Returns the function that aborts. */
  readonly post: (body: string, done: Done) => () => void
  /** Sends a request by itself and resumes who asked. Returns the function that aborts. */
  readonly alone: (asked: Asked<E>) => () => void
  readonly failed: (asked: Asked<E>, fault: Fault) => Effect.Effect<never, E>
  readonly ended: (asked: Asked<E>, outcome: Outcome, reply: Reply) => Effect.Effect<unknown, E>
  /** The kind of the error that a single request would fail with. */
  readonly kindOf: (asked: Asked<E>, outcome: ErrorReply, reply: Reply) => Kind
  /** Calls back when a batch is to be sent, unless the function it returns is called first. */
  readonly soon: (flush: () => void) => () => void
  /** Milliseconds on the monotonic clock. */
  readonly now: () => number
}

type ErrorReply = Extract<Outcome, { readonly kind: "error" }>

/** The most that a batch may have: requests, and characters of its body. */
export interface Limits {
  readonly size: number
  readonly bytes: number
}

export interface Inspection {
  /** Requests that may go together now: fewer than configured where the node has taken fewer. */
  readonly size: number
  /** Requests that wait for theirs to be sent. */
  readonly waiting: number
  /** Batches sent, and the requests in them. */
  readonly batches: number
  readonly batched: number
  /** Batches that the node did not take. */
  readonly refused: number
  /** Requests that were sent again, alone, for what happened to their batch. */
  readonly repeated: number
}

export class Batcher<E> {
  private readonly limits: Limits
  private readonly transport: Transport<E>
  private readonly learned: Limit
  private line: Batch<E> | undefined = undefined
  private closed = false
  private readonly counts = { batches: 0, batched: 0, refused: 0, repeated: 0 }

  constructor(limits: Limits, transport: Transport<E>) {
    this.limits = limits
    this.transport = transport
    this.learned = new Limit(limits.size)
  }

  inspect(): Inspection {
    const size = this.learned.at(this.transport.now)
    return { size, waiting: this.line?.present ?? 0, ...this.counts }
  }

  /** Sends a read together with others. Returns the function by which its caller leaves. */
  add(asked: Asked<E>): () => void {
    const most = this.learned.at(this.transport.now)
    if (most === 1 || this.closed) return this.transport.alone(asked)
    if (this.line !== undefined && this.line.length + asked.text.length > this.limits.bytes) this.send(this.line)
    const batch = (this.line ??= this.open())
    const member = new Member(asked, batch)
    batch.join(member)
    if (batch.present >= most || batch.length >= this.limits.bytes) this.send(batch)
    return () => this.leave(member)
  }

  /** Ends what waits. Whatever comes now goes alone, to a transport that is closed. */
  close(): void {
    this.closed = true
    const batch = this.line
    if (batch === undefined) return
    this.line = undefined
    batch.cancel()
    for (const { asked } of batch.those()) asked.resume(this.transport.failed(asked, closed))
  }

  private open(): Batch<E> {
    const batch = new Batch<E>()
    batch.cancel = this.transport.soon(() => this.send(batch))
    return batch
  }

  private leave(member: Member<E>): void {
    const { batch } = member
    if (member.abort !== undefined) return member.abort()
    if (!batch.leave(member) || batch.present > 0) return
    if (this.line === batch) this.line = undefined
    batch.cancel()
  }

  private send(batch: Batch<E>): void {
    if (this.line !== batch) return
    this.line = undefined
    batch.cancel()
    // Those who left before it was sent are not asked.
    for (const member of batch.members.values()) if (member.gone) batch.members.delete(member.asked.id)
    const { size } = batch.members
    if (size === 1) {
      for (const member of batch.those()) member.abort = this.transport.alone(member.asked)
      return
    }
    this.counts.batches++
    this.counts.batched += size
    const body = `[${Array.from(batch.members.values(), ({ asked }) => asked.text).join(",")}]`
    batch.cancel = this.transport.post(body, (fault, reply) => {
      if (fault === undefined) this.settle(batch, reply!)
      else this.fail(batch, fault)
    })
  }

  private fail(batch: Batch<E>, fault: Fault): void {
    // A connection that was never made tells nothing of batches.
    if (fault.reached) this.learned.failed(batch.members.size, this.transport.now())
    // Together their answers were too large.
    if (fault.reason === "too-large") return this.repeat(batch.those())
    for (const { asked } of batch.those()) asked.resume(this.transport.failed(asked, fault))
  }

  private settle(batch: Batch<E>, reply: Reply): void {
    const { size } = batch.members
    const read = readBatch(batch.members, size, reply)
    if (read.kind === "whole") return this.settleWhole(batch, read.outcome, reply)
    const alone: Array<Member<E>> = []
    for (const member of batch.those()) {
      const outcome = read.outcomes.get(member.asked.id) ?? missing
      if (outcome.kind === "error" && this.isNeighbours(member.asked, outcome, reply)) alone.push(member)
      else member.asked.resume(this.transport.ended(member.asked, outcome, reply))
    }
    if (alone.length === 0) return this.learned.taken(size)
    this.learned.failed(size, this.transport.now())
    this.repeat(alone)
  }

  // A contract may revert with any words.
  private isNeighbours(asked: Asked<E>, outcome: ErrorReply, reply: Reply): boolean {
    return blamesBatch(outcome.error) && this.transport.kindOf(asked, outcome, reply) !== "revert"
  }

  private settleWhole(batch: Batch<E>, outcome: Failed, reply: Reply): void {
    const { size } = batch.members
    const sign = outcome.kind === "error" ? this.signOf(batch, outcome, reply) : "failed"
    const now = this.transport.now()
    if (sign === "failed") this.learned.failed(size, now)
    if (sign === "failed" || sign === "passing") {
      for (const { asked } of batch.those()) asked.resume(this.transport.ended(asked, outcome, reply))
      return
    }
    this.counts.refused++
    this.learned.refused(sign.most, now)
    this.repeat(batch.those())
  }

  private signOf(batch: Batch<E>, outcome: ErrorReply, reply: Reply): Sign {
    const [first] = batch.members.values()
    const kind = this.transport.kindOf(first!.asked, outcome, reply)
    return signOf(outcome.error, kind, batch.members.size, reply)
  }

  private repeat(members: Iterable<Member<E>>): void {
    for (const member of members) {
      if (member.gone) continue
      this.counts.repeated++
      member.abort = this.transport.alone(member.asked)
    }
  }
}

const closed: Fault = {
  reason: "closed",
  message: "the upstream was closed",
  code: undefined,
  reached: false,
  stale: false
}

class Batch<E> {
  /** By id. Those who leave after it was sent stay, so that their answers are known for what they are. */
  readonly members = new Map<number, Member<E>>()
  /** Characters of the body. */
  length = 1
  /** Members that have not left. */
  present = 0
  /** Stops what is to come: the sending, and then the reply. */
  cancel: () => void = () => {}

  join(member: Member<E>): void {
    this.members.set(member.asked.id, member)
    this.length += member.asked.text.length + 1
    this.present++
  }

  leave(member: Member<E>): boolean {
    if (member.gone) return false
    member.gone = true
    this.present--
    return true
  }

  /** Those who have not left, each asked about in its turn: the answer to one may make another leave. */
  *those(): Iterable<Member<E>> {
    for (const member of this.members.values()) if (!member.gone) yield member
  }
}

class Member<E> {
  readonly asked: Asked<E>
  readonly batch: Batch<E>
  gone = false
  /** Aborts the request that was sent for it alone. */
  abort: (() => void) | undefined = undefined

  constructor(asked: Asked<E>, batch: Batch<E>) {
    this.asked = asked
    this.batch = batch
  }
}
