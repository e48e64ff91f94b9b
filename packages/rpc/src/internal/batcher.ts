/**
 * Requests of one upstream that travel together.
 *
 * Only reads do. A write never shares a body with another request, so nothing that happens to a batch can send one twice;
 * nor does a request to a filter, whose answer is given only once. That is why whatever was in a batch may be asked again.
 */
import { JsonRpc } from "@hawser/core"
import * as Exit from "effect/Exit"
import { blamesBatch, missing, readBatch, type Sign, signOf } from "./batch.ts"
import { Limit } from "./batchLimit.ts"
import type { Fault, Posted, Reply, Sender } from "./dispatch.ts"
import type { Kind } from "./errors/kind.ts"
import type { Failed, Outcome } from "./reply.ts"

/** A request on its way, and who takes the answer. */
export interface Asked<E> {
  readonly id: number
  readonly request: JsonRpc.Request
  /** As it is sent. */
  readonly text: string
  /** Sends it by itself. */
  readonly send: () => Posted
  readonly end: (answer: Exit.Exit<unknown, E>) => void
}

/** Reads that go together, or not at all. */
export interface Together<E> {
  /** The id of the first; the others' follow. */
  readonly first: number
  readonly requests: ReadonlyArray<JsonRpc.Request>
  readonly texts: ReadonlyArray<string | undefined>
  readonly resume: (answers: Exit.Exit<JsonRpc.Answers, E>) => void
}

/** What the transport does for its batches. */
export interface Transport<E> {
  /** Posts reads. */
  readonly post: (body: string, sender: Sender) => Posted
  readonly failed: (fault: Fault) => Exit.Exit<never, E>
  readonly ended: (request: JsonRpc.Request, outcome: Outcome, reply: Reply) => Exit.Exit<unknown, E>
  /** The kind of the error that a single request would fail with. */
  readonly kindOf: (request: JsonRpc.Request, outcome: ErrorReply, reply: Reply) => Kind
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

  /** Requests that may go together now. */
  get most(): number {
    return this.learned.at(this.transport.now)
  }

  inspect(): Inspection {
    return { size: this.most, waiting: this.line?.present ?? 0, ...this.counts }
  }

  /** Sends a read together with others. To abort it is to leave them. */
  add(asked: Asked<E>): Posted {
    const { most } = this
    if (most === 1 || this.closed) return asked.send()
    if (this.line !== undefined && this.line.length + asked.text.length > this.limits.bytes) this.send(this.line)
    const batch = (this.line ??= this.open())
    const member = new Member(asked, batch)
    batch.join(member)
    if (batch.present >= most || batch.length >= this.limits.bytes) this.send(batch)
    return { abort: () => this.leave(member) }
  }

  /**
   * Sends reads that have come together as they are. Whoever is not answered for its neighbours' sake is told to come alone.
   * `undefined`: the node does not take so much at once.
   */
  together({ first, requests, resume, texts }: Together<E>): Posted | undefined {
    const size = requests.length
    const body = `[${texts.join(",")}]`
    // A list of one is a batch, too.
    const isTaken = !this.closed && Math.max(2, size) <= this.most && body.length <= this.limits.bytes
    if (!isTaken || texts.includes(undefined)) return undefined
    this.counts.batches++
    this.counts.batched += size
    const ids = { has: (id: number) => id >= first && id < first + size }
    return this.transport.post(body, {
      done: (fault, reply) => {
        if (fault !== undefined) {
          if (fault.reached) this.learned.failed(size, this.transport.now())
          return resume(fault.reason === "too-large" ? JsonRpc.apart : this.transport.failed(fault))
        }
        const read = readBatch(ids, size, reply!)
        if (read.kind === "whole") {
          return resume(
            this.isRefusal(requests, read.outcome, reply!)
              ? JsonRpc.apart
              : (this.transport.ended(requests[0]!, read.outcome, reply!) as Exit.Exit<never, E>)
          )
        }
        let blamed = false
        const answers = requests.map((request, i): Exit.Exit<unknown, E> => {
          const outcome = read.outcomes.get(first + i) ?? missing
          if (outcome.kind !== "error" || !this.isNeighbours(request, outcome, reply!)) {
            return this.transport.ended(request, outcome, reply!)
          }
          blamed = true
          return JsonRpc.apart
        })
        if (blamed) this.learned.failed(size, this.transport.now())
        else this.learned.taken(size)
        // Nobody was answered: then it is about the upstream, and not about any of them.
        resume(answers.every(isUnanswered) ? Exit.failCause(answers[0]!.cause) : Exit.succeed(answers))
      }
    })
  }

