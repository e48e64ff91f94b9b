/** What a run found out, as it is kept in `results/*.json`. */
import { execFileSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import * as os from "node:os"
import { dirname } from "node:path"
import { fileURLToPath } from "node:url"
import type { About } from "./callerProcess.ts"
import { round } from "./stats.ts"

export interface Run {
  /** When, in UTC. */
  readonly at: string
  readonly seed: number
  readonly machine: {
    readonly cpu: string
    readonly cores: number
    readonly memory: string
    readonly os: string
    /** What else it had to do: processes that wanted a core, on average over the minute before. */
    readonly busy: number
  }
  readonly versions: Readonly<Record<string, string>>
  readonly settings: Readonly<Record<string, number | string>>
  readonly contenders: ReadonlyArray<About>
}

export interface Faults extends Run {
  readonly scenarios: ReadonlyArray<{
    readonly name: string
    readonly short: readonly [string, string]
    readonly about: string
  }>
  readonly cells: ReadonlyArray<FaultCell>
  readonly promise?: Promised
}

/** One contender in one scenario. */
export interface FaultCell {
  readonly scenario: string
  readonly contender: string
  readonly calls: number
  /** Right or wrong, within the caller's patience. */
  readonly answered: number
  readonly untrue: number
  readonly back: number
  /** Failures that no caller could see, as unhandled rejections. */
  readonly unhandled: number
  /** Milliseconds within which half, and 99 of 100, of all calls were answered; `null`: they never were. */
  readonly p50: number | null
  readonly p99: number | null
  /** Requests that arrived at a node. None arrives at a closed port. */
  readonly requests: number
  /** CPU seconds. */
  readonly cpu: number
  /** What failed calls were told, most frequent first. */
  readonly errors: Readonly<Record<string, number>>
  /** The process ended on its own. */
  readonly crashed?: string
}

/** 100,000 reads while a fifth of all answers fails on three nodes. */
export interface Promised {
  readonly calls: number
  readonly failures: number
  readonly requests: number
  readonly atMost: { readonly failures: number; readonly requestsPerCall: number }
  readonly kept: boolean
}

export interface Load extends Run {
  readonly callers: ReadonlyArray<number>
  readonly cells: ReadonlyArray<LoadCell>
  /** Those who could not take part, and why. */
  readonly absent: ReadonlyArray<{ readonly contender: string; readonly why: string }>
  readonly budgets: ReadonlyArray<Budget>
}

/** One contender at one number of callers: the median over the rounds, and the rounds' extremes. */
export interface LoadCell {
  readonly contender: string
  readonly callers: number
  readonly perSecond: number
  /** CPU seconds per 100,000 calls. */
  readonly cpu: number
  readonly cpuRange: readonly [number, number]
  readonly failures: number
}

/** CPU time per call against a peer's. The ratio is the median of the rounds' own ratios. */
export interface Budget {
  readonly what: string
  readonly of: string
  readonly against: string
  readonly callers: number
  readonly ratio: number
  readonly atMost: number
  readonly holds: boolean
}

const here = new URL("..", import.meta.url)

/** Where the results of whole runs are kept. */
export const path = (kind: "faults" | "load"): URL => new URL(`results/${kind}.json`, here)

/** The results of the last whole run, if there was one. */
export const faults = (): Faults | undefined => read("faults") as Faults | undefined
export const load = (): Load | undefined => read("load") as Load | undefined

const read = (kind: "faults" | "load"): unknown =>
  existsSync(path(kind)) ? JSON.parse(readFileSync(path(kind), "utf8")) : undefined

export const write = (file: URL | string, run: Run): void => {
  mkdirSync(dirname(typeof file === "string" ? file : fileURLToPath(file)), { recursive: true })
  writeFileSync(file, `${JSON.stringify(run, undefined, 2)}\n`)
}

export const machine = (): Run["machine"] => ({
  cpu: os.cpus()[0]?.model.trim() ?? "unknown",
  cores: os.availableParallelism(),
  memory: `${Math.round(os.totalmem() / 2 ** 30)} GiB`,
  os: `${os.type()} ${os.release()} ${os.arch()}`,
  busy: round(os.loadavg()[0]!, 2)
})

/** Node's version, the commit, and those of packages. */
export const versions = (packages: Iterable<string>): Record<string, string> => {
  const found: Record<string, string> = { node: process.versions.node, commit: commit() }
  for (const name of new Set(packages)) {
    const manifest = new URL(`node_modules/${name}/package.json`, here)
    found[name] = (JSON.parse(readFileSync(manifest, "utf8")) as { readonly version: string }).version
  }
  return found
}

const commit = (): string => {
  const git = (...args: ReadonlyArray<string>) =>
    execFileSync("git", ["--no-optional-locks", ...args], {
      cwd: here,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"]
    }).trim()
  try {
    return git("rev-parse", "--short", "HEAD") + (git("status", "--porcelain", "packages") === "" ? "" : ", changed")
  } catch {
    return "unknown"
  }
}
