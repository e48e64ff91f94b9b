// What upstreams have said of their limits, for as long as it is believed.

interface Cap {
  most: number
  until: number
}

export class Caps {
  private readonly caps = new Map<string, Cap>()
  private readonly believed: number

  /** Milliseconds for which a limit is believed after it was last heard of. */
  constructor(believed: number) {
    this.believed = believed
  }

  learn(upstream: string, most: number, now: number): void {
    const known = this.caps.get(upstream)
    const lowered = known !== undefined && now < known.until ? Math.min(known.most, most) : most
    this.caps.set(upstream, { most: lowered, until: now + this.believed })
  }

  /** The most that anybody is known to take: `Infinity` while nobody has refused. */
  most(now: number): number {
    let most = 0
    for (const [upstream, cap] of this.caps) {
      if (now >= cap.until) this.caps.delete(upstream)
      else if (cap.most > most) most = cap.most
    }
    return most === 0 ? Infinity : most
  }

  /** Somebody took so much: if nobody was known to, the one who takes most does. */
  taken(amount: number, now: number): void {
    const most = this.most(now)
    if (amount <= most) return
    for (const cap of this.caps.values()) if (cap.most === most) cap.most = amount
  }

  inspect(now: number): Readonly<Record<string, number>> {
    return Object.fromEntries(
      Array.from(this.caps, ([name, cap]) => [name, cap] as const).flatMap(([name, cap]) =>
        now < cap.until ? [[name, cap.most]] : []
      )
    )
  }
}
