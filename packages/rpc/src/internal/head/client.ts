// Above the pool: what a caller is told of the head never goes back, and what nobody has is null.
import { Call, JsonRpc, Outcome } from "@hawser/core"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { methods } from "../methods.ts"
import { NotFound } from "./errors.ts"
import type { Shared } from "./shared.ts"
import { numberOf, quantity } from "../quantity.ts"

type Change<E> = (exit: Exit.Exit<unknown, E>) => Exit.Exit<unknown, E>

/** What a client does with the requests below it. */
export const telling = <E>(shared: Shared, below: JsonRpc.Service<E>) => {
  const told: Change<E> = (exit) => {
    if (exit._tag === "Failure") return exit
    const { floor } = shared.state
    const number = numberOf(exit.value)
    return floor !== undefined && number !== undefined && number < floor ? Exit.succeed(quantity(floor)) : exit
  }
  const orNull: Change<E> = (exit) =>
    exit._tag === "Failure" && isNull(exit.cause, shared.settings.lag === "serve") ? Exit.succeed(null) : exit
  /** What its caller is told in place of how a request ended, if it may be something else. */
  const changeOf = ({ method }: JsonRpc.Request): Change<E> | undefined => {
    if (method === "eth_blockNumber") return told
    return shared.state.alone || !mayBeNull(method) ? undefined : orNull
  }
  return {
    request: (request: JsonRpc.Request): Effect.Effect<unknown, E> => {
      const { batch } = request
      if (batch !== undefined) {
        return Effect.map(below.request(request), (answers) =>
          (answers as JsonRpc.Answers).map((exit, i) =>
            batch[i]!.method === "eth_blockNumber" ? told(exit as Exit.Exit<unknown, E>) : exit
          )
        )
      }
      const change = changeOf(request)
      if (change === undefined) return below.request(request)
      return Effect.matchCauseEffect(below.request(request), {
        onSuccess: (value) => change(Exit.succeed(value)),
        onFailure: (cause) => change(Exit.failCause(cause))
      })
    },
    submit: JsonRpc.interpret(below, changeOf as (request: JsonRpc.Request) => JsonRpc.Change | undefined)
  }
}

const mayBeNull = (method: string): boolean => {
  const basis = methods.get(method)?.basis
  return basis === "mined" || basis === "blocks"
}

/** Nobody has it: those who were asked said so, and those who were not could not have. `one`: it is enough that one said so. */
const isNull = (cause: Cause.Cause<unknown>, one: boolean): boolean => {
  const reason = cause.reasons[0]
  if (cause.reasons.length !== 1 || reason?._tag !== "Fail" || !(reason.error instanceof Call.NoAnswer)) return false
  const errors = reason.error.causes.map(({ error }) => error)
  return errors.some((error) => error instanceof NotFound) && (one || errors.every(saysNothing))
}

const saysNothing = (error: unknown): boolean => {
  const { again, counts, insist, retryAfter } = Outcome.of(error)
  return counts === "neutral" && again === "elsewhere" && insist === undefined && retryAfter === undefined
}
