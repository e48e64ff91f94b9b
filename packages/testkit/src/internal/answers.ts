/** Answers the calls of one HTTP request: from a handler, the node behind, or the simulated chain. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import type { AnswerFault } from "../Fault.ts"
import type { Chain } from "./chain.ts"
import type { Decision } from "./decide.ts"
import { distortion } from "./distortion.ts"
import { ok, type Reply } from "./http.ts"
import * as methods from "./methods.ts"
import type { Play } from "./play.ts"
import { batch, type Entry, single } from "./replies.ts"
import type { Body, Call } from "./requests.ts"
import { type Answer, RpcError } from "./rpcError.ts"
import type { Unreachable, Upstream } from "./upstream.ts"

/** Answers one method: a result, an error, or an effect that gives one. */
export type Handler = (params: ReadonlyArray<unknown>) => unknown

export type Handlers = ReadonlyMap<string, Handler>

/** An {@link Answer}, or an `Effect<Answer, Unreachable>`. */
type Eventually = unknown

export class Answers {
  private readonly chain: Chain
  private readonly handlers: Handlers
  private readonly upstream: Upstream | undefined

  constructor(chain: Chain, handlers: Handlers, upstream: Upstream | undefined) {
    this.chain = chain
    this.handlers = handlers
    this.upstream = upstream
  }

  /**
   * The reply to a request: at once, unless something has to be waited for. `session` has what only this connection can
   * answer.
   */
  to(
    body: Body,
    text: string,
    decision: Decision,
    play: Play,
    session: Handlers = nobody
  ): Reply | Effect.Effect<Reply, Unreachable> {
    if (this.upstream !== undefined && !this.alters(body, decision, session)) return this.upstream.post(text)
    const faults = decision.answers[Symbol.iterator]()
    const entries = body.items.map((item): Entry => {
      if (item instanceof RpcError) return { id: null, answer: item, fault: undefined }
      const fault = faults.next().value
      return { id: item.id, answer: this.one(item, fault, play, session), fault }
    })
    if (!entries.some(({ answer }) => Effect.isEffect(answer))) return write(body, entries, decision, play)
    return Effect.map(Effect.forEach(entries, settled, { concurrency: "unbounded" }), (entries) =>
      write(body, entries, decision, play)
    )
  }

  private alters(body: Body, { answers, exchange }: Decision, session: Handlers): boolean {
    return (
      exchange?._tag === "Batch" ||
      answers.some((fault) => fault !== undefined) ||
      body.items.some(
        (item) => !(item instanceof RpcError) && (this.handlers.has(item.method) || session.has(item.method))
      )
    )
  }

  private one(call: Call, fault: AnswerFault | undefined, play: Play, session: Handlers): Eventually {
    if (fault?._tag === "Error") return new RpcError(fault.code, fault.message, fault.data)
    if (fault?._tag === "Answer") return fault.result
    const handler = this.handlers.get(call.method) ?? session.get(call.method)
    if (handler !== undefined) return handled(handler, call.params)
    const seen = distortion(fault, play.frozen)
    if (this.upstream !== undefined) return this.upstream.call(call.method, call.params, seen)
    const { chainId, head } = this.chain
    const view = { chainId: seen.chainId ?? chainId, head: seen.head === undefined ? head : seen.head(head) }
    return methods.answer(this.chain, view, call.method, call.params)
  }
}

const nobody: Handlers = new Map()

const handled = (handler: Handler, params: unknown): Eventually => {
  try {
    const answer = handler(params as ReadonlyArray<unknown>)
    return Effect.isEffect(answer)
      ? Effect.catchCause(answer as Effect.Effect<unknown, unknown>, (cause) =>
          Effect.succeed(internalError(Cause.squash(cause)))
        )
      : answer
  } catch (error) {
    return internalError(error)
  }
}

const internalError = (error: unknown): RpcError =>
  error instanceof RpcError ? error : new RpcError(-32603, `internal error: ${String(error)}`)

const settled = (entry: Entry): Effect.Effect<Entry, Unreachable> =>
  Effect.isEffect(entry.answer)
    ? Effect.map(entry.answer as Effect.Effect<Answer, Unreachable>, (answer) => ({ ...entry, answer }))
    : Effect.succeed(entry)

const write = (body: Body, entries: ReadonlyArray<Entry>, { exchange }: Decision, play: Play): Reply => {
  const wanted = entries.filter((entry) => entry.id !== undefined)
  const fault = entries.find((entry) => entry.fault?._tag === "Error")?.fault
  const head = fault?._tag === "Error" ? fault : ok
  if (wanted.length === 0) return { head, body: "" }
  const how = exchange?._tag === "Batch" ? exchange.how : undefined
  return { head, body: body.batch ? batch(how, wanted, play.random) : single(wanted[0]!) }
}
