import type { JsonRpc, Outcome } from "@hawser/core"

/** What an error says. The first seven are the chain's own answer, the others tell why there is none. */
export type Kind = JsonRpc.RejectedKind | TroubleKind

/** Why an upstream could not answer. */
export type TroubleKind =
  /** Throttled: too much in too short a time. */
  | "rate"
  /** The allowance of a day or a month, or the account, is used up. */
  | "quota"
  /** It does not serve us at all: key missing, wrong or disabled, origin not allowed, nothing at this address. */
  | "auth"
  /** It could, on another plan: archive state, traces, log queries without an address. */
  | "plan"
  /** It does not have this method. */
  | "unsupported"
  /** Too much at once: blocks, results, bytes of the answer or of the request, requests in a batch. */
  | "range"
  /** Too many addresses or topics in a log query. */
  | "range-addresses"
  /** What was asked for is not here: pruned, not seen yet, or a block tag that this upstream does not know. */
  | "missing"
  | "syncing"
  /** It broke: overload, internal error, timeout behind it, or words that nobody knows. */
  | "transient"

/** What a kind means for the upstream and for asking again. */
export interface Meaning extends Pick<Outcome.Verdict, "counts" | "again" | "ran"> {
  /** How long to leave the upstream alone if it does not say, in milliseconds. */
  readonly pause?: number
}

/**
 * The verdicts.
 *
 * - What the chain answered is the same everywhere. A revert and a known transaction show that the node works; the
 *   caller's mistakes show nothing.
 * - Throttling is no failure: the upstream works, and the pause keeps the others from being told the same.
 * - Quota and auth are failures although the upstream may be in the best of health: it answers nobody until a day or a
 *   person has passed. The failure opens its breaker and the pause, which a limiter keeps, spares it until then.
 * - Plan, unsupported, range and missing are about one request; the next may be served, so nothing is held against it.
 * - A refused request did not run, so even a write may go elsewhere. One that broke may have run: a gateway says that it
 *   has no healthy backend also when the answer of one was lost.
 */
export const meanings: { readonly [K in Kind]: Meaning } = {
  revert: { counts: "success", again: "nowhere", ran: "maybe" },
  known: { counts: "success", again: "nowhere", ran: "maybe" },
  // Ours may be the transaction that used the nonce.
  nonce: { counts: "neutral", again: "nowhere", ran: "maybe" },
  invalid: { counts: "neutral", again: "nowhere", ran: "no" },
  transaction: { counts: "neutral", again: "nowhere", ran: "no" },
  filter: { counts: "neutral", again: "nowhere", ran: "no" },
  "sender-limit": { counts: "neutral", again: "nowhere", ran: "no" },
  rate: { counts: "neutral", again: "anywhere", ran: "no", pause: 1_000 },
  quota: { counts: "failure", again: "elsewhere", ran: "no", pause: 60_000 },
  auth: { counts: "failure", again: "elsewhere", ran: "no", pause: 60_000 },
  plan: { counts: "neutral", again: "elsewhere", ran: "no" },
  unsupported: { counts: "neutral", again: "elsewhere", ran: "no" },
  range: { counts: "neutral", again: "elsewhere", ran: "no" },
  "range-addresses": { counts: "neutral", again: "elsewhere", ran: "no" },
  missing: { counts: "neutral", again: "elsewhere", ran: "no" },
  syncing: { counts: "failure", again: "elsewhere", ran: "no" },
  transient: { counts: "failure", again: "anywhere", ran: "maybe" }
}

/** The kinds whose pause holds for the whole upstream, so that its word on when to come back is worth reading. */
export const pauses: ReadonlySet<Kind> = new Set(["rate", "quota", "auth", "syncing", "transient"])

const rejected: ReadonlySet<Kind> = new Set([
  "revert",
  "known",
  "nonce",
  "invalid",
  "transaction",
  "filter",
  "sender-limit"
])

/** Whether it is the chain's own answer. */
export const isRejected = (kind: Kind): kind is JsonRpc.RejectedKind => rejected.has(kind)
