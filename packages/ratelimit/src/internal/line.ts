// Standing in line, for both limiters. Nobody holds a reservation: only the head is called when there is room, and it
// takes for itself, in its own fiber. So whoever is cancelled has taken nothing, and there is nothing to give back.
import { Call, Options as Read, Outcome } from "@hawser/core"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import { maxPriority, Queue, Waiter } from "./queue.ts"

/** Why somebody is refused: no room now, no room in the line, or never. */
export type Why = "limit" | "queue" | "never"

/** Somebody else who lets pass. */
export interface Ask<in out G> {
  readonly grant: (weight: number) => Effect.Effect<G | undefined>
  /** Gives back a grant that came too late. */
  readonly undo: (grant: G, weight: number) => Effect.Effect<void>
}

/** What the line leads to. */
export interface Gate<out E extends Error, in out G = true> {
  /** What the line is for, as reports call it. */
  readonly name: string
  /** Milliseconds until `weight` may pass: `Infinity` if nobody knows, then {@link Line.pump} is called in time. */
  readonly wait: (now: number, weight: number) => number
  /** The least a newcomer must wait when `ahead` goes before it: `Infinity` if it can never pass. */
  readonly estimate: (now: number, weight: number, ahead: number) => number
  /** Lets it pass, if there is room. */
  readonly take: (now: number, weight: number) => G | false
  /** In place of `take`, where somebody else is to be asked. */
  readonly ask?: Ask<G>
  /** The error for whoever may not pass. `line`: standing in line would get it through. */
  readonly refusal: (why: Why, weight: number, wait: number, line: boolean) => E
}

export const lineReaders = {
  maxQueue: Read.integer({ min: 0, default: 1000 }),
  maxWait: Read.duration({ min: 0, infinite: true, default: "30 seconds" })
}

export const readPriority = Read.integer({ min: -maxPriority, max: maxPriority })

/** Rounds up; but what floating point adds to a whole number is not a millisecond more. */
export const wholeMillis = (millis: number): number => Math.max(0, Math.ceil(millis - 1e-6))

export interface LineOptions {
  readonly maxQueue: number
  /** Milliseconds. */
  readonly maxWait: number
}

class Ticket<E> extends Waiter {
  readonly joined: number
  readonly call: Call.Call | undefined
  /** The first moment at which it must not pass any more. */
  readonly deadline: number
  called = false
  error: E | undefined = undefined
  resume: ((effect: Effect.Effect<void, E>) => void) | undefined = undefined

  constructor(weight: number, priority: number, now: number, maxWait: number, call: Call.Call | undefined) {
    const deadline = call?.deadline ?? Infinity
    super(weight, priority, Math.min(deadline, now + maxWait))
    this.joined = now
    this.call = call
    this.deadline = deadline
  }

  wake(): void {
    const { resume } = this
    this.resume = undefined
    resume?.(this.error === undefined ? Effect.void : Effect.fail(this.error))
  }
}

export class Line<E extends Error, G = true> {
  /** How many have ever stood in line, were refused, or left of their own accord. */
  readonly counts = { queued: 0, refused: 0, abandoned: 0 }
  private readonly gate: Gate<E, G>
  private readonly options: LineOptions
  private readonly clock: Clock.Clock
  private readonly fork: (effect: Effect.Effect<void>) => Fiber.Fiber<void>
  private readonly queue = new Queue<Ticket<E>>()
  private pumping = false
  private called: Ticket<E> | undefined = undefined
  private alarm: { readonly at: number; readonly fiber: Fiber.Fiber<void> } | undefined = undefined

  constructor(gate: Gate<E, G>, options: LineOptions, clock: Clock.Clock, context: Context.Context<never>) {
    this.gate = gate
    this.options = options
    this.clock = clock
    this.fork = Effect.runForkWith(context)
  }

  get size(): number {
    return this.queue.size
  }

  /** The weight that goes before a newcomer of this priority. */
  ahead(priority: number): number {
    return this.queue.ahead(priority)
  }

  /**
   * Waits for a turn and then goes on with `then`, which is called in the same step in which the turn is taken; or
   * refuses.
   */
  pass<A, E2, R>(
    weight: number,
    priority: number,
    then: (grant: G) => Effect.Effect<A, E2, R>
  ): Effect.Effect<A, E | E2, R> {
    return Effect.withFiber((fiber) => {
      let ticket!: Ticket<E>
      return Outcome.guard(
        Effect.suspend(() => this.stand(ticket, then)),
        () => {
          const joined = this.join(fiber, weight, priority)
          if (joined instanceof Ticket) ticket = joined
          return joined
        },
        () => this.leave(ticket)
      )
    })
  }

  /** Lets pass whoever may. Called when there is more room than before. */
  pump(): void {
    // Whoever passes runs at once, and may come back here before it returns.
    if (this.pumping) return
    this.pumping = true
    try {
      while (this.called === undefined && this.advance()) continue
    } finally {
      this.pumping = false
    }
    if (this.queue.size === 0) this.silence()
  }

  /** Refuses all who would have to wait longer than they may, now that nobody passes before `until`. */
  closeUntil(until: number): void {
    for (;;) {
      const next = this.queue.nextToExpire()
      if (next === undefined || next.expiresAt >= until) break
      this.refuse(next)
    }
    this.pump()
  }

