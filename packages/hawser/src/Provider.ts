/**
 * A client for programs that do not use Effect: an EIP-1193 provider, `request({ method, params })`, over the default
 * stack, over any layer of a client, or over a client that is already built.
 */
import { Call, Events, JsonRpc, Options as Read } from "@hawser/core"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { Subscription } from "@hawser/rpc"
import * as Stack from "./Stack.ts"

/** Where answers come from: options of the default stack, a layer of a client, or a client that is shared. */
export type Source<E = unknown, LE = unknown> = Stack.Options | Layer.Layer<JsonRpc.Client<E>, LE> | JsonRpc.Service<E>

export interface RequestOptions {
  /** Aborts the request: its socket closes at once, and the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** What a subscription tells, and to whom. */
export interface Listener {
  readonly onNotification: (result: unknown) => void
  /** The subscription is over, and was not stopped: too much was missed, or the provider was closed. */
  readonly onLost?: ((error: unknown) => void) | undefined
}

export interface Provider {
  /**
   * Asks. Rejects with the chain's own answer (`Rejected`, with `code` and `data`), with `NoAnswer` when no upstream
   * answered, or with `DeadlineExceeded`.
   */
  readonly request: (
    args: { readonly method: string; readonly params?: ReadonlyArray<unknown> | undefined },
    options?: RequestOptions
  ) => Promise<unknown>
  /**
   * Subscribes as `eth_subscribe` does: to `["newHeads"]`, `["logs", filter]` or `["newPendingTransactions"]`. Heads and
   * logs come in order, each once, whichever upstream tells of them. `stop` ends it.
   */
  readonly subscribe: (
    params: ReadonlyArray<unknown>,
    listener: Listener
  ) => Promise<{ readonly id: string; readonly stop: () => void }>
  /** Every upstream, what is known of it, and why it is left out. Before the first request only their names. */
  readonly status: () => Stack.Status
  /**
   * Calls `listener` for each event of a layer, and once for each call that ends (`layer: "call"`) with the report of what
   * happened to it. Returns the function that stops it.
   */
  readonly on: (listener: (event: JsonRpc.Event) => void) => () => void
  /**
   * Rejects what is under way and closes every socket. A client that was handed in is not closed, since it is not ours.
   */
  readonly close: () => Promise<void>
  readonly [Symbol.asyncDispose]: () => Promise<void>
}

/** The provider was closed before, or while, this was asked. */
export class Closed extends Data.TaggedError("Closed") {
  override get message(): string {
    return "the provider is closed"
  }
}

/**
 * Makes a provider. It builds its layers at the first request; a build that failed is tried again at the next. Until
 * then it holds no socket and no timer, and afterwards only while something is asked.
 */
export const make = <E, LE>(source: Source<E, LE>): Provider => new Running(source)

class Running implements Provider {
  private readonly hub = Events.make<JsonRpc.Event>()
  private readonly layer: Layer.Layer<JsonRpc.Client<unknown>, unknown> | undefined
  private readonly names: ReadonlyArray<string>
  private client: JsonRpc.Service<unknown> | undefined
  private building: Fiber.Fiber<JsonRpc.Service<unknown>, unknown> | undefined
  private scope: Scope.Closeable | undefined
  private closed = false
  private readonly pending = new Map<number, Pending>()

  constructor(source: Source) {
    this.names = []
    if (Layer.isLayer(source)) this.layer = source as Layer.Layer<JsonRpc.Client<unknown>, unknown>
    else if (isService(source)) this.client = source
    else {
      this.layer = Stack.layer(source as Stack.Options)
      this.names = Stack.names(source as Stack.Options)
    }
    if (this.layer !== undefined) this.layer = Layer.provide(this.layer, Layer.succeed(JsonRpc.Observer)(this.hub))
  }

  readonly request: Provider["request"] = ({ method, params }, options) => {
    if (typeof method !== "string") return Promise.reject(Read.invalid("request.method", "a string", method))
    if (params !== undefined && !Array.isArray(params)) {
      return Promise.reject(Read.invalid("request.params", "a list", params))
    }
    const request = JsonRpc.makeRequest(method, params)
    return this.promise(
      options?.signal,
      (pending) => this.client?.submit?.(request, pending) ?? this.run((client) => client.request(request), pending)
    )
  }

  readonly subscribe: Provider["subscribe"] = async (params, listener) => {
    const opened = await this.promise<Subscription.Opened>(undefined, (pending) =>
      this.run((client) => Subscription.listen(client, params, listener), pending)
    )
    return { id: opened.id, stop: opened.cancel }
  }

  readonly status = (): Stack.Status =>
    this.client === undefined
      ? { upstreams: this.names.map((name) => ({ name })) }
      : Stack.status(this.client.inspect())

  readonly on: Provider["on"] = (listener) => this.hub.on(listener)

