/** What happens to the three nodes. The fault meets the first of the user's list, where it meets one. */
import { Scenario } from "@hawser/testkit"

export interface Weather {
  readonly name: string
  /** As a chart's column has room for. */
  readonly short: readonly [string, string]
  readonly about: string
  /** What each node does, for so many milliseconds. */
  readonly nodes: (millis: number) => ReadonlyArray<Scenario.Scenario>
}

/** How long an answer takes where nothing else is said. */
export const calm = Scenario.latency({ p50: "10 millis", p99: "40 millis" })

const first = (fault: Scenario.Scenario) => [fault, calm, calm]

const all = (fault: () => Scenario.Scenario) => [0, 1, 2].map(() => fault())

/** From one part of the time to another, the port is closed. */
const down = (millis: number, from: number, until: number): Scenario.Scenario =>
  Scenario.timeline([
    { for: millis * from, fault: calm },
    { for: millis * (until - from), fault: Scenario.refuse },
    { fault: calm }
  ])

const failing = () =>
  Scenario.firstOf(
    Scenario.sometimes(0.1, Scenario.status(503)),
    Scenario.sometimes(1 / 9, Scenario.error(-32603, "internal error"))
  )

// What is over a plan's limit: so many requests in each second.
const over = (limit: number) => {
  let second = -1
  let count = 0
  return () => {
    const now = Math.floor(performance.now() / 1000)
    if (now !== second) count = 0
    second = now
    return ++count > limit
  }
}

export const weathers: ReadonlyArray<Weather> = [
  { name: "healthy", short: ["healthy", ""], about: "nothing is wrong", nodes: () => first(calm) },
  {
    name: "dead",
    short: ["one", "dead"],
    about: "the first node's port is closed",
    nodes: () => first(Scenario.refuse)
  },
  {
    name: "hanging",
    short: ["one", "hangs"],
    about: "the first node takes requests and never answers",
    nodes: () => first(Scenario.hang)
  },
  {
    name: "slow",
    short: ["one slow", "at p99"],
    about: "the first node's median is 10 ms as ever, its 99th percentile 2 s",
    nodes: () => first(Scenario.latency({ p50: "10 millis", p99: "2 seconds" }))
  },
  {
    name: "limited",
    short: ["one rate-", "limited"],
    about: "the first node answers 12 requests a second, and 429 with Retry-After: 1 to the rest",
    nodes: () =>
      first(Scenario.firstOf(Scenario.when(over(12), Scenario.status(429, { retryAfter: "1 second" })), calm))
  },
  {
    name: "lagging",
    short: ["one", "lags"],
    about: "the first node falls six blocks behind",
    nodes: () => first(Scenario.together(calm, Scenario.behind(6)))
  },
  {
    name: "restarts",
    short: ["rolling", "restarts"],
    about: "one node after another is down for a sixth of the time",
    nodes: (millis) => [0, 1, 2].map((n) => down(millis, (1 + 4 * n) / 15, (3.5 + 4 * n) / 15))
  },
  {
    name: "outage",
    short: ["all down", "for 5 s"],
    about: "all nodes are down for a third of the time, five seconds",
    nodes: (millis) => all(() => down(millis, 2 / 15, 7 / 15))
  },
  {
    name: "failing",
    short: ["20 % fail", "all over"],
    about: "a fifth of all answers is HTTP 503 or an internal error, drawn at random, on every node",
    nodes: () => all(() => Scenario.together(calm, failing()))
  }
]

/** The same fifth, from nodes that answer at once. */
export const promise: Weather = {
  name: "promise",
  short: ["the", "promise"],
  about: "a fifth of all answers fails, on every node, at once",
  nodes: () => all(failing)
}

export const find = (name: string): Weather => {
  const found = [...weathers, promise].find((weather) => weather.name === name)
  if (found === undefined) throw new Error(`no scenario ${name}: ${weathers.map(({ name }) => name).join(", ")}`)
  return found
}
