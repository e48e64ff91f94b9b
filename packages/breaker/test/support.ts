import { Breaker } from "@hawser/breaker"
import type { Events } from "@hawser/core"
import { Call, Outcome } from "@hawser/core"
import type { Duration } from "effect"
import { Data, Effect } from "effect"
import { TestClock } from "effect/testing"

export class Broken extends Data.TaggedError("Broken")<{ readonly n: number }> {}

export class Busy extends Data.TaggedError("Busy")<{ readonly retryAfter: Duration.Duration }> {
  readonly [Outcome.TypeId] = Outcome.verdict({ retryAfter: this.retryAfter })
}

export class Unwell extends Data.TaggedError("Unwell")<{}> {
  readonly [Outcome.TypeId] = Outcome.verdict({ counts: "neutral" })
}

export const broken = Effect.fail(new Broken({ n: 1 }))

export const probe = Effect.provideService(Call.Insist, "probe")

/** Opens at the first failure, for exactly a second. */
export const touchy = { consecutive: 1, openFor: "1 second", jitter: 0 } as const

export const opened = <E = unknown>(options?: Breaker.Options<E>) =>
  Effect.tap(Breaker.make<E>({ ...touchy, ...options }), (breaker) =>
    Effect.exit((breaker as Breaker.Breaker).execute(broken))
  )

/** Half-open: its open time is over. */
export const ajar = <E = unknown>(options?: Breaker.Options<E>) =>
  Effect.tap(opened(options), () => TestClock.adjust("1 second"))

export const heard = <A>(events: Events.Events<A>): Array<A> => {
  const heard: Array<A> = []
  events.on((event) => heard.push(event))
  return heard
}

export const path = (events: ReadonlyArray<Breaker.Transition>) =>
  events.map(({ from, to, why }) => `${from} > ${to}: ${why}`)
