import { type Ending, listen, type Open, type Socket } from "./socket.ts"

/** The runtime's own `WebSocket`. It tells neither why a handshake was refused nor ends a socket that nobody answers on. */
export const open: Open = ({ headers, url }, events) => {
  try {
    const Global = globalThis.WebSocket as new (url: string, options?: object) => WebSocket
    const ws = Object.keys(headers).length === 0 ? new Global(url) : new Global(url, { headers })
    const stop = listen(ws, events, (message) => ({ message }))
    return {
      send: (text) => ws.send(text),
      close: () => {
        stop()
        ws.close()
      }
    }
  } catch (error) {
    return never({ message: error instanceof Error ? error.message : "no WebSocket" }, events.onEnd)
  }
}

const never = (ending: Ending, onEnd: (ending: Ending) => void): Socket => {
  let over = false
  queueMicrotask(() => {
    if (!over) onEnd(ending)
  })
  return {
    send: () => {},
    close: () => {
      over = true
    }
  }
}

const agent = (globalThis as { readonly navigator?: { readonly userAgent?: unknown } }).navigator?.userAgent

/** Whether headers can be sent with the handshake: browsers let nobody choose them. */
export const takesHeaders = typeof agent === "string" && /^(?:Node\.js|Bun|Deno)\b/.test(agent)
