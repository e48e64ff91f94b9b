// ethers' own subscribers poll, leave rejections to nobody, and lose track when a node does. These hear what Hawser's
// subscriptions tell.
import type { AbstractProvider, EventFilter, LogParams, Subscriber, Subscription } from "ethers"
import type { Provider } from "hawser"

/** Where subscriptions are made, and whom they are told to. */
interface Ground {
  readonly provider: AbstractProvider
  readonly subscribe: Provider.Provider["subscribe"]
  /** How long to wait after a subscription that could not be made or was lost, in milliseconds. */
  readonly patience: number
}

/** The subscriber for an event; `undefined`: ethers' own will do. */
export const subscriberOf = (ground: Ground, event: Subscription): Subscriber | undefined => {
  const { provider } = ground
  switch (event.type) {
    case "block":
      return new Hearing(
        ground,
        ["newHeads"],
        rising((number) => provider.emit("block", number))
      )
    case "safe":
    case "finalized": {
      const tell = rising((number) => provider.emit(event.type, number))
      return new Hearing(ground, ["newHeads"], () =>
        later(async () => {
          const block = await provider.getBlock(event.type)
          if (block !== null) tell({ number: block.number })
        })
      )
    }
    case "transaction":
      return new Hearing(
        ground,
        ["newHeads"],
        () =>
          later(async () => {
            const receipt = await provider.getTransactionReceipt(event.hash)
            if (receipt !== null) await provider.emit(event.hash, receipt)
          }),
        true
      )
    case "event":
      return new Hearing(ground, ["logs", criteriaOf(event.filter)], (log) =>
        later(async () => provider.emit(event.filter, provider._wrapLog(log as LogParams, await provider.getNetwork())))
      )
    case "pending":
      return new Hearing(ground, ["newPendingTransactions"], (hash) => later(() => provider.emit("pending", hash)))
    case "orphan":
      return silent
  }
  return undefined
}

// What fails now is tried again with the next block.
const later = (f: () => Promise<unknown>): void => void f().catch(() => {})

const criteriaOf = ({ address, topics }: EventFilter) => ({
  ...(address === undefined ? {} : { address }),
  ...(topics === undefined ? {} : { topics })
})

/** Block numbers, each once, although some blocks are replaced by others of the same number. */
const rising = (tell: (number: number) => Promise<unknown>): ((head: unknown) => void) => {
  let last = -1
  return (head) => {
    const number = Number((head as { readonly number: string | number }).number)
    if (number <= last) return
    // Those between are told, too: one who counts confirmations counts blocks.
    for (let next = last < 0 ? number : last + 1; next <= number; next++) later(() => tell(next))
    last = number
  }
}

const silent: Subscriber = { start: () => {}, stop: () => {}, pause: () => {}, resume: () => {} }

/** One subscription for as long as it is started. While paused, what is told is kept, or not, as ethers asks for. */
class Hearing implements Subscriber {
  private readonly ground: Ground
  private readonly params: ReadonlyArray<unknown>
  private readonly hear: (what: unknown) => void
  private readonly atOnce: boolean
  /** Stops what is under way; `undefined` while nothing is. */
  private end: (() => void) | undefined
  private kept: Array<unknown> | undefined

  constructor(ground: Ground, params: ReadonlyArray<unknown>, hear: (what: unknown) => void, atOnce = false) {
    this.ground = ground
    this.params = params
    this.hear = hear
    this.atOnce = atOnce
  }

  start(): void {
    if (this.end !== undefined) return
    if (this.atOnce) this.hear(undefined)
    this.open()
  }

  stop(): void {
    this.end?.()
    this.end = undefined
    this.kept = undefined
  }

  pause(dropWhilePaused = false): void {
    if (dropWhilePaused) this.stop()
    else this.kept ??= []
  }

  resume(): void {
    const { kept } = this
    this.kept = undefined
    for (const what of kept ?? []) this.hear(what)
    this.start()
  }

  private open(): void {
    const { ground, params } = this
    let over = false
    let stop = () => {}
    this.end = () => {
      over = true
      stop()
    }
    const again = () => {
      if (over) return
      const timer = ground.provider._setTimeout(() => this.open(), ground.patience)
      stop = () => ground.provider._clearTimeout(timer)
    }
    ground
      .subscribe(params, {
        onNotification: (what) => {
          if (this.kept === undefined) this.hear(what)
          else this.kept.push(what)
        },
        onLost: again
      })
      .then((subscription) => {
        if (over) subscription.stop()
        else stop = subscription.stop
      }, again)
  }
}
