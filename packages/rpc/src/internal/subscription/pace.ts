// How often to look, and how long silence is ordinary: by the time between blocks, as far as it is known.
import type { Follower } from "./follower.ts"

/** Milliseconds, or `undefined`: by the chain. */
export interface Pace {
  readonly interval: number | undefined
  readonly silence: number | undefined
}

const clamp = (value: number, least: number, most: number): number => Math.min(most, Math.max(least, value))

/** Milliseconds between blocks, on average over those that are remembered. */
const blockTime = (follower: Follower): number | undefined => {
  const { oldest, tip } = follower
  if (tip.number === oldest.number || tip.timestamp === undefined || oldest.timestamp === undefined) return undefined
  return Math.max(0, ((tip.timestamp - oldest.timestamp) * 1000) / (tip.number - oldest.number))
}

/** Between two looks where nobody tells: half a block time, from 500 ms to 4 s; 4 s until that is known. */
export const intervalOf = ({ interval }: Pace, follower: Follower): number =>
  interval ?? clamp((blockTime(follower) ?? Infinity) / 2, 500, 4_000)

/** After which silence a look is due at others: three block times, from 5 s to 60 s; 30 s until that is known. */
export const silenceOf = ({ silence }: Pace, follower: Follower): number =>
  silence ?? clamp(3 * (blockTime(follower) ?? 10_000), 5_000, 60_000)
