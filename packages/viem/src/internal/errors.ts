import { Call, JsonRpc, Provider, RpcError, Write } from "hawser"

/** What was asked, as viem shows it. */
type Body = { readonly method: string; readonly params?: ReadonlyArray<unknown> | undefined }

/** What an error of viem's is made of. `url` is the host, or the hosts, that were asked: no path, no query and no user. */
interface Failure {
  readonly body: Record<string, unknown>
  readonly url: string
  readonly cause: Error
  readonly status: number | undefined
}

/** The errors that viem's own `http()` throws, in the terms of one major version. */
export interface Constructors {
  /** A node's answer. From its code viem builds its classes, from its data a revert. */
  readonly rpc: (
    failure: Failure & { readonly code: number; readonly message: string; readonly data: unknown }
  ) => Error
  readonly http: (failure: Failure) => Error
  readonly timeout: (failure: Failure) => Error
  readonly bug: (failure: Failure) => Error
}

/** Turns an error of ours into the one that viem's own `http()` would have thrown. */
export type ToViemError = (error: unknown, asked: Body) => unknown

/** Makes that function of the constructors of one major version. */
export const mapper =
  (make: Constructors): ToViemError =>
  (error, { method, params }) => {
    const failing = (cause: Error, url = "", status?: number): Failure => ({
      body: { method, params },
      url,
      cause,
      status
    })
    if (error instanceof JsonRpc.Rejected) {
      const { code, data, message } = error
      return make.rpc({ ...failing(error, error.upstream), code, data, message })
    }
    if (error instanceof Call.NoAnswer) return because(noAnswer(error, make, failing), error)
    if (error instanceof Call.DeadlineExceeded) return because(make.timeout(failing(error, urlOf(error.causes))), error)
    if (error instanceof Provider.Closed) return because(make.http(failing(error)), error)
    if (error instanceof Call.Defect) return because(make.bug(failing(error)), error)
    return error
  }

const noAnswer = (
  error: Call.NoAnswer,
  make: Constructors,
  failing: (cause: Error, url: string, status?: number) => Failure
): Error => {
  const url = urlOf(error.causes)
  // Its message names the transaction that may have been accepted.
  if (error instanceof Write.InDoubt) return make.http(failing(error, url))
  const said = error.causes.map((cause) => cause.error)
  const responses = said.filter((cause) => cause instanceof RpcError.ResponseError)
  const [first] = responses
  if (first?.code !== undefined && isVerdict(first, responses, said.length)) {
    const { code, data, status } = first
    return make.rpc({ ...failing(error, url, status), code, data, message: error.message })
  }
  return said.length > 0 && said.every((cause) => isTagged(cause, "TimeoutError"))
    ? make.timeout(failing(error, url))
    : make.http(failing(error, url, responses.at(-1)?.status))
}

/**
 * When all upstreams said the same, that is what the caller wants to know. That a method is not there is enough from those
 * that could be asked: viem takes another way then.
 */
const isVerdict = (
  { code, kind }: RpcError.ResponseError,
  responses: ReadonlyArray<RpcError.ResponseError>,
  asked: number
): boolean =>
  kind === "unsupported"
    ? responses.every((response) => response.kind === kind)
    : responses.length === asked && responses.every((response) => response.code === code)

const urlOf = (causes: ReadonlyArray<Call.Failure>): string => causes.map(({ upstream }) => upstream).join(", ")

const because = <E extends Error>(error: E, cause: Error): E => {
  error.cause = cause
  return error
}

const isTagged = (error: unknown, tag: string): boolean =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === tag
