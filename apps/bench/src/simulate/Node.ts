/** A node of the simulated chain, as an upstream without a socket, and what it knows of whoever asked it. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Call, JsonRpc, RpcError } from "hawser"
import { answerTo } from "./Chain.ts"
import type { World } from "./World.ts"

/** How a node is at some time. All shares are from 0 to 1. */
export interface Condition {
  /** The median of its latency, in milliseconds. Default 40. */
  readonly latency?: number
  /** Nobody listens: connections are refused. */
  readonly down?: boolean
  /** The share of requests that are never answered. */
  readonly hangs?: number
  /** The share of requests that fail with status 500, at once if `fast`. */
  readonly fails?: number
  readonly fast?: boolean
  /** Requests a second that it answers; the rest is told to come back in two seconds. */
  readonly perSecond?: number
  /** Blocks that it is behind. */
  readonly lag?: number
  readonly chainId?: number
}

/** One request, as the node saw it. */
export interface Visit {
  readonly node: string
  readonly key: string
  readonly at: number
  readonly call: Call.Call | undefined
}

/** Told of what happens at the nodes. */
export interface Watcher {
  readonly arrived: (visit: Visit) => void
  /** It has run the request: what a write must not have done twice. */
  readonly ran: (visit: Visit) => void
  readonly left: (visit: Visit) => void
}

/** What tells a request from all others. */
export const keyOf = ({ method, params }: JsonRpc.Request): string => `${method} ${JSON.stringify(params)}`

/** The pause that a node asks for which is asked too much, in milliseconds. */
export const pause = 2000

export class Node {
  /** From when on it may be asked again, as whoever asks it has been told. */
  pausedUntil = -Infinity
  private pausedSince = -Infinity
  private readonly recent: Array<number> = []
  readonly name: string
  private readonly world: World
  private readonly weather: (now: number) => Condition
  private readonly watcher: Watcher

  constructor(name: string, world: World, weather: (now: number) => Condition, watcher: Watcher) {
    this.name = name
    this.world = world
    this.weather = weather
    this.watcher = watcher
  }

  readonly layer: Layer.Layer<JsonRpc.Upstream<unknown>> = Layer.suspend(() =>
    Layer.succeed(JsonRpc.upstream<unknown>())({
      name: this.name,
      request: (request) => this.request(request),
      inspect: () => ({ name: this.name })
    })
  )

  private request(request: JsonRpc.Request): Effect.Effect<unknown, unknown> {
    return Effect.withFiber((fiber) => {
      const { watcher, world } = this
      const visit = { node: this.name, key: keyOf(request), at: world.now, call: fiber.getRef(Call.Current) }
      return Effect.callback((resume) => {
        watcher.arrived(visit)
        const { after, answer } = this.decide(request, visit)
        const due =
          after === Infinity
            ? undefined
            : world.at(world.now + after, () => {
                watcher.left(visit)
                resume(answer())
              })
        return Effect.sync(() => {
          if (due !== undefined) world.cancel(due)
          watcher.left(visit)
        })
      })
    })
  }

  private decide(request: JsonRpc.Request, visit: Visit): Decision {
    const { random } = this.world
    const weather = this.weather(this.world.now)
    const { chainId = 1, down = false, fails = 0, fast = false, hangs = 0, lag = 0, latency = 40 } = weather
    if (down) return { after: 1, answer: () => Effect.fail(this.unreachable()) }
    const after = latency * Math.exp(0.35 * normal(random))
    if (random() < hangs) {
      if (random() < 0.5) this.watcher.ran(visit)
      return { after: Infinity, answer: () => Effect.never }
    }
    if (random() < fails) {
      if (random() < 0.5) this.watcher.ran(visit)
      return { after: fast ? 1 : after, answer: () => Effect.fail(this.error(request, 500)) }
    }
    if (weather.perSecond !== undefined && this.exceeds(weather.perSecond)) {
      return { after: Math.min(after, 20), answer: () => this.limited(request, visit) }
    }
    this.watcher.ran(visit)
    return { after, answer: () => answerTo(this.name, request, { now: this.world.now, lag, chainId }) }
  }

  private exceeds(perSecond: number): boolean {
    const { recent } = this
    while (recent.length > 0 && recent[0]! <= this.world.now - 1000) recent.shift()
    if (recent.length >= perSecond) return true
    recent.push(this.world.now)
    return false
  }

  // Heard by whoever asked; one that was sent before an earlier one was heard says nothing new.
  private limited(request: JsonRpc.Request, { at }: Visit): Effect.Effect<never, unknown> {
    if (at > this.pausedSince) {
      this.pausedSince = this.world.now
      this.pausedUntil = this.world.now + pause
    }
    return Effect.fail(this.error(request, 429))
  }

  private unreachable(): RpcError.TransportError {
    return new RpcError.TransportError({ upstream: this.name, reason: "connect", message: "refused", reached: false })
  }

  private error({ method, nature }: JsonRpc.Request, status: number): unknown {
    const retryAfter = status === 429 ? String(pause / 1000) : undefined
    const reply = { method, nature, status, retryAfter, error: undefined, body: undefined }
    return RpcError.make(this.name, reply, RpcError.classify(reply, this.world.now))
  }
}

interface Decision {
  readonly after: number
  readonly answer: () => Effect.Effect<unknown, unknown>
}

/** Box and Muller's. */
const normal = (random: () => number): number =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
