/** Upstreams of one chain, each with a lag and an honesty of its own, behind a pool with a head. */
import { assert } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Random } from "effect"
import { TestClock } from "effect/testing"
import { Chain, Head, JsonRpc, Outcome, Retry, RpcError, UpstreamPool } from "hawser"

export const hex = (number: number) => `0x${number.toString(16)}`

export const hashOf = (chain: number, number: number) =>
  `0x${chain.toString(16).padStart(32, "0")}${number.toString(16).padStart(32, "0")}`

/** Where the chain is, by number; blocks from `forks[i].from` on are of chain i. */
export class Ledger {
  head = 1_000
  private readonly forks = [{ from: 0, chain: 0 }]

  hash(number: number): string {
    return hashOf(this.forks.findLast(({ from }) => from <= number)!.chain, number)
  }

  reorg(from: number): void {
    this.forks.push({ from, chain: this.forks.length })
  }
}

export class Node {
  readonly name: string
  readonly asked: Array<JsonRpc.Request> = []
  private behind = 0
  private high = 0
  /** What it says its height is, in place of the truth. */
  claims: number | undefined
  down = false
  /** Milliseconds an answer takes. */
  latency = 0
  /** Answers in place of the chain. */
  answer: ((request: JsonRpc.Request) => Effect.Effect<unknown, RpcError.ResponseError>) | undefined
  private readonly ledger: Ledger

  constructor(name: string, ledger: Ledger) {
    this.name = name
    this.ledger = ledger
  }

  /** It comes no further than this many blocks behind the chain. What it has it keeps. */
  set lag(blocks: number) {
    this.high = this.height
    this.behind = blocks
  }

  get height(): number {
    if (this.claims !== undefined) return this.claims
    this.high = Math.max(this.high, this.ledger.head - this.behind)
    return this.high
  }

  /** As a node that was behind from the start. */
  startBehind(blocks: number): void {
    this.high = 0
    this.behind = blocks
  }

  count(method: string): number {
    return this.asked.filter((request) => request.method === method).length
  }

  block(number: number): unknown {
    if (number > this.height) return null
    return {
      number: hex(number),
      hash: this.ledger.hash(number),
      parentHash: this.ledger.hash(number - 1),
      timestamp: hex(1_600_000_000 + number)
    }
  }

  request(request: JsonRpc.Request): Effect.Effect<unknown, RpcError.TransportError | RpcError.ResponseError> {
    const say = Effect.suspend((): Effect.Effect<unknown, RpcError.TransportError | RpcError.ResponseError> => {
      this.asked.push(request)
      if (this.down) return Effect.fail(this.lost())
      if (this.answer !== undefined) return this.answer(request)
      return Effect.sync(() => this.say(request))
    })
    return this.latency === 0 ? say : Effect.delay(say, this.latency)
  }

  private say({ method, params }: JsonRpc.Request): unknown {
    const named = (tag: unknown) =>
      tag === "latest" || tag === undefined ? this.height : tag === "finalized" ? this.height - 64 : Number(tag)
    switch (method) {
      case "eth_chainId":
        return "0x1"
      case "eth_blockNumber":
        return hex(this.height)
      case "eth_getBlockByNumber":
        return this.block(named(params[0]))
      case "eth_getBlockByHash":
        return this.block(Number(`0x${String(params[0]).slice(34)}`))
      // A receipt is in the block that its hash ends in.
      case "eth_getTransactionReceipt": {
        const number = Number(`0x${String(params[0]).slice(34)}`)
        return number > this.height ? null : { blockNumber: hex(number), blockHash: this.ledger.hash(number) }
      }
      // Whoever calls learns which block the answer is of.
      case "eth_call":
        return hex(
          typeof params[1] === "object"
            ? Number(`0x${String((params[1] as any).blockHash).slice(34)}`)
            : named(params[1])
        )
      case "eth_getLogs":
        return []
      default:
        return "0x0"
    }
  }

  private lost(): RpcError.TransportError {
    return new RpcError.TransportError({ upstream: this.name, reason: "closed", message: "lost", reached: true })
  }
}

export const responseError = (upstream: string, kind: RpcError.TroubleKind, hints: RpcError.Hints = {}) =>
  new RpcError.ResponseError({
    upstream,
    kind,
    code: -32000,
    message: kind,
    data: undefined,
    status: 200,
    retryAfter: undefined,
    hints,
    [Outcome.TypeId]: RpcError.verdictOf(kind)
  })

let built = 0

/** Nodes behind a pool with a retry and a head. */
export const pool = (size: number, options?: Head.Options, seed = built++) =>
  Effect.gen(function* () {
    const ledger = new Ledger()
    const nodes = Array.from("abcdef".slice(0, size), (name) => new Node(name, ledger))
    const head = Head.make({ blockTime: "1 second", ...options })
    const chain = Chain.make(1)
    const upstreams = nodes.map((node) =>
      Layer.succeed(JsonRpc.upstream<RpcError.TransportError | RpcError.ResponseError>())({
        name: node.name,
        request: (request) => node.request(request),
        inspect: () => ({ name: node.name })
      }).pipe(Chain.layer(chain), Head.upstream(head))
    )
    const context = yield* Layer.build(UpstreamPool.layer(upstreams).pipe(Retry.layer(), Head.client(head)))
    const client = Context.get(context, JsonRpc.client())
    const ask = (method: string, ...params: ReadonlyArray<unknown>) =>
      client.request(JsonRpc.makeRequest(method, params))
    return { ledger, nodes, head, client, ask, blockNumber: Effect.map(ask("eth_blockNumber"), Number) }
  }).pipe(Random.withSeed(seed))

/** Lets time pass until an effect has ended. */
export const run = <A, E>(self: Effect.Effect<A, E>, step = 50) =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(Effect.exit(self), { startImmediately: true })
    let steps = 0
    while (fiber.pollUnsafe() === undefined) {
      yield* TestClock.adjust(step)
      if (++steps > 10_000) assert.fail("does not end")
    }
    return yield* Fiber.join(fiber)
  })

/** Without letting time pass. */
export const now = <A, E>(self: Effect.Effect<A, E>) => run(self, 0)
