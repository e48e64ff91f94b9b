// What the transports share: who the upstream is, how a request is written, and what becomes of a reply that is no result.
import { JsonRpc, Options as Read, Outcome } from "@hawser/core"
import * as RpcError from "../RpcError.ts"
import { redactDeep, redactor } from "./redact.ts"
import type { JsonRpcError } from "./reply.ts"

/** An upstream as a transport knows it. */
export interface Identity {
  readonly name: string
  readonly url: URL
  /** Names in lower case, `authorization` from the URL's user and password among them. */
  readonly headers: Readonly<Record<string, string>>
  /** Takes the credentials out of a text. */
  readonly redact: (text: string) => string
  readonly errors: ReadonlyArray<RpcError.Row>
}

/** Readers of the options that every transport has. */
export const readers = {
  url: Read.any<unknown>(),
  name: Read.string({ default: undefined }),
  headers: Read.any<unknown>(),
  errors: Read.any<ReadonlyArray<RpcError.Row>>()
}

/** Reads what {@link readers} let through. `schemes`: two of them, such as `["http:", "https:"]`. */
export const identify = (
  owner: string,
  schemes: readonly [string, string],
  given: { readonly [K in keyof typeof readers]: ReturnType<(typeof readers)[K]> }
): Identity => {
  const url = readUrl(`${owner}.url`, schemes, given.url)
  const headers = readHeaders(`${owner}.headers`, given.headers)
  if (url.username !== "" || url.password !== "") {
    headers["authorization"] ??= `Basic ${btoa(`${decode(url.username)}:${decode(url.password)}`)}`
  }
  return {
    name: given.name ?? url.host,
    url,
    headers,
    redact: redactor(url, headers),
    errors: given.errors === undefined ? RpcError.rows : RpcError.extend(given.errors, `${owner}.errors`)
  }
}

/**
 * A request as text; `undefined` if its params cannot be written. By hand, for the frame is always the same, and so that
 * a batch is made of its members' texts.
 */
export const encode = (id: number, { method, params }: JsonRpc.Request): string | undefined => {
  try {
    const list = params.length === 0 ? "[]" : JSON.stringify(params)
    return `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)},"params":${list}}`
  } catch {
    return undefined
  }
}

/** The caller's mistake: nothing was sent. */
export const unwritable = (upstream: string, request: JsonRpc.Request): JsonRpc.Rejected =>
  new JsonRpc.Rejected({
    upstream,
    code: -32602,
    message: `the params of ${request.method} cannot be written as JSON (a bigint, a cycle?)`,
    data: undefined,
    kind: "invalid",
    [Outcome.TypeId]: Outcome.verdict({ counts: "neutral", again: "nowhere", ran: "no" })
  })

/** There is no reply, or none that is one. */
export const broken = (
  { name, redact }: Identity,
  reason: RpcError.TransportError["reason"],
  message: string,
  reached: boolean,
  status?: number
): RpcError.TransportError =>
  Outcome.stackless(
    () =>
      new RpcError.TransportError({
        upstream: name,
        reason,
        message: redact(message),
        reached,
        ...(status === undefined ? {} : { status })
      })
  )

/** What came instead of a result: a JSON-RPC error, or else an HTTP error's body. */
export interface Refusal {
  /** 200 where there is none, as over WebSocket. */
  readonly status: number
  readonly retryAfter?: string | undefined
  readonly error?: JsonRpcError | undefined
  readonly body?: string | undefined
}

/** The error of a reply, classified as it was said and shown without credentials. `now` is the wall clock. */
export const refused = (
  { errors, name, redact }: Identity,
  { method, nature }: JsonRpc.Request,
  { body, error, retryAfter, status }: Refusal,
  now: number
): JsonRpc.Rejected | RpcError.ResponseError => {
  const said = {
    method,
    nature,
    status,
    retryAfter,
    error,
    body: error === undefined ? body?.slice(0, 4096) : undefined
  }
  const shown = {
    ...said,
    error: error === undefined ? undefined : (redactDeep(error, redact) as JsonRpcError),
    body: said.body === undefined ? undefined : redact(said.body)
  }
  return RpcError.make(name, shown, RpcError.classify(said, now, errors))
}

const readUrl = (option: string, schemes: readonly [string, string], given: unknown): URL => {
  const url =
    given instanceof URL ? given : typeof given === "string" && URL.canParse(given) ? new URL(given) : undefined
  if (url === undefined || !schemes.includes(url.protocol)) {
    // The text may hold a key, so it is not repeated.
    const expected = `${schemes[0] === "http:" ? "an" : "a"} ${schemes.join(" or ")} URL`
    return Read.reject(option, expected, typeof given === "string" ? Read.hidden : given)
  }
  return url
}

const readHeaders = (option: string, given: unknown): Record<string, string> => {
  if (given === undefined) return {}
  const expected = "a record of header names and string values"
  if (typeof given !== "object" || given === null) return Read.reject(option, expected, given)
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(given)) {
    if (typeof value !== "string" || /[\r\n\0]/.test(value) || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
      Read.reject(`${option}.${name}`, expected, Read.hidden)
    }
    headers[name.toLowerCase()] = value
  }
  return headers
}

const decode = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
