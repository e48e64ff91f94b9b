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
 *
 * A tier hands on what it cannot take: for want of health (see `overflow`) and for want of room (see `capacity`).
 */
import { Call, Events, JsonRpc, Options as Read, Outcome } from "@hawser/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import type { Member, Spec } from "./internal/member.ts"
import type { Disagreement } from "./internal/quorum.ts"
import { Ballot, ballotOf, type Group, poll } from "./internal/quorum.ts"
import { Roster } from "./internal/roster.ts"
import { Turn } from "./internal/turn.ts"
import { type Event as RoundEvent, type Failing, type Job, Round } from "./internal/round.ts"
import { readMember, readMembers, readOptions, type Settings } from "./internal/settings.ts"

export { Disagreement, type Group } from "./internal/quorum.ts"

export interface Options<in E = any> {
  /**
   * `latency` (default): the cheaper of two drawn at random, cost being latency, failures and requests under way.
   * `weight`: in turn, in proportion to their weights, whatever they cost.
   */
  readonly balance?: "latency" | "weight" | undefined
  /**
   * How fast the averages of latency and of failures forget: the time in which they fall to a third (1/e) while nothing
   * else is seen. Default 10 seconds.
   */
  readonly decay?: Duration.Input | undefined
  /** What an upstream that fails every request costs, as latency. Default 5 seconds. */
  readonly penalty?: Duration.Input | undefined
  /**
   * A tier keeps all traffic while its share of upstreams in order, times this, is at least one; below that the rest
   * goes to the next tier first. Default 1.4: from two thirds up, everything.
   */
  readonly overflow?: number | undefined
  /** The time over which an upstream that is new, or back, takes up its share, from a tenth on. Default 0: at once. */
  readonly slowStart?: Duration.Input | undefined
  /** Puts upstreams aside that fail; for those that have no breaker of their own. Default `false`. */
  readonly ejection?: Ejection | boolean | undefined
  /** Ignores ejections while less than this share of the upstreams is left. From 0 (never) to 1. Default 0.5. */
  readonly panic?: number | undefined
  /**
   * Sends what is asked in one turn of the event loop to one upstream, as far as that can take it: for upstreams that send
   * requests together. Default false.
   */
  readonly gather?: boolean | undefined
  /**
   * What a call does while all breakers are open and their upstreams are down. `wait` (default): until one is back, as long as
   * its deadline allows; one request at a time goes to each upstream, every 50 ms at first and every second later. Over
   * JSON-RPC it is an `eth_blockNumber` that is no attempt of any call.
   * `fail`, and without a deadline: as soon as each has been asked.
   */
  readonly outage?: "wait" | "fail" | undefined
  /** What an error means, where its own verdict is not to be followed. */
  readonly judge?: ((error: E) => Outcome.Verdict) | undefined
}

export interface Ejection {
  /** Failures in a row that eject. Default 5. */
  readonly consecutive?: number | undefined
  /** The share of failures that ejects. Default 0.5. */
  readonly rate?: number | undefined
  /** Requests within one to two `interval`s before the share counts. Default 20. */
  readonly minimum?: number | undefined
  /** Default 10 seconds. */
  readonly interval?: Duration.Input | undefined
  /** How long the first ejection lasts; the k-th in a row lasts k times as long. Default 30 seconds. */
  readonly base?: Duration.Input | undefined
  /** The longest. Default 5 minutes. */
  readonly max?: Duration.Input | undefined
  /** The share by which an ejection may be longer, at random. Default 0.1. */
  readonly jitter?: number | undefined
  /** The share of the upstreams that may be out at once; one may in any case, the last never. Default 0.5. */
  readonly share?: number | undefined
}

/** One upstream as a pool takes it. */
export interface MemberOptions {
  /** Lower tiers first; a later tier is asked for what the earlier ones cannot answer. Default 0. */
  readonly tier?: number | undefined
  /** Its share of the traffic beside others of its tier, all else being equal. Default 1. */
  readonly weight?: number | undefined
  /**
   * Requests under way at which it is passed over while others have room, those of later tiers included. No limit: when all
   * are at capacity the first tier takes more, and a concurrency limit is what queues or refuses. Default: none.
   */
  readonly capacity?: number | undefined
}

