import { Call, JsonRpc, Provider, RpcError, Write } from "hawser"
import { makeError } from "ethers"

/** The `error` of a JSON-RPC reply. */
export interface Answer {
  readonly code: number
  readonly message: string
  readonly data?: unknown
}

/** The code by which a user says no (EIP-1193). */
const denied = 4001

/**
 * What was answered, by the chain, by the user, or by all of those that could be asked: that they do not know the method.
 * `undefined`: nothing.
 */
export const answerOf = (error: unknown): Answer | undefined => {
  if (error instanceof JsonRpc.Rejected) return answer(error.code, error)
  if (!(error instanceof Call.NoAnswer) || error instanceof Write.InDoubt) return undefined
  const said = error.causes.map((cause) => cause.error).filter((cause) => cause instanceof RpcError.ResponseError)
  const [first] = said
  if (first === undefined) return undefined
  const isFinal = said.every(({ code }) => code === denied) || said.every(({ kind }) => kind === "unsupported")
  return isFinal ? answer(first.code ?? -32601, first) : undefined
}

// Data that is not there is not shown as undefined: the application sees what the node sent.
const answer = (code: number, { data, message }: Omit<Answer, "code">): Answer =>
  data === undefined ? { code, message } : { code, message, data }

/** Whether ethers makes a call exception of whatever is answered. */
export const isCall = (method: string): boolean => method === "eth_call" || method === "eth_estimateGas"

/** What is not the chain's own answer, in ethers' terms. Never a call exception: nobody ran the call. */
export const toEthersError = (error: unknown, method: string): unknown => {
  if (answerOf(error) !== undefined) {
    const { message } = error as Error
    return withCause(makeError(message, "UNSUPPORTED_OPERATION", { operation: method }), error as Error)
  }
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
