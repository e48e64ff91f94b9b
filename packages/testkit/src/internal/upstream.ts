/** The real node behind a faulty one, asked over connections that are kept. */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as http from "node:http"
import * as https from "node:https"
import { quantity } from "./chain.ts"
import type { Distortion } from "./distortion.ts"
import type { Reply } from "./http.ts"
import { type Answer, RpcError } from "./rpcError.ts"

/** The node behind gave no answer that could be handed on. */
export class Unreachable extends Data.TaggedError("Unreachable")<{ readonly cause: unknown }> {}

export class Upstream {
  private readonly url: URL
  private readonly agent: http.Agent

  constructor(url: URL) {
    this.url = url
    this.agent = url.protocol === "https:" ? new https.Agent({ keepAlive: true }) : new http.Agent({ keepAlive: true })
  }

  close(): void {
    this.agent.destroy()
  }

  /** Hands a body on as it is. Interruption closes the connection. */
  post(body: string): Effect.Effect<Reply, Unreachable> {
    return Effect.callback((resume) => {
      const failed = (cause: unknown) => resume(Effect.fail(new Unreachable({ cause })))
      const { request } = this.url.protocol === "https:" ? https : http
      const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body) }
      const outgoing = request(this.url, { method: "POST", agent: this.agent, headers }, (incoming) => {
        const chunks: Array<Buffer> = []
        incoming.on("data", (chunk: Buffer) => void chunks.push(chunk))
        incoming.once("error", failed)
        incoming.once("end", () => resume(Effect.succeed(handedOn(incoming, Buffer.concat(chunks).toString()))))
      })
      outgoing.once("error", failed)
      outgoing.end(body)
      return Effect.sync(() => void outgoing.destroy())
    })
  }

  /** Asks one call, and makes of the answer what a distortion makes of it. */
  call(method: string, params: unknown, distortion: Distortion): Effect.Effect<Answer, Unreachable> {
    const { chainId, head } = distortion
    if (chainId !== undefined && method === "eth_chainId") return Effect.succeed(quantity(chainId))
    if (chainId !== undefined && method === "net_version") return Effect.succeed(String(chainId))
    if (head === undefined) return this.ask(method, params)
    return Effect.flatMap(this.ask("eth_blockNumber", []), (real) => {
      if (real instanceof RpcError) return Effect.succeed(real)
      const seen = head(Number(real))
      if (method === "eth_blockNumber") return Effect.succeed(quantity(seen))
      return Effect.map(this.ask(method, lowered(params, quantity(seen))), (answer) => hidden(answer, seen))
    })
  }

  private ask(method: string, params: unknown): Effect.Effect<Answer, Unreachable> {
    return Effect.flatMap(this.post(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params })), ({ body }) =>
      Effect.try({ try: () => answerOf(JSON.parse(body)), catch: (cause) => new Unreachable({ cause }) })
    )
  }
}

const handedOn = ({ headers, statusCode }: http.IncomingMessage, body: string): Reply => {
  const kept: Record<string, string> = { "content-type": headers["content-type"] ?? "application/json" }
  if (headers["retry-after"] !== undefined) kept["retry-after"] = headers["retry-after"]
  return { head: { status: statusCode ?? 502, headers: kept, retryAfter: undefined, retryAt: undefined }, body }
}

const answerOf = (json: { readonly result?: unknown; readonly error?: Partial<RpcError> }): Answer =>
  json.error === undefined || json.error === null
    ? json.result
    : new RpcError(json.error.code ?? -32000, json.error.message ?? "", json.error.data)

// A node that has not seen the newest blocks: its "latest" is an older one, and what lies above is unknown to it.
const lowered = (params: unknown, head: string): unknown => {
  if (params === "latest" || params === "pending") return head
  if (Array.isArray(params)) return params.map((param) => lowered(param, head))
  if (typeof params !== "object" || params === null) return params
  return Object.fromEntries(Object.entries(params).map(([name, value]) => [name, lowered(value, head)]))
}

const hidden = (answer: Answer, head: number): Answer => {
  if (typeof answer !== "object" || answer === null) return answer
  const { blockNumber, number } = answer as { readonly blockNumber?: unknown; readonly number?: unknown }
  return Number(blockNumber ?? number ?? 0) > head ? null : answer
}
