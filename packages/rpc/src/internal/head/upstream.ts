// One upstream of a pool: learns from its answers, and keeps from it what it cannot answer.
import { Call, JsonRpc, Outcome } from "@hawser/core"
import type * as Cause from "effect/Cause"
import type * as Clock from "effect/Clock"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type { UpstreamInspection } from "../../Head.ts"
import { ResponseError, type TransportError } from "../../RpcError.ts"
import { type Blocks, blocksOf } from "../block.ts"
import { Answers, isMined, secondOpinion } from "./answers.ts"
import { Capabilities } from "./capabilities.ts"
import { behind, type HeadError, unable } from "./errors.ts"
import { readerOf } from "./evidence.ts"
import { Looker } from "./looker.ts"
import type { Shared } from "./shared.ts"
import type { Tracker } from "./tracker.ts"
import { hasFailed, isServed, waitFor } from "./waiting.ts"

export type Failing<E> = E | HeadError | TransportError

export class UpstreamStage<E> implements JsonRpc.Stage<Failing<E>> {
  readonly tracker: Tracker
  readonly looker: Looker
  private readonly shared: Shared
  private readonly below: JsonRpc.Service<E>
  private readonly clock: Clock.Clock
  private readonly capabilities: Capabilities
  private readonly answers: Answers<E>

  constructor(shared: Shared, below: JsonRpc.Service<E>, clock: Clock.Clock, context: Context.Context<never>) {
    this.shared = shared
    this.below = below
    this.clock = clock
    this.capabilities = new Capabilities(shared.settings.memory)
    this.tracker = shared.state.join(below.name)
    this.looker = new Looker(
      below,
      context,
      (seen) => this.answers.found(seen),
      () => shared.signal.poke()
    )
    this.answers = new Answers(shared, below, this.tracker, this.looker, clock)
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
    if (request.batch !== undefined) return this.many(request, request.batch)
    if (this.shared.state.alone) {
      return request.method === "eth_blockNumber" || readerOf(request) !== undefined
        ? Effect.flatMap(this.below.request(request), (result) =>
            this.answers.pass(request, undefined, result, true, false)
          )
        : this.below.request(request)
    }
    const blocks = request.nature === "read" ? blocksOf(request) : undefined
    // Most of what names no block passes here.
    return blocks === undefined && this.capabilities.unlimited
      ? this.ask(request, undefined, undefined)
      : Effect.withFiber((fiber) => this.route(request, blocks, fiber))
  }

  // Nobody waits for what another needs: whoever has not got all of it leaves the batch to others.
  private many(
    request: JsonRpc.Request,
    batch: ReadonlyArray<JsonRpc.Request>
  ): Effect.Effect<JsonRpc.Answers, Failing<E>> {
    return Effect.suspend(() => {
      const blocks = batch.map(blocksOf)
      if (!this.shared.state.alone && batch.some((one, i) => this.isBeyond(one, blocks[i]))) return JsonRpc.apart
      return Effect.matchCauseEffect(this.below.request(request), {
        onSuccess: (answers) => {
          const settled = (answers as JsonRpc.Answers).map((exit, i) => this.settle(batch[i]!, blocks[i], exit))
          // Whoever answers one is not down, in whatever order the others failed.
          this.tracker.failures = 0
          return Effect.succeed(settled)
        },
        onFailure: (cause) => {
          // All of it fails with what the first was told.
          this.learnFrom(batch[0]!, blocks[0], cause)
          return Effect.failCause(cause)
        }
      })
    })
  }

  private isBeyond(request: JsonRpc.Request, blocks: Blocks | undefined): boolean {
    const { capabilities, looker, shared, tracker } = this
    if (!capabilities.unlimited && capabilities.refuses(request, blocks, this.now()) !== undefined) return true
    const needed = blocks === undefined ? undefined : this.needs(request, blocks)
    if (needed === undefined || tracker.height >= needed) return false
    // It may have come that far by now.
    looker.look(this.now(), shared.state.blockTime)
    return true
  }

  /** What becomes of one answer of a batch. One that others must bear out is asked for again, by itself. */
  private settle(
    request: JsonRpc.Request,
    blocks: Blocks | undefined,
    exit: Exit.Exit<unknown, unknown>
  ): Exit.Exit<unknown, unknown> {
    if (exit._tag === "Failure") {
      this.learnFrom(request, blocks, exit.cause)
      return exit
    }
    this.learn(request, blocks, exit.value)
    const passed = this.answers.pass(request, blocks, exit.value, true, false)
    return Exit.isExit(passed) ? passed : JsonRpc.apart
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
    if (insist === "wait" && !late) return this.ask(request, blocks, fiber)
    if (why !== undefined && insist !== "wait") return Effect.fail(unable(this.below.name, request.method, why))
    return this.reach(request, blocks, needed!, fiber, insist)
  }

  /** Asks if the upstream has come to have the block that it is not known to have. */
  private reach(
    request: JsonRpc.Request,
    blocks: Blocks | undefined,
    needed: number,
    fiber: Fiber.Fiber<unknown, unknown>,
    insist: Call.Insistence
  ): Effect.Effect<unknown, Failing<E>> {
    const { looker, tracker } = this
    const { signal, state, urgent } = this.shared
    const refused = () => Effect.fail(behind(this.below.name, needed, tracker.height, "first"))
    const unheard = tracker.height < 0
    const now = this.now()
    // Where somebody else has the block, nobody waits to learn whether this one has it by now.
    if (insist !== "wait" && !(unheard && insist === "hedge") && isServed(tracker, state, fiber, needed)) {
      looker.look(now, state.blockTime)
      return refused()
    }
    looker.look(now, unheard || hasFailed(fiber) ? 0 : urgent)
    // Who has hung that long already will not answer now.
    const settled = () => tracker.height >= needed || !looker.isAsked(now - secondOpinion)
    return Effect.andThen(
      settled() ? Effect.void : signal.within(this.clock, secondOpinion, settled),
      Effect.suspend(() => {
        if (tracker.height >= needed) return this.ask(request, blocks, fiber)
        return insist === "wait" ? this.stand(request, blocks, needed, fiber) : refused()
      })
    )
  }

  /** Waits until the upstream has the block. */
  private stand(
    request: JsonRpc.Request,
    blocks: Blocks | undefined,
    needed: number,
    fiber: Fiber.Fiber<unknown, unknown>
  ): Effect.Effect<unknown, Failing<E>> {
    const { clock, shared, tracker } = this
    return Effect.flatMap(waitFor(needed, tracker, shared, fiber, clock), (ended): Effect.Effect<unknown, Failing<E>> =>
      ended === "late"
        ? Effect.fail(behind(this.below.name, needed, tracker.height, "last"))
        : this.ask(request, blocks, fiber, ended === "anyway")
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
        return this.answers.pass(request, blocks, result, told, anyway)
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

  private learnFrom(request: JsonRpc.Request, blocks: Blocks | undefined, cause: Cause.Cause<unknown>): void {
    const error = errorOf(cause)
    if (error === undefined) return
    const { counts } = Outcome.of(error)
    if (counts === "failure") this.tracker.failures++
    else if (counts === "success") this.tracker.failures = 0
    if (error instanceof ResponseError) {
      this.capabilities.failed(request, blocks, error, this.tracker.height, this.now())
    }
  }

  private now(): number {
    return Call.now(this.clock)
  }
}

const errorOf = (cause: Cause.Cause<unknown>): unknown => {
  for (const reason of cause.reasons) if (reason._tag === "Fail") return reason.error
  return undefined
}
