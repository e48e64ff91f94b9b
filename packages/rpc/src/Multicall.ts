/**
 * Fewer requests: calls on the same block that are asked at the same time go as one, through the contract Multicall3.
 *
 * A call that fails there is asked again by itself, so that a revert comes as the node says it. Where the contract is
 * missing, or the shared call fails, each is asked by itself, and fewer or none are merged for a while.
 *
 * **Not promised.** Merged calls see Multicall3 as `msg.sender`, share the gas of one call, and see what those before them
 * in the same request changed. So it suits views, is off unless asked for, and leaves alone whatever names a sender.
 */
import { Call, JsonRpc, Options as Read } from "@hawser/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import * as Scheduler from "effect/Scheduler"
import { Limit } from "./internal/batchLimit.ts"
import { Absence, address, bytesOf, decode, encode, type Part, partOf } from "./internal/multicall.ts"
import { Group, type Member } from "./internal/multicallGroup.ts"

export interface Options {
  /** Where the contract is. Default: `0xcA11bde05977b3631167028862bE2a173976CA11`, its address on nearly all chains. */
  readonly address?: string | undefined
  /** Calls that go together at most. Default 100: half a million gas each, of the 50 million that geth gives a call. */
  readonly size?: number | undefined
  /** Bytes of their calldata at most. Default 4096: a hundred times `balanceOf`. A longer call goes alone. */
  readonly bytes?: number | undefined
  /** Which of the calls that could be merged may be. Default: all. */
  readonly only?: ((request: JsonRpc.Request) => boolean) | undefined
}

export interface Inspection {
  /** Calls that may go together now: fewer than configured where more have failed. */
  readonly size: number
  /** Shared calls sent, and the calls in them. */
  readonly aggregates: number
  readonly merged: number
  /** Calls that were asked again by themselves: they failed, or the shared call did. */
  readonly alone: number
  /** Shared calls that found no contract. */
  readonly absent: number
}

/**
 * Merges calls (`eth_call` with `to` and `data` only) of one client. Belongs below a cache, which keeps each answer by
 * itself, and above what asks again. A shared call has attempts of its own, and each caller its deadline.
 *
 * ```ts
 * const client = UpstreamPool.layer(upstreams).pipe(Retry.layer(), Multicall.layer())
 * ```
 *
 * @throws `InvalidOption` at once.
 */
export const layer = (options?: Options) => {
  const settings = Read.read("Multicall", options, {
    address: readAddress,
    size: Read.integer({ min: 2, default: 100 }),
    bytes: Read.integer({ min: 1, default: 4_096 }),
    only: Read.fn<(request: JsonRpc.Request) => boolean>({ default: () => true })
  })
  return <E, LE, R>(self: Layer.Layer<JsonRpc.Client<E>, LE, R>): Layer.Layer<JsonRpc.Client<E>, LE, R> =>
    JsonRpc.transform(self, "multicall", (below: JsonRpc.Service<E>) => make(settings, below))
}

const readAddress = (option: string, given: unknown): string => {
  const value = given ?? "0xcA11bde05977b3631167028862bE2a173976CA11"
  return typeof value === "string" && address.test(value) ? value : Read.reject(option, "an address", given)
}

interface Settings {
  readonly address: string
  readonly size: number
  readonly bytes: number
  readonly only: (request: JsonRpc.Request) => boolean
}

const make = <E>(settings: Settings, below: JsonRpc.Service<E>) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const scheduler = yield* Scheduler.Scheduler
    const context = yield* Effect.context()
    const merger = new Merger(settings, below, () => Call.now(clock), scheduler.makeDispatcher(), context)
    yield* Effect.addFinalizer(() => merger.close())
    return merger
  })

class Merger<E> implements JsonRpc.Stage<E> {
  private readonly settings: Settings
  private readonly below: JsonRpc.Service<E>
  private readonly now: () => number
  private readonly dispatcher: Scheduler.SchedulerDispatcher
  private readonly context: Context.Context<never>
  private readonly learned: Limit
  private readonly absence = new Absence()
  /** Those that are not launched yet, by block. */
  private readonly groups = new Map<string, Group<E>>()
  private readonly running = new Set<Group<E>>()
  private readonly counts = { aggregates: 0, merged: 0, alone: 0, absent: 0 }
  private closed = false

  constructor(
    settings: Settings,
    below: JsonRpc.Service<E>,
    now: () => number,
    dispatcher: Scheduler.SchedulerDispatcher,
    context: Context.Context<never>
  ) {
    this.settings = settings
    this.below = below
    this.now = now
    this.dispatcher = dispatcher
    this.context = context
    this.learned = new Limit(settings.size)
  }

