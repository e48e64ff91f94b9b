import type { Scenario } from "../Scenario.ts"
import { Memory } from "./decide.ts"
import { refuses } from "./port.ts"
import { type Random, seeded } from "./random.ts"

/** A scenario being played: begun at a time, with its own random numbers and memory. */
export class Play {
  readonly scenario: Scenario
  readonly random: Random
  readonly since: number
  readonly refuses: boolean
  readonly memory = new Memory()
  readonly frozen = new Map<object, number>()

  constructor(scenario: Scenario, seed: number, now: number) {
    this.scenario = scenario
    this.random = seeded(seed)
    this.since = now
    this.refuses = refuses(scenario)
  }
}
