/**
 * A store behind the cache that may hang or fail without anybody noticing more than a miss.
 */
import { Call } from "@hawser/core"
import * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { Barrier } from "./barrier.ts"
import type { Ages } from "./entries.ts"

/** What a store keeps: plain data, with a JSON form if the value has one. Times are milliseconds. */
export interface Stored {
  readonly value: unknown
  /** On the wall clock. */
  readonly writtenAt: number
  readonly ttl: number
  readonly staleWhileRevalidate: number
  readonly staleIfError: number
  readonly tags: ReadonlyArray<string>
}

/**
 * A second level, such as Redis or a file: shared with other processes, or kept over a restart.
 *
 * Its effects may fail in any way, hang, or return nonsense of an old version as `undefined`; callers of the cache
 * only ever see a miss. Keys are those of the cache: a store that serves several chains puts its own name before them.
 */
export interface Store {
  readonly get: (key: string) => Effect.Effect<Stored | undefined, unknown>
  /** `ttl` is how long the entry is of any use, in milliseconds: at most `Number.MAX_SAFE_INTEGER`. */
  readonly set: (key: string, entry: Stored, ttl: number) => Effect.Effect<unknown, unknown>
  readonly invalidate: (key: string) => Effect.Effect<unknown, unknown>
  readonly invalidateTag: (tag: string) => Effect.Effect<unknown, unknown>
  readonly clear: () => Effect.Effect<unknown, unknown>
}

/** A value that came back, with what is left of its life. */
export interface Restored {
  readonly value: unknown
  readonly age: number
  readonly ages: Ages
  readonly tags: ReadonlyArray<string>
}

const pause = 1_000

export class SecondLevel {
  hits = 0
  failures = 0
  private pausedUntil = -Infinity
  private readonly writing = new Set<Fiber.Fiber<unknown, unknown>>()
  private readonly barrier = new Barrier()
  private readonly store: Store
  private readonly timeout: Duration.Duration
  private readonly clock: Clock.Clock
  private readonly fork: (effect: Effect.Effect<unknown, unknown>) => Fiber.Fiber<unknown, unknown>
  private readonly failed: (operation: keyof Store, error: unknown) => void

  constructor(
    store: Store,
    timeout: number,
    clock: Clock.Clock,
    context: Context.Context<never>,
    failed: (operation: keyof Store, error: unknown) => void
  ) {
    this.store = store
    this.timeout = Duration.millis(timeout)
    this.clock = clock
    this.fork = Effect.runForkWith(context)
    this.failed = failed
  }

  get(key: string): Effect.Effect<Restored | undefined> {
    if (this.paused()) return Effect.undefined
    return Effect.map(
      this.run("get", () => this.store.get(key)),
      (exit) => {
        if (exit?._tag !== "Success" || exit.value === undefined) return undefined
        const restored = this.restore(key, exit.value as Stored)
        if (restored !== undefined) this.hits++
        return restored
      }
    )
  }

  set(key: string, value: unknown, ages: Ages, tags: ReadonlyArray<string>): Effect.Effect<void> {
    if (this.paused()) return Effect.void
    const ttl = finite(ages.fresh)
    const staleWhileRevalidate = finite(ages.stale)
    const staleIfError = finite(ages.spare)
    const writtenAt = this.barrier.stamp(this.wall())
    const entry: Stored = { value, writtenAt, ttl, staleWhileRevalidate, staleIfError, tags }
    const whole = finite(ttl + staleWhileRevalidate + staleIfError)
    return Effect.asVoid(this.run("set", () => this.store.set(key, entry, whole)))
  }

  /** Writes without anybody waiting for it. */
  write(key: string, value: unknown, ages: Ages, tags: ReadonlyArray<string>): void {
    const fiber = this.fork(this.set(key, value, ages, tags))
    if (fiber.pollUnsafe() !== undefined) return
    this.writing.add(fiber)
    fiber.addObserver(() => this.writing.delete(fiber))
  }

  /** Interrupts the writes nobody waits for. */
  close(): Effect.Effect<void> {
    return Effect.suspend(() => Fiber.interruptAll(this.writing))
  }

  /** Disbelieves what was written before, without telling the store: a new value is on its way to it. */
  supersede(key: string): void {
    this.barrier.raiseKey(key, this.wall() - 1)
  }

  invalidate(key: string): Effect.Effect<void> {
    this.barrier.raiseKey(key, this.wall())
    return Effect.asVoid(this.run("invalidate", () => this.store.invalidate(key)))
  }

  invalidateTag(tag: string): Effect.Effect<void> {
    this.barrier.raiseTag(tag, this.wall())
    return Effect.asVoid(this.run("invalidateTag", () => this.store.invalidateTag(tag)))
  }

  clear(): Effect.Effect<void> {
    this.barrier.raiseAll(this.wall())
    return Effect.asVoid(this.run("clear", () => this.store.clear()))
  }

  // A store that hangs costs one timeout a second, not one for each miss.
  private paused(): boolean {
    return Call.now(this.clock) < this.pausedUntil
  }

  private wall(): number {
    return this.clock.currentTimeMillisUnsafe()
  }

  private restore(key: string, stored: Stored): Restored | undefined {
    const now = this.wall()
    if (typeof stored !== "object" || stored === null || !Array.isArray(stored.tags)) return undefined
    if (!this.barrier.passes(key, stored.tags, stored.writtenAt, now)) return undefined
    const { staleIfError: spare, staleWhileRevalidate: stale, tags, ttl: fresh, value } = stored
    const age = now - stored.writtenAt
    return age < fresh + stale + spare ? { value, age, ages: { fresh, stale, spare }, tags } : undefined
  }

  /** Waits for the store, but not longer than the timeout, not even for it to notice that nobody waits. */
  private run(
    operation: keyof Store,
    effect: () => Effect.Effect<unknown, unknown>
  ): Effect.Effect<Exit.Exit<unknown, unknown> | undefined> {
    return Effect.callback((resume) => {
      const work = this.fork(Effect.suspend(effect))
      const ended = (exit: Exit.Exit<unknown, unknown> | undefined) => {
        if (exit?._tag !== "Success") {
          this.failures++
          this.failed(operation, exit && Cause.squash(exit.cause))
        }
        resume(Exit.succeed(exit))
      }
      if (work.pollUnsafe() !== undefined) return ended(work.pollUnsafe())
      const timer = this.fork(this.clock.sleep(this.timeout))
      const offWork = work.addObserver((exit) => {
        offTimer()
        timer.interruptUnsafe()
        ended(exit)
      })
      const offTimer = timer.addObserver(() => {
        offWork()
        work.interruptUnsafe()
        this.pausedUntil = Call.now(this.clock) + pause
        ended(undefined)
      })
      return Effect.sync(() => {
        offWork()
        offTimer()
        work.interruptUnsafe()
        timer.interruptUnsafe()
      })
    })
  }
}

// JSON has no Infinity.
const finite = (millis: number): number => Math.min(millis, Number.MAX_SAFE_INTEGER)