  readonly close = async (): Promise<void> => {
    this.closed = true
    const { building, scope } = this
    const leaving = Array.from(this.pending.values(), (pending) => pending.leave(new Closed()))
    if (building !== undefined) leaving.push(Fiber.interrupt(building))
    await Effect.runPromise(Effect.all(leaving, { concurrency: "unbounded", discard: true }))
    if (scope !== undefined) await Effect.runPromise(Scope.close(scope, Exit.void))
  }

  readonly [Symbol.asyncDispose] = (): Promise<void> => this.close()

  private promise<A>(signal: AbortSignal | undefined, start: Start): Promise<A> {
    if (this.closed) return Promise.reject(new Closed())
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error)
    return new Promise((resolve, reject) => new Pending(this.pending, resolve as Resolve, reject, signal).begin(start))
  }

  private run(
    ask: (client: JsonRpc.Service<unknown>) => Effect.Effect<unknown, unknown>,
    pending: Pending
  ): JsonRpc.Place {
    const { client } = this
    return JsonRpc.run(client === undefined ? Effect.flatMap(this.build, ask) : ask(client), Context.empty(), pending)
  }

  // One build for all who wait for it; a failed one leaves nothing behind, so that the next request starts afresh.
  private readonly build: Effect.Effect<JsonRpc.Service<unknown>, unknown> = Effect.suspend(() => {
    if (this.client !== undefined) return Effect.succeed(this.client)
    const building = (this.building ??= this.start())
    return Effect.flatten(Fiber.await(building))
  })

  private start(): Fiber.Fiber<JsonRpc.Service<unknown>, unknown> {
    const scope = Scope.makeUnsafe()
    const building = Effect.runFork(
      Effect.map(Layer.buildWithScope(this.layer!, scope), (context) =>
        Context.get(context, JsonRpc.client<unknown>())
      ).pipe(
        Effect.onExit((exit) =>
          Effect.suspend(() => {
            if (exit._tag === "Failure" || this.closed) return Scope.close(scope, exit)
            this.client = exit.value
            this.scope = scope
            return Effect.void
          })
        )
      )
    )
    building.addObserver(() => {
      queueMicrotask(() => {
        this.building = undefined
      })
    })
    return building
  }
}

type Resolve = (value: unknown) => void

/** Asks, and says where a pending promise can leave what was begun for it. */
type Start = (pending: Pending) => JsonRpc.Place

let asked = 0

/** A promise that is not settled yet. Once it is, it holds nothing any more. */
class Pending implements JsonRpc.Caller {
  /** By number, for that is what a set of objects would give each of them, at a cost. */
  private readonly all: Map<number, Pending>
  private readonly id = ++asked
  private resolve: Resolve | undefined
  private reject: Resolve | undefined
  private signal: AbortSignal | undefined
  private readonly abort: (() => void) | undefined
  private place: JsonRpc.Place | undefined = undefined
  private leaving: Fiber.Fiber<void> | undefined = undefined

  constructor(all: Map<number, Pending>, resolve: Resolve, reject: Resolve, signal: AbortSignal | undefined) {
    this.all = all
    this.resolve = resolve
    this.reject = reject
    this.signal = signal
    this.abort = signal && (() => void this.leave(signal.reason))
    all.set(this.id, this)
    signal?.addEventListener("abort", this.abort!, { once: true })
  }

  begin(start: Start): void {
    try {
      const place = start(this)
      if (this.resolve !== undefined) this.place = place
      else if (this.leaving !== undefined) Effect.runFork(place.leave())
    } catch (defect) {
      this.end(Exit.die(defect))
    }
  }

  end(exit: Exit.Exit<unknown, unknown>): void {
    const { reject, resolve } = this
    this.close()
    if (exit._tag === "Success") resolve?.(exit.value)
    else reject?.(toError(exit.cause))
  }

  /** Rejects at once, and stops what is done for it. */
  leave(reason: unknown): Effect.Effect<unknown> {
    if (this.leaving === undefined) {
      const { place, reject } = this
      this.resolve = this.reject = undefined
      reject?.(reason)
      const close = Effect.sync(() => this.close())
      this.leaving = Effect.runFork(place === undefined ? close : Effect.ensuring(place.leave(), close))
    }
    return Fiber.await(this.leaving)
  }

  private close(): void {
    this.all.delete(this.id)
    this.signal?.removeEventListener("abort", this.abort!)
    this.place = this.resolve = this.reject = this.signal = undefined
  }
}

const toError = (cause: Cause.Cause<unknown>): unknown => {
  const failed = cause.reasons.find(Cause.isFailReason)
  if (failed !== undefined) return failed.error
  const died = cause.reasons.find(Cause.isDieReason)
  return new Call.Defect({ upstream: "", cause: died === undefined ? Cause.squash(cause) : died.defect })
}

/** Whether this is a provider of ours, which knows its status and its events. */
export const isProvider = (source: unknown): source is Provider => source instanceof Running

const isService = (source: Source): source is JsonRpc.Service<unknown> =>
  typeof source === "object" && source !== null && "request" in source && typeof source.request === "function"
