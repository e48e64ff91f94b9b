/**
 * When two requests are the same.
 *
 * Two keys are equal exactly when any node would take the requests for the same: the order of parameters counts, that
 * of names within a record does not; upper or lower case of addresses, hashes and data says nothing, nor do the leading
 * zeros of a quantity. What is left out is never equal to what is given, were it the default, since nodes differ in what
 * theirs are. Of methods that are not known the parameters are compared as JSON.
 */
import { type JsonRpc, Options as Read } from "@hawser/core"
import { type Encode, encoders, exact } from "./internal/encode.ts"
import { type Kind, methods } from "./internal/methods.ts"

/** The key of a request; `undefined` where its parameters have no JSON form, or no single meaning. */
export type Key = (request: JsonRpc.Request) => string | undefined

/** The keys of a chain. Give its id where several chains share what the keys are for: a store, say. */
export const make = (chainId?: number): Key => {
  const chain = Read.integer({ min: 1, default: undefined })("Key.chainId", chainId)
  const prefix = chain === undefined ? "" : `${chain}/`
  const known = new Map(
    Array.from(methods, ([name, { params }]) => [name, { start: `${prefix}${name}(`, encode: encodersOf(params) }])
  )
  return ({ method, params }) => {
    const entry = known.get(method)
    let key = entry === undefined ? `${prefix}${JSON.stringify(method)}(` : entry.start
    const { length } = params
    if (length === 0) return key
    try {
      for (let i = 0; i < length; i++) key += (entry?.encode[i] ?? exact)(params[i])
      return key
    } catch {
      return undefined
    }
  }
}

const encodersOf = (kinds: ReadonlyArray<Kind>): ReadonlyArray<Encode> => kinds.map((kind) => encoders[kind])
