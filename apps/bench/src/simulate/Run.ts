/** One run: a scenario, a seed, some hundred clients, a minute of their time, and whether all held that must. */
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Layers from "effect/Layer"
import * as Scope from "effect/Scope"
import { JsonRpc, Stack } from "hawser"
import { Checks } from "./Checks.ts"
import { type Asked, clients, start } from "./Clients.ts"
import { Node } from "./Node.ts"
import type { Scenario } from "./Scenarios.ts"
import { World } from "./World.ts"

export interface Outcome {
  readonly seed: number
  readonly scenario: string
  /** Tells one history from another. */
  readonly trace: string
  readonly requests: number
  readonly calls: number
  /** Reads whose callers stayed, and those of them that were answered. A revert is an answer. */
  readonly reads: number
  readonly answered: number
  /** The same of writes, which are not tried again where they may have run. */
  readonly writes: number
  readonly written: number
  /** Milliseconds that the answered calls took. */
  readonly took: ReadonlyArray<number>
  readonly violations: ReadonlyArray<string>
}

/** Makes an upstream of a node's layer. A test puts something wrong there. */
export type Spoil = (layer: Layer.Layer<JsonRpc.Upstream<unknown>>) => Layer.Layer<JsonRpc.Upstream<unknown>>

export const run = (scenario: Scenario, seed: number, spoil: Spoil = (layer) => layer): Outcome => {
  const world = new World(seed)
  let nodes: ReadonlyArray<Node> = []
  const checks = new Checks(world, () => nodes)
  nodes = scenario.nodes(seed).map((weather, i) => new Node("abcdef"[i]!, world, weather, checks))
  const live = Stack.layer({
    chainId: 1,
    upstreams: nodes.map(({ layer, name }) => ({
      name,
      layer: spoil(layer),
      concurrency: { limit: clients },
      rateLimit: scenario.rateLimit
    }))
  })
  const scope = Effect.runSync(Scope.make())
  const built = Effect.runSyncExit(Effect.provideContext(Layers.buildWithScope(live, scope), world.context()))
  if (built._tag === "Failure") throw new Error(`the stack was not built: ${Cause.pretty(built.cause)}`)
  const rpc = Context.get(built.value, JsonRpc.client<Stack.Error>())
  const calls: Array<Asked> = []
  start(world, rpc, {
    begins: (call) => {
      calls.push(call)
      checks.begins(call)
    },
    ends: checks.ends
  })
  world.run(Infinity)
  checks.atRest(Stack.status(rpc.inspect()))
  const stayed = calls.filter(({ left }) => left === undefined)
  const reads = stayed.filter(({ request }) => request.nature === "read")
  const answered = reads.filter(isAnswered)
  judge(scenario, checks, stayed, calls.length)
  return {
    seed,
    scenario: scenario.name,
    trace: world.trace,
    requests: checks.requests,
    calls: calls.length,
    reads: reads.length,
    answered: answered.length,
    writes: stayed.length - reads.length,
    written: stayed.filter(isAnswered).length - answered.length,
    took: answered.map(({ began, ended }) => ended - began),
    violations: checks.violations
  }
}

const isAnswered = ({ exit }: Asked): boolean => {
  if (exit === undefined || exit._tag === "Success") return exit !== undefined
  return exit.cause.reasons.some((reason) => Cause.isFailReason(reason) && reason.error instanceof JsonRpc.Rejected)
}

/** Milliseconds: the default deadline. */
const longestLoad = 10_000

const isShared = ({ request }: Asked): boolean => request.method === "eth_blockNumber"

/** What holds in this scenario. */
const judge = (
  { amplification = 1.2, answered: least = 1, recovered = Infinity }: Scenario,
  checks: Checks,
  stayed: ReadonlyArray<Asked>,
  calls: number
): void => {
  const never = stayed.filter(({ exit }) => exit === undefined)
  if (never.length > 0) checks.violated(`${never.length} calls never end`)
  const reads = stayed.filter(({ request }) => request.nature === "read")
  const failed = reads.filter((call) => !isAnswered(call))
  if (failed.length > (1 - least) * reads.length) checks.violated(`${failed.length} of ${reads.length} reads failed`)
  const ratio = checks.requests / calls
  if (ratio > amplification) checks.violated(`${ratio.toFixed(2)} requests a call`)
  // Whoever asks for the head may share a load that began before, and its failure.
  const late = stayed.filter(
    (call) => call.began >= recovered + (isShared(call) ? longestLoad : 0) && !isAnswered(call)
  )
  if (late.length > 0) checks.violated(`${late.length} calls failed after all was well again`)
}
