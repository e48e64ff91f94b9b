/**
 * What an upstream means when it answers with an error, and what should happen next.
 *
 * Providers agree on neither codes nor texts nor HTTP statuses: a rate limit comes as 408, a wrong key as 200, and a contract
 * may revert with the words of any of them. So the whole reply is read, reverts first, then a table of {@link rows}, and the
 * answer is one of seventeen kinds. Each carries its verdict (`Outcome`), so that breakers, retries and pools need to
 * know no provider.
 *
 * - {@link JsonRpc.Rejected}: the chain's own answer. Final, and passed on untouched.
 * - {@link ResponseError}: the upstream says that it cannot answer.
 * - {@link TransportError}: there is no answer.
 *
 * **Not promised.** The texts are the providers' own and change without notice. What nobody knows counts as a failure that
 * another upstream may make good.
 */
import { JsonRpc, Outcome } from "@hawser/core"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Predicate from "effect/Predicate"
import * as Classify from "./internal/errors/classify.ts"
import type { Hints } from "./internal/errors/hints.ts"
import { isRejected, type Kind, meanings, type TroubleKind } from "./internal/errors/kind.ts"
import { read, type Row } from "./internal/errors/row.ts"
import { rows } from "./internal/errors/rows.ts"
import { codeOf, type Reply } from "./internal/errors/said.ts"

export type { Hints } from "./internal/errors/hints.ts"
export type { Kind, TroubleKind } from "./internal/errors/kind.ts"
export type { Row } from "./internal/errors/row.ts"
export type { Reply } from "./internal/errors/said.ts"

/** No answer, on our side of the wire: no connection, a lost one, or a reply that is none. */
export class TransportError extends Data.TaggedError("TransportError")<{
  readonly upstream: string
  /**
   * `connect`: DNS, TCP or TLS failed. `closed`: the connection ended before the reply did. `reply`: half a document, HTML,
   * a foreign id, no result. `too-large`: more bytes than we take.
   */
  readonly reason: "connect" | "closed" | "reply" | "too-large"
  readonly message: string
  readonly status?: number
  readonly cause?: unknown
  /** Whether any of the request may have reached the upstream. If none has, even a write may be tried elsewhere. */
  readonly reached: boolean
}> {
  get [Outcome.TypeId](): Outcome.Verdict {
    if (!this.reached) return unreached
    // To ask again for what was too large is to get it again.
    return this.reason === "too-large" ? tooLarge : Outcome.verdict()
  }
}

export const isTransportError = (u: unknown): u is TransportError =>
  Predicate.isTagged(u, "TransportError") && Outcome.TypeId in u

const unreached = Outcome.verdict({ ran: "no" })

const tooLarge = Outcome.verdict({ again: "elsewhere" })

/** The upstream answered that it cannot answer. */
export class ResponseError extends Data.TaggedError("ResponseError")<{
  readonly upstream: string
  readonly kind: TroubleKind
  /** The JSON-RPC error code, if there was one. */
  readonly code: number | undefined
  readonly message: string
  /** The JSON-RPC error's `data`. */
  readonly data: unknown
  /** The HTTP status. */
  readonly status: number | undefined
  /** When the upstream is worth asking again: its own word, or what its kind suggests. Not capped. */
  readonly retryAfter: Duration.Duration | undefined
  /** What it says about its limits. */
  readonly hints: Hints
  readonly [Outcome.TypeId]: Outcome.Verdict
}> {}

export const isResponseError = (u: unknown): u is ResponseError =>
  Predicate.isTagged(u, "ResponseError") && Outcome.TypeId in u

/** What a reply was found to mean. */
export interface Classified {
  readonly kind: Kind
  readonly retryAfter: Duration.Duration | undefined
  readonly hints: Hints
  /** `no`: a write provably did not run. */
  readonly ran: Outcome.Verdict["ran"]
}

export { rows } from "./internal/errors/rows.ts"

/**
 * The table with rows of your own before it. They win over every other, but not over a revert: its words are the
 * contract's. A row that cannot be used is an `InvalidOption`, thrown here. `option` is what it calls the list.
 *
 * ```ts
 * const table = RpcError.extend([
 *   { kind: "quota", pattern: "team budget spent", pause: 600_000 },
 *   { kind: "range", pattern: /at most (\d+) epochs/, hints: () => ({ range: { blocks: 32 } }) }
 * ])
 * ```
 */
export const extend = (own: ReadonlyArray<Row>, option = "RpcError.extend"): ReadonlyArray<Row> => [
  ...read(option, own),
  ...rows
]

/**
 * Reads an error reply. `now` is the wall clock in milliseconds, for `Retry-After` dates.
 *
 * Never throws, whatever was sent, and takes time in proportion to what it reads: at most 4 kB each of the message, its
 * data and the body. A table is made ready when it is first used, so keep the one that {@link extend} gives.
 */
export const classify = (reply: Reply, now: number, table: ReadonlyArray<Row> = rows): Classified => {
  const { retryAfter, ...found } = Classify.classify(reply, now, table)
  return { ...found, retryAfter: retryAfter === undefined ? undefined : Duration.millis(retryAfter) }
}

/** The verdict of a kind: how it counts, where the request may be tried again, whether a write may have run. */
export const verdictOf = (
  kind: Kind,
  fields?: Partial<Pick<Outcome.Verdict, "retryAfter" | "ran">>
): Outcome.Verdict => {
  const { again, counts, ran } = meanings[kind]
  return Outcome.verdict({ again, counts, ran: fields?.ran ?? ran, retryAfter: fields?.retryAfter })
}

/**
 * Makes the error of a reply that has been classified. Keeps what the upstream sent, its data untouched; a reply may be
 * classified as it came and made an error of as it may be shown.
 */
export const make = (upstream: string, reply: Reply, classified: Classified): JsonRpc.Rejected | ResponseError => {
  const { hints, kind, ran, retryAfter } = classified
  const data = reply.error?.data
  const code = codeOf(reply)
  const message = messageOf(reply, code)
  const verdict = verdictOf(kind, { ran, retryAfter })
  return Outcome.stackless(() =>
    isRejected(kind)
      ? new JsonRpc.Rejected({ upstream, code: code ?? serverError, message, data, kind, [Outcome.TypeId]: verdict })
      : new ResponseError({
          upstream,
          kind,
          code,
          message: message.length > longest ? `${message.slice(0, longest)}…` : message,
          data,
          status: reply.status,
          retryAfter,
          hints,
          [Outcome.TypeId]: verdict
        })
  )
}

/** Characters of a message that are kept when nobody but a log will read it. */
const longest = 1_000

/** The code of an answer that came without one. */
const serverError = -32000

const messageOf = ({ body, error, status }: Reply, code: number | undefined): string => {
  if (typeof error?.message === "string" && error.message !== "") return error.message
  if (error !== undefined) return `JSON-RPC error ${code ?? "without a code"}`
  const said = body === undefined ? undefined : headline(body.slice(0, 4_096).trimStart())
  return said === undefined ? `HTTP ${status}` : `HTTP ${status}: ${said.trim()}`
}

/** The title of a page, or the first line of a text. */
const headline = (body: string): string | undefined =>
  /<title>([^<]{1,200})</i.exec(body)?.[1] ?? /^[^<{[][^\n]{0,199}/.exec(body)?.[0]
