// Reference models: each says the same as the core in the plainest way there is.
import * as fc from "fast-check"
import type { Rate } from "../src/internal/gcra.ts"

/** Whether a counterexample is found. For mutants: an invariant that no mutant breaks checks nothing. */
export const isRefuted = (property: fc.IRawProperty<any, false>): boolean =>
  fc.check(property, { numRuns: 3000, endOnFailure: true }).failed

/** A token bucket in whole microseconds. Takes rates of which one unit takes a whole number of milliseconds. */
export class TokenBucket {
  private readonly rate: Rate
  private readonly cost: number
  private level: number
  private at: number

  constructor(rate: Rate, now: number) {
    this.rate = rate
    this.cost = (rate.window * 1000) / rate.limit
    this.level = rate.burst * this.cost
    this.at = now
  }

  wait(now: number, weight: number, ahead = 0): number {
    const { burst, limit } = this.rate
    if (weight > Math.max(limit, burst)) return Infinity
    return Math.max(0, (ahead + Math.min(weight, burst)) * this.cost - this.levelAt(now)) / 1000
  }

  take(now: number, weight: number): boolean {
    if (this.wait(now, weight) > 0) return false
    this.level = this.levelAt(now) - weight * this.cost
    this.at = now
    return true
  }

  private levelAt(now: number): number {
    return Math.min(this.rate.burst * this.cost, this.level + Math.round((now - this.at) * 1000))
  }
}

export interface Taken {
  readonly at: number
  readonly weight: number
}

/** The interval in which too much was taken, if there is one. Times are whole milliseconds, in order. */
export const excess = (taken: ReadonlyArray<Taken>, { burst, limit, window }: Rate): string | undefined => {
  const most = Math.max(burst, ...taken.map(({ weight }) => weight))
  for (let from = 0; from < taken.length; from++) {
    let weight = 0
    for (let to = from; to < taken.length; to++) {
      weight += taken[to]!.weight
      const width = taken[to]!.at - taken[from]!.at
      if (weight > most + Math.floor((width * limit) / window)) return `${weight} in ${width} ms`
    }
  }
  return undefined
}

export interface Person {
  readonly id: number
  readonly priority: number
  readonly weight: number
  readonly expiresAt: number
}

/** A line kept in a list. */
export class Crowd {
  people: Array<Person> = []
  private overtakes = 0

  head(): Person | undefined {
    if (this.overtakes >= 9) return this.people[0]
    const highest = Math.max(...this.people.map(({ priority }) => priority))
    return this.people.find(({ priority }) => priority === highest)
  }

  serve(): Person | undefined {
    const head = this.head()
    this.overtakes = head === this.people[0] ? 0 : this.overtakes + 1
    this.remove(head)
    return head
  }

  remove(person: Person | undefined): void {
    this.people = this.people.filter((other) => other !== person)
    if (this.people.length === 0) this.overtakes = 0
  }

  ahead(priority: number): number {
    return this.people.reduce((sum, other) => sum + (other.priority >= priority ? other.weight : 0), 0)
  }

  displaced(priority: number): Person | undefined {
    const lowest = Math.min(...this.people.map((other) => other.priority))
    return lowest < priority ? this.people.findLast((other) => other.priority === lowest) : undefined
  }

  firstToExpire(): number {
    return Math.min(...this.people.map(({ expiresAt }) => expiresAt))
  }
}

/** Equal but for what floating point does. */
export const isNear = (a: number, b: number, by = 1e-6): boolean => a === b || Math.abs(a - b) <= by

/**
 * A server that works on `capacity` requests at once, `service` milliseconds each, the rest in a line; and a client
 * that always has as many under way as `limit` allows, and gives up on each after `timeout`.
 */
export class Server {
  capacity: number
  service = 100
  readonly timeout = 250
  now = 0
  private started = 0
  private readonly waiting: Array<{ readonly number: number; readonly at: number; end: number }> = []
  private readonly settle: (
    sample: "success" | "dropped",
    ended: { readonly number: number; readonly elapsed: number; readonly inflight: number; readonly kind: string },
    started: number,
    now: number
  ) => void
  private readonly limit: () => number

  constructor(capacity: number, limit: () => number, settle: Server["settle"]) {
    this.capacity = capacity
    this.limit = limit
    this.settle = settle
  }

  /** Lets this many milliseconds pass, in steps of ten. */
  run(millis: number): void {
    for (const end = this.now + millis; this.now < end; this.now += 10) {
      while (this.waiting.length < Math.floor(this.limit())) {
        this.waiting.push({ number: ++this.started, at: this.now, end: Infinity })
      }
      for (const request of this.waiting.slice(0, this.capacity)) {
        if (request.end === Infinity) request.end = this.now + this.service
      }
      for (const request of Array.from(this.waiting)) {
        const elapsed = this.now - request.at
        const isLate = elapsed >= this.timeout
        if (!isLate && request.end > this.now) continue
        const inflight = this.waiting.length
        this.waiting.splice(this.waiting.indexOf(request), 1)
        const ended = { number: request.number, elapsed, inflight, kind: "" }
        this.settle(isLate ? "dropped" : "success", ended, this.started, this.now)
      }
    }
  }
}
