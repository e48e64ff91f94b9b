/**
 * What goes wrong with a node, to which requests, how often and when: plain data, read by `FaultyNode`.
 *
 * A fault alone is a scenario: it meets every request. Rules narrow it (`when`, `sometimes`, `first`, `after`,
 * `timeline`), `firstOf` and `together` combine rules.
 *
 * ```ts
 * Scenario.together(
 *   Scenario.latency({ p50: "40 millis", p99: "400 millis" }),
 *   Scenario.firstOf(
 *     Scenario.when({ method: "eth_getLogs" }, Scenario.first(3, Scenario.status(429, { retryAfter: "1 second" }))),
 *     Scenario.sometimes(0.05, Scenario.drop)
 *   )
 * )
 * ```
 *
 * Every call is asked about on its own, batched or not. What happens to connections happens once, though: within a
 * batch, latency, and chances and counts that stand over a fault of the whole HTTP request, are drawn once.
 */
import { Options } from "@hawser/core"
import * as Duration from "effect/Duration"
import type { IncomingHttpHeaders } from "node:http"
import { drop, dropMidway, type Fault, hang, malformed, refuse, status, truncated, wrongChain } from "./Fault.ts"

export * from "./Fault.ts"

/** What happens to requests. A scenario that does not apply to a request leaves it alone. */
export type Scenario =
  | Fault
  | { readonly _tag: "Healthy" }
  | { readonly _tag: "Latency"; readonly distribution: Distribution }
  | { readonly _tag: "When"; readonly match: Match; readonly scenario: Scenario }
  | { readonly _tag: "Sometimes"; readonly rate: number; readonly per: Per; readonly scenario: Scenario }
  | { readonly _tag: "First"; readonly count: number; readonly per: Per; readonly scenario: Scenario }
  | { readonly _tag: "After"; readonly count: number; readonly per: Per; readonly scenario: Scenario }
  | { readonly _tag: "Timeline"; readonly steps: ReadonlyArray<Step>; readonly repeat: boolean }
  | { readonly _tag: "FirstOf"; readonly of: ReadonlyArray<Scenario> }
  | { readonly _tag: "Together"; readonly of: ReadonlyArray<Scenario> }

/** Whether a rule draws and counts calls, or HTTP requests: the latter if what it stands over may take a whole one. */
export type Per = "call" | "exchange"

/** A part of a timeline. Times are milliseconds since the timeline began; the last may end at `Infinity`. */
export interface Step {
  readonly from: number
  readonly until: number
  readonly scenario: Scenario
}

/** Delays in milliseconds. */
export type Distribution =
  | { readonly _tag: "Fixed"; readonly value: number }
  | { readonly _tag: "Uniform"; readonly min: number; readonly max: number }
  | { readonly _tag: "Exponential"; readonly mean: number }
  | { readonly _tag: "Lognormal"; readonly p50: number; readonly p99: number }

/** One call, as a node sees it. */
export interface Request {
  readonly method: string
  readonly params: unknown
  readonly id: unknown
  /** The place in its batch; 0 for a single call. */
  readonly index: number
  /** The size of its batch, `undefined` for a single call. */
  readonly batch: number | undefined
  readonly headers: IncomingHttpHeaders
  /** The connection's number, in the order of arrival. */
  readonly connection: number
  /** Whether the connection had carried a request before. */
  readonly reused: boolean
}

/** The calls a rule is about: all that is named must hold. */
export type Match =
  | ((request: Request) => boolean)
  | {
      readonly method?: string | ReadonlyArray<string>
      readonly batch?: boolean
      readonly reused?: boolean
    }

/** Applies, and does nothing: exempts requests from the rules after it in `firstOf`. */
export const healthy: Scenario = { _tag: "Healthy" }

/**
 * Delays the answer by a fixed time, or by one drawn for each HTTP request: uniformly between `min` and `max`,
 * exponentially around a `mean`, or lognormally with the given median and 99th percentile. The last two have no upper
 * bound. Combine it with faults by `together`: the fault then comes after the delay.
 */
export const latency = (
  delay:
    | Duration.Input
    | { readonly min: Duration.Input; readonly max: Duration.Input }
    | { readonly mean: Duration.Input }
    | { readonly p50: Duration.Input; readonly p99: Duration.Input }
): Scenario => ({ _tag: "Latency", distribution: distribution(delay) })

