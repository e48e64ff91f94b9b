// Asks an upstream for blocks on the side: in nobody's name, bounded in time, and over with its layer.
import { Call, JsonRpc } from "@hawser/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as Tracer from "effect/Tracer"
import { type Evidence, readerOf } from "./evidence.ts"
import type { Fork } from "./history.ts"
import { quantity } from "../quantity.ts"

const longest = "10 seconds"

/** A fork is followed down this far. */
const deepest = 64

const latest = JsonRpc.makeRequest("eth_getBlockByNumber", ["latest", false])

const hasty = (): Call.Call => {
  const call = new Call.Call()
  call.pooled = true
  return call
}

export class Looker {
  /** The upstream is being asked for its head. */
  busy = false
  private lookedAt = -Infinity
  private tracing = false
  private readonly below: JsonRpc.Service<unknown>
  private readonly context: Context.Context<never>
  private readonly show: (seen: Evidence) => Fork | undefined
  private readonly ended: () => void
  private readonly running = new Set<Fiber.Fiber<unknown, unknown>>()

  constructor(
    below: JsonRpc.Service<unknown>,
    context: Context.Context<never>,
    show: (seen: Evidence) => Fork | undefined,
    ended: () => void
  ) {
    this.below = below
    this.context = Context.omit(Tracer.ParentSpan)(context).pipe(
      Context.add(Call.Current, undefined),
      Context.add(Call.Insist, "none")
    )
    this.show = show
    this.ended = ended
  }

  /** It was asked for its head no longer ago than that, and may answer any moment. */
  isAsked(since: number): boolean {
    return this.busy && this.lookedAt > since
  }

  /**
   * Asks for the head, unless it was asked for within `every` milliseconds. `now or never`: not if it would stand in a line, where
   * it is worth nothing once it comes to be sent.
   */
  look(now: number, every: number, patience: "in line" | "now or never" = "in line"): void {
    if (this.busy || now - this.lookedAt < every) return
    this.busy = true
    this.lookedAt = now
    const ended = () => {
      this.busy = false
    }
    this.ask(latest, ended, patience === "in line" ? this.context : Context.add(this.context, Call.Current, hasty()))
  }

  /** Asks for the block of a tag. `then` hears whether there was one. */
  tag(tag: string, then: (known: boolean) => void): void {
    this.ask(JsonRpc.makeRequest("eth_getBlockByNumber", [tag, false]), then)
  }

  /** Asks for the blocks of a new fork, from one on downwards, until they meet what is known. */
  trace(from: number): void {
    if (this.tracing) return
    this.tracing = true
    const step = (number: number, left: number): void =>
      this.ask(JsonRpc.makeRequest("eth_getBlockByNumber", [quantity(number), false]), (_, fork) => {
        if (fork !== undefined && fork.from < number && left > 0) step(fork.from, left - 1)
        else this.tracing = false
      })
    step(from, deepest)
  }

  private ask(
    request: JsonRpc.Request,
    then: (known: boolean, fork: Fork | undefined) => void,
    context: Context.Context<never> = this.context
  ): void {
    let seen: Evidence | undefined
    const asking = Effect.suspend(() => this.below.request(request)).pipe(
      Effect.map((result) => {
        seen = readerOf(request)!(request.params, result)
      }),
      Effect.timeout(longest)
    )
    const fiber = Effect.runForkWith(context)(asking)
    this.running.add(fiber)
    fiber.addObserver(() => {
      this.running.delete(fiber)
      then(seen !== undefined, seen === undefined ? undefined : this.show(seen))
      this.ended()
    })
  }

  readonly close: Effect.Effect<void> = Effect.sync(() => {
    for (const fiber of this.running) fiber.interruptUnsafe()
  })
}
