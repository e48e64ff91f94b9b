// ethers' own subscribers poll, leave rejections to nobody, and lose track when a node does. These hear what Hawser's
// subscriptions tell.
import type { EventFilter, LogParams, Subscriber, Subscription } from "ethers"
import { Session, type Ground, type Topic } from "./session.ts"
import { subscribeOrAsk } from "./pending.ts"

/** The subscriber for an event; `undefined`: ethers' own will do. */
export const subscriberOf = (ground: Ground, event: Subscription): Subscriber | undefined => {
  const topic = topicOf(ground, event)
  if (topic !== undefined) return new Hearing(ground, topic)
  // What was taken back is told by the event itself.
  return event.type === "orphan" ? silent : undefined
}

const topicOf = (ground: Ground, event: Subscription): Topic | undefined => {
  const { provider, subscribe } = ground
  const heads: Topic["subscribe"] = (listener) => subscribe(["newHeads"], listener)
  switch (event.type) {
    case "block":
      return { subscribe: heads, begin: () => rising((number) => provider.emit("block", number)) }
    case "safe":
    case "finalized":
      return {
        subscribe: heads,
        looks: true,
        begin: () => {
          let last: number | undefined
          return async () => {
            const block = await provider.getBlock(event.type)
            if (block === null || block.number <= (last ?? -1)) return
            const isFirst = last === undefined
            last = block.number
            if (!isFirst) await provider.emit(event.type, last)
          }
        }
      }
    case "transaction":
      return {
        subscribe: heads,
        looks: true,
        begin: () => async () => {
          const receipt = await provider.getTransactionReceipt(event.hash)
          if (receipt !== null) await provider.emit(event.hash, receipt)
        }
      }
    case "event":
      return {
        subscribe: (listener) => subscribe(["logs", criteriaOf(event.filter)], listener),
        begin: () => async (log) =>
          provider.emit(event.filter, provider._wrapLog(log as LogParams, await provider.getNetwork()))
      }
    case "pending":
      return {
        subscribe: (listener) => subscribeOrAsk(ground, listener),
        begin: () => (hash) => provider.emit("pending", hash)
      }
  }
  return undefined
}

const criteriaOf = ({ address, topics }: EventFilter) => ({
  ...(address === undefined ? {} : { address }),
  ...(topics === undefined ? {} : { topics })
})

/** Block numbers, each once, although some blocks are replaced by others of the same number. */
const rising = (tell: (number: number) => Promise<unknown>): ((head: unknown) => Promise<void>) => {
  let last: number | undefined
  return async (head) => {
    const number = Number((head as { readonly number: string | number }).number)
    // Those between are told, too: one who counts confirmations counts blocks.
    for (let next = (last ?? number - 1) + 1; next <= number; next++) {
      last = next
      await tell(next)
    }
  }
}

const silent: Subscriber = { start: () => {}, stop: () => {}, pause: () => {}, resume: () => {} }

/** One session from start to stop. While it is paused, what is told is kept, or not, as ethers asks for. */
class Hearing implements Subscriber {
  private readonly ground: Ground
  private readonly topic: Topic
  private session: Session | undefined

  constructor(ground: Ground, topic: Topic) {
    this.ground = ground
    this.topic = topic
  }

  start(): void {
    // ethers starts what was asked for before it was destroyed, and comes to it afterwards.
    if (!this.ground.provider.destroyed) this.session ??= new Session(this.ground, this.topic)
  }

  stop(): void {
    this.session?.stop()
    this.session = undefined
  }

  pause(dropWhilePaused = false): void {
    if (dropWhilePaused) this.stop()
    else if (this.session !== undefined) this.session.paused = true
  }

  resume(): void {
    if (this.session === undefined) this.start()
    else this.session.resume()
  }
}
