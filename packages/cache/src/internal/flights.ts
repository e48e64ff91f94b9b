/**
 * Who loads what, and who waits for it. Every change of state happens within one operation of a fiber, so that an
 * interruption finds either all of it or nothing.
 *
 * One rule keeps old values out: a load may write only while the map still holds its own flight. Whoever invalidates
 * a key takes the flight out of the map; those who wait for it get its value, and nobody else ever does.
 */
import { Call, JsonRpc } from "@hawser/core"
import type * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { Commits } from "./commits.ts"
import type { Entry } from "./entries.ts"
import { Flight, type Member } from "./flight.ts"
import { type Policy, readPolicy, type Terms } from "./policy.ts"
import type { Restored } from "./secondLevel.ts"

type AnyExit = Exit.Exit<unknown, unknown>
type Load = Effect.Effect<unknown, unknown>
type AnyPolicy = Policy<never, never>

/** How loads behave; durations in milliseconds. */
export interface Settings {
  readonly linger: number
  readonly refreshConcurrency: number
  readonly refreshTimeout: number
}

export class Flights {
  private readonly current = new Map<string, Flight>()
  // Those that were taken out of the map and still run are here, too.
  private readonly running = new Set<Flight>()
  private refreshing = 0
  private closed = false
  private readonly settings: Settings
  private readonly commits: Commits
  private readonly clock: Clock.Clock
  private readonly now: () => number
  private readonly context: Context.Context<never>

  constructor(settings: Settings, commits: Commits, clock: Clock.Clock, context: Context.Context<never>) {
    this.settings = settings
    this.commits = commits
    this.clock = clock
    this.now = () => Call.now(clock)
    this.context = context
  }

  get inFlight(): number {
    return this.running.size
  }

  get refreshesRunning(): number {
    return this.refreshing
  }

  /** The answer, if no more is needed than to return it: the path of nearly all calls. */
  hit(call: Call.Call | undefined, key: string): AnyExit | undefined {
    const entry = this.commits.entries.calm(key, this.now)
    return entry === undefined ? undefined : this.commits.hit(entry, call)
  }

  /** The answer where there was no {@link hit}. */
  get(call: Call.Call | undefined, key: string, load: Load, policy: AnyPolicy): Effect.Effect<unknown, unknown> {
    // What a batch meets on its way is not told of one of its reads.
    if (this.closed || (call?.recorder !== undefined && this.isBrought(key))) return load
    return (
      this.held(call, key, load, policy) ??
      Effect.callback((resume) => {
        // The fiber may have been held up since the first look, and another one faster.
        const held = this.held(call, key, load, policy)
        if (held !== undefined) return resume(held)
        const leave = this.wait(call, key, load, policy, resume)
        return leave && Effect.suspend(leave)
      })
    )
  }

  /** The same for a caller without a fiber. `undefined` if it needs one. */
  take(key: string, load: Load, policy: AnyPolicy, caller: JsonRpc.Caller): JsonRpc.Place | undefined {
    const { call } = caller
    if (this.closed || (call?.recorder !== undefined && this.isBrought(key))) return undefined
    const held = this.held(call, key, load, policy)
    if (held !== undefined) {
      caller.end(held)
      return JsonRpc.nowhere
    }
    const leave = this.wait(call, key, load, policy, (exit) => caller.end(exit))
    return leave === undefined ? JsonRpc.nowhere : { leave }
  }

  /**
   * Opens a load that a batch is to bring. `undefined` where there is more to do than that: somebody loads the key, or there
   * is an old value or a second level.
   */
  begin(call: Call.Call | undefined, key: string, load: Load, policy: AnyPolicy): Flight | undefined {
    const { entries, second } = this.commits
    if (this.closed || second !== undefined || this.current.has(key)) return undefined
    if (entries.find(key, this.now()) !== undefined) return undefined
    const flight = this.open(key, load, readPolicy(policy), false)
    flight.hold(Infinity, false)
    this.commits.miss(call, true)
    return flight
  }

  /** Whether a batch is to bring the load. */
  private isBrought(key: string): boolean {
    const flight = this.current.get(key)
    return flight !== undefined && flight.fiber === undefined
  }

  /** The batch asks for it at one more place. */
  again(call: Call.Call | undefined): void {
    this.commits.miss(call, false)
  }

