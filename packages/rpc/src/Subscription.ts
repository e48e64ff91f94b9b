/**
 * Subscriptions over any client: each block once, in order, without a gap, whichever upstream tells of it.
 *
 * The layer follows the chain by hashes. It hears of heads by an `eth_subscribe` where an upstream serves one, and looks for
 * itself where none does, where the subscription was lost, or where it has been silent for longer than blocks take. What was
 * missed in between is asked for by hash. Logs are asked for block by block, by its hash, and taken back in the reverse
 * order with `removed: true` when their block is replaced. All who listen to the same share one subscription; nothing runs
 * when nobody listens.
 *
 * **Not promised.** Other subscriptions (`newPendingTransactions`, `syncing`, a provider's own) are opened again when they
 * are lost, and what happened meanwhile is lost. A reorganisation is told when the new branch is as high as the old, or has
 * insisted. Only logs that were told are taken back. More than `gap` missed or `depth` replaced blocks end the subscription
 * with {@link SubscriptionLost}: rather an end than a gap.
 */
import { Call, Events, JsonRpc, Options as Read } from "@hawser/core"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Random from "effect/Random"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Asker } from "./internal/subscription/ask.ts"
import type { Header } from "./internal/subscription/head.ts"
import type { Log } from "./internal/subscription/ledger.ts"
import { Listener, type Opened } from "./internal/subscription/listener.ts"
import { SubscriptionLost } from "./internal/subscription/lost.ts"
import type { Event } from "./internal/subscription/pump.ts"
import { type Failing, Sessions } from "./internal/subscription/sessions.ts"
import type { Filter } from "./Logs.ts"

export type { Filter } from "./Logs.ts"
export type { Header } from "./internal/subscription/head.ts"
export type { Log } from "./internal/subscription/ledger.ts"
export { Listener, type Opened } from "./internal/subscription/listener.ts"
export { SubscriptionLost } from "./internal/subscription/lost.ts"
export type { Event } from "./internal/subscription/pump.ts"

export interface Options {
  /** How often to look for a new head where no upstream tells of it. Default: half a block time, from 500 ms to 4 s. */
  readonly interval?: Duration.Input | undefined
  /** How long nothing may be told before others are asked. Default: three block times, from 5 to 60 seconds. */
  readonly silence?: Duration.Input | undefined
  /** Blocks that are remembered: no reorganisation that goes deeper is followed. Default 128. */
  readonly depth?: number | undefined
  /** Blocks that are filled in at most after they were missed. Default 1,024. */
  readonly gap?: number | undefined
  /**
   * Whether no logs are asked for where a block's bloom rules them out. Right on Ethereum; not where blooms are left empty
   * (ZKsync) or leave something out (Polygon). Default false.
   */
  readonly bloom?: boolean | undefined
}

export interface Inspection {
  readonly listeners: number
  /** Different things that are listened to. */
  readonly topics: number
  /** The upstream that tells of new heads; `undefined`: none does, the layer looks for itself. */
  readonly source: string | undefined
  /** The newest block that was told, while anybody listens to the chain. */
  readonly head: number | undefined
}

/** What a client with subscriptions fails with. */
export type SubscribingError<E> = Failing<E>

/**
 * Gives a client subscriptions: it answers `eth_subscribe` and `eth_unsubscribe` itself, and hands on everything else. Its
 * scope ends them.
 */
export const make = <E>(
  client: JsonRpc.Service<E>,
  options?: Options
): Effect.Effect<JsonRpc.Service<SubscribingError<E>>, never, Scope.Scope> => {
  const settings = read(options)
  return Effect.map(build(client, settings, Events.nobody), ({ inspect, request }) => ({
    name: client.name,
    request,
    inspect: () => ({ ...client.inspect(), subscription: inspect() })
  }))
}

/** Gives a client subscriptions, as a layer. Belongs above all that asks again, caches or limits, but below a deadline. */
export const layer = (options?: Options) => {
  const settings = read(options)
  return <E, LE, R>(
    self: Layer.Layer<JsonRpc.Client<E>, LE, R>
  ): Layer.Layer<JsonRpc.Client<SubscribingError<E>>, LE, R> =>
    JsonRpc.transform(self, "subscription", (below: JsonRpc.Service<E>, events) =>
      Effect.map(build(below, settings, events), ({ inspect, request }) => ({
        request,
        submit: JsonRpc.passReads(below),
        inspect
      }))
    )
}

const build = <E>(
  below: JsonRpc.Service<E>,
  { bloom, depth, gap, interval, silence }: Settings,
  events: Events.Sink<Event>
): Effect.Effect<Sessions<E>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const random = yield* Random.Random
    const fork = Effect.runForkWith(yield* Effect.context())
    const draw = () => random.nextDoubleUnsafe()
    const ground = {
      asker: new Asker(below, clock, `subscription/${draw()}`),
      clock,
      random: draw,
      // Whoever listens first has a call; what is done for all has none.
      fork: (effect: Effect.Effect<unknown>) => fork(Effect.provideService(effect, Call.Current, undefined)),
      bounds: { depth, gap },
      pace: { interval, silence },
      events
    }
    return yield* Effect.acquireRelease(
      Effect.sync(() => new Sessions(ground, bloom)),
      (sessions) => Effect.sync(() => sessions.close())
    )
  })

