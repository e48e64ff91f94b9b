// A caller waits while others work for it, each on a fiber of its own. Whoever decides ends the contest: the alarm is
// called off, the losers are interrupted, and the caller goes on at once, without waiting for the losers' finalizers.
//
// A caller who leaves does wait for them, as it would have had it done the work itself: when it has ended, nothing of it runs
// any more.
//
// What a user's function throws here, a budget's say, decides: nobody else is there to hear of it.
//
// What is over lets go of all it held. While many calls are under way V8 comes to put such objects straight among the
// old ones, where each would keep the garbage of a whole call alive, and collecting it costs more than the call.
import type { JsonRpc } from "@hawser/core"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import { type Alarm, Ring } from "./alarm.ts"
import { type AsyncContext, capture } from "./asyncContext.ts"
import type { Work } from "./work.ts"

export abstract class Contest<A, E, R> extends Ring implements Work, JsonRpc.Place {
  /** The contest is decided, or its caller gone. */
  protected over = false
  private readonly alarm: Alarm
  private caller: JsonRpc.Caller | undefined = undefined
  // Nearly always there is but one.
  private runner: Fiber.Fiber<A, E> | undefined = undefined
  private others: Array<Fiber.Fiber<A, E>> | undefined = undefined
  private asyncContext: AsyncContext | undefined = undefined

  constructor(alarm: Alarm) {
    super()
    this.alarm = alarm
  }

  /** Starts the first, and sets the alarm. */
  protected abstract open(): void

  /** One that came to wait has ended. Not told of once the contest is over. */
  protected abstract ended(exit: Exit.Exit<A, E>, isFirst: boolean): void

  /** The alarm rings, in the asynchronous context of whoever began. */
  protected abstract rings(): void

  /** The contest ends, and the losers are about to be interrupted. */
  protected abstract closes(): void

  begin(caller: JsonRpc.Caller): this {
    this.caller = caller
    this.open()
    return this
  }

  /** Starts an effect. One that ends without waiting gives its exit here; of any other {@link ended} is told. */
  protected start(
    effect: Effect.Effect<A, E, R>,
    context: Context.Context<never>,
    isFirst: boolean
  ): Exit.Exit<A, E> | undefined {
    const runner = Effect.runForkWith(context as Context.Context<R>)(effect)
    const exit = runner.pollUnsafe()
    if (exit !== undefined) return exit
    // It may have ended the contest before it came to wait.
    if (this.over) {
      runner.interruptUnsafe()
      return undefined
    }
    if (this.runner === undefined) this.runner = runner
    else (this.others ??= []).push(runner)
    runner.addObserver((exit) => {
      if (this.over) return
      try {
        this.ended(exit, isFirst)
      } catch (defect) {
        this.decide(Exit.die(defect))
      }
    })
    return undefined
  }

  /** Rings at `at`, in place of when it was to ring before. */
  protected ringAt(at: number): void {
    if (this.over) return
    // The alarm rings in the context of whichever call it happens to wake for.
    this.asyncContext ??= capture()
    this.alarm.set(this, at)
  }

  ring(): void {
    const { asyncContext } = this
    if (asyncContext === undefined) this.rung()
    else asyncContext.runInAsyncScope(() => this.rung())
  }

  private rung(): void {
    try {
      this.rings()
    } catch (defect) {
      this.decide(Exit.die(defect))
    }
  }

  /** Ends the contest. The caller goes on once the losers have been interrupted. */
  protected decide(exit: Exit.Exit<A, E>): void {
    const { caller } = this
    if (this.over) return
    this.close()
    caller!.end(exit)
  }

  /** Ends the contest for a caller who is no longer there to wait for it. */
  leave(): Effect.Effect<void> {
    if (this.over) return Effect.void
    const all = this.runner === undefined ? [] : [this.runner, ...(this.others ?? [])]
    this.close()
    const left = all.filter((runner) => runner.pollUnsafe() === undefined)
    return left.length === 0 ? Effect.void : Effect.asVoid(Fiber.awaitAll(left))
  }

  private close(): void {
    const { others, runner } = this
    this.over = true
    this.caller = this.runner = this.others = this.asyncContext = undefined
    this.closes()
    this.alarm.cancel(this)
    runner?.interruptUnsafe()
    if (others !== undefined) for (const other of others) other.interruptUnsafe()
  }
}
