/**
 * Which upstream knows what of the chain, so that a request goes to one that can answer it and what a client is told
 * does not go back in time.
 *
 * Heads are learned from the answers that pass by. Each upstream's counts for itself; the pool's is the highest that two
 * upstreams have, so that one that claims too much makes nobody late, and nobody is late on a chain that stands still.
 *
 * - A request that names a block goes to an upstream that has it, one about `latest` to an upstream that has the *floor*:
 *   the head that the client was told of. If none has it, the request waits for one up to one block time, and no longer
 *   than half of the time it has left; then it fails as {@link Behind}, or is served all the same, if `lag` says so.
 * - `null` for a block, a transaction or a receipt from an upstream that may not know it yet is no answer. If all have said
 *   so, it is.
 * - What an upstream's errors say it cannot do (a method, old blocks, wide ranges) is asked elsewhere for some minutes. If
 *   nobody else can, it is asked all the same.
 *
 * An upstream that is left out for its head is asked for it on the side, at most once per block time; while somebody waits
 * for it, up to eight times, and once for a call that has failed elsewhere and has nobody else left. Nothing else is asked,
 * unless `track` says so, and nothing where there is but one upstream.
 *
 * **Not promised.** Between two upstreams of which one lies, the first that was heard is believed. An upstream of several
 * nodes behind one address may answer from one that is late although another has shown the newer block.
 */
import { JsonRpc, Options as Read } from "@hawser/core"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { telling } from "./internal/head/client.ts"
import type { HeadError } from "./internal/head/errors.ts"
import { Shared, type Tag } from "./internal/head/shared.ts"
import { UpstreamStage } from "./internal/head/upstream.ts"
import type { Block, Heads } from "./internal/heads.ts"
import type { TransportError } from "./RpcError.ts"

export { Behind, type HeadError, NotFound, Pruned, Unsupported } from "./internal/head/errors.ts"
export type { Block, Change, Heads } from "./internal/heads.ts"

export interface Options {
  /** What becomes of a read of the head when no upstream has it in time: `wait` (default) fails, `serve` serves it. */
  readonly lag?: "wait" | "serve" | undefined
  /** An upstream is late when it is more blocks behind, and more time. Default 3 blocks, 15 seconds. */
  readonly tolerance?: { readonly blocks?: number | undefined; readonly time?: Duration.Input | undefined } | undefined
  /** The time between blocks, until it has been measured. Default 12 seconds. */
  readonly blockTime?: Duration.Input | undefined
  /** Blocks that are followed while requests pass, with at most one request of our own per block time each. Default none. */
  readonly track?: ReadonlyArray<Tag> | undefined
  /** For how long it is remembered what an upstream cannot do. Default 10 minutes. */
  readonly memory?: Duration.Input | undefined
}

/** What is known of the chain: shared by all layers of a pool. */
export interface Head extends Heads {
  /** The head that the client was told of, below which it will be told of none; `undefined` before the first. */
  readonly floor: () => number | undefined
}

/** What the client's layer shows of itself. */
export interface Inspection {
  readonly floor: number | undefined
  /** The highest block that two upstreams have, or the only one. */
  readonly quorum: number | undefined
  readonly latest: Block | undefined
  readonly safe: Block | undefined
  readonly finalized: Block | undefined
  /** Milliseconds, as measured, or as assumed until then. */
  readonly blockTime: number
}

/** What an upstream's layer shows of itself. Times are in milliseconds. */
export interface UpstreamInspection {
  readonly latest: number | undefined
  readonly safe: number | undefined
  readonly finalized: number | undefined
  /** How old that knowledge is. */
  readonly age: number | undefined
  /** How far behind what the pool knows, and what that is in time; `undefined` before it has shown a block. */
  readonly lag: { readonly blocks: number; readonly time: number } | undefined
  readonly late: boolean
  /** Methods that it does not have, or not on our plan. */
  readonly unsupported: ReadonlyArray<string>
  /** The lowest block that it has, by method. */
  readonly earliest: Readonly<Record<string, number>>
  /** The most blocks that it takes at once, by method. */
  readonly ranges: Readonly<Record<string, number>>
}

/**
 * Makes what the layers of one pool share.
 *
 * A head that is told raises the floor when another upstream is at most one block behind it. If none is, the others are
 * asked; if they do not bear it out, the floor rises to it after one block time in which nobody has said less, or, if one
 * has, with the chain's pace. Until then the old one is told. The floor falls with a reorganisation, which is seen by a hash, and if for ten minutes everybody who
 * was heard had less.
 *
 * ```ts
 * const head = Head.make()
 * const client = UpstreamPool.layer(upstreams.map(Head.upstream(head))).pipe(Retry.layer(), Head.client(head))
 * ```
 *
 * @throws `InvalidOption` at once.
 */
export const make = (options?: Options): Head => {
  const { tolerance, ...given } = Read.read("Head", options, {
    lag: Read.oneOf(["wait", "serve"] as const, "wait"),
    tolerance: Read.any<Options["tolerance"]>(),
    blockTime: Read.duration({ default: "12 seconds" }),
    track: tags,
    memory: Read.duration({ default: "10 minutes" })
  })
  return new Shared({
    ...given,
    tolerance: Read.read("Head.tolerance", tolerance, {
      blocks: Read.integer({ min: 0, default: 3 }),
      time: Read.duration({ min: 0, default: "15 seconds" })
    })
  })
}

const tags = (option: string, received: unknown): ReadonlyArray<Tag> => {
  const tag = Read.oneOf<Tag>(["latest", "safe", "finalized"], "latest")
  if (received === undefined) return []
  return Array.isArray(received)
    ? received.map((value) => tag(option, value ?? null))
    : Read.reject(option, `a list of "latest", "safe", "finalized"`, received)
}

/** Learns from the answers and errors of one upstream, and keeps from it what it cannot answer. */
export const upstream = (head: Head) => {
  const shared = sharedOf(head)
  return <E, LE, R>(
    self: Layer.Layer<JsonRpc.Upstream<E>, LE, R>
  ): Layer.Layer<JsonRpc.Upstream<E | HeadError | TransportError>, LE, R> =>
    JsonRpc.transform(self, "head", (below: JsonRpc.Service<E>) =>
      Effect.gen(function* () {
        const clock = yield* Clock.Clock
        const context = yield* Effect.context()
        const make = Effect.sync(() => new UpstreamStage(shared, below, clock, context))
        return yield* Effect.acquireRelease(make, ({ close }) => close)
      })
    )
}

/** Keeps what a client is told of the head from going back, and tells of reorganisations. Belongs above the retry. */
export const client = (head: Head) => {
  const shared = sharedOf(head)
  return <E, LE, R>(self: Layer.Layer<JsonRpc.Client<E>, LE, R>): Layer.Layer<JsonRpc.Client<E>, LE, R> =>
    JsonRpc.transform(self, "head", (below: JsonRpc.Service<E>, events) =>
      Effect.gen(function* () {
        const off = head.on((change) => {
          if (events.active) events.emit(change)
        })
        yield* Effect.addFinalizer(() => Effect.sync(off))
        return { ...telling(shared, below), inspect: () => inspect(shared) }
      })
    )
}

const inspect = ({ state }: Shared): Inspection => ({
  floor: state.floor,
  quorum: state.quorum,
  latest: state.history.latest,
  safe: state.safe,
  finalized: state.finalized,
  blockTime: state.blockTime
})

const sharedOf = (head: Head): Shared =>
  head instanceof Shared ? head : Read.reject("Head", "what Head.make gave", head)
