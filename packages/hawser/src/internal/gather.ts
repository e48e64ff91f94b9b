// Reads that are asked in one turn of the event loop go through the stack as one, and each takes its answer from it: one
// pick, one attempt, one timer for all, where each would have its own.
//
// It is the first attempt only, and a second one for the upstream's sake. What it does not settle goes on by itself, with the
// attempts and the time that are left, and by what has been learned of the upstreams.
import { Call, JsonRpc } from "@hawser/core"
import { Method, Snapshot } from "@hawser/rpc"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Predicate from "effect/Predicate"
import * as Scheduler from "effect/Scheduler"
import * as Tracer from "effect/Tracer"
import type { Options } from "../Stack.ts"
import type * as Names from "./names.ts"

type Given = Pick<Options, "batch" | "cache" | "deadline" | "multicall" | "quorum" | "retry" | "timeout" | "trace"> & {
  readonly upstreams: ReadonlyArray<Names.Given>
}

export interface Settings {
  /** Reads that go as one at most. */
  readonly size: number
  /** Requests that a call may send. */
  readonly attempts: number
}

/**
 * Whether the stack's options let reads go together: all upstreams take batches alike, nothing limits one of them request by
 * request, and neither a function of the user's nor a store has a word on a single request.
 */
export const settings = ({
  batch,
  cache,
  deadline,
  multicall,
  quorum,
  retry,
  timeout,
  trace,
  upstreams
}: Given): Settings | false => {
  const { size = 100, wait = 0 } = typeof batch === "object" ? batch : {}
  const together =
    !isOff(batch) &&
    size > 1 &&
    isOff(multicall) &&
    isOff(quorum) &&
    !(typeof trace === "object" && trace.spans === true) &&
    typeof deadline !== "function" &&
    typeof timeout !== "function" &&
    isUsual(retry, ["while", "schedule"]) &&
    (cache === false || isUsual(cache, ["store", "linger"])) &&
    upstreams.every(isOrdinary) &&
    Duration.toMillis(Duration.fromInputUnsafe(wait)) === 0
  return together && { size, attempts: (retry || undefined)?.attempts ?? Call.defaultAttempts }
}

const isUsual = <A extends object>(given: A | false | undefined, special: ReadonlyArray<keyof A>): boolean =>
  given === undefined || (given !== false && special.every((option) => given[option] === undefined))

const isOff = (option: unknown): boolean => option === undefined || option === false

const isOrdinary = ({ batch, concurrency, layer, methods, rateLimit, timeout, url }: Names.Given): boolean =>
  layer === undefined &&
  /^https?:/i.test(String(url)) &&
  batch === undefined &&
  rateLimit === undefined &&
  concurrency === undefined &&
  methods === undefined &&
  typeof timeout !== "function"

/** Who waits for the answer to a read: a fiber, or a caller without one. Once it has it, it holds nothing any more. */
class Member<E> implements JsonRpc.Place {
  readonly request: JsonRpc.Request
  group: Group | undefined = undefined
  left = false
  private resume: ((next: Effect.Effect<unknown, E>) => void) | undefined
  private caller: JsonRpc.Caller | undefined
  /** Where a caller without a fiber is waited for by itself. */
  private place: JsonRpc.Place | undefined = undefined

  constructor(
    request: JsonRpc.Request,
    resume: ((next: Effect.Effect<unknown, E>) => void) | undefined,
    caller: JsonRpc.Caller | undefined
  ) {
    this.request = request
    this.resume = resume
    this.caller = caller
  }

  /** Hands it the answer, or what is to be done to get it. */
  give(next: Effect.Effect<unknown, E>, context: Context.Context<never>): void {
    const { caller, resume } = this
    this.group = this.caller = this.resume = undefined
    if (resume !== undefined) return resume(next)
    if (Exit.isExit(next)) return caller!.end(next)
    this.place = JsonRpc.run(next, context, caller!)
  }

  /** Nobody else has come along. */
  goAlone(below: JsonRpc.Service<E>, context: Context.Context<never>): void {
    const { caller, request } = this
    let place: JsonRpc.Place | undefined
    try {
      place = caller && below.submit?.(request, caller)
    } catch (defect) {
      return this.give(Exit.die(defect), context)
    }
    // It may have left meanwhile, by what a user's function did.
    if (this.left) return place && void Effect.runFork(place.leave())
    this.place = place
    if (place === undefined)
      this.give(
        Effect.suspend(() => below.request(request)),
        context
      )
  }

  /** The last one ends the group, and waits until nothing of it runs. */
  leave(): Effect.Effect<void> {
    const { group, place } = this
    this.left = true
    this.group = this.caller = this.resume = this.place = undefined
    if (place !== undefined) return place.leave()
    return group === undefined || --group.present > 0 || group.fiber === undefined
      ? Effect.void
      : Fiber.interrupt(group.fiber)
  }
}

/** Reads on their way as one. */
interface Group {
  fiber: Fiber.Fiber<unknown, unknown> | undefined
  /** Members that have not left. */
  present: number
}

/** How often a group may ask: once, and a second time for the upstream's sake. */
const tries = 2

/**
 * Belongs above everything else. A call that is somebody's already, or is watched, goes by itself: what happens to it is to
 * be told of it alone.
 */
