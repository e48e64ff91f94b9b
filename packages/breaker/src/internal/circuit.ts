import type { Events } from "@hawser/core"
import { Call, Options, Outcome } from "@hawser/core"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Machine from "./machine.ts"
import type { Draft } from "./settings.ts"
import * as Snapshot from "./snapshot.ts"
import type { Insistence, Judge, Move, Refusal } from "./state.ts"
import { Permit } from "./state.ts"

/**
 * The circuit refused the call before it began: the upstream was not asked.
 *
 * `retryAfter` says when to ask again. It is exact for an open circuit, infinite for an isolated one, zero for one that
 * recovers (another call may be let through), and an estimate for a half-open one: as long again as its oldest probe
 * has been running, at least 50 ms, but no longer than that probe's lease.
 */
export class CircuitOpen extends Data.TaggedError("CircuitOpen")<{
  readonly upstream: string
  readonly reason: Refusal["reason"]
  readonly retryAfter: Duration.Duration
}> {
  /** A refusal: neutral, sends the request elsewhere, costs neither attempt nor budget. */
  get [Outcome.TypeId](): Outcome.Verdict {
    return this.reason === "isolated" ? Outcome.refusal() : Outcome.refusal(this.retryAfter, "probe")
  }

  override get message(): string {
    return this.reason === "open"
      ? `Circuit open for another ${Duration.format(this.retryAfter)}`
      : `Circuit ${this.reason}: ${explanations[this.reason]}`
  }
}

const explanations = {
  "half-open": "its probes are under way",
  isolated: "closed to all calls until it is reset",
  recovering: "this call is not in the share that is let through"
}

/** A change of state. Each is told once, and each begins where the last one ended. */
export interface Transition extends Move {
  readonly type: "transition"
}

/** One circuit in a running program: the pure machine, with the clock, the fiber and the listeners it needs. */
export interface Circuit {
  readonly execute: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E | CircuitOpen, R>
  readonly admit: () => Permit | CircuitOpen
  readonly settle: (permit: Permit, exit: Exit.Exit<unknown, unknown>) => void
  readonly inspect: () => Snapshot.Inspection
  readonly isolate: () => void
  readonly reset: () => void
  readonly snapshot: () => Snapshot.Snapshot
  readonly restore: (snapshot: Snapshot.Snapshot) => void
  /** Closes an idle circuit for good, unless it is isolated: then it must be kept. */
  readonly retire: () => boolean
}

/** Gives what makes the circuits of one policy in the program that runs this. */
export const factory = (
  draft: Draft,
  judge: Judge<never> | undefined
): Effect.Effect<(upstream: string, events: Events.Sink<Transition>) => Circuit> =>
  Effect.map(Effect.context(), (context) => {
    const clock = Context.get(context, Clock.Clock)
    const settings = draft(context)
    const verdict = verdictOf(judge as Judge<unknown> | undefined)
    return (upstream, events) => {
      const now = () => Call.now(clock)
      const machine = Machine.make(settings, now())
      let telling = false

      // A listener may itself change the state: what follows from that is told after what caused it, to everyone.
      const tell = (): void => {
        if (telling) return
        telling = true
        try {
          for (let move = machine.moves.shift(); move !== undefined; move = machine.moves.shift()) {
            if (events.active) events.emit({ type: "transition", ...move })
          }
        } finally {
          telling = false
        }
      }

      const admit = (): Permit | CircuitOpen => {
        const permit = Machine.acquire(machine, now(), insists)
        if (machine.moves.length > 0) tell()
        return permit instanceof Permit ? permit : refuse(upstream, permit)
      }

      const settle = (permit: Permit, exit: Exit.Exit<unknown, unknown>): void => {
        // What a judge that throws makes of it; what it threw joins the cause that the caller sees.
        let outcome: Outcome.Outcome = "failure"
        let retryAfter = 0
        try {
          outcome = Outcome.ofExit(exit, (error) => {
            const judged = verdict(error)
            if (judged.retryAfter !== undefined) retryAfter = Duration.toMillis(judged.retryAfter)
            return judged
          })
        } finally {
          Machine.settle(machine, permit, outcome, now(), retryAfter)
          if (machine.moves.length > 0) tell()
        }
      }

      return {
        execute: (self) => Outcome.guard(self, admit, settle),
        admit,
        settle,
        inspect: () => Snapshot.inspect(machine, now()),
        isolate() {
          Machine.isolate(machine, now())
          tell()
        },
        reset() {
          Machine.reset(machine, now())
          tell()
        },
        snapshot: () => Snapshot.save(machine, now()),
        restore(snapshot) {
          if (!Snapshot.isSnapshot(snapshot)) {
            Options.reject("Breaker.restore", "what `snapshot` gave", snapshot)
          }
          Snapshot.load(machine, snapshot, now())
          tell()
        },
        retire() {
          if (machine.epoch.state === "isolated") return false
          Machine.reset(machine, now(), "idle")
          tell()
          return true
        }
      }
    }
  })

// Asked only by a circuit that does not let everybody through, so that a closed one does not pay for it.
const insists = (): Insistence => {
  const insistence = Fiber.getCurrent()?.getRef(Call.Insist)
  return insistence === "probe" || insistence === "health" ? insistence : "none"
}

// Rounded up to whole milliseconds: timers round down.
const refuse = (upstream: string, { reason, retryAfter }: Refusal): CircuitOpen =>
  Outcome.stackless(() => new CircuitOpen({ upstream, reason, retryAfter: Duration.millis(Math.ceil(retryAfter)) }))

/** How an exit counts under a judge. Where the judge throws, it is a failure. */
export const outcomeOf =
  (judge: Judge<never> | undefined) =>
  (exit: Exit.Exit<unknown, unknown>): Outcome.Outcome => {
    try {
      return Outcome.ofExit(exit, verdictOf(judge as Judge<unknown> | undefined))
    } catch {
      return "failure"
    }
  }

const verdictOf =
  (judge: Judge<unknown> | undefined) =>
  (error: unknown): Outcome.Verdict => {
    const judged = judge?.(error)
    if (judged === undefined) return Outcome.of(error)
    return typeof judged === "string" ? { ...Outcome.of(error), counts: judged } : judged
  }
