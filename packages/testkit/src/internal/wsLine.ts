import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { WebSocket } from "ws"
import type { ExchangeFault } from "../Fault.ts"
import type { Line } from "./exchange.ts"

/** The line of a WebSocket: one message for each answer, whole or not. */
export const lineOf = (ws: WebSocket, clock: Clock.Clock): Line => ({
  send: ({ body }, fault) => send(ws, body, fault, clock),
  // There is no status within a socket: it is closed, as a server does that is overloaded or broken.
  status: ({ head }) => ws.close(head.status === 429 || head.status === 503 ? 1013 : 1011, `HTTP ${head.status}`),
  drop: () => ws.terminate(),
  onClose: (closed) => {
    if (ws.readyState === WebSocket.CLOSED) closed()
    else ws.once("close", closed)
    return () => void ws.removeListener("close", closed)
  }
})

const send = (
  ws: WebSocket,
  body: string,
  fault: ExchangeFault | undefined,
  clock: Clock.Clock
): Effect.Effect<void> | undefined => {
  // A notification that asked for nothing.
  if (body === "") return undefined
  switch (fault?._tag) {
    case "Drop":
      return Effect.callback((resume) => {
        ws.send(body.slice(0, Math.ceil(body.length * fault.sent)), { fin: false }, () => resume(Effect.void))
      })
    case "Truncated":
      ws.send(body.slice(0, body.length >> 1))
      return undefined
    case "Drip":
      return drip(ws, body, fault.over, fault.pieces, clock)
    case "Oversized":
      ws.send(body.padStart(Math.max(fault.bytes, body.length)))
      return undefined
    default:
      ws.send(body)
      return undefined
  }
}

const drip = (ws: WebSocket, body: string, over: number, pieces: number, clock: Clock.Clock) => {
  const part = (i: number) => body.slice((body.length * i) / pieces, (body.length * (i + 1)) / pieces)
  return Effect.gen(function* () {
    for (let i = 0; i < pieces; i++) {
      yield* clock.sleep(Duration.millis(over / pieces))
      ws.send(part(i), { fin: i === pieces - 1 })
    }
  })
}
