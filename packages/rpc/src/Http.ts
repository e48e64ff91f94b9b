/**
 * JSON-RPC over HTTP: one upstream.
 *
 * On Node.js the requests go through `undici`'s dispatcher, at a tenth of what `fetch` costs; elsewhere through `fetch`.
 * A reply counts as an answer only if it is one: whole JSON, with the id that was asked, with a result or an error.
 * Anything else is a failed upstream.
 */
import { JsonRpc, Options as Read, Outcome } from "@hawser/core"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as dispatcher from "#dispatch"
import type { Dispatch, Fault, Reply, Target } from "./internal/dispatch.ts"
import { redactDeep, redactor } from "./internal/redact.ts"
import { type JsonRpcError, readReply } from "./internal/reply.ts"
import * as RpcError from "./RpcError.ts"

export interface Options {
  /** `http:` or `https:`. A user and password in it become basic authentication. */
  readonly url: string | URL
  /** What it is called in errors, logs and metrics. Default: the URL's host. */
  readonly name?: string | undefined
  /** Sent with every request. Their values appear in no error, log or metric. */
  readonly headers?: Readonly<Record<string, string>> | undefined
  /** Bytes a reply may have before it counts as a fault. Default 64 MiB. */
  readonly maxBodySize?: number | undefined
  /** Sockets that may be open at once; further requests wait for one. Default 128. Node.js only. */
  readonly connections?: number | undefined
  /** How long an idle socket is kept unless the server says otherwise. Default 4 seconds. Node.js only. */
  readonly keepAlive?: Duration.Input | undefined
  /** Rules that come before the built-in ones when an error is classified. */
  readonly errors?: ReadonlyArray<RpcError.Row> | undefined
}

export interface Inspection {
  /** Open sockets. */
  readonly open: number
  /** Requests that wait for their reply, and those that wait for a socket. */
  readonly inflight: number
  readonly queued: number
}

/** What an HTTP upstream fails with. */
export type HttpError = RpcError.TransportError | RpcError.ResponseError | JsonRpc.Rejected

/**
 * An upstream. Opens no socket before the first request, closes all with its scope, and keeps no process alive while
 * idle.
 */
export const make = (options: Options): Effect.Effect<JsonRpc.Service<HttpError>, never, Scope.Scope> =>
  build(read(options))

/** An upstream as a layer. */
export const layer = (options: Options): Layer.Layer<JsonRpc.Upstream<HttpError>> => {
  const settings = read(options)
  return Layer.effect(JsonRpc.upstream<HttpError>())(build(settings))
}

const build = (settings: Settings): Effect.Effect<JsonRpc.Service<HttpError>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const dispatch = yield* Effect.acquireRelease(
      Effect.sync(() => dispatcher.make(settings.target)),
      (dispatch) => Effect.promise(() => dispatch.close())
    )
    return new Upstream(settings, dispatch, clock)
  })

class Upstream implements JsonRpc.Service<HttpError> {
  readonly name: string
  private readonly settings: Settings
  private readonly dispatch: Dispatch
  private readonly clock: Clock.Clock
  private id = 0

  constructor(settings: Settings, dispatch: Dispatch, clock: Clock.Clock) {
    this.name = settings.name
    this.settings = settings
    this.dispatch = dispatch
    this.clock = clock
  }

  readonly inspect = (): JsonRpc.Inspection => ({ name: this.name, http: this.dispatch.inspect() })

  readonly request = (request: JsonRpc.Request): Effect.Effect<unknown, HttpError> =>
    Effect.callback<unknown, HttpError>((resume) => {
      const id = ++this.id
      const body = encode(id, request)
      if (body === undefined) return resume(Effect.fail(unwritable(this.name, request)))
      let abort = this.dispatch.post(body, (fault, reply) => {
        // A server may close an idle socket in the moment we use it. A read can be sent again, on a fresh one.
        if (fault?.stale === true && request.nature === "read") {
          abort = this.dispatch.post(body, (fault, reply) => resume(this.end(id, request, fault, reply)), true)
        } else resume(this.end(id, request, fault, reply))
      })
      return Effect.sync(() => abort())
    })

