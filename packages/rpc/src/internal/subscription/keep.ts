// Keeps one subscription open at some upstream, for as long as somebody listens.
import { Outcome } from "@hawser/core"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { type Asker, NotThere } from "./ask.ts"
import { delay } from "./backoff.ts"
import type { Opened } from "./listener.ts"
import { Signal } from "./signal.ts"

/** A subscription that is open. */
export class Held {
  opened: Opened | undefined = undefined
  private readonly over = new Signal()

  readonly lost = (): void => this.over.give()

  get upstream(): string {
    return this.opened?.upstream ?? ""
  }

  /** Ends it, as if it had been lost. */
  drop(): void {
    this.opened?.cancel()
    this.lost()
  }

  readonly untilLost: Effect.Effect<void> = Effect.suspend(() => this.over.wait)
}

/**
 * Opens a subscription and hands it to `adopt`, in one step. Whatever happens, none is left open that was not adopted.
 */
export const open = <E, A>(
  asker: Asker<E>,
  params: ReadonlyArray<unknown>,
  onNotification: (result: unknown) => void,
  exclude: ReadonlyArray<string>,
  adopt: (held: Held) => A
): Effect.Effect<A, E | NotThere> =>
  Effect.suspend(() => {
    const held = new Held()
    let adopted = false
    const listener = {
      onOpen: (opened: Opened) => {
        held.opened?.cancel()
        held.opened = opened
      },
      onNotification,
      onLost: held.lost
    }
    return asker.request("eth_subscribe", params, { listener, exclude }).pipe(
      Effect.flatMap(() => {
        if (held.opened === undefined)
          return Effect.fail(new NotThere({ message: "a subscription that tells nothing" }))
        adopted = true
        return Effect.succeed(adopt(held))
      }),
      Effect.ensuring(
        Effect.sync(() => {
          if (!adopted) held.opened?.cancel()
        })
      )
    )
  })

export interface Keeping {
  readonly params: ReadonlyArray<unknown>
  readonly onNotification: (result: unknown) => void
  /** It is open; it is lost. */
  readonly onHeld: (held: Held | undefined) => void
  /** Who is not to be asked for it, for once. */
  readonly avoid: () => ReadonlyArray<string>
}

const backoff = { base: 500, cap: 60_000 }

/** A subscription that lasted so many milliseconds was a good one. */
const good = 60_000

/** Subscribes again whenever the subscription is lost, after a pause that grows while that does not succeed. */
export const keep = <E>(
  asker: Asker<E>,
  clock: Clock.Clock,
  random: () => number,
  { avoid, onHeld, onNotification, params }: Keeping,
  first?: Held
): Effect.Effect<never> => {
  let held = first
  return Effect.gen(function* () {
    let attempt = 0
    for (;;) {
      if (held === undefined) {
        const exit = yield* Effect.exit(open(asker, params, onNotification, avoid(), (opened) => void (held = opened)))
        // Where nobody serves it, that will hardly change soon.
        if (Exit.isFailure(exit)) attempt = isHopeless(exit) ? Infinity : attempt + 1
      }
      if (held !== undefined) {
        const since = asker.now()
        onHeld(held)
        yield* held.untilLost
        held = undefined
        onHeld(undefined)
        attempt = asker.now() - since >= good ? 1 : Math.min(attempt, 20) + 1
      }
      yield* clock.sleep(delay(backoff, attempt, random()))
    }
  }).pipe(Effect.ensuring(Effect.sync(() => held?.opened?.cancel())))
}

const isHopeless = (exit: Exit.Failure<unknown, unknown>): boolean =>
  exit.cause.reasons.some((reason) => reason._tag === "Fail" && Outcome.of(reason.error).again === "nowhere")