/** What a pool tells as it happens. */
export type Event = RoundEvent

/** A snapshot of one upstream, as the pool sees it. */
export interface MemberInspection {
  readonly name: string
  readonly tier: number
  readonly weight: number
  readonly capacity: number | undefined
  readonly inflight: number
  /** Why nothing is sent to it at present: `at capacity` while others have room. */
  readonly out: "refused" | "ejected" | "draining" | "at capacity" | undefined
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
  /** The refusal or the failures for which nothing is sent to it, while that holds. */
  readonly leftOut: string | undefined
  readonly lastError: string | undefined
}

/** What one execution asks for. */
export interface Execution<in U = any> {
  /** Whether it may run twice. Default true. What must not is handed on only where it provably did not run. */
  readonly repeatable?: boolean | undefined
  /**
   * All executions of one scope go to one upstream, at capacity or not, and to another only when that one fails or is
   * excluded. Default: `Call.Sticky`.
   */
  readonly scope?: string | undefined
  /** Names of upstreams that are not asked; where nobody else is left, nobody is. Default: `Call.Exclude`. */
  readonly exclude?: ReadonlyArray<string> | undefined
  /**
   * A request that costs little and may run at any time, whose answer shows that an upstream is back. While all are down,
   * it is sent in place of the execution's own, which keeps its attempts. Default: none, so that the attempts are spread
   * over the time that is left, and an upstream may have been back for seconds before it is asked.
   */
  readonly check?: ((upstream: U) => Effect.Effect<unknown, unknown>) | undefined
}

export interface Quorum<in A = any> {
  /** How many upstreams are asked at once. */
  readonly of: number
  /** How many must give the same answer. */
  readonly agree: number
  /** When two answers are the same. Default: when their JSON is. */
  readonly equal?: ((a: A, b: A) => boolean) | undefined
}

/** One upstream as `make` and `set` take it. */
export interface Upstreams<out U> extends MemberOptions {
  readonly name: string
  readonly upstream: U
}

export interface UpstreamPool<in out U> {
  /**
   * Asks one upstream after another until one answers.
   *
   * An error whose verdict is "nowhere" and not a failure is an answer and is returned as it is; any other ends, when no
   * upstream is left, in `NoAnswer` with one cause for each.
   */
  readonly execute: <A, E, R>(
    ask: (upstream: U) => Effect.Effect<A, E, R>,
    options?: Execution
  ) => Effect.Effect<A, E | Call.NoAnswer<E | Call.Defect>, R>
  /**
   * Asks several upstreams at once until enough give the same answer. The rest is interrupted. An upstream that fails is
   * replaced by another, as in `execute`; each place is a call of its own, with attempts of its own.
   */
  readonly quorum: <A, E, R>(
    ask: (upstream: U) => Effect.Effect<A, E, R>,
    options: Quorum<A>
  ) => Effect.Effect<A, E | Disagreement | Call.NoAnswer<E | Call.Defect>, R>
  /**
   * Replaces the upstreams. One that stays (the same name, upstream, tier and weight) keeps what is known of it, whatever
   * its capacity is now; requests to one that goes end as they will.
   */
  readonly set: (upstreams: ReadonlyArray<Upstreams<U>>) => Effect.Effect<void>
  /** Sends nothing more to an upstream, and waits until what is under way there has ended. */
  readonly drain: (name: string) => Effect.Effect<void>
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
  upstreams: ReadonlyArray<Upstreams<U>>,
  options?: Options<E>
): Effect.Effect<UpstreamPool<U>> => {
  const settings = readOptions(options)
  const specs = readMembers(upstreams)
  return Effect.suspend(() => {
    const events = Events.make<Event>()
    return Effect.map(build(specs, settings, events), ({ run, ...pool }) => ({
      ...pool,
      execute: (ask, options) =>
        run({ ask, check: options?.check, repeatable: options?.repeatable ?? true, isAnswer }, options),
      events
    }))
  })
}