export const layer =
  ({ attempts, size }: Settings) =>
  <E, LE, R>(self: Layer.Layer<JsonRpc.Client<E>, LE, R>): Layer.Layer<JsonRpc.Client<E>, LE, R> =>
    JsonRpc.transform(self, "gather", (below: JsonRpc.Service<E>) =>
      Effect.gen(function* () {
        const observer = yield* JsonRpc.Observer
        const context = Context.omit(Tracer.ParentSpan)(yield* Effect.context())
        const dispatcher = (yield* Scheduler.Scheduler).makeDispatcher()
        const gatherer = new Gatherer(below, { size, attempts: Math.max(1, attempts) }, context, dispatcher)
        yield* Effect.addFinalizer(() => gatherer.close)
        const isGathered = (request: JsonRpc.Request) => mayGather(request) && !observer.active && !gatherer.closed
        return {
          request: (request: JsonRpc.Request) => (isGathered(request) ? gatherer.ask(request) : below.request(request)),
          submit: (request: JsonRpc.Request, caller: JsonRpc.Caller) =>
            isGathered(request) ? gatherer.submit(request, caller) : below.submit?.(request, caller)
        }
      })
    )

// Wide log queries are taken apart, and heavy requests have more time.
const mayGather = (request: JsonRpc.Request): boolean =>
  request.nature === "read" && request.method !== "eth_getLogs" && Method.weight(request) === "light"

const isPlain = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  fiber.getRef(Call.Current) === undefined &&
  fiber.getRef(Call.Insist) === "none" &&
  fiber.getRef(Call.Sticky) === undefined &&
  fiber.getRef(Call.Exclude).length === 0 &&
  !Snapshot.isWithin(fiber)

class Gatherer<E> {
  private readonly below: JsonRpc.Service<E>
  private readonly settings: Settings
  private readonly context: Context.Context<never>
  private readonly dispatcher: Scheduler.SchedulerDispatcher
  private line: Array<Member<E>> = []
  private readonly running = new Set<Fiber.Fiber<unknown, unknown>>()
  closed = false

  constructor(
    below: JsonRpc.Service<E>,
    settings: Settings,
    context: Context.Context<never>,
    dispatcher: Scheduler.SchedulerDispatcher
  ) {
    this.below = below
    this.settings = settings
    this.context = context
    this.dispatcher = dispatcher
  }

  ask(request: JsonRpc.Request): Effect.Effect<unknown, E> {
    return Effect.callback((resume) => {
      if (!isPlain(Fiber.getCurrent()!)) return resume(this.below.request(request))
      const member = this.join(new Member(request, resume, undefined))
      return Effect.suspend(() => member.leave())
    })
  }

  submit(request: JsonRpc.Request, caller: JsonRpc.Caller): JsonRpc.Place {
    return this.join(new Member<E>(request, undefined, caller))
  }

  private join(member: Member<E>): Member<E> {
    if (this.line.push(member) === 1) this.dispatcher.scheduleTask(this.flush, 0)
    return member
  }

  private readonly flush = (): void => {
    const { size } = this.settings
    const members = this.line.filter(({ left }) => !left)
    this.line = []
    if (members.length === 1) return members[0]!.goAlone(this.below, this.context)
    for (let i = 0; i < members.length; i += size) this.send(members.slice(i, i + size))
  }

  private send(members: ReadonlyArray<Member<E>>): void {
    const group: Group = { fiber: undefined, present: members.length }
    for (const member of members) member.group = group
    const call = new Call.Call()
    call.attempts = Math.min(tries, this.settings.attempts)
    const request = JsonRpc.makeBatch(members.map(({ request }) => request))
    const context = Context.add(this.context, Call.Current, call)
    const fiber = Effect.runForkWith(context)(Effect.suspend(() => this.below.request(request)))
    group.fiber = fiber
    this.running.add(fiber)
    fiber.addObserver((exit) => {
      this.running.delete(fiber)
      this.settle(members, call, exit as Exit.Exit<JsonRpc.Answers, E>)
    })
  }

  /** Who waits for a group is interrupted with it. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.closed = true
    return Fiber.interruptAll(this.running)
  })

  private settle(members: ReadonlyArray<Member<E>>, call: Call.Call, exit: Exit.Exit<JsonRpc.Answers, E>): void {
    for (const [i, member] of members.entries()) {
      if (member.left) continue
      const answer =
        exit._tag === "Success" ? (exit.value[i] as Exit.Exit<unknown, E>) : (exit as Exit.Failure<never, E>)
      member.give(isSettled(answer) ? answer : this.goOn(member.request, call, answer.cause), this.context)
    }
  }

  /** The rest of a call whose first attempt was the group's. */
  private goOn(
    request: JsonRpc.Request,
    { deadline, failures, sent }: Call.Call,
    cause: Cause.Cause<E>
  ): Effect.Effect<unknown, E> {
    const { error } = cause.reasons.find(Cause.isFailReason) ?? { error: undefined }
    const isApart = error instanceof JsonRpc.Apart
    const left = Math.max(isApart ? 1 : 0, this.settings.attempts - sent)
    if (left === 0 && error instanceof Call.NoAnswer) return Effect.failCause(cause)
    const call = new Call.Call()
    call.resumed = true
    call.attempts = left
    call.sent = sent
    call.deadline = deadline
    for (const [upstream, failure] of failures ?? []) {
      if (!(failure instanceof JsonRpc.Apart)) Call.fail(call, upstream, failure)
    }
    if (!isApart && Predicate.hasProperty(error, "upstream")) Call.fail(call, String(error.upstream), error)
    return Effect.provideService(this.below.request(request), Call.Current, call)
  }
}

/** An answer, or the layers have ended, or no time is left. */
const isSettled = <E>(exit: Exit.Exit<unknown, E>): exit is Exit.Success<unknown, E> =>
  exit._tag === "Success" ||
  JsonRpc.isAnswer(exit) ||
  Cause.hasInterruptsOnly(exit.cause) ||
  exit.cause.reasons.some((reason) => reason._tag === "Fail" && reason.error instanceof Call.DeadlineExceeded)
