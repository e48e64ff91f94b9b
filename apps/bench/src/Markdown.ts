/** The results as Markdown, and where it goes. */
import { cpuPer100k } from "./Budgets.ts"
import { count, number, percent, time } from "./format.ts"
import * as Losses from "./Losses.ts"
import type { FaultCell, Faults, Load, Run } from "./Results.ts"

/** Puts texts between their markers, `<!-- name -->` and `<!-- /name -->`. What is not marked is left alone. */
export const fill = (page: string, blocks: Readonly<Record<string, string>>): string =>
  Object.entries(blocks).reduce((page, [name, text]) => {
    const [begin, end] = [`<!-- ${name} -->`, `<!-- /${name} -->`]
    const [from, until] = [page.indexOf(begin), page.indexOf(end)]
    if (from < 0 || until < from) return page
    return `${page.slice(0, from + begin.length)}\n\n${text.trim()}\n\n${page.slice(until)}`
  }, page)

/** One line for each contender: what all scenarios come to. */
export const summary = (run: Faults): string =>
  table(
    ["", "answered", "wrong answers", "requests a call, healthy", "at worst", "CPU s per 100,000 calls, healthy"],
    run.contenders.map(({ id, title }) => {
      const cells = run.cells.filter(({ contender }) => contender === id)
      const sum = (of: (cell: FaultCell) => number) => cells.reduce((sum, cell) => sum + of(cell), 0)
      const healthy = cells.find(({ scenario }) => scenario === "healthy")
      const worst = Math.max(...cells.map(({ calls, requests }) => requests / calls))
      return [
        title,
        percent(
          sum(({ answered }) => answered),
          sum(({ calls }) => calls)
        ),
        count(sum(({ back, untrue }) => back + untrue)),
        healthy === undefined ? "–" : (healthy.requests / healthy.calls).toFixed(2),
        worst.toFixed(2),
        healthy === undefined ? "–" : number(cpuPer100k(healthy))
      ]
    })
  )

/** Every contender in every scenario. */
export const matrix = (run: Faults): string =>
  run.scenarios
    .map(({ about, name }) => {
      const cells = run.cells.filter(({ scenario }) => scenario === name)
      const rows = cells.map((cell) => [
        run.contenders.find(({ id }) => id === cell.contender)?.title ?? cell.contender,
        percent(cell.answered, cell.calls),
        time(cell.p50),
        time(cell.p99),
        count(cell.back + cell.untrue),
        (cell.requests / cell.calls).toFixed(2),
        number(cpuPer100k(cell))
      ])
      const head = ["", "answered", "half within", "99 % within", "wrong", "requests a call", "CPU s per 100,000"]
      return `**${name}**: ${about}\n\n${table(head, rows)}`
    })
    .join("\n\n")

/** How each was set up. */
export const configurations = (...runs: ReadonlyArray<Run>): string => {
  const all = new Map(
    runs.flatMap(({ contenders }) => contenders.map(({ configuration, title }) => [title, configuration]))
  )
  return table(
    ["contender", "set up as"],
    Array.from(all, ([title, configuration]) => [title, `\`${configuration}\``])
  )
}

/** For the first page: the summary, and where others are better. */
export const faults = (run: Faults): string => {
  const { promise } = run
  const kept =
    promise === undefined
      ? ""
      : `\n\nWhile a fifth of all answers failed on all three nodes, ${promise.failures} of ${count(promise.calls)} reads ` +
        `failed, at ${(promise.requests / promise.calls).toFixed(2)} requests a read.`
  return `${summary(run)}${kept}\n\n${where(Losses.ofFaults(run))}\n\n${colophon(run)}`
}

/** Throughput and CPU time, and the budgets. */
export const load = (run: Load): string => {
  const { budgets, callers, cells, contenders } = run
  const rows = contenders.map(({ id, title }) => [
    title,
    ...callers.map((n) => {
      const cell = cells.find(({ callers, contender }) => callers === n && contender === id)!
      return `${count(cell.perSecond)} · ${number(cell.cpu)} s`
    })
  ])
  const head = ["calls a second · CPU s per 100,000", ...callers.map((n) => (n === 1 ? "1 caller" : `${n} callers`))]
  const ratios = budgets.map(({ against, atMost, callers, holds, ratio, what }) => [
    `${what}, against ${contenders.find(({ id }) => id === against)?.title ?? against}, ${callers} at once`,
    ratio.toFixed(2),
    `${atMost}${holds ? "" : ": over"}`
  ])
  return [
    table(head, rows),
    where(Losses.ofLoad(run)),
    table(["Hawser's CPU per call", "ratio", "at most"], ratios),
    colophon(run)
  ].join("\n\n")
}

const where = (losses: ReadonlyArray<string>): string =>
  `Where a peer is better:\n\n${losses.length === 0 ? "- Nowhere in this run." : losses.map((loss) => `- ${loss}`).join("\n")}`

const colophon = ({ at, machine, seed, versions }: Run): string => {
  const packages = Object.entries(versions).filter(
    ([name]) => name !== "node" && name !== "commit" && !name.includes("hawser")
  )
  return (
    `Measured on ${at.slice(0, 10)} at ${versions["commit"]}, seed ${seed}: ${machine.cores} cores of ${machine.cpu}, ` +
    `Node.js ${versions["node"]}, ${packages.map(([name, version]) => `${name} ${version}`).join(", ")}.`
  )
}

// As oxfmt writes tables, so that a page with one stays formatted.
const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const all = [head, ...rows]
  const widths = head.map((_, i) => Math.max(3, ...all.map((row) => row[i]!.length)))
  const line = (row: ReadonlyArray<string>) => `| ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`
  return [line(head), `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`, ...rows.map(line)].join("\n")
}
