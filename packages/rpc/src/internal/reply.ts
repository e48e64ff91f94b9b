import type { Reply } from "./dispatch.ts"

/** What a reply to one request is. */
export type Outcome = { readonly kind: "result"; readonly result: unknown } | Failed

/** Why it is no result. */
export type Failed =
  /** A JSON-RPC error, or an HTTP error without one. */
  | { readonly kind: "error"; readonly error: JsonRpcError | undefined }
  /** Not a reply to what was asked. */
  | { readonly kind: "malformed"; readonly message: string }

export interface JsonRpcError {
  readonly code?: unknown
  readonly message?: unknown
  readonly data?: unknown
}

/** Reads a reply. Only whole JSON with our id and a result is a result. */
export const readReply = (id: number, reply: Reply): Outcome => {
  const document = parse(reply)
  return document === undefined
    ? notJson(reply)
    : readItem(document, accepted(reply), (theirs) => theirs === id || theirs === String(id))
}

/** Reads one response. `ok`: the HTTP status was one of success. `ours`: whether an id is that of the request. */
export const readItem = (item: unknown, ok: boolean, ours: (id: unknown) => boolean): Outcome => {
  if (typeof item !== "object" || item === null || Array.isArray(item)) {
    return ok ? malformed("a reply that is not a JSON-RPC response") : httpError
  }
  const { error, id, result } = item as Record<string, unknown>
  if (error !== undefined && error !== null) {
    // A node that could not read the request does not know its id.
    if (id !== undefined && id !== null && !ours(id)) return malformed(foreign)
    return { kind: "error", error: typeof error === "object" ? error : { message: error } }
  }
  if (!ok) return httpError
  if (result === undefined) return malformed("a reply without a result")
  return ours(id) ? { kind: "result", result } : malformed(foreign)
}

/** The JSON of a body; `undefined` if it is none. */
export const parse = ({ body }: Reply): unknown => {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}

/** What a body without JSON is. */
export const notJson = (reply: Reply): Failed => {
  const { body } = reply
  if (!accepted(reply)) return httpError
  if (body === "") return malformed("an empty reply")
  return malformed(
    /^\s*</.test(body) ? "HTML instead of JSON" : `a reply that is not whole JSON (${body.length} characters)`
  )
}

export const accepted = ({ status }: Reply): boolean => status >= 200 && status < 300

export const malformed = (message: string): Failed => ({ kind: "malformed", message })

const httpError: Failed = { kind: "error", error: undefined }

const foreign = "a reply to another request (foreign id)"
