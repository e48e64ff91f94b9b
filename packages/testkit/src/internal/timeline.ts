import type { Scenario } from "../Scenario.ts"

type Timeline = Extract<Scenario, { readonly _tag: "Timeline" }>

/** What a timeline applies at a time, how long that has been so, and how long it will be, in milliseconds. */
export interface Now {
  readonly scenario: Scenario
  readonly elapsed: number
  readonly left: number
}

/** The step of a timeline that began this many milliseconds ago; `undefined` after its end. */
export const stepAt = ({ repeat, steps }: Timeline, elapsed: number): Now | undefined => {
  const end = steps.at(-1)?.until
  const time = repeat && end !== undefined && Number.isFinite(end) ? elapsed % end : elapsed
  const step = steps.find(({ from, until }) => time >= from && time < until)
  return step && { scenario: step.scenario, elapsed: time - step.from, left: step.until - time }
}
