/** Clients below a cache: one that answers by itself, and one that waits for the test; and batches of reads over them. */
import { Call, JsonRpc, Outcome } from "@hawser/core"
import { Context, Data, Effect, Exit, type Fiber, Layer, type Scope } from "effect"
import { ResponseCache } from "../../src/index.ts"

export type AnyExit = Exit.Exit<unknown, unknown>
export type Keys = ReadonlyArray<string>
export type Client = JsonRpc.Service<unknown>

class Broken extends Data.TaggedError("Broken")<{ readonly n: number }> {}

export const broken = Exit.fail(new Broken({ n: 1 }))

export const refusal = (data: unknown) =>
  new JsonRpc.Rejected({
    upstream: "a",
    code: 3,
    message: "execution reverted",
    data,
    kind: "revert",
    [Outcome.TypeId]: Outcome.verdict({ counts: "success", again: "nowhere" })
  })

export const rejected = Exit.fail(refusal("0x"))

/** A client that answers in a moment, keeps what it was asked, and knows how much of it runs. */
export class Node {
  /** A batch in brackets, a read by itself without. */
  readonly asked: Array<string> = []
  readonly calls: Array<Call.Call | undefined> = []
  running = 0
  millis = 10
  /** What a read ends with: by default its key, and how often that has been asked for. */
  answer: (key: string, nth: number) => AnyExit = (key, nth) => Exit.succeed(`${key}${nth}`)
  /** What all batches end with. */
  batches: AnyExit | undefined = undefined
  private readonly counts = new Map<string, number>()

  readonly request = (request: JsonRpc.Request): Effect.Effect<unknown, unknown> =>
    Effect.withFiber((fiber) => {
      this.calls.push(fiber.getRef(Call.Current))
      const keys = (request.batch ?? [request]).map(({ method }) => method)
      this.asked.push(request.batch === undefined ? keys[0]! : `[${keys.join(" ")}]`)
      const exits = keys.map((key) => {
        const nth = (this.counts.get(key) ?? 0) + 1
        this.counts.set(key, nth)
        return this.answer(key, nth)
      })
      const exit = request.batch === undefined ? exits[0]! : (this.batches ?? Exit.succeed(exits))
      return Outcome.guard(
        Effect.andThen(Effect.sleep(this.millis), exit),
        () => {
          this.running++
          return this
        },
        () => void this.running--
      )
    })
}

/** A request that waits for the test. */
export interface Open {
  readonly keys: Keys
  readonly together: boolean
  readonly call: Call.Call | undefined
  /** Ends it: with the exits of its reads, or as a whole. */
  readonly end: (exits: JsonRpc.Answers | AnyExit) => void
}

/** A client whose answers the test gives by hand. */
export class Hand {
  readonly open: Array<Open> = []
  heard: (request: Open, fiber: Fiber.Fiber<unknown, unknown>) => void = () => {}

  readonly request = (request: JsonRpc.Request): Effect.Effect<unknown, unknown> =>
    Effect.withFiber((fiber) =>
      Effect.callback((resume) => {
        const together = request.batch !== undefined
        const close = () => void this.open.splice(this.open.indexOf(open), 1)
        const open: Open = {
          keys: (request.batch ?? [request]).map(({ method }) => method),
          together,
          call: fiber.getRef(Call.Current),
          end(exits) {
            close()
            resume(Exit.isExit(exits) ? exits : together ? Exit.succeed(exits) : exits[0]!)
          }
        }
        this.heard(open, fiber)
        this.open.push(open)
        return Effect.sync(close)
      })
    )
}

/** A key's first letter says how it is kept. */
export const policies: Record<string, ResponseCache.Policy | undefined> = {
  // Kept, failures included.
  k: { ttl: 1_000, negative: { ttl: 1_000, when: () => true }, tags: ["tag"] },
  // Kept if it is there.
  p: { ttl: (value) => (value === null ? undefined : 1_000) },
  // Shared while it is loaded.
  s: { ttl: 0 },
  // Returned while a new one is on its way.
  w: { ttl: 100, staleWhileRevalidate: 1_000 },
  // Returned if there is no new one.
  e: { ttl: 100, staleIfError: 1_000 },
  // Not cached.
  u: undefined
}

export const routing: ResponseCache.Routing = {
  policy: ({ method }) => policies[method[0]!],
  key: ({ method }) => method
}

export const read = (key: string) => JsonRpc.makeRequest(key, [], "read")

export const over = <N extends { readonly request: Client["request"] }>(
  node: N,
  options: ResponseCache.Options = {},
  rules = routing
): Effect.Effect<
  { readonly node: N; readonly cache: ResponseCache.ResponseCache; readonly client: Client },
  never,
  Scope.Scope
> =>
  Effect.gen(function* () {
    const cache = yield* ResponseCache.make({ jitter: 0, ...options })
    const below = Layer.succeed(JsonRpc.client<unknown>())({
      name: "node",
      request: node.request,
      inspect: () => ({ name: "node" })
    })
    const context = yield* Layer.build(below.pipe(ResponseCache.layerOver(cache, rules)))
    return { node, cache, client: Context.get(context, JsonRpc.client<unknown>()) }
  })

export const setup = (options?: ResponseCache.Options, rules?: ResponseCache.Routing) =>
  over(new Node(), options, rules)

export const keysOf = (keys: string): Keys => keys.split(" ")

export const together = (client: Client, keys: string) =>
  client.request(JsonRpc.makeBatch(keysOf(keys).map(read))) as Effect.Effect<JsonRpc.Answers, unknown>

export const apart = (client: Client, keys: string): Effect.Effect<JsonRpc.Answers> =>
  Effect.forEach(keysOf(keys), (key) => Effect.exit(client.request(read(key))), { concurrency: "unbounded" })

const isApart = (exit: AnyExit): boolean =>
  exit._tag === "Failure" &&
  exit.cause.reasons.some((reason) => reason._tag === "Fail" && reason.error instanceof JsonRpc.Apart)

/** Asks by itself for each of a batch that is to be asked so. */
export const rest = (client: Client, keys: string, exits: JsonRpc.Answers): Effect.Effect<JsonRpc.Answers> =>
  Effect.forEach(
    keysOf(keys),
    (key, i) => (isApart(exits[i]!) ? Effect.exit(client.request(read(key))) : Effect.succeed(exits[i]!)),
    { concurrency: "unbounded" }
  )

/** All that whoever makes a batch does. */
export const whole = (client: Client, keys: string) =>
  Effect.flatMap(together(client, keys), (exits) => rest(client, keys, exits))

export const values = (...all: ReadonlyArray<unknown>): JsonRpc.Answers => all.map((value) => Exit.succeed(value))