  private end(
    id: number,
    request: JsonRpc.Request,
    fault: Fault | undefined,
    reply: Reply | undefined
  ): Effect.Effect<unknown, HttpError> {
    if (fault !== undefined) return this.broken(fault.reason, fault.message, fault.reached)
    const outcome = readReply(id, reply!)
    if (outcome.kind === "result") return Effect.succeed(outcome.result)
    if (outcome.kind === "malformed") return this.broken("reply", outcome.message, true, reply!.status)
    return Effect.fail(this.refused(request, reply!, outcome.error))
  }

  private broken(reason: RpcError.TransportError["reason"], message: string, reached: boolean, status?: number) {
    const { redact } = this.settings
    return Effect.fail(
      Outcome.stackless(
        () =>
          new RpcError.TransportError({
            upstream: this.name,
            reason,
            message: redact(message),
            reached,
            ...(status === undefined ? {} : { status })
          })
      )
    )
  }

  private refused(request: JsonRpc.Request, reply: Reply, error: JsonRpcError | undefined) {
    const { errors, redact } = this.settings
    const said = {
      method: request.method,
      nature: request.nature,
      status: reply.status,
      retryAfter: reply.retryAfter,
      error,
      body: error === undefined ? reply.body.slice(0, 4096) : undefined
    }
    const classified = RpcError.classify(said, this.clock.currentTimeMillisUnsafe(), errors)
    // Classified as it was said, shown without credentials.
    const shown = {
      ...said,
      error: error === undefined ? undefined : (redactDeep(error, redact) as JsonRpcError),
      body: said.body === undefined ? undefined : redact(said.body)
    }
    return RpcError.make(this.name, shown, classified)
  }
}

// Written by hand: the frame is always the same.
const encode = (id: number, { method, params }: JsonRpc.Request): string | undefined => {
  try {
    const list = params.length === 0 ? "[]" : JSON.stringify(params)
    return `{"jsonrpc":"2.0","id":${id},"method":${JSON.stringify(method)},"params":${list}}`
  } catch {
    return undefined
  }
}

const unwritable = (upstream: string, request: JsonRpc.Request): JsonRpc.Rejected =>
  new JsonRpc.Rejected({
    upstream,
    code: -32602,
    message: `the params of ${request.method} cannot be written as JSON (a bigint, a cycle?)`,
    data: undefined,
    kind: "invalid",
    [Outcome.TypeId]: Outcome.verdict({ counts: "neutral", again: "nowhere", ran: "no" })
  })

interface Settings {
  readonly name: string
  readonly target: Target
  readonly redact: (text: string) => string
  readonly errors: ReadonlyArray<RpcError.Row>
}

const read = (options: Options): Settings => {
  const given = Read.read("Http", options, {
    url: Read.any<unknown>(),
    name: Read.string({ default: undefined }),
    headers: Read.any<Readonly<Record<string, string>>>(),
    maxBodySize: Read.integer({ min: 1, default: 64 * 1024 * 1024 }),
    connections: Read.integer({ min: 1, default: 128 }),
    keepAlive: Read.duration({ default: "4 seconds" }),
    errors: Read.any<ReadonlyArray<RpcError.Row>>()
  })
  const url = readUrl(given.url)
  const headers = readHeaders(given.headers)
  if (url.username !== "" || url.password !== "") {
    headers["authorization"] ??= `Basic ${btoa(`${decode(url.username)}:${decode(url.password)}`)}`
  }
  return {
    name: given.name ?? url.host,
    target: {
      origin: url.origin,
      path: url.pathname + url.search,
      headers: { "content-type": "application/json", "user-agent": "hawser", ...headers },
      maxBodySize: given.maxBodySize,
      connections: given.connections,
      keepAlive: given.keepAlive
    },
    redact: redactor(url, headers),
    errors: given.errors === undefined ? RpcError.rows : RpcError.extend(given.errors, "Http.errors")
  }
}

const readUrl = (given: unknown): URL => {
  const url =
    given instanceof URL ? given : typeof given === "string" && URL.canParse(given) ? new URL(given) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    // The text may hold a key, so it is not repeated.
    return Read.reject("Http.url", "an http: or https: URL", typeof given === "string" ? Read.hidden : given)
  }
  return url
}

const readHeaders = (given: unknown): Record<string, string> => {
  if (given === undefined) return {}
  const expected = "a record of header names and string values"
  if (typeof given !== "object" || given === null) return Read.reject("Http.headers", expected, given)
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(given)) {
    if (typeof value !== "string" || /[\r\n\0]/.test(value) || !/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) {
      Read.reject(`Http.headers.${name}`, expected, Read.hidden)
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
