/** The weather at the nodes, by name, and what holds in it. Times are milliseconds. */
import type { RateLimit } from "hawser"
import type { Condition } from "./Node.ts"
import { draws } from "./World.ts"

export interface Scenario {
  readonly name: string
  readonly about: string
  /** How each node is at some time. `seed` makes the runs of a scenario differ. */
  readonly nodes: (seed: number) => ReadonlyArray<(now: number) => Condition>
  /** What the clients know of each node's limit. */
  readonly rateLimit?: RateLimit.LayerOptions
  /** The share of reads that must be answered, of those whose callers stay. Default 1. */
  readonly answered?: number
  /** Requests per call at most, over the whole run, look-ups of our own included. Default 1.2. */
  readonly amplification?: number
  /** Calls that begin from then on are all answered, unless they share a load that began before. */
  readonly recovered?: number
}

/** How long calls begin. */
export const length = 60_000

const well: Condition = {}
const always = (condition: Condition) => () => condition
const during =
  (from: number, until: number, condition: Condition) =>
  (now: number): Condition =>
    now >= from && now < until ? condition : well
const three = (odd: Condition) => () => [always(well), always(odd), always(well)]

const restarts = { every: 15_000, last: 5000 }

export const scenarios: ReadonlyArray<Scenario> = [
  { name: "all well", about: "three nodes", nodes: three(well), amplification: 1.1 },
  { name: "one dead", about: "refuses connections", nodes: three({ down: true }) },
  { name: "one hanging", about: "accepts and never answers", nodes: three({ hangs: 1 }) },
  { name: "one slow", about: "takes 1.5 s", nodes: three({ latency: 1500 }) },
  { name: "one fast-failing", about: "status 500 within a millisecond", nodes: three({ fails: 1, fast: true }) },
  { name: "one wrong chain", about: "answers, but of another chain", nodes: three({ chainId: 5 }) },
  { name: "one lagging", about: "ten blocks behind", nodes: three({ lag: 10 }) },
  {
    name: "a fifth fails",
    about: "of all requests, on all nodes",
    nodes: () => [0, 1, 2].map(() => always({ fails: 0.2 })),
    // All six attempts of 6 in 100,000 calls fail, and those that share an answer share its failure.
    answered: 0.997,
    amplification: 1.45
  },
  {
    name: "all rate-limited",
    about: "8 requests a second each, as we were told",
    nodes: () => [0, 1, 2].map(() => always({ perSecond: 8 })),
    rateLimit: { limit: 8, window: "1 second", burst: 1 },
    answered: 0.99
  },
  {
    name: "limits unknown",
    about: "the same, and nobody has told us",
    nodes: () => [0, 1, 2].map(() => always({ perSecond: 8 })),
    answered: 0.5,
    amplification: 2.5
  },
  {
    name: "rolling restarts",
    about: "one after the other is down for 5 s",
    nodes: () =>
      [0, 1, 2].map((i) => (now: number) => {
        const turn = Math.floor(now / restarts.every)
        return turn % 3 === i && now % restarts.every < restarts.last ? { down: true } : well
      })
  },
  {
    name: "brown-out",
    about: "for 30 s all are slow, and a third of all requests fails",
    nodes: () => [0, 1, 2].map(() => during(15_000, 45_000, { latency: 800, fails: 0.33 })),
    // Those who share a load fail together.
    answered: 0.96,
    amplification: 1.8,
    recovered: 45_000
  },
  {
    name: "total outage",
    about: "all down for 20 s, then back",
    nodes: () => [0, 1, 2].map(() => during(20_000, 40_000, { down: true })),
    answered: 0.6,
    amplification: 2,
    recovered: 40_000
  },
  {
    name: "by the dice",
    about: "four nodes, each with faults of its own at times of its own, but the first",
    nodes: (seed) => {
      const random = draws(seed)
      const faults: ReadonlyArray<Condition> = [
        { down: true },
        { hangs: 0.5 },
        { latency: 2000 },
        { fails: 0.5 },
        { fails: 1, fast: true },
        { perSecond: 5 },
        { lag: 5 }
      ]
      const sometimes = (): ((now: number) => Condition) => {
        const fault = faults[Math.floor(random() * faults.length)]!
        const from = random() * length
        return during(from, from + random() * length, fault)
      }
      return [always(well), sometimes(), sometimes(), sometimes()]
    },
    amplification: 1.5
  }
]
