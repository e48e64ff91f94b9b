import type { SchedulerDispatcher } from "effect/Scheduler"
import type { Member } from "./member.ts"

/** Who was asked first in this turn of the event loop. */
export class Turn<U> {
  member: Member<U> | undefined = undefined
  private readonly dispatcher: SchedulerDispatcher

  constructor(dispatcher: SchedulerDispatcher) {
    this.dispatcher = dispatcher
  }

  begin(member: Member<U>): void {
    this.member = member
    this.dispatcher.scheduleTask(() => {
      this.member = undefined
    }, 0)
  }
}