type UpstreamLayer = Layer.Layer<JsonRpc.Upstream<any>, any, any>

/** An upstream's layer, or the layer with its tier and weight. */
export type Upstream<L extends UpstreamLayer = UpstreamLayer> = L | ({ readonly upstream: L } & MemberOptions)

type LayerOf<U> = U extends { readonly upstream: infer L extends UpstreamLayer }
  ? L
  : U extends UpstreamLayer
    ? U
    : never

/** Which reads are put to several upstreams at once. */
export interface LayerQuorum extends Quorum {
  /** Default: all reads. Answers about the newest block differ between upstreams that are both right. */
  readonly only?: ((request: JsonRpc.Request) => boolean) | undefined
}

/** Options of the pool, and for its requests. */
export interface LayerOptions<in E = any> extends Options<E> {
  /**
   * Asks several upstreams and takes the answer that enough of them give; a `Disagreement` is the cause of a `NoAnswer` then.
   * Default: none.
   */
  readonly quorum?: LayerQuorum | undefined
}

/**
 * Builds one client from many upstreams. It fails with the chain's own answer (`Rejected`) or with nobody's
 * (`NoAnswer`), which holds one cause for each upstream.
 */
export const layer = <const Us extends ReadonlyArray<Upstream>>(
  upstreams: Us,
  options?: LayerOptions<JsonRpc.ErrorOf<LayerOf<Us[number]>>>
): Layer.Layer<
  JsonRpc.Client<ClientError<JsonRpc.ErrorOf<LayerOf<Us[number]>>>>,
  Layer.Error<LayerOf<Us[number]>>,
  Layer.Services<LayerOf<Us[number]>>
> => {
  const { quorum: given, ...rest } = options ?? {}
  const settings = readOptions(rest)
  const quorum = given === undefined ? undefined : readQuorum(given)
  if (upstreams.length === 0) Read.reject("UpstreamPool.upstreams", "at least one upstream", upstreams)
  const specs = upstreams.map((given: Upstream, i) => readMember(memberOf(given, i)))
  return Layer.effect(JsonRpc.client<any>())(
    Effect.gen(function* () {
      const members = yield* Effect.forEach(specs, ({ capacity, tier, upstream, weight }) =>
        Effect.map(Layer.build(upstream as Layer.Layer<JsonRpc.Upstream<any>>), (context) => {
          const service = Context.get(context, JsonRpc.upstream<any>())
          return { name: service.name, upstream: service, tier, weight, capacity }
        })
      ).pipe(Effect.map(apart))
      const observer = yield* JsonRpc.Observer
      const sink = Events.into(observer, (event: Event) => ({ layer: "pool", upstream: "", ...event }))
      const pool = yield* build(members, settings, sink)
      return {
        name: "pool",
        request: (request: JsonRpc.Request) =>
          quorum !== undefined && request.nature === "read" && quorum.only(request)
            ? Effect.withFiber((fiber) =>
                // All who are to be asked are being asked already.
                fiber.getRef(Call.Insist) === "hedge"
                  ? Effect.fail(nobody)
                  : Effect.catchTag(
                      pool.quorum((upstream) => upstream.request(request), quorum),
                      "Disagreement",
                      (error) => Effect.fail(disagreeing(error as Disagreement))
                    )
              )
            : pool.run({
                ask: (upstream) => upstream.request(request),
                check,
                repeatable: request.nature === "read",
                isAnswer: isRejected
              }),
        inspect: () => ({
          name: "pool",
          upstreams: pool.inspect().map((pool, i) => ({ ...members[i]!.upstream.inspect(), pool }))
        })
      }
    })
  ) as never
}

const blockNumber = JsonRpc.makeRequest("eth_blockNumber")

const check = (upstream: JsonRpc.Service<any>) => upstream.request(blockNumber)

/** Two of one name, as two keys at one host are, become `name` and `name#2`: each has a cause of its own. */
const apart = <U>(specs: ReadonlyArray<Spec<U>>): ReadonlyArray<Spec<U>> => {
  const taken = new Map<string, number>()
  return specs.map((spec) => {
    const count = (taken.get(spec.name) ?? 0) + 1
    taken.set(spec.name, count)
    return count === 1 ? spec : { ...spec, name: `${spec.name}#${count}` }
  })
}

