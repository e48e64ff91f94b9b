/** `npm run bench:faults`: the same bad weather for everybody. */
import { setTimeout } from "node:timers/promises"
import { parseArgs } from "node:util"
import type * as Caller from "./callerProcess.ts"
import * as Charts from "./Charts.ts"
import * as Child from "./Child.ts"
import { attemptMillis, chainId, type Id, inFaults } from "./Contender.ts"
import * as Judge from "./Judge.ts"
import type * as NodesProcess from "./nodesProcess.ts"
import { plan } from "./Plan.ts"
import * as Results from "./Results.ts"
import { quantile, round, tally } from "./stats.ts"
import * as Tables from "./Tables.ts"
import { chosen, say, warnIfBusy } from "./terminal.ts"
import { promise, type Weather, weathers } from "./Weather.ts"

const usage = `npm run bench:faults -- [options]

  --only <scenario>        these scenarios: ${weathers.map(({ name }) => name).join(", ")}, ${promise.name}
  --contender <contender>  these contenders: ${inFaults.join(", ")}
  --seed <number>          draws another run (default 1)
  --quick                  a tenth of the time, for a look
  --out <file>             writes the results there

Without --only, --contender and --quick the results go to apps/bench/results/faults.json, the charts to docs/assets.`

const { values: given } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    contender: { type: "string", multiple: true, default: [] },
    seed: { type: "string", default: "1" },
    quick: { type: "boolean", default: false },
    out: { type: "string" },
    help: { type: "boolean", default: false }
  }
})

const seed = Number(given.seed)
/** What is asked a second, for how long, and when a caller gives up. Each scenario keeps its shape in any length. */
const settings = given.quick
  ? { perSecond: 50, millis: 1500, patience: 3000, warmUp: 200, promised: 10_000 }
  : { perSecond: 50, millis: 15_000, patience: 10_000, warmUp: 1500, promised: 100_000 }

/** Milliseconds between two contenders, of the twenty between two calls of each. */
const apart = 2.5

const participants = chosen(inFaults, given.contender)
const names = [...weathers.map(({ name }) => name), promise.name]
const wanted = new Set(chosen(names, given.only))

interface Stand {
  readonly id: Id
  readonly nodes: Child.Child<NodesProcess.Asks>
}

const play = async (weather: Weather, stands: ReadonlyArray<Stand>) => {
  // All get ready before any is measured, and all are measured before any is judged.
  const ready = await Promise.all(stands.map((stand) => open(stand)))
  const played = await Promise.all(
    stands.map(async ({ nodes }, i) => {
      // All have the same schedule: a little apart, so that they do not all want the machine in the same moment.
      await setTimeout(i * apart)
      // The last time may be seconds ago: whoever has not asked since knows of no head that a node could fall behind.
      await ready[i]!.caller.ask("work", seed + 2, 20, 2, 1000)
      await nodes.ask("play", weather.name, settings.millis)
      return measure(ready[i]!.caller)
    })
  )
  const cells = await Promise.all(
    stands.map(async ({ id, nodes }, i) => {
      const requests = (await nodes.ask("count")).reduce((sum, count) => sum + count, 0)
      return cell(weather, id, played[i]!, requests, await verdicts(played[i]!, nodes, ready[i]!.urls[0]!))
    })
  )
  await Promise.all(ready.map(({ caller }) => caller.stop()))
  return { cells, contenders: ready.map(({ about }) => about) }
}

const open = async ({ id, nodes }: Stand) => {
  const urls = await nodes.ask("open", seed)
  const caller = Child.start<Caller.Asks>("./callerProcess.ts")
  const about = await caller.ask("open", id, urls)
  await caller.ask("work", seed + 1, settings.warmUp, 8, 3000)
  return { about, caller, urls }
}

type Played = Caller.Played & { readonly crashed?: string }

const measure = async (caller: Child.Child<Caller.Asks>): Promise<Played> => {
  try {
    return await caller.ask("play", seed, settings.perSecond, settings.millis, settings.patience)
  } catch (error) {
    const answers = calls.map(() => ({ floor: 0, took: Infinity, error: "crashed" }))
    return { began: 0, answers, cpu: 0, unhandled: 0, crashed: (error as Error).message }
  }
}

