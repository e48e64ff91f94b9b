/** `npm run bench:load`: throughput and CPU time where nothing is wrong. */
import { parseArgs } from "node:util"
import * as Budgets from "./Budgets.ts"
import type * as Caller from "./callerProcess.ts"
import * as Charts from "./Charts.ts"
import * as Child from "./Child.ts"
import { type Id, ids } from "./Contender.ts"
import type * as Lean from "./leanProcess.ts"
import * as Results from "./Results.ts"
import { median, round } from "./stats.ts"
import * as Tables from "./Tables.ts"
import { chosen, say, warnIfBusy } from "./terminal.ts"

const usage = `npm run bench:load -- [options]

  --contender <contender>  these contenders: ${ids.join(", ")}
  --callers <number>       so many at once (default 1, 64 and 512)
  --rounds <number>        how often each is measured (default 9)
  --seed <number>          draws another mix of calls (default 1)
  --quick                  one short round, for a look
  --out <file>             writes the results there
  --profile <directory>    writes a CPU profile of each contender there

Without --contender, --callers, --quick and --profile the results go to apps/bench/results/load.json, the chart to docs/assets.`

const { values: given } = parseArgs({
  options: {
    contender: { type: "string", multiple: true, default: [] },
    callers: { type: "string", multiple: true, default: [] },
    rounds: { type: "string" },
    seed: { type: "string", default: "1" },
    quick: { type: "boolean", default: false },
    out: { type: "string" },
    profile: { type: "string" },
    help: { type: "boolean", default: false }
  }
})

const seed = Number(given.seed)
const participants = chosen(ids, given.contender)
const callers = given.callers.length === 0 ? [1, 64, 512] : given.callers.flatMap((list) => list.split(",").map(Number))
const rounds = Number(given.rounds ?? (given.quick ? 1 : 9))
/** Milliseconds in which a process comes up to speed, those of a measurement, and those before it. */
const settings = given.quick ? { warmUp: 500, lead: 50, millis: 200 } : { warmUp: 4000, lead: 200, millis: 500 }

interface Stand {
  readonly about: Caller.About
  readonly caller: Child.Child<Caller.Asks>
  readonly timed: Array<Caller.Timed>
}

type Absent = Results.Load["absent"][number]

const open = async (id: Id, callers: number, urls: ReadonlyArray<string>): Promise<Stand | Absent> => {
  const profile = given.profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${given.profile}/${id}-${callers}`]
  const caller = Child.start<Caller.Asks>("./callerProcess.ts", profile)
  try {
    const about = await caller.ask("open", id, urls)
    // For the same time, not the same calls: whoever is fast would be compiled less. Some wait for others to come along, so
    // that a single caller would bring them nowhere.
    await caller.ask("time", seed + 1, Math.max(64, callers), 0, settings.warmUp)
    return { about, caller, timed: [] }
  } catch (error) {
    await caller.stop()
    return { contender: id, why: (error as Error).message }
  }
}

const main = async (): Promise<void> => {
  const began = Date.now()
  warnIfBusy()
  const machine = Results.machine()
  const nodes = Child.start<Lean.Asks>("./leanProcess.ts")
  const urls = await nodes.ask("open")
  const all = new Map<number, ReadonlyArray<Stand>>()
  const absent = new Map<string, Absent>()
  for (const count of callers) {
    const stands: Array<Stand> = []
    for (const id of participants) {
      const stand = absent.get(id) ?? (await open(id, count, urls))
      if ("about" in stand) stands.push(stand)
      else if (!absent.has(id)) {
        absent.set(id, stand)
        say(`${id} takes no part: ${stand.why}`)
      }
    }
    // In turns, and often: what else the machine does in the meantime meets all of them alike.
    for (let round = 0; round < rounds; round++) {
      for (const { caller, timed } of stands) {
        timed.push(await caller.ask("time", seed, count, settings.lead, settings.millis))
      }
    }
    await Promise.all(stands.map(({ caller }) => caller.stop()))
    all.set(count, stands)
    say(`measured at ${count} callers`)
  }
  await nodes.stop()

  const contenders = all.get(callers[0]!)!.map(({ about }) => about)
  const cells = contenders.flatMap(({ id }) =>
    callers.flatMap((count) => {
      const stand = all.get(count)!.find(({ about }) => about.id === id)
      return stand === undefined ? [] : [cell(id, count, stand.timed)]
    })
  )
  const results: Results.Load = {
    at: new Date(began).toISOString(),
    seed,
    machine,
    versions: Results.versions(contenders.flatMap(({ packages }) => packages)),
    settings: { ...settings, rounds },
    contenders,
    callers,
    cells,
    absent: [...absent.values()],
    budgets: callers
      .flatMap((count) => Budgets.check(count, new Map(all.get(count)!.map(({ about, timed }) => [about.id, timed]))))
      .toSorted((a, b) => participants.indexOf(a.of as Id) - participants.indexOf(b.of as Id))
  }
  say(Tables.load(results))
  const whole = participants.length === ids.length && given.callers.length === 0
  if (given.out !== undefined) Results.write(given.out, results)
  else if (whole && !given.quick && given.profile === undefined) {
    Results.write(Results.path("load"), results)
    await Charts.write("load", Charts.load(results))
  }
  say(`${Math.round((Date.now() - began) / 1000)} s in all`)
}

const cell = (contender: Id, callers: number, timed: ReadonlyArray<Caller.Timed>): Results.LoadCell => {
  const cpu = timed.map(Budgets.cpuPer100k)
  return {
    contender,
    callers,
    perSecond: Math.round(median(timed.map(({ calls, seconds }) => calls / seconds))),
    cpu: round(median(cpu)),
    cpuRange: [round(Math.min(...cpu)), round(Math.max(...cpu))],
    failures: timed.reduce((sum, { failures }) => sum + failures, 0)
  }
}

if (given.help) say(usage)
else await main()
