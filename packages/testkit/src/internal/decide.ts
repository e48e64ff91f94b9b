/**
 * Reads a scenario: what happens to these calls? Pure but for its memory: the same requests, random numbers and times
 * give the same decisions.
 */
import type { AnswerFault, ExchangeFault } from "../Fault.ts"
import type { Match, Per, Request, Scenario } from "../Scenario.ts"
import { type Random, sample } from "./random.ts"
import { stepAt } from "./timeline.ts"

/** What happens to one HTTP request. */
export interface Decision {
  /** Milliseconds before anything else. */
  readonly delay: number
  /** What takes the whole request. */
  readonly exchange: ExchangeFault | undefined
  /** What changes the answers, by call. */
  readonly answers: ReadonlyArray<AnswerFault | undefined>
}

/** What a scenario remembers while it is played. */
export class Memory {
  /** Requests seen, by the rule that counts them. */
  readonly seen = new Map<object, number>()
  /** What was drawn for the batch at hand, by rule. */
  drawn: Map<object, number> | undefined = undefined
}

/** Decides about the calls of one HTTP request. `elapsed` is the time since the scenario began. */
export const decide = (
  scenario: Scenario,
  calls: ReadonlyArray<Request>,
  memory: Memory,
  random: Random,
  elapsed: number
): Decision => {
  memory.drawn = calls.length > 1 ? new Map() : undefined
  let delay = 0
  let exchange: ExchangeFault | undefined
  const answers = calls.map((call) => {
    const effects = judge(scenario, { call, memory, random }, elapsed)
    if (effects === undefined) return undefined
    delay = Math.max(delay, effects.delay)
    exchange ??= effects.exchange
    return effects.answer
  })
  return { delay, exchange, answers }
}

interface Turn {
  readonly call: Request
  readonly memory: Memory
  readonly random: Random
}

interface Effects {
  readonly delay: number
  readonly exchange: ExchangeFault | undefined
  readonly answer: AnswerFault | undefined
}

const nothing: Effects = { delay: 0, exchange: undefined, answer: undefined }

/** What a scenario does to a call, or `undefined`: it does not apply. */
const judge = (scenario: Scenario, turn: Turn, elapsed: number): Effects | undefined => {
  switch (scenario._tag) {
    case "Healthy":
      return nothing
    case "Latency":
      return {
        ...nothing,
        delay: once(turn, scenario, "exchange", () => sample(scenario.distribution, turn.random))
      }
    case "When":
      return matches(scenario.match, turn.call) ? judge(scenario.scenario, turn, elapsed) : undefined
    case "Sometimes":
      return once(turn, scenario, scenario.per, turn.random) < scenario.rate
        ? judge(scenario.scenario, turn, elapsed)
        : undefined
    case "First":
      return place(turn, scenario, scenario.per) < scenario.count ? judge(scenario.scenario, turn, elapsed) : undefined
    case "After":
      return place(turn, scenario, scenario.per) >= scenario.count ? judge(scenario.scenario, turn, elapsed) : undefined
    case "Timeline": {
      const now = stepAt(scenario, elapsed)
      return now === undefined ? undefined : judge(now.scenario, turn, now.elapsed)
    }
    case "FirstOf":
      for (const part of scenario.of) {
        const effects = judge(part, turn, elapsed)
        if (effects !== undefined) return effects
      }
      return undefined
    case "Together": {
      let all: Effects | undefined
      for (const part of scenario.of) {
        const one = judge(part, turn, elapsed)
        if (one !== undefined) all = all === undefined ? one : both(all, one)
      }
      return all
    }
    case "Error":
    case "Answer":
    case "Malformed":
    case "Behind":
    case "Frozen":
    case "WrongChain":
      return { ...nothing, answer: scenario }
    case "Batch":
      return turn.call.batch === undefined ? undefined : { ...nothing, exchange: scenario }
    default:
      return { ...nothing, exchange: scenario }
  }
}

const both = (a: Effects, b: Effects): Effects => ({
  delay: a.delay + b.delay,
  exchange: a.exchange ?? b.exchange,
  answer: a.answer ?? b.answer
})

// What is about the whole HTTP request is drawn for the first call of a batch and holds for the others.
const once = (turn: Turn, rule: object, per: Per, draw: () => number): number => {
  const { drawn } = turn.memory
  if (drawn === undefined || per === "call") return draw()
  let value = drawn.get(rule)
  if (value === undefined) drawn.set(rule, (value = draw()))
  return value
}

const place = (turn: Turn, rule: object, per: Per): number =>
  once(turn, rule, per, () => {
    const seen = turn.memory.seen.get(rule) ?? 0
    turn.memory.seen.set(rule, seen + 1)
    return seen
  })

const matches = (match: Match, call: Request): boolean => {
  if (typeof match === "function") return match(call)
  const { batch, method, reused } = match
  return (
    (method === undefined || (typeof method === "string" ? method === call.method : method.includes(call.method))) &&
    (batch === undefined || batch === (call.batch !== undefined)) &&
    (reused === undefined || reused === call.reused)
  )
}
