import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"

/** Something that is found out once for all who want it. A failure is told to those who wait; the next one tries again. */
export class Once<A, E> {
  private found: Exit.Exit<A, E> | undefined = undefined
  private waiting: Set<(exit: Exit.Exit<A, E>) => void> | undefined = undefined
  private readonly find: Effect.Effect<A, E>

  constructor(find: Effect.Effect<A, E>) {
    this.find = find
  }

  readonly get: Effect.Effect<A, E> = Effect.suspend(() => {
    if (this.found !== undefined) return this.found
    return this.waiting === undefined ? this.lead : this.follow
  })

  // If whoever finds out is interrupted, another of those who wait takes over.
  private readonly lead: Effect.Effect<A, E> = Effect.suspend(() => {
    const waiting = new Set<(exit: Exit.Exit<A, E>) => void>()
    this.waiting = waiting
    return Effect.onExitPrimitive(this.find, (exit) => {
      this.waiting = undefined
      if (exit._tag === "Success") this.found = exit
      for (const resume of waiting) resume(exit)
      return undefined
    })
  })

  private readonly follow: Effect.Effect<A, E> = Effect.flatten(
    Effect.callback<Effect.Effect<A, E>>((resume) => {
      const { waiting } = this
      if (waiting === undefined) return resume(Effect.succeed(this.get))
      const ended = (exit: Exit.Exit<A, E>) => resume(Effect.succeed(Exit.hasInterrupts(exit) ? this.get : exit))
      waiting.add(ended)
      return Effect.sync(() => void waiting.delete(ended))
    })
  )
}
