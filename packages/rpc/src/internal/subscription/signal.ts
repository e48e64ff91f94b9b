import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** Something to wait for, again and again: one waits, others wake him. What comes while nobody waits is kept. */
export class Signal {
  private resume: (() => void) | undefined
  private given = false

  give(): void {
    if (this.resume === undefined) this.given = true
    else this.resume()
  }

  readonly wait: Effect.Effect<void> = Effect.callback<void>((resume) => {
    if (this.given) {
      this.given = false
      return resume(Effect.void)
    }
    const own = () => {
      this.resume = undefined
      resume(Effect.void)
    }
    this.resume = own
    return Effect.sync(() => {
      if (this.resume === own) this.resume = undefined
    })
  })

  /** Waits so many milliseconds at most. */
  within(clock: Clock.Clock, millis: number): Effect.Effect<void> {
    return Effect.raceFirst(this.wait, clock.sleep(Duration.millis(Math.max(0, Math.ceil(millis)))))
  }
}
