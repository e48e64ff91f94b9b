// Runs log queries: whole where that may do, else in pieces, several at once.
import { Call, type Events, JsonRpc, Outcome } from "@hawser/core"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Event, Inspection, Log } from "../../Logs.ts"
import type { Heads } from "../heads.ts"
import { Caps } from "./caps.ts"
import { below, faultOf, fork, Gathering } from "./gather.ts"
import { type Limits, Plan } from "./plan.ts"
import { type Bounds, type End, type Piece, type Query, read, requestOf, span, whole } from "./query.ts"
import { isRefusal, refusalOf } from "./refusal.ts"
import { type Failing, malformed, noAnswer, Reorganised, TooManyLogs } from "./trouble.ts"
import { numberOf } from "../quantity.ts"

export interface Settings {
  readonly concurrency: number
  readonly maxBlocks: number
  readonly maxLogs: number
  /** Milliseconds. */
  readonly remember: number
  readonly heads: Pick<Heads, "on"> | undefined
}

/** How often blocks that were replaced meanwhile are asked for again. */
const repeats = 3

export class Splitter<E> implements JsonRpc.Stage<Failing<E>> {
  private readonly service: JsonRpc.Service<E>
  private readonly settings: Settings
  private readonly clock: Clock.Clock
  private readonly events: Events.Sink<Event>
  private readonly blocks: Caps
  private readonly addresses: Caps
  private readonly counts = { split: 0, parts: 0, refused: 0, repeated: 0 }

  constructor(service: JsonRpc.Service<E>, settings: Settings, clock: Clock.Clock, events: Events.Sink<Event>) {
    this.service = service
    this.settings = settings
    this.clock = clock
    this.events = events
    this.blocks = new Caps(settings.remember)
    this.addresses = new Caps(settings.remember)
  }

  readonly inspect = (): Inspection => {
    const now = Call.now(this.clock)
    return { ...this.counts, maxBlocks: this.blocks.inspect(now), maxAddresses: this.addresses.inspect(now) }
  }

  readonly request = (request: JsonRpc.Request): Effect.Effect<unknown, Failing<E>> => {
    const query = read(request)
    return query === undefined ? this.service.request(request) : Effect.suspend(() => this.answer(request, query))
  }

  readonly submit: JsonRpc.Submit = (request, caller) =>
    read(request) === undefined ? this.service.submit?.(request, caller) : undefined

  /** The block that an end stands for at present; `undefined` if nobody says. */
  readonly resolve = (end: End): Effect.Effect<number | undefined, E> => {
    if (typeof end === "number") return Effect.succeed(end)
    return end === "latest"
      ? Effect.map(this.alone(blockNumber), numberOf)
      : Effect.map(this.alone(JsonRpc.makeRequest("eth_getBlockByNumber", [end, false])), (block) =>
          numberOf((block as { readonly number?: unknown } | null)?.number)
        )
  }

  private answer(request: JsonRpc.Request, query: Query): Effect.Effect<unknown, Failing<E>> {
    const known = this.known()
    const fits = (bounds: Bounds) =>
      span(bounds) <= known.blocks && (query.addresses === undefined || query.addresses.length <= known.addresses)
    const ask = (bounds: Effect.Effect<Bounds | undefined, E>) =>
      Effect.catch(this.service.request(request), (error): Effect.Effect<unknown, Failing<E>> => {
        if (!isRefusal(error)) return Effect.fail(error)
        return Effect.flatMap(bounds, (bounds) => this.split(query, bounds, error))
      })
    const { from, to } = query
    const unlimited = known.blocks === Infinity && known.addresses === Infinity
    if (unlimited || (typeof from === "number" && typeof to === "number" && fits({ from, to }))) {
      return ask(this.bounds(query))
    }
    return Effect.flatMap(this.bounds(query), (bounds) =>
      bounds === undefined || fits(bounds)
        ? ask(Effect.succeed(bounds))
        : this.gather(query, bounds, this.plan(query, bounds))
    )
  }

  private known(): Limits {
    const now = Call.now(this.clock)
    return {
      blocks: Math.min(this.blocks.most(now), this.settings.maxBlocks),
      addresses: this.addresses.most(now)
    }
  }

  // Once for all parts, so that they agree on the head. A number above it means all there is.
  private bounds({ from, to }: Query): Effect.Effect<Bounds | undefined, E> {
    return Effect.gen({ self: this }, function* () {
      const top = yield* this.resolve(to)
      const bottom = from === to ? top : yield* this.resolve(from)
      if (bottom === undefined || top === undefined || bottom > top) return undefined
      if (typeof to !== "number") return { from: bottom, to: top }
      const head = yield* Effect.orElseSucceed(this.resolve("latest"), () => undefined)
      if (head === undefined || top <= head) return { from: bottom, to: top }
      return bottom > head ? undefined : { from: bottom, to: head }
    })
  }

  private plan(query: Query, bounds: Bounds): Plan {
    const plan = new Plan(this.known(), this.settings.maxBlocks)
    plan.add(whole(query, bounds))
    return plan
  }

