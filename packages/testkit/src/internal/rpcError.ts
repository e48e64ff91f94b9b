/** A JSON-RPC error as an answer. A value, not an exception: the node sends it. */
export class RpcError {
  readonly code: number
  readonly message: string
  readonly data: unknown

  constructor(code: number, message: string, data?: unknown) {
    this.code = code
    this.message = message
    this.data = data
  }
}

export const invalidParams = (message: string): RpcError => new RpcError(-32602, message)

/** The answer to a call: a result, or an {@link RpcError}. */
export type Answer = unknown
