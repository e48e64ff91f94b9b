import type { Outcome } from "@hawser/core"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import type * as Exit from "effect/Exit"
import type { Member } from "./member.ts"

/** How the pool asks: in the ordinary way, to stand in line, or as a probe. */
export type Manner = "none" | "wait" | "probe"

/** One request to one upstream. Settled exactly once, however the request ends. */
export class Lease<U> {
  readonly member: Member<U>
  readonly manner: Manner
  /** The verdict of the failure it ended with, if it did. */
  verdict: Outcome.Verdict | undefined = undefined
  error: unknown = undefined
  /** The upstream has failed so much that it should be ejected. */
  due = false
  private readonly started: number

  constructor(member: Member<U>, manner: Manner, now: number) {
    this.member = member
    this.manner = manner
    this.started = now
    member.load.inflight++
    member.asked++
    if (manner === "probe") member.probing = true
  }

  settle(exit: Exit.Exit<unknown, unknown>, judge: (error: unknown) => Outcome.Verdict, now: number): Outcome.Outcome {
    this.member.load.inflight--
    if (this.manner === "probe") this.member.probing = false
    const outcome = exit._tag === "Success" ? "success" : this.judge(exit.cause, judge, now)
    if (this.verdict?.refused !== true) this.count(outcome, now)
    return outcome
  }

  /** After all that the end of a request changes, and over a copy: whoever listens may ask again at once. */
  tell(outcome: Outcome.Outcome): void {
    const { settled } = this.member
    if (settled.size === 0) return
    for (const listener of Array.from(settled)) listener(outcome)
  }

  private judge(cause: Cause.Cause<unknown>, judge: (error: unknown) => Outcome.Verdict, now: number): Outcome.Outcome {
    const { member } = this
    if (cause.reasons.some(Cause.isDieReason)) return "failure"
    const reason = cause.reasons.find(Cause.isFailReason)
    if (reason === undefined) return "neutral"
    this.error = reason.error
    this.verdict = judge(reason.error)
    const { counts, refused, retryAfter } = this.verdict
    if (refused) {
      member.refusals++
      member.asked--
      // Without a time it is about this request, not about the upstream.
      if (retryAfter !== undefined) {
        member.leftOut = { error: reason.error, until: now + Duration.toMillis(retryAfter) }
      }
    } else if (counts !== "success") member.lastError = reason.error
    return counts
  }

  private count(outcome: Outcome.Outcome, now: number): void {
    const { ejection, load } = this.member
    // The time spent standing in line is not the upstream's.
    const elapsed = this.manner === "wait" ? 0 : Math.max(0, now - this.started)
    if (outcome === "success") {
      this.member.successes++
      this.member.leftOut = undefined
      ejection?.success(now)
      if (this.manner !== "wait") load.success(elapsed, now)
    } else if (outcome === "failure") {
      this.member.failures++
      load.failure(elapsed, now)
      if (ejection?.failure(now) === true) this.due = true
    } else {
      this.member.neutrals++
      load.waited(elapsed, now)
    }
  }
}
