// Three nodes of one simulated chain, one of which is lost while somebody watches.
import { assert } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect, type Scope } from "effect"

/** What a watcher was told, for those who wait until it was told enough. */
export class Heard<A> {
  readonly all: Array<A> = []
  private readonly waiting = new Set<() => void>()

  readonly add = (...told: ReadonlyArray<A>): void => {
    this.all.push(...told)
    for (const look of this.waiting) look()
  }

  readonly until = (enough: (all: ReadonlyArray<A>) => boolean): Effect.Effect<void> =>
    Effect.callback((resume) => {
      const look = () => {
        if (enough(this.all)) resume(Effect.void)
      }
      this.waiting.add(look)
      look()
      return Effect.sync(() => this.waiting.delete(look))
    })
}

export interface Nodes {
  readonly all: ReadonlyArray<FaultyNode.FaultyNode>
  /** Adds blocks to the chain, as every node has it. */
  readonly mine: (blocks?: number) => number
  /** Gives a transaction to every node. It is in the next block. */
  readonly send: (raw: string) => Effect.Effect<void>
  /** Takes the node away that tells of heads, or else the one that answered last; brings back the one before. */
  readonly lose: Effect.Effect<void, FaultyNode.ListenError>
}

/** The number of the block with which a chain begins. */
export const start = 1000

export const chainOf3: Effect.Effect<Nodes, FaultyNode.ListenError, Scope.Scope> = Effect.gen(function* () {
  const all = yield* Effect.forEach([1, 2, 3], () =>
    // ethers looks for a replacement of a transaction when its nonce is used.
    FaultyNode.make({ head: start, methods: { eth_getTransactionCount: () => "0x0" } })
  )
  let lost: FaultyNode.FaultyNode | undefined
  return {
    all,
    mine: (blocks = 1) => {
      for (const node of all) node.mine(blocks)
      return all[0]!.head
    },
    send: (raw) =>
      Effect.forEach(
        all,
        ({ url }) => {
          const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_sendRawTransaction", params: [raw] })
          return Effect.promise(() => fetch(url, { method: "POST", body }).then((response) => response.text()))
        },
        { discard: true }
      ),
    lose: Effect.gen(function* () {
      const before = lost
      const busy = (node: FaultyNode.FaultyNode) => node.requests.at(-1)?.at ?? -1
      const there = all.filter((node) => node !== before)
      lost = there.find(({ subscriptions }) => subscriptions > 0) ?? there.toSorted((a, b) => busy(b) - busy(a))[0]!
      yield* lost.play(Scenario.refuse)
      if (before !== undefined) yield* before.play(Scenario.healthy)
    })
  }
})

/** Whatever becomes of the nodes, a watcher is told of each block once, in order. */
export const toldOfEach = (nodes: Nodes, heard: Heard<number>): Effect.Effect<void, FaultyNode.ListenError> =>
  Effect.gen(function* () {
    yield* begun(nodes, heard)
    for (let i = 0; i < 3; i++) {
      yield* nodes.lose
      const head = nodes.mine(3)
      yield* heard.until((all) => all.at(-1)! >= head)
    }
    const first = heard.all[0]!
    assert.deepStrictEqual(
      heard.all,
      Array.from({ length: nodes.all[0]!.head - first + 1 }, (_, i) => first + i)
    )
  })

/** Mines until a watcher has begun: it begins with the block after the first it saw. */
const begun = (nodes: Nodes, heard: Heard<number>): Effect.Effect<void> =>
  Effect.suspend(() => {
    const { all, mine } = nodes
    mine()
    const before = all.map((node) => node.count())
    const asked = Effect.raceAll(all.map((node, i) => node.until(() => node.count() >= before[i]! + 8)))
    return Effect.andThen(
      Effect.raceFirst(
        heard.until((told) => told.length > 0),
        asked
      ),
      Effect.suspend(() => (heard.all.length > 0 ? Effect.void : begun(nodes, heard)))
    )
  })
