/**
 * What a circuit breaker is supposed to do, written down a second time: it keeps every call it has ever seen, with
 * its times, and works everything out anew whenever it is asked.
 */
import type { Outcome } from "@hawser/core"
import type { Inspection } from "../src/internal/snapshot.ts"
import type { Insistence, Move, Refusal, Settings, State, Why } from "../src/internal/state.ts"

interface Call {
  readonly epoch: number
  readonly start: number
  readonly health: boolean
  /** Has lost its place, and counts for nothing. */
  evicted: boolean
  end?: number
  outcome?: Outcome.Outcome
}

export class Model {
  readonly moves: Array<Move> = []
  private readonly calls: Array<Call> = []
  /** Those that have ended in time to count, in the order in which they did. */
  private readonly finished: Array<Call> = []
  private state: State = "closed"
  private epoch = 0
  private since: number
  private until = -Infinity
  private recoveredAt = -Infinity
  private forced = 0
  private openings = 0
  private lasted = 0
  private refused = 0
  private opened = 0
  private latest: number
  private readonly settings: Settings

  constructor(settings: Settings, now: number) {
    this.settings = settings
    this.since = now
    this.latest = now
  }

  acquire(at: number, insists: Insistence): number | Refusal {
    const now = this.time(at)
    if (insists === "health" && (this.state === "open" || this.state === "half-open")) return this.admit(now, true)
    if (this.state === "open" && now >= this.until) this.go("half-open", "elapsed", now)
    switch (this.state) {
      case "closed":
        return now < this.recoveredAt && this.settings.random() >= this.share(now) && insists === "none"
          ? this.refuse("recovering", 0)
          : this.admit(now)
      case "open":
        return insists === "probe" && this.room(now, 1) ? this.admit(now) : this.refuse("open", this.until - now)
      case "half-open":
        return this.room(now, this.settings.probes - this.good())
          ? this.admit(now)
          : this.refuse("half-open", this.wait(now))
    }
    return this.refuse("isolated", Infinity)
  }

  settle(id: number, outcome: Outcome.Outcome, at: number, retryAfter: number): void {
    const now = this.time(at)
    const call = this.calls[id]!
    if (call.epoch !== this.epoch || call.end !== undefined || call.evicted) return
    call.end = now
    call.outcome = outcome
    this.finished.push(call)
    const slow = this.isSlow(call)
    const hint = outcome === "failure" ? retryAfter : 0
    const bad = outcome === "failure" || slow
    if (call.health && this.state !== "closed") {
      if (this.state === "open" && outcome === "success" && !bad) this.go("half-open", "health", now)
      return
    }
    if (this.state === "half-open" && bad) return this.open("probe", now, hint)
    if (this.state === "half-open" && this.good() >= this.settings.successes) return this.close(now)
    if (this.state === "open" && outcome === "success" && !bad) {
      this.go("half-open", "probe", now)
      this.forced = 1
      if (this.settings.successes === 1) this.close(now)
    }
    if (this.state !== "closed" || (outcome === "neutral" && !slow)) return
    const { minimumCalls, rate, slowRate } = this.settings
    const { failures, slows, slowTotal, total } = this.window(now)
    if (this.streak() >= this.settings.consecutive) this.open("consecutive", now, hint)
    else if (failures > 0 && total >= minimumCalls && failures / total >= rate) this.open("rate", now, hint)
    else if (slows > 0 && slowTotal >= minimumCalls && slows / slowTotal >= slowRate) this.open("slow", now, hint)
  }

  isolate(at: number): void {
    if (this.state !== "isolated") this.go("isolated", "manual", this.time(at))
  }

  reset(at: number): void {
    this.openings = 0
    this.lasted = 0
    this.recoveredAt = -Infinity
    this.go("closed", "manual", this.time(at))
  }

