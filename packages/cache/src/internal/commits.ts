/**
 * What a load's end does to the cache, and what each caller is told.
 */
import { Call, type Events, Options, Outcome } from "@hawser/core"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Exit from "effect/Exit"
import type { Entries, Entry, Write } from "./entries.ts"
import type { Flight } from "./flight.ts"
import { agesOf, tagsOf, type Terms } from "./policy.ts"
import type { Restored, SecondLevel } from "./secondLevel.ts"
import { errorOf, isAnswer, isExcused } from "./verdict.ts"

type AnyExit = Exit.Exit<unknown, unknown>

/** Why a stale value was returned: a refresh is on its way, the load failed, or the caller's time was nearly over. */
export type Why = "revalidate" | "error" | "deadline"

export type Event =
  | { readonly type: "stale"; readonly key: string; readonly why: Why; readonly age: number }
  /** `error` is `undefined` if the refresh took too long. The next one may start in `again` milliseconds. */
  | { readonly type: "refresh-failed"; readonly key: string; readonly error: unknown; readonly again: number }
  | { readonly type: "evicted"; readonly key: string }
  | { readonly type: "store-failed"; readonly operation: string; readonly error: unknown }

export interface Settings {
  /** The largest part by which a ttl may be shortened. */
  readonly jitter: number
  readonly random: () => number
  readonly weigh: ((value: unknown, key: string) => number) | undefined
  readonly staleOn: (error: unknown) => boolean
  readonly refreshBackoff: number
}

const longestPause = 60_000

export class Commits {
  readonly counts = {
    hits: 0,
    misses: 0,
    joined: 0,
    stale: { revalidate: 0, error: 0, deadline: 0 },
    refreshes: 0,
    refreshFailures: 0
  }
  readonly entries: Entries
  readonly second: SecondLevel | undefined
  private readonly settings: Settings
  private readonly clock: Clock.Clock
  private readonly events: Events.Sink<Event>

  constructor(
    entries: Entries,
    second: SecondLevel | undefined,
    settings: Settings,
    clock: Clock.Clock,
    events: Events.Sink<Event>
  ) {
    this.entries = entries
    this.second = second
    this.settings = settings
    this.clock = clock
    this.events = events
  }

  /** Hands out a fresh value, or a failure that is kept. */
  hit(entry: Entry, call: Call.Call | undefined): AnyExit {
    this.counts.hits++
    if (call?.recorder !== undefined) this.note(call, "hit", Call.now(this.clock) - entry.writtenAt)
    return entry.payload as AnyExit
  }

  /** Hands out an old value and says so. */
  stale(entry: Entry, call: Call.Call | undefined, now: number, why: Why): AnyExit {
    this.tellStale(entry.key, call, now - entry.writtenAt, why)
    return entry.payload as AnyExit
  }

  miss(call: Call.Call | undefined, leads: boolean): void {
    if (leads) this.counts.misses++
    else this.counts.joined++
    if (call !== undefined) this.note(call, leads ? "miss" : "joined")
  }

  /** Keeps a value as its policy says. Throws what the user's functions throw. */
  keep(key: string, value: unknown, terms: Terms, now: number): Write | undefined {
    const ages = agesOf(terms, value, this.jitter())
    if (ages === undefined || ages.fresh + ages.stale + ages.spare === 0) {
      this.entries.delete(key)
      return undefined
    }
    const weight = this.weight(value, key)
    const write = { payload: Exit.succeed(value), ages, weight, tags: tagsOf(terms, value), writtenAt: now }
    this.entries.put(key, write, now)
    return write
  }

  /** Keeps a value that came from the second level. */
  restore(key: string, { age, ages, tags, value }: Restored, now: number): void {
    const weight = this.weight(value, key)
    this.entries.put(key, { payload: Exit.succeed(value), ages, weight, tags, writtenAt: now - age }, now)
  }

