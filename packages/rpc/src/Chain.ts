/**
 * Makes sure that every upstream is of the chain that is meant.
 *
 * An answer from an upstream whose chain is not known yet is held until its `eth_chainId` is: asked once an answer is in
 * hand, and first for a write. The check is one of the call's requests, unless the call may send only one. An upstream of
 * another chain is left out; its answers reach nobody.
 */
import { Call, type Events, JsonRpc, Options as Read, Outcome } from "@hawser/core"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import type * as Layer from "effect/Layer"
import { TransportError } from "./RpcError.ts"

/** The upstream is of another chain. */
export class WrongChain extends Data.TaggedError("WrongChain")<{
  readonly upstream: string
  readonly expected: number
  readonly actual: number
  /** When its chain will be asked again; `undefined` where this is how it was found out, not why it was left out. */
  readonly retryAfter: Duration.Duration | undefined
  /** Whether it may be asked sooner where nobody else can answer. */
  readonly probe: boolean
}> {
  get [Outcome.TypeId](): Outcome.Verdict {
    return this.retryAfter === undefined ? foundOut : Outcome.refusal(this.retryAfter, this.probe ? "probe" : undefined)
  }

  override get message(): string {
    return `is of chain ${this.actual}, not ${this.expected}`
  }
}

/** The chain of the upstream could not be asked for, so the request was not sent. */
export class Unverified extends Data.TaggedError("Unverified")<{
  readonly upstream: string
  readonly cause: unknown
  /** It was another call that asked, so that this one has sent nothing. */
  readonly refused: boolean
}> {
  get [Outcome.TypeId](): Outcome.Verdict {
    return this.refused ? notYet : Outcome.verdict({ ...Outcome.of(this.cause), ran: "no" })
  }

  override get message(): string {
    return `its chain could not be verified: ${Call.summary(this.cause)}`
  }
}

export interface Inspection {
  /** The chain that is meant; `undefined` until the first upstream is verified, if none was configured. */
  readonly expected: number | undefined
  readonly verified: boolean
  /** The upstream's own chain, if it is known. */
  readonly actual: number | undefined
}

const notYet = Outcome.refusal(Duration.millis(100))

const foundOut = Outcome.verdict({ again: "elsewhere", ran: "no" })

/** Which chain is meant: shared by all upstreams of a pool. */
export interface Chain {
  /** Without a configured id, the first verified one. */
  expected: number | undefined
}

/** The chain of a pool. Without an id, the first upstream that is verified decides. */
export const make = (chainId?: number): Chain => ({
  expected: Read.integer({ min: 1, default: undefined })("Chain.chainId", chainId)
})

/** How long an upstream of another chain is left out before its chain is asked again, in milliseconds. */
const recheckAfter = 60_000

/** And how long at least, where nobody else can answer. */
const probeAfter = 5_000

/**
 * Holds an upstream to a chain. Belongs above whatever limits the upstream, since the check is a request like any other.
 *
 * A lost connection (refused, unreachable) puts the chain in doubt again: another node may answer there next.
 */
export const layer = (chain: Chain | number) => {
  const shared = typeof chain === "number" ? make(chain) : chain
  return <E, LE, R>(self: Layer.Layer<JsonRpc.Upstream<E>, LE, R>): Layer.Layer<JsonRpc.Upstream<Failing<E>>, LE, R> =>
    JsonRpc.transform(self, "chain", (below: JsonRpc.Service<E>, events) =>
      Effect.map(Clock.Clock, (clock) => new Check(shared, below, events, clock))
    )
}

type Failing<E> = E | WrongChain | Unverified | TransportError

interface Wrong {
  readonly actual: number
  readonly since: number
}

class Check<E> implements JsonRpc.Stage<Failing<E>> {
  private readonly chain: Chain
  private readonly below: JsonRpc.Service<E>
  private readonly events: Events.Sink<{ readonly type: string }>
  private readonly clock: Clock.Clock
  private verified = false
  private wrong: Wrong | undefined = undefined
  /** Those who wait for the check of another caller. */
  private waiting: Set<(exit: Exit.Exit<void, Failing<E>>) => void> | undefined = undefined

  constructor(
    chain: Chain,
    below: JsonRpc.Service<E>,
    events: Events.Sink<{ readonly type: string }>,
    clock: Clock.Clock
  ) {
    this.chain = chain
    this.below = below
    this.events = events
    this.clock = clock
  }

  readonly inspect = (): Inspection => ({
    expected: this.chain.expected,
    verified: this.verified,
    actual: this.wrong?.actual ?? (this.verified ? this.chain.expected : undefined)
  })

  readonly request = (request: JsonRpc.Request): Effect.Effect<unknown, Failing<E>> =>
    Effect.suspend((): Effect.Effect<unknown, Failing<E>> => {
      if (this.verified) return this.watched(request)
      if (this.wrong !== undefined) return this.again(request, this.wrong)
      return request.nature === "read"
        ? // The chain's own refusal may come from the wrong chain as well as a result.
          Effect.matchCauseEffect(this.watched(request), {
            onSuccess: (answer) => Effect.as(this.verify, answer),
            onFailure: (cause) => {
              const failed = Exit.failCause(cause)
              return JsonRpc.isAnswer(failed) ? Effect.andThen(this.verify, failed) : failed
            }
          })
        : Effect.andThen(this.verifyFirst, this.watched(request))
    })

