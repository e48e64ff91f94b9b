/** The results as pictures, light and dark. */
import { mkdirSync, writeFileSync } from "node:fs"
import * as vega from "vega"
import { compile, type Config, type TopLevelSpec } from "vega-lite"
import { number, percent, time } from "./format.ts"
import type { Faults, Load } from "./Results.ts"

export type Theme = "light" | "dark"

interface Colours {
  readonly text: string
  readonly quiet: string
  readonly ours: string
  readonly peers: string
  /** From all answered to hardly any. */
  readonly shares: ReadonlyArray<string>
}

// No background: the page's own shows through. Blue to orange can be told apart without red and green.
const colours: Readonly<Record<Theme, Colours>> = {
  light: {
    text: "#1f2328",
    quiet: "#59636e",
    ours: "#0969da",
    peers: "#afb8c1",
    shares: ["#b6dcfb", "#dcecf8", "#fdf0d5", "#fbcf9d", "#f2a26b"]
  },
  dark: {
    text: "#f0f6fc",
    quiet: "#9198a1",
    ours: "#4493f8",
    peers: "#59636e",
    shares: ["#14467c", "#1c3550", "#4a3a18", "#70461a", "#93451b"]
  }
}

// Labels above a chart are two lines, of which the first is placed.
const lineHeight = 20

const font = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"

/** A chart in one theme. */
export type Chart = (theme: Theme) => TopLevelSpec

/** How many calls each contender answered in each scenario, how soon, and how many of the answers were wrong. */
export const faults =
  ({ cells, contenders, scenarios }: Faults): Chart =>
  (theme) => {
    const { quiet, shares, text } = colours[theme]
    const values = cells.map((cell) => ({
      scenario: scenarios.findIndex(({ name }) => name === cell.scenario),
      contender: contenders.find(({ id }) => id === cell.contender)?.title,
      share: cell.answered / cell.calls,
      answered: percent(cell.answered, cell.calls),
      within: time(cell.p99),
      wrong: cell.back + cell.untrue > 0 ? `${cell.back + cell.untrue} wrong` : ""
    }))
    const shorts = scenarios.map(({ short }) => short)
    const line = (field: string, dy: number, size: number, bold = false) => ({
      mark: { type: "text" as const, dy, fontSize: size, fontWeight: bold ? ("bold" as const) : ("normal" as const) },
      encoding: { text: { field, type: "nominal" as const }, color: { value: text } }
    })
    return {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      title: title("Answered calls, and the time in which 99 of 100 were", [
        "Three nodes, fifty calls a second; the fault is on the first node of the list.",
        "Answers count for ten seconds. Wrong ones are older than what the caller had been",
        "told before, or not what the chain says."
      ]),
      width: { step: 60 },
      height: { step: 46 },
      data: { values },
      encoding: {
        x: {
          field: "scenario",
          type: "ordinal",
          axis: {
            orient: "top",
            title: null,
            labelAngle: 0,
            labelExpr: `${JSON.stringify(shorts)}[datum.value]`,
            labelPadding: lineHeight
          }
        },
        y: {
          field: "contender",
          type: "ordinal",
          sort: contenders.map(({ title }) => title),
          axis: { title: null, labelLimit: 0, labelFontWeight: emphasis, labelPadding: 8 }
        }
      },
      layer: [
        {
          mark: { type: "rect", cornerRadius: 3, width: { band: 0.95 }, height: { band: 0.93 } },
          encoding: {
            color: {
              field: "share",
              type: "quantitative",
              legend: null,
              scale: { type: "threshold", domain: [0.9, 0.99, 0.999, 1], range: shares.toReversed() }
            }
          }
        },
        line("answered", -11, 12, true),
        line("within", 3, 11),
        line("wrong", 15, 10)
      ],
      config: config(text, quiet)
    }
  }

/** What a call costs each contender, at each number of callers. */
export const load =
  ({ callers, cells, contenders }: Load): Chart =>
  (theme) => {
    const { ours, peers, quiet, text } = colours[theme]
    const values = cells.map(({ callers, contender, cpu }) => ({
      callers: callers === 1 ? "1 caller" : `${callers} callers`,
      contender: contenders.find(({ id }) => id === contender)?.title,
      ours: contender.startsWith("hawser"),
      cpu,
      label: number(cpu)
    }))
    const furthest = Math.max(...values.map(({ cpu }) => cpu)) * 1.25
    return {
      $schema: "https://vega.github.io/schema/vega-lite/v6.json",
      title: title("CPU seconds per 100,000 calls", ["Nothing is wrong; the node answers at once. Less is better."]),
      data: { values },
      facet: {
        column: {
          field: "callers",
          type: "ordinal",
          sort: callers.map((n) => (n === 1 ? "1 caller" : `${n} callers`)),
          title: null,
          header: { labelColor: quiet, labelFont: font, labelFontSize: 12 }
        }
      },
      spacing: 16,
      spec: {
        width: 155,
        height: { step: 24 },
        encoding: {
          y: {
            field: "contender",
            type: "ordinal",
            sort: contenders.map(({ title }) => title),
            axis: { title: null, labelLimit: 0, labelFontWeight: emphasis, labelPadding: 8 }
          },
          x: { field: "cpu", type: "quantitative", axis: null, scale: { domain: [0, furthest] } }
        },
        layer: [
          {
            mark: { type: "bar", cornerRadiusEnd: 3, height: { band: 0.7 } },
            encoding: {
              color: {
                field: "ours",
                type: "nominal",
                legend: null,
                scale: { domain: [true, false], range: [ours, peers] }
              }
            }
          },
          {
            mark: { type: "text", align: "left", dx: 5, fontSize: 11 },
            encoding: { text: { field: "label", type: "nominal" }, color: { value: text } }
          }
        ]
      },
      config: config(text, quiet)
    }
  }

/** Draws a chart as SVG. */
export const draw = (spec: TopLevelSpec): Promise<string> =>
  new vega.View(vega.parse(compile(spec).spec), { renderer: "none" }).toSVG()

const assets = new URL("../../../docs/assets/", import.meta.url)

/** Draws a chart in both themes into `docs/assets`, as `<name>-light.svg` and `<name>-dark.svg`. */
export const write = async (name: string, chart: Chart): Promise<void> => {
  mkdirSync(assets, { recursive: true })
  for (const theme of ["light", "dark"] as const) {
    writeFileSync(new URL(`${name}-${theme}.svg`, assets), `${await draw(chart(theme))}\n`)
  }
}

const emphasis = {
  condition: { test: "indexof(datum.value, 'Hawser') === 0", value: "bold" as const },
  value: "normal" as const
}

const title = (text: string, subtitle: ReadonlyArray<string>) => ({
  text,
  subtitle: [...subtitle],
  anchor: "start" as const,
  frame: "bounds" as const,
  offset: 14,
  subtitlePadding: 6
})

const config = (text: string, quiet: string): Config => ({
  background: "transparent",
  font,
  padding: 8,
  title: { color: text, fontSize: 16, subtitleColor: quiet, subtitleFontSize: 12 },
  view: { stroke: null },
  axis: {
    domain: false,
    ticks: false,
    grid: false,
    labelColor: text,
    labelFontSize: 12
  }
})
