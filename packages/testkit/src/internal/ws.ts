/** WebSockets of a node: on its port, judged by its scenario, fed with what happens to its chain. */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import { type IncomingMessage, STATUS_CODES } from "node:http"
import type { Duplex } from "node:stream"
import { WebSocketServer, type RawData, type WebSocket } from "ws"
import type { Handlers } from "./answers.ts"
import type { Chain } from "./chain.ts"
import type { Decision } from "./decide.ts"
import type { Line } from "./exchange.ts"
import { headersOf, ok, page, type Reply } from "./http.ts"
import type { Play } from "./play.ts"
import { Asked, type Origin, type Recorder } from "./recorder.ts"
import { Feed } from "./wsFeed.ts"
import { lineOf } from "./wsLine.ts"

/** What sockets need of their node. */
export interface Desk {
  readonly path: string | undefined
  readonly clock: Clock.Clock
  readonly fork: (effect: Effect.Effect<unknown, unknown>) => Fiber.Fiber<unknown, unknown>
  readonly recorder: Recorder
  /** The chain to subscribe to, if there is one. */
  readonly chain: Chain | undefined
  readonly decide: (calls: ReadonlyArray<Asked>) => { readonly play: Play; readonly decision: Decision }
  readonly receive: (line: Line, origin: Origin, text: string, session: Handlers) => void
  readonly origin: (request: IncomingMessage) => Origin
}

export class Sockets {
  private readonly desk: Desk
  private readonly server = new WebSocketServer({ noServer: true, clientTracking: false })
  private readonly feeds = new Set<Feed>()
  private ticker: Fiber.Fiber<unknown, unknown> | undefined

  constructor(desk: Desk) {
    this.desk = desk
  }

  get subscriptions(): number {
    let all = 0
    for (const feed of this.feeds) all += feed.size
    return all
  }

  /** The handshake, judged as a call of the method `websocket`. */
  readonly upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const { clock, decide, fork, origin, path } = this.desk
    socket.on("error", () => {})
    if (path !== undefined && request.url !== path) return refuse(socket, 404, {}, page(404))
    const from = origin(request)
    const { decision } = decide([new Asked({ method: "websocket", params: [] }, 0, from)])
    const act = () => {
      const fault = decision.exchange
      // Read, or nobody would notice that the client leaves.
      if (fault?._tag === "Hang") return void socket.resume().once("end", () => socket.destroy())
      if (fault?._tag === "Status") {
        return refuse(socket, fault.status, headersOf(fault, clock), fault.body ?? page(fault.status))
      }
      if (fault?._tag === "Refuse" || fault?._tag === "Drop") return void socket.destroy()
      this.server.handleUpgrade(request, socket, head, (ws) => this.accept(ws, from))
    }
    if (decision.delay === 0) return act()
    const work = fork(Effect.andThen(clock.sleep(Duration.millis(decision.delay)), Effect.sync(act)))
    socket.once("close", () => work.interruptUnsafe())
  }

  private accept(ws: WebSocket, origin: Origin): void {
    const { chain, clock, receive } = this.desk
    // One for each answer under way.
    ws.setMaxListeners(0)
    const line = lineOf(ws, clock)
    const feed = chain === undefined ? undefined : this.feed(chain, line, origin)
    const session = feed?.handlers ?? none
    ws.on("message", (data: RawData) => {
      receive(line, { ...origin, reused: true }, (data as Buffer).toString(), session)
      // What was just sent may be a transaction.
      this.tell()
    })
    // A client that leaves in the middle, or does not speak the protocol.
    ws.on("error", () => {})
    ws.on("close", () => {
      if (feed !== undefined) this.feeds.delete(feed)
      this.desk.recorder.changed()
    })
  }

  private feed(chain: Chain, line: Line, origin: Origin): Feed {
    const { clock, decide, fork, recorder } = this.desk
    const feed: Feed = new Feed(chain, {
      judge: (params) =>
        decide([new Asked({ method: "eth_subscription", params }, 0, { ...origin, reused: true, batch: undefined })]),
      send: (text, { delay, exchange }) => {
        // What takes the request of a call takes a notification likewise; it has no status to be sent instead.
        if (exchange?._tag === "Hang" || exchange?._tag === "Status") return
        if (exchange?._tag === "Refuse" || (exchange?._tag === "Drop" && exchange.sent === 0)) return line.drop("reset")
        const send = () => line.send(reply(text), exchange) ?? Effect.void
        const work = delay === 0 ? send() : Effect.andThen(clock.sleep(Duration.millis(delay)), Effect.suspend(send))
        const fiber = fork(work)
        fiber.addObserver(line.onClose(() => fiber.interruptUnsafe()))
      },
      changed: () => {
        this.tick()
        recorder.changed()
      }
    })
    this.feeds.add(feed)
    return feed
  }

  /** Something may have happened to the chain. */
  tell(): void {
    for (const feed of this.feeds) feed.tell()
  }

  /** Nothing more is told. */
  stop(): void {
    this.ticker?.interruptUnsafe()
    this.ticker = undefined
    this.feeds.clear()
  }

  // Where the head moves by itself, somebody has to look, for as long as anybody listens.
  private tick(): void {
    const { chain, clock, fork } = this.desk
    if (chain === undefined || chain.untilNext === Infinity || this.ticker !== undefined) return
    const next: Effect.Effect<void> = Effect.suspend(() => clock.sleep(Duration.millis(Math.ceil(chain.untilNext))))
    this.ticker = fork(
      Effect.gen({ self: this }, function* () {
        while (this.subscriptions > 0) {
          yield* next
          this.tell()
          this.desk.recorder.changed()
        }
        this.ticker = undefined
      })
    )
  }
}

const none: Handlers = new Map()

const reply = (body: string): Reply => ({ head: ok, body })

const refuse = (socket: Duplex, status: number, headers: Readonly<Record<string, string>>, body: string): void => {
  const all = { ...headers, "content-length": String(Buffer.byteLength(body)), connection: "close" }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}\r\n${lines.join("")}\r\n${body}`)
}
