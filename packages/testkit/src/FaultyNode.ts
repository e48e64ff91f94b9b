/**
 * An Ethereum node that goes wrong on purpose: a real JSON-RPC server on a loopback port, over HTTP and WebSocket, scripted
 * by a `Scenario`, which records what it was asked.
 *
 * ```ts
 * const node = yield* FaultyNode.make({ chainId: 1, scenario: Scenario.sometimes(0.2, Scenario.status(503)) })
 * yield* node.play(Scenario.hang)
 * yield* node.until((node) => node.requests.length === 3)
 * ```
 *
 * It answers from a small simulated chain, or stands in front of a real node (`behind`). Sockets, ports and
 * bytes are real. Time is that of the `Clock` it was made under, so that a `TestClock` drives delays and timelines.
 */
import { Call, Options as Given } from "@hawser/core"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { Answers } from "./internal/answers.ts"
import { Chain } from "./internal/chain.ts"
import { host, ListenError } from "./internal/listener.ts"
import { Node } from "./internal/node.ts"
import { type Asked, Recorder } from "./internal/recorder.ts"
import { RpcError } from "./internal/rpcError.ts"
import { Upstream } from "./internal/upstream.ts"
import { healthy, type Scenario } from "./Scenario.ts"

export { ListenError, RpcError }

export interface Options {
  /** The port on 127.0.0.1. Default: one that is free. */
  readonly port?: number | undefined
  /** Path and query of the URL, as in `"/v3/SECRET?key=abc"`. Other paths answer 404. Default: any path. */
  readonly path?: string | undefined
  /** What goes wrong. Default: nothing. */
  readonly scenario?: Scenario | undefined
  /** Where chances and delays are drawn from. The same seed and requests in the same order give the same faults. Default 0. */
  readonly seed?: number | undefined
  /** The URL of a real node that answers instead of the simulated chain. */
  readonly behind?: string | undefined
  /** The id of the simulated chain. Default 1. */
  readonly chainId?: number | undefined
  /** Where the head of the simulated chain begins. Default 1000. */
  readonly head?: number | undefined
  /** How often the head moves by one. Default: only when told to. */
  readonly blockTime?: Duration.Input | undefined
  /** Chains of the same id and fork have the same blocks. Default 0. */
  readonly fork?: number | undefined
  /**
   * Answers methods instead of the chain or the node behind: a result, an {@link error}, or an effect that gives either,
   * interrupted when the client leaves. What throws or fails becomes a JSON-RPC error.
   */
  readonly methods?: Readonly<Record<string, Method>> | undefined
  /** Lets browsers in: answers preflight requests. Default false. */
  readonly cors?: boolean | undefined
  /** How long an idle connection stays open, in real time; whole seconds are announced to clients. Default 5 seconds. */
  readonly keepAlive?: Duration.Input | undefined
  /** Whether `requests` is kept; counters always are. Default true. */
  readonly record?: boolean | undefined
}

/** Answers calls of a method. */
export type Method = (params: ReadonlyArray<unknown>) => unknown

/** A call that a node was asked, and how it ended. A batch is as many calls. */
export interface Request extends Readonly<Asked> {}

export interface FaultyNode {
  readonly url: string
  /** The same port by `ws:`. */
  readonly wsUrl: string
  readonly port: number
  /** Replaces the scenario and begins it, with the seed as at first. Requests under way keep what they met. */
  readonly play: (scenario: Scenario) => Effect.Effect<void, ListenError>
  /** What it was asked, oldest first. */
  readonly requests: ReadonlyArray<Request>
  /** How often a method was asked, or any. */
  readonly count: (method?: string) => number
  readonly connections: { readonly open: number; readonly total: number }
  /** HTTP requests, or messages, that the client gave up before it had the answer. */
  readonly aborted: number
  /** Subscriptions that are open, on all WebSockets. */
  readonly subscriptions: number
  /** Forgets all requests and counters. */
  readonly clear: () => void
  /** Waits until a condition holds. It is asked now and after each change, without polling. */
  readonly until: (condition: (node: FaultyNode) => boolean) => Effect.Effect<void>
  /** The height of the simulated chain. */
  readonly head: number
  readonly setHead: (head: number) => void
  /** Adds blocks to the simulated chain. */
  readonly mine: (blocks?: number) => void
  /** Replaces the newest blocks of the simulated chain by others, of other hashes. The height stays. */
  readonly reorg: (depth: number) => void
  /** Closes every connection by a reset. The port stays open: a restart, or a network that hiccups. */
  readonly cut: () => void
  /** Closes the port and every connection at once. The end of the scope does the same. */
  readonly close: Effect.Effect<void>
}

