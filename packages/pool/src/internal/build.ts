import { Call, type Events } from "@hawser/core"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import * as Scheduler from "effect/Scheduler"
import type { Execution, Quorum, Upstreams } from "../UpstreamPool.ts"
import { agreement } from "./agreement.ts"
import type { Event, Ground } from "./ground.ts"
import { inspectMember } from "./inspection.ts"
import type { Failing, Job } from "./job.ts"
import type { Spec } from "./member.ts"
import { Roster } from "./roster.ts"
import { Round } from "./round.ts"
import { readMembers, type Settings } from "./settings.ts"
import { Turn } from "./turn.ts"
import { idle } from "./waiting.ts"

/** Puts a pool together. */
export const build = <U>(specs: ReadonlyArray<Spec<U>>, settings: Settings, events: Events.Sink<Event>) =>
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
    const ground: Ground<U> = {
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

    return {
      run,
      quorum: <A, E, R>(ask: (upstream: U) => Effect.Effect<A, E, R>, options: Quorum<A>) =>
        agreement(run, roster, judge, ask, options),
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
