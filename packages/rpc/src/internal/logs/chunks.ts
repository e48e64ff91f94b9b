// Reads logs from one block to another, a chunk at a time.
import { Call, Events, JsonRpc } from "@hawser/core"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { Chunk, Cursor, Filter, Log } from "../../Logs.ts"
import { faultOf } from "./gather.ts"
import { type Bounds, type End, span } from "./query.ts"
import { Splitter } from "./splitter.ts"
import { type Failing, malformed, TooManyLogs } from "./trouble.ts"
import { quantity } from "../quantity.ts"

export interface Settings {
  readonly from: End | undefined
  readonly to: End
  readonly cursor: Cursor | undefined
  /** Logs that a chunk should have. */
  readonly chunk: number
  readonly concurrency: number
  /** Milliseconds. */
  readonly remember: number
}

/** Blocks of the first chunk, at most. */
const firstSize = 1_000

/** Milliseconds that a chunk should take at most. */
const brisk = 5_000

/** A chunk that turns out to have so many times the logs it should is given up for a smaller one. */
const excess = 8

export const chunks = <E>(
  client: JsonRpc.Service<E>,
  filter: Filter,
  settings: Settings,
  clock: Clock.Clock
): Stream.Stream<Chunk, Failing<E>> => {
  const { chunk, concurrency, cursor, remember } = settings
  const splitter = (maxLogs: number) => {
    const limits = { concurrency, remember, maxLogs, maxBlocks: Infinity, heads: undefined }
    return new Splitter(client, limits, clock, Events.nobody)
  }
  const many = splitter(excess * chunk)
  // One block cannot be made less.
  const one = splitter(Infinity)

  const resolve = (end: End): Effect.Effect<number, Failing<E>> =>
    Effect.flatMap(one.resolve(end), (block) =>
      block === undefined ? Effect.fail(malformed(client.name, `there is no ${end} block`)) : Effect.succeed(block)
    )

  const fetch = (bounds: Bounds): Effect.Effect<ReadonlyArray<Log>, Failing<E>> => {
    const { from, to } = bounds
    const params = [{ ...filter, fromBlock: quantity(from), toBlock: quantity(to) }]
    const answer = (span(bounds) === 1 ? one : many).request(JsonRpc.makeRequest("eth_getLogs", params))
    return Effect.flatMap(answer, (logs) => {
      const fault = faultOf(logs, bounds)
      if (fault !== undefined) return Effect.fail(malformed(client.name, fault))
      return Effect.succeed(
        cursor === undefined ? (logs as ReadonlyArray<Log>) : (logs as ReadonlyArray<Log>).filter(isAfter(cursor))
      )
    })
  }

  /** A chunk of at most `size` blocks, and the size that the next one should have. */
  const next = (from: number, to: number, size: number): Effect.Effect<readonly [Chunk, number], Failing<E>> =>
    Effect.suspend(() => {
      const bounds = { from, to: Math.min(to, from + size - 1) }
      const blocks = span(bounds)
      const started = Call.now(clock)
      return Effect.matchEffect(fetch(bounds), {
        onSuccess: (logs) => {
          const excess = Math.max((Call.now(clock) - started) / brisk, logs.length / chunk)
          const size = Math.max(1, Math.floor(blocks * Math.min(2, 1 / excess)))
          return Effect.succeed([{ ...bounds, logs, cursor: { block: bounds.to } }, size] as const)
        },
        onFailure: (error) =>
          blocks > 1 && isTooMany(error) ? next(from, to, Math.ceil(blocks / 2)) : Effect.fail(error)
      })
    })

  return Stream.unwrap(
    Effect.gen(function* () {
      const to = yield* resolve(settings.to)
      const start = cursor === undefined ? yield* resolve(settings.from!) : firstAfter(cursor)
      if (start > to) return Stream.empty
      return Stream.paginate({ from: start, size: Math.min(firstSize, chunk) }, ({ from, size }) =>
        Effect.map(
          next(from, to, size),
          ([chunk, size]) =>
            [[chunk], chunk.to < to ? Option.some({ from: chunk.to + 1, size }) : Option.none()] as const
        )
      )
    })
  )
}

const firstAfter = ({ block, logIndex }: Cursor): number => (logIndex === undefined ? block + 1 : block)

const isAfter =
  ({ block, logIndex = Infinity }: Cursor) =>
  (log: Log): boolean =>
    Number(log.blockNumber) > block || (Number(log.blockNumber) === block && Number(log.logIndex) > logIndex)

const isTooMany = (error: unknown): boolean =>
  error instanceof Call.NoAnswer && error.causes.some(({ error }) => error instanceof TooManyLogs)
