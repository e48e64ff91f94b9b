/**
 * A node at work: reads HTTP requests and WebSocket messages, lets the scenario decide, answers or does not, and keeps
 * record.
 *
 * A request that meets no fault is answered within the event that brings it: no fiber, no timer.
 */
import { Call } from "@hawser/core"
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import type { IncomingMessage, ServerResponse } from "node:http"
import type { ExchangeFault } from "../Fault.ts"
import type { Scenario } from "../Scenario.ts"
import type { Answers, Handlers } from "./answers.ts"
import type { Chain } from "./chain.ts"
import { type Decision, decide } from "./decide.ts"
import { Exchange, httpLine, type Line } from "./exchange.ts"
import { ok, page, type Reply, send } from "./http.ts"
import { type ListenError, Listener } from "./listener.ts"
import { Play } from "./play.ts"
import { port } from "./port.ts"
import { Asked, type Origin, type Recorder } from "./recorder.ts"
import { type Body, parse } from "./requests.ts"
import { RpcError } from "./rpcError.ts"
import { Sockets } from "./ws.ts"

export interface NodeOptions {
  readonly port: number
  readonly path: string | undefined
  readonly seed: number
  readonly cors: boolean
  readonly keepAlive: number
  readonly scenario: Scenario
  readonly clock: Clock.Clock
  readonly fork: (effect: Effect.Effect<unknown, unknown>) => Fiber.Fiber<unknown, unknown>
  readonly answers: Answers
  readonly chain: Chain
  /** The answers come from a node behind, not from the chain. */
  readonly behind: boolean
  readonly recorder: Recorder
}

const calm: Decision = { delay: 0, exchange: undefined, answers: [] }

export class Node {
  private readonly options: NodeOptions
  readonly sockets: Sockets
  private readonly listener: Listener
  private readonly began: number
  private play: Play
  private keeper: Fiber.Fiber<unknown, unknown> | undefined

  constructor(options: NodeOptions) {
    this.options = options
    this.began = this.now()
    this.play = new Play(options.scenario, options.seed, this.began)
    this.listener = new Listener(options, (request, response) => this.onRequest(request, response))
    this.sockets = new Sockets({
      ...options,
      // A node behind has subscriptions of its own, on sockets of its own.
      chain: options.behind ? undefined : options.chain,
      decide: (calls) => ({ play: this.play, decision: this.decide(calls) }),
      receive: (line, origin, text, session) => this.receive(line, origin, text, session),
      origin: (request) => this.origin(request)
    })
    this.listener.server.on("upgrade", this.sockets.upgrade)
  }

  private now(): number {
    return Call.now(this.options.clock)
  }

