/**
 * The circuit breaker as plain functions on plain mutable state. It runs no effects: the time comes in with every
 * operation, random numbers come from the settings.
 */
import type { Outcome } from "@hawser/core"
import type { Epoch, Insistence, Issuer, Move, Refusal, Settings, Why } from "./state.ts"
import { Closed, HalfOpen, Isolated, Open, Permit } from "./state.ts"
import type * as Window from "./window.ts"

export interface Machine {
  readonly settings: Settings
  epoch: Epoch
  /** The latest time seen: a clock that steps back stands still until it catches up. */
  now: number
  /** Openings in a row, as of the last one. */
  openings: number
  /** How long the last of them lasted. */
  openedFor: number
  readonly counts: Record<"admitted" | "refused" | "slow" | "opened" | Outcome.Outcome, number>
  /** What happened and has not been told yet. */
  moves: Array<Move>
}

export const make = (settings: Settings, now: number): Machine => ({
  settings,
  epoch: new Closed(settings, now, now, now),
  now,
  openings: 0,
  openedFor: 0,
  counts: { admitted: 0, refused: 0, success: 0, failure: 0, neutral: 0, slow: 0, opened: 0 },
  moves: []
})

export const tick = (m: Machine, at: number): number => (at > m.now ? (m.now = at) : m.now)

/** Asks to run a call. `insists` is asked only if the circuit does not let everybody through. */
export const acquire = (m: Machine, at: number, insists: () => Insistence): Permit | Refusal => {
  const now = tick(m, at)
  const { epoch } = m
  switch (epoch.state) {
    case "closed":
      return now >= epoch.recoveredAt || m.settings.random() < share(m, epoch, now) || insists() !== "none"
        ? admit(m, epoch, now)
        : refuse(m, "recovering", 0)
    case "open": {
      const insistence = insists()
      if (insistence === "health") return admit(m, epoch, now, true)
      if (now >= epoch.until) return probe(m, enter(m, new HalfOpen(now, 0), "elapsed"), now)
      return (insistence === "probe" && occupy(m, epoch, 1, now)) || refuse(m, "open", epoch.until - now)
    }
    case "half-open":
      return insists() === "health" ? admit(m, epoch, now, true) : probe(m, epoch, now)
  }
  return refuse(m, "isolated", Infinity)
}

/**
 * Takes a permit back. A permit of an earlier epoch, or one already taken back, changes nothing. `retryAfter` is what a
 * failure says about coming back.
 */
export const settle = (m: Machine, permit: Permit, outcome: Outcome.Outcome, at: number, retryAfter = 0): void => {
  const now = tick(m, at)
  const { epoch } = permit
  if (epoch !== m.epoch || permit.settled) return
  permit.settled = true
  if (epoch.state !== "closed" && !permit.health && !vacate(epoch, permit)) return
  const slow = now - permit.start >= m.settings.slowAfter
  const hint = outcome === "failure" ? retryAfter : 0
  m.counts[outcome]++
  if (slow) m.counts.slow++
  if (epoch.state === "closed") return record(m, epoch, outcome, slow, now, hint)
  // A slow probe proves that the upstream is still slow. One that was cancelled early proves nothing.
  if (outcome === "failure" || slow) {
    if (epoch.state === "half-open" && !permit.health) open(m, "probe", now, hint)
  } else if (outcome === "success") {
    const half =
      epoch.state === "half-open" ? epoch : enter(m, new HalfOpen(now, 0), permit.health ? "health" : "probe")
    if (permit.health) return
    if (++half.successes >= m.settings.successes) {
      enter(m, new Closed(m.settings, now, now + m.settings.recovery, now), "probe")
    }
  }
}

/** Refuses every call until {@link reset}. */
export const isolate = (m: Machine, at: number): void => {
  const now = tick(m, at)
  if (m.epoch.state !== "isolated") enter(m, new Isolated(now), "manual")
}

/** Closes the circuit and forgets all it knows; calls under way no longer count. */
export const reset = (m: Machine, at: number, why: Why = "manual"): void => {
  const now = tick(m, at)
  m.openings = 0
  m.openedFor = 0
  enter(m, new Closed(m.settings, now, now, now), why)
}

