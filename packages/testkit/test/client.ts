/** A plain HTTP client that hides nothing: one request, its answer or its error, and how far it got. */
import { Data, Effect } from "effect"
import * as http from "node:http"

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
  readonly json: any
}

/** `code` is the system's, `got` what had arrived of the body. */
export class Failed extends Data.TaggedError("Failed")<{ readonly code: string; readonly got: string }> {}

/** Sends a body. Interruption closes the connection. Each request has a connection of its own unless given an agent. */
export const post = (url: string, body: unknown, options: http.RequestOptions = {}): Effect.Effect<Answer, Failed> =>
  Effect.callback((resume) => {
    let got = ""
    const failed = (error: NodeJS.ErrnoException) =>
      resume(Effect.fail(new Failed({ code: error.code ?? error.message, got })))
    const request = http.request(url, { method: "POST", agent: false, ...options }, (response) => {
      response.setEncoding("utf8").on("data", (chunk: string) => (got += chunk))
      response.on("error", failed)
      response.on("end", () =>
        resume(Effect.succeed({ status: response.statusCode!, headers: response.headers, text: got, json: read(got) }))
      )
    })
    request.on("error", failed)
    request.end(typeof body === "string" ? body : JSON.stringify(body))
    return Effect.sync(() => void request.destroy())
  })

const read = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

export const call = (method: string, params: ReadonlyArray<unknown> = [], id: unknown = 1) => ({
  jsonrpc: "2.0",
  id,
  method,
  params
})

/** Asks one call and returns the JSON of the answer. */
export const ask = (url: string, method: string, params?: ReadonlyArray<unknown>) =>
  Effect.map(post(url, call(method, params)), ({ json }) => json as { readonly result?: any; readonly error?: any })

/** Asks one call and returns its result. */
export const result = (url: string, method: string, params?: ReadonlyArray<unknown>) =>
  Effect.map(ask(url, method, params), (json) => json.result)

/** An agent that keeps one connection, closed with the scope. */
export const connection = Effect.acquireRelease(
  Effect.sync(() => new http.Agent({ keepAlive: true, maxSockets: 1 })),
  (agent) => Effect.sync(() => agent.destroy())
)