  /** Opens the port, and closes it again if the scenario says so. */
  readonly open: Effect.Effect<number, ListenError> = Effect.suspend(() =>
    Effect.tap(this.listener.open, () => this.keepPort(this.play))
  )

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.keeper?.interruptUnsafe()
    this.sockets.stop()
    return this.listener.close
  })

  /** Closes every connection, as a node does that restarts. */
  cut(): void {
    for (const socket of this.listener.connections.keys()) socket.resetAndDestroy()
  }

  /** Plays a scenario from its beginning. Ends once the port is as the scenario says. */
  start(scenario: Scenario): Effect.Effect<void, ListenError> {
    return Effect.suspend(() => {
      this.keeper?.interruptUnsafe()
      this.play = new Play(scenario, this.options.seed, this.now())
      return this.keepPort(this.play)
    })
  }

  // Brings the port into the state the scenario asks for, and again whenever that changes with time.
  private keepPort(play: Play): Effect.Effect<void, ListenError> {
    return Effect.suspend(() => {
      if (play !== this.play) return Effect.void
      if (!play.refuses) return Effect.asVoid(this.listener.open)
      const state = port(play.scenario, play.memory, this.now() - play.since)
      return Effect.map(state.open ? this.listener.open : this.listener.refuse, () => {
        if (play !== this.play || state.for === Infinity) return
        const { clock, fork } = this.options
        // Whole milliseconds, so that no rounding wakes it just before the change.
        const change = clock.sleep(Duration.millis(Math.ceil(state.for)))
        this.keeper = fork(Effect.andThen(change, this.keepPort(play)))
      })
    })
  }

  // Requests, too, can close the port: after so many of them.
  private recheckPort(play: Play): void {
    if (play !== this.play) return
    const { open } = port(play.scenario, play.memory, this.now() - play.since)
    if (open === this.listener.server.listening) return
    this.keeper?.interruptUnsafe()
    this.keeper = this.options.fork(this.keepPort(play))
  }

  private onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { cors, path } = this.options
    if (cors) allow(request, response)
    if (cors && request.method === "OPTIONS") return void response.writeHead(204).end()
    if (path !== undefined && request.url !== path) return void response.writeHead(404).end()
    if (request.method !== "POST") return void response.writeHead(405, { allow: "POST" }).end()
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => void chunks.push(chunk))
    request.on("end", () => {
      const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)
      const line = httpLine(response, (reply, fault) => send(response, reply, fault, this.options.clock))
      this.receive(line, this.origin(request), body.toString())
    })
  }

  private decide(calls: ReadonlyArray<Asked>): Decision {
    const { play } = this
    return play.scenario._tag === "Healthy"
      ? calm
      : decide(play.scenario, calls, play.memory, play.random, this.now() - play.since)
  }

  private receive(line: Line, origin: Origin, text: string, session?: Handlers): void {
    const { answers, clock, fork, recorder } = this.options
    const { play } = this
    const body = parse(text)
    const asked = this.record(origin, body)
    const decision = this.decide(asked)
    asked.forEach((one, i) => {
      one.fault = decision.exchange?._tag ?? decision.answers[i]?._tag
    })
    const exchange = new Exchange(line, asked, (how) => {
      if (how === "aborted") recorder.aborted++
      recorder.changed()
    })
    if (play.refuses) line.onClose(() => this.recheckPort(play))
    const answer = () => this.act(exchange, decision.exchange, () => answers.to(body, text, decision, play, session))
    const work =
      decision.delay > 0
        ? Effect.flatMap(clock.sleep(Duration.millis(decision.delay)), () => answer() ?? Effect.void)
        : answer()
    if (work !== undefined) exchange.watch(fork(work), () => (this.listener.closing ? "dropped" : "aborted"))
    recorder.changed()
  }

  private origin(request: IncomingMessage): Origin {
    const connection = this.listener.connections.get(request.socket)
    return {
      at: 0,
      headers: request.headers,
      connection: connection?.id ?? 0,
      reused: connection !== undefined && connection.requests++ > 0,
      batch: undefined
    }
  }

  private record(origin: Origin, { batch, items }: Body): ReadonlyArray<Asked> {
    const { recorder } = this.options
    const from = { ...origin, at: this.now() - this.began, batch: batch ? items.length : undefined }
    const asked: Array<Asked> = []
    items.forEach((item, i) => {
      if (item instanceof RpcError) return
      const one = new Asked(item, i, from)
      recorder.add(one)
      asked.push(one)
    })
    return asked
  }

  // Does what the fault says, or answers. Returns what takes time.
  private act(
    exchange: Exchange,
    fault: ExchangeFault | undefined,
    answer: () => ReturnType<Answers["to"]>
  ): Effect.Effect<void> | undefined {
    switch (fault?._tag) {
      case "Hang":
        return hang
      case "Refuse":
        exchange.drop("reset")
        return undefined
      case "Status":
        exchange.line.status({ head: fault, body: fault.body ?? page(fault.status) })
        exchange.end("answered")
        return undefined
      case "Drop":
        if (fault.sent > 0) break
        exchange.drop("close")
        return undefined
    }
    const reply = answer()
    return Effect.isEffect(reply)
      ? Effect.flatMap(
          Effect.catchTag(reply, "Unreachable", () => Effect.succeed(badGateway)),
          (reply) => this.send(exchange, fault, reply) ?? Effect.void
        )
      : this.send(exchange, fault, reply)
  }

  private send(exchange: Exchange, fault: ExchangeFault | undefined, reply: Reply): Effect.Effect<void> | undefined {
    const sending = exchange.line.send(reply, fault)
    if (sending === undefined) exchange.end("answered")
    return (
      sending && Effect.map(sending, () => (fault?._tag === "Drop" ? exchange.drop("close") : exchange.end("answered")))
    )
  }
}

const hang: Effect.Effect<never> = Effect.callback(() => {})

const badGateway: Reply = { head: { ...ok, status: 502, headers: { "content-type": "text/html" } }, body: page(502) }

const allow = (request: IncomingMessage, response: ServerResponse): void => {
  response.setHeader("access-control-allow-origin", "*")
  response.setHeader("access-control-expose-headers", "*")
  if (request.method !== "OPTIONS") return
  response.setHeader("access-control-allow-methods", "POST")
  response.setHeader("access-control-allow-headers", request.headers["access-control-request-headers"] ?? "*")
}