const memberOf = (given: Upstream, i: number): { readonly upstream: UpstreamLayer } => {
  if (Layer.isLayer(given)) return { upstream: given }
  return typeof given === "object" && given !== null
    ? (given as { readonly upstream: UpstreamLayer })
    : Read.reject(`UpstreamPool.upstreams[${i}]`, "a layer of an upstream, or a record with one", Read.hidden)
}

const readQuorum = (given: LayerQuorum) => {
  const quorum = Read.read("UpstreamPool.quorum", given, {
    of: Read.integer({ min: 1 }),
    agree: Read.integer({ min: 1 }),
    equal: Read.fn<NonNullable<Quorum["equal"]>, undefined>({ default: undefined }),
    only: Read.fn<NonNullable<LayerQuorum["only"]>>({ default: () => true })
  })
  if (quorum.agree > quorum.of)
    Read.reject("UpstreamPool.quorum.agree", `a whole number up to ${quorum.of}`, quorum.agree)
  return quorum
}

const nobody = new Call.NoAnswer<never>({
  causes: [],
  [Outcome.TypeId]: Outcome.verdict({ counts: "neutral", again: "nowhere", ran: "no" })
})

/** Those who have answered, each with its side. */
const disagreeing = (error: Disagreement): Call.NoAnswer<Disagreement> =>
  new Call.NoAnswer({
    causes: error.groups.flatMap(({ upstreams }) => upstreams.map((upstream) => ({ upstream, error }))),
    [Outcome.TypeId]: Outcome.verdict()
  })

/** What a client above a pool of upstreams that fail with `E` can fail with. */
export type ClientError<E> = Extract<E, JsonRpc.Rejected> | Call.NoAnswer<Exclude<E, JsonRpc.Rejected> | Call.Defect>

const isRejected = (error: unknown): boolean => error instanceof JsonRpc.Rejected

const isAnswer = (_error: unknown, verdict: Outcome.Verdict): boolean =>
  verdict.again === "nowhere" && verdict.counts !== "failure"

