import { Agent, buildConnector, type Dispatcher, WebSocket } from "undici"
import type { Socket as Tcp } from "node:net"
import { type Ending, listen, type Open } from "./socket.ts"

/**
 * `undici`'s WebSocket over a TCP socket that we hold: it can be ended although nobody answers, and a handshake that is
 * refused says how.
 */
export const open: Open = (target, events) => {
  let tcp: Tcp | undefined
  let over = false
  let failure: string | undefined
  const answer = new Answer()
  const connect = buildConnector({ allowH2: false })
  const agent = new Agent({
    connect: (options, callback) =>
      connect(options, (error, socket) => {
        if (error !== null) {
          failure = describe(error)
          return callback(error, null)
        }
        tcp = socket
        if (over) socket.destroy()
        callback(null, socket)
      })
  }).compose((dispatch) => (options, handler) => dispatch(options, answer.before(handler)))
  const ws = new WebSocket(target.url, { dispatcher: agent, headers: { ...target.headers } })
  const stop = listen(ws, events, (message): Ending => {
    end()
    const { refusal } = answer
    if (refusal !== undefined) return { message: `HTTP ${refusal.status} in place of a WebSocket`, refusal }
    return { message: failure ?? message }
  })
  const end = () => {
    over = true
    // Sends what is written, but waits for nobody.
    tcp?.destroySoon()
    void agent.destroy()
  }
  return {
    send: (text) => ws.send(text),
    close: () => {
      stop()
      ws.close()
      end()
    }
  }
}

export const takesHeaders = true

/** Bytes of a refusal that are kept. */
const most = 4_096

/** Listens in on the answer to the handshake. */
class Answer {
  private status = 0
  private retryAfter: string | undefined
  private body = ""

  get refusal(): Ending["refusal"] {
    const { body, retryAfter, status } = this
    return status === 0 ? undefined : { status, retryAfter, body }
  }

  before(handler: Dispatcher.DispatchHandler): Dispatcher.DispatchHandler {
    return {
      onRequestStart: (controller, context) => handler.onRequestStart?.(controller, context),
      onRequestUpgrade: (controller, status, headers, socket) =>
        handler.onRequestUpgrade?.(controller, status, headers, socket),
      onResponseStart: (controller, status, headers, text) => {
        this.status = status
        const after = headers["retry-after"]
        this.retryAfter = Array.isArray(after) ? after[0] : after
        return handler.onResponseStart?.(controller, status, headers, text)
      },
      onResponseData: (controller, chunk) => {
        if (this.body.length < most) this.body += chunk.toString()
        return handler.onResponseData?.(controller, chunk)
      },
      onResponseEnd: (controller, trailers) => handler.onResponseEnd?.(controller, trailers),
      onResponseError: (controller, error) => handler.onResponseError?.(controller, error)
    }
  }
}

const describe = (error: Error): string =>
  error instanceof AggregateError && error.errors.length > 0 ? (error.errors[0] as Error).message : error.message
