/**
 * A breaker that knows what others know. It counts its own calls; the store says what has come of everybody's: open and
 * until when, closed again, who probes.
 *
 * While the circuit is closed nobody is asked but once a second, by one call. A probe asks for its place and gives it
 * back, two round trips. There is no timer.
 */
import { Breaker } from "@hawser/breaker"
import { Call, Outcome } from "@hawser/core"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Random from "effect/Random"
import * as Circuit from "./circuit.ts"
import { patience } from "./patience.ts"
import type { Program, States } from "./program.ts"

/** How often the store is asked at most while there is nothing else to ask it, in milliseconds. */
const every = 1_000

export const share =
  (states: States, prefix: string, timeout: number, failed: (error: unknown) => void): Breaker.Shared =>
  (breaker, terms) =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      const random = yield* Random.Random
      const attempt = patience(clock, timeout, failed)
      const member = new Member(breaker, terms, {
        ask: (program, args) => attempt(states.run(program, prefix + terms.name, args)),
        now: () => Call.now(clock),
        number: () => 1 + Math.floor(random.nextDoubleUnsafe() * (Number.MAX_SAFE_INTEGER - 1))
      })
      return member.execute
    })

interface Surroundings {
  readonly ask: (program: Program, args: ReadonlyArray<number>) => Effect.Effect<ReadonlyArray<number> | undefined>
  readonly now: () => number
  /** A number that nobody else has. */
  readonly number: () => number
}

class Member {
  private readonly breaker: Breaker.Breaker
  private readonly terms: Breaker.Terms
  private readonly around: Surroundings
  private state: Breaker.State
  /** The epoch of the store that this breaker has heard of. */
  private epoch = 0
  private askedAt = -Infinity
  /** The circuit has opened here, and the others have not heard of it. */
  private untold = false
  /** It has done so in the call that ends just now. */
  private opened = false
  /** All places for probes are taken: when to ask again. */
  private fullUntil = -Infinity

  constructor(breaker: Breaker.Breaker, terms: Breaker.Terms, around: Surroundings) {
    this.breaker = breaker
    this.terms = terms
    this.around = around
    this.state = breaker.inspect().state
    breaker.events.on(({ to, why }) => {
      this.state = to
      this.opened = this.untold = to === "open" && why !== "restored"
    })
  }

  readonly execute: Breaker.Breaker["execute"] = (self) =>
    Effect.suspend(() => {
      const now = this.around.now()
      if (now - this.askedAt >= every) {
        this.askedAt = now
        return Effect.flatMap(this.hear(), () => this.run(self))
      }
      return this.state === "closed" ? this.watch(self) : this.run(self)
    })

  private hear(): Effect.Effect<void> {
    return this.untold ? this.tell() : Effect.map(this.around.ask(Circuit.read, []), (reply) => this.learn(reply))
  }

  private tell(): Effect.Effect<void> {
    this.opened = false
    return Effect.map(this.around.ask(Circuit.trip, this.opening()), (reply) => {
      if (reply !== undefined) this.untold = false
      this.learn(reply)
    })
  }

  /** A call that the circuit lets pass, or refuses, without anybody being asked. */
  private watch<A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | Breaker.CircuitOpen, R> {
    return Effect.onExitPrimitive(this.breaker.execute(self), () => (this.opened ? this.tell() : undefined))
  }

  private run<A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E | Breaker.CircuitOpen, R> {
    if (this.state === "closed" || this.state === "isolated") return this.watch(self)
    return Effect.withFiber((fiber) => {
      const insistence = fiber.getRef(Call.Insist)
      if (insistence === "health") return this.watch(self)
      const halfOpen = this.state === "half-open"
      if (insistence === "probe") return this.probe(self, 1)
      if (!halfOpen && this.breaker.inspect().retryAfter !== 0) return this.watch(self)
      const wait = this.fullUntil - this.around.now()
      return wait > 0 ? Effect.fail(this.refusal("half-open", wait)) : this.probe(self, halfOpen ? 2 : 0)
    })
  }

