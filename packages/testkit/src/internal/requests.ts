/** Reads the JSON-RPC calls of an HTTP body. */
import { RpcError } from "./rpcError.ts"

/** What a request object says. `id: undefined` is a notification's, which gets no answer. */
export interface Call {
  readonly method: string
  readonly params?: unknown
  readonly id?: unknown
}

/** What a body holds: calls, and what is none with the error that says why. */
export interface Body {
  readonly batch: boolean
  readonly items: ReadonlyArray<Call | RpcError>
}

export const parse = (text: string): Body => {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return alone(new RpcError(-32700, "parse error"))
  }
  if (!Array.isArray(json)) return alone(item(json))
  if (json.length === 0) return alone(new RpcError(-32600, "empty batch"))
  return { batch: true, items: json.map(item) }
}

const alone = (item: Call | RpcError): Body => ({ batch: false, items: [item] })

const item = (json: unknown): Call | RpcError =>
  typeof json === "object" && json !== null && "method" in json && typeof json.method === "string"
    ? (json as Call)
    : new RpcError(-32600, "invalid request")
