/** What Hawser may cost beside its peers: DESIGN, section 7. */
import type { Timed } from "./callerProcess.ts"
import type { Id } from "./Contender.ts"
import type { Budget } from "./Results.ts"
import { median, round } from "./stats.ts"

const budgets: ReadonlyArray<{
  readonly of: Id
  readonly against: Id
  readonly atMost: number
  readonly what: string
}> = [
  { of: "hawser-viem", against: "viem-http", atMost: 0.3, what: "under viem" },
  { of: "hawser-viem-batch", against: "viem-http-batch", atMost: 0.6, what: "under viem, batched" },
  { of: "hawser-ethers", against: "ethers-single", atMost: 0.6, what: "under ethers" },
  { of: "hawser-ethers-batch", against: "ethers-batch", atMost: 0.6, what: "under ethers, batched" },
  { of: "hawser", against: "undici", atMost: 1.8, what: "alone" }
]

/** CPU seconds per 100,000 calls. */
export const cpuPer100k = ({ calls, cpu }: Pick<Timed, "calls" | "cpu">): number => (cpu / calls) * 100_000

/** Ratios of what was measured right after one another, since the machine is not the same from round to round. */
export const check = (callers: number, timed: ReadonlyMap<Id, ReadonlyArray<Timed>>): ReadonlyArray<Budget> =>
  budgets.flatMap(({ against, atMost, of, what }) => {
    const ours = timed.get(of)
    const theirs = timed.get(against)
    if (ours === undefined || theirs === undefined) return []
    const ratios = ours.map((one, n) => cpuPer100k(one) / cpuPer100k(theirs[n]!))
    const ratio = round(median(ratios))
    return [{ what, of, against, callers, ratio, atMost, holds: ratio <= atMost }]
  })