  /** A batch has brought the answer. Gives it as its callers get it. */
  land(flight: Flight, exit: AnyExit): AnyExit {
    return this.settle(flight, exit)(undefined)
  }

  /** A batch does not bring it any more. It is loaded by itself, if somebody has come to wait for it. */
  forsake(flight: Flight): void {
    if (flight.fiber !== undefined) return
    if (flight.holder !== undefined) flight.leave(flight.holder)
    if (flight.waiters.size > 0) return this.launch(flight)
    this.running.delete(flight)
    if (this.current.get(flight.key) === flight) this.current.delete(flight.key)
  }

  /** Takes a key's load out of the map. Interrupts it if nobody waits for it. */
  detach(key: string): void {
    const flight = this.current.get(key)
    if (flight === undefined) return
    this.current.delete(key)
    flight.spare = undefined
    if (flight.holder !== undefined) flight.leave(flight.holder)
    if (flight.waiters.size === 0) flight.abandon()
  }

  /** Detaches the loads whose value has this tag, and those of which that is not known yet. */
  detachTag(tag: string): void {
    for (const { key, terms } of this.current.values()) {
      if (typeof terms.tags === "function" || terms.tags.includes(tag)) this.detach(key)
    }
  }

  detachAll(): void {
    for (const key of this.current.keys()) this.detach(key)
  }

