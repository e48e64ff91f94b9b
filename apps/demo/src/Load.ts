/** A steady load: so many requests each second, however many are still under way. */
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FiberSet from "effect/FiberSet"
import { Call } from "hawser"
import * as http from "node:http"
import type { Answer, Sample } from "./Samples.ts"

/** Sends one request. A failure is an answer, too. */
export type Target = Effect.Effect<Reply>

/** An answer, and when to come back if it is that there were too many. */
export interface Reply extends Answer {
  readonly retryAfter?: number | undefined
}

/** Connections that are kept, as any client would. */
export const agents = Effect.acquireRelease(
  Effect.sync(() => ({ service: new http.Agent({ keepAlive: true }), bare: new http.Agent({ keepAlive: true }) })),
  ({ bare, service }) =>
    Effect.sync(() => {
      service.destroy()
      bare.destroy()
    })
)

/**
 * Asks `rate` times each second until `until` ends, then waits for what is still under way, `patience` at most. What has
 * no answer by then has failed.
 */
export const steady = (
  target: Target,
  options: { readonly rate: number; readonly until: Effect.Effect<unknown>; readonly patience: Duration.Input },
  record: (sample: Sample) => void
): Effect.Effect<void> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const now = () => Call.now(clock)
    const running = yield* FiberSet.make<Reply>()
    const one = Effect.suspend(() => {
      const start = now()
      return Effect.onExit(target, (exit) =>
        Effect.sync(() =>
          record({ ...(exit._tag === "Success" ? exit.value : failed("abandoned")), start, end: now() })
        )
      )
    })
    const began = now()
    const loop = Effect.gen(function* () {
      for (let n = 0; ; n++) {
        // By the clock and not by the last one: a late timer makes the load no smaller.
        const wait = began + (n * 1000) / options.rate - now()
        if (wait > 0) yield* Effect.sleep(wait)
        yield* FiberSet.run(running, one)
      }
    })
    yield* Effect.raceFirst(loop, options.until)
    yield* Effect.timeoutOption(FiberSet.awaitEmpty(running), options.patience)
  }).pipe(Effect.scoped)

/** Asks a hundred times, and on until it is told that this was too often: gives the seconds it is to wait. */
export const untilRefused = (target: Target): Effect.Effect<number | undefined> =>
  Effect.gen(function* () {
    yield* Effect.all(
      Array.from({ length: 100 }, () => target),
      { concurrency: 10, discard: true }
    )
    for (let n = 0; n < 100; n++) {
      const { retryAfter } = yield* target
      if (retryAfter !== undefined) return retryAfter
    }
    return undefined
  })

/** `GET /blockNumber` of the service. */
export const service = (agent: http.Agent, url: string, headers: Readonly<Record<string, string>>): Target =>
  ask(`${url}/blockNumber`, { agent, headers }, undefined, "15 seconds", (response, text) => {
    if (response.statusCode === 429)
      return { ...failed("HTTP 429"), retryAfter: Number(response.headers["retry-after"]) }
    if (response.statusCode !== 200) return failed(`HTTP ${response.statusCode}`)
    const { blockNumber, stale } = JSON.parse(text) as { readonly blockNumber: number; readonly stale?: boolean }
    return { outcome: stale === true ? "stale" : "fresh", number: blockNumber, why: undefined }
  })

/** `eth_blockNumber` of a node, as a plain client asks it: one request, ten seconds, no second try. */
export const node = (agent: http.Agent, url: string): Target => {
  const options = { agent, method: "POST", headers: { "content-type": "application/json" } }
  return ask(url, options, question, "10 seconds", (response, text) => {
    if (response.statusCode !== 200) return failed(`HTTP ${response.statusCode}`)
    const number = Number((JSON.parse(text) as { readonly result?: unknown }).result)
    return Number.isSafeInteger(number) ? { outcome: "fresh", number, why: undefined } : failed("no result")
  })
}

const question = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_blockNumber", params: [] })

const failed = (why: string): Answer => ({ outcome: "failed", number: undefined, why })

const ask = (
  url: string,
  options: http.RequestOptions,
  body: string | undefined,
  limit: Duration.Input,
  read: (response: http.IncomingMessage, text: string) => Reply
): Target =>
  Effect.callback<Reply>((resume) => {
    const answer = (reply: Reply) => resume(Effect.succeed(reply))
    const request = http.request(url, options, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (chunk: string) => (text += chunk))
      response.on("error", (error) => answer(failed(error.message)))
      response.on("end", () => {
        try {
          answer(read(response, text))
        } catch {
          answer(failed("no JSON"))
        }
      })
    })
    request.on("error", (error) => answer(failed(error.message)))
    request.end(body)
    return Effect.sync(() => void request.destroy())
  }).pipe(Effect.timeoutOrElse({ duration: limit, orElse: () => Effect.succeed(failed("timeout")) }))