const build = <U>(specs: ReadonlyArray<Spec<U>>, settings: Settings, events: Events.Sink<Event>) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const source = yield* Random.Random
    const random = () => source.nextDoubleUnsafe()
    const roster = new Roster<U>(settings)
    roster.set(specs, Call.now(clock))
    const { gather, judge, outage } = settings
    const dispatcher = (yield* Scheduler.Scheduler).makeDispatcher()
    const emit = (event: () => Event) => {
      if (events.active) events.emit(event())
    }
    const ground = {
      clock,
      random,
      roster,
      judge,
      emit,
      patient: outage === "wait",
      turn: gather ? new Turn<U>(dispatcher) : undefined
    }

    const run = <A, E, R>(job: Job<U, A, E, R>, wish?: Execution): Effect.Effect<A, Failing<E>, R> =>
      Call.use((call, fiber) => {
        call.pooled = true
        return new Round(ground, job, call, {
          scope: wish?.scope ?? fiber.getRef(Call.Sticky),
          excluded: wish?.exclude ?? fiber.getRef(Call.Exclude),
          hedging: fiber.getRef(Call.Insist) === "hedge"
        }).next()
      })

    const quorum = <A, E, R>(ask: (upstream: U) => Effect.Effect<A, E, R>, options: Quorum<A>) => {
      const { agree, equal = sameJson, of } = options
      Read.integer({ min: 1 })("UpstreamPool.quorum.of", of)
      Read.integer({ min: 1, max: of })("UpstreamPool.quorum.agree", agree)
      const nameOf = (upstream: U) => roster.members.find((member) => member.upstream === upstream)?.name ?? ""
      const cast = (upstream: U): Effect.Effect<Ballot, E | Ballot, R> =>
        Effect.mapBoth(ask(upstream), {
          onSuccess: (value) => new Ballot(nameOf(upstream), { value }),
          onFailure: (error) => (isAnswer(error, judge(error)) ? new Ballot(nameOf(upstream), { error }) : error)
        })
      /** Whom `taken` names is being asked for another place, or has cast its ballot. */
      const ballot = (taken: Array<string>) =>
        run<Ballot, E | Ballot, R>(
          {
            ask: (upstream) =>
              Effect.suspend(() => {
                const name = nameOf(upstream)
                taken.push(name)
                return Effect.onExitPrimitive(cast(upstream), (exit) => {
                  if (ballotOf(exit) === undefined) taken.splice(taken.indexOf(name), 1)
                  return undefined
                })
              }),
            check: undefined,
            repeatable: true,
            isAnswer: (error) => error instanceof Ballot
          },
          { exclude: taken }
        )
      const alike = (a: Group["answer"], b: Group["answer"]) =>
        "value" in a && "value" in b
          ? equal(a.value as A, b.value as A)
          : "error" in a && "error" in b && sameError(a.error, b.error)
      const group = Effect.withFiber<Group, Failing<E> | Disagreement, R>((fiber) => {
        const places = ballot(Array.from(fiber.getRef(Call.Exclude)))
        return poll(places as Effect.Effect<Ballot, Failing<E> | Ballot, R>, of, agree, alike)
      })
      return Effect.flatMap(group, ({ answer }) =>
        "value" in answer ? Effect.succeed(answer.value as A) : Effect.fail(answer.error as E)
      )
    }

    return {
      run,
      quorum,
      set: (upstreams: ReadonlyArray<Upstreams<U>>) =>
        Effect.suspend(() => {
          const specs = readMembers(upstreams)
          return Effect.sync(() => roster.set(specs, Call.now(clock)))
        }),
      drain: (name: string) =>
        Effect.suspend(() => {
          const member = roster.members.find((member) => member.name === name)
          if (member === undefined) return Effect.void
          member.draining = true
          return idle(member)
        }),
      inspect: () => roster.members.map((member) => inspectMember(member, roster, Call.now(clock)))
    }
  })

/** Ends when nothing is under way at a member. */
const idle = (member: Member<unknown>): Effect.Effect<void> =>
  Effect.callback((resume) => {
    if (member.load.inflight === 0) return resume(Effect.void)
    const listener = () => {
      if (member.load.inflight > 0) return
      member.settled.delete(listener)
      resume(Effect.void)
    }
    member.settled.add(listener)
    return Effect.sync(() => void member.settled.delete(listener))
  })

const sameJson = (a: unknown, b: unknown): boolean => a === b || JSON.stringify(a) === JSON.stringify(b)

// Wording differs between nodes that mean the same: two reverts agree when their data do.
const sameError = (a: unknown, b: unknown): boolean => sameJson(essence(a), essence(b))

const essence = (error: unknown): unknown =>
  error instanceof JsonRpc.Rejected
    ? [error.kind, error.data ?? null]
    : error instanceof Error
      ? [error.name, error.message]
      : error

const inspectMember = <U>(member: Member<U>, roster: Roster<U>, now: number): MemberInspection => ({
  name: member.name,
  tier: member.tier,
  weight: member.weight,
  capacity: member.capacity === Infinity ? undefined : member.capacity,
  inflight: member.load.inflight,
  ...outOf(member, roster, now),
  latency: member.load.latency,
  failing: member.load.failing,
  cost: member.cost(now),
  asked: member.asked,
  successes: member.successes,
  failures: member.failures,
  neutrals: member.neutrals,
  refusals: member.refusals,
  lastError: member.lastError === undefined ? undefined : Call.summary(member.lastError)
})

const outOf = <U>(member: Member<U>, roster: Roster<U>, now: number): Pick<MemberInspection, "out" | "leftOut"> => {
  if (roster.isEligible(member, now)) return { out: member.isFull ? "at capacity" : undefined, leftOut: undefined }
  if (member.draining) return { out: "draining", leftOut: undefined }
  if (member.isEjected(now)) return { out: "ejected", leftOut: member.ejection!.because }
  return { out: "refused", leftOut: Call.summary(member.leftOut!.error) }
}
