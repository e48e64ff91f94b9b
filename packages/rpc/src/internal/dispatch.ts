// How a body of bytes gets to an upstream and back. Two implementations: undici on Node.js, fetch elsewhere.

/** Where to post to. */
export interface Target {
  readonly origin: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** Bytes a reply may have. */
  readonly maxBodySize: number
  /** Sockets that may be open at once. */
  readonly connections: number
  /** How long an idle socket is kept, in milliseconds, unless the server says otherwise. */
  readonly keepAlive: number
}

export interface Reply {
  readonly status: number
  readonly body: string
  readonly retryAfter: string | undefined
  readonly location: string | undefined
}

/** Why there is no reply. */
export interface Fault {
  readonly reason: "connect" | "closed" | "too-large"
  readonly message: string
  readonly code: string | undefined
  /** Whether any of the request may have reached the upstream. */
  readonly reached: boolean
  /** The socket had served before and closed before the first byte of this reply: nobody's fault, ask once more. */
  readonly stale: boolean
}

/** Who posts. Told once. */
export interface Sender {
  readonly done: (fault: Fault | undefined, reply: Reply | undefined) => void
}

/** What was posted. */
export interface Posted {
  /** Closes the socket and tells nobody. */
  readonly abort: () => void
}

export interface Dispatch {
  /** Posts `body`; `fresh`: over a socket that has not served before. */
  readonly post: (body: string, sender: Sender, fresh?: boolean) => Posted
  /** Closes every socket; requests under way end with a fault. */
  readonly close: () => Promise<void>
  readonly inspect: () => { readonly open: number; readonly inflight: number; readonly queued: number }
}
