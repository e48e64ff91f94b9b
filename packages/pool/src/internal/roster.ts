import { Member, type Settings as MemberSettings, type Spec } from "./member.ts"

export interface Settings extends MemberSettings {
  /** `latency`: the cheaper of two drawn at random. `weight`: in turn, by weight. */
  readonly balance: "latency" | "weight"
  /** A tier keeps all traffic while its healthy share times this is at least one. */
  readonly overflow: number
  /** Below this share of upstreams that are not ejected, ejections are ignored. */
  readonly panic: number
}

type Tier<U> = ReadonlyArray<Member<U>>

/** Whom a search finds: who has room and whom nothing speaks against, or anybody who is not to be drained. */
type Wanted = "room" | "any"

const nobody: ReadonlyArray<string> = []

const isOpen = (
  member: Member<unknown>,
  tried: ReadonlyArray<object> | undefined,
  excluded: ReadonlyArray<string>
): boolean => tried?.includes(member) !== true && !excluded.includes(member.name)

/** Who is in the pool, and who is to be asked next. Takes the time and random numbers as arguments. */
export class Roster<U> {
  members: ReadonlyArray<Member<U>> = []
  private tiers: ReadonlyArray<Tier<U>> = []
  private readonly settings: Settings
  /** Scopes that stick to an upstream, the longest unused first. */
  private readonly scopes = new Map<string, Member<U>>()

  constructor(settings: Settings) {
    this.settings = settings
  }

  /** Replaces the members. One with the name and the upstream of a present member is that member, with all it knows. */
  set(specs: ReadonlyArray<Spec<U>>, now: number): void {
    const known = new Map(this.members.map((member) => [member.name, member]))
    this.members = specs.map((spec) => {
      const member = known.get(spec.name)
      const same =
        member !== undefined &&
        member.upstream === spec.upstream &&
        member.tier === spec.tier &&
        member.weight === spec.weight &&
        !member.draining
      if (!same) return new Member(spec, this.settings, now)
      member.capacity = spec.capacity
      return member
    })
    const tiers = new Map<number, Array<Member<U>>>()
    for (const member of this.members) {
      const tier = tiers.get(member.tier)
      if (tier === undefined) tiers.set(member.tier, [member])
      else tier.push(member)
    }
    this.tiers = Array.from(tiers)
      .toSorted(([a], [b]) => a - b)
      .map(([, tier]) => tier)
    for (const [scope, member] of this.scopes) if (!this.members.includes(member)) this.scopes.delete(scope)
  }

  /**
   * Whom to ask next: in the tier whose turn it is, else in the first that has somebody untried. Those at capacity come
   * after all who have room, the cheapest of the first tier before the others; those who refuse or are ejected come after
   * all others, those who are excluded never. `undefined` when all have been tried.
   */
  pick(
    tried: ReadonlyArray<object> | undefined,
    now: number,
    random: () => number,
    excluded: ReadonlyArray<string> = nobody
  ): Member<U> | undefined {
    const first = tried === undefined || tried.length === 0 ? this.turn(now, random) : 0
    return (
      this.search(first, tried, excluded, now, random, "room") ??
      (first === 0 ? undefined : this.search(0, tried, excluded, now, random, "room")) ??
      this.crowded(tried, excluded, now) ??
      this.search(0, tried, excluded, now, random, "any")
    )
  }

  /** Whom to ask beside those who are being asked: somebody of the same tier, who has room. */
  pickBeside(
    tried: ReadonlyArray<object> | undefined,
    now: number,
    random: () => number,
    excluded: ReadonlyArray<string> = nobody
  ): Member<U> | undefined {
    const tier = this.tiers.find((tier) => tier.some((member) => tried?.includes(member)))
    if (tier === undefined) return this.pick(tried, now, random, excluded)
    const rest = tier.filter((member) => isOpen(member, tried, excluded) && this.has(member, "room", now))
    return this.choose(rest, now, random)
  }

  /**
   * The upstream that a scope sticks to, unless it has been tried, is excluded, refuses or is out. That it is at capacity
   * changes nothing.
   */
  stuck(
    scope: string,
    tried: ReadonlyArray<object> | undefined,
    now: number,
    excluded: ReadonlyArray<string> = nobody
  ): Member<U> | undefined {
    const member = this.scopes.get(scope)
    return member !== undefined && isOpen(member, tried, excluded) && this.isEligible(member, now) ? member : undefined
  }

  stick(scope: string, member: Member<U>): void {
    this.scopes.delete(scope)
    this.scopes.set(scope, member)
    if (this.scopes.size > mostScopes) this.scopes.delete(this.scopes.keys().next().value!)
  }

