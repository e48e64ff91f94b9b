// What a connection needs of a WebSocket. Two implementations: undici on Node.js, the global one elsewhere.

/** Where to connect to. */
export interface Target {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

/** Why a socket is over, or never was. */
export interface Ending {
  readonly message: string
  /** The HTTP answer in place of a socket, where it can be seen. */
  readonly refusal?: { readonly status: number; readonly retryAfter: string | undefined; readonly body: string }
}

export interface Events {
  readonly onOpen: () => void
  readonly onMessage: (text: string) => void
  /** Called once, and last; not after `close`. */
  readonly onEnd: (ending: Ending) => void
}

export interface Socket {
  /** Only while it is open. */
  readonly send: (text: string) => void
  /** Ends it, without a word to anybody here. */
  readonly close: () => void
}

/** Starts to connect. Throws nothing. */
export type Open = (target: Target, events: Events) => Socket

/** The part of a WebSocket that is used. */
export interface Raw {
  readonly addEventListener: (type: "open" | "message" | "error" | "close", listener: (event: any) => void) => void
}

/** Hands the events of a WebSocket on until it has ended. Returns the function that stops that. */
export const listen = (ws: Raw, events: Events, ended: (message: string) => Ending): (() => void) => {
  let said = ""
  let over = false
  ws.addEventListener("open", () => {
    if (!over) events.onOpen()
  })
  ws.addEventListener("message", ({ data }: { readonly data: unknown }) => {
    if (!over) events.onMessage(typeof data === "string" ? data : "")
  })
  ws.addEventListener("error", ({ error, message }: { readonly error?: Error; readonly message?: string }) => {
    said = message || error?.message || ""
  })
  ws.addEventListener("close", ({ code, reason }: { readonly code: number; readonly reason: string }) => {
    if (over) return
    over = true
    const why = [code === 1005 || code === 1006 ? "" : String(code), reason, said].filter(Boolean).join(" ")
    events.onEnd(ended(why === "" ? "the connection ended" : `the connection ended: ${why}`))
  })
  return () => {
    over = true
  }
}
