/** Sends HTTP answers, whole or not. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type ServerResponse, STATUS_CODES } from "node:http"
import { Readable } from "node:stream"
import { pipeline } from "node:stream/promises"
import type { ExchangeFault, Head } from "../Fault.ts"

export interface Reply {
  readonly head: Head
  readonly body: string
}

/** The head of an answer that is all right. */
export const ok: Head = {
  status: 200,
  headers: { "content-type": "application/json" },
  retryAfter: undefined,
  retryAt: undefined
}

/** The page that web servers put before a node that is down. */
export const page = (status: number): string => {
  const title = `${status} ${STATUS_CODES[status] ?? "Unknown"}`
  return `<html>\r\n<head><title>${title}</title></head>\r\n<body>\r\n<center><h1>${title}</h1></center>\r\n</body>\r\n</html>\r\n`
}

/** Sends an answer. Returns an effect if that takes time; then, and only then, it may be interrupted. */
export const send = (
  response: ServerResponse,
  { body, head }: Reply,
  fault: ExchangeFault | undefined,
  clock: Clock.Clock
): Effect.Effect<void> | undefined => {
  switch (fault?._tag) {
    case "Drop": {
      const bytes = Buffer.from(body)
      writeHead(response, head, bytes.length, clock)
      return Effect.callback((resume) => {
        response.write(bytes.subarray(0, Math.ceil(bytes.length * fault.sent)), () => resume(Effect.void))
      })
    }
    case "Truncated": {
      const bytes = Buffer.from(body)
      const half = bytes.subarray(0, bytes.length >> 1)
      writeHead(response, head, half.length, clock)
      response.end(half)
      return undefined
    }
    case "Drip": {
      const bytes = Buffer.from(body)
      writeHead(response, head, bytes.length, clock)
      return drip(response, bytes, fault.over, fault.pieces, clock)
    }
    case "Oversized": {
      const size = Math.max(fault.bytes, Buffer.byteLength(body))
      writeHead(response, head, fault.declared ? size : undefined, clock)
      // A client that leaves is no error of ours.
      return Effect.promise((signal) =>
        pipeline(Readable.from(padded(body, size)), response, { signal }).catch(() => {})
      )
    }
    default:
      writeHead(response, head, Buffer.byteLength(body), clock)
      response.end(body)
      return undefined
  }
}

/** The headers of an answer that begins now. */
export const headersOf = ({ headers, retryAfter, retryAt }: Head, clock: Clock.Clock): Record<string, string> => {
  const all: Record<string, string> = { ...headers }
  if (retryAfter !== undefined) all["retry-after"] = String(Math.ceil(retryAfter / 1000))
  if (retryAt !== undefined) {
    const now = clock.currentTimeMillisUnsafe()
    all["date"] = new Date(now).toUTCString()
    all["retry-after"] = new Date(Math.ceil((now + retryAt) / 1000) * 1000).toUTCString()
  }
  return all
}

const writeHead = (response: ServerResponse, head: Head, length: number | undefined, clock: Clock.Clock): void => {
  response.sendDate = false
  const all = headersOf(head, clock)
  if (length !== undefined) all["content-length"] = String(length)
  response.writeHead(head.status, all)
}

const drip = (response: ServerResponse, bytes: Buffer, over: number, pieces: number, clock: Clock.Clock) => {
  response.flushHeaders()
  const part = (i: number) => bytes.subarray((bytes.length * i) / pieces, (bytes.length * (i + 1)) / pieces)
  return Effect.gen(function* () {
    for (let i = 0; i < pieces; i++) {
      yield* clock.sleep(Duration.millis(over / pieces))
      response.write(part(i))
    }
    response.end()
  })
}

const blanks = Buffer.alloc(65_536, " ")

const padded = function* (body: string, size: number) {
  let left = size - Buffer.byteLength(body)
  for (; left > 0; left -= blanks.length) yield blanks.subarray(0, Math.min(left, blanks.length))
  yield Buffer.from(body)
}
