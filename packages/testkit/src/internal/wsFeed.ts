/** The subscriptions of one WebSocket, and what each has been told. */
import type { AnswerFault } from "../Fault.ts"
import { block, log } from "./blocks.ts"
import { type Chain, digest, type View } from "./chain.ts"
import type { Decision } from "./decide.ts"
import { distortion } from "./distortion.ts"
import type { Handler, Handlers } from "./answers.ts"
import type { Play } from "./play.ts"
import { invalidParams } from "./rpcError.ts"

/** What a feed needs of its socket. */
export interface Wire {
  /** What happens to a notification: it is judged as a call of the method `eth_subscription`. */
  readonly judge: (params: unknown) => { readonly play: Play; readonly decision: Decision }
  readonly send: (text: string, decision: Decision) => void
  readonly changed: () => void
}

interface Subscription {
  readonly id: string
  readonly kind: string
  readonly filter: Filter
  /** The newest blocks it knows of, oldest first. */
  readonly told: Array<{ readonly number: number; readonly hash: string }>
  /** Transactions it knows of. */
  sent: number
}

interface Filter {
  readonly address?: unknown
  readonly topics?: unknown
}

/** Blocks that are remembered. No reorganisation goes deeper. */
const memory = 256

let ids = 0

export class Feed {
  readonly handlers: Handlers
  private readonly chain: Chain
  private readonly wire: Wire
  private readonly subscriptions = new Map<string, Subscription>()

  constructor(chain: Chain, wire: Wire) {
    this.chain = chain
    this.wire = wire
    this.handlers = new Map<string, Handler>([
      ["eth_subscribe", ([kind, filter]) => this.subscribe(kind, filter)],
      ["eth_unsubscribe", ([id]) => this.unsubscribe(id)]
    ])
  }

  get size(): number {
    return this.subscriptions.size
  }

  private subscribe(kind: unknown, filter: unknown): unknown {
    if (typeof kind !== "string" || !kinds.has(kind)) return invalidParams(`no "${String(kind)}" subscription`)
    // A node's ids are its own: nobody else knows them.
    const id = digest(`subscription/${++ids}`).slice(0, 34)
    const { chainId, head } = this.chain
    const first = Math.max(0, head - memory + 1)
    const told = Array.from({ length: head - first + 1 }, (_, i) => ({
      number: first + i,
      hash: this.chain.hash(chainId, first + i)
    }))
    this.subscriptions.set(id, {
      id,
      kind,
      filter: typeof filter === "object" && filter !== null ? filter : {},
      told,
      sent: this.chain.sentAfter(0).length
    })
    this.wire.changed()
    return id
  }

  private unsubscribe(id: unknown): boolean {
    const known = this.subscriptions.delete(String(id))
    this.wire.changed()
    return known
  }

  tell(): void {
    for (const subscription of this.subscriptions.values()) {
      if (!this.hasNews(subscription)) continue
      const { decision, play } = this.wire.judge({ subscription: subscription.id })
      const fault = decision.answers[0]
      const { chainId, head } = this.chain
      const seen = distortion(fault, play.frozen)
      const view = { chainId: seen.chainId ?? chainId, head: seen.head === undefined ? head : seen.head(head) }
      for (const result of this.news(subscription, view)) {
        const said = fault?._tag === "Answer" ? fault.result : result
        this.wire.send(notification(subscription.id, said, fault), decision)
      }
    }
  }

  private hasNews({ kind, sent, told }: Subscription): boolean {
    if (kind === "newPendingTransactions") return this.chain.sentAfter(sent).length > 0
    const tip = told.at(-1)
    return (
      tip === undefined || tip.number < this.chain.head || tip.hash !== this.chain.hash(this.chain.chainId, tip.number)
    )
  }

  // Blocks that are no longer so, the newest first, and then those that are, the oldest first.
  private news(subscription: Subscription, view: View): ReadonlyArray<unknown> {
    const { chain } = this
    const { filter, kind, sent, told } = subscription
    if (kind === "newPendingTransactions") {
      const fresh = chain.sentAfter(sent)
      subscription.sent += fresh.length
      return fresh
    }
    const kept = told.findLastIndex(({ hash, number }) => hash === chain.hash(view.chainId, number))
    const gone = told.splice(kept + 1).toReversed()
    const result: Array<unknown> = []
    if (kind === "logs") for (const { hash, number } of gone) result.push(removed(chain, view, number, hash, filter))
    for (let number = (told.at(-1)?.number ?? view.head - 1) + 1; number <= view.head; number++) {
      told.push({ number, hash: chain.hash(view.chainId, number) })
      result.push(
        kind === "logs" ? log(chain, view, number, filter.address, filter.topics) : header(chain, view, number)
      )
    }
    if (told.length > memory) told.splice(0, told.length - memory)
    return result
  }
}

const kinds = new Set(["newHeads", "logs", "newPendingTransactions"])

const header = (chain: Chain, view: View, number: number): unknown => {
  const {
    size: _,
    transactions: __,
    uncles: ___,
    ...rest
  } = block(chain, view, number, false) as Record<string, unknown>
  return rest
}

// The log of a block that is no longer in the chain.
const removed = (
  chain: Chain,
  view: View,
  number: number,
  blockHash: string,
  { address, topics }: Filter
): unknown => ({
  ...(log(chain, view, number, address, topics) as object),
  blockHash,
  transactionHash: digest(`${blockHash}/0`),
  removed: true
})

const notification = (subscription: string, result: unknown, fault: AnswerFault | undefined): string =>
  JSON.stringify(
    fault?._tag === "Malformed" || fault?._tag === "Error"
      ? { jsonrpc: "2.0", method: "eth_subscription", params: null }
      : { jsonrpc: "2.0", method: "eth_subscription", params: { subscription, result } }
  )
