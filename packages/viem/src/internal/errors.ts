import { Call, JsonRpc, RpcError } from "hawser"
import { BaseError, HttpRequestError, RpcRequestError, TimeoutError } from "viem"

interface Body {
  readonly method: string
  readonly params?: ReadonlyArray<unknown> | undefined
}

/**
 * The error that viem's own `http()` would have thrown. JSON-RPC errors keep their code and data, from which viem builds
 * its classes; all else becomes an HTTP error or a timeout, with ours as its cause.
 */
export const toViemError = (error: unknown, request: Body): unknown => {
  const body = { method: request.method, params: request.params }
  if (error instanceof JsonRpc.Rejected) return rpcError(body, error.upstream, error.code, error.message, error.data)
  if (error instanceof Call.NoAnswer) return noAnswer(error, body)
  if (error instanceof Call.DeadlineExceeded) {
    return because(new TimeoutError({ body, url: urlOf(error.causes) }), error)
  }
  if (error instanceof Call.Defect) return because(new BaseError("Request failed.", { details: error.message }), error)
  return error
}

const noAnswer = (error: Call.NoAnswer, body: Record<string, unknown>): Error => {
  const url = urlOf(error.causes)
  const said = error.causes.map((cause) => cause.error)
  // When all upstreams said the same, that is what the caller wants to know.
  const responses = said.filter((cause): cause is RpcError.ResponseError => cause instanceof RpcError.ResponseError)
  const [first] = responses
  if (
    first?.code !== undefined &&
    responses.length === said.length &&
    responses.every(({ code }) => code === first.code)
  ) {
    return because(rpcError(body, url, first.code, error.message, first.data, first.status), error)
  }
  if (said.length > 0 && said.every((cause) => isTagged(cause, "TimeoutError"))) {
    return because(new TimeoutError({ body, url }), error)
  }
  const status = responses.at(-1)?.status
  return new HttpRequestError({
    body,
    url,
    cause: error,
    details: error.message,
    ...(status === undefined ? {} : { status })
  })
}

const rpcError = (
  body: Record<string, unknown>,
  upstream: string,
  code: number,
  message: string,
  data: unknown,
  status?: number
): RpcRequestError =>
  new RpcRequestError({
    body,
    url: upstream,
    error: { code, message, data },
    ...(status === undefined ? {} : { status })
  })

// viem prints the URL of its errors. Ours has no path, no query and no user.
const urlOf = (causes: ReadonlyArray<Call.Failure>): string => causes.map(({ upstream }) => upstream).join(", ")

const because = <E extends Error>(error: E, cause: Error): E => {
  error.cause = cause
  return error
}

const isTagged = (error: unknown, tag: string): boolean =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === tag
