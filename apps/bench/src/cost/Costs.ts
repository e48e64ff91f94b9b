/** The table of what each primitive costs per call, and whether it keeps to its budget. */
import {
  alone,
  aloneWaiting,
  among,
  awaited,
  measure,
  ratio,
  spread,
  type Spread,
  type Subject,
  within
} from "./Harness.ts"
import type { Case, Group } from "./Cases.ts"
import { breaker } from "./groups/breaker.ts"
import { cache } from "./groups/cache.ts"
import { concurrency, rateLimit } from "./groups/limits.ts"
import { pool } from "./groups/pool.ts"
import { stack } from "./groups/stack.ts"
import { hedge, retry, timeout } from "./groups/time.ts"
import { sync } from "./groups/works.ts"

export const groups: ReadonlyArray<Group> = [breaker, rateLimit, concurrency, pool, cache, timeout, hedge, retry, stack]

export interface Row {
  readonly group: string
  readonly name: string
  readonly by: Case["by"]
  /** Nanoseconds per call, on a fiber of its own. */
  readonly nanos: Spread
  /** As a multiple of `Effect.sync` run in the same way. */
  readonly alone: Spread
  readonly within: Spread | undefined
  readonly budget: { readonly text: string; readonly met: boolean } | undefined
}

const base = "Effect.sync"
const inside = (name: string) => `${name}, within`

const subjectsOf = ({ call, name, waits = false, width = 1 }: Case): ReadonlyArray<Subject> => {
  if ("promise" in call) return [{ name, least: width, run: among(width, awaited(call.promise)) }]
  const each = { name, least: width, run: among(width, (waits ? aloneWaiting : alone)(call.effect)) }
  return width > 1 ? [each] : [each, { name: inside(name), run: within(call.effect) }]
}

const baseline: Case = { name: base, by: "effect", call: { effect: sync } }

export const run = async (
  chosen: ReadonlyArray<Group>,
  settings: { readonly rounds: number; readonly millis: number }
): Promise<ReadonlyArray<Row>> => {
  const all = [{ group: "", cases: [baseline] }, ...chosen.map(({ cases, name }) => ({ group: name, cases: cases() }))]
  const times = await measure(
    all.flatMap(({ cases }) => cases.flatMap(subjectsOf)),
    settings
  )
  const budgetOf = ({ lessThan, micros, name, times: most }: Case): Row["budget"] => {
    if (most !== undefined) return { text: `≤ ${most} ×`, met: ratio(times, name, base).median <= most }
    if (micros === undefined) return undefined
    const met = spread(times.get(name)!).median <= micros * 1000
    if (lessThan === undefined) return { text: `≤ ${micros} µs`, met }
    return { text: `≤ ${micros} µs, < ${lessThan}`, met: met && ratio(times, name, lessThan).median < 1 }
  }
  return all.flatMap(({ cases, group }) =>
    cases.map((one): Row => ({
      group,
      name: one.name,
      by: one.by,
      nanos: spread(times.get(one.name)!),
      alone: ratio(times, one.name, base),
      within: times.has(inside(one.name)) ? ratio(times, inside(one.name), inside(base)) : undefined,
      budget: budgetOf(one)
    }))
  )
}
