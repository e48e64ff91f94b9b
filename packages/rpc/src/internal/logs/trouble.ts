import { Call, Outcome } from "@hawser/core"
import * as Data from "effect/Data"
import { TransportError } from "../../RpcError.ts"

/** More logs than the caller wants in memory. */
export class TooManyLogs extends Data.TaggedError("TooManyLogs")<{ readonly limit: number }> {
  readonly [Outcome.TypeId] = Outcome.verdict({ counts: "neutral", again: "nowhere", ran: "no" })

  override get message(): string {
    return `more than ${this.limit} logs: ask for less, or stream them`
  }
}

/** Blocks were replaced while their logs were read, again and again. */
export class Reorganised extends Data.TaggedError("Reorganised")<{
  /** The lowest of them. */
  readonly from: number
}> {
  readonly [Outcome.TypeId] = Outcome.verdict({ counts: "neutral", ran: "no" })

  override get message(): string {
    return `the logs of block ${this.from} and those after it are of different branches`
  }
}

/** What can go wrong with a query that was taken apart, beside what goes wrong with its parts. */
export type Trouble = TooManyLogs | Reorganised | TransportError

export type Failing<E> = E | Call.NoAnswer<Trouble>

/** The error of a client for which a query as a whole has no answer. */
export const noAnswer = (upstream: string, error: Trouble): Call.NoAnswer<Trouble> => {
  const { again } = Outcome.of(error)
  return new Call.NoAnswer({
    causes: [{ upstream, error }],
    [Outcome.TypeId]: Outcome.verdict({ counts: "neutral", again, ran: "no" })
  })
}

export const malformed = (upstream: string, message: string): Call.NoAnswer<Trouble> =>
  noAnswer(upstream, new TransportError({ upstream, reason: "reply", message, reached: true }))