  private join(fiber: Fiber.Fiber<unknown, unknown>, weight: number, priority: number): Ticket<E> | E {
    const { gate, options, queue } = this
    const call = fiber.getRef(Call.Current)
    const now = Call.now(this.clock)
    const wait = gate.estimate(now, weight, queue.ahead(priority))
    const refuse = (why: Why, line = false) => {
      this.counts.refused++
      return gate.refusal(why, weight, wait, line)
    }
    if (wait === Infinity) return refuse("never")
    const displaced = queue.size < options.maxQueue ? undefined : queue.displaced(priority)
    const room = queue.size < options.maxQueue || displaced !== undefined
    const inTime = wait <= options.maxWait
    if (call?.pooled === true && fiber.getRef(Call.Insist) !== "wait") return refuse("limit", room && inTime)
    if (!inTime || (call !== undefined && !Call.fits(call, now, wait))) return refuse("limit")
    if (!room) return refuse(options.maxQueue === 0 ? "limit" : "queue")
    const ticket = new Ticket<E>(weight, priority, now, options.maxWait, call)
    if (displaced !== undefined) queue.remove(displaced)
    queue.push(ticket)
    this.counts.queued++
    if (displaced !== undefined) this.refuse(displaced, "queue")
    this.pump()
    return ticket
  }

  private stand<A, E2, R>(ticket: Ticket<E>, then: (grant: G) => Effect.Effect<A, E2, R>): Effect.Effect<A, E | E2, R> {
    return Effect.flatMap(
      Effect.callback<void, E>((resume) => {
        ticket.resume = resume
        if (ticket.called || ticket.error !== undefined) ticket.wake()
      }),
      () => {
        const { ask } = this.gate
        const now = Call.now(this.clock)
        // Called, and refused before it could move.
        if (ticket.error !== undefined) return Effect.fail(ticket.error)
        if (now >= ticket.deadline) return this.go(ticket, false, now, then)
        if (ask === undefined) return this.go(ticket, this.gate.take(now, ticket.weight), now, then)
        return Effect.flatMap(ask.grant(ticket.weight), (grant) => {
          const now = Call.now(this.clock)
          const { error } = ticket
          const late = error !== undefined || now >= ticket.deadline
          const next = error === undefined ? this.go(ticket, (!late && grant) || false, now, then) : Effect.fail(error)
          return late && grant !== undefined ? Effect.andThen(ask.undo(grant, ticket.weight), next) : next
        })
      }
    )
  }

  private go<A, E2, R>(
    ticket: Ticket<E>,
    grant: G | false,
    now: number,
    then: (grant: G) => Effect.Effect<A, E2, R>
  ): Effect.Effect<A, E | E2, R> {
    if (grant !== false) this.queue.serve(ticket)
    this.called = undefined
    ticket.called = false
    const next = grant === false ? this.stand(ticket, then) : this.passed(ticket, now, () => then(grant))
    this.pump()
    return next
  }

  private passed<A, E2, R>(
    ticket: Ticket<E>,
    now: number,
    then: () => Effect.Effect<A, E2, R>
  ): Effect.Effect<A, E2, R> {
    const { call } = ticket
    // A pool that made us wait has said so itself.
    if (call !== undefined && !call.pooled) {
      Call.note(call, this.clock, () => ({ step: "wait", for: now - ticket.joined, why: this.gate.name }))
    }
    return then()
  }

  private leave(ticket: Ticket<E>): void {
    if (!ticket.queued) return
    const wasHead = ticket.called || this.queue.head() === ticket
    this.queue.remove(ticket)
    this.counts.abandoned++
    if (this.called === ticket) this.called = undefined
    if (wasHead) this.pump()
  }

  // One step: true if somebody passed or was refused, so that there may be another.
  private advance(): boolean {
    const head = this.queue.head()
    if (head === undefined) return false
    const now = Call.now(this.clock)
    if (now >= head.deadline) return this.refuse(head)
    const wait = this.gate.wait(now, head.weight)
    if (wait === 0) {
      this.called = head
      head.called = true
      head.wake()
      return true
    }
    const next = this.queue.nextToExpire()
    if (next !== undefined && now >= next.expiresAt) return this.refuse(next)
    this.alarmAt(Math.min(now + wait, next?.expiresAt ?? Infinity), now)
    return false
  }

  private refuse(ticket: Ticket<E>, why: Why = "limit"): true {
    const { gate, queue } = this
    queue.remove(ticket)
    if (this.called === ticket) this.called = undefined
    this.counts.refused++
    const wait = gate.estimate(Call.now(this.clock), ticket.weight, queue.ahead(ticket.priority))
    ticket.error = gate.refusal(why, ticket.weight, wait, false)
    ticket.wake()
    return true
  }

  /** One timer for the whole line. It may go off too early, never too late. */
  private alarmAt(at: number, now: number): void {
    if (at === Infinity || (this.alarm !== undefined && this.alarm.at <= at)) return
    this.silence()
    const fiber = this.fork(this.clock.sleep(Duration.millis(Math.max(1, wholeMillis(at - now)))))
    const alarm = { at, fiber }
    this.alarm = alarm
    fiber.addObserver((exit: Exit.Exit<void>) => {
      if (this.alarm !== alarm) return
      this.alarm = undefined
      if (exit._tag === "Success") this.pump()
    })
  }

  private silence(): void {
    const { alarm } = this
    this.alarm = undefined
    alarm?.fiber.interruptUnsafe()
  }
}