  /** Interrupts every load and whoever waits for it. From then on nothing is kept or shared. */
  close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.closed = true
      const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
      for (const flight of this.running) {
        if (flight.fiber !== undefined) fibers.push(flight.fiber)
        // A batch goes on for those who asked it.
        else this.settle(flight, Exit.interrupt())
      }
      return Fiber.interruptAll(fibers)
    })
  }

  // What the cache holds, if it can be returned at once.
  private held(call: Call.Call | undefined, key: string, load: Load, policy: AnyPolicy): AnyExit | undefined {
    const now = this.now()
    const { entries } = this.commits
    const entry = entries.find(key, now)
    if (entry === undefined || now >= entry.staleUntil) return undefined
    const fresh = now < entry.freshUntil
    // Taken before a refresh starts, which may end at once.
    const answer = fresh ? this.commits.hit(entry, call) : this.commits.stale(entry, call, now, "revalidate")
    const due = !fresh || (now >= entry.calmUntil && entry.read)
    entries.read(entry)
    if (due) this.refresh(entry, load, () => readPolicy(policy), now)
    return answer
  }

  private refresh(entry: Entry, load: Load, terms: () => Terms, now: number): void {
    const { refreshConcurrency, refreshTimeout } = this.settings
    if (this.closed || this.current.has(entry.key)) return
    if (now < entry.retryAt || this.refreshing >= refreshConcurrency) return
    const flight = this.open(entry.key, load, terms(), true)
    this.refreshing++
    this.commits.counts.refreshes++
    const holder = flight.hold(now + refreshTimeout, false)
    this.launch(flight)
    if (!flight.settled) this.after(refreshTimeout, holder, () => this.leave(flight, holder))
  }

  private wait(
    call: Call.Call | undefined,
    key: string,
    load: Load,
    policy: AnyPolicy,
    resume: (exit: AnyExit) => void
  ): (() => Effect.Effect<void>) | undefined {
    const now = this.now()
    const deadline = call?.deadline ?? Infinity
    const spare = this.commits.entries.find(key, now)
    if (spare !== undefined) {
      this.commits.entries.read(spare)
      if (deadline <= now) {
        resume(this.commits.stale(spare, call, now, "deadline"))
        return undefined
      }
    }
    const shared = this.current.get(key)
    const flight = shared ?? this.open(key, load, readPolicy(policy), false)
    if (shared === undefined && call?.resumed === true) {
      flight.call.resumed = true
      flight.call.attempts = call.attempts
    }
    flight.spare ??= spare
    const member: Member = { call, deadline, resume, timer: undefined, slot: 0 }
    flight.join(member)
    this.commits.miss(call, shared === undefined)
    if (shared === undefined) this.launch(flight)
    if (flight.settled) return undefined
    this.watch(flight, member, now)
    return () => this.leave(flight, member)
  }

  private open(key: string, load: Load, terms: Terms, refresh: boolean): Flight {
    const flight = new Flight(key, load, terms, refresh)
    this.current.set(key, flight)
    this.running.add(flight)
    return flight
  }

  private launch(flight: Flight): void {
    const { second } = this.commits
    const fiber = Effect.runForkWith(Context.add(this.context, Call.Current, flight.call))(
      second === undefined
        ? flight.load
        : Effect.flatMap(second.get(flight.key), (restored) => this.restore(flight, restored) ?? flight.load)
    )
    flight.fiber = fiber
    fiber.addObserver((exit) => void this.settle(flight, exit))
    if (flight.abandoned) fiber.interruptUnsafe()
  }

  // What the second level has may be the answer, or at least a spare, unless this level has something newer.
  private restore(flight: Flight, restored: Restored | undefined): AnyExit | undefined {
    if (restored === undefined) return undefined
    const { age, ages, value } = restored
    const now = this.now()
    const known = this.commits.entries.find(flight.key, now)
    if (known !== undefined && now - known.writtenAt <= age) return undefined
    if (age < ages.fresh + (flight.refresh ? 0 : ages.stale)) {
      flight.found = { ...restored, stale: age >= ages.fresh }
      return Exit.succeed(value)
    }
    if (flight.refresh || this.current.get(flight.key) !== flight) return undefined
    this.commits.restore(flight.key, restored, now)
    flight.spare = this.commits.entries.find(flight.key, now) ?? flight.spare
    for (const member of flight.waiters) this.watch(flight, member, now)
    return undefined
  }

  private settle(flight: Flight, exit: AnyExit): (call: Call.Call | undefined) => AnyExit {
    flight.settled = true
    this.running.delete(flight)
    if (flight.refresh) this.refreshing--
    const now = this.now()
    const own = this.current.get(flight.key) === flight
    if (own) this.current.delete(flight.key)
    const answer = this.commits.settle(flight, exit, own && !this.closed, now)
    for (const member of flight.dismiss()) member.resume?.(answer(member.call))
    if (own && flight.found?.stale === true) this.revalidate(flight)
    return answer
  }

  // The second level's value was stale: those who waited have it, and a new one is on its way.
  private revalidate(flight: Flight): void {
    const now = this.now()
    const entry = this.commits.entries.find(flight.key, now)
    if (entry !== undefined && now >= entry.freshUntil) this.refresh(entry, flight.load, () => flight.terms, now)
  }

  /** Takes a waiter out at once. The effect waits for the load to end, if this was the last one it ran for. */
  private leave(flight: Flight, member: Member): Effect.Effect<void> {
    const holds = member === flight.holder
    if (!flight.leave(member) || flight.waiters.size > 0) return Effect.void
    const own = this.current.get(flight.key) === flight
    if (own && !holds && this.settings.linger > 0) {
      const holder = flight.hold(this.now() + this.settings.linger, true)
      this.after(this.settings.linger, holder, () => this.leave(flight, holder))
      return Effect.void
    }
    if (own) this.current.delete(flight.key)
    if (own && flight.refresh) this.commits.backOff(flight.key, undefined, this.now())
    flight.abandon()
    return flight.fiber === undefined ? Effect.void : Effect.asVoid(Fiber.await(flight.fiber))
  }

  // A caller who could have a stale value gets it shortly before its deadline: a tenth of the time that was left when
  // it came, but at most 100 ms. That is room for a late timer, and little taken from a load that is about to end.
  private watch(flight: Flight, member: Member, now: number): void {
    if (flight.spare === undefined || member.deadline === Infinity || member.timer !== undefined) return
    const remaining = Math.max(0, member.deadline - now)
    this.after(remaining - Math.min(remaining / 10, 100), member, () => {
      const { spare } = flight
      const then = this.now()
      if (spare === undefined || then >= spare.until) return
      void this.leave(flight, member)
      member.resume?.(this.commits.stale(spare, member.call, then, "deadline"))
    })
  }

  private after(millis: number, member: Member, act: () => void): void {
    if (millis === Infinity) return
    member.timer = Effect.runForkWith(this.context)(
      Effect.flatMap(this.clock.sleep(Duration.millis(millis)), () =>
        Effect.sync(() => {
          member.timer = undefined
          act()
        })
      )
    )
  }
}
