/**
 * What is known of the standard methods: how much time they need, how long their answers are true, and which upstream
 * serves them.
 */
import { JsonRpc, Options as Read, Outcome } from "@hawser/core"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import { type Blocks, blocksOf } from "./internal/block.ts"
import { methods } from "./internal/methods.ts"

/** How much work a request is for a node. */
export type Weight = "light" | "heavy"

// Traces replay transactions.
const heavy = /^(?:debug|trace|arbtrace)_/

/** Blocks that a log query may span before it counts as heavy. */
const wideRange = 1_000

/** Traces are heavy, and so are log queries over many blocks or over a range that is not known. */
export const weight = (request: JsonRpc.Request): Weight => {
  if (heavy.test(request.method)) return "heavy"
  return request.method === "eth_getLogs" && span(blocksOf(request)) > wideRange ? "heavy" : "light"
}

const span = (blocks: Blocks | undefined): number => {
  if (blocks === undefined || blocks.from === blocks.to) return 1
  const { from, to } = blocks
  return typeof from === "number" && typeof to === "number" ? to - from + 1 : Infinity
}

/**
 * Whether the answers to a request never change, whatever the chain does: the chain's identity, and what is addressed by
 * a hash. (A block keeps its content although it may leave the canonical chain. `null` is no answer: the next node may
 * have it.)
 */
export const isImmutable = (request: JsonRpc.Request): boolean => {
  const basis = methods.get(request.method)?.basis
  if (basis !== "blocks") return basis === "constant"
  const to = blocksOf(request)?.to
  return typeof to === "object" && to.requireCanonical !== true
}

/** Which methods an upstream serves: all those included, or all but those excluded. */
export type Served = { readonly include: ReadonlyArray<string> } | { readonly exclude: ReadonlyArray<string> }

/** The upstream does not serve the method. A refusal that neither time nor insistence lifts. */
export class NotServed extends Data.TaggedError("NotServed")<{ readonly upstream: string; readonly method: string }> {
  readonly [Outcome.TypeId] = Outcome.refusal()

  override get message(): string {
    return `does not serve ${this.method}`
  }
}

/**
 * Sends an upstream only the methods it serves. A name may end in `*`.
 *
 * ```ts
 * Http.layer({ url }).pipe(Method.layer({ exclude: ["debug_*", "trace_*"] }))
 * ```
 */
export const layer = (served: Served) => {
  const serves = read(served)
  return <E, LE, R>(
    self: Layer.Layer<JsonRpc.Upstream<E>, LE, R>
  ): Layer.Layer<JsonRpc.Upstream<E | NotServed>, LE, R> =>
    JsonRpc.transform(self, "methods", (below: JsonRpc.Service<E>) =>
      Effect.succeed({
        request: (request: JsonRpc.Request): Effect.Effect<unknown, E | NotServed> =>
          serves(request.method)
            ? below.request(request)
            : Effect.fail(Outcome.stackless(() => new NotServed({ upstream: below.name, method: request.method })))
      })
    )
}

const read = (served: Served): ((method: string) => boolean) => {
  const expected = "{ include: [...] } or { exclude: [...] } with names of methods"
  const given = Read.read("Method", served, { include: names(expected), exclude: names(expected) })
  const list = given.include ?? given.exclude
  if (list === undefined || (given.include !== undefined && given.exclude !== undefined)) {
    return Read.reject("Method", expected, served)
  }
  const exact = new Set(list.filter((name) => !name.endsWith("*")))
  const prefixes = list.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1))
  const listed = (method: string) => exact.has(method) || prefixes.some((prefix) => method.startsWith(prefix))
  return given.include === undefined ? (method) => !listed(method) : listed
}

const names =
  (expected: string): Read.Reader<ReadonlyArray<string> | undefined> =>
  (option, received) =>
    received === undefined || (Array.isArray(received) && received.every((name) => typeof name === "string"))
      ? received
      : Read.reject(option, expected, received)