  private probe<A, E, R>(self: Effect.Effect<A, E, R>, force: 0 | 1 | 2): Effect.Effect<A, E | Breaker.CircuitOpen, R> {
    return Effect.suspend(() => {
      const lease = this.around.number()
      // Also who is interrupted before he hears that he has a place gives it back.
      let mayHold = true
      const { probeLease, probes } = this.terms
      const { openedFor, openings } = this.breaker.snapshot()
      const args = [lease, force, this.epoch, probes, micros(probeLease), openings, micros(openedFor)]
      return Effect.onExitPrimitive(
        Effect.flatMap(this.around.ask(Circuit.probe, args), (reply) => {
          // Nobody to ask: this breaker decides for itself.
          if (reply === undefined) return this.watch(self)
          this.learn(reply)
          const [, open, remaining, , , , granted, wait] = reply as Told
          mayHold = granted !== 0
          if (mayHold) return this.breaker.execute(self)
          if (open === 0) return this.watch(self)
          if (remaining > 0) return Effect.fail(this.refusal("open", remaining / 1000))
          this.fullUntil = this.around.now() + wait / 1000
          return Effect.fail(this.refusal("half-open", wait / 1000))
        }),
        (exit) => (mayHold ? this.settle(lease, exit) : undefined)
      )
    })
  }

  private settle(lease: number, exit: Exit.Exit<unknown, unknown>): Effect.Effect<void> {
    const { opened, terms } = this
    const succeeded = !opened && terms.outcome(exit) === "success"
    const outcome = opened ? Circuit.failure : succeeded ? Circuit.success : Circuit.neutral
    this.opened = false
    return Effect.map(
      this.around.ask(Circuit.settle, [lease, outcome, terms.successes, ...this.opening()]),
      (reply) => {
        if (reply === undefined) return
        if (opened) this.untold = false
        const [, open, , , , , held] = reply as Told
        // What this breaker concluded from its probe may not be what all of them did.
        const agreed = (held !== 0 || !opened) && (open === 1) === (this.state !== "closed")
        this.learn(reply, !agreed)
      }
    )
  }

  private learn(reply: ReadonlyArray<number> | undefined, anew = false): void {
    if (reply === undefined || (reply[0] === this.epoch && !anew)) return
    if (reply[0] === 0) {
      // The store knows nothing, or not any more: it hears from those who do.
      this.untold = this.state === "open"
      return
    }
    const [epoch, open, remaining, openings, openedFor] = reply as Told
    this.epoch = epoch
    this.fullUntil = -Infinity
    if (this.state === "isolated" || (open === 0 && this.state === "closed")) return
    this.breaker.restore({
      state: open === 0 ? "closed" : "open",
      since: 0,
      // A circuit that closes recovers for as long as its settings say.
      remaining: open === 0 ? Number.MAX_SAFE_INTEGER : remaining / 1000,
      openings,
      openedFor: openedFor / 1000,
      streak: 0,
      successes: 0,
      failures: null,
      slow: null
    })
  }

  private opening(): [duration: number, openings: number] {
    const { openings, retryAfter } = this.breaker.inspect()
    return [micros(retryAfter ?? 0), openings]
  }

  private refusal(reason: "open" | "half-open", wait: number): Breaker.CircuitOpen {
    const retryAfter = Duration.millis(Math.ceil(wait))
    return Outcome.stackless(() => new Breaker.CircuitOpen({ upstream: this.terms.name, reason, retryAfter }))
  }
}

/** What every program of a circuit gives. */
type Told = [
  epoch: number,
  open: number,
  remaining: number,
  openings: number,
  openedFor: number,
  successes: number,
  lease: number,
  wait: number
]

const micros = (millis: number): number => Math.round(millis * 1000)
