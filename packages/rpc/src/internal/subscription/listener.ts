import { JsonRpc, Outcome } from "@hawser/core"
import * as Context from "effect/Context"

/** A subscription that is open. */
export interface Opened {
  /** Who it is open at. */
  readonly upstream: string
  /** What it is called there. */
  readonly id: string
  /** Ends it: nothing more is heard of it. Does no harm when it is over. */
  readonly cancel: () => void
}

/** Hears what a subscription tells. What it throws disturbs nobody else, and surfaces as an uncaught error. */
export interface Listener {
  /** It is open. Called before the request is answered: whoever gives up on the request meanwhile has to cancel it. */
  readonly onOpen: (subscription: Opened) => void
  readonly onNotification: (result: unknown) => void
  /** It is over, and not because it was cancelled. Called once at most, and last. */
  readonly onLost: (error: unknown) => void
}

/**
 * Who hears the subscription that an `eth_subscribe` opens. It passes through every layer to whoever answers the request;
 * a subscription without a listener is refused.
 */
export const Listener = Context.Reference<Listener | undefined>("~hawser/Subscription/Listener", {
  defaultValue: () => undefined
})

/** The refusal of a subscription that nobody would hear. */
export const unheard = (upstream: string): JsonRpc.Rejected =>
  new JsonRpc.Rejected({
    upstream,
    code: -32601,
    message: "eth_subscribe takes a Subscription.Listener, or nobody would hear it",
    data: undefined,
    kind: "invalid",
    [Outcome.TypeId]: Outcome.verdict({ counts: "neutral", again: "nowhere", ran: "no" })
  })
