// What an upstream said, as text and as numbers. An error may be any JSON whatsoever, and as large as it likes.
import type { JsonRpc } from "@hawser/core"

/** An error reply: a JSON-RPC error, or an HTTP status without one. */
export interface Reply {
  readonly method: string
  readonly nature: JsonRpc.Nature
  /** The HTTP status; 200 where there is none, as over WebSocket. */
  readonly status: number
  /** The `Retry-After` header as it came. */
  readonly retryAfter?: string | undefined
  readonly error?: { readonly code?: unknown; readonly message?: unknown; readonly data?: unknown } | undefined
  /** The beginning of the body, if there was no JSON-RPC error in it. */
  readonly body?: string | undefined
}

/** Characters that are read of the message, of its data, and of the body. */
const longest = 4_096

const deepest = 4

/** Where clients and gateways put further messages. */
const messages = ["message", "error", "reason", "detail", "details", "description", "cause", "data", "errors"]

/** The message of an error and of whatever it is wrapped in, in lower case. */
export const errorText = ({ error }: Reply): string => {
  if (error === undefined) return ""
  const message = strings(error.message, longest)
  const more = strings(error.data, longest)
  return (more === "" ? message : `${message}\n${more}`).toLowerCase()
}

/** All that was said: the error's text and the body's. */
export const allText = ({ body }: Reply, errorText: string): string => {
  if (body === undefined || body === "") return errorText
  const text = body.slice(0, longest).toLowerCase()
  return errorText === "" ? text : `${errorText}\n${text}`
}

/** The JSON-RPC code, also if it came as text. */
export const codeOf = ({ error }: Reply): number | undefined => {
  const code = error?.code
  if (typeof code === "number") return Number.isSafeInteger(code) ? code : undefined
  return typeof code === "string" && /^-?\d{1,9}$/.test(code) ? Number(code) : undefined
}

// More of it than a hash with which a sentence may begin.
const hex = /^0x[0-9a-f]*$/i

/** The strings in a value: those a message may be in. Hex is data, not a message. */
const strings = (value: unknown, room: number, depth = 0): string => {
  if (room <= 0) return ""
  if (typeof value === "string") return hex.test(value.slice(0, 80)) ? "" : value.slice(0, room)
  if (typeof value !== "object" || value === null || depth === deepest) return ""
  let text = ""
  const add = (value: unknown) => {
    const more = strings(value, room - text.length - 1, depth + 1)
    if (more !== "") text = text === "" ? more : `${text}\n${more}`
  }
  if (Array.isArray(value)) for (const item of value.slice(0, 8)) add(item)
  else for (const key of messages) if (Object.hasOwn(value, key)) add((value as Record<string, unknown>)[key])
  return text
}