  // The whole was refused.
  private split(query: Query, bounds: Bounds | undefined, error: E): Effect.Effect<unknown, Failing<E>> {
    if (bounds === undefined) return Effect.fail(error)
    const plan = new Plan({ blocks: Infinity, addresses: Infinity }, this.settings.maxBlocks)
    return this.refused(plan, whole(query, bounds), error) ? this.gather(query, bounds, plan) : Effect.fail(error)
  }

  /** Whether what was refused can be asked for in parts. */
  private refused(plan: Plan, piece: Piece, error: unknown): boolean {
    const refusal = refusalOf(error, piece)
    if (refusal === undefined) return false
    this.counts.refused++
    const now = Call.now(this.clock)
    for (const { most, upstream, what } of refusal.limits) this[what].learn(upstream, most, now)
    return plan.refused(piece, refusal)
  }

  private gather(query: Query, bounds: Bounds, plan: Plan): Effect.Effect<ReadonlyArray<Log>, Failing<E>> {
    this.counts.split++
    if (this.events.active) this.events.emit({ type: "split", blocks: span(bounds) })
    return this.complete(query, bounds, plan, [], repeats)
  }

  // Blocks that were replaced while they were read are read again, and all above them.
  private complete(
    query: Query,
    bounds: Bounds,
    plan: Plan,
    held: ReadonlyArray<Log>,
    repeats: number
  ): Effect.Effect<ReadonlyArray<Log>, Failing<E>> {
    const { heads } = this.settings
    let broken = Infinity
    const run = Outcome.guard(
      this.run(query, plan, held.length),
      () => ({
        off: heads?.on((change) => {
          if (change.type === "reorg" && change.from < broken) broken = change.from
        })
      }),
      ({ off }) => off?.()
    )
    return Effect.flatMap(run, (found): Effect.Effect<ReadonlyArray<Log>, Failing<E>> => {
      const logs = held.length === 0 ? found : [...held, ...found]
      const from = Math.max(bounds.from, Math.min(broken, fork(logs) ?? Infinity))
      if (from > bounds.to) return Effect.succeed(logs)
      if (repeats === 0) return Effect.fail(noAnswer(this.service.name, new Reorganised({ from })))
      this.counts.repeated++
      const again = this.plan(query, { from, to: bounds.to })
      return Effect.suspend(() => this.complete(query, bounds, again, below(logs, from), repeats - 1))
    })
  }

  private run(query: Query, plan: Plan, held: number): Effect.Effect<ReadonlyArray<Log>, Failing<E>> {
    const gathering = new Gathering()
    const idle = new Set<() => void>()
    let underWay = 0
    let ends = 0
    const ended = () => {
      underWay--
      ends++
      for (const wake of Array.from(idle)) wake()
    }
    // Until another piece ends. One may have, since this worker found nothing to do.
    const rest = (seen: number) =>
      Effect.callback<void>((resume) => {
        if (ends !== seen) return resume(Effect.void)
        const wake = () => {
          idle.delete(wake)
          resume(Effect.void)
        }
        idle.add(wake)
        return Effect.sync(() => void idle.delete(wake))
      })
    const ask = (piece: Piece): Effect.Effect<void, Failing<E>> =>
      Effect.matchEffect(this.part(query, piece), {
        onSuccess: (answer) => {
          const fault = faultOf(answer, piece)
          if (fault !== undefined) return Effect.fail(malformed(this.service.name, fault))
          gathering.add(piece, answer as ReadonlyArray<Log>)
          if (held + gathering.size > this.settings.maxLogs) {
            return Effect.fail(noAnswer(this.service.name, new TooManyLogs({ limit: this.settings.maxLogs })))
          }
          this.blocks.taken(span(piece), Call.now(this.clock))
          plan.answered(piece)
          return Effect.sync(ended)
        },
        onFailure: (error) => (this.refused(plan, piece, error) ? Effect.sync(ended) : Effect.fail(error))
      })
    const worker: Effect.Effect<void, Failing<E>> = Effect.suspend(() => {
      const piece = plan.take()
      if (piece !== undefined) {
        underWay++
        return Effect.andThen(ask(piece), worker)
      }
      return underWay === 0 ? Effect.void : Effect.andThen(rest(ends), worker)
    })
    const workers = Array.from({ length: this.settings.concurrency }, () => worker)
    return Effect.map(Effect.all(workers, { concurrency: "unbounded", discard: true }), () =>
      gathering.all(plan.crosswise)
    )
  }

  private part(query: Query, piece: Piece): Effect.Effect<unknown, E> {
    this.counts.parts++
    return this.alone(requestOf(query, piece))
  }

  // A call of its own, with attempts of its own and the deadline of the caller's.
  private alone(request: JsonRpc.Request): Effect.Effect<unknown, E> {
    return Call.use((caller) => {
      const call = new Call.Call(caller.recorder, caller.deadline)
      return Effect.tapError(Effect.provideService(this.service.request(request), Call.Current, call), (error) =>
        Effect.sync(() => {
          if (!(error instanceof Call.NoAnswer)) return
          for (const { error: cause, upstream } of error.causes) Call.fail(caller, upstream, cause)
        })
      )
    })
  }
}

const blockNumber = JsonRpc.makeRequest("eth_blockNumber")
