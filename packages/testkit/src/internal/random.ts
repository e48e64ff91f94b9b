import type { Distribution } from "../Scenario.ts"

/** Numbers in [0, 1). */
export type Random = () => number

/** mulberry32 (Tommy Ettinger, public domain): 32 bits of state, good enough to draw faults, not secrets. */
export const seeded = (seed: number): Random => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The same values in another order, none in its old place (Sattolo, 1986). */
export const shuffled = <A>(values: ReadonlyArray<A>, random: Random): Array<A> => {
  const result = [...values]
  for (let i = result.length - 1; i > 0; i--) {
    const j = Math.floor(random() * i)
    ;[result[i], result[j]] = [result[j]!, result[i]!]
  }
  return result
}

/** Draws a delay in milliseconds. */
export const sample = (distribution: Distribution, random: Random): number => {
  switch (distribution._tag) {
    case "Fixed":
      return distribution.value
    case "Uniform":
      return distribution.min + (distribution.max - distribution.min) * random()
    case "Exponential":
      return -distribution.mean * Math.log(1 - random())
    default:
      // 2.3263 standard deviations above the median lie 99 of 100 values.
      return distribution.p50 * Math.exp((Math.log(distribution.p99 / distribution.p50) / 2.326348) * normal(random))
  }
}

// Box and Muller, 1958.
const normal = (random: Random): number => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
