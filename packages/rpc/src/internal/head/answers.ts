// What becomes of an upstream's answer: it shows where the upstream is, and is handed on if it does not contradict what the
// client was told.
import { Call, type JsonRpc } from "@hawser/core"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { TransportError } from "../../RpcError.ts"
import type { Blocks } from "../block.ts"
import { methods } from "../methods.ts"
import { absurd } from "./chainState.ts"
import { behind, type HeadError, notFound } from "./errors.ts"
import { type Evidence, height, readerOf } from "./evidence.ts"
import type { Fork } from "./history.ts"
import type { Looker } from "./looker.ts"
import type { Shared } from "./shared.ts"
import type { Tracker } from "./tracker.ts"
import { numberOf, quantity } from "../quantity.ts"

/** A head that nobody vouches for waits this long for the word of others, in milliseconds. */
export const secondOpinion = 1_000

export class Answers<E> {
  private readonly shared: Shared
  private readonly below: JsonRpc.Service<E>
  private readonly tracker: Tracker
  private readonly looker: Looker
  private readonly clock: Clock.Clock
  /** The last head that needed a second opinion. */
  private claimed = -1

  constructor(shared: Shared, below: JsonRpc.Service<E>, tracker: Tracker, looker: Looker, clock: Clock.Clock) {
    this.shared = shared
    this.below = below
    this.tracker = tracker
    this.looker = looker
    this.clock = clock
  }

  /** Passes an answer on. `told`: to a caller, not to a health check. `anyway`: however old it is. */
  pass(
    request: JsonRpc.Request,
    blocks: Blocks | undefined,
    result: unknown,
    told: boolean,
    anyway: boolean
  ): Effect.Effect<unknown, E | HeadError | TransportError> {
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
    if (told && seen.kind === "block") state.mention(seen.number)
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

  /** What was found out on the side, in nobody's name. */
  found(seen: Evidence): Fork | undefined {
    return this.isAbsurd(seen.number) ? undefined : this.show(seen, false)
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
      : Effect.map(this.vouch(seen), () => (this.isVouched(number) ? result : quantity(shared.state.floor!)))
  }

  /** The head that can be told of, in place of one for which nobody vouches. */
  private atFloor(request: JsonRpc.Request, result: unknown): Effect.Effect<unknown, E> {
    return Call.use((call) => {
      Call.spend(call)
      const params = [quantity(this.shared.state.floor!), ...request.params.slice(1)]
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
      shared.lookAt(seen.number, asked, seen.number === this.claimed ? shared.urgent : 0, "now or never")
      this.claimed = seen.number
      // Who has hung that long already will not answer now.
      const settled = () => !shared.isLooking(asked - secondOpinion) || shared.state.isShared(seen.number)
      return Effect.map(settled() ? Effect.void : shared.signal.within(this.clock, secondOpinion, settled), () => {
        // It may have shown more since.
        shared.observe(this.tracker, { ...seen, kind: "block" }, this.now(), true, true, asked)
      })
    })
  }

  private show(seen: Evidence, told: boolean): Fork | undefined {
    // Nobody is asked about what is not said to be the head.
    return this.shared.observe(this.tracker, seen, this.now(), told, told && seen.kind !== "head")
  }

  private now(): number {
    return Call.now(this.clock)
  }
}

/** A transaction is where its block is. */
export const isMined = ({ method }: JsonRpc.Request): boolean => methods.get(method)?.basis === "mined"
