// A WebSocket upstream: a link while it is needed, and what becomes of what goes over it.
import { JsonRpc, Outcome } from "@hawser/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as RpcError from "../../RpcError.ts"
import type { Inspection } from "../../Ws.ts"
import { type Outcome as Replied, readItem } from "../reply.ts"
import { Listener, unheard } from "../subscription/listener.ts"
import { broken, encode, refused, unwritable } from "../transport.ts"
import { type Entry, Link, type Over } from "./link.ts"
import type { Settings } from "./settings.ts"
import type { Ending, Open } from "./socket.ts"
import { Timer } from "./timer.ts"

/** What a WebSocket upstream fails with. */
export type WsError = RpcError.TransportError | RpcError.ResponseError | JsonRpc.Rejected

/** Makes an upstream that connects by `open`. */
export const build = (settings: Settings, open: Open): Effect.Effect<JsonRpc.Service<WsError>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const fork = Effect.runForkWith(yield* Effect.context())
    return yield* Effect.acquireRelease(
      Effect.sync(() => new Upstream(settings, open, clock, fork)),
      (upstream) => Effect.sync(() => upstream.close())
    )
  })

class Upstream implements JsonRpc.Service<WsError> {
  readonly name: string
  private readonly settings: Settings
  private readonly dial: Open
  private readonly clock: Clock.Clock
  private readonly timer: Timer
  private link: Link | undefined
  private id = 0
  private closed = false

  constructor(settings: Settings, dial: Open, clock: Clock.Clock, fork: ConstructorParameters<typeof Timer>[1]) {
    this.name = settings.identity.name
    this.settings = settings
    this.dial = dial
    this.clock = clock
    this.timer = new Timer(clock, fork, () => {
      this.link?.look()
      this.timer.set(this.link?.due ?? Infinity)
    })
  }

  readonly inspect = (): JsonRpc.Inspection => ({
    name: this.name,
    ws: {
      open: this.link?.connected === true,
      inflight: this.link?.inflight ?? 0,
      subscriptions: this.link?.subscriptions ?? 0
    } satisfies Inspection
  })

  readonly request = (request: JsonRpc.Request): Effect.Effect<unknown, WsError> => {
    // A message is one request: over a socket that is open, a list would save nothing.
    if (request.batch !== undefined) return JsonRpc.apart
    return request.method === "eth_subscribe"
      ? Effect.withFiber((fiber) => {
          const listener = fiber.getRef(Listener)
          return listener === undefined ? Effect.fail(unheard(this.name)) : this.send(request, listener)
        })
      : this.send(request, undefined)
  }

  close(): void {
    this.closed = true
    this.link?.close({ kind: "over", reason: "closed", message: "the transport was closed" })
    this.timer.set(Infinity)
  }

  private send(request: JsonRpc.Request, listener: Listener | undefined): Effect.Effect<unknown, WsError> {
    return Effect.callback<unknown, WsError>((resume) => {
      const id = ++this.id
      const text = encode(id, request)
      if (text === undefined) return resume(Effect.fail(unwritable(this.name, request)))
      if (this.closed) return resume(Effect.fail(this.broken("connect", "the transport is closed", false)))
      if (this.link?.hopeless === true) this.link.close({ kind: "idle" })
      const link = (this.link ??= this.connect())
      const heard = listener === undefined ? undefined : this.redacting(listener)
      const entry: Entry = {
        id,
        text,
        listener: heard,
        done: (outcome, sent) => resume(this.outcome(request, outcome, sent))
      }
      link.ask(entry)
      return Effect.sync(() => link.abandon(entry))
    })
  }

  private connect(): Link {
    return new Link(
      {
        upstream: this.name,
        limits: this.settings.limits,
        now: () => this.timer.now(),
        nextId: () => ++this.id,
        lastId: () => this.id,
        changed: (link) => {
          if (link === this.link) this.timer.set(link.due)
        },
        over: (link) => {
          if (link !== this.link) return
          this.link = undefined
          this.timer.set(Infinity)
        }
      },
      this.dial,
      this.settings.target
    )
  }

  // What a link says of its end is for nobody's eyes yet.
  private redacting(listener: Listener): Listener {
    return {
      onOpen: (subscription) => listener.onOpen(subscription),
      onNotification: (result) => listener.onNotification(result),
      onLost: (why) => listener.onLost(this.broken("closed", (why as Ending).message ?? "the socket was closed", true))
    }
  }

  private outcome(request: JsonRpc.Request, outcome: Replied | Over, sent: boolean): Effect.Effect<unknown, WsError> {
    switch (outcome.kind) {
      case "result":
        return Effect.succeed(outcome.result)
      case "malformed":
        return Effect.fail(this.broken("reply", outcome.message, true))
      case "error":
        return Effect.fail(
          refused(this.settings.identity, request, { status: 200, error: outcome.error }, this.wallClock)
        )
      case "idle":
        return Effect.fail(this.broken("closed", "the socket was closed", sent))
      default: {
        const { message, reason, refusal } = outcome
        return Effect.fail(
          refusal === undefined || sent
            ? this.broken(sent ? reason : "connect", message, sent)
            : this.notLetIn(request, refusal)
        )
      }
    }
  }

  // The handshake was answered by HTTP. What it says is the upstream's word on us; the request itself never left.
  private notLetIn(request: JsonRpc.Request, { body, retryAfter, status }: NonNullable<Ending["refusal"]>): WsError {
    let document: unknown
    try {
      document = JSON.parse(body)
    } catch {}
    const read = readItem(document, false, () => true)
    const error = read.kind === "error" ? read.error : undefined
    const refusal = { status, retryAfter, error, body }
    const failure = refused(this.settings.identity, request, refusal, this.wallClock)
    return Object.assign(failure, { [Outcome.TypeId]: { ...Outcome.of(failure), ran: "no" as const } })
  }

  private broken(reason: RpcError.TransportError["reason"], message: string, reached: boolean) {
    return broken(this.settings.identity, reason, message, reached)
  }

  private get wallClock(): number {
    return this.clock.currentTimeMillisUnsafe()
  }
}
