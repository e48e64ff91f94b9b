// Work that is under way for one caller until a time. The caller goes on at that very moment, and does not wait for the
// finalizers of what has lost.
//
// A caller who leaves does wait for them, as it would have had it done the work itself: when it has ended, nothing of it runs
// any more.
//
// What is over lets go of all it held, see `contest.ts`.
import type { JsonRpc } from "@hawser/core"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import { type Alarm, isDue, Ring } from "./alarm.ts"
import type { Work } from "./work.ts"

export abstract class Within extends Ring implements Work, JsonRpc.Caller, JsonRpc.Place {
  private readonly alarm: Alarm
  private readonly until: number
  private work: Work | undefined
  private caller: JsonRpc.Caller | undefined = undefined
  private running: JsonRpc.Place | undefined = undefined

  constructor(work: Work, alarm: Alarm, until: number) {
    super()
    this.work = work
    this.alarm = alarm
    this.until = until
  }

  /** How it ends where it is late. */
  protected abstract late(): Exit.Exit<never, unknown>

  /** Begins. What ends without waiting has not used any time. */
  begin(caller: JsonRpc.Caller): this {
    this.caller = caller
    const running = this.work!.begin(this)
    if (this.caller !== undefined) {
      this.running = running
      this.alarm.set(this, this.until)
    }
    return this
  }

  /** What ends at the time or later has lost, whichever was told first. */
  end(exit: Exit.Exit<unknown, unknown>): void {
    const { caller, running } = this
    if (caller === undefined) return
    this.close()
    caller.end(running !== undefined && isDue(this.until, this.alarm.now()) ? this.late() : exit)
  }

  leave(): Effect.Effect<void> {
    const { running } = this
    this.close()
    return running === undefined ? Effect.void : running.leave()
  }

  ring(): void {
    const { caller, running } = this
    this.close()
    Effect.runFork(running!.leave())
    caller!.end(this.late())
  }

  private close(): void {
    this.caller = this.running = this.work = undefined
    this.alarm.cancel(this)
  }
}
