/** A client over a random chain: who answers, who tells, and what is lost is in the test's hand. */
import { Call, type JsonRpc, Outcome } from "@hawser/core"
import { Effect } from "effect"
import type { Head } from "../../src/internal/subscription/head.ts"
import { Listener } from "../../src/internal/subscription/listener.ts"
import { Tree } from "./tree.ts"

export const noAnswer = new Call.NoAnswer({ causes: [], [Outcome.TypeId]: Outcome.verdict() })

const unsupported = new Call.NoAnswer({ causes: [], [Outcome.TypeId]: Outcome.verdict({ again: "nowhere" }) })

export type Failing = Call.NoAnswer | JsonRpc.Rejected

export class World {
  readonly tree: Tree
  readonly asked: Array<string> = []
  /** Whether anybody answers. */
  up = true
  /** Whether anybody takes subscriptions, and under which name. */
  tells: string | undefined = undefined
  /** How long an answer takes, in milliseconds. */
  latency: () => number = () => 0
  /** Whether an answer is withheld. */
  fails: (method: string) => boolean = () => false
  /** Logs of a block. */
  logsOf: (block: Head) => ReadonlyArray<object> = (block) => [
    { blockHash: block.hash, logIndex: "0x0", removed: false },
    { blockHash: block.hash, logIndex: "0x1", removed: false }
  ]
  /** The head that others than the one who tells know of. */
  readonly open = new Map<string, { readonly upstream: string; readonly listener: Listener; readonly params: string }>()
  subscribed = 0
  private ids = 0

  constructor(length = 20) {
    this.tree = new Tree(length)
  }

  readonly client: JsonRpc.Service<Failing> = {
    name: "world",
    inspect: () => ({ name: "world" }),
    request: ({ method, params }) =>
      Effect.withFiber((fiber) => {
        this.asked.push(method)
        const listener = fiber.getRef(Listener)
        const excluded = fiber.getRef(Call.Exclude)
        const answer = Effect.suspend((): Effect.Effect<unknown, Failing> => {
          if (!this.up || this.fails(method)) return Effect.fail(noAnswer)
          return this.answer(method, params, listener, excluded)
        })
        const latency = this.latency()
        return latency === 0 ? answer : Effect.andThen(Effect.sleep(latency), answer)
      })
  }

  private answer(
    method: string,
    params: ReadonlyArray<unknown>,
    listener: Listener | undefined,
    excluded: ReadonlyArray<string>
  ): Effect.Effect<unknown, Failing> {
    const { tree } = this
    switch (method) {
      case "eth_getBlockByNumber":
        return Effect.succeed((params[0] === "latest" ? tree.head : tree.chain[Number(params[0])])?.header ?? null)
      case "eth_getBlockByHash":
        return Effect.succeed(tree.blocks.get(params[0] as string)?.header ?? null)
      case "eth_getLogs": {
        const block = tree.blocks.get((params[0] as { readonly blockHash: string }).blockHash)
        return block === undefined ? Effect.fail(noAnswer) : Effect.succeed(this.logsOf(block))
      }
      case "eth_subscribe": {
        const upstream = this.tells
        if (upstream === undefined || listener === undefined) return Effect.fail(unsupported)
        if (excluded.includes(upstream)) return Effect.fail(noAnswer)
        const id = `0x${(++this.ids).toString(16)}`
        this.subscribed++
        this.open.set(id, { upstream, listener, params: JSON.stringify(params) })
        listener.onOpen({ upstream, id, cancel: () => void this.open.delete(id) })
        return Effect.succeed(id)
      }
      default:
        return Effect.succeed(`${method} answered`)
    }
  }

  /** Tells a head, or something else, to all who subscribed. */
  tell(result: unknown = this.tree.head.header, params = '["newHeads"]'): void {
    for (const { listener, params: wanted } of Array.from(this.open.values())) {
      if (wanted === params) listener.onNotification(result)
    }
  }

  /** Ends every subscription at once, as a socket does that closes. */
  lose(): void {
    const all = Array.from(this.open.values())
    this.open.clear()
    for (const { listener } of all) listener.onLost(new Error("closed"))
  }

  mine(): void {
    this.tree.mine()
    this.tell()
  }

  count(method: string): number {
    return this.asked.filter((one) => one === method).length
  }
}