const calls = plan(seed, settings.perSecond, settings.millis)

const verdicts = async ({ answers, began }: Played, nodes: Stand["nodes"], url: string) => {
  const blocks = await nodes.ask("truth")
  return Judge.judge(calls, answers, Judge.headAt(blocks, began), Judge.ask(url))
}

const cell = (
  { name }: Weather,
  contender: Id,
  { answers, cpu, crashed, unhandled }: Played,
  requests: number,
  verdicts: ReadonlyArray<Judge.Verdict>
): Results.FaultCell => {
  const inTime = (i: number) => verdicts[i] !== "failed" && answers[i]!.took <= settings.patience
  const count = (verdict: Judge.Verdict) => verdicts.filter((one, i) => one === verdict && inTime(i)).length
  // Who never gets an answer waits for ever.
  const waits = answers.map(({ took }, i) => (inTime(i) ? took : Infinity))
  const within = (share: number) => {
    const wait = quantile(waits, share)
    return wait === undefined || wait === Infinity ? null : round(wait)
  }
  return {
    scenario: name,
    contender,
    calls: calls.length,
    answered: waits.filter(Number.isFinite).length,
    untrue: count("untrue"),
    back: count("back"),
    unhandled,
    p50: within(0.5),
    p99: within(0.99),
    requests,
    cpu: round(cpu, 4),
    errors: tally(answers.flatMap(({ error }, i) => (inTime(i) ? [] : [kindOf(error ?? "too late")]))),
    ...(crashed === undefined ? {} : { crashed })
  }
}

/** An error without the numbers that make each another. */
const kindOf = (error: string): string => error.replaceAll(/\d+/g, "n").slice(0, 240)

/** What DESIGN promises of reads while a fifth of all requests fails, told from as many as it speaks of. */
const keepPromise = async (nodes: Stand["nodes"]): Promise<Results.Promised> => {
  const { caller } = await open({ id: "hawser-viem", nodes })
  await nodes.ask("play", promise.name, 0)
  const failures = await caller.ask("work", seed, settings.promised, 64, Infinity)
  const requests = (await nodes.ask("count")).reduce((sum, count) => sum + count, 0)
  await caller.stop()
  const atMost = { failures: Math.ceil((15 * settings.promised) / 100_000), requestsPerCall: 1.35 }
  const perCall = requests / settings.promised
  const kept = failures <= atMost.failures && perCall >= 1 && perCall <= atMost.requestsPerCall
  return { calls: settings.promised, failures, requests, atMost, kept }
}

const main = async (): Promise<void> => {
  const began = Date.now()
  warnIfBusy()
  const machine = Results.machine()
  const stands = participants.map((id): Stand => ({ id, nodes: Child.start("./nodesProcess.ts") }))
  const scenarios = weathers.filter(({ name }) => wanted.has(name))
  const cells: Array<Results.FaultCell> = []
  let contenders: ReadonlyArray<Caller.About> = []
  for (const weather of scenarios) {
    const played = await play(weather, stands)
    cells.push(...played.cells)
    contenders = played.contenders
    say(Tables.scenario(weather, played.contenders, played.cells))
  }
  const promised =
    wanted.has(promise.name) && participants.includes("hawser-viem")
      ? await keepPromise(stands.find(({ id }) => id === "hawser-viem")!.nodes)
      : undefined
  if (promised !== undefined) say(Tables.promised(promised))
  await Promise.all(stands.map(({ nodes }) => nodes.stop()))

  const results: Results.Faults = {
    at: new Date(began).toISOString(),
    seed,
    machine,
    versions: Results.versions(contenders.flatMap(({ packages }) => packages)),
    settings: { ...settings, attemptMillis, chainId },
    contenders,
    scenarios: scenarios.map(({ about, name, short }) => ({ name, short, about })),
    cells,
    ...(promised === undefined ? {} : { promise: promised })
  }
  const whole = wanted.size === names.length && participants.length === inFaults.length && !given.quick
  if (given.out !== undefined) Results.write(given.out, results)
  else if (whole) {
    Results.write(Results.path("faults"), results)
    await Charts.write("faults", Charts.faults(results))
  }
  say(`${Math.round((Date.now() - began) / 1000)} s in all`)
}

if (given.help) say(usage)
else await main()
