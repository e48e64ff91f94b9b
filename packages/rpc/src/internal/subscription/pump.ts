// Follows the chain for all who listen: by a subscription where one is to be had, by looking where none is.
import type { Events } from "@hawser/core"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Exit from "effect/Exit"
import type { Asker } from "./ask.ts"
import { climb } from "./climb.ts"
import { type Bounds, Follower, type Found, type Step } from "./follower.ts"
import { type Head, readHead } from "./head.ts"
import { type Held, keep } from "./keep.ts"
import { SubscriptionLost } from "./lost.ts"
import { intervalOf, type Pace, silenceOf } from "./pace.ts"
import { Signal } from "./signal.ts"

/** What those who follow need of their surroundings. */
export interface Ground<E> {
  readonly asker: Asker<E>
  readonly clock: Clock.Clock
  readonly random: () => number
  readonly fork: (effect: Effect.Effect<unknown>) => Fiber.Fiber<unknown>
  readonly bounds: Bounds
  readonly pace: Pace
  readonly events: Events.Sink<Event>
}

/** What is told about the sources of subscriptions. */
export type Event =
  /** Heads now come from this upstream, or, `undefined`, by polling. */
  | { readonly type: "source"; readonly source: string | undefined }
  | { readonly type: "reorg"; readonly depth: number; readonly from: number }
  | { readonly type: "lost"; readonly reason: SubscriptionLost["reason"] }

/** Whoever wants to know what happens to the chain. */
export interface Reader {
  readonly apply: (steps: ReadonlyArray<Step>) => void
  readonly lost: (error: SubscriptionLost) => void
}

export class Pump<E> {
  private readonly ground: Ground<E>
  private readonly readers = new Set<Reader>()
  private follower: Follower | undefined
  private running: Fiber.Fiber<unknown> | undefined
  private held: Held | undefined
  private avoided: ReadonlyArray<string> = []
  /** A head that is being taken in, and the best that came meanwhile. */
  private climbing: { readonly head: Head; readonly found: Found } | undefined
  private next: Head | undefined
  private readonly work = new Signal()
  /** When to look, and when the chain last grew. */
  private lookAt = 0
  private grewAt = 0
  private readonly poke = new Signal()
  /** The subscription has only just been opened: what was told before it was not told by it. */
  private fresh = false

  constructor(ground: Ground<E>) {
    this.ground = ground
  }

  get tip(): Head | undefined {
    return this.follower?.tip
  }

  /** The upstream that tells of heads. */
  get source(): string | undefined {
    return this.held?.upstream
  }

  /** Adds a reader, who is told of whatever comes after `start`, or after what is known already. */
  join(reader: Reader, start: Head): void {
    this.readers.add(reader)
    if (this.follower !== undefined) return
    const { asker, bounds, clock, fork, random } = this.ground
    const follower = (this.follower = new Follower(start, bounds))
    this.grewAt = asker.now()
    this.lookAt = asker.now() + intervalOf(this.ground.pace, follower)
    const subscription = keep(asker, clock, random, {
      params: ["newHeads"],
      onNotification: (result) => {
        const head = readHead(result)
        if (head !== undefined) this.offer(follower, head)
      },
      onHeld: (held) => this.holds(held),
      avoid: () => {
        const { avoided } = this
        this.avoided = []
        return avoided
      }
    })
    this.running = fork(
      Effect.all([subscription, this.looking(follower), this.climbs(follower)], {
        concurrency: "unbounded",
        discard: true
      })
    )
  }

  /** Nothing runs when nobody reads. */
  leave(reader: Reader): void {
    this.readers.delete(reader)
    if (this.readers.size === 0) this.stop()
  }

  private stop(): void {
    const { running } = this
    this.follower = this.running = this.climbing = this.next = this.held = undefined
    running?.interruptUnsafe()
  }

  private holds(held: Held | undefined): void {
    const { asker, events } = this.ground
    this.held = held
    if (events.active) events.emit({ type: "source", source: held?.upstream })
    this.fresh = held !== undefined
    // What it did not tell yet, or would have told, is to be had by looking.
    this.lookAt = asker.now()
    this.poke.give()
  }

  private offer(follower: Follower, head: Head): void {
    if (this.follower !== follower) return
    this.lookAt = this.ground.asker.now() + this.patience(follower)
    if (this.climbing === undefined) return this.take(follower, head, follower.offer(head))
    follower.note(head)
    if (this.next === undefined || head.number >= this.next.number) this.next = head
  }

  private take(follower: Follower, head: Head, found: Found): void {
    if (found.type === "need") {
      this.climbing = { head, found }
      this.work.give()
    } else this.publish(found)
  }

  private publish(found: Exclude<Found, { readonly type: "need" }>): void {
    const { asker, events } = this.ground
    if (found.type === "lost") {
      const error = new SubscriptionLost({ reason: found.why })
      if (events.active) events.emit({ type: "lost", reason: found.why })
      const readers = Array.from(this.readers)
      this.readers.clear()
      this.stop()
      for (const reader of readers) reader.lost(error)
      return
    }
    const { steps } = found
    if (steps.length === 0) return
    this.grewAt = asker.now()
    const depth = steps.filter(({ type }) => type === "removed").length
    if (depth > 0 && events.active) events.emit({ type: "reorg", depth, from: steps[depth - 1]!.block.number })
    for (const reader of this.readers) reader.apply(steps)
  }

  // One head after the other; one that is overtaken is left.
  private climbs(follower: Follower): Effect.Effect<never> {
    const one = Effect.gen({ self: this }, function* () {
      const { climbing } = this
      if (climbing === undefined) {
        yield* this.work.wait
        return
      }
      const overtaken = () => this.next !== undefined && this.next.number >= climbing.head.number
      const exit = yield* Effect.exit(climb(this.ground, follower, climbing.found, overtaken))
      const { next } = this
      this.climbing = this.next = undefined
      if (Exit.isSuccess(exit)) this.publish(exit.value)
      if (next !== undefined && this.follower === follower) this.take(follower, next, follower.offer(next))
    })
    return Effect.forever(one)
  }

  private patience(follower: Follower): number {
    const { pace } = this.ground
    return this.held === undefined ? intervalOf(pace, follower) : silenceOf(pace, follower)
  }

  private looking(follower: Follower): Effect.Effect<never> {
    const { asker, clock, pace } = this.ground
    const once = Effect.gen({ self: this }, function* () {
      const left = this.lookAt - asker.now()
      if (left > 0) {
        yield* this.poke.within(clock, left)
        return
      }
      const { held } = this
      const tip = follower.tip
      const stalled = asker.now() - this.grewAt >= silenceOf(pace, follower)
      const exclude = held === undefined ? [] : [held.upstream]
      // Somebody else first: silence is no news from whoever is silent.
      const elsewhere = !this.fresh && (held !== undefined || stalled)
      this.fresh = false
      const exit = yield* Effect.exit(
        elsewhere ? Effect.catch(asker.latest({ elsewhere, exclude }), () => asker.latest()) : asker.latest()
      )
      this.lookAt = asker.now() + this.patience(follower)
      if (Exit.isFailure(exit)) return
      if (elsewhere && exit.value.number > follower.tip.number && follower.tip === tip) {
        // Others know more.
        asker.move()
        if (held !== undefined && held === this.held) {
          this.avoided = [held.upstream]
          held.drop()
        }
      }
      this.offer(follower, exit.value)
    })
    return Effect.forever(once)
  }
}
