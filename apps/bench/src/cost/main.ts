/** `npm run bench`: what a call through each primitive costs, beside a bare effect, Effect's own and a library. */
import { writeFileSync } from "node:fs"
import { loadavg } from "node:os"
import { parseArgs } from "node:util"
import * as Results from "../Results.ts"
import { chosen, say } from "../terminal.ts"
import * as Costs from "./Costs.ts"
import { crowds } from "./groups/crowds.ts"
import * as Report from "./Report.ts"
import * as Sizes from "./Sizes.ts"

const groups = Costs.groups.map(({ name }) => name)
const all = [...groups, "sizes"]

const usage = `npm run bench -- [options]

  --only <name>     ${all.join(", ")}
  --rounds <number> how often each takes its turn (default 25)
  --quick           seven short rounds, for a look
  --json <file>     writes the results there

Costs are CPU time, on a fiber of their own ("alone") and inside one fiber ("within"), as multiples of Effect.sync run
in the same way, medians over the rounds with their quartiles. Budgets are those of the design and hold alone.`

const { values: given } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    rounds: { type: "string" },
    quick: { type: "boolean", default: false },
    json: { type: "string" },
    help: { type: "boolean", default: false }
  }
})

const packages = [
  "hawser",
  "effect",
  "cockatiel",
  "opossum",
  "p-retry",
  "lru-cache",
  "bottleneck",
  "rate-limiter-flexible"
]

const main = async (): Promise<void> => {
  const names = chosen(all, given.only)
  const settings = given.quick ? { rounds: 7, millis: 4 } : { rounds: Number(given.rounds ?? 25), millis: 10 }
  const began = { at: new Date().toISOString(), busy: loadavg()[0]! }
  const costs = await Costs.run(
    Costs.groups.filter(({ name }) => names.includes(name)),
    settings
  )
  say(Report.costs(costs))
  const growths = names.includes("sizes") ? await Sizes.run([], settings) : []
  if (growths.length > 0) say(`\n${Report.growths(growths)}`)
  const missed = Report.missed(costs, growths)
  say(
    missed.length === 0
      ? "\nAll budgets are met."
      : `\nBudgets missed:\n${missed.map((line) => `- ${line}`).join("\n")}`
  )
  const cores = Results.machine().cores
  if (began.busy > cores)
    say(`\nThe machine was busy (${began.busy.toFixed(1)} processes, ${cores} cores): trust ratios only.`)
  if (given.json !== undefined) {
    const run = { at: began.at, machine: Results.machine(), versions: Results.versions(packages), settings }
    const about = { ...run, crowds: crowds.map(({ name, of }) => ({ name, of })), costs, growths, missed }
    writeFileSync(given.json, `${JSON.stringify(about, undefined, 2)}\n`)
  }
  // Some of what was measured still waits, and would for a day.
  process.exit(0)
}

if (given.help) say(usage)
else await main()
