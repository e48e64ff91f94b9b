import { Call } from "@hawser/core"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"

/** One alarm, set again and again: a fiber that sleeps while it is set. */
export class Timer {
  private readonly clock: Clock.Clock
  private readonly fork: (sleep: Effect.Effect<void>) => Fiber.Fiber<void>
  private readonly ring: () => void
  private sleeper: Fiber.Fiber<void> | undefined
  private wakes = Infinity

  constructor(clock: Clock.Clock, fork: (sleep: Effect.Effect<void>) => Fiber.Fiber<void>, ring: () => void) {
    this.clock = clock
    this.fork = fork
    this.ring = ring
  }

  now(): number {
    return Call.now(this.clock)
  }

  /** Rings at `at`, or before: whoever is called looks what is due. `Infinity` sets it off. */
  set(at: number): void {
    if (at === Infinity) return this.stop()
    if (at >= this.wakes) return
    this.stop()
    this.wakes = at
    const sleeper = this.fork(this.clock.sleep(Duration.millis(Math.max(1, Math.ceil(at - this.now())))))
    this.sleeper = sleeper
    sleeper.addObserver(() => {
      if (this.sleeper !== sleeper) return
      this.sleeper = undefined
      this.wakes = Infinity
      this.ring()
    })
  }

  private stop(): void {
    const { sleeper } = this
    this.sleeper = undefined
    this.wakes = Infinity
    sleeper?.interruptUnsafe()
  }
}
