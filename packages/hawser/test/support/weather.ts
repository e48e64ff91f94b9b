/**
 * Nodes behind the default stack, and what a call costs there. Sockets are real and time is virtual: it passes only while no
 * socket is at work, so that a cost is the same on every machine.
 */
import { FaultyNode } from "@hawser/testkit"
import { Clock, Context, Effect, type Exit, Layer, Random } from "effect"
import { TestClock } from "effect/testing"
import { Call, Http, JsonRpc, Stack } from "hawser"

export interface Cost<A, E> {
  readonly exit: Exit.Exit<A, E>
  /** Requests that the nodes had, ours included: of each, and of all. */
  readonly sent: ReadonlyArray<number>
  readonly requests: number
  /** Milliseconds until the end. */
  readonly time: number
}

export interface Setting {
  readonly options?: Omit<Stack.Options, "upstreams">
  /** How many of the nodes, the first ones, have answered before: their chain and their head are known. Default: all. */
  readonly known?: number
}

/**
 * The default stack over nodes. Chance is as bad as it can be: of nodes that are equally good the last is asked, where the
 * fault is, and every jitter is at its longest.
 */
export const facing = (given: ReadonlyArray<FaultyNode.Options>, { known = given.length, options }: Setting = {}) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    // Sockets go idle in real time, and none may meanwhile be closed for it.
    const nodes = yield* Effect.forEach(given, (node) => FaultyNode.make({ ...node, keepAlive: "10 minutes" }))
    const atWork = nodes.map(() => 0)
    const upstreams = nodes.map(({ url }, i) => ({
      name: String.fromCharCode(97 + i),
      layer: watched(Http.layer({ url }), (change) => (atWork[i]! += change))
    }))
    let chance = 0
    /** Has this one asked first. */
    const draw = (i: number): void => {
      chance = (i + 1) / nodes.length - 2 ** -53
    }
    const random = { nextDoubleUnsafe: () => chance, nextIntUnsafe: () => 0 }
    const context = yield* Effect.provideService(
      Layer.build(Stack.layer({ chainId: 1, ...options, upstreams })),
      Random.Random,
      random
    )
    const rpc = Context.get(context, JsonRpc.client<Stack.Error>())
    const ask = (method: string, ...params: ReadonlyArray<unknown>) => rpc.request(JsonRpc.makeRequest(method, params))

    // Nothing is under way but what a node will never answer.
    const isQuiet = () => nodes.every(({ requests }, i) => requests.filter(hangs).length === atWork[i])
    const quiet = Effect.promise(async () => {
      // What an answer sets off may take a few turns.
      for (let turns = 0; turns < 5; turns = isQuiet() ? turns + 1 : 0) {
        await new Promise((resolve) => setImmediate(resolve))
      }
    })

    /** Runs an effect to its end. */
    const cost = <A, E>(self: Effect.Effect<A, E>): Effect.Effect<Cost<A, E>> =>
      Effect.gen(function* () {
        const before = nodes.map((node) => node.count())
        const started = Call.now(clock)
        const fiber = yield* Effect.forkChild(self, { startImmediately: true })
        yield* quiet
        let exit = fiber.pollUnsafe()
        while (exit === undefined) {
          yield* TestClock.adjust(1)
          yield* quiet
          exit = fiber.pollUnsafe()
        }
        const sent = nodes.map((node, i) => node.count() - before[i]!)
        return { exit, sent, requests: sent.reduce((a, b) => a + b, 0), time: Call.now(clock) - started }
      })

    for (let i = 0; i < known; i++) {
      draw(i)
      const { sent } = yield* cost(ask("eth_blockNumber"))
      if (sent[i] === 0) return yield* Effect.die(new Error(`node ${i} was not asked`))
    }
    draw(nodes.length - 1)
    return { nodes, ask, cost, draw, status: () => Stack.status(rpc.inspect()) }
  })

const hangs = ({ ended, fault }: FaultyNode.Request): boolean => fault === "Hang" && ended === "pending"

/** Tells of each request that begins (1) and ends (-1). */
const watched = <E>(layer: Layer.Layer<JsonRpc.Upstream<E>>, tell: (change: number) => void) =>
  JsonRpc.transform(layer, "watched", (below: JsonRpc.Service<E>) =>
    Effect.succeed({
      request: (request) =>
        Effect.suspend(() => {
          tell(1)
          return Effect.ensuring(
            below.request(request),
            Effect.sync(() => tell(-1))
          )
        })
    })
  )
