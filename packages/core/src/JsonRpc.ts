/**
 * Everything that answers JSON-RPC is one service: `{ name, request, inspect }`. A layer takes such a service
 * and gives one back. Its tier (one upstream, or a client that applications use) and its errors are part of its
 * type, so that a stack in the wrong order does not compile.
 */
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Call from "./Call.ts"
import * as Events from "./Events.ts"
import { natureOf } from "./internal/nature.ts"
import * as Outcome from "./Outcome.ts"

/**
 * What a request does: a `read` may be asked anywhere and twice, a `write` is never sent twice by our choice, a
 * `session` (filters, subscriptions) belongs to the upstream that opened it.
 */
export type Nature = "read" | "write" | "session"

export interface Request {
  readonly method: string
  readonly params: ReadonlyArray<unknown>
  readonly nature: Nature
  /** The reads that are asked as one, where it stands for several: see {@link makeBatch}. */
  readonly batch?: ReadonlyArray<Request>
}

/**
 * Makes a request. Its nature follows from the method's name; a name that does not say it is a read counts as a
 * write.
 */
export const makeRequest = (method: string, params: ReadonlyArray<unknown> = [], nature?: Nature): Request => ({
  method,
  params,
  nature: nature ?? natureOf(method)
})

/**
 * Several reads as one request: one pick, one attempt, one timer for all of them. Its answer is a list of exits, one for each
 * read and in their order, as {@link Answers}; it fails only where no read was answered.
 *
 * What is not a success or {@link Rejected} there is no answer: whoever made the batch asks again, by itself. Layers that go
 * by a request's method or params must know of batches; those that do not treat it as any read.
 *
 * @param batch at least one.
 */
export const makeBatch = (batch: ReadonlyArray<Request>): Request => ({
  method: "batch",
  params: [],
  nature: "read",
  batch
})

/** What the reads of a batch ended with. */
export type Answers = ReadonlyArray<Exit.Exit<unknown, unknown>>

/** A read cannot be settled in its batch, or the batch as a whole: each is to be asked by itself. A refusal. */
export class Apart extends Data.TaggedError("Apart") {
  readonly [Outcome.TypeId] = Outcome.refusal()

  override get message(): string {
    return "to be asked by itself"
  }
}

/** How such a read, or its batch, ends. */
export const apart: Exit.Exit<never> = Exit.fail(Outcome.stackless(() => new Apart())) as Exit.Exit<never>

/**
 * What the chain itself answered, and would answer anywhere: a revert, invalid params, a transaction finally
 * refused. It passes through every layer untouched and is never retried.
 */
export class Rejected extends Data.TaggedError("Rejected")<{
  readonly upstream: string
  /** The JSON-RPC error code, as the upstream sent it. */
  readonly code: number
  readonly message: string
  /** The JSON-RPC error's `data`, untouched. */
  readonly data: unknown
  readonly kind: RejectedKind
  readonly [Outcome.TypeId]: Outcome.Verdict
}> {}

export type RejectedKind = "revert" | "invalid" | "transaction" | "known" | "nonce" | "filter" | "sender-limit"

/** Whether the chain has answered: with a result, or with a refusal of its own. */
export const isAnswer = (exit: Exit.Exit<unknown, unknown>): boolean =>
  exit._tag === "Success" ||
  exit.cause.reasons.some((reason) => reason._tag === "Fail" && reason.error instanceof Rejected)

/** What a client fails with: the chain's own answer, nobody's answer, or no time left. */
export type ClientError = Rejected | Call.NoAnswer | Call.DeadlineExceeded

/** A snapshot of a service and everything below it: plain data, one entry for each layer. */
export interface Inspection {
  readonly name: string
  readonly [layer: string]: unknown
}

/** Whoever answers JSON-RPC. */
export interface Service<out E> {
  readonly name: string
  readonly request: (request: Request) => Effect.Effect<unknown, E>
  readonly inspect: () => Inspection
  readonly submit?: Submit | undefined
  /** It reads nothing of the fiber that asks, as transports do not: whoever has one may use `submit` all the same. */
  readonly contextFree?: boolean | undefined
}

/**
 * Asks without a fiber, for callers who have none: a fiber costs more than a read's share of a batch. Tells how the request
 * ended, maybe before it returns, unless the caller leaves before. `undefined`: this request is for {@link Service.request}.
 * What it throws is a defect.
 */
