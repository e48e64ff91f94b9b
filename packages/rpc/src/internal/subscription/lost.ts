import * as Data from "effect/Data"
import { Outcome } from "@hawser/core"

/**
 * A subscription is over, and not because it was cancelled. Whoever wants to go on subscribes again, and looks for himself
 * what has happened meanwhile.
 */
export class SubscriptionLost extends Data.TaggedError("SubscriptionLost")<{
  /**
   * `gap`: more blocks were missed than are filled in. `reorg`: more were replaced than are remembered. `behind`: the logs of
   * so many blocks could not be had, or one upstream's word on them is final. `overflow`: the consumer was too slow.
   * `closed`: the layer was closed, or whoever was asked has no more to say.
   */
  readonly reason: "gap" | "reorg" | "behind" | "overflow" | "closed"
  readonly cause?: unknown
}> {
  readonly [Outcome.TypeId] = Outcome.verdict({ counts: "neutral" })

  override get message(): string {
    return `the subscription is lost: ${said[this.reason]}`
  }
}

const said: Readonly<Record<SubscriptionLost["reason"], string>> = {
  gap: "too many blocks were missed",
  reorg: "too many blocks were replaced",
  behind: "the logs could not be had",
  overflow: "its consumer was too slow",
  closed: "it was closed"
}
