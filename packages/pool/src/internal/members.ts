import { Load, type Settings } from "./load.ts"

/** One upstream of the pool and all the pool knows of it. */
export class Member<out U> {
  readonly name: string
  readonly upstream: U
  readonly tier: number
  readonly weight: number
  readonly load: Load
  asked = 0
  successes = 0
  failures = 0
  neutrals = 0
  refusals = 0
  /** The last refusal, and until when it holds. */
  leftOut: { readonly error: unknown; readonly until: number } | undefined = undefined
  lastError: unknown = undefined
  /** A last-resort request is under way. */
  probing = false
  /** Told whenever a request ends: whether the upstream answered. */
  readonly settled = new Set<(answered: boolean) => void>()

  constructor(
    spec: { readonly name: string; readonly upstream: U; readonly tier: number; readonly weight: number },
    settings: Settings
  ) {
    this.name = spec.name
    this.upstream = spec.upstream
    this.tier = spec.tier
    this.weight = spec.weight
    this.load = new Load(settings)
  }

  cost(now: number): number {
    return this.load.cost(now) / this.weight
  }
}

/** Members of the same tier, the preferred tier first. */
export const tiersOf = <U>(members: ReadonlyArray<Member<U>>): ReadonlyArray<ReadonlyArray<Member<U>>> => {
  const tiers = new Map<number, Array<Member<U>>>()
  for (const member of members) {
    const tier = tiers.get(member.tier)
    if (tier === undefined) tiers.set(member.tier, [member])
    else tier.push(member)
  }
  return Array.from(tiers)
    .toSorted(([a], [b]) => a - b)
    .map(([, tier]) => tier)
}

/**
 * The next upstream to ask: in the first tier that has one untried, the cheaper of two drawn at random. The dearest
 * of a tier is never taken while there is a choice, and no caller flocks to the single best.
 */
export const pick = <U>(
  tiers: ReadonlyArray<ReadonlyArray<Member<U>>>,
  tried: ReadonlyArray<object> | undefined,
  now: number,
  random: () => number
): Member<U> | undefined => {
  for (const tier of tiers) {
    const candidates =
      tried === undefined || tried.length === 0 ? tier : tier.filter((member) => !tried.includes(member))
    const member = cheaper(candidates, now, random)
    if (member !== undefined) return member
  }
  return undefined
}

const cheaper = <U>(candidates: ReadonlyArray<Member<U>>, now: number, random: () => number): Member<U> | undefined => {
  const n = candidates.length
  if (n < 2) return candidates[0]
  const i = Math.floor(random() * n)
  const draw = Math.floor(random() * (n - 1))
  const first = candidates[i]!
  const second = candidates[draw < i ? draw : draw + 1]!
  return second.cost(now) < first.cost(now) ? second : first
}
