import type { About } from "../src/callerProcess.ts"
import type { Id } from "../src/Contender.ts"
import type { FaultCell, Faults, Load, LoadCell, Run } from "../src/Results.ts"
import { weathers } from "../src/Weather.ts"

const about = (id: Id, title: string, under: "viem" | "ethers"): About => ({
  id,
  title,
  under,
  batched: id.includes("batch"),
  configuration: `${id}(urls)`,
  packages: [under]
})

const run: Run = {
  at: "2026-11-26T10:00:00.000Z",
  seed: 1,
  machine: { cpu: "CPU", cores: 2, memory: "4 GiB", os: "Linux", busy: 0.1 },
  versions: { node: "26.10.0", commit: "abc1234", viem: "2.57.20", "@hawser/viem": "0.0.0" },
  settings: {},
  contenders: [
    about("hawser-viem", "Hawser, viem", "viem"),
    about("viem-http", "viem http", "viem"),
    about("hawser-ethers", "Hawser, ethers", "ethers")
  ]
}

export const faultCell = (contender: Id, scenario: string, change: Partial<FaultCell> = {}): FaultCell => ({
  scenario,
  contender,
  calls: 1000,
  answered: 1000,
  untrue: 0,
  back: 0,
  unhandled: 0,
  p50: 10,
  p99: 100,
  requests: 1000,
  cpu: 0.1,
  errors: {},
  ...change
})

/** A run of every scenario, in which all are alike but for what is changed. */
export const faults = (...changed: ReadonlyArray<FaultCell>): Faults => ({
  ...run,
  scenarios: weathers.map(({ about, name, short }) => ({ name, short, about })),
  cells: weathers.flatMap(({ name }) =>
    run.contenders.map(
      ({ id }) => changed.find((cell) => cell.contender === id && cell.scenario === name) ?? faultCell(id, name)
    )
  )
})

export const loadCell = (contender: Id, callers: number, change: Partial<LoadCell> = {}): LoadCell => ({
  contender,
  callers,
  perSecond: 10_000,
  cpu: 5,
  cpuRange: [4, 6],
  failures: 0,
  ...change
})

/** The same without faults. */
export const load = (...changed: ReadonlyArray<LoadCell>): Load => ({
  ...run,
  callers: [1, 64],
  cells: run.contenders.flatMap(({ id }) =>
    [1, 64].map((n) => changed.find((cell) => cell.contender === id && cell.callers === n) ?? loadCell(id, n))
  ),
  absent: [],
  budgets: [
    { what: "under viem", of: "hawser-viem", against: "viem-http", callers: 64, ratio: 0.2, atMost: 0.3, holds: true },
    { what: "under viem", of: "hawser-viem", against: "viem-http", callers: 1, ratio: 0.4, atMost: 0.3, holds: false }
  ]
})