/** Openings in a row: forgotten once the circuit has stayed closed as long as it was last open. */
export const openings = (m: Machine, now: number): number =>
  m.epoch.state === "closed" && now - m.epoch.since >= m.openedFor ? 0 : m.openings

/** The share of the calls that a circuit lets through while it recovers: a tenth at first, then in step with time. */
export const share = (m: Machine, epoch: Closed, now: number): number =>
  Math.min(1, Math.max(0.1, 1 - (epoch.recoveredAt - now) / m.settings.recovery))

export const vacancies = (m: Machine, epoch: HalfOpen): number =>
  m.settings.probes - epoch.successes - epoch.probes.length

/** How long until it is worth asking for a probe's place again: nobody knows, so those who wait ask ever less often. */
export const probeWait = (m: Machine, epoch: HalfOpen, now: number): number => {
  const oldest = epoch.probes[0]!.start
  return Math.min(oldest + m.settings.probeLease - now, Math.max(now - oldest, leastWait))
}

/** Less than most answers take. */
const leastWait = 50

const admit = (m: Machine, epoch: Issuer, now: number, health = false): Permit => {
  m.counts.admitted++
  return new Permit(epoch, now, health)
}

const refuse = (m: Machine, reason: Refusal["reason"], retryAfter: number): Refusal => {
  m.counts.refused++
  return { reason, retryAfter }
}

const probe = (m: Machine, epoch: HalfOpen, now: number): Permit | Refusal =>
  occupy(m, epoch, m.settings.probes - epoch.successes, now) ?? refuse(m, "half-open", probeWait(m, epoch, now))

// A probe that has outlived its lease loses its place when somebody else asks for it.
const occupy = (m: Machine, epoch: Open | HalfOpen, places: number, now: number): Permit | undefined => {
  const { probes } = epoch
  if (probes.length >= places) {
    if (now - probes[0]!.start < m.settings.probeLease) return undefined
    probes.shift()
  }
  const permit = admit(m, epoch, now)
  probes.push(permit)
  return permit
}

const vacate = (epoch: Open | HalfOpen, permit: Permit): boolean => {
  const place = epoch.probes.indexOf(permit)
  if (place >= 0) epoch.probes.splice(place, 1)
  return place >= 0
}

const record = (
  m: Machine,
  epoch: Closed,
  outcome: Outcome.Outcome,
  slow: boolean,
  now: number,
  hint: number
): void => {
  if (outcome !== "neutral") {
    epoch.streak = outcome === "failure" ? epoch.streak + 1 : 0
    epoch.failures.add(outcome === "failure", now)
  } else if (!slow) return
  // A call cancelled past the limit was slow, however it would have ended: else what hangs would never be found out.
  epoch.slow?.add(slow, now)
  const why = trips(m.settings, epoch)
  if (why !== undefined) open(m, why, now, hint)
}

const trips = (settings: Settings, { failures, slow, streak }: Closed): Why | undefined => {
  if (streak >= settings.consecutive) return "consecutive"
  if (exceeds(failures, settings.rate, settings.minimumCalls)) return "rate"
  return slow !== undefined && exceeds(slow, settings.slowRate, settings.minimumCalls) ? "slow" : undefined
}

const exceeds = (window: Window.Window, rate: number, minimum: number): boolean =>
  window.bad > 0 && window.total >= minimum && window.bad / window.total >= rate

const open = (m: Machine, why: Why, now: number, hint: number): void => {
  const { jitter, maxOpenFor, random } = m.settings
  m.counts.opened++
  m.openings = openings(m, now) + 1
  const planned = Math.min(m.settings.openFor(m.openings), maxOpenFor)
  // Capped first and shortened at random second, so that the times of many clients spread at the cap, too.
  const jittered = jitter > 0 ? planned * (1 - jitter * random()) : planned
  m.openedFor = Math.max(jittered, Math.min(hint, maxOpenFor))
  enter(m, new Open(now, now + m.openedFor), why)
}

/** Starts a new epoch. */
export const enter = <E extends Epoch>(m: Machine, epoch: E, why: Why): E => {
  const from = m.epoch.state
  m.epoch = epoch
  if (from !== epoch.state) {
    const openFor = epoch.state === "open" ? m.openedFor : 0
    m.moves.push({ from, to: epoch.state, why, openings: m.openings, openFor })
  }
  return epoch
}