const distribution = (delay: Parameters<typeof latency>[0]): Distribution => {
  const millis = Options.duration({ min: 0 })
  if (typeof delay === "object" && !Array.isArray(delay) && !Duration.isDuration(delay)) {
    if ("mean" in delay) return { _tag: "Exponential", mean: millis("Scenario.latency.mean", delay.mean) }
    if ("p50" in delay) {
      const p50 = Options.duration()("Scenario.latency.p50", delay.p50)
      return { _tag: "Lognormal", p50, p99: Options.duration({ min: p50 })("Scenario.latency.p99", delay.p99) }
    }
    if ("min" in delay) {
      const min = millis("Scenario.latency.min", delay.min)
      return { _tag: "Uniform", min, max: Options.duration({ min })("Scenario.latency.max", delay.max) }
    }
  }
  return { _tag: "Fixed", value: millis("Scenario.latency", delay) }
}

/** Applies to the calls that match. `reused: true` with `drop` is the keep-alive connection that closes too early. */
export const when = (match: Match, scenario: Scenario): Scenario => ({ _tag: "When", match, scenario })

/** Applies to a share of the requests that reach it, drawn from the node's seed. */
export const sometimes = (rate: number, scenario: Scenario): Scenario => ({
  _tag: "Sometimes",
  rate: Options.number({ min: 0, max: 1 })("Scenario.sometimes", rate),
  per: per(scenario),
  scenario
})

/** Applies to the first requests that reach it. An object used in two places counts both. */
export const first = (count: number, scenario: Scenario): Scenario => ({
  _tag: "First",
  count: Options.integer({ min: 0 })("Scenario.first", count),
  per: per(scenario),
  scenario
})

/** Applies to all but the first requests that reach it. An object used in two places counts both. */
export const after = (count: number, scenario: Scenario): Scenario => ({
  _tag: "After",
  count: Options.integer({ min: 0 })("Scenario.after", count),
  per: per(scenario),
  scenario
})

/**
 * Applies one scenario after another, each for its time, from the moment the scenario is played. A step without `for`
 * lasts, one without `fault` applies to nothing. After the last step nothing applies, or all starts again with `repeat`.
 *
 * A request is judged when it arrives. What a step began (a hang, a delay) outlives it.
 */
export const timeline = (
  steps: ReadonlyArray<{ readonly for?: Duration.Input; readonly fault?: Scenario }>,
  options?: { readonly repeat?: boolean }
): Scenario => {
  const { repeat } = Options.read("Scenario.timeline", options, { repeat: Options.boolean({ default: false }) })
  let from = 0
  return {
    _tag: "Timeline",
    repeat,
    steps: steps.map((step) => {
      const until = from + Options.duration({ infinite: true, default: Infinity })("Scenario.timeline.for", step.for)
      const placed = { from, until, scenario: step.fault ?? firstOf() }
      from = until
      return placed
    })
  }
}

/** Applies the first of these that applies. */
export const firstOf = (...of: ReadonlyArray<Scenario>): Scenario => ({ _tag: "FirstOf", of })

/**
 * Applies all of these that apply: delays add up; of the faults of the whole HTTP request the first stands, and so does
 * the first of those of an answer.
 */
export const together = (...of: ReadonlyArray<Scenario>): Scenario => ({ _tag: "Together", of })

/**
 * An upstream that is of no use, in each of the ways a client must survive: by HTTP status, by silence, by a reply that is
 * none, and by an answer from another chain.
 */
export const useless: Readonly<Record<string, Scenario>> = {
  "HTTP 500": status(500),
  "HTTP 401": status(401),
  "HTTP 403": status(403),
  "HTTP 429": status(429),
  "HTTP 502": status(502),
  "HTML in place of JSON": status(200),
  "drops connections": drop,
  "drops them midway": dropMidway,
  "refuses connections": refuse,
  hangs: hang,
  "answers without a result": malformed("noResult"),
  "answers with a foreign id": malformed("foreignId"),
  "truncates its answers": truncated,
  "is of another chain": wrongChain(5)
}

const per = (scenario: Scenario): Per => {
  switch (scenario._tag) {
    case "Healthy":
    case "Error":
    case "Answer":
    case "Malformed":
    case "Behind":
    case "Frozen":
    case "WrongChain":
      return "call"
    case "When":
      return per(scenario.scenario)
    case "Sometimes":
    case "First":
    case "After":
      return scenario.per
    case "Timeline":
      return scenario.steps.some((step) => per(step.scenario) === "exchange") ? "exchange" : "call"
    case "FirstOf":
    case "Together":
      return scenario.of.some((part) => per(part) === "exchange") ? "exchange" : "call"
    default:
      return "exchange"
  }
}
