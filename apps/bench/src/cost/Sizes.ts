/** Whether cost grows with the number of keys, upstreams, entries or waiters, and what each takes of memory. */
import type * as Effect from "effect/Effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { alone, aloneWaiting, measure, spread, type Spread } from "./Harness.ts"
import { crowds } from "./groups/crowds.ts"

export const sizes = [1, 1000, 100_000] as const

/** Something of which there can be many. */
export interface Crowd {
  readonly name: string
  /** What one of the many is. */
  readonly of: string
  readonly by: "hawser" | "effect" | "npm"
  /** More would take minutes. */
  readonly most?: number
  /** Makes so many, and gives a call that takes part among them. */
  readonly make: (size: number) => { readonly call: () => Effect.Effect<unknown, unknown>; readonly waits?: boolean }
}

export interface Growth {
  readonly name: string
  readonly of: string
  readonly by: Crowd["by"]
  /** Nanoseconds per call at each of {@link sizes}. */
  readonly nanos: ReadonlyArray<Spread | undefined>
  /** Bytes for each of the many, at the largest size. */
  readonly bytes: number
  /** What the largest size costs, as a multiple of what one costs. */
  readonly factor: number
  /** At most log2 of the largest size. */
  readonly met: boolean | undefined
}

setFlagsFromString("--expose-gc")
const collect = runInNewContext("gc") as () => void

const heap = (): number => {
  collect()
  return process.memoryUsage().heapUsed
}

export const run = async (
  names: ReadonlyArray<string>,
  settings: { readonly rounds: number; readonly millis: number }
): Promise<ReadonlyArray<Growth>> => {
  const rows: Array<Growth> = []
  for (const crowd of crowds) {
    if (names.length > 0 && !names.includes(crowd.name)) continue
    const mine = sizes.filter((size) => size <= (crowd.most ?? Infinity))
    let bytes = 0
    const kept: Array<unknown> = []
    const subjects = mine.map((size) => {
      const before = heap()
      const made = crowd.make(size)
      bytes = (heap() - before) / size
      kept.push(made)
      return { name: String(size), run: (made.waits === true ? aloneWaiting : alone)(made.call) }
    })
    const times = await measure(subjects, settings)
    const medians = mine.map((size) => spread(times.get(String(size))!))
    const factor = medians.at(-1)!.median / medians[0]!.median
    const nanos = sizes.map((_, i) => medians[i])
    const met = crowd.by === "hawser" ? factor <= Math.log2(mine.at(-1)!) : undefined
    rows.push({ name: crowd.name, of: crowd.of, by: crowd.by, nanos, bytes, factor, met })
    kept.length = 0
  }
  return rows
}