  /** Ends what waits. Whatever comes now goes alone, to a transport that is closed. */
  close(): void {
    this.closed = true
    const batch = this.line
    if (batch === undefined) return
    this.line = undefined
    batch.cancel()
    for (const { asked } of batch.those()) asked.end(this.transport.failed(closed))
  }

  private open(): Batch<E> {
    const batch = new Batch<E>()
    batch.cancel = this.transport.soon(() => this.send(batch))
    return batch
  }

  private leave(member: Member<E>): void {
    const { batch } = member
    if (member.alone !== undefined) return member.alone.abort()
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
      for (const member of batch.those()) member.alone = member.asked.send()
      return
    }
    this.counts.batches++
    this.counts.batched += size
    const body = `[${Array.from(batch.members.values(), ({ asked }) => asked.text).join(",")}]`
    const posted = this.transport.post(body, {
      done: (fault, reply) => {
        if (fault === undefined) this.settle(batch, reply!)
        else this.fail(batch, fault)
      }
    })
    batch.cancel = () => posted.abort()
  }

  private fail(batch: Batch<E>, fault: Fault): void {
    // A connection that was never made tells nothing of batches.
    if (fault.reached) this.learned.failed(batch.members.size, this.transport.now())
    // Together their answers were too large.
    if (fault.reason === "too-large") return this.repeat(batch.those())
    for (const { asked } of batch.those()) asked.end(this.transport.failed(fault))
  }

  private settle(batch: Batch<E>, reply: Reply): void {
    const { size } = batch.members
    const read = readBatch(batch.members, size, reply)
    if (read.kind === "whole") return this.settleWhole(batch, read.outcome, reply)
    const alone: Array<Member<E>> = []
    for (const member of batch.those()) {
      const outcome = read.outcomes.get(member.asked.id) ?? missing
      if (outcome.kind === "error" && this.isNeighbours(member.asked.request, outcome, reply)) alone.push(member)
      else member.asked.end(this.transport.ended(member.asked.request, outcome, reply))
    }
    if (alone.length === 0) return this.learned.taken(size)
    this.learned.failed(size, this.transport.now())
    this.repeat(alone)
  }

  // A contract may revert with any words.
  private isNeighbours(request: JsonRpc.Request, outcome: ErrorReply, reply: Reply): boolean {
    return blamesBatch(outcome.error) && this.transport.kindOf(request, outcome, reply) !== "revert"
  }

  private settleWhole(batch: Batch<E>, outcome: Failed, reply: Reply): void {
    const requests = Array.from(batch.members.values(), ({ asked }) => asked.request)
    if (this.isRefusal(requests, outcome, reply)) return this.repeat(batch.those())
    for (const { asked } of batch.those()) asked.end(this.transport.ended(asked.request, outcome, reply))
  }

  /** Whether one reply to all says that they are too many. Learns from it. */
  private isRefusal(requests: ReadonlyArray<JsonRpc.Request>, outcome: Failed, reply: Reply): boolean {
    const size = requests.length
    const sign = outcome.kind === "error" ? this.signOf(requests[0]!, size, outcome, reply) : "failed"
    const now = this.transport.now()
    if (sign === "failed") this.learned.failed(size, now)
    if (sign === "failed" || sign === "passing") return false
    this.counts.refused++
    this.learned.refused(sign.most, now)
    return true
  }

  private signOf(first: JsonRpc.Request, size: number, outcome: ErrorReply, reply: Reply): Sign {
    return signOf(outcome.error, this.transport.kindOf(first, outcome, reply), size, reply)
  }

  private repeat(members: Iterable<Member<E>>): void {
    for (const member of members) {
      if (member.gone) continue
      this.counts.repeated++
      member.alone = member.asked.send()
    }
  }
}

const isUnanswered = <E>(exit: Exit.Exit<unknown, E>): exit is Exit.Failure<unknown, E> => !JsonRpc.isAnswer(exit)

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
  /** The request that was sent for it alone. */
  alone: Posted | undefined = undefined

  constructor(asked: Asked<E>, batch: Batch<E>) {
    this.asked = asked
    this.batch = batch
  }
}
