import type { Reply } from "./dispatch.ts"

/** What a reply to one request is. */
export type Outcome =
  | { readonly kind: "result"; readonly result: unknown }
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
  const ok = reply.status >= 200 && reply.status < 300
  let document: unknown
  try {
    document = JSON.parse(reply.body)
  } catch {
    return ok ? malformed(notJson(reply.body)) : httpError
  }
  if (typeof document !== "object" || document === null || Array.isArray(document)) {
    return ok ? malformed("a reply that is not a JSON-RPC response") : httpError
  }
  const { error, id: theirs, result } = document as Record<string, unknown>
  const ours = theirs === id || theirs === String(id)
  if (error !== undefined && error !== null) {
    // A node that could not read the request does not know its id.
    if (!ours && theirs !== undefined && theirs !== null) return malformed(foreign)
    return { kind: "error", error: typeof error === "object" ? error : { message: error } }
  }
  if (!ok) return httpError
  if (result === undefined) return malformed("a reply without a result")
  return ours ? { kind: "result", result } : malformed(foreign)
}

const httpError: Outcome = { kind: "error", error: undefined }

const foreign = "a reply to another request (foreign id)"

const malformed = (message: string): Outcome => ({ kind: "malformed", message })

const notJson = (body: string): string => {
  if (body === "") return "an empty reply"
  return /^\s*</.test(body) ? "HTML instead of JSON" : `a reply that is not whole JSON (${body.length} characters)`
}
