import { Client, Pool, type Dispatcher } from "undici"
import { brotliDecompressSync, unzipSync } from "node:zlib"
import type { Dispatch, Fault, Posted, Sender, Target } from "./dispatch.ts"

// One handler per request instead of promises, streams and signals: the transport is most of what a call costs.
export const make = (target: Target): Dispatch => {
  const settings = {
    pipelining: 1,
    allowH2: false,
    keepAliveTimeout: target.keepAlive,
    // Time limits are the layers' business, and theirs interrupt the request.
    headersTimeout: 0,
    bodyTimeout: 0
  }
  const pool = new Pool(target.origin, {
    ...settings,
    connections: target.connections,
    factory: (origin, options) => new Connection(origin, options)
  })
  const post = { path: target.path, method: "POST" as const, headers: Object.entries(target.headers).flat() }
  const extra = new Set<Client>()
  return {
    post: (body, sender, fresh = false) => {
      const exchange = new Exchange(target.maxBodySize, sender)
      if (fresh) {
        const client = new Client(target.origin, settings)
        extra.add(client)
        client.dispatch({ ...post, body, reset: true }, exchange)
        // Lets the request end first.
        void client.close().then(() => extra.delete(client))
      } else pool.dispatch({ ...post, body }, exchange)
      return exchange
    },
    close: async () => {
      await Promise.all([pool, ...extra].map((dispatcher) => dispatcher.destroy()))
    },
    inspect: () => {
      const { connected, queued, running } = pool.stats
      return { open: connected, inflight: running, queued }
    }
  }
}

/** A connection that tells each exchange whether its socket has served before. */
class Connection extends Client {
  private served = 0

  constructor(origin: URL, options: object) {
    super(origin, options)
    this.on("connect", () => {
      this.served = 0
    })
  }

  override dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    if (handler instanceof Exchange) handler.connection = this
    return super.dispatch(options, handler)
  }

  /** Serves one more request. Whether it had served before. */
  serve(): boolean {
    return this.served++ > 0
  }
}

class Exchange implements Dispatcher.DispatchHandler, Posted {
  /** Over which it goes out; `undefined`: one that serves nobody else. */
  connection: Connection | undefined = undefined
  private readonly limit: number
  private readonly sender: Sender
  private controller: Dispatcher.DispatchController | undefined
  private over = false
  private onUsedSocket = false
  private status = 0
  private headers: Record<string, string | Array<string> | undefined> = {}
  private readonly chunks: Array<Buffer> = []
  private size = 0

  constructor(limit: number, sender: Sender) {
    this.limit = limit
    this.sender = sender
  }

  abort(): void {
    if (this.over) return
    this.over = true
    this.controller?.abort(aborted)
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.controller = controller
    // Aborted while it waited for a socket.
    if (this.over) return controller.abort(aborted)
    this.onUsedSocket = this.connection?.serve() === true
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | Array<string> | undefined>
  ): void {
    this.status = status
    this.headers = headers
    if (Number(headers["content-length"]) > this.limit) this.tooLarge()
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.size += chunk.length
    if (this.size > this.limit) this.tooLarge()
    else this.chunks.push(chunk)
  }

  onResponseEnd(): void {
    if (this.over) return
    this.over = true
    const bytes = this.chunks.length === 1 ? this.chunks[0]! : Buffer.concat(this.chunks)
    const encoding = this.headers["content-encoding"]
    let body: string
    try {
      body = (encoding === undefined ? bytes : this.decode(bytes, String(encoding))).toString()
    } catch (error) {
      return this.sender.done(this.fault("closed", `a body that is not ${String(encoding)}`, codeOf(error)), undefined)
    }
    this.sender.done(undefined, {
      status: this.status,
      body,
      retryAfter: first(this.headers["retry-after"]),
      location: first(this.headers["location"])
    })
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    if (this.over) return
    this.over = true
    const started = this.controller !== undefined
    this.sender.done(this.fault(started ? "closed" : "connect", describe(error), codeOf(error)), undefined)
  }

  private fault(reason: Fault["reason"], message: string, code: string | undefined): Fault {
    const reached = this.controller !== undefined
    const isClosed = this.connection?.destroyed === true
    return { reason, message, code, reached, stale: reached && this.onUsedSocket && this.status === 0 && !isClosed }
  }

  private tooLarge(): void {
    if (this.over) return
    this.over = true
    this.controller?.abort(aborted)
    this.sender.done(this.fault("too-large", `a reply of more than ${this.limit} bytes`, undefined), undefined)
  }

  // We do not ask for compression, but some servers compress all the same.
  private decode(bytes: Buffer, encoding: string): Buffer {
    const options = { maxOutputLength: this.limit }
    return encoding === "br" ? brotliDecompressSync(bytes, options) : unzipSync(bytes, options)
  }
}

const aborted = Object.assign(new Error("aborted"), { stack: "" })

const first = (value: string | Array<string> | undefined): string | undefined =>
  Array.isArray(value) ? value[0] : value

const codeOf = (error: unknown): string | undefined => {
  const inner = error instanceof AggregateError && error.errors.length > 0 ? error.errors[0] : error
  const code = (inner as { readonly code?: unknown }).code
  return typeof code === "string" ? code : undefined
}

const describe = (error: Error): string => {
  // Happy eyeballs: one error for each address tried, none of its own.
  if (error instanceof AggregateError && error.message === "" && error.errors.length > 0) {
    return describe(error.errors[0] as Error)
  }
  return error.message
}
