/**
 * JSON-RPC over HTTP: one upstream.
 *
 * On Node.js the requests go through `undici`'s dispatcher, at a tenth of what `fetch` costs; elsewhere through `fetch`.
 * A reply counts as an answer only if it is one: whole JSON, with the id that was asked, with a result or an error.
 * Anything else is a failed upstream.
 */
import { Call, JsonRpc, Options as Read } from "@hawser/core"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import type * as Scope from "effect/Scope"
import * as dispatcher from "#dispatch"
import {
  type Asked,
  Batcher,
  type Inspection as BatchInspection,
  type Limits,
  type Transport
} from "./internal/batcher.ts"
import type { Dispatch, Fault, Posted, Reply, Sender, Target } from "./internal/dispatch.ts"
import { type Outcome, readReply } from "./internal/reply.ts"
import { broken, encode, identify, type Identity, readers, refused, unwritable } from "./internal/transport.ts"
import * as RpcError from "./RpcError.ts"

export type { BatchInspection }

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
  /**
   * Sends reads that are asked at about the same time as one JSON-RPC batch. Default false; `true` takes the defaults of
   * {@link BatchOptions}. A node that does not take batches, or only smaller ones, is remembered as such for ten minutes.
   */
  readonly batch?: boolean | BatchOptions | undefined
  /** Rules that come before the built-in ones when an error is classified. */
  readonly errors?: ReadonlyArray<RpcError.Row> | undefined
}

/**
 * When a batch is sent. Writes and requests to filters always go alone. A batch is one upstream's, so that it never holds
 * requests that differ in headers.
 */
export interface BatchOptions {
  /** Requests that a batch may have. Default 100. */
  readonly size?: number | undefined
  /** How long the first one waits for others. Default 0: until the fibers that are ready have had their turn. */
  readonly wait?: Duration.Input | undefined
  /** Characters that its body may have before no more are added. Default 1 MiB. */
  readonly bytes?: number | undefined
}

export interface Inspection {
  /** Open sockets. */
  readonly open: number
  /** Requests that wait for their reply, and those that wait for a socket. */
  readonly inflight: number
  readonly queued: number
  /** If there is a `batch` option. */
  readonly batch?: BatchInspection
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
    const upstream = new Upstream(settings.identity, dispatch, clock)
    if (settings.batch !== undefined) {
      const batcher = upstream.gather(settings.batch, yield* sooner(settings.batch.wait))
      yield* Effect.addFinalizer(() => Effect.sync(() => batcher.close()))
    }
    return upstream
  })

// In the upstream's own context: a batch is nobody's in particular, and outlives the fiber that began it.
const sooner = (wait: number): Effect.Effect<Transport<HttpError>["soon"]> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    if (wait === 0) {
      const dispatcher = (yield* Scheduler.Scheduler).makeDispatcher()
      return (flush) => {
        dispatcher.scheduleTask(flush, 0)
        return () => {}
      }
    }
    const fork = Effect.runForkWith(yield* Effect.context())
    return (flush) => {
      const fiber = fork(Effect.flatMap(clock.sleep(Duration.millis(wait)), () => Effect.sync(flush)))
      return () => fiber.interruptUnsafe()
    }
  })

class Upstream implements JsonRpc.Service<HttpError> {
  readonly name: string
  readonly contextFree = true
  private readonly identity: Identity
  private readonly dispatch: Dispatch
  private readonly clock: Clock.Clock
  private batcher: Batcher<HttpError> | undefined = undefined
  private id = 0

  constructor(identity: Identity, dispatch: Dispatch, clock: Clock.Clock) {
    this.name = identity.name
    this.identity = identity
    this.dispatch = dispatch
    this.clock = clock
  }

  readonly inspect = (): JsonRpc.Inspection => {
    const http = this.dispatch.inspect()
    const { batcher } = this
    return { name: this.name, http: batcher === undefined ? http : { ...http, batch: batcher.inspect() } }
  }

  readonly request = (request: JsonRpc.Request): Effect.Effect<unknown, HttpError> =>
    request.batch === undefined ? this.one(request) : this.many(request.batch)

  readonly submit = (request: JsonRpc.Request, caller: JsonRpc.Caller): JsonRpc.Place | undefined => {
    if (request.batch !== undefined) return undefined
    const id = ++this.id
    const text = encode(id, request)
    if (text === undefined) return undefined
    const sent = new Sent(this, id, request, text, caller)
    return sent.begin(request.nature === "read" ? this.batcher : undefined)
  }

  // A node that takes fewer would make all wait for the last part; what cannot be written fails by itself.
  private many(batch: ReadonlyArray<JsonRpc.Request>): Effect.Effect<JsonRpc.Answers, HttpError> {
    return Effect.callback((resume) => {
      const { batcher } = this
      const first = this.id + 1
      this.id += batch.length
      const texts = batch.map((request, i) => encode(first + i, request))
      const posted = batcher?.together({ first, requests: batch, texts, resume })
      return posted === undefined ? resume(JsonRpc.apart) : Effect.sync(() => posted.abort())
    })
  }

