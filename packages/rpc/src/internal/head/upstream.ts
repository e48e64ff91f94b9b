// One upstream of a pool: learns from its answers, and keeps from it what it cannot answer.
import { Call, type JsonRpc, Outcome } from "@hawser/core"
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { UpstreamInspection } from "../../Head.ts"
import { ResponseError, TransportError } from "../../RpcError.ts"
import { type Blocks, blocksOf, numberOf } from "../block.ts"
import { methods } from "../methods.ts"
import { Capabilities } from "./capabilities.ts"
import { absurd } from "./chainState.ts"
import { behind, type HeadError, notFound, unable } from "./errors.ts"
import { type Evidence, height, readerOf } from "./evidence.ts"
import { hex, Looker } from "./looker.ts"
import type { Shared } from "./shared.ts"
import type { Tracker } from "./tracker.ts"

export type Failing<E> = E | HeadError | TransportError

/** A head that nobody vouches for waits this long for the word of others, in milliseconds. */
const secondOpinion = 1_000

/** An upstream that has failed this often in a row is not counted on. */
const patience = 3

/** Until when a call waits for a block, over all rounds. */
const waits = new WeakMap<Call.Call, { readonly needed: number; readonly until: number }>()

export class UpstreamStage<E> implements JsonRpc.Stage<Failing<E>> {
  readonly tracker: Tracker
  readonly looker: Looker
  private readonly shared: Shared
  private readonly below: JsonRpc.Service<E>
  private readonly clock: Clock.Clock
  private readonly capabilities: Capabilities
  /** The last head that needed a second opinion. */
  private claimed = -1

