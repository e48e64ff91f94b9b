/**
 * What the policies add to a call that answers at once: `node packages/retry/bench/retry.bench.ts`.
 *
 * Each row is the best of several rounds that take turns: nanoseconds over the bare call, which waits for one
 * microtask, and that as a multiple of a bare `Effect.sync` run on a fiber of its own. "alone" makes one call after the
 * other, "among 64" has so many under way. Rows beside ours are what Effect itself offers for the same job. A call that
 * takes longer than a turn of the event loop costs a timer on top, about a microsecond, shared by all that are under
 * way. The numbers say nothing about latency under load.
 */
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { Deadline, Hedge, Retry, Timeout } from "../src/index.ts"

const rounds = 25
const calls = 20_000

const call: Effect.Effect<number> = Effect.callback((resume) => {
  queueMicrotask(() => resume(Effect.succeed(1)))
})

const made = <P>(policy: Effect.Effect<P>): P => Effect.runSync(policy)

const timeout = made(Timeout.make("4 seconds"))
const deadline = made(Deadline.make("10 seconds"))
const retry = made(Retry.make())
const hedge = made(Hedge.make())
const schedule = Schedule.exponential("100 millis")

const cases: Record<string, Effect.Effect<unknown, unknown>> = {
  "": call,
  Timeout: timeout.execute(call),
  "  Effect.timeout": Effect.timeout(call, "4 seconds"),
  Deadline: deadline.execute(call),
  Retry: retry.execute(call),
  "  Effect.retry, times": Effect.retry(call, { times: 5 }),
  "  Effect.retry, schedule": Effect.retry(call, { schedule, times: 5 }),
  Hedge: hedge.execute(call),
  "  Effect.race, delayed": Effect.race(call, Effect.delay(call, "500 millis")),
  "all four": deadline.execute(retry.execute(hedge.execute(timeout.execute(call)))),
  "  Effect's, all four": Effect.timeout(
    Effect.retry(
      Effect.race(Effect.timeout(call, "4 seconds"), Effect.delay(Effect.timeout(call, "4 seconds"), "500 millis")),
      { schedule, times: 5 }
    ),
    "10 seconds"
  )
}

const run = async (self: Effect.Effect<unknown, unknown>, width: number): Promise<number> => {
  const repeat = () => {
    let i = 0
    return Effect.runPromise(
      Effect.whileLoop({ while: () => i < calls / width, body: () => self, step: () => void i++ })
    )
  }
  const start = process.hrtime.bigint()
  await Promise.all(Array.from({ length: width }, repeat))
  return Number(process.hrtime.bigint() - start) / calls
}

// @effect-diagnostics-next-line syncToSucceed:off
const sync = Effect.sync(() => 1)
let unit = Infinity
for (let round = 0; round < rounds; round++) {
  const start = process.hrtime.bigint()
  for (let i = 0; i < calls; i++) Effect.runSync(sync)
  unit = Math.min(unit, Number(process.hrtime.bigint() - start) / calls)
}
console.log(`Effect.sync on a fiber of its own: ${unit.toFixed(0)} ns`)

for (const width of [1, 64]) {
  const times: Record<string, number> = {}
  for (let round = 0; round < rounds; round++) {
    for (const [name, self] of Object.entries(cases)) {
      times[name] = Math.min(times[name] ?? Infinity, await run(self, width))
    }
  }
  console.log(width === 1 ? "\nalone" : `\namong ${width}`)
  for (const [name, time] of Object.entries(times)) {
    const over = time - (name === "" ? 0 : times[""]!)
    const label = name === "" ? "the bare call" : name
    console.log(`${label.padEnd(26)} ${over.toFixed(0).padStart(6)} ns  × ${(over / unit).toFixed(1)}`)
  }
}
