/** What came of the storm, beside what one bare node would have given. */
import { names } from "./Nodes.ts"
import type { Statistics } from "./Samples.ts"
import type { Phase } from "./Storm.ts"
import type { Verdict } from "./Verdict.ts"
import { count, percent, row, time } from "./Words.ts"

export interface Outcome {
  readonly service: Statistics
  readonly bare: Statistics
  /** The name of the bare node. */
  readonly bareName: string
  readonly phases: ReadonlyArray<Phase>
  readonly verdict: Verdict
  /** What the client that asked too often was told, in seconds. */
  readonly retryAfter: number | undefined
}

/** The summary as lines. */
export const write = ({ bare, bareName, retryAfter, phases, service, verdict }: Outcome): ReadonlyArray<string> => {
  const widths = [-44, 12, 14]
  const compare = (label: string, value: (statistics: Statistics) => string) =>
    row(widths, [` ${label}`, value(service), value(bare)])
  const back = Math.max(...verdict.recoveries)
  return [
    "",
    row(widths, [" the whole storm", "service", `${bareName} alone`]),
    compare("requests", ({ total }) => count(total)),
    compare("fresh answers", ({ fresh, total }) => percent(fresh, total)),
    compare("stale answers, marked as such", ({ stale, total }) => percent(stale, total)),
    compare("no answer", ({ failed, total }) => percent(failed, total)),
    compare("answers older than an earlier one", ({ older }) => count(older)),
    compare("half of all requests took at most", ({ p50 }) => time(p50)),
    compare("99 of 100 took at most", ({ p99 }) => time(p99)),
    compare("longest time without any answer", ({ silence }) => time(silence)),
    ...(verdict.recoveries.length === 0 ? [] : [row(widths, [" fresh again, after a node was up again", time(back)])]),
    "",
    ` Each node was at fault for a while: ${names.map((name) => `${name} ${atFault(phases, name)} s`).join(", ")}.`,
    ...(retryAfter === undefined
      ? []
      : [` One client asked more than 100 times within a minute: 429, Retry-After: ${retryAfter}.`]),
    "",
    ...(verdict.breaches.length === 0
      ? [" The service never failed while a node was up, and was back within a second."]
      : [" The service did not keep its promise:", ...verdict.breaches.map((breach) => `  - ${breach}`)]),
    ""
  ]
}

const atFault = (phases: ReadonlyArray<Phase>, name: (typeof names)[number]): number =>
  phases.reduce((sum, { faults, seconds }) => (faults[name] === undefined ? sum : sum + seconds), 0)
