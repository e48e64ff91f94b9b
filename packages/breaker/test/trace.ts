/** Random commands, the settings they run under, and what happened when they ran. */
import { assert } from "vitest"
import type { Outcome } from "@hawser/core"
import * as fc from "fast-check"
import * as Machine from "../src/internal/machine.ts"
import * as Snapshot from "../src/internal/snapshot.ts"
import type { Insistence, Move, Refusal, Settings } from "../src/internal/state.ts"
import { Permit } from "../src/internal/state.ts"

export type Command =
  | { readonly do: "call"; readonly insists: Insistence }
  /** Ends one of the calls made so far, perhaps for a second time. */
  | { readonly do: "end"; readonly which: number; readonly outcome: Outcome.Outcome; readonly hint: number }
  /** Time passes; if it is negative, the clock steps back. */
  | { readonly do: "wait"; readonly millis: number }
  | { readonly do: "isolate" }
  | { readonly do: "reset" }

const outcome: fc.Arbitrary<Outcome.Outcome> = fc.constantFrom(
  "failure",
  "failure",
  "failure",
  "success",
  "success",
  "neutral"
)

const insists = fc.constantFrom<Insistence>("none", "none", "probe", "health")

const end = fc.record({
  do: fc.constant("end" as const),
  // Mostly the latest call, so that probes are ended, too.
  which: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat(8)),
  outcome,
  hint: fc.oneof({ weight: 4, arbitrary: fc.constant(0) }, fc.constantFrom(30, 700, 1e9, Infinity))
})

export const command: fc.Arbitrary<Command> = fc.oneof(
  { weight: 24, arbitrary: fc.record({ do: fc.constant("call" as const), insists }) },
  { weight: 24, arbitrary: end },
  {
    weight: 16,
    arbitrary: fc.record({
      do: fc.constant("wait" as const),
      millis: fc.constantFrom(1, 7, 40, 100, 130, 400, 1000, -50)
    })
  },
  { weight: 1, arbitrary: fc.constant({ do: "isolate" as const }) },
  { weight: 2, arbitrary: fc.constant({ do: "reset" as const }) }
)

export const commands = fc.array(command, { maxLength: 80, size: "max" })

/** Settings in plain numbers; {@link settingsOf} makes them work. */
export interface Sketch extends Omit<Settings, "openFor" | "random"> {
  readonly base: number
  readonly seed: number
}

export const sketch: fc.Arbitrary<Sketch> = fc
  .record({
    consecutive: fc.constantFrom(1, 2, 4, Infinity),
    rate: fc.constantFrom(0.3, 0.5, 1, Infinity),
    minimumCalls: fc.integer({ min: 1, max: 4 }),
    window: fc.constantFrom({ calls: 4 }, { calls: 9 }, { millis: 1000 }),
    slowAfter: fc.constantFrom(40, 200, Infinity),
    slowRate: fc.constantFrom(0.5, 1),
    base: fc.constantFrom(0, 100, 150),
    maxOpenFor: fc.constantFrom(150, 500),
    jitter: fc.constantFrom(0, 0.2, 1),
    probes: fc.integer({ min: 1, max: 3 }),
    successes: fc.integer({ min: 1, max: 3 }),
    probeLease: fc.constantFrom(120, 5000),
    recovery: fc.constantFrom(0, 0, 500),
    seed: fc.nat()
  })
  .map((sketch) => ({ ...sketch, successes: Math.min(sketch.successes, sketch.probes) }))

/** Repeatable random numbers. */
export const dice = (seed: number) => () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
  return seed / 2 ** 32
}

export const openFor = (sketch: Sketch, opening: number): number => sketch.base * 2 ** (opening - 1)

export const settingsOf = (sketch: Sketch): Settings => ({
  ...sketch,
  openFor: (opening) => openFor(sketch, opening),
  random: dice(sketch.seed)
})

/** What the mutants change. */
export interface Core {
  readonly make: typeof Machine.make
  readonly acquire: typeof Machine.acquire
  readonly settle: typeof Machine.settle
  readonly isolate: typeof Machine.isolate
  readonly reset: typeof Machine.reset
  readonly inspect: typeof Snapshot.inspect
}

export const core: Core = {
  make: Machine.make,
  acquire: Machine.acquire,
  settle: Machine.settle,
  isolate: Machine.isolate,
  reset: Machine.reset,
  inspect: Snapshot.inspect
}

/** One command and what came of it. `before` and `after` are seen at the same time `now`. */
export interface Step {
  readonly command: Command
  readonly now: number
  readonly before: Snapshot.Inspection
  readonly after: Snapshot.Inspection
  /** Counts the states, and the resets that led from closed to closed. */
  readonly epoch: number
  /** Of a call: its number, or its refusal. Of an end: the number of the call. */
  readonly call: number | Refusal | undefined
  readonly moves: ReadonlyArray<Move>
}

export interface Trace {
  readonly sketch: Sketch
  readonly core: Core
  readonly machine: Machine.Machine
  readonly steps: ReadonlyArray<Step>
  readonly permits: ReadonlyArray<Permit>
  readonly now: number
}

/** Times are kept whole, so that the exactness of sums is not what is tested. */
export const origin = 1_000_000

export const run = (core: Core, sketch: Sketch, commands: ReadonlyArray<Command>, start = origin): Trace => {
  const machine = core.make(settingsOf(sketch), start)
  const steps: Array<Step> = []
  const permits: Array<Permit> = []
  let clock = start
  let now = start
  let epoch = 0
  for (const command of commands) {
    if (command.do === "wait") clock += command.millis
    now = Math.max(now, clock)
    const before = core.inspect(machine, clock)
    let call: Step["call"]
    switch (command.do) {
      case "call": {
        const result = core.acquire(machine, clock, () => command.insists)
        call = result instanceof Permit ? permits.push(result) - 1 : result
        break
      }
      case "end":
        if (permits.length > 0) {
          call = Math.max(0, permits.length - 1 - command.which)
          core.settle(machine, permits[call]!, command.outcome, clock, command.hint)
        }
        break
      case "isolate":
        core.isolate(machine, clock)
        break
      case "reset":
        core.reset(machine, clock)
        break
    }
    const moves = machine.moves.splice(0)
    const quiet = command.do === "reset" && moves.length === 0
    epoch += moves.length + (quiet ? 1 : 0)
    steps.push({ command, now, before, after: core.inspect(machine, clock), epoch, call, moves })
  }
  return { sketch, core, machine, steps, permits, now }
}

export const same = (actual: unknown, expected: unknown, message: string): void =>
  assert.deepStrictEqual(actual, expected, message)

/** No rule, no jitter, nothing special. */
export const plain: Sketch = {
  consecutive: Infinity,
  rate: Infinity,
  minimumCalls: 1,
  window: { calls: 10 },
  slowAfter: Infinity,
  slowRate: 1,
  base: 100,
  maxOpenFor: 1000,
  jitter: 0,
  probes: 1,
  successes: 1,
  probeLease: 5000,
  recovery: 0,
  seed: 1
}

export const machineOf = (sketch: Partial<Sketch>) => Machine.make(settingsOf({ ...plain, ...sketch }), 0)

export const no = (): Insistence => "none"

export const admitted = (m: Machine.Machine, now: number): Permit => {
  const permit = Machine.acquire(m, now, no)
  assert.instanceOf(permit, Permit)
  return permit
}
