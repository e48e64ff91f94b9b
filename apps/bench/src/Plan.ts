/** What is asked, and when: drawn from a seed, so that everybody is asked the same at the same time. */
import type { Request } from "./Contender.ts"

/** The head at which all nodes begin. */
export const firstHead = 1_000_000

/**
 * What a call is about: the head's number, the head itself, a contract as of the head, a balance as of a block just below
 * the head, an old block.
 */
export type Kind = "head" | "latest" | "call" | "balance" | "block"

export interface Call {
  /** Milliseconds from the beginning. */
  readonly at: number
  readonly kind: Kind
  /** Makes it another call than all others, but for those that name nothing but the head. */
  readonly n: number
  /** How far below the head a balance is asked for. */
  readonly back: number
}

const shares: ReadonlyArray<readonly [Kind, number]> = [
  ["call", 0.3],
  ["balance", 0.3],
  ["head", 0.2],
  ["latest", 0.1],
  ["block", 0.1]
]

/** Calls that arrive at random (Poisson), at so many a second. */
export const plan = (seed: number, perSecond: number, millis: number): ReadonlyArray<Call> => {
  const draw = random(seed)
  const calls: Array<Call> = []
  const next = (): number => (-1000 / perSecond) * Math.log(1 - draw())
  for (let at = next(); at < millis; at += next()) calls.push({ ...drawn(draw, calls.length), at })
  return calls
}

/** So many calls, one as soon as another is done. */
export const mix = (seed: number, calls: number): ReadonlyArray<Call> => {
  const draw = random(seed)
  return Array.from({ length: calls }, (_, n) => drawn(draw, n))
}

const drawn = (draw: () => number, n: number): Call => {
  let left = draw()
  const [kind] = shares.find(([, share]) => (left -= share) < 0) ?? shares[0]!
  return { at: 0, kind, n, back: Math.floor(draw() * 3) }
}

/** The request of a call, for an asker who knows of this head. */
export const request = ({ back, kind, n }: Call, head: number): Request => {
  switch (kind) {
    case "head":
      return { method: "eth_blockNumber", params: [] }
    case "latest":
      return { method: "eth_getBlockByNumber", params: ["latest", false] }
    case "call":
      return { method: "eth_call", params: [{ to: address(n), data: "0x18160ddd" }, "latest"] }
    case "balance":
      return { method: "eth_getBalance", params: [address(n), quantity(head - back)] }
    default:
      return { method: "eth_getBlockByNumber", params: [quantity(firstHead - 1000 - (n % 900_000)), false] }
  }
}

export const quantity = (value: number): string => `0x${value.toString(16)}`

const address = (n: number): string => `0x${n.toString(16).padStart(40, "0")}`

/** Numbers in [0, 1) that follow from a seed: mulberry32 (Tommy Ettinger, public domain). */
export const random = (seed: number): (() => number) => {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
