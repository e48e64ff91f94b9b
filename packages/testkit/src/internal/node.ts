/**
 * A node at work: reads HTTP requests, lets the scenario decide, answers or does not, and keeps record.
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
import type { Answers } from "./answers.ts"
import { type Decision, decide } from "./decide.ts"
import { Exchange } from "./exchange.ts"
import { ok, page, type Reply, send } from "./http.ts"
import { type ListenError, Listener } from "./listener.ts"
import { Play } from "./play.ts"
import { port } from "./port.ts"
import { Asked, type Ended, type Recorder } from "./recorder.ts"
import { type Body, parse } from "./requests.ts"
import { RpcError } from "./rpcError.ts"

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
  readonly recorder: Recorder
}

const calm: Decision = { delay: 0, exchange: undefined, answers: [] }

export class Node {
  private readonly options: NodeOptions
  private readonly listener: Listener
  private readonly began: number
  private play: Play
  private keeper: Fiber.Fiber<unknown, unknown> | undefined

  constructor(options: NodeOptions) {
    this.options = options
    this.began = this.now()
    this.play = new Play(options.scenario, options.seed, this.began)
    this.listener = new Listener(options, (request, response) => this.onRequest(request, response))
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
    return this.listener.close
  })

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
      this.receive(request, response, body.toString())
    })
  }

  private receive(request: IncomingMessage, response: ServerResponse, text: string): void {
    const { clock, fork, recorder } = this.options
    const { play } = this
    const body = parse(text)
    const asked = this.record(request, body)
    const decision =
      play.scenario._tag === "Healthy"
        ? calm
        : decide(play.scenario, asked, play.memory, play.random, this.now() - play.since)
    asked.forEach((one, i) => {
      one.fault = decision.exchange?._tag ?? decision.answers[i]?._tag
    })
    const exchange = new Exchange(response, asked, (how) => {
      if (how === "aborted") recorder.aborted++
      recorder.changed()
    })
    if (play.refuses) response.once("close", () => this.recheckPort(play))
    const answer = () => {
      const reply = () => this.options.answers.to(body, text, decision, play)
      return this.act(exchange, decision.exchange, reply)
    }
    const work =
      decision.delay > 0
        ? Effect.flatMap(clock.sleep(Duration.millis(decision.delay)), () => answer() ?? Effect.void)
        : answer()
    if (work !== undefined) exchange.watch(fork(work), this.endedBy)
    recorder.changed()
  }

  private readonly endedBy = (): Ended => (this.listener.closing ? "dropped" : "aborted")

  private record(request: IncomingMessage, { batch, items }: Body): ReadonlyArray<Asked> {
    const { recorder } = this.options
    const connection = this.listener.connections.get(request.socket)
    const origin = {
      at: this.now() - this.began,
      headers: request.headers,
      connection: connection?.id ?? 0,
      reused: connection !== undefined && connection.requests++ > 0,
      batch: batch ? items.length : undefined
    }
    const asked: Array<Asked> = []
    items.forEach((item, i) => {
      if (item instanceof RpcError) return
      const one = new Asked(item, i, origin)
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
        return this.send(exchange, undefined, { head: fault, body: fault.body ?? page(fault.status) })
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
    const sending = send(exchange.response, reply, fault, this.options.clock)
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
