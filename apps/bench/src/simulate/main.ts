/** `npm run simulate`: many clients, many kinds of weather, in virtual time. The same seed gives the same history. */
import { createHash } from "node:crypto"
import { parseArgs } from "node:util"
import { count, percent, time } from "../format.ts"
import { quantile } from "../stats.ts"
import { chosen, say } from "../terminal.ts"
import { type Outcome, run } from "./Run.ts"
import { scenarios } from "./Scenarios.ts"

const all = scenarios.map(({ name }) => name)

const usage = `npm run simulate -- [options]

  --seeds <number>    runs the seeds from --from on, each in the scenario whose turn it is (default 140)
  --from <number>     the first seed (default 1)
  --scenario <name>   every seed in this scenario, as to see a failure again: ${all.join(", ")}

Each run is a minute of some hundred clients. Ends with 1 if anything that must hold did not, and says in which run.`

const { values: given } = parseArgs({
  options: {
    seeds: { type: "string", default: "140" },
    from: { type: "string", default: "1" },
    scenario: { type: "string", multiple: true, default: [] },
    help: { type: "boolean", default: false }
  }
})

const columns = ["", "runs", "calls", "reads answered", "writes", "requests a call", "half within", "99 % within"]
const widths = [18, 6, 9, 16, 9, 17, 13, 13]
const line = (cells: ReadonlyArray<string>): string =>
  ` ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join("")}`

const summary = (name: string, runs: ReadonlyArray<Outcome>): string => {
  const sum = (of: (run: Outcome) => number) => runs.reduce((sum, run) => sum + of(run), 0)
  const took = runs.flatMap(({ took }) => took)
  return line([
    name,
    count(runs.length),
    count(sum(({ calls }) => calls)),
    percent(
      sum(({ answered }) => answered),
      sum(({ reads }) => reads)
    ),
    percent(
      sum(({ written }) => written),
      sum(({ writes }) => writes)
    ),
    (sum(({ requests }) => requests) / sum(({ calls }) => calls)).toFixed(2),
    time(quantile(took, 0.5) ?? null),
    time(quantile(took, 0.99) ?? null)
  ])
}

const main = (): void => {
  const names = chosen(all, given.scenario)
  const began = performance.now()
  const outcomes = Array.from({ length: Number(given.seeds) }, (_, i) => {
    const seed = Number(given.from) + i
    const scenario = scenarios.find(({ name }) => name === names[seed % names.length])!
    const outcome = run(scenario, seed)
    for (const what of outcome.violations.slice(0, 5)) {
      say(`VIOLATED in "${scenario.name}", seed ${seed}, ${what}`)
    }
    return outcome
  })
  say(line(columns))
  for (const name of names) {
    const runs = outcomes.filter(({ scenario }) => scenario === name)
    if (runs.length > 0) say(summary(name, runs))
  }
  const requests = outcomes.reduce((sum, { requests }) => sum + requests, 0)
  const seconds = (performance.now() - began) / 1000
  const trace = createHash("sha256")
    .update(outcomes.map(({ trace }) => trace).join())
    .digest("hex")
  say(
    `\n${count(requests)} requests in ${seconds.toFixed(1)} s, ${count(requests / seconds)} a second; trace ${trace.slice(0, 16)}`
  )
  const bad = outcomes.filter(({ violations }) => violations.length > 0)
  if (bad.length === 0) return say("All held that must.")
  say(`${bad.length} runs in which something did not hold. To see one again:`)
  say(`  npm run simulate -- --seeds 1 --from ${bad[0]!.seed} --scenario "${bad[0]!.scenario}"`)
  process.exitCode = 1
}

if (given.help) say(usage)
else main()
