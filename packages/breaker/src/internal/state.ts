import type { Outcome } from "@hawser/core"
import * as Window from "./window.ts"

/** Times are milliseconds, shares lie in `[0, 1]`; `Infinity` turns a rule off. */
export interface Settings {
  readonly consecutive: number
  readonly rate: number
  readonly minimumCalls: number
  readonly window: Window.Span
  readonly slowAfter: number
  readonly slowRate: number
  /** How long the k-th opening in a row lasts, before the cap and the jitter. */
  readonly openFor: (opening: number) => number
  readonly maxOpenFor: number
  readonly jitter: number
  readonly probes: number
  readonly successes: number
  readonly probeLease: number
  readonly recovery: number
  /** Uniform in `[0, 1)`. */
  readonly random: () => number
}

/** How the user judges an error: a whole verdict, only how it counts, or as the error itself says. */
export type Judge<in E> = (error: E) => Outcome.Verdict | Outcome.Outcome | undefined

export type State = "closed" | "open" | "half-open" | "isolated"

/** Why a circuit changed its state. */
export type Why = "consecutive" | "rate" | "slow" | "probe" | "health" | "elapsed" | "manual" | "restored" | "idle"

export interface Move {
  readonly from: State
  readonly to: State
  readonly why: Why
  /** Openings in a row, this one included. */
  readonly openings: number
  /** How long the circuit opened for; zero for other moves. */
  readonly openFor: number
}

export interface Refusal {
  readonly reason: "open" | "half-open" | "isolated" | "recovering"
  readonly retryAfter: number
}

export class Closed {
  readonly state = "closed"
  readonly since: number
  readonly recoveredAt: number
  readonly failures: Window.Window
  readonly slow: Window.Window | undefined
  streak = 0

  constructor(settings: Settings, since: number, recoveredAt: number, now: number) {
    this.since = since
    this.recoveredAt = recoveredAt
    this.failures = Window.make(settings.window, now)
    this.slow = settings.slowAfter === Infinity ? undefined : Window.make(settings.window, now)
  }
}

export class Open {
  readonly state = "open"
  readonly since: number
  until: number
  /** The forced probe, if one is under way. */
  readonly probes: Array<Permit> = []

  constructor(since: number, until: number) {
    this.since = since
    this.until = until
  }
}

export class HalfOpen {
  readonly state = "half-open"
  readonly since: number
  successes: number
  /** Under way, the oldest first. */
  readonly probes: Array<Permit> = []

  constructor(since: number, successes: number) {
    this.since = since
    this.successes = successes
  }
}

export class Isolated {
  readonly state = "isolated"
  readonly since: number

  constructor(since: number) {
    this.since = since
  }
}

/** The state object itself is the fence: a permit issued by another one is void. */
export type Epoch = Closed | Open | HalfOpen | Isolated

/** An epoch that lets calls through. */
export type Issuer = Exclude<Epoch, Isolated>

/** What a caller asks for who will not take a refusal: `probe` must get through, `health` only wants to know. */
export type Insistence = "none" | "probe" | "health"

export class Permit {
  readonly epoch: Issuer
  readonly start: number
  /** Takes no probe's place; its success opens the way for a probe, no more. */
  readonly health: boolean
  settled = false

  constructor(epoch: Issuer, start: number, health: boolean) {
    this.epoch = epoch
    this.start = start
    this.health = health
  }
}