/** Hears a subscription. */
export interface Hearing {
  /** It is open: for those who may be interrupted before they have it. */
  readonly onOpen?: ((subscription: Opened) => void) | undefined
  readonly onNotification: (result: unknown) => void
  /** It is over, and not because it was cancelled. */
  readonly onLost?: ((error: unknown) => void) | undefined
}

/**
 * Subscribes with functions, at a client with subscriptions or at a WebSocket: `["newHeads"]`, `["logs", filter]`, ….
 * `cancel` of what it gives ends it.
 */
export const listen = <E>(
  client: JsonRpc.Service<E>,
  params: ReadonlyArray<unknown>,
  { onLost, onNotification, onOpen }: Hearing
): Effect.Effect<Opened, E | SubscriptionLost> =>
  Effect.suspend(() => {
    let opened: Opened | undefined
    let answered = false
    const listener: Listener = {
      onOpen: (subscription) => {
        opened?.cancel()
        opened = subscription
        onOpen?.(subscription)
      },
      onNotification,
      onLost: (error) => onLost?.(error)
    }
    return client.request(JsonRpc.makeRequest("eth_subscribe", params)).pipe(
      Effect.provideService(Listener, listener),
      Effect.flatMap(() => {
        if (opened === undefined) return Effect.fail(new SubscriptionLost({ reason: "closed" }))
        answered = true
        return Effect.succeed(opened)
      }),
      Effect.ensuring(
        Effect.sync(() => {
          if (!answered) opened?.cancel()
        })
      )
    )
  })

export interface StreamOptions {
  /** What may wait for a slow consumer before the stream fails as overflown. Default 4,096. */
  readonly buffer?: number | undefined
}

/**
 * A subscription as a stream, opened when it is run and ended with it. It never drops anything: a consumer that is too slow,
 * like all else that would make a gap, ends it with {@link SubscriptionLost}, after what had been told before.
 */
export const stream = <E>(
  client: JsonRpc.Service<E>,
  params: ReadonlyArray<unknown>,
  options?: StreamOptions
): Stream.Stream<unknown, E | SubscriptionLost> => {
  const { buffer } = Read.read("Subscription.stream", options, { buffer: Read.integer({ min: 1, default: 4_096 }) })
  return Stream.callback<unknown, E | SubscriptionLost>(
    (queue) =>
      Effect.suspend(() => {
        let opened: Opened | undefined
        const fail = (error: SubscriptionLost) => Queue.failCauseUnsafe(queue, Cause.fail(error))
        const subscribe = listen(client, params, {
          onOpen: (subscription) => {
            opened = subscription
          },
          onNotification: (result) => {
            if (Queue.offerUnsafe(queue, result)) return
            opened?.cancel()
            fail(new SubscriptionLost({ reason: "overflow" }))
          },
          onLost: (error) =>
            fail(error instanceof SubscriptionLost ? error : new SubscriptionLost({ reason: "closed", cause: error }))
        })
        return Effect.andThen(
          Effect.addFinalizer(() => Effect.sync(() => opened?.cancel())),
          subscribe
        )
      }),
    { bufferSize: buffer, strategy: "dropping" }
  )
}

/** The headers of new blocks; after a reorganisation those of the new branch. */
export const newHeads = <E>(
  client: JsonRpc.Service<E>,
  options?: StreamOptions
): Stream.Stream<Header, E | SubscriptionLost> =>
  stream(client, ["newHeads"], options) as Stream.Stream<Header, E | SubscriptionLost>

/** The logs of new blocks; `removed: true` takes back one whose block was replaced. */
export const logs = <E>(
  client: JsonRpc.Service<E>,
  filter: Filter = {},
  options?: StreamOptions
): Stream.Stream<Log, E | SubscriptionLost> =>
  stream(client, ["logs", filter], options) as Stream.Stream<Log, E | SubscriptionLost>

/** The hashes of transactions that wait, as one upstream hears of them: as good as it gets, without promise. */
export const pendingTransactions = <E>(
  client: JsonRpc.Service<E>,
  options?: StreamOptions
): Stream.Stream<string, E | SubscriptionLost> =>
  stream(client, ["newPendingTransactions"], options) as Stream.Stream<string, E | SubscriptionLost>

type Settings = ReturnType<typeof read>

const read = (options: Options | undefined) =>
  Read.read("Subscription", options, {
    interval: Read.duration({ default: undefined }),
    silence: Read.duration({ default: undefined }),
    depth: Read.integer({ min: 1, default: 128 }),
    gap: Read.integer({ min: 1, default: 1_024 }),
    bloom: Read.boolean({ default: false })
  })
