/**
 * Many upstreams as one client: each request goes to the cheaper of two drawn at random, and on to another when it
 * fails.
 *
 * Cost is the latency to expect (a peak average) and the share of failures times a penalty, times the requests already
 * under way: an upstream that fails at once attracts nothing, one that hangs soon attracts nothing, either gets a
 * request now and then to show that it is back.
 *
 * Each upstream is asked at most once in a round. One that refuses before it was asked (its breaker is open, its limit
 * reached) costs nothing. When all refuse, the pool waits in the line that moves first, if the caller's deadline
 * allows; when only open breakers are left, it sends one request to each as a probe while other callers wait for its
 * outcome, so that the first call after an outage succeeds.
 */
import { Call, Events, JsonRpc, Options as Read, Outcome } from "@hawser/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import { Member, tiersOf } from "./internal/members.ts"
import { type Event as RoundEvent, Round } from "./internal/round.ts"

export interface Options<in E = any> {
  /**
   * How fast the averages of latency and of failures forget: the time in which they fall to a third (1/e) while nothing
   * else is seen. Default 10 seconds.
   */
  readonly decay?: Duration.Input | undefined
  /** What an upstream that fails every request costs, as latency. Default 5 seconds. */
  readonly penalty?: Duration.Input | undefined
  /** What an error means, where its own verdict is not to be followed. */
  readonly judge?: ((error: E) => Outcome.Verdict) | undefined
}

/** One upstream as a pool takes it. */
export interface MemberOptions {
  /** Lower tiers first; a later tier is asked for what the earlier ones cannot answer. Default 0. */
  readonly tier?: number | undefined
  /** Its share of the traffic beside others of its tier, all else being equal. Default 1. */
  readonly weight?: number | undefined
}

/** What a pool tells as it happens. */
export type Event = RoundEvent

/** A snapshot of one upstream, as the pool sees it. */
export interface MemberInspection {
  readonly name: string
  readonly tier: number
  readonly weight: number
  readonly inflight: number
  /** Milliseconds an answer is expected to take. */
  readonly latency: number
  /** The share of requests that fail, from 0 to 1. */
  readonly failing: number
  /** What the next request would cost, in milliseconds: the lower, the likelier it goes here. */
  readonly cost: number
  readonly asked: number
  readonly successes: number
  readonly failures: number
  readonly neutrals: number
  readonly refusals: number
  /** Why it was left out last, while that holds. */
  readonly leftOut: string | undefined
  readonly lastError: string | undefined
}

export interface UpstreamPool<out U> {
  /**
   * Asks one upstream after another until one answers.
   *
   * An error whose verdict is "nowhere" and not a failure is an answer and is returned as it is; any other ends, when no
   * upstream is left, in `NoAnswer` with one cause for each. An effect that must not run twice (`repeatable: false`) is
   * handed on only where the upstream provably did not run it.
   */
  readonly execute: <A, E, R>(
    ask: (upstream: U) => Effect.Effect<A, E, R>,
    options?: { readonly repeatable?: boolean | undefined }
  ) => Effect.Effect<A, E | Call.NoAnswer<E | Call.Defect>, R>
  readonly inspect: () => ReadonlyArray<MemberInspection>
  readonly events: Events.Events<Event>
}

/**
 * Makes a pool of anything: clients, connections, endpoints.
 *
 * ```ts
 * const pool = yield* UpstreamPool.make([
 *   { name: "a", upstream: clientA },
 *   { name: "b", upstream: clientB, tier: 1 }
 * ])
 * const answer = yield* pool.execute((client) => client.get("/status"))
 * ```
 */
export const make = <U, E = any>(
  members: ReadonlyArray<{ readonly name: string; readonly upstream: U } & MemberOptions>,
  options?: Options<E>
): Effect.Effect<UpstreamPool<U>> => {
  const settings = read(options)
  const specs = members.map((member) => readMember(member))
  if (specs.length === 0) Read.reject("UpstreamPool.upstreams", "at least one upstream", members)
  return Effect.sync(() => Events.make<Event>()).pipe(
    Effect.flatMap((events) =>
      Effect.map(build(specs, settings, events), (pool) => ({ execute: pool.execute, inspect: pool.inspect, events }))
    )
  )
}

type UpstreamLayer = Layer.Layer<JsonRpc.Upstream<any>, any, any>

/** An upstream's layer, or the layer with its tier and weight. */
export type Upstream<L extends UpstreamLayer = UpstreamLayer> = L | ({ readonly upstream: L } & MemberOptions)

type LayerOf<U> = U extends { readonly upstream: infer L extends UpstreamLayer }
  ? L
  : U extends UpstreamLayer
    ? U
    : never

/**
 * Builds one client from many upstreams. It fails with the chain's own answer (`Rejected`) or with nobody's
 * (`NoAnswer`), which holds one cause for each upstream.
 */