  /** Puts a member aside, if enough others are left. */
  eject(member: Member<U>, now: number, random: () => number): boolean {
    const rules = this.settings.ejection
    if (rules === undefined) return false
    const out = this.members.filter((other) => other.isEjected(now)).length
    const most = Math.max(1, Math.floor(rules.share * this.members.length))
    if (out >= most || out + 1 >= this.members.length) return false
    member.ejection!.eject(now, random())
    return true
  }

  /** Why nothing is sent to a member at present, if so. */
  isEligible(member: Member<U>, now: number): boolean {
    if (member.draining || member.refuses(now)) return false
    return !member.isEjected(now) || this.inPanic(now)
  }

  /** It has room, and nothing speaks against it. */
  canTake(member: Member<U>, now: number, excluded: ReadonlyArray<string>): boolean {
    return this.has(member, "room", now) && !excluded.includes(member.name)
  }

  /** So many are ejected that the rest would not bear the traffic. */
  inPanic(now: number): boolean {
    const inside = this.members.filter((member) => !member.isEjected(now)).length
    return inside / this.members.length < this.settings.panic
  }

  // Each tier takes what its health allows (Envoy's overflow), and what is left over is the next one's.
  private turn(now: number, random: () => number): number {
    if (this.tiers.length === 1) return 0
    const shares = this.shares(now)
    if (shares[0] === 1) return 0
    let draw = random()
    for (let tier = 0; tier < shares.length; tier++) {
      draw -= shares[tier]!
      if (draw < 0) return tier
    }
    return 0
  }

  /** The share of the traffic that each tier takes first. They sum to one, unless nobody is healthy. */
  shares(now: number): ReadonlyArray<number> {
    let left = 1
    const shares = this.tiers.map((tier) => {
      const healthy = tier.filter((member) => this.isEligible(member, now)).length / tier.length
      const share = Math.min(left, healthy * this.settings.overflow)
      left -= share
      return share
    })
    const total = 1 - left
    return total === 0 ? shares.map((_, tier) => (tier === 0 ? 1 : 0)) : shares.map((share) => share / total)
  }

  private search(
    first: number,
    tried: ReadonlyArray<object> | undefined,
    excluded: ReadonlyArray<string>,
    now: number,
    random: () => number,
    wanted: Wanted
  ): Member<U> | undefined {
    const fits = (member: Member<U>) => isOpen(member, tried, excluded) && this.has(member, wanted, now)
    for (let i = first; i < this.tiers.length; i++) {
      const tier = this.tiers[i]!
      // Nearly always nobody is left out, and two draws are all it takes, however large the tier.
      const member =
        (this.settings.balance === "latency" && tier.length > 1 ? cheaper(tier, now, random, fits) : undefined) ??
        this.choose(tier.filter(fits), now, random)
      if (member !== undefined) return member
    }
    return undefined
  }

  private has(member: Member<U>, wanted: Wanted, now: number): boolean {
    return wanted === "any" ? !member.draining : !member.isFull && this.isEligible(member, now)
  }

  // Nobody has room.
  private crowded(tried: ReadonlyArray<object> | undefined, excluded: ReadonlyArray<string>, now: number) {
    let best: Member<U> | undefined
    for (const member of this.members) {
      if (!isOpen(member, tried, excluded) || !this.isEligible(member, now)) continue
      if (
        best === undefined ||
        member.tier < best.tier ||
        (member.tier === best.tier && member.cost(now) < best.cost(now))
      ) {
        best = member
      }
    }
    return best
  }

  private choose(candidates: Tier<U>, now: number, random: () => number): Member<U> | undefined {
    if (candidates.length < 2) return candidates[0]
    return this.settings.balance === "weight" ? nextInTurn(candidates) : cheaper(candidates, now, random, anybody)
  }
}

const mostScopes = 10_000

const anybody = (): boolean => true

/**
 * The cheaper of two drawn at random: the dearest is never taken, and no caller flocks to the single best. `undefined` if
 * one of the two does not fit.
 */
const cheaper = <U>(
  candidates: Tier<U>,
  now: number,
  random: () => number,
  fits: (member: Member<U>) => boolean
): Member<U> | undefined => {
  const n = candidates.length
  const i = Math.floor(random() * n)
  const draw = Math.floor(random() * (n - 1))
  const first = candidates[i]!
  const second = candidates[draw < i ? draw : draw + 1]!
  if (!fits(first) || !fits(second)) return undefined
  return second.cost(now) < first.cost(now) ? second : first
}

/** Smooth weighted round robin (nginx's): in any run of as many picks as the weights sum to, each has its exact share. */
const nextInTurn = <U>(candidates: Tier<U>): Member<U> => {
  let total = 0
  let best = candidates[0]!
  for (const member of candidates) {
    total += member.weight
    member.credit += member.weight
    if (member.credit > best.credit) best = member
  }
  best.credit -= total
  return best
}
