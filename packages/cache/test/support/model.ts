/** The cache, as its documentation describes it, in a page: no effects, no waiting, one millisecond after the other. */

export interface Terms {
  readonly fresh: number
  readonly stale: number
  readonly spare: number
  readonly tag: string
}

export interface Settings {
  readonly linger: number
  readonly refreshAhead: number
  readonly refreshConcurrency: number
  readonly refreshTimeout: number
  readonly refreshBackoff: number
}

export type End = { readonly ok: unknown } | { readonly fail: unknown; readonly excused: boolean }

interface Entry {
  readonly value: unknown
  readonly written: number
  read: boolean
  failures: number
  retryAt: number
}

interface Flight {
  readonly key: string
  readonly refresh: boolean
  state: "running" | "ended" | "interrupted"
  waiters: Array<Caller>
  /** Until when the cache itself keeps it alive. */
  heldUntil: number | undefined
  lingers: boolean
  spare: Entry | undefined
  deadline: number
}

interface Caller {
  result: { readonly value: unknown } | { readonly error: unknown } | "interrupted" | undefined
  readonly verdicts: Array<string>
  readonly deadline: number
  /** When it takes an old value rather than wait on. */
  pressedAt: number
}

export class Model {
  now = 0
  readonly entries = new Map<string, Entry>()
  readonly flights: Array<Flight> = []
  readonly current = new Map<string, Flight>()
  readonly callers: Array<Caller> = []
  readonly counts = { hits: 0, misses: 0, joined: 0, revalidate: 0, error: 0, deadline: 0, refreshes: 0, failures: 0 }
  readonly settings: Settings
  readonly terms: (key: string) => Terms

  constructor(settings: Settings, terms: (key: string) => Terms) {
    this.settings = settings
    this.terms = terms
  }

  get refreshing(): number {
    return this.flights.filter((flight) => flight.refresh && flight.state === "running").length
  }

  ask(key: string, within = Infinity): void {
    const deadline = this.now + within
    const caller: Caller = { result: undefined, verdicts: [], deadline, pressedAt: Infinity }
    this.callers.push(caller)
    const { fresh, stale } = this.terms(key)
    const entry = this.find(key)
    const age = entry === undefined ? Infinity : this.now - entry.written
    if (entry !== undefined && age < fresh + stale) {
      caller.result = { value: entry.value }
      if (age < fresh) {
        this.counts.hits++
        caller.verdicts.push(`hit ${age}`)
      } else this.stale(caller, entry, "revalidate")
      if (age >= fresh || (age >= fresh * this.settings.refreshAhead && entry.read)) this.refresh(key, entry)
      entry.read = true
      return
    }
    if (entry !== undefined) entry.read = true
    if (entry !== undefined && within <= 0) return this.stale(caller, entry, "deadline")
    const shared = this.current.get(key)
    if (shared === undefined) this.counts.misses++
    else this.counts.joined++
    caller.verdicts.push(shared === undefined ? "miss" : "joined")
    const flight = shared ?? this.open(key, false)
    flight.waiters.push(caller)
    if (flight.lingers) {
      flight.heldUntil = undefined
      flight.lingers = false
    }
    flight.spare ??= entry
    if (flight.spare !== undefined) caller.pressedAt = deadline - Math.min(within / 10, 100)
    this.follow(flight)
  }

  leave(caller: Caller): void {
    const flight = this.flights.find((one) => one.waiters.includes(caller))
    if (flight === undefined) return
    caller.result = "interrupted"
    this.without(flight, caller)
  }

  end(flight: Flight, end: End): void {
    if (flight.state !== "running") return
    flight.state = "ended"
    const { key, spare } = flight
    const own = this.current.get(key) === flight
    if (own) this.current.delete(key)
    if ("ok" in end) {
      if (own) this.write(key, end.ok)
      for (const caller of flight.waiters) caller.result = { value: end.ok }
    } else {
      if (own && flight.refresh) this.backOff(key)
      const usable = end.excused && spare !== undefined && this.alive(key, spare)
      for (const caller of flight.waiters) {
        if (usable) this.stale(caller, spare, "error")
        else caller.result = { error: end.fail }
      }
    }
    flight.waiters = []
    flight.heldUntil = undefined
  }

