// The filters of a client, by the ids that it gave them.
import { type Call, JsonRpc } from "@hawser/core"
import * as Effect from "effect/Effect"
import { Asker, NotThere } from "../subscription/ask.ts"
import { type Criteria, readCriteria } from "../subscription/criteria.ts"
import { identityOf } from "../subscription/head.ts"
import { noAnswer, rejected } from "../subscription/sessions.ts"
import { PinnedFilter } from "./pinned.ts"
import { type Ground as Means, VirtualFilter } from "./virtual.ts"

export interface Ground<E> extends Means<E> {
  readonly below: JsonRpc.Service<E>
  /** Milliseconds after which a filter is forgotten that nobody asks for. */
  readonly idle: number
}

export type Failing<E> = E | JsonRpc.Rejected | Call.NoAnswer

interface Filter<E> {
  readonly changes: Effect.Effect<ReadonlyArray<unknown> | undefined, E | NotThere>
  readonly uninstall: Effect.Effect<void>
  /** What `eth_getLogs` is asked for all of its logs; `undefined`: it is not of logs. */
  readonly query: unknown
  usedAt: number
}

export class Registry<E> {
  private readonly ground: Ground<E>
  private readonly now: () => number
  /** The longest unused first. */
  private readonly filters = new Map<string, Filter<E>>()

  constructor(ground: Ground<E>, now: () => number) {
    this.ground = ground
    this.now = now
  }

  get size(): number {
    return this.filters.size
  }

  readonly request = (request: JsonRpc.Request): Effect.Effect<unknown, Failing<E>> => {
    const { method, params } = request
    switch (method) {
      case "eth_newFilter":
        return Effect.suspend(() => {
          const criteria = readCriteria(params[0])
          return typeof criteria === "string"
            ? Effect.fail(rejected(this.ground.below.name, -32602, "invalid", criteria))
            : this.virtual(criteria, params[0] ?? {})
        })
      case "eth_newBlockFilter":
        return this.virtual(undefined, undefined)
      case "eth_newPendingTransactionFilter":
        return Effect.suspend(() => {
          const id = this.id()
          return Effect.map(PinnedFilter.make(this.ground.below, `filter/${id}`), (filter) =>
            this.add(id, filter, undefined)
          )
        })
      case "eth_getFilterChanges":
        return this.using(params[0], (filter, id) =>
          Effect.flatMap(filter.changes, (changes) => {
            if (changes !== undefined) return Effect.succeed(changes)
            this.filters.delete(id)
            return this.unknown
          })
        )
      case "eth_getFilterLogs":
        return this.using(params[0], ({ query }) =>
          query === undefined ? this.unknown : this.ground.below.request(JsonRpc.makeRequest("eth_getLogs", [query]))
        )
      case "eth_uninstallFilter":
        return Effect.suspend(() => {
          const id = String(params[0])
          const filter = this.filters.get(id)
          this.filters.delete(id)
          return filter === undefined ? Effect.succeed(false) : Effect.as(filter.uninstall, true)
        })
      default:
        return this.ground.below.request(request)
    }
  }

  private virtual(criteria: Criteria | undefined, query: unknown): Effect.Effect<unknown, Failing<E>> {
    return Effect.suspend(() => {
      const id = this.id()
      const { below, bloom, clock } = this.ground
      const asker = new Asker(below, clock, `filter/${id}`, (block) =>
        identityOf(bloom ? block : { ...block, logsBloom: undefined })
      )
      return this.answered(
        Effect.map(asker.latest(), (head) => {
          const { changes } = new VirtualFilter(this.ground, asker, criteria, head)
          return this.add(id, { changes, uninstall: Effect.void }, query)
        })
      )
    })
  }

  private add(id: string, filter: Pick<Filter<E>, "changes" | "uninstall">, query: unknown): string {
    const { changes, uninstall } = filter
    this.filters.set(id, { changes, uninstall, query, usedAt: this.now() })
    return id
  }

  private using(
    id: unknown,
    f: (filter: Filter<E>, id: string) => Effect.Effect<unknown, Failing<E> | NotThere>
  ): Effect.Effect<unknown, Failing<E>> {
    return Effect.suspend(() => {
      this.forget()
      const key = String(id)
      const filter = this.filters.get(key)
      if (filter === undefined) return this.unknown
      filter.usedAt = this.now()
      this.filters.delete(key)
      this.filters.set(key, filter)
      return this.answered(f(filter, key))
    })
  }

  // Without a timer: nobody misses a filter that nobody asks for.
  private forget(): void {
    const since = this.now() - this.ground.idle
    for (const [id, { usedAt }] of this.filters) {
      if (usedAt > since) break
      this.filters.delete(id)
    }
  }

  // Ids are not to be guessed, nor to be those of another run.
  private id(): string {
    this.forget()
    const part = () =>
      Math.floor(this.ground.random() * 2 ** 32)
        .toString(16)
        .padStart(8, "0")
    return `0x${part()}${part()}${part()}${part()}`
  }

  private readonly unknown: Effect.Effect<never, JsonRpc.Rejected> = Effect.suspend(() =>
    Effect.fail(rejected(this.ground.below.name, -32000, "filter", "filter not found"))
  )

  private answered<A, E2>(effect: Effect.Effect<A, E2 | NotThere>): Effect.Effect<A, E2 | Call.NoAnswer> {
    return Effect.mapError(effect, (error) =>
      error instanceof NotThere ? noAnswer(this.ground.below.name, error) : error
    )
  }
}