export const layer = <const Us extends ReadonlyArray<Upstream>>(
  upstreams: Us,
  options?: Options<JsonRpc.ErrorOf<LayerOf<Us[number]>>>
): Layer.Layer<
  JsonRpc.Client<ClientError<JsonRpc.ErrorOf<LayerOf<Us[number]>>>>,
  Layer.Error<LayerOf<Us[number]>>,
  Layer.Services<LayerOf<Us[number]>>
> => {
  const settings = read(options)
  if (upstreams.length === 0) Read.reject("UpstreamPool.upstreams", "at least one upstream", upstreams)
  const specs = upstreams.map((given: Upstream) => readMember("upstream" in given ? given : { upstream: given }))
  return Layer.effect(JsonRpc.client<any>())(
    Effect.gen(function* () {
      const members = yield* Effect.forEach(specs, ({ tier, upstream, weight }) =>
        Effect.map(Layer.build(upstream as Layer.Layer<JsonRpc.Upstream<any>>), (context) => {
          const service = Context.get(context, JsonRpc.upstream<any>())
          return { name: service.name, upstream: service, tier, weight }
        })
      )
      const observer = yield* JsonRpc.Observer
      const sink = Events.into(observer, (event: Event) => ({ layer: "pool", upstream: "", ...event }))
      const pool = yield* build(members, settings, sink)
      return {
        name: "pool",
        request: (request: JsonRpc.Request) =>
          pool.run((upstream) => upstream.request(request), request.nature === "read", isRejected),
        inspect: () => ({
          name: "pool",
          upstreams: pool.inspect().map((pool, i) => ({ ...members[i]!.upstream.inspect(), pool }))
        })
      }
    })
  ) as never
}

/** What a client above a pool of upstreams that fail with `E` can fail with. */
export type ClientError<E> = Extract<E, JsonRpc.Rejected> | Call.NoAnswer<Exclude<E, JsonRpc.Rejected> | Call.Defect>

const isRejected = (error: unknown): boolean => error instanceof JsonRpc.Rejected

const isFinal = (_error: unknown, verdict: Outcome.Verdict): boolean =>
  verdict.again === "nowhere" && verdict.counts !== "failure"

const read = (options: unknown) =>
  Read.read("UpstreamPool", options, {
    decay: Read.duration({ default: "10 seconds" }),
    penalty: Read.duration({ default: "5 seconds" }),
    judge: Read.fn<(error: any) => Outcome.Verdict>({ default: Outcome.of })
  })

const readMember = <U>(member: { readonly upstream: U }) =>
  Read.read("UpstreamPool.upstreams", member, {
    name: Read.string({ default: "upstream" }),
    upstream: Read.any<U>(),
    tier: Read.integer({ min: 0, default: 0 }),
    weight: Read.number({ above: 0, default: 1 })
  }) as { readonly name: string; readonly upstream: U; readonly tier: number; readonly weight: number }

const build = <U>(
  specs: ReadonlyArray<{ readonly name: string; readonly upstream: U; readonly tier: number; readonly weight: number }>,
  settings: ReturnType<typeof read>,
  events: Events.Sink<Event>
) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const random = yield* Random.Random
    const members = specs.map((spec) => new Member(spec, settings))
    const ground = {
      clock,
      random: () => random.nextDoubleUnsafe(),
      tiers: tiersOf(members),
      judge: settings.judge,
      emit: (event: () => Event) => {
        if (events.active) events.emit(event())
      }
    }
    const run = <A, E, R>(
      ask: (upstream: U) => Effect.Effect<A, E, R>,
      repeatable: boolean,
      isAnswer: (error: E, verdict: Outcome.Verdict) => boolean
    ): Effect.Effect<A, E | Call.NoAnswer<E | Call.Defect>, R> =>
      Call.use((call, fiber) => {
        call.pooled = true
        return new Round(ground, { ask, repeatable, isAnswer }, call, fiber.getRef(Call.Insist) === "hedge").next()
      })
    return {
      run,
      execute: <A, E, R>(
        ask: (upstream: U) => Effect.Effect<A, E, R>,
        options?: { readonly repeatable?: boolean | undefined }
      ) => run(ask, options?.repeatable ?? true, isFinal),
      inspect: () => members.map((member) => inspectMember(member, Call.now(clock)))
    }
  })

const inspectMember = (member: Member<unknown>, now: number): MemberInspection => ({
  name: member.name,
  tier: member.tier,
  weight: member.weight,
  inflight: member.load.inflight,
  latency: member.load.latency,
  failing: member.load.failing,
  cost: member.cost(now),
  asked: member.asked,
  successes: member.successes,
  failures: member.failures,
  neutrals: member.neutrals,
  refusals: member.refusals,
  leftOut: member.leftOut !== undefined && now < member.leftOut.until ? Call.summary(member.leftOut.error) : undefined,
  lastError: member.lastError === undefined ? undefined : Call.summary(member.lastError)
})
