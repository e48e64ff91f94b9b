/**
 * What can go wrong with a request, as plain data. Everything here is exported by `Scenario`.
 *
 * Some faults take the whole HTTP request, others change the answer to one call in it. They differ only in batches: a
 * call that meets one of the first takes its whole batch along, one that meets one of the second fails alone.
 */
import { Options } from "@hawser/core"
import type * as Duration from "effect/Duration"

/** What takes the whole HTTP request. */
export type ExchangeFault =
  | { readonly _tag: "Hang" }
  | { readonly _tag: "Drop"; readonly sent: number }
  | { readonly _tag: "Refuse" }
  | ({ readonly _tag: "Status"; readonly body: string | undefined } & Head)
  | { readonly _tag: "Truncated" }
  | { readonly _tag: "Drip"; readonly over: number; readonly pieces: number }
  | { readonly _tag: "Oversized"; readonly bytes: number; readonly declared: boolean }
  | { readonly _tag: "Batch"; readonly how: BatchFault }

/** What changes the answer to one call. */
export type AnswerFault =
  | ({ readonly _tag: "Error"; readonly code: number; readonly message: string; readonly data: unknown } & Head)
  | { readonly _tag: "Answer"; readonly result: unknown }
  | { readonly _tag: "Malformed"; readonly how: Malformation }
  | { readonly _tag: "Behind"; readonly blocks: number }
  | { readonly _tag: "Frozen" }
  | { readonly _tag: "WrongChain"; readonly chainId: number }

export type Fault = ExchangeFault | AnswerFault

/** The head of an HTTP answer. Times are milliseconds from the answer on. */
export interface Head {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly retryAfter: number | undefined
  readonly retryAt: number | undefined
}

export interface HeadOptions {
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Adds `Retry-After` in whole seconds, rounded up. */
  readonly retryAfter?: Duration.Input | undefined
  /** Adds `Retry-After` as an HTTP date this far ahead, rounded up to a second, and `Date`, both by the node's clock. */
  readonly retryAt?: Duration.Input | undefined
}

const batchFaults = ["refused", "missing", "duplicate", "shuffled", "nullIds"] as const

/**
 * What is wrong with the answer to a batch: one error for all of it, the last answer left out, the last answer under the
 * first one's id, the answers in another order (which the specification allows), or every id null.
 */
export type BatchFault = (typeof batchFaults)[number]

const malformations = [
  "foreignId",
  "nullId",
  "noId",
  "stringId",
  "noResult",
  "resultAndError",
  "noVersion",
  "oldVersion",
  "stringError",
  "emptyError",
  "null",
  "array"
] as const

/**
 * How an answer is not the JSON-RPC 2.0 it should be: an id nobody asked under, a null one, none, the right one as a
 * string; neither result nor error, or both; no `jsonrpc`, or `"1.0"`; an error that is a string, or an empty object;
 * `null`, or a list, where the answer should be.
 */
export type Malformation = (typeof malformations)[number]

/** Never answers. The connection stays open until the client or the node closes it. */
export const hang: ExchangeFault = { _tag: "Hang" }

/** Closes the connection without a byte of an answer. */
export const drop: ExchangeFault = { _tag: "Drop", sent: 0 }

/** Announces the whole answer, sends half of it and closes the connection. */
export const dropMidway: ExchangeFault = { _tag: "Drop", sent: 0.5 }

/**
 * The port is closed: connections are refused, those open are closed. No other process gets the port meanwhile.
 *
 * Nobody can ask a closed port, so this heeds only what is known without a request: `timeline`, `after`, `firstOf`,
 * `together`. Under `when` and `sometimes` the port stays open and the request's connection is reset.
 */
export const refuse: ExchangeFault = { _tag: "Refuse" }

/** Sends half of the answer as if it were all: a complete HTTP response with a broken JSON document. */
export const truncated: ExchangeFault = { _tag: "Truncated" }

