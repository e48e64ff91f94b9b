/** What the terminal shows while a benchmark runs. */
import type { About } from "./callerProcess.ts"
import { cpuPer100k } from "./Budgets.ts"
import { count, number, percent, time } from "./format.ts"
import type { Budget, FaultCell, Load, Promised } from "./Results.ts"
import type { Weather } from "./Weather.ts"

export const scenario = (
  { about, name }: Weather,
  contenders: ReadonlyArray<About>,
  cells: ReadonlyArray<FaultCell>
): string =>
  columns([
    [`${name}: ${about}`],
    ["", "answered", "p50", "p99", "wrong", "requests/call", "CPU s/100k"],
    ...cells.map((cell) => [
      titleOf(cell.contender, contenders),
      percent(cell.answered, cell.calls),
      time(cell.p50),
      time(cell.p99),
      count(cell.untrue + cell.back),
      number(cell.requests / cell.calls),
      number(cpuPer100k(cell)) + (cell.crashed === undefined ? "" : " crashed"),
      Object.keys(cell.errors)[0] ?? ""
    ])
  ])

export const promised = ({ atMost, calls, failures, kept, requests }: Promised): string =>
  `${count(calls)} reads, a fifth of all answers failing: ${failures} failed (at most ${atMost.failures}), ` +
  `${number(requests / calls)} requests a call (at most ${atMost.requestsPerCall}): ${kept ? "kept" : "NOT KEPT"}\n`

export const load = ({ budgets, callers, cells, contenders }: Load): string =>
  [
    columns([
      ["calls a second, CPU s per 100,000", ...callers.flatMap((n) => [`${n} at once`, ""])],
      ...contenders.map(({ id, title }) => [
        title,
        ...callers.flatMap((n) => {
          const cell = cells.find(({ callers, contender }) => callers === n && contender === id)!
          return [count(cell.perSecond), number(cell.cpu) + (cell.failures > 0 ? ` (${cell.failures} failed)` : "")]
        })
      ])
    ]),
    columns([["CPU per call", "callers", "ratio", "at most"], ...budgets.map(budget)])
  ].join("\n")

const budget = ({ against, atMost, callers, holds, of, ratio }: Budget) => [
  `${of} / ${against}`,
  String(callers),
  String(ratio),
  `${atMost}${holds ? "" : "  OVER BUDGET"}`
]

const titleOf = (id: string, contenders: ReadonlyArray<About>): string =>
  contenders.find((contender) => contender.id === id)?.title ?? id

// The first column is to the left, the others to the right, a last one that is longer is a remark.
const columns = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const cells = rows.filter((row) => row.length > 1)
  const widths = cells[0]!.map((_, i) => Math.max(...cells.map((row) => row[i]?.length ?? 0)))
  const line = (row: ReadonlyArray<string>) =>
    row.map((cell, i) => (i === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[i] ?? 0))).join("  ")
  return `${rows.map((row) => (row.length === 1 ? row[0]! : ` ${line(row)}`.trimEnd())).join("\n")}\n`
}