  readonly inspect = (): Inspection => ({ size: this.learned.at(this.now), ...this.counts })

  readonly request = (request: JsonRpc.Request): Effect.Effect<unknown, E> =>
    Effect.withFiber((fiber) => {
      const part = partOf(request)
      if (part === undefined || !this.merges(part) || isParticular(fiber) || !this.settings.only(request)) {
        return this.below.request(request)
      }
      const call = fiber.getRef(Call.Current)
      return Effect.flatten(
        Effect.callback<Effect.Effect<unknown, E>>((resume) => {
          const member: Member<E> = { part, request, call, resume }
          const group = this.join(member)
          return Effect.suspend(() => this.leave(group, member))
        })
      )
    })

  /** Ends what is under way. Whatever waits or comes is asked by itself. */
  close(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.closed = true
      const fibers = Array.from(this.running, ({ fiber }) => fiber)
      return Fiber.interruptAll(fibers.filter((fiber) => fiber !== undefined))
    })
  }

  private merges(part: Part): boolean {
    if (this.closed || bytesOf(part) > this.settings.bytes) return false
    return this.learned.at(this.now) > 1 && !this.absence.at(part.block, this.now)
  }

  private join(member: Member<E>): Group<E> {
    const { key } = member.part
    const waiting = this.groups.get(key)
    if (waiting !== undefined && waiting.bytes + bytesOf(member.part) > this.settings.bytes) this.launch(key, waiting)
    let group = this.groups.get(key)
    if (group === undefined) {
      const opened = (group = new Group<E>())
      this.groups.set(key, opened)
      this.dispatcher.scheduleTask(() => this.launch(key, opened), 0)
    }
    group.join(member)
    if (group.members.size >= this.learned.at(this.now)) this.launch(key, group)
    return group
  }

  private leave(group: Group<E>, member: Member<E>): Effect.Effect<void> {
    group.members.delete(member)
    if (group.members.size > 0 || group.fiber === undefined) return Effect.void
    group.fiber.interruptUnsafe()
    return Effect.asVoid(Fiber.await(group.fiber))
  }

  private launch(key: string, group: Group<E>): void {
    if (this.groups.get(key) !== group) return
    this.groups.delete(key)
    const members = Array.from(group.members)
    if (members.length < 2 || this.closed) return this.apart(group, members)
    const [{ part }] = members as [Member<E>]
    const data = encode(members.map(({ part }) => part))
    const shared = JsonRpc.makeRequest("eth_call", [{ to: this.settings.address, data }, part.block])
    this.counts.aggregates++
    this.counts.merged += members.length
    this.running.add(group)
    const fiber = Effect.runForkWith(Context.add(this.context, Call.Current, group.open()))(this.below.request(shared))
    group.fiber = fiber
    if (group.members.size === 0) fiber.interruptUnsafe()
    fiber.addObserver((exit) => this.settle(group, members, exit))
  }

  private settle(group: Group<E>, members: ReadonlyArray<Member<E>>, exit: Exit.Exit<unknown, E>): void {
    this.running.delete(group)
    if (Exit.hasInterrupts(exit)) return this.answer(group, members, () => exit)
    const results = Exit.isSuccess(exit) ? decode(exit.value, members.length) : undefined
    if (results !== undefined) {
      this.learned.taken(members.length)
      const asked = new Map(members.map((member, i) => [member, results[i]]))
      return this.answer(group, members, (member) => {
        const result = asked.get(member)
        return result === undefined ? this.alone(member) : Exit.succeed(result)
      })
    }
    if (Exit.isSuccess(exit) && exit.value === "0x") {
      this.counts.absent++
      this.absence.note(members[0]!.part.block, this.now())
    } else this.learned.failed(members.length, this.now())
    this.answer(group, members, (member) => this.alone(member))
  }

  private alone({ request }: Member<E>): Effect.Effect<unknown, E> {
    this.counts.alone++
    return this.below.request(request)
  }

  private apart(group: Group<E>, members: ReadonlyArray<Member<E>>): void {
    this.answer(group, members, ({ request }) => this.below.request(request))
  }

  // The answer to one may make another leave.
  private answer(
    group: Group<E>,
    members: ReadonlyArray<Member<E>>,
    of: (member: Member<E>) => Effect.Effect<unknown, E>
  ): void {
    for (const member of members) if (group.members.delete(member)) member.resume(Effect.succeed(of(member)))
  }
}

/** Where it is asked to go a way of its own, it goes alone. */
const isParticular = (fiber: Fiber.Fiber<unknown, unknown>): boolean =>
  fiber.getRef(Call.Sticky) !== undefined ||
  fiber.getRef(Call.Exclude).length > 0 ||
  fiber.getRef(Call.Insist) !== "none"
