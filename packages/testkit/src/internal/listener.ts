/**
 * A loopback port that can be closed and opened again, and the connections to it.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"
import * as http from "node:http"
import * as net from "node:net"
import type { Recorder } from "./recorder.ts"

export const host = "127.0.0.1"

/** The port cannot be listened on. */
export class ListenError extends Data.TaggedError("ListenError")<{ readonly port: number; readonly cause: unknown }> {
  override get message(): string {
    return `Cannot listen on ${host}:${this.port}: ${this.cause instanceof Error ? this.cause.message : String(this.cause)}`
  }
}

export interface Connection {
  readonly id: number
  requests: number
}

export class Listener {
  /** The node is closing connections itself. */
  closing = false
  readonly server: http.Server
  readonly connections = new Map<net.Socket, Connection>()
  private readonly lock = Semaphore.makeUnsafe(1)
  private port: number
  private hold: Hold | undefined
  private closed = false

  constructor(
    { keepAlive, port, recorder }: { readonly keepAlive: number; readonly port: number; readonly recorder: Recorder },
    onRequest: http.RequestListener
  ) {
    this.port = port
    this.server = http.createServer({ keepAliveTimeout: keepAlive }, onRequest)
    this.server.on("connection", (socket: net.Socket) => {
      this.connections.set(socket, { id: recorder.connected(), requests: 0 })
      socket.once("close", () => {
        this.connections.delete(socket)
        recorder.disconnected()
      })
    })
    // Clients that leave in the middle of a request, or do not speak HTTP.
    this.server.on("clientError", (_, socket) => void socket.destroy())
  }

  /** Listens, on the same port as before. Returns the port. */
  readonly open: Effect.Effect<number, ListenError> = Effect.suspend(() => {
    if (this.server.listening || this.closed) return Effect.succeed(this.port)
    this.closing = false
    // At once: nobody else can have the port in between.
    const released = this.release()
    const listening = Effect.callback<number, ListenError>((resume) => {
      const failed = (cause: Error) => resume(Effect.fail(new ListenError({ port: this.port, cause })))
      this.server.once("error", failed)
      this.server.listen(this.port, host, () => {
        this.server.removeListener("error", failed)
        this.port = (this.server.address() as net.AddressInfo).port
        resume(Effect.succeed(this.port))
      })
    })
    return Effect.ensuring(listening, released)
  }).pipe(Effect.uninterruptible, this.lock.withPermits(1))

  /** Stops listening and closes all connections. Keeps the port from everybody else. */
  readonly refuse: Effect.Effect<void> = Effect.suspend(() =>
    this.server.listening
      ? Effect.flatMap(holdable, (hold) => {
          this.hold = hold
          const closed = this.shut()
          hold.take(this.port)
          return closed
        })
      : Effect.void
  ).pipe(Effect.uninterruptible, this.lock.withPermits(1))

  /** Stops listening for good, closes all connections and lets go of the port. */
  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.closed = true
    return this.server.listening ? this.shut() : this.release()
  }).pipe(Effect.uninterruptible, this.lock.withPermits(1))

  private release(): Effect.Effect<void> {
    const { hold } = this
    this.hold = undefined
    return hold === undefined ? Effect.void : hold.release()
  }

  private shut(): Effect.Effect<void> {
    this.closing = true
    // The server says that it is closed before its last connections do.
    const all = [this.server, ...this.connections.keys()].map(
      (one) => new Promise<void>((resolve) => one.once("close", () => resolve()))
    )
    this.server.close()
    for (const socket of this.connections.keys()) socket.destroy()
    return Effect.asVoid(Effect.promise(() => Promise.all(all)))
  }
}

/**
 * Keeps a port that nobody listens on. A system gives out ports that are free, and one that was just closed is: before it
 * is opened again it may belong to any connection of any process. So a connection of our own, from that port to a
 * listener of no other use, holds it meanwhile.
 */
class Hold {
  private readonly target: net.Server
  private socket: net.Socket | undefined

  constructor(target: net.Server) {
    this.target = target
  }

  take(port: number): void {
    const { port: to } = this.target.address() as net.AddressInfo
    this.socket = net.connect({ host, port: to, localAddress: host, localPort: port })
    // Where the system does not allow it, the port is merely likely to stay free.
    this.socket.on("error", () => {})
  }

  /** Lets go at once; the effect waits until nothing is left of it. */
  release(): Effect.Effect<void> {
    const closed = new Promise<void>((resolve) => this.target.close(() => resolve()))
    this.socket?.resetAndDestroy()
    return Effect.promise(() => closed)
  }
}

const holdable: Effect.Effect<Hold> = Effect.callback((resume) => {
  const target = net.createServer((socket) => socket.on("error", () => {}))
  target.listen(0, host, () => resume(Effect.succeed(new Hold(target))))
})