/** A JSON-RPC error, for a method to answer with. */
export const error = (code: number, message: string, data?: unknown): RpcError => new RpcError(code, message, data)

/** Starts a node that lives as long as the scope. */
export const make = (options?: Options): Effect.Effect<FaultyNode, ListenError, Scope.Scope> =>
  Effect.gen(function* () {
    const given = Given.read("FaultyNode", options, readers)
    const clock = yield* Clock.Clock
    const context = yield* Effect.context()
    const { blockTime, chainId, fork, head } = given
    const chain = new Chain({ chainId, head, fork, blockTime, now: () => Call.now(clock) })
    const recorder = new Recorder(given.record)
    const upstream = given.behind === undefined ? undefined : new Upstream(new URL(given.behind))
    const handlers = new Map(Object.entries(given.methods ?? {}))
    const node = new Node({
      ...given,
      scenario: given.scenario ?? healthy,
      behind: upstream !== undefined,
      clock,
      chain,
      recorder,
      answers: new Answers(chain, handlers, upstream),
      fork: (effect) => surfacing(Effect.runForkWith(context)(effect))
    })
    const told = (change: () => void) => {
      change()
      node.sockets.tell()
      recorder.changed()
    }
    const close = Effect.tap(node.close, () => Effect.sync(() => upstream?.close()))
    const port = yield* Effect.acquireRelease(node.open, () => close)
    return {
      url: `http://${host}:${port}${given.path ?? ""}`,
      wsUrl: `ws://${host}:${port}${given.path ?? ""}`,
      port,
      play: (scenario) => node.start(scenario),
      get requests() {
        return recorder.requests
      },
      count: (method) => recorder.count(method),
      connections: recorder.connections,
      get aborted() {
        return recorder.aborted
      },
      get subscriptions() {
        return node.sockets.subscriptions
      },
      clear: () => recorder.clear(),
      until(condition) {
        return recorder.until(() => condition(this))
      },
      get head() {
        return chain.head
      },
      setHead: (height) => told(() => chain.setHead(height)),
      mine: (blocks = 1) => told(() => chain.setHead(chain.head + blocks)),
      reorg: (depth) => told(() => chain.reorg(depth)),
      cut: () => node.cut(),
      close
    }
  })

const readers = {
  port: Given.integer({ min: 0, max: 65_535, default: 0 }),
  path: (option: string, received: unknown) =>
    received === undefined || (typeof received === "string" && received.startsWith("/"))
      ? received
      : Given.reject(option, 'a path such as "/v3/key"', received),
  scenario: Given.any<Scenario>(),
  seed: Given.integer({ min: 0, default: 0 }),
  behind: (option: string, received: unknown) =>
    received === undefined || (typeof received === "string" && /^https?:/.test(received) && URL.canParse(received))
      ? received
      : Given.reject(option, "an http or https URL", received),
  chainId: Given.integer({ min: 0, default: 1 }),
  head: Given.integer({ min: 0, default: 1000 }),
  blockTime: Given.duration({ default: undefined }),
  fork: Given.integer({ min: 0, default: 0 }),
  methods: Given.any<Readonly<Record<string, Method>>>(),
  cors: Given.boolean({ default: false }),
  keepAlive: Given.duration({ default: "5 seconds" }),
  record: Given.boolean({ default: true })
}

// A fiber of the node's own has nobody to fail to: a port that cannot be opened again, or a bug, must not go unseen.
const surfacing = (fiber: Fiber.Fiber<unknown, unknown>): Fiber.Fiber<unknown, unknown> => {
  fiber.addObserver((exit) => {
    if (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause)) return
    queueMicrotask(() => {
      throw Cause.squash(exit.cause)
    })
  })
  return fiber
}
