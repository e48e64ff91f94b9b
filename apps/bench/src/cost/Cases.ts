/** What is measured, and against what: each primitive beside Effect's own and a library of the same job. */
import type * as Effect from "effect/Effect"

/** One line of the table. An effect is run alone and within, a promise is awaited. */
export interface Case {
  readonly name: string
  readonly by: "hawser" | "effect" | "npm"
  readonly call:
    | { readonly effect: () => Effect.Effect<unknown, unknown> }
    | { readonly promise: () => Promise<unknown> }
  /** The effect does not end at once. */
  readonly waits?: boolean
  /** Calls under way at once. Default: one. */
  readonly width?: number
  /** At most so many times `Effect.sync`, alone. */
  readonly times?: number
  /** At most so many microseconds, alone, and less than another case. */
  readonly micros?: number
  readonly lessThan?: string
}

export interface Group {
  readonly name: string
  readonly about: string
  readonly cases: () => ReadonlyArray<Case>
}

export const ours = (name: string, effect: () => Effect.Effect<unknown, unknown>, more?: Partial<Case>): Case => ({
  name,
  by: "hawser",
  call: { effect },
  ...more
})

export const effects = (name: string, effect: () => Effect.Effect<unknown, unknown>, more?: Partial<Case>): Case => ({
  name,
  by: "effect",
  call: { effect },
  ...more
})

export const npm = (name: string, promise: () => Promise<unknown>, more?: Partial<Case>): Case => ({
  name,
  by: "npm",
  call: { promise },
  ...more
})
