/** Three faulty nodes of one chain, in a process of their own. */
import { FaultyNode, Scenario } from "@hawser/testkit"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Scope from "effect/Scope"
import { serve } from "./Child.ts"
import { chainId } from "./Contender.ts"
import { type Block, epoch } from "./Judge.ts"
import { firstHead } from "./Plan.ts"
import { calm, find } from "./Weather.ts"

let scope = Scope.makeUnsafe()
let nodes: ReadonlyArray<FaultyNode.FaultyNode> = []
let mining: NodeJS.Timeout | undefined
let blocks: Array<Block> = []

const mine = () => {
  for (const node of nodes) node.mine()
  blocks.push({ number: nodes[0]!.head, at: epoch() })
}

const play = (scenarios: ReadonlyArray<Scenario.Scenario>): Promise<void> =>
  Effect.runPromise(
    Effect.forEach(nodes, (node, i) => node.play(scenarios[i]!), { concurrency: "unbounded", discard: true })
  )

const asks = {
  /** Opens nodes in place of those before. Their blocks come at the same moment, once a second. */
  open: async (seed: number): Promise<ReadonlyArray<string>> => {
    clearInterval(mining)
    await Effect.runPromise(Scope.close(scope, Exit.void))
    scope = Scope.makeUnsafe()
    const options = { chainId, head: firstHead, record: false, scenario: calm }
    const opened = Effect.forEach([1, 2, 3], (n) => FaultyNode.make({ ...options, seed: seed * 31 + n }))
    nodes = await Effect.runPromise(Effect.provideService(opened, Scope.Scope, scope))
    blocks = [{ number: firstHead, at: epoch() }]
    mining = setInterval(mine, 1000)
    return nodes.map(({ url }) => url)
  },
  /** Begins a scenario and counts from zero. */
  play: async (name: string, millis: number): Promise<void> => {
    nodes.forEach((node) => node.clear())
    await play(find(name).nodes(millis))
  },
  /** Requests that have arrived, by node. Those of a batch count each. */
  count: (): ReadonlyArray<number> => nodes.map((node) => node.count()),
  /** Makes the nodes tell the truth at once, and stops the chain. Gives its blocks. */
  truth: async (): Promise<ReadonlyArray<Block>> => {
    clearInterval(mining)
    await play([Scenario.healthy, Scenario.healthy, Scenario.healthy])
    return blocks
  }
}

export type Asks = typeof asks

serve(asks)
