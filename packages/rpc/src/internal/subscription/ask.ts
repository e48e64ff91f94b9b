// Asks for all who listen: each request is a call of its own, and ends with that of whoever waits for it, if anybody does.
import { Call, JsonRpc } from "@hawser/core"
import type * as Clock from "effect/Clock"
import * as Data from "effect/Data"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import { type Head, type Header, readHead } from "./head.ts"
import { type Log, readLogs } from "./ledger.ts"
import { Listener } from "./listener.ts"
import { quantity } from "../quantity.ts"

/** How long one request may take. */
const limit = 10_000

/** The answer is none: not there (yet), of another block, or not what was asked. */
export class NotThere extends Data.TaggedError("NotThere")<{ readonly message: string }> {}

export interface How {
  /** Upstreams that are not to be asked. */
  readonly exclude?: ReadonlyArray<string>
  /** Whoever else may know it: not the one who is stuck to. */
  readonly elsewhere?: boolean
  readonly listener?: Listener
}

export class Asker<E> {
  readonly below: JsonRpc.Service<E>
  private readonly clock: Clock.Clock
  private readonly name: string
  private readonly keep: ((block: Header) => Header) | undefined
  private generation = 0

  /** `keep`: what of a block is kept. Default: its header. */
  constructor(below: JsonRpc.Service<E>, clock: Clock.Clock, name: string, keep?: (block: Header) => Header) {
    this.below = below
    this.clock = clock
    this.name = name
    this.keep = keep
  }

  now(): number {
    return Call.now(this.clock)
  }

  /** From now on whoever answers next is stuck to. */
  move(): void {
    this.generation++
  }

  /** Asks whoever answered last, while he answers: what one upstream told, that one knows. */
  request(method: string, params: ReadonlyArray<unknown>, how: How = {}): Effect.Effect<unknown, E | NotThere> {
    return Effect.withFiber((fiber) => {
      const call = new Call.Call()
      call.deadline = Math.min(this.now() + limit, fiber.getRef(Call.Current)?.deadline ?? Infinity)
      return this.below.request(JsonRpc.makeRequest(method, params)).pipe(
        // A bug below must not stop those who follow the chain.
        Effect.catchDefect((defect) =>
          Effect.fail(new NotThere({ message: `${method} died of a defect: ${Call.summary(defect)}` }))
        ),
        Effect.timeoutOrElse({
          duration: Duration.millis(limit),
          orElse: () => Effect.fail(new NotThere({ message: `${method} took too long` }))
        }),
        Effect.provideService(Call.Current, call),
        Effect.provideService(Call.Sticky, how.elsewhere === true ? undefined : `${this.name}/${this.generation}`),
        Effect.provideService(Call.Exclude, how.exclude ?? []),
        Effect.provideService(Listener, how.listener)
      )
    })
  }

  latest(how?: How): Effect.Effect<Head, E | NotThere> {
    return this.head(this.request("eth_getBlockByNumber", ["latest", false], how), "latest")
  }

  byNumber(number: number): Effect.Effect<Head, E | NotThere> {
    return this.head(this.request("eth_getBlockByNumber", [quantity(number), false]), String(number))
  }

  byHash(hash: string): Effect.Effect<Head, E | NotThere> {
    return Effect.flatMap(this.head(this.request("eth_getBlockByHash", [hash, false]), hash), (head) =>
      head.hash === hash ? Effect.succeed(head) : Effect.fail(new NotThere({ message: `another block than ${hash}` }))
    )
  }

  logs(filter: object, block: Head): Effect.Effect<ReadonlyArray<Log>, E | NotThere> {
    return Effect.flatMap(this.request("eth_getLogs", [{ ...filter, blockHash: block.header.hash }]), (answer) => {
      const logs = readLogs(answer, block)
      return logs === undefined
        ? Effect.fail(new NotThere({ message: `no logs of ${block.hash}` }))
        : Effect.succeed(logs)
    })
  }

  private head(answer: Effect.Effect<unknown, E | NotThere>, what: string): Effect.Effect<Head, E | NotThere> {
    return Effect.flatMap(answer, (block) => {
      const head = readHead(block, this.keep)
      return head === undefined ? Effect.fail(new NotThere({ message: `no block ${what}` })) : Effect.succeed(head)
    })
  }
}
