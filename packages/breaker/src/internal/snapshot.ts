import * as Machine from "./machine.ts"
import type { Epoch, State } from "./state.ts"
import { Closed, HalfOpen, Isolated, Open } from "./state.ts"
import type { SavedWindow } from "./window.ts"

/** What a breaker shows of itself: plain data. Times are milliseconds. */
export interface Inspection {
  /** An open circuit whose time is over reads as open until the next call makes it half-open. */
  readonly state: State
  /** How long it has been in this state. */
  readonly since: number
  /** When to ask again: zero if a call may pass, `undefined` if only `reset` can tell. */
  readonly retryAfter: number | undefined
  /** Openings in a row. */
  readonly openings: number
  /** Failures in a row. */
  readonly streak: number
  /** Calls in the window, the failures among them, and their share. */
  readonly total: number
  readonly failures: number
  readonly rate: number
  /** The share of slow calls in the window; zero without a slow rule. */
  readonly slowRate: number
  /** Probes under way. */
  readonly probes: number
  /** The share of the calls that is let through: 1 when closed, less while recovering, 0 otherwise. */
  readonly share: number
  /** Since the breaker was made. What came too late to count is in none but `admitted`. */
  readonly counters: {
    readonly admitted: number
    readonly refused: number
    readonly successes: number
    readonly failures: number
    readonly neutrals: number
    readonly slow: number
    /** How often it has opened. */
    readonly opened: number
  }
}

/** The state of a breaker as JSON-able data. It holds no point in time, only what has passed and what remains. */
export interface Snapshot {
  readonly state: State
  readonly since: number
  /** Until an open circuit lets a probe pass, or until a closed one has recovered. */
  readonly remaining: number
  readonly openings: number
  readonly openedFor: number
  readonly streak: number
  /** Successful probes of a half-open circuit. */
  readonly successes: number
  readonly failures: SavedWindow | null
  readonly slow: SavedWindow | null
}

export const inspect = (m: Machine.Machine, at: number): Inspection => {
  const now = Machine.tick(m, at)
  const { counts, epoch } = m
  const closed = epoch.state === "closed" ? epoch : undefined
  closed?.failures.forget(now)
  closed?.slow?.forget(now)
  return {
    state: epoch.state,
    since: now - epoch.since,
    retryAfter: retryAfter(m, now),
    openings: Machine.openings(m, now),
    streak: closed?.streak ?? 0,
    total: closed?.failures.total ?? 0,
    failures: closed?.failures.bad ?? 0,
    rate: ratio(closed?.failures),
    slowRate: ratio(closed?.slow),
    probes: "probes" in epoch ? epoch.probes.length : 0,
    share: closed === undefined ? 0 : now >= closed.recoveredAt ? 1 : Machine.share(m, closed, now),
    counters: {
      admitted: counts.admitted,
      refused: counts.refused,
      successes: counts.success,
      failures: counts.failure,
      neutrals: counts.neutral,
      slow: counts.slow,
      opened: counts.opened
    }
  }
}

const ratio = (window: { readonly total: number; readonly bad: number } | undefined): number =>
  window === undefined || window.total === 0 ? 0 : window.bad / window.total

const retryAfter = (m: Machine.Machine, now: number): number | undefined => {
  const { epoch } = m
  switch (epoch.state) {
    case "closed":
      return 0
    case "open":
      return Math.max(0, epoch.until - now)
    case "half-open":
      return Machine.vacancies(m, epoch) > 0 ? 0 : Math.max(0, Machine.probeWait(m, epoch, now))
  }
  return undefined
}

export const save = (m: Machine.Machine, at: number): Snapshot => {
  const now = Machine.tick(m, at)
  const { epoch } = m
  const end = epoch.state === "open" ? epoch.until : epoch.state === "closed" ? epoch.recoveredAt : now
  return {
    state: epoch.state,
    since: now - epoch.since,
    remaining: Math.max(0, end - now),
    openings: m.openings,
    openedFor: m.openedFor,
    streak: epoch.state === "closed" ? epoch.streak : 0,
    successes: epoch.state === "half-open" ? epoch.successes : 0,
    failures: epoch.state === "closed" ? epoch.failures.save(now) : null,
    slow: epoch.state === "closed" ? (epoch.slow?.save(now) ?? null) : null
  }
}

/** Takes over a saved state within today's settings. Calls under way no longer count. */
export const load = (m: Machine.Machine, saved: Snapshot, at: number): void => {
  const now = Machine.tick(m, at)
  const { maxOpenFor, recovery, successes } = m.settings
  m.openings = saved.openings
  m.openedFor = Math.min(saved.openedFor, maxOpenFor)
  Machine.enter(m, epochOf(), "restored")

  function epochOf(): Epoch {
    const since = now - saved.since
    switch (saved.state) {
      case "closed": {
        const recoveredAt = now + Math.min(saved.remaining, recovery)
        const closed = new Closed(m.settings, since, recoveredAt, now)
        closed.streak = saved.streak
        if (saved.failures !== null) closed.failures.load(saved.failures, now)
        if (saved.slow !== null) closed.slow?.load(saved.slow, now)
        return closed
      }
      case "open":
        return new Open(since, now + Math.min(saved.remaining, maxOpenFor))
      case "half-open":
        return new HalfOpen(since, Math.min(saved.successes, successes - 1))
    }
    return new Isolated(since)
  }
}

/** Whether data from outside is a snapshot. */
export const isSnapshot = (u: unknown): u is Snapshot => {
  if (!isRecord(u)) return false
  const numbers = ["since", "remaining", "openings", "openedFor", "streak", "successes"]
  return (
    ["closed", "open", "half-open", "isolated"].includes(u["state"] as string) &&
    numbers.every((name) => isCount(u[name])) &&
    (u["failures"] === null || isWindow(u["failures"])) &&
    (u["slow"] === null || isWindow(u["slow"]))
  )
}

const isWindow = (u: unknown): u is SavedWindow => {
  if (!isRecord(u)) return false
  if (typeof u["calls"] === "string") return true
  const { bads, totals } = u
  if (!isCount(u["width"]) || !isCount(u["elapsed"]) || !Array.isArray(totals) || !Array.isArray(bads)) return false
  return bads.length === totals.length && totals.every((total, i) => isCount(total) && isCount(bads[i]))
}

const isRecord = (u: unknown): u is Record<string, unknown> => typeof u === "object" && u !== null

const isCount = (u: unknown): boolean => typeof u === "number" && Number.isFinite(u) && u >= 0