export type Submit = (request: Request, caller: Caller) => Place | undefined

/** Who waits for the end of a request. An object, since closures that live that long are dear to collect. */
export interface Caller {
  readonly end: (exit: Exit.Exit<unknown, unknown>) => void
  /** Its call, if a layer above has opened one. */
  readonly call?: Call.Call | undefined
}

/** A caller's place among those who wait. */
export interface Place {
  /** Leaves, once, at the latest when this is run. Done when nothing runs any more for this caller's sake. */
  readonly leave: () => Effect.Effect<void>
}

/** Where a caller is who has been told already. */
export const nowhere: Place = { leave: () => Effect.void }

/** Runs an effect on a fiber of its own for a caller without one. */
export const run = <R>(self: Effect.Effect<unknown, unknown, R>, context: Context.Context<R>, caller: Caller): Place =>
  new Run(Effect.runForkWith(context)(self), caller)

class Run implements Place {
  private readonly fiber: Fiber.Fiber<unknown, unknown>
  private caller: Caller | undefined

  constructor(fiber: Fiber.Fiber<unknown, unknown>, caller: Caller) {
    this.fiber = fiber
    this.caller = caller
    fiber.addObserver((exit) => this.caller?.end(exit))
  }

  leave(): Effect.Effect<void> {
    this.caller = undefined
    return Fiber.interrupt(this.fiber)
  }
}

/** How a layer hands on what it has nothing to do with, if that is all reads. */
export const passReads = <E>({ submit }: Service<E>): Submit | undefined =>
  submit && ((request, caller) => (request.nature === "read" ? submit(request, caller) : undefined))

/** What is told of the end of a request in its place. */
export type Change = (exit: Exit.Exit<unknown, unknown>) => Exit.Exit<unknown, unknown>

/** How a layer hands on single requests, if all it does is to hear of their ends, or to tell of other ones. */
export const interpret = <E>(
  { submit }: Service<E>,
  changeOf: (request: Request) => Change | undefined
): Submit | undefined =>
  submit &&
  ((request, caller) => {
    if (request.batch !== undefined) return undefined
    const change = changeOf(request)
    return submit(request, change === undefined ? caller : new Interpreted(caller, change))
  })

/** If `change` throws, that is how it ends: whoever tells could not go on. */
class Interpreted implements Caller {
  private readonly caller: Caller
  private readonly change: Change

  constructor(caller: Caller, change: Change) {
    this.caller = caller
    this.change = change
  }

  get call(): Call.Call | undefined {
    return this.caller.call
  }

  end(exit: Exit.Exit<unknown, unknown>): void {
    let changed: Exit.Exit<unknown, unknown>
    try {
      changed = this.change(exit)
    } catch (defect) {
      changed = Exit.die(defect)
    }
    this.caller.end(changed)
  }
}

/** `upstream`: one node or provider, with its own limits. `client`: what applications use. */
export type Tier = "upstream" | "client"

declare const Identity: unique symbol

/** The identity of a service in the types: its tier, and the errors it can fail with. Has no values. */
export interface JsonRpc<in out T extends Tier, in E> {
  readonly [Identity]: { readonly tier: (_: T) => T; readonly error: (_: E) => void }
}

export type Upstream<E> = JsonRpc<"upstream", E>

export type Client<E> = JsonRpc<"client", E>

// One key serves both tiers: a pool builds its upstreams apart and takes them out of the context it returns.
const key: Context.Service<never, Service<never>> = Context.Service<never, Service<never>>("~hawser/JsonRpc")

/** The tag of an upstream that fails with at most `E`. */
export const upstream = <E>(): Context.Service<Upstream<E>, Service<E>> => key as never

/** The tag of a client that fails with at most `E`. A stack that fails less fits, too. */
export const client = <E = ClientError>(): Context.Service<Client<E>, Service<E>> => key as never

/**
 * The tag of a named client, for programs that talk to several chains.
 *
 * ```ts
 * class Mainnet extends JsonRpc.Client<Mainnet>()("app/Mainnet") {}
 * const live = Stack.layer({ chainId: 1, upstreams }).pipe(JsonRpc.as(Mainnet))
 * ```
 */