  invalidate(key: string): void {
    this.entries.delete(key)
    const flight = this.current.get(key)
    if (flight === undefined) return
    this.current.delete(key)
    flight.spare = undefined
    flight.heldUntil = undefined
    this.follow(flight)
    if (flight.waiters.length === 0) flight.state = "interrupted"
  }

  invalidateTag(tag: string, keys: ReadonlyArray<string>): void {
    for (const key of keys) if (this.terms(key).tag === tag) this.invalidate(key)
  }

  set(key: string, value: unknown): void {
    this.invalidate(key)
    this.write(key, value)
  }

  tick(): void {
    this.now++
    for (const flight of this.flights) {
      if (flight.heldUntil !== undefined && this.now >= flight.heldUntil) {
        flight.heldUntil = undefined
        if (flight.waiters.length === 0) this.abandon(flight)
        this.follow(flight)
      }
      for (const caller of flight.waiters) {
        if (this.now < caller.pressedAt || flight.spare === undefined) continue
        caller.pressedAt = Infinity
        if (!this.alive(flight.key, flight.spare)) continue
        this.stale(caller, flight.spare, "deadline")
        this.without(flight, caller)
      }
    }
  }

  find(key: string): Entry | undefined {
    const entry = this.entries.get(key)
    return entry !== undefined && this.alive(key, entry) ? entry : undefined
  }

  private alive(key: string, entry: Entry): boolean {
    const { fresh, spare, stale } = this.terms(key)
    return this.now - entry.written < fresh + stale + spare
  }

  private write(key: string, value: unknown): void {
    const { fresh, spare, stale } = this.terms(key)
    if (fresh + stale + spare === 0) this.entries.delete(key)
    else this.entries.set(key, { value, written: this.now, read: false, failures: 0, retryAt: 0 })
  }

  private refresh(key: string, entry: Entry): void {
    if (this.current.has(key) || this.now < entry.retryAt) return
    if (this.refreshing >= this.settings.refreshConcurrency) return
    this.counts.refreshes++
    const flight = this.open(key, true)
    flight.heldUntil = this.now + this.settings.refreshTimeout
    this.follow(flight)
  }

  private open(key: string, refresh: boolean): Flight {
    const start = {
      state: "running" as const,
      waiters: [],
      heldUntil: undefined,
      lingers: false,
      spare: undefined,
      deadline: Infinity
    }
    const flight: Flight = { key, refresh, ...start }
    this.flights.push(flight)
    this.current.set(key, flight)
    return flight
  }

  private without(flight: Flight, caller: Caller): void {
    flight.waiters = flight.waiters.filter((other) => other !== caller)
    if (flight.waiters.length === 0 && flight.heldUntil === undefined) {
      if (this.current.get(flight.key) === flight && this.settings.linger > 0) {
        flight.heldUntil = this.now + this.settings.linger
        flight.lingers = true
      } else this.abandon(flight)
    }
    this.follow(flight)
  }

  private abandon(flight: Flight): void {
    flight.state = "interrupted"
    if (this.current.get(flight.key) !== flight) return
    this.current.delete(flight.key)
    if (flight.refresh) this.backOff(flight.key)
  }

  private backOff(key: string): void {
    this.counts.failures++
    const entry = this.find(key)
    if (entry === undefined) return
    entry.retryAt = this.now + Math.min(this.settings.refreshBackoff * 2 ** entry.failures++, 60_000)
  }

  private follow(flight: Flight): void {
    const deadlines = flight.waiters.map((caller) => caller.deadline)
    if (flight.heldUntil !== undefined) deadlines.push(flight.heldUntil)
    if (deadlines.length > 0) flight.deadline = Math.max(...deadlines)
  }

  private stale(caller: Caller, entry: Entry, why: "revalidate" | "error" | "deadline"): void {
    this.counts[why]++
    caller.result = { value: entry.value }
    caller.verdicts.push(`stale ${this.now - entry.written}`)
  }
}
