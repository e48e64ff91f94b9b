import type * as Fiber from "effect/Fiber"
import type { ServerResponse } from "node:http"
import type { Asked, Ended } from "./recorder.ts"

/** One HTTP request, until it has ended. */
export class Exchange {
  readonly response: ServerResponse
  private readonly asked: ReadonlyArray<Asked>
  private readonly ended: (how: Ended) => void
  private open = true

  constructor(response: ServerResponse, asked: ReadonlyArray<Asked>, ended: (how: Ended) => void) {
    this.response = response
    this.asked = asked
    this.ended = ended
  }

  end(how: Ended): void {
    if (!this.open) return
    this.open = false
    for (const asked of this.asked) asked.ended = how
    this.ended(how)
  }

  /** Closes the connection, with what was written to it or, by a reset, without. */
  drop(how: "close" | "reset"): void {
    const { socket } = this.response
    this.end("dropped")
    if (how === "reset") socket?.resetAndDestroy()
    else socket?.destroy()
  }

  /** Waits for whatever comes first: the end of the work, or of the connection. */
  watch(work: Fiber.Fiber<unknown, unknown> | undefined, closedBy: () => Ended): void {
    const closed = () => {
      work?.interruptUnsafe()
      this.end(closedBy())
    }
    if (this.response.closed) closed()
    else this.response.once("close", closed)
  }
}
