// Looks for a transaction by its hash, as part of the call that sends it.
import { Call, type Events, JsonRpc } from "@hawser/core"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type { Hash } from "./quantity.ts"

/** What is asked, and what is told. */
export interface Ground<E> {
  readonly below: JsonRpc.Service<E>
  readonly clock: Clock.Clock
  readonly events: Events.Sink<{ readonly type: "looked"; readonly hash: Hash; readonly found: boolean }>
  readonly counts: { looks: number; found: number }
}

export class Lookup<E> {
  private readonly ground: Ground<E>
  private readonly call: Call.Call
  private readonly hash: Hash
  /** Asked about this already. */
  private readonly tried: Array<object> = []

  constructor(ground: Ground<E>, call: Call.Call, hash: Hash) {
    this.ground = ground
    this.call = call
    this.hash = hash
  }

  /**
   * Asks until one has answered, first those who have not had it: whoever has may hang. Keeps an attempt for sending
   * again. Whether it was found.
   */
  readonly anybody = (): Effect.Effect<boolean> =>
    Effect.suspend(() => {
      const attempts = Math.max(1, Call.limit(this.call) - 1)
      this.tried.push(...(this.call.tried ?? []))
      return Effect.flatMap(this.ask(attempts), ({ asked, found }) => {
        if (asked) return Effect.succeed(found)
        this.tried.length = 0
        return Effect.map(this.ask(attempts), ({ found }) => found)
      })
    })

  /** Asks one after another until it is found, or nobody is left, or `upstream` denies it: says that there is no such thing. */
  readonly everybody = (upstream: string | undefined): Effect.Effect<"found" | "denied" | "unknown"> =>
    this.next(upstream, Infinity)

  private next(upstream: string | undefined, attempts: number): Effect.Effect<"found" | "denied" | "unknown"> {
    return Effect.flatMap(this.ask(attempts), ({ asked, deniedBy, found }) => {
      if (found) return Effect.succeed("found")
      if (deniedBy !== undefined && deniedBy === upstream) return Effect.succeed("denied")
      // The first was asked until somebody answered. One request for each of the others will do.
      return asked && this.call.pooled ? this.next(upstream, 1) : Effect.succeed("unknown")
    })
  }

  private ask(attempts: number): Effect.Effect<Answer> {
    const { call, ground, hash } = this
    return Effect.suspend(() => {
      const left = Call.limit(call)
      if (left <= 0 || !Call.fits(call, Call.now(ground.clock), 0)) return Effect.succeed(nobody)
      const recorder = new Recorder(call.recorder)
      // Of its own, but for what bounds it: a failure here is none of the transaction's.
      const look = new Call.Call(recorder, call.deadline)
      // Known from the send, so that a round in which nobody was asked is not counted as a request.
      look.pooled = call.pooled
      look.budget = call.budget
      look.attempts = Math.min(left, attempts)
      look.resumed = true
      look.tried = this.tried
      return ground.below.request(JsonRpc.makeRequest("eth_getTransactionByHash", [hash])).pipe(
        Effect.catch(() => Effect.undefined),
        Effect.provideService(Call.Current, look),
        // It would lead to whoever has just not answered.
        Effect.provideService(Call.Sticky, undefined),
        Effect.map((answer) => {
          this.count(call.pooled ? look.sent : Math.max(1, look.sent))
          const found = isIt(answer, hash)
          this.tell(answer, found)
          const deniedBy = answer === null ? recorder.answeredBy : undefined
          return { found, deniedBy, asked: look.sent > 0 || !call.pooled }
        })
      )
    })
  }

  private count(sent: number): void {
    const { call, ground } = this
    call.attempts = Math.max(0, Call.limit(call) - sent)
    call.sent += sent
    // Whoever asks again below has counted that.
    if (sent > 0) call.budget?.charge(Call.now(ground.clock))
  }

  private tell(answer: unknown, found: boolean): void {
    const { counts, events } = this.ground
    if (!found && answer !== null) return
    counts.looks++
    if (found) counts.found++
    if (events.active) events.emit({ type: "looked", hash: this.hash, found })
  }
}

interface Answer {
  readonly found: boolean
  /** Who says that there is no such transaction. */
  readonly deniedBy: string | undefined
  readonly asked: boolean
}

const nobody: Answer = { found: false, deniedBy: undefined, asked: false }

const isIt = (answer: unknown, hash: Hash): boolean => {
  if (typeof answer !== "object" || answer === null) return false
  const { hash: theirs } = answer as { readonly hash?: unknown }
  return typeof theirs === "string" && theirs.toLowerCase() === hash
}

/** Knows who has answered, and tells whoever else wants to know. */
class Recorder extends Call.Recorder {
  private readonly outer: Call.Recorder | undefined

  constructor(outer: Call.Recorder | undefined) {
    super()
    this.outer = outer
  }

  override add(now: number, step: Parameters<Call.Recorder["add"]>[1]): void {
    super.add(now, step)
    this.outer?.add(now, step)
  }
}
