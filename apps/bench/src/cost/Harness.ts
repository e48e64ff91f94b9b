/**
 * What a call costs, in CPU time, beside others in the same run.
 *
 * Each subject makes so many calls in a row that they take a few milliseconds, then it is the next one's turn, round
 * after round. A ratio is that of two subjects in the same round, so that a busy machine bends both alike; what is shown
 * is the median of the rounds' ratios, and their quartiles.
 *
 * An effect is run in two ways, made anew for each call as in a program:
 *
 * - **alone**: each call on a fiber of its own, by `Effect.runSync`, or `Effect.runPromise` where it waits, as behind viem
 *   and ethers. Budgets are multiples of `Effect.sync(() => 1)` run by `Effect.runSync`.
 * - **within**: one after the other inside one fiber (`yield*` in a loop), as in an Effect program. Here `Effect.sync`
 *   itself costs next to nothing, so every multiple is larger.
 */
import * as Effect from "effect/Effect"
import { quantile } from "../stats.ts"

/** One thing to be measured. Makes so many calls. */
export interface Subject {
  readonly name: string
  /** The least number of calls. Default 1. */
  readonly least?: number
  readonly run: (calls: number) => Promise<unknown>
}

/** Nanoseconds of CPU time per call, one number for each round. */
export type Times = ReadonlyMap<string, ReadonlyArray<number>>

export interface Spread {
  readonly q1: number
  readonly median: number
  readonly q3: number
}

type Make = () => Effect.Effect<unknown, unknown>

export const alone = (make: Make) => async (calls: number) => {
  for (let i = 0; i < calls; i++) Effect.runSync(make())
}

export const aloneWaiting = (make: Make) => async (calls: number) => {
  for (let i = 0; i < calls; i++) await Effect.runPromise(make())
}

export const within = (make: Make) => (calls: number) =>
  Effect.runPromise(
    Effect.gen(function* () {
      for (let i = 0; i < calls; i++) yield* make()
    })
  )

/** So many at once, each one call after the other. */
export const among =
  (width: number, run: Subject["run"]) =>
  (calls: number): Promise<unknown> =>
    Promise.all(Array.from({ length: width }, () => run(Math.ceil(calls / width))))

export const awaited = (call: () => Promise<unknown>) => async (calls: number) => {
  for (let i = 0; i < calls; i++) await call()
}

/** Makes a policy. */
export const made = <A>(effect: Effect.Effect<A, unknown>): A => Effect.runSync(effect)

const spent = async ({ run }: Subject, calls: number): Promise<number> => {
  const before = process.cpuUsage()
  await run(calls)
  const { system, user } = process.cpuUsage(before)
  return (user + system) * 1000
}

/** Measures each subject in each round. */
export const measure = async (
  subjects: ReadonlyArray<Subject>,
  { millis, rounds }: { readonly rounds: number; readonly millis: number }
): Promise<Times> => {
  const calls = new Map<Subject, number>()
  for (const subject of subjects) {
    let n = subject.least ?? 1
    // Several times in a row, because the first ones compile.
    for (let long = 0; long < 4 && n < 1e7;) {
      if ((await spent(subject, n)) >= millis * 1e6) long++
      else n *= 2
    }
    calls.set(subject, n)
  }
  const times = new Map<string, Array<number>>(subjects.map(({ name }) => [name, []]))
  for (let round = 0; round < rounds; round++) {
    for (const subject of subjects) {
      const n = calls.get(subject)!
      times.get(subject.name)!.push((await spent(subject, n)) / n)
    }
  }
  return times
}

export const spread = (values: ReadonlyArray<number>): Spread => ({
  q1: quantile(values, 0.25)!,
  median: quantile(values, 0.5)!,
  q3: quantile(values, 0.75)!
})

/** How many times as much one costs as another, round by round. */
export const ratio = (times: Times, name: string, base: string): Spread => {
  const bases = times.get(base)!
  return spread(times.get(name)!.map((time, round) => time / bases[round]!))
}
