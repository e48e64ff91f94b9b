/**
 * Reads a scenario without a request at hand: is the port open?
 */
import type { Scenario } from "../Scenario.ts"
import type { Memory } from "./decide.ts"
import { stepAt } from "./timeline.ts"

/** Whether the port is open, and for how many milliseconds that is certain unless requests come. */
export interface PortState {
  readonly open: boolean
  readonly for: number
}

/** What a scenario says of the port without being asked about a request. */
export const port = (scenario: Scenario, memory: Memory, elapsed: number): PortState => {
  const { lasts, says } = shut(scenario, memory, elapsed)
  return { open: says !== "shut", for: lasts }
}

interface Word {
  readonly says: "shut" | "open" | "nothing"
  readonly lasts: number
}

const word = (says: Word["says"], lasts = Infinity): Word => ({ says, lasts })

const shut = (scenario: Scenario, memory: Memory, elapsed: number): Word => {
  switch (scenario._tag) {
    case "Refuse":
      return word("shut")
    case "When":
    case "Sometimes":
    case "Batch":
      return word("nothing")
    case "First":
    case "After": {
      const before = (memory.seen.get(scenario) ?? 0) < scenario.count
      return before === (scenario._tag === "First") ? shut(scenario.scenario, memory, elapsed) : word("nothing")
    }
    case "Timeline": {
      const now = stepAt(scenario, elapsed)
      if (now === undefined) return word("nothing")
      const { lasts, says } = shut(now.scenario, memory, now.elapsed)
      return word(says, Math.min(lasts, now.left))
    }
    case "FirstOf":
    case "Together": {
      let lasts = Infinity
      let said: Word["says"] = "nothing"
      for (const part of scenario.of) {
        const next = shut(part, memory, elapsed)
        lasts = Math.min(lasts, next.lasts)
        if (next.says === "nothing") continue
        said = next.says
        if (said === "shut" || scenario._tag === "FirstOf") break
      }
      return word(said, lasts)
    }
    default:
      return word("open")
  }
}

/** Whether a scenario ever closes the port. */
export const refuses = (scenario: Scenario): boolean => {
  switch (scenario._tag) {
    case "Refuse":
      return true
    case "First":
    case "After":
      return refuses(scenario.scenario)
    case "Timeline":
      return scenario.steps.some((step) => refuses(step.scenario))
    case "FirstOf":
    case "Together":
      return scenario.of.some(refuses)
    default:
      return false
  }
}