export const Client =
  <Self, E = ClientError>() =>
  <const Key extends string>(name: Key): Context.ServiceClass<Self, Key, Service<E>> =>
    Context.Service<Self, Service<E>>()(name)

/** Gives a client a name. */
export const as =
  <Self, E>(tag: Context.Key<Self, Service<E>>) =>
  <LE, R>(self: Layer.Layer<Client<E>, LE, R>): Layer.Layer<Self, LE, R> =>
    Layer.effect(tag)(client<E>()).pipe(Layer.provide(self))

/** Calls a service by another name, in errors and snapshots. */
export const named =
  (name: string) =>
  <T extends Tier, E, LE, R>(self: Layer.Layer<JsonRpc<T, E>, LE, R>): Layer.Layer<JsonRpc<T, E>, LE, R> =>
    Layer.effect(key)(
      Effect.map(key, ({ contextFree, inspect, request, submit }) => ({
        name,
        request,
        submit,
        contextFree,
        inspect: () => ({ ...inspect(), name })
      }))
    ).pipe(Layer.provide(self)) as never

/** The error with which the service that a layer builds can fail. */
export type ErrorOf<L> =
  L extends Layer.Layer<infer I, infer _E, infer _R> ? (I extends JsonRpc<any, infer E> ? E : never) : never

/** A layer of a service that fails with `E`, where predicates over `EP` must be able to take each `E`. */
export type Over<T extends Tier, E, EP, LE, R> = Layer.Layer<JsonRpc<T, E>, LE, R> & Layer.Layer<JsonRpc<T, EP>, LE, R>

/** What a layer makes of the service below it: its own way to run a request, and what it shows of itself. */
export interface Stage<out E> {
  readonly request: (request: Request) => Effect.Effect<unknown, E>
  readonly inspect?: () => unknown
  readonly submit?: Submit | undefined
}

/**
 * Turns a transformation of a service into a transformation of a layer. Each application is a fresh layer, so
 * the same combinator over two upstreams shares nothing, while a composed layer used twice is built once.
 *
 * `layer` is the name under which the stage appears in inspections and events; `events` takes what the stage has
 * to tell and costs nothing while nobody listens.
 */
export const transform = <T extends Tier, E, EP, LE, R, E2, LE2, R2>(
  self: Over<T, E, EP, LE, R>,
  layer: string,
  make: (below: Service<E>, events: Events.Sink<{ readonly type: string }>) => Effect.Effect<Stage<E2>, LE2, R2>
): Layer.Layer<JsonRpc<T, E2>, LE | LE2, R | Exclude<R2, Scope.Scope>> =>
  Layer.effect(key)(
    Effect.gen(function* () {
      const below: Service<E> = yield* key
      const observer = yield* Observer
      const stage = yield* make(
        below,
        Events.into(observer, (event) => ({ layer, upstream: below.name, ...event }))
      )
      return {
        name: below.name,
        request: stage.request as Service<never>["request"],
        submit: stage.submit,
        inspect: () =>
          stage.inspect === undefined ? below.inspect() : { ...below.inspect(), [layer]: stage.inspect() }
      }
    })
  ).pipe(Layer.provide(self)) as never

/**
 * Runs a call and tells what happened to it: which upstreams were asked, which were left out and why, what was
 * waited for, and whether the answer is stale.
 *
 * Takes one logical call: requests that run inside the same effect share its deadline and its attempts. To see
 * the report of a call that fails, explain its `Effect.exit`.
 */
export const explain = <A, E, R>(
  self: Effect.Effect<A, E, R>
): Effect.Effect<{ readonly value: A; readonly report: Call.Report }, E, R> =>
  Effect.suspend(() => {
    const report = new Call.Recorder()
    return Effect.provideService(
      Effect.map(self, (value) => ({ value, report })),
      Call.Current,
      new Call.Call(report)
    )
  })

/** What layers tell as it happens. `layer` and `type` say what happened, `upstream` to whom. */
export interface Event {
  readonly layer: string
  readonly type: string
  readonly upstream: string
  readonly [detail: string]: unknown
}

/** Hears the events of every layer that is built while it is provided. */
export const Observer = Context.Reference<Events.Sink<Event>>("~hawser/JsonRpc/Observer", {
  defaultValue: () => Events.nobody
})