/**
 * Answers with an HTTP status. Any status, 200 too: a body that is no JSON-RPC answer is the fault.
 *
 * The body is sent as it is if it is a string, as JSON otherwise. Without one it is the HTML page of a web server.
 */
export const status = (code: number, options?: HeadOptions & { readonly body?: unknown }): ExchangeFault => {
  const given = Options.read("Scenario.status", options, { ...headReaders, body: Options.any<unknown>() })
  const { body } = given
  return {
    _tag: "Status",
    ...head(given, statusOf("Scenario.status", code), typeof body),
    body: body === undefined || typeof body === "string" ? body : JSON.stringify(body)
  }
}

/** Sends the head of the answer at once and the body in pieces, evenly over a time. */
export const drip = (over: Duration.Input, pieces = 10): ExchangeFault => ({
  _tag: "Drip",
  over: Options.duration()("Scenario.drip", over),
  pieces: Options.integer({ min: 2 })("Scenario.drip", pieces)
})

/**
 * Puts blanks before the answer until it has this many bytes: still the right answer to whoever reads it all.
 *
 * `declared: false` leaves out the `Content-Length`, so that a client learns the size only as it reads.
 */
export const oversized = (bytes: number, options?: { readonly declared?: boolean }): ExchangeFault => ({
  _tag: "Oversized",
  bytes: Options.integer({ min: 1 })("Scenario.oversized", bytes),
  ...Options.read("Scenario.oversized", options, { declared: Options.boolean({ default: true }) })
})

/** Answers a batch wrongly. Does not apply to a single call. */
export const batch = (how: BatchFault): ExchangeFault => ({
  _tag: "Batch",
  how: Options.oneOf(batchFaults, "refused")("Scenario.batch", how)
})

/** Answers a call with a JSON-RPC error. In a batch the first call's HTTP status and headers stand for all. */
export const error = (
  code: number,
  message: string,
  options?: HeadOptions & { readonly data?: unknown; readonly status?: number | undefined }
): AnswerFault => {
  const given = Options.read("Scenario.error", options, {
    ...headReaders,
    data: Options.any<unknown>(),
    status: Options.any<number>()
  })
  return {
    _tag: "Error",
    code,
    message,
    data: given.data,
    ...head(given, statusOf("Scenario.error.status", given.status ?? 200), "object")
  }
}

/** Answers a call with this result, whatever was asked. */
export const answer = (result: unknown): AnswerFault => ({ _tag: "Answer", result })

/** Answers a call in a wrong shape. */
export const malformed = (how: Malformation): AnswerFault => ({
  _tag: "Malformed",
  how: Options.oneOf(malformations, "foreignId")("Scenario.malformed", how)
})

/** Answers as if the head were this many blocks lower: newer blocks and what they hold are unknown. */
export const behind = (blocks: number): AnswerFault => ({
  _tag: "Behind",
  blocks: Options.integer({ min: 1 })("Scenario.behind", blocks)
})

/** Answers as if the head stood still where this object first met a call since the scenario began. */
export const frozen: AnswerFault = { _tag: "Frozen" }

/** Answers for another chain: its id, and, without a node behind, its blocks. */
export const wrongChain = (chainId: number): AnswerFault => ({
  _tag: "WrongChain",
  chainId: Options.integer({ min: 0 })("Scenario.wrongChain", chainId)
})

const headReaders = {
  headers: Options.any<Readonly<Record<string, string>>>(),
  retryAfter: Options.duration({ min: 0, default: undefined }),
  retryAt: Options.duration({ min: 0, default: undefined })
}

const statusOf = Options.integer({ min: 200, max: 599 })

const head = (
  given: {
    readonly headers: Readonly<Record<string, string>> | undefined
    readonly retryAfter: number | undefined
    readonly retryAt: number | undefined
  },
  status: number,
  body: string
): Head => ({
  status,
  headers: {
    "content-type": body === "object" ? "application/json" : "text/html",
    ...Object.fromEntries(Object.entries(given.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]))
  },
  retryAfter: given.retryAfter,
  retryAt: given.retryAt
})
