/** The table: each node's fault and state, and how the service does beside a bare node. Fits 80 columns. */
import type { Statistics } from "./Samples.ts"
import type { Upstream } from "./Upstreams.ts"
import { count, percent, row, time } from "./Words.ts"

export interface View {
  readonly title: string
  readonly upstreams: ReadonlyArray<
    Upstream & {
      /** What is wrong with it, if that is known. */
      readonly fault?: string | undefined
      /** Requests it got in the last second. */
      readonly rate?: number | undefined
    }
  >
  /** Who was asked, and what came of it. */
  readonly load: ReadonlyArray<{ readonly name: string; readonly statistics: Statistics }>
}

/** The table as lines. Colours are for terminals. */
export const draw = (view: View, colours: boolean): ReadonlyArray<string> => [
  "",
  paint(bold, ` ${view.title}`, colours),
  "",
  ...nodes(view.upstreams, colours),
  ...(view.load.length === 0 ? [] : ["", ...load(view.load, colours)])
]

/** What is worth saying now and then, in one line. */
export const brief = ({ load, upstreams }: View): string => {
  const away = upstreams.filter(({ state }) => state !== "up")
  return [
    ...load.map(
      ({ name, statistics: { failed, fresh, p99, total } }) =>
        `${name} ${percent(fresh, total)} fresh, ${count(failed)} failed, p99 ${time(p99)}`
    ),
    away.length === 0 ? "every node is up" : away.map(({ name, state }) => `${name} ${state}`).join(", ")
  ].join("; ")
}

const nodes = (upstreams: View["upstreams"], colours: boolean): ReadonlyArray<string> => {
  const widest = Math.max(8, ...upstreams.map(({ name }) => name.length))
  const widths = [-(widest + 1), -10, 5, 7, 10]
  return [
    paint(dim, row(widths, [" node", "fault", "req/s", "latency", "head", "state"]), colours),
    ...upstreams.map(({ fault, head, latency, leftOut, name, rate, state }) => {
      const cells = [
        ` ${name}`,
        fault ?? "",
        rate === undefined ? "" : String(Math.round(rate)),
        latency === undefined ? "" : time(latency),
        head === undefined ? "" : count(head),
        leftOut === undefined ? state : `${state}: ${leftOut}`
      ]
      return paint(stateColours[state], row(widths, cells), colours)
    })
  ]
}

const load = (load: View["load"], colours: boolean): ReadonlyArray<string> => {
  const widths = [-13, 8, 7, 7, 8, 8, 15]
  return [
    paint(dim, row(widths, ["", "fresh", "stale", "failed", "p50", "p99", "longest silence"]), colours),
    ...load.map(({ name, statistics: { failed, fresh, p50, p99, silence, stale, total } }) => {
      const cells = [percent(fresh, total), count(stale), count(failed), time(p50), time(p99), time(silence)]
      return paint(failed > 0 ? red : stale > 0 ? yellow : green, row(widths, [` ${name}`, ...cells]), colours)
    })
  ]
}

const bold = 1
const dim = 2
const red = 31
const green = 32
const yellow = 33

const stateColours: Readonly<Record<Upstream["state"], number>> = {
  up: green,
  unknown: dim,
  avoided: yellow,
  paused: yellow,
  probing: yellow,
  open: red,
  "wrong chain": red
}

const paint = (code: number, text: string, colours: boolean): string => (colours ? `\x1b[${code}m${text}\x1b[0m` : text)
