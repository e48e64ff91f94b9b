import { Call, JsonRpc, Provider, RpcError, Write } from "hawser"
import { makeError } from "ethers"

/** What a node answered, as the `error` of a JSON-RPC reply, or `undefined` when no node did. */
export const answerOf = (
  error: unknown
): { readonly code: number; readonly message: string; readonly data?: unknown } | undefined => {
  if (error instanceof JsonRpc.Rejected) return { code: error.code, message: error.message, data: error.data }
  // A method that no upstream knows, of those that could be asked, is an answer, too: ethers tries another way then.
  if (error instanceof Call.NoAnswer && !(error instanceof Write.InDoubt)) {
    const said = error.causes.map((cause) => cause.error).filter((cause) => cause instanceof RpcError.ResponseError)
    const [first] = said
    if (first !== undefined && said.every(({ kind }) => kind === "unsupported")) {
      return { code: first.code ?? -32601, message: `the method does not exist: ${error.message}`, data: first.data }
    }
  }
  return undefined
}

/** An infrastructure failure in ethers' terms. Never a call exception: nobody ran the call. */
export const toEthersError = (error: unknown, method: string): unknown => {
  if (error instanceof Provider.Closed) {
    const message = "provider destroyed; cancelled request"
    return withCause(makeError(message, "UNSUPPORTED_OPERATION", { operation: method }), error)
  }
  if (error instanceof Call.DeadlineExceeded) {
    return withCause(makeError(error.message, "TIMEOUT", { operation: method, reason: "timeout" }), error)
  }
  // Its message names the transaction that may have been accepted.
  if (error instanceof Write.InDoubt)
    return withCause(makeError(error.message, "SERVER_ERROR", { request: method }), error)
  if (error instanceof Call.NoAnswer) {
    const tags = error.causes.map((cause) => (cause.error as { readonly _tag?: string })._tag)
    if (tags.length > 0 && tags.every((tag) => tag === "TimeoutError")) {
      return withCause(makeError(error.message, "TIMEOUT", { operation: method, reason: "timeout" }), error)
    }
    if (tags.length > 0 && tags.every((tag) => tag === "WrongChain")) {
      return withCause(makeError(error.message, "NETWORK_ERROR", { event: "wrong-chain" }), error)
    }
    return withCause(makeError(error.message, "SERVER_ERROR", { request: method }), error)
  }
  if (error instanceof Call.Defect) {
    return withCause(makeError(error.message, "UNKNOWN_ERROR", { operation: method }), error)
  }
  return error
}

/** Whether an error says only that no node answered. */
export const isInfrastructure = (error: unknown): boolean =>
  error instanceof Error &&
  [Call.NoAnswer, Call.DeadlineExceeded, Provider.Closed].some((kind) => error.cause instanceof kind)

const withCause = (error: Error, cause: Error): Error => {
  error.cause = cause
  return error
}