  constructor(shared: Shared, below: JsonRpc.Service<E>, clock: Clock.Clock, context: Context.Context<never>) {
    this.shared = shared
    this.below = below
    this.clock = clock
    this.capabilities = new Capabilities(shared.settings.memory)
    this.tracker = shared.state.join(below.name)
    this.looker = new Looker(
      below,
      context,
      (seen) => (this.isAbsurd(seen.number) ? undefined : this.show(seen, false)),
      () => shared.signal.poke()
    )
    shared.lookers.set(this.tracker, this.looker)
  }

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.shared.state.leave(this.tracker)
    this.shared.lookers.delete(this.tracker)
    return this.looker.close
  })

  readonly inspect = (): UpstreamInspection => {
    const { height, safe, finalized, seenAt } = this.tracker
    const { state } = this.shared
    const now = this.now()
    const lag = state.lag(this.tracker)
    return {
      latest: height < 0 ? undefined : height,
      safe: safe?.number,
      finalized: finalized?.number,
      age: height < 0 ? undefined : now - seenAt,
      lag: lag === undefined ? undefined : { blocks: lag, time: lag * state.blockTime },
      late: state.isLate(this.tracker),
      ...this.capabilities.inspect(now)
    }
  }

  readonly request = (request: JsonRpc.Request): Effect.Effect<unknown, Failing<E>> => {
    const { shared } = this
    return shared.tracks && request.nature === "read"
      ? Effect.suspend(() => {
          shared.poll(this.looker, this.now())
          return this.direct(request)
        })
      : this.direct(request)
  }

  private direct(request: JsonRpc.Request): Effect.Effect<unknown, Failing<E>> {
    if (this.shared.state.alone) {
      return request.method === "eth_blockNumber" || readerOf(request) !== undefined
        ? Effect.flatMap(this.below.request(request), (result) => this.answer(request, undefined, result, true, false))
        : this.below.request(request)
    }
    const blocks = request.nature === "read" ? blocksOf(request) : undefined
    // Most of what names no block passes here.
    return blocks === undefined && this.capabilities.unlimited
      ? this.ask(request, undefined, undefined)
      : Effect.withFiber((fiber) => this.route(request, blocks, fiber))
  }

  private route(
    request: JsonRpc.Request,
    blocks: Blocks | undefined,
    fiber: Fiber.Fiber<unknown, unknown>
  ): Effect.Effect<unknown, Failing<E>> {
    const { capabilities, tracker } = this
    const why = capabilities.unlimited ? undefined : capabilities.refuses(request, blocks, this.now())
    const needed = blocks === undefined ? undefined : this.needs(request, blocks)
    const late = needed !== undefined && tracker.height < needed
    if (why === undefined && !late) return this.ask(request, blocks, fiber)
    const insist = fiber.getRef(Call.Insist)
    if (insist === "probe" || insist === "health") return this.ask(request, blocks, fiber)
    if (insist === "wait") return late ? this.stand(request, blocks, needed, fiber) : this.ask(request, blocks, fiber)
    if (why !== undefined) return Effect.fail(unable(this.below.name, request.method, why))
    const { looker } = this
    const refused = () => Effect.fail(behind(this.below.name, needed!, tracker.height, "first"))
    const awaited = tracker.height < 0 && (insist === "hedge" || !this.isServed(fiber.getRef(Call.Current), needed!))
    looker.look(this.now(), awaited ? 0 : this.shared.state.blockTime)
    return awaited
      ? Effect.andThen(
          this.within(secondOpinion, () => tracker.height >= 0 || !looker.busy),
          Effect.suspend(() => (tracker.height >= needed! ? this.ask(request, blocks, fiber) : refused()))
        )
      : refused()
  }

  // Where somebody else has the block, nobody waits to learn whether one has it that was never heard.
  private isServed(call: Call.Call | undefined, needed: number): boolean {
    return this.shared.state.trackers.some(
      (other) => other.height >= needed && other.failures < patience && call?.failures?.has(other.name) !== true
    )
  }

  /** The block that an answer must know; `undefined`: any will do. */
  private needs({ method }: JsonRpc.Request, { from, to }: Blocks): number | undefined {
    const { state } = this.shared
    switch (to) {
      case "latest":
      case "pending":
        // The client's layer sees to it that nobody is told less than before.
        return method === "eth_blockNumber" ? undefined : state.least
      case "safe":
      case "finalized":
      case "earliest":
        return undefined
      default:
        if (typeof to === "object") return state.history.numberOf(to.hash)
        if (to <= state.highest) return to
        // What is to come is for any upstream to say that it is; a range up to there ends at the head.
        return from === to ? undefined : state.least
    }
  }

  /** Waits, up to one block time, until the upstream has the block. */
  private stand(
    request: JsonRpc.Request,
    blocks: Blocks | undefined,
    needed: number,
    fiber: Fiber.Fiber<unknown, unknown>
  ): Effect.Effect<unknown, Failing<E>> {
    const { shared, tracker } = this
    const call = fiber.getRef(Call.Current)
    const late = () => Effect.fail(behind(this.below.name, needed, tracker.height, "last"))
    if (call !== undefined && this.isBetterServed(call, needed)) return late()
    const now = this.now()
    const until = untilOf(call, needed, now, shared.state.blockTime)
    const others = shared.state.trackers.filter((other) => other !== tracker && other.height < needed)
    const here = () => tracker.height >= needed
    const elsewhere = () => others.some((other) => other.height >= needed)
    if (call !== undefined && until > now) {
      Call.note(call, this.clock, () => ({ step: "wait", for: until - now, why: `for block ${needed}` }))
    }
    const next: Effect.Effect<unknown, Failing<E>> = Effect.suspend(() => {
      if (here()) return this.ask(request, blocks, fiber)
      if (elsewhere()) return late()
      const now = this.now()
      if (now >= until) {
        if (shared.settings.lag === "wait") return late()
        if (call?.recorder !== undefined) call.recorder.stale = true
        return this.ask(request, blocks, fiber, true)
      }
      const { urgent } = shared
      shared.lookAt(needed, now, urgent)
      return Effect.andThen(
        this.within(Math.min(urgent, until - now), () => here() || elsewhere()),
        next
      )
    })
    return next
  }

  /** Another has the block, and the call will get to it sooner: it has a line of its own, or is worth asking again. */
  private isBetterServed(call: Call.Call, needed: number): boolean {
    return this.shared.state.trackers.some((other) => {
      if (other === this.tracker || other.height < needed || other.failures >= patience) return false
      const error = call.failures?.get(other.name)
      if (error === undefined) return false
      const { again, insist, refused } = Outcome.of(error)
      return refused ? insist === "wait" : again === "anywhere"
    })
  }

  private within(millis: number, condition: () => boolean): Effect.Effect<unknown> {
    return Effect.raceFirst(this.shared.signal.until(condition), this.clock.sleep(Duration.millis(Math.ceil(millis))))
  }

  /** Asks, and learns from the answer. `anyway`: however old it is. */
  private ask(
    request: JsonRpc.Request,
    blocks: Blocks | undefined,
    fiber: Fiber.Fiber<unknown, unknown> | undefined,
    anyway = false
  ): Effect.Effect<unknown, Failing<E>> {
    const asked = this.below.request(request)
    if (blocks === undefined && !isMined(request)) {
      return Effect.onExitPrimitive(asked, (exit) => {
        if (exit._tag === "Success") this.learn(request, blocks, exit.value)
        else this.learnFrom(request, blocks, exit.cause)
        return undefined
      })
    }
    const told = fiber?.getRef(Call.Insist) !== "health"
    return Effect.matchCauseEffect(asked, {
      onSuccess: (result): Effect.Effect<unknown, Failing<E>> => {
        this.learn(request, blocks, result)
        return this.answer(request, blocks, result, told, anyway)
      },
      onFailure: (cause) => {
        this.learnFrom(request, blocks, cause)
        return Effect.failCause(cause)
      }
    })
  }

  private learn(request: JsonRpc.Request, blocks: Blocks | undefined, result: unknown): void {
    this.tracker.failures = 0
    if (!this.capabilities.unlimited && result !== null) this.capabilities.answered(request, blocks, this.now())
  }

  private learnFrom(request: JsonRpc.Request, blocks: Blocks | undefined, cause: Cause.Cause<E>): void {
    const error = errorOf(cause)
    if (error === undefined) return
    const { counts } = Outcome.of(error)
    if (counts === "failure") this.tracker.failures++
    else if (counts === "success") this.tracker.failures = 0
    if (error instanceof ResponseError) {
      this.capabilities.failed(request, blocks, error, this.tracker.height, this.now())
    }
  }

  private number(result: unknown, told: boolean): Effect.Effect<unknown, TransportError> {
    const { shared } = this
    const number = numberOf(result)
    if (number === undefined || number < 0) return this.junk("eth_blockNumber is not a quantity")
    if (this.isAbsurd(number)) return this.junk("eth_blockNumber is no chain's")
    const seen = height(number)
    this.show(seen, told)
    return this.isVouched(number) || !told
      ? Effect.succeed(result)
      : Effect.map(this.vouch(seen), () => (this.isVouched(number) ? result : hex(shared.state.floor!)))
  }

  private answer(
    request: JsonRpc.Request,
    blocks: Blocks | undefined,
    result: unknown,
    told: boolean,
    anyway: boolean
  ): Effect.Effect<unknown, Failing<E>> {
    const { state } = this.shared
    if (request.method === "eth_blockNumber") return this.number(result, told)
    if (result === null) {
      return anyway || this.isAnswer(request, blocks)
        ? Effect.succeed(result)
        : Effect.fail(notFound(this.below.name, request.method))
    }
    const seen = readerOf(request)?.(request.params, result)
    if (seen === undefined) return Effect.succeed(result)
    if (this.isAbsurd(seen.number)) return this.junk("a block that is no chain's")
    this.show(seen, told)
    if (seen.kind !== "head" || state.alone || anyway || !told) return Effect.succeed(result)
    const { least } = state
    if (least !== undefined && seen.number < least) {
      return Effect.fail(behind(this.below.name, least, seen.number, "shown"))
    }
    if (this.isVouched(seen.number)) return Effect.succeed(result)
    return Effect.flatMap(this.vouch(seen), () =>
      this.isVouched(seen.number) ? Effect.succeed(result) : this.atFloor(request, result)
    )
  }

  /** The head that can be told of, in place of one for which nobody vouches. */
  private atFloor(request: JsonRpc.Request, result: unknown): Effect.Effect<unknown, E> {
    return Call.use((call) => {
      Call.spend(call)
      const params = [hex(this.shared.state.floor!), ...request.params.slice(1)]
      return Effect.map(this.below.request({ ...request, params }), (block) => block ?? result)
    })
  }

  /** Whether `null` says that there is none: not from an upstream that may not have it yet, or no longer. */
  private isAnswer(request: JsonRpc.Request, blocks: Blocks | undefined): boolean {
    const { state } = this.shared
    if (state.alone) return true
    const mined = isMined(request)
    if (blocks === undefined && !mined) return true
    const to = mined ? "latest" : blocks!.to
    if (to === "safe" || to === "finalized" || to === "earliest" || to === "pending") return true
    if (typeof to === "number") {
      if (to > state.highest) return true
      // Its block may have fewer transactions than the index asks for.
      if (request.method.endsWith("AndIndex") && this.tracker.height >= to) return true
    } else if (mined || typeof to === "object") {
      if (typeof to === "object" && state.history.numberOf(to.hash) !== undefined) return false
      if (!state.isBehind(this.tracker)) return true
    }
    this.looker.look(this.now(), state.blockTime)
    return false
  }

  private isAbsurd(number: number): boolean {
    return number > absurd && !this.shared.state.alone
  }

  private junk(message: string): Effect.Effect<never, TransportError> {
    const upstream = this.below.name
    return Effect.fail(new TransportError({ upstream, reason: "reply", message, reached: true }))
  }

  private isVouched(number: number): boolean {
    const { alone, floor } = this.shared.state
    return alone || floor === undefined || number <= floor
  }

  /** Has those looked at who could bear out a head, and waits for their word. */
  private vouch(seen: Evidence): Effect.Effect<unknown> {
    const { shared } = this
    return Effect.suspend(() => {
      const asked = this.now()
      // Who claims the same again has been heard.
      shared.lookAt(seen.number, asked, seen.number === this.claimed ? shared.urgent : 0)
      this.claimed = seen.number
      // Who has hung that long already will not answer now.
      const settled = () => !shared.isLooking(asked - secondOpinion) || shared.state.isShared(seen.number)
      return Effect.map(settled() ? Effect.void : this.within(secondOpinion, settled), () => {
        // It may have shown more since.
        shared.observe(this.tracker, { ...seen, kind: "block" }, this.now(), true, true, asked)
      })
    })
  }

  private show(seen: Evidence, told: boolean) {
    // Nobody is asked about what is not said to be the head.
    return this.shared.observe(this.tracker, seen, this.now(), told, told && seen.kind !== "head")
  }

  private now(): number {
    return Call.now(this.clock)
  }
}

/** A transaction is where its block is. */
const isMined = ({ method }: JsonRpc.Request): boolean => methods.get(method)?.basis === "mined"

const errorOf = (cause: Cause.Cause<unknown>): unknown => {
  for (const reason of cause.reasons) if (reason._tag === "Fail") return reason.error
  return undefined
}

/** A call waits for one block time in all, and no longer than half of the time it has left. */
const untilOf = (call: Call.Call | undefined, needed: number, now: number, blockTime: number): number => {
  if (call === undefined) return now + blockTime
  let wait = waits.get(call)
  if (wait?.needed !== needed) {
    wait = { needed, until: Math.min(now + blockTime, now + (call.deadline - now) / 2) }
    waits.set(call, wait)
  }
  return wait.until
}
