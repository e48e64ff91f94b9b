// What several listen to at once: one source, told to all.
import { Events, JsonRpc } from "@hawser/core"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { delay } from "./backoff.ts"
import { type Criteria, filterOf, mayHold } from "./criteria.ts"
import type { Step } from "./follower.ts"
import { Ledger } from "./ledger.ts"
import type { Listener } from "./listener.ts"
import { SubscriptionLost } from "./lost.ts"
import type { Ground, Reader } from "./pump.ts"
import { Signal } from "./signal.ts"

/** All who listen to one thing. */
export class Audience {
  private readonly listeners = new Set<Listener>()
  /** Called when there is nothing to hear any more, before those who listen are told. */
  onLost: () => void = () => {}

  get size(): number {
    return this.listeners.size
  }

  add(listener: Listener): void {
    this.listeners.add(listener)
  }

  delete(listener: Listener): void {
    this.listeners.delete(listener)
  }

  tell(result: unknown): void {
    for (const listener of this.listeners) Events.safely(() => listener.onNotification(result))
  }

  lost(error: SubscriptionLost): void {
    const listeners = Array.from(this.listeners)
    this.listeners.clear()
    this.onLost()
    for (const listener of listeners) Events.safely(() => listener.onLost(error))
  }
}

/** Heads as they come: after a reorganisation those of the new branch. */
export const headsTopic = (audience: Audience): Reader => ({
  apply: (steps) => {
    for (const { block, type } of steps) if (type === "added") audience.tell(block.header)
  },
  lost: (error) => audience.lost(error)
})

const backoff = { base: 250, cap: 5_000 }

/** The logs of each block, asked for by its hash: they are that block's, or there are none. */
export class LogsTopic<E> implements Reader {
  private readonly ground: Ground<E>
  private readonly criteria: Criteria
  private readonly bloom: boolean
  private readonly audience: Audience
  private readonly ledger: Ledger
  private readonly news = new Signal()
  private readonly running: Fiber.Fiber<unknown>

  constructor(ground: Ground<E>, criteria: Criteria, bloom: boolean, audience: Audience) {
    this.ground = ground
    this.criteria = criteria
    this.bloom = bloom
    this.audience = audience
    this.ledger = new Ledger(ground.bounds.depth)
    this.running = ground.fork(Effect.forever(this.once))
  }

  readonly apply = (steps: ReadonlyArray<Step>): void => {
    for (const step of steps) this.ledger.apply(step)
    if (this.ledger.length > this.ground.bounds.gap) this.fail(undefined)
    else this.news.give()
  }

  readonly lost = (error: SubscriptionLost): void => {
    this.stop()
    this.audience.lost(error)
  }

  stop(): void {
    this.running.interruptUnsafe()
  }

  private fail(cause: unknown): void {
    this.lost(new SubscriptionLost({ reason: "behind", cause }))
  }

  private attempt = 0

  private readonly once: Effect.Effect<void> = Effect.suspend((): Effect.Effect<void> => {
    const step = this.ledger.next()
    if (step === undefined) return this.news.wait
    const { block, type } = step
    if (type === "removed" || (this.bloom && !mayHold(this.criteria, block.header.logsBloom)))
      return this.tell(step, [])
    return Effect.matchEffect(this.ground.asker.logs(filterOf(this.criteria), block), {
      onSuccess: (logs) => this.tell(step, logs),
      onFailure: (error) => {
        const final = (error as unknown) instanceof JsonRpc.Rejected && this.ledger.next() === step
        if (final) return Effect.sync(() => this.fail(error))
        // A block that is gone by then is not asked for again.
        const pause = delay(backoff, ++this.attempt, this.ground.random())
        return this.news.within(this.ground.clock, Duration.toMillis(pause))
      }
    })
  })

  private tell(step: Step, logs: Parameters<Ledger["settle"]>[1]): Effect.Effect<void> {
    return Effect.sync(() => {
      this.attempt = 0
      for (const log of this.ledger.settle(step, logs)) this.audience.tell(log)
    })
  }
}