  /**
   * Commits what a load brought, if it is the key's `own` load, and says what each caller gets. A defect in one of the
   * user's functions becomes the result.
   */
  settle(flight: Flight, exit: AnyExit, own: boolean, now: number): (call: Call.Call | undefined) => AnyExit {
    try {
      return exit._tag === "Success" ? this.succeed(flight, exit, own, now) : this.fail(flight, exit, own, now)
    } catch (defect) {
      const died = Exit.die(defect)
      return () => died
    }
  }

  private succeed(flight: Flight, exit: Exit.Success<unknown, unknown>, own: boolean, now: number) {
    const { found, key, terms } = flight
    if (found !== undefined) {
      if (own) this.restore(key, found, now)
      return (call: Call.Call | undefined) => {
        if (found.stale) this.tellStale(key, call, found.age, "revalidate")
        else if (call !== undefined) this.note(call, "hit", found.age)
        return exit
      }
    }
    const write = own ? this.keep(key, exit.value, terms, now) : undefined
    if (write !== undefined) this.second?.write(key, exit.value, write.ages, write.tags)
    return () => exit
  }

  private fail(flight: Flight, exit: Exit.Failure<unknown, unknown>, own: boolean, now: number) {
    const { key, spare } = flight
    const excused = spare !== undefined && now < spare.until && isExcused(exit, this.settings.staleOn)
    if (own) {
      const kept = !excused && this.keepFailure(flight, exit, now)
      if (flight.refresh && !kept) this.backOff(key, errorOf(exit)?.error ?? exit.cause, now)
    }
    return (call: Call.Call | undefined) => (excused ? this.stale(spare, call, now, "error") : exit)
  }

  // An answer of the chain replaces a value; any other failure is kept only where there is none.
  private keepFailure(flight: Flight, exit: Exit.Failure<unknown, unknown>, now: number): boolean {
    const { key, terms } = flight
    const failure = errorOf(exit)
    if (failure === undefined || terms.negative === undefined) return false
    if (terms.negative.ttl === 0 || !terms.negative.when(failure.error)) return false
    if (!isAnswer(failure.error) && this.entries.find(key, now) !== undefined) return false
    const ages = { fresh: terms.negative.ttl * (1 - this.jitter()), stale: 0, spare: 0 }
    const tags = typeof terms.tags === "function" ? [] : terms.tags
    this.entries.put(key, { payload: exit, ages, weight: this.weight(failure.error, key), tags, writtenAt: now }, now)
    return true
  }

  /** Records a refresh that failed. The value and its deadlines stay as they are; only the next refresh waits. */
  backOff(key: string, error: unknown, now: number): void {
    this.counts.refreshFailures++
    const entry = this.entries.find(key, now)
    if (entry === undefined) return
    const hint = Outcome.of(error).retryAfter
    const backoff = this.settings.refreshBackoff * 2 ** entry.failures++
    const again = Math.min(Math.max(backoff, hint === undefined ? 0 : Duration.toMillis(hint)), longestPause)
    entry.retryAt = now + again
    if (this.events.active) this.events.emit({ type: "refresh-failed", key, error, again })
  }

  private jitter(): number {
    const { jitter, random } = this.settings
    return jitter === 0 ? 0 : jitter * random()
  }

  private weight(value: unknown, key: string): number {
    const { weigh } = this.settings
    if (weigh === undefined) return 0
    const weight = weigh(value, key)
    return weight >= 0 ? weight : Options.reject("ResponseCache.weigh", "a function that gives 0 or more", weight)
  }

  private tellStale(key: string, call: Call.Call | undefined, age: number, why: Why): void {
    this.counts.stale[why]++
    if (call !== undefined) this.note(call, "stale", age)
    if (this.events.active) this.events.emit({ type: "stale", key, why, age })
  }

  private note(call: Call.Call, verdict: "hit" | "miss" | "joined" | "stale", age?: number): void {
    Call.note(call, this.clock, () =>
      age === undefined ? { step: "cache", verdict } : { step: "cache", verdict, age }
    )
  }
}