  inspect(at: number): Inspection {
    const now = this.time(at)
    const { failures, slows, slowTotal, total } = this.window(now)
    const count = (outcome: Outcome.Outcome) => this.finished.filter((call) => call.outcome === outcome).length
    const recovered = now >= this.recoveredAt
    return {
      state: this.state,
      since: now - this.since,
      retryAfter:
        this.state === "isolated"
          ? undefined
          : this.state === "open"
            ? Math.max(0, this.until - now)
            : this.state === "half-open" && this.settings.probes - this.good() <= this.running().length
              ? Math.max(0, this.wait(now))
              : 0,
      openings: this.row(now),
      streak: this.streak(),
      total,
      failures,
      rate: total === 0 ? 0 : failures / total,
      slowRate: slowTotal === 0 ? 0 : slows / slowTotal,
      probes: this.state === "closed" ? 0 : this.running().length,
      share: this.state !== "closed" ? 0 : recovered ? 1 : this.share(now),
      counters: {
        admitted: this.calls.length,
        refused: this.refused,
        successes: count("success"),
        failures: count("failure"),
        neutrals: count("neutral"),
        slow: this.finished.filter((call) => this.isSlow(call)).length,
        opened: this.opened
      }
    }
  }

  private time(at: number): number {
    return (this.latest = Math.max(this.latest, at))
  }

  private admit(now: number, health = false): number {
    return this.calls.push({ epoch: this.epoch, start: now, health, evicted: false }) - 1
  }

  private refuse(reason: Refusal["reason"], retryAfter: number): Refusal {
    this.refused++
    return { reason, retryAfter }
  }

  private room(now: number, places: number): boolean {
    const [oldest] = this.running()
    const full = this.running().length >= places
    if (full && now - oldest!.start < this.settings.probeLease) return false
    if (full) oldest!.evicted = true
    return true
  }

  private wait(now: number): number {
    const age = now - this.running()[0]!.start
    return Math.min(this.settings.probeLease - age, Math.max(50, age))
  }

  private open(why: Why, now: number, hint: number): void {
    this.opened++
    this.openings = this.row(now) + 1
    const { jitter, maxOpenFor, openFor, random } = this.settings
    const own = Math.min(openFor(this.openings), maxOpenFor) * (jitter === 0 ? 1 : 1 - jitter * random())
    this.lasted = Math.max(own, Math.min(hint, maxOpenFor))
    this.until = now + this.lasted
    this.go("open", why, now)
  }

  private close(now: number): void {
    this.recoveredAt = now + this.settings.recovery
    this.go("closed", "probe", now)
  }

  private go(to: State, why: Why, now: number): void {
    if (to !== this.state) {
      this.moves.push({ from: this.state, to, why, openings: this.openings, openFor: to === "open" ? this.lasted : 0 })
    }
    this.state = to
    this.since = now
    this.epoch++
    this.forced = 0
  }

  private row(now: number): number {
    return this.state === "closed" && now - this.since >= this.lasted ? 0 : this.openings
  }

  private share(now: number): number {
    const { recovery } = this.settings
    return Math.min(1, Math.max(0.1, 1 - (this.recoveredAt - now) / recovery))
  }

  private isSlow(call: Call): boolean {
    return call.end! - call.start >= this.settings.slowAfter
  }

  private running(): ReadonlyArray<Call> {
    return this.calls.filter(
      ({ end, epoch, evicted, health }) => epoch === this.epoch && end === undefined && !evicted && !health
    )
  }

  private ended(): ReadonlyArray<Call> {
    return this.finished.filter(({ epoch }) => epoch === this.epoch)
  }

  private good(): number {
    return this.forced + this.ended().filter(({ health, outcome }) => outcome === "success" && !health).length
  }

  private streak(): number {
    if (this.state !== "closed") return 0
    const outcomes = this.ended().filter(({ outcome }) => outcome !== "neutral")
    return outcomes.length - 1 - outcomes.findLastIndex(({ outcome }) => outcome === "success")
  }

  private window(now: number) {
    const ended = this.state === "closed" ? this.ended() : []
    const recent = (calls: ReadonlyArray<Call>) => {
      const { window } = this.settings
      if ("calls" in window) return calls.slice(-window.calls)
      const bucket = (time: number) => Math.floor((time - this.since) / (window.millis / 10))
      return calls.filter(({ end }) => bucket(now) - bucket(end!) < 10)
    }
    const counted = recent(ended.filter(({ outcome }) => outcome !== "neutral"))
    const timed =
      this.settings.slowAfter === Infinity
        ? []
        : recent(ended.filter((call) => call.outcome !== "neutral" || this.isSlow(call)))
    return {
      total: counted.length,
      failures: counted.filter(({ outcome }) => outcome === "failure").length,
      slowTotal: timed.length,
      slows: timed.filter((call) => this.isSlow(call)).length
    }
  }
}
