/** What the policies are put around. */
import * as Effect from "effect/Effect"

// One that is made once would be the cheaper baseline, and no program's.
// @effect-diagnostics-next-line syncToSucceed:off
export const sync = (): Effect.Effect<number> => Effect.sync(() => 1)

/** Waits for one microtask, as a client does whose answer is there. */
export const micro: Effect.Effect<number> = Effect.callback((resume) => {
  queueMicrotask(() => resume(Effect.succeed(1)))
})

/** Waits for a turn of the event loop, as whatever does input and output. */
export const turn: Effect.Effect<number> = Effect.callback((resume) => {
  setImmediate(() => resume(Effect.succeed(1)))
})

export const settled = (): Promise<number> => Promise.resolve(1)

export const turned = (): Promise<number> => new Promise((resolve) => setImmediate(() => resolve(1)))
