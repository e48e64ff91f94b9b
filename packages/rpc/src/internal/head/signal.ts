import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** Wakes those who wait for something to hold. Costs nothing while nobody waits. */
export class Signal {
  private readonly waiting = new Set<() => void>()

  /** Something has changed. */
  poke(): void {
    if (this.waiting.size > 0) for (const look of Array.from(this.waiting)) look()
  }

  /** Ends when the condition holds. It is asked now and after each change. */
  until(condition: () => boolean): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (condition()) return resume(Effect.void)
      const look = () => {
        if (!condition()) return
        this.waiting.delete(look)
        resume(Effect.void)
      }
      this.waiting.add(look)
      return Effect.sync(() => void this.waiting.delete(look))
    })
  }

  /** Ends when the condition holds, or after so many milliseconds. */
  within(clock: Clock.Clock, millis: number, condition: () => boolean): Effect.Effect<unknown> {
    return Effect.raceFirst(this.until(condition), clock.sleep(Duration.millis(Math.ceil(millis))))
  }
}
