/** What happens to the nodes, and when: the script, and the account of who was up. */
import { type FaultyNode, Scenario } from "@hawser/testkit"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { Call } from "hawser"
import type { Name, Node } from "./Nodes.ts"

export interface Fault {
  /** What the table says of the node meanwhile. */
  readonly label: string
  readonly scenario: Scenario.Scenario
}

export interface Phase {
  readonly title: string
  readonly seconds: number
  /** The nodes that are at fault. The others are up. */
  readonly faults: Partial<Readonly<Record<Name, Fault>>>
}

const fault = (label: string, scenario: Scenario.Scenario): Fault => ({ label, scenario })

const down = fault("down", Scenario.refuse)
const otherChain = fault("chain 5", Scenario.wrongChain(5))

/** About fifty seconds of bad weather, spread over the nodes. */
export const script: ReadonlyArray<Phase> = [
  { title: "calm", seconds: 4, faults: {} },
  { title: "alpha hangs", seconds: 5, faults: { alpha: fault("hangs", Scenario.hang) } },
  { title: "bravo answers 500", seconds: 4, faults: { bravo: fault("HTTP 500", Scenario.status(500)) } },
  {
    title: "charlie answers 429 and asks for three seconds",
    seconds: 4,
    faults: { charlie: fault("429, 3 s", Scenario.status(429, { retryAfter: "3 seconds" })) }
  },
  { title: "alpha is ten blocks behind", seconds: 4, faults: { alpha: fault("10 behind", Scenario.behind(10)) } },
  { title: "bravo sends half of each answer", seconds: 4, faults: { bravo: fault("truncates", Scenario.truncated) } },
  { title: "rolling restart: alpha", seconds: 2, faults: { alpha: down } },
  { title: "rolling restart: bravo", seconds: 2, faults: { bravo: down } },
  { title: "rolling restart: charlie", seconds: 2, faults: { charlie: down } },
  {
    title: "two at once: alpha is down, bravo behind a broken proxy",
    seconds: 4,
    faults: { alpha: down, bravo: fault("HTTP 502", Scenario.status(502)) }
  },
  { title: "all three are down", seconds: 4, faults: { alpha: down, bravo: down, charlie: down } },
  {
    title: "charlie is back alone, but on another chain",
    seconds: 3,
    faults: { alpha: down, bravo: down, charlie: otherChain }
  },
  { title: "alpha and bravo are back, too", seconds: 4, faults: { charlie: otherChain } },
  { title: "calm again", seconds: 3, faults: {} }
]

/** When there was no node up, in milliseconds on the monotonic clock. `to` is `Infinity` while it lasts. */
export interface Blackout {
  readonly from: number
  readonly to: number
}

/** Who is up, and when nobody was. */
export class Account {
  private readonly up: Set<Name>
  private readonly past: Array<Blackout> = []
  private since: number | undefined = undefined

  constructor(names: ReadonlyArray<Name>) {
    this.up = new Set(names)
  }

  /** To be told before a node is made to fail. */
  fails(name: Name, now: number): void {
    this.up.delete(name)
    if (this.up.size === 0) this.since ??= now
  }

  /** To be told once a node is as it should be. */
  recovers(name: Name, now: number): void {
    this.up.add(name)
    if (this.since === undefined) return
    this.past.push({ from: this.since, to: now })
    this.since = undefined
  }

  get blackouts(): ReadonlyArray<Blackout> {
    return this.since === undefined ? this.past : [...this.past, { from: this.since, to: Infinity }]
  }
}

/** Nodes are some milliseconds away, each its own way. */
const distance: Readonly<Record<Name, Scenario.Scenario>> = {
  alpha: Scenario.latency({ p50: "8 millis", p99: "40 millis" }),
  bravo: Scenario.latency({ p50: "12 millis", p99: "60 millis" }),
  charlie: Scenario.latency({ p50: "20 millis", p99: "80 millis" })
}

/** Brings all nodes up, each at its own distance. */
export const calm = (nodes: ReadonlyArray<Node>): Effect.Effect<void, FaultyNode.ListenError> =>
  Effect.forEach(nodes, ({ name, play }) => play(distance[name]), { discard: true })

/**
 * Plays the phases one after another. Between two, nodes that recover do so before others fail, so that where one takes
 * over from another there is always one up.
 */
export const play = (
  phases: ReadonlyArray<Phase>,
  nodes: ReadonlyArray<Node>,
  account: Account,
  onPhase: (phase: Phase) => Effect.Effect<void>
): Effect.Effect<void, FaultyNode.ListenError> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const now = () => Call.now(clock)
    let faults: Phase["faults"] = {}
    for (const phase of phases) {
      yield* onPhase(phase)
      for (const { name, play } of nodes) {
        if (phase.faults[name] !== undefined || faults[name] === undefined) continue
        yield* play(distance[name])
        account.recovers(name, now())
      }
      for (const { name, play } of nodes) {
        const fault = phase.faults[name]
        if (fault === undefined || fault === faults[name]) continue
        account.fails(name, now())
        yield* play(Scenario.together(distance[name], fault.scenario))
      }
      faults = phase.faults
      yield* Effect.sleep(phase.seconds * 1000)
    }
  })