  private one(request: JsonRpc.Request): Effect.Effect<unknown, HttpError> {
    return Effect.callback<unknown, HttpError>((resume) => {
      const place = this.submit(request, { end: resume as JsonRpc.Caller["end"] })
      return place === undefined ? resume(Effect.fail(unwritable(this.name, request))) : place.leave()
    })
  }

  /** From now on reads go together. */
  gather(settings: BatchSettings, soon: Transport<HttpError>["soon"]): Batcher<HttpError> {
    const { clock, identity } = this
    return (this.batcher = new Batcher(settings, {
      post: (body, sender) => this.post(body, true, sender),
      failed: (fault) => this.failed(fault),
      ended: (request, outcome, reply) => this.ended(request, outcome, reply),
      kindOf: ({ method, nature }, { error }, { body, retryAfter, status }) => {
        const said = { method, nature, status, retryAfter, error, body: error === undefined ? body : undefined }
        return RpcError.classify(said, clock.currentTimeMillisUnsafe(), identity.errors).kind
      },
      soon,
      now: () => Call.now(clock)
    }))
  }

  post(body: string, reads: boolean, sender: Sender): Posted {
    return reads ? new Repeatable(this.dispatch, body, sender) : this.dispatch.post(body, sender)
  }

  failed({ message, reached, reason }: Fault): Exit.Exit<never, HttpError> {
    return Exit.fail(broken(this.identity, reason, message, reached))
  }

  ended(request: JsonRpc.Request, outcome: Outcome, reply: Reply): Exit.Exit<unknown, HttpError> {
    if (outcome.kind === "result") return Exit.succeed(outcome.result)
    const { identity } = this
    if (outcome.kind === "malformed") return Exit.fail(broken(identity, "reply", outcome.message, true, reply.status))
    const { body, retryAfter, status } = reply
    const said = { status, retryAfter, error: outcome.error, body }
    return Exit.fail(refused(identity, request, said, this.clock.currentTimeMillisUnsafe()))
  }
}

/** A request on its way to one caller. */
class Sent implements Asked<HttpError>, Sender, JsonRpc.Place {
  readonly id: number
  readonly request: JsonRpc.Request
  readonly text: string
  private readonly upstream: Upstream
  private readonly caller: JsonRpc.Caller
  private posted: Posted | undefined = undefined

  constructor(upstream: Upstream, id: number, request: JsonRpc.Request, text: string, caller: JsonRpc.Caller) {
    this.upstream = upstream
    this.id = id
    this.request = request
    this.text = text
    this.caller = caller
  }

  begin(batcher: Batcher<HttpError> | undefined): this {
    this.posted = batcher === undefined ? this.send() : batcher.add(this)
    return this
  }

  send(): Posted {
    return this.upstream.post(this.text, this.request.nature === "read", this)
  }

  done(fault: Fault | undefined, reply: Reply | undefined): void {
    const { id, request, upstream } = this
    this.end(fault === undefined ? upstream.ended(request, readReply(id, reply!), reply!) : upstream.failed(fault))
  }

  end(exit: Exit.Exit<unknown, HttpError>): void {
    this.caller.end(exit)
  }

  leave(): Effect.Effect<void> {
    return Effect.sync(() => this.posted?.abort())
  }
}

/** A server may close an idle socket in the moment we use it. A read can be sent again, on a fresh one. */
class Repeatable implements Sender, Posted {
  private readonly dispatch: Dispatch
  private readonly body: string
  private readonly sender: Sender
  private posted: Posted

  constructor(dispatch: Dispatch, body: string, sender: Sender) {
    this.dispatch = dispatch
    this.body = body
    this.sender = sender
    this.posted = dispatch.post(body, this)
  }

  done(fault: Fault | undefined, reply: Reply | undefined): void {
    if (fault?.stale === true) this.posted = this.dispatch.post(this.body, this.sender, true)
    else this.sender.done(fault, reply)
  }

  abort(): void {
    this.posted.abort()
  }
}

interface Settings {
  readonly identity: Identity
  readonly target: Target
  readonly batch: BatchSettings | undefined
}

interface BatchSettings extends Limits {
  readonly wait: number
}

const read = (options: Options): Settings => {
  const given = Read.read("Http", options, {
    url: readers.url,
    name: readers.name,
    headers: readers.headers,
    maxBodySize: Read.integer({ min: 1, default: 64 * 1024 * 1024 }),
    connections: Read.integer({ min: 1, default: 128 }),
    keepAlive: Read.duration({ default: "4 seconds" }),
    batch: readBatch,
    errors: readers.errors
  })
  const identity = identify("Http", ["http:", "https:"], given)
  const { headers, url } = identity
  return {
    identity,
    target: {
      origin: url.origin,
      path: url.pathname + url.search,
      headers: { "content-type": "application/json", "user-agent": "hawser", ...headers },
      maxBodySize: given.maxBodySize,
      connections: given.connections,
      keepAlive: given.keepAlive
    },
    batch: given.batch
  }
}

const readBatch = (option: string, given: unknown): BatchSettings | undefined =>
  given === undefined || given === false
    ? undefined
    : Read.read(option, given === true ? {} : given, {
        size: Read.integer({ min: 1, default: 100 }),
        wait: Read.duration({ min: 0, default: 0 }),
        bytes: Read.integer({ min: 1, default: 1024 * 1024 })
      })