  // Once it was of another chain it must prove itself first.
  private again(request: JsonRpc.Request, { actual, since }: Wrong): Effect.Effect<unknown, Failing<E>> {
    const age = Call.now(this.clock) - since
    const due = age >= recheckAfter || (age >= probeAfter && probing())
    return due
      ? Effect.andThen(this.verifyFirst, this.watched(request))
      : this.mismatch(actual, Duration.millis(recheckAfter - age), age >= probeAfter)
  }

  private watched(request: JsonRpc.Request): Effect.Effect<unknown, E> {
    return Effect.catchCause(this.below.request(request), this.failed)
  }

  // A connection that is refused may be followed by one to another node.
  private readonly failed = (cause: Cause.Cause<E>): Effect.Effect<never, E> => {
    const reason = cause.reasons.find(Cause.isFailReason)
    if (reason?.error instanceof TransportError && !reason.error.reached) this.verified = false
    return Effect.failCause(cause)
  }

  // What waits for the check has not been sent when the check fails: even a write may go elsewhere. And if it was the check of
  // another call, this one has sent nothing at all.
  private get verifyFirst(): Effect.Effect<void, Failing<E>> {
    const follows = this.waiting !== undefined
    return Effect.mapError(this.verify, (cause) =>
      Outcome.of(cause).ran === "no" ? cause : this.unverified(cause, follows)
    )
  }

  private unverified(cause: unknown, refused = false): Unverified {
    return Outcome.stackless(() => new Unverified({ upstream: this.below.name, cause, refused }))
  }

  private readonly verify: Effect.Effect<void, Failing<E>> = Effect.suspend(() => {
    if (this.verified) return Effect.void
    return this.waiting === undefined ? this.lead : this.follow
  })

  // One asks for all. If it is interrupted, another of those who wait takes over.
  private readonly lead: Effect.Effect<void, Failing<E>> = Effect.suspend(() => {
    let waiting: Set<(exit: Exit.Exit<void, Failing<E>>) => void> | undefined
    return Effect.onExitPrimitive(
      Call.use((call) => {
        if (this.waiting !== undefined) return this.follow
        // The check is one of the call's requests: one that has none left cannot ask for the others.
        const paid = Call.spend(call)
        if (!paid && !isSingle(call)) return Effect.fail(this.unverified("no attempt is left"))
        this.waiting = waiting = new Set()
        return Effect.tapError(this.ask, (error) =>
          // It was not sent.
          Effect.sync(() => {
            if (paid && Outcome.of(error).refused) Call.refund(call)
          })
        )
      }),
      (exit) => {
        if (waiting === undefined) return undefined
        this.waiting = undefined
        for (const resume of waiting) resume(exit)
        return undefined
      }
    )
  })

  private readonly follow: Effect.Effect<void, Failing<E>> = Effect.flatten(
    Effect.callback<Effect.Effect<void, Failing<E>>>((resume) => {
      const { waiting } = this
      if (waiting === undefined) return resume(Effect.succeed(this.verify))
      const ended = (exit: Exit.Exit<void, Failing<E>>) =>
        resume(Effect.succeed(Exit.hasInterrupts(exit) ? this.verify : exit))
      waiting.add(ended)
      return Effect.sync(() => void waiting.delete(ended))
    })
  )

  private readonly ask: Effect.Effect<void, Failing<E>> = Effect.suspend(() => {
    const request = this.below.request(JsonRpc.makeRequest("eth_chainId"))
    // The request that is being checked has passed the limits, or must; its check stands in line if need be.
    return probing() ? request : Effect.provideService(request, Call.Insist, "wait")
  }).pipe(Effect.flatMap((answer) => this.judge(answer)))

  private judge(answer: unknown): Effect.Effect<void, WrongChain | TransportError> {
    const actual = typeof answer === "string" && /^0x[0-9a-f]+$/i.test(answer) ? Number.parseInt(answer, 16) : NaN
    const upstream = this.below.name
    if (!Number.isSafeInteger(actual)) {
      return Effect.fail(
        new TransportError({ upstream, reason: "reply", message: "eth_chainId is not a quantity", reached: true })
      )
    }
    const expected = (this.chain.expected ??= actual)
    if (actual === expected) {
      this.verified = true
      this.wrong = undefined
      return Effect.void
    }
    this.wrong = { actual, since: Call.now(this.clock) }
    if (this.events.active) this.events.emit({ type: "wrong-chain", expected, actual } as { readonly type: string })
    return this.mismatch(actual, undefined, false)
  }

  private mismatch(
    actual: number,
    retryAfter: Duration.Duration | undefined,
    probe: boolean
  ): Effect.Effect<never, WrongChain> {
    const expected = this.chain.expected!
    return Effect.fail(
      Outcome.stackless(() => new WrongChain({ upstream: this.below.name, expected, actual, retryAfter, probe }))
    )
  }
}

/** Where a call may send one request alone, no upstream that is new could ever answer: it has the check beside it. */
const isSingle = ({ resumed, sent }: Call.Call): boolean => sent === 1 && !resumed

const probing = (): boolean => Fiber.getCurrent()?.getRef(Call.Insist) === "probe"
