/** What a run found out, for the terminal. */
import { count, number } from "../format.ts"
import type { Row } from "./Costs.ts"
import type { Spread } from "./Harness.ts"
import { type Growth, sizes } from "./Sizes.ts"

const time = (nanos: number): string => {
  if (nanos < 10_000) return `${count(nanos)} ns`
  return nanos < 1_000_000 ? `${(nanos / 1000).toFixed(1)} µs` : `${(nanos / 1_000_000).toFixed(1)} ms`
}

const multiple = (spread: Spread | undefined): string =>
  spread === undefined ? "" : `${number(spread.median)} (${number(spread.q1)}–${number(spread.q3)})`

const columns = (rows: ReadonlyArray<ReadonlyArray<string>>, left: number): string => {
  const widths = rows[0]!.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)))
  return rows
    .map((row) => row.map((cell, i) => (i < left ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("  "))
    .map((line) => ` ${line.trimEnd()}`)
    .join("\n")
}

const verdict = (met: boolean | undefined): string => (met === undefined ? "" : met ? "met" : "MISSED")

export const costs = (rows: ReadonlyArray<Row>): string =>
  columns(
    [
      ["", "", "a call", "alone × Effect.sync", "within ×", "budget", ""],
      ...rows.map(({ alone, budget, by, group, name, nanos, within }, i) => [
        group === rows[i - 1]?.group ? "" : group,
        `${by === "hawser" ? "" : "  "}${name}`,
        time(nanos.median),
        multiple(alone),
        multiple(within),
        budget?.text ?? "",
        verdict(budget?.met)
      ])
    ],
    2
  )

export const growths = (rows: ReadonlyArray<Growth>): string =>
  columns(
    [
      ["", "a call among", ...sizes.map(count), "factor", "at most log₂ n", "each takes"],
      ...rows.map(({ by, bytes, factor, met, name, nanos, of }) => [
        `${by === "hawser" ? "" : "  "}${name}`,
        of,
        ...nanos.map((spread) => (spread === undefined ? "–" : time(spread.median))),
        `${factor.toFixed(1)} ×`,
        verdict(met),
        `${count(bytes)} B`
      ])
    ],
    2
  )

/** Those that miss their budget, in a line each. */
export const missed = (rows: ReadonlyArray<Row>, growths: ReadonlyArray<Growth>): ReadonlyArray<string> => [
  ...rows
    .filter(({ budget }) => budget?.met === false)
    .map(
      ({ alone, budget, name, nanos }) =>
        `${name}: ${time(nanos.median)}, ${number(alone.median)} × Effect.sync; budget ${budget!.text}`
    ),
  ...growths
    .filter(({ met }) => met === false)
    .map(({ factor, name, of }) => `${name}: ${factor.toFixed(1)} × with ${of}`)
]
