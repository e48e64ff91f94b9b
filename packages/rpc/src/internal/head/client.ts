// Above the pool: what a caller is told of the head never goes back, and what nobody has is null.
import { Call, type JsonRpc, Outcome } from "@hawser/core"
import type * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { numberOf } from "../block.ts"
import { methods } from "../methods.ts"
import { NotFound } from "./errors.ts"
import { hex } from "./looker.ts"
import type { Shared } from "./shared.ts"

export const clientRequest = <E>(shared: Shared, below: JsonRpc.Service<E>) => {
  const told = (result: unknown): unknown => {
    const { floor } = shared.state
    const number = numberOf(result)
    return floor !== undefined && number !== undefined && number < floor ? hex(floor) : result
  }
  const orNull = (cause: Cause.Cause<E>): Effect.Effect<unknown, E> =>
    isNull(cause, shared.settings.lag === "serve") ? Effect.succeed(null) : Effect.failCause(cause)
  return (request: JsonRpc.Request): Effect.Effect<unknown, E> => {
    const { batch } = request
    if (batch !== undefined) {
      return Effect.map(below.request(request), (answers) =>
        (answers as JsonRpc.Answers).map((exit, i) =>
          batch[i]!.method === "eth_blockNumber" && exit._tag === "Success" ? Exit.succeed(told(exit.value)) : exit
        )
      )
    }
    if (request.method === "eth_blockNumber") return Effect.map(below.request(request), told)
    if (shared.state.alone || !mayBeNull(request)) return below.request(request)
    return Effect.catchCause(below.request(request), orNull)
  }
}

const mayBeNull = ({ method }: JsonRpc.Request): boolean => {
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
