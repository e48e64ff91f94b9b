// A caller waits while others work for it, each on a fiber of its own. Whoever decides ends the contest: the alarm is
// called off, the losers are interrupted, and the caller goes on at once, without waiting for the losers' finalizers.
//
// A caller who is interrupted itself does wait for them, as it would have had it done the work itself: when its
// fiber has ended, nothing of it runs any more.
//
// What is over lets go of all it held. While many calls are under way V8 comes to put such objects straight among the
// old ones, where each would keep the garbage of a whole call alive, and collecting it costs more than the call.
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type { Alarm, Ring } from "./alarm.ts"

export class Contest<A, E> {
  /** The contest is decided, or its caller gone. */
  over = false
  private readonly caller: number
  private readonly alarm: Alarm
  private closing: (() => void) | undefined = undefined
  // Nearly always there is but one.
  private runner: Fiber.Fiber<unknown, unknown> | undefined = undefined
  private others: Array<Fiber.Fiber<unknown, unknown>> | undefined = undefined
  private ring: Ring | undefined = undefined
  private result: Exit.Exit<A, E> | undefined = undefined
  private resume: ((next: Effect.Effect<A, E>) => void) | undefined = undefined

  constructor(caller: Fiber.Fiber<unknown, unknown>, alarm: Alarm) {
    this.caller = caller.id
    this.alarm = alarm
  }

  /**
   * Starts an effect. One that ends without waiting gives its exit here; of any other `ended` is told, unless the
   * contest is over by then.
   */
  start<A2, E2, R>(
    effect: Effect.Effect<A2, E2, R>,
    context: Context.Context<never>,
    ended: (exit: Exit.Exit<A2, E2>) => void
  ): Exit.Exit<A2, E2> | undefined {
    const runner = Effect.runForkWith(context as Context.Context<R>)(effect)
    const exit = runner.pollUnsafe()
    if (exit !== undefined) return exit
    // It may have ended the contest before it came to wait.
    if (this.over) runner.interruptUnsafe(this.caller)
    else {
      if (this.runner === undefined) this.runner = runner
      else (this.others ??= []).push(runner)
      let told: typeof ended | undefined = ended
      runner.addObserver((exit) => {
        const tell = told!
        told = undefined
        if (!this.over) tell(exit)
      })
    }
    return undefined
  }

  /** Calls `f` when the contest ends, before the losers are interrupted, in place of what was to be called before. */
  onEnd(f: (() => void) | undefined): void {
    this.closing = f
  }

  /** Calls `f` at `at`, in place of what was to be called before. */
  callAt(at: number, f: () => void): void {
    if (this.over) return
    if (this.ring !== undefined) this.alarm.cancel(this.ring)
    this.ring = this.alarm.set(at, f)
  }

  /**
   * Calls `f` on the fiber of the caller. Whoever is called by the alarm, and starts something there, would start it in
   * the asynchronous context (`AsyncLocalStorage`) of another call.
   */
  onCaller(f: () => void): void {
    const { resume } = this
    // Still on its way back from the last time.
    if (resume === undefined) return f()
    this.resume = undefined
    resume(
      Effect.suspend(() => {
        f()
        return this.wait()
      })
    )
  }

  /** Ends the contest. The caller goes on with what `result` gives once the losers have been interrupted. */
  decide(result: () => Exit.Exit<A, E>): void {
    if (this.over) return
    this.close()
    const { resume } = this
    if (resume === undefined) this.result = result()
    else {
      this.resume = undefined
      resume(result())
    }
  }

  /** Suspends the caller until the contest is decided. */
  wait(begin?: () => void): Effect.Effect<A, E> {
    return Effect.callback((resume) => {
      this.resume = resume
      begin?.()
      if (this.result !== undefined) resume(this.result)
    })
  }

  /** Ends the contest for a caller who is no longer there to wait for it. */
  abandon(): Effect.Effect<void> | undefined {
    if (this.over) return undefined
    const all = this.runner === undefined ? [] : [this.runner, ...(this.others ?? [])]
    this.close()
    const left = all.filter((runner) => runner.pollUnsafe() === undefined)
    return left.length === 0 ? undefined : Effect.asVoid(Fiber.awaitAll(left))
  }

  private close(): void {
    const { alarm, caller, closing, others, ring, runner } = this
    this.over = true
    this.closing = this.others = this.ring = this.runner = undefined
    closing?.()
    if (ring !== undefined) alarm.cancel(ring)
    runner?.interruptUnsafe(caller)
    if (others !== undefined) for (const other of others) other.interruptUnsafe(caller)
  }
}

/** Suspends the caller until the contest that `begin` sets going is decided. */
export const contest = <A, E, R>(
  caller: Fiber.Fiber<unknown, unknown>,
  alarm: Alarm,
  begin: (contest: Contest<A, E>) => void
): Effect.Effect<A, E, R> => {
  const self = new Contest<A, E>(caller, alarm)
  return Effect.onExitPrimitive(
    self.wait(() => begin(self)),
    () => self.abandon()
  )
}
