/**
 * What a call tells that does the work of several: whatever it learns of upstreams, all of them know.
 *
 * Such a call has attempts and a deadline of its own, which are nobody's in particular. Its steps go to those who keep a
 * report, its failures to all.
 */
import * as Call from "./Call.ts"

/** Those who wait, as they are when something is told. */
export type Members = Iterable<{ readonly call: Call.Call | undefined }>

/** For {@link Call.Call.failures} of the call that does the work. */
export class Failures extends Map<string, unknown> {
  private readonly members: Members

  constructor(members: Members) {
    super()
    this.members = members
  }

  override set(upstream: string, error: unknown): this {
    for (const { call } of this.members) if (call !== undefined) Call.fail(call, upstream, error)
    return super.set(upstream, error)
  }
}

/** For {@link Call.Call.recorder} of the call that does the work. */
export class Recorder extends Call.Recorder {
  private readonly members: Members

  constructor(members: Members) {
    super()
    this.members = members
  }

  override add(...step: Parameters<Call.Recorder["add"]>): void {
    for (const { call } of this.members) call?.recorder?.add(...step)
  }
}
