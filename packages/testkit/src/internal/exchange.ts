import type * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { ServerResponse } from "node:http"
import type { ExchangeFault } from "../Fault.ts"
import type { Reply } from "./http.ts"
import type { Asked, Ended } from "./recorder.ts"

/** What carries a request and its answer: an HTTP exchange, or a message on a WebSocket. */
export interface Line {
  /** Sends an answer. Returns an effect if that takes time; then, and only then, it may be interrupted. */
  readonly send: (reply: Reply, fault: ExchangeFault | undefined) => Effect.Effect<void> | undefined
  /** Sends an HTTP status in place of an answer, or what comes next to it. */
  readonly status: (reply: Reply) => void
  /** Closes the connection, with what was written to it or, by a reset, without. */
  readonly drop: (how: "close" | "reset") => void
  /** Calls `closed` once when the connection has ended, at once if it has. Returns the function that stops it. */
  readonly onClose: (closed: () => void) => () => void
}

/** The line of an HTTP exchange. */
export const httpLine = (response: ServerResponse, send: Line["send"]): Line => ({
  send,
  status: (reply) => void send(reply, undefined),
  drop: (how) => {
    const { socket } = response
    if (how === "reset") socket?.resetAndDestroy()
    else socket?.destroy()
  },
  onClose: (closed) => {
    if (response.closed) closed()
    else response.once("close", closed)
    return () => void response.removeListener("close", closed)
  }
})

/** One request, until it has ended. */
export class Exchange {
  readonly line: Line
  private readonly asked: ReadonlyArray<Asked>
  private readonly ended: (how: Ended) => void
  private open = true

  constructor(line: Line, asked: ReadonlyArray<Asked>, ended: (how: Ended) => void) {
    this.line = line
    this.asked = asked
    this.ended = ended
  }

  end(how: Ended): void {
    if (!this.open) return
    this.open = false
    for (const asked of this.asked) asked.ended = how
    this.ended(how)
  }

  drop(how: "close" | "reset"): void {
    this.end("dropped")
    this.line.drop(how)
  }

  /** Waits for whatever comes first: the end of the work, or of the connection. */
  watch(work: Fiber.Fiber<unknown, unknown>, closedBy: () => Ended): void {
    const stop = this.line.onClose(() => {
      work.interruptUnsafe()
      this.end(closedBy())
    })
    work.addObserver(stop)
  }
}
