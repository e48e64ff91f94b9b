/**
 * Filters over any client: `eth_newFilter` and its kin, which survive the node that would have made them.
 *
 * A node's filter dies with the node, with its restart, or behind a balancer that asks another. Those of blocks and logs are
 * therefore kept here: a filter remembers the last block its owner was told of, asks whoever answers for what came since, by
 * hash, and takes back with `removed: true` what was replaced. So there is nothing to pin, and nothing to lose. A filter of
 * waiting transactions is pinned to the node that made it, and made anew where that one has lost it.
 *
 * **Not promised.** What a filter of waiting transactions misses while it is made anew. Where more than `gap` blocks came
 * since, or more than `depth` were replaced, the filter is not found any more: rather that than a gap. A program that asks
 * every few seconds pays one request, and one for each new block.
 */
import { Call, JsonRpc, Options as Read } from "@hawser/core"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import { type Failing, Registry } from "./internal/filters/registry.ts"

export interface Options {
  /** How long a filter is kept that nobody asks for. Default 5 minutes, as nodes do. */
  readonly idle?: Duration.Input | undefined
  /** Blocks that a filter remembers: no reorganisation that goes deeper is followed. Default 128. */
  readonly depth?: number | undefined
  /** Blocks that may have come since a filter was last asked. Default 1,024. */
  readonly gap?: number | undefined
  /** Whether no logs are asked for where a block's bloom rules them out; see `Subscription`. Default false. */
  readonly bloom?: boolean | undefined
}

export interface Inspection {
  /** Filters that are kept. */
  readonly filters: number
}

/** What a client with filters fails with. */
export type FilteringError<E> = Failing<E>

/** Gives a client filters: it answers the six methods of filters itself, and hands on everything else. */
export const make = <E>(
  client: JsonRpc.Service<E>,
  options?: Options
): Effect.Effect<JsonRpc.Service<FilteringError<E>>> => {
  const settings = read(options)
  return Effect.map(build(client, settings), ({ inspect, request }) => ({
    name: client.name,
    request,
    inspect: () => ({ ...client.inspect(), filters: inspect() })
  }))
}

/** Gives a client filters, as a layer. Belongs above all that asks again, caches or limits, but below a deadline. */
export const layer = (options?: Options) => {
  const settings = read(options)
  return <E, LE, R>(
    self: Layer.Layer<JsonRpc.Client<E>, LE, R>
  ): Layer.Layer<JsonRpc.Client<FilteringError<E>>, LE, R> =>
    JsonRpc.transform(self, "filters", (below: JsonRpc.Service<E>) => build(below, settings))
}

const build = <E>(below: JsonRpc.Service<E>, { bloom, depth, gap, idle }: ReturnType<typeof read>) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const source = yield* Random.Random
    const random = () => source.nextDoubleUnsafe()
    const ground = { below, clock, random, bounds: { depth, gap }, bloom, idle }
    const registry = new Registry(ground, () => Call.now(clock))
    return {
      request: registry.request,
      submit: JsonRpc.passReads(below),
      inspect: (): Inspection => ({ filters: registry.size })
    }
  })

const read = (options: Options | undefined) =>
  Read.read("Filters", options, {
    idle: Read.duration({ default: "5 minutes" }),
    depth: Read.integer({ min: 1, default: 128 }),
    gap: Read.integer({ min: 1, default: 1_024 }),
    bloom: Read.boolean({ default: false })
  })
