import { assert, describe, it } from "@effect/vitest"
import { JsonRpc, Outcome } from "@hawser/core"
import { Exit } from "effect"
import * as fc from "fast-check"
import { Commits } from "../src/internal/commits.ts"
import { Entries } from "../src/internal/entries.ts"
import { Flights } from "../src/internal/flights.ts"
import { type End, Model, type Settings } from "./support/model.ts"
import { World } from "./support/world.ts"

const keys = ["stale", "spare", "both", "shared"] as const
const terms = {
  stale: { fresh: 5, stale: 60, spare: 0, tag: "x" },
  spare: { fresh: 5, stale: 0, spare: 90, tag: "x" },
  both: { fresh: 10, stale: 30, spare: 60, tag: "y" },
  shared: { fresh: 0, stale: 0, spare: 0, tag: "y" }
}
const termsOf = (key: string) => terms[key as keyof typeof terms]
const policyOf = (key: string) => {
  const { fresh, spare, stale, tag } = termsOf(key)
  return { ttl: fresh, staleWhileRevalidate: stale, staleIfError: spare, tags: [tag] }
}

const rejected = new JsonRpc.Rejected({
  upstream: "a",
  code: 3,
  message: "execution reverted",
  data: "0x",
  kind: "revert",
  [Outcome.TypeId]: Outcome.verdict({ counts: "success", again: "nowhere" })
})

const results = [undefined, null, 0, "", false, "text", { a: 1 }].map((ok) => ({ ok }))
const failures = [
  { fail: "broken", excused: true },
  { fail: rejected, excused: false }
]

const key = fc.constantFrom("stale", "stale", "spare", "spare", "both", "both", "shared")
const often = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary })
const command = fc.oneof(
  often(8, fc.record({ do: fc.constant("ask" as const), key, within: fc.constantFrom(Infinity, Infinity, 10, 50, 0) })),
  often(
    4,
    fc.record({
      do: fc.constant("end" as const),
      which: fc.nat({ max: 4 }),
      end: fc.oneof(fc.constantFrom<End>(...results), fc.constantFrom<End>(...failures))
    })
  ),
  often(6, fc.record({ do: fc.constant("tick" as const), by: fc.integer({ min: 1, max: 20 }) })),
  often(3, fc.record({ do: fc.constant("set" as const), key, value: fc.constantFrom(null, "set") })),
  often(2, fc.record({ do: fc.constant("leave" as const), which: fc.nat({ max: 5 }) })),
  often(1, fc.record({ do: fc.constant("invalidate" as const), key })),
  often(
    1,
    fc.record({ do: fc.constantFrom("clear" as const, "invalidateTag" as const), tag: fc.constantFrom("x", "y") })
  )
)

type Command = typeof command extends fc.Arbitrary<infer C> ? C : never

/** Does the same to both. */
const step = (command: Command, world: World, model: Model): void => {
  switch (command.do) {
    case "ask": {
      world.ask(command.key, policyOf(command.key), command.within)
      return model.ask(command.key, command.within)
    }
    case "end": {
      const running = model.flights.filter((flight) => flight.state === "running")
      const flight = running[command.which % Math.max(1, running.length)]
      if (flight === undefined) return
      const { end } = command
      world.loads[model.flights.indexOf(flight)]?.end("ok" in end ? Exit.succeed(end.ok) : Exit.fail(end.fail))
      return model.end(flight, end)
    }
    case "tick": {
      for (let i = 0; i < command.by; i++) {
        world.clock.advance(1)
        model.tick()
      }
      return
    }
    case "leave": {
      const waiting = model.callers.filter((caller) => caller.result === undefined)
      const caller = waiting[command.which % Math.max(1, waiting.length)]
      if (caller === undefined) return
      world.callers[model.callers.indexOf(caller)]!.fiber.interruptUnsafe()
      return model.leave(caller)
    }
    case "invalidate": {
      world.run(world.cache.invalidate(command.key))
      return model.invalidate(command.key)
    }
    case "invalidateTag": {
      world.run(world.cache.invalidateTag(command.tag))
      return model.invalidateTag(command.tag, keys)
    }
    case "set": {
      world.run(world.cache.set(command.key, command.value, policyOf(command.key)))
      return model.set(command.key, command.value)
    }
    case "clear": {
      world.run(world.cache.clear())
      for (const each of keys) model.invalidate(each)
    }
  }
}

const result = (exit: Exit.Exit<unknown, unknown> | undefined) => {
  if (exit === undefined) return undefined
  if (exit._tag === "Success") return { value: exit.value }
  const reason = exit.cause.reasons[0]!
  return reason._tag === "Fail" ? { error: reason.error } : reason._tag === "Interrupt" ? "interrupted" : reason.defect
}

/** Fails with what differs. Quick where nothing does, since it runs after each step. */
const same = (what: string, real: unknown, expected: unknown): void => {
  if (!Object.is(real, expected)) assert.deepStrictEqual(real, expected, what)
}

const compare = (world: World, model: Model): void => {
  same("loads", world.loads.length, model.flights.length)
  for (const [i, flight] of model.flights.entries()) {
    const load = world.loads[i]!
    same(`key of load ${i}`, load.key, flight.key)
    same(`state of load ${i}`, load.state, flight.state)
    if (flight.state === "running") same(`deadline of load ${i}`, load.call.deadline, flight.deadline)
  }
  for (const [i, caller] of model.callers.entries()) {
    const real = world.callers[i]!
    same(`caller ${i}`, real.exit === undefined, caller.result === undefined)
    if (caller.result !== undefined) assert.deepStrictEqual(result(real.exit), caller.result, `caller ${i}`)
    same(`report of caller ${i}`, real.verdicts.join(), caller.verdicts.join())
  }
  for (const each of keys) {
    const entry = model.find(each)
    const held = world.cache.get(each)
    same(each, held === undefined, entry === undefined)
    if (entry === undefined) continue
    same(each, held?.value, entry.value)
    same(`age of ${each}`, held?.age, model.now - entry.written)
    same(`staleness of ${each}`, held?.stale, model.now - entry.written >= termsOf(each).fresh)
  }
  const { hits, inFlight, joined, misses, refreshes, refreshFailures, refreshing, stale } = world.cache.inspect()
  const counts = { ...stale, hits, joined, misses, refreshes, failures: refreshFailures }
  for (const [name, count] of Object.entries(model.counts)) same(name, counts[name as keyof typeof counts], count)
  same("in flight", inFlight, model.flights.filter((flight) => flight.state === "running").length)
  same("refreshing", refreshing, model.refreshing)
  assert.isAtMost(refreshing, model.settings.refreshConcurrency)
}

const defaults: Settings = {
  linger: 0,
  refreshAhead: 1,
  refreshConcurrency: 1,
  refreshTimeout: 30,
  refreshBackoff: 15
}

const differs = (settings: Settings, quick = false, numRuns = 100) =>
  fc.check(
    fc.property(fc.array(command, { minLength: 20, maxLength: 60 }), (commands) => {
      const world = new World({ ...settings, jitter: 0 })
      const model = new Model(settings, termsOf)
      for (const command of commands) {
        step(command, world, model)
        compare(world, model)
      }
      world.close()
      assert.isTrue(world.loads.every((load) => load.state !== "running"))
      assert.isTrue(world.callers.every((caller) => caller.exit !== undefined))
      assert.strictEqual(world.clock.sleeping, 0)
    }),
    { seed: 42, numRuns, endOnFailure: quick }
  )

const agrees = (settings: Settings) => {
  const { counterexample, errorInstance, failed } = differs(settings)
  assert.isFalse(failed, `${JSON.stringify(counterexample)} ${String(errorInstance)}`)
}

/** Puts a defect into the machinery while `f` runs. */
const defective = (prototype: object, defects: Record<string, (this: any, ...args: any) => any>, f: () => void) => {
  const sound = Object.keys(defects).map((name) => [name, Object.getOwnPropertyDescriptor(prototype, name)!] as const)
  for (const [name, defect] of Object.entries(defects)) Object.assign(prototype, { [name]: defect })
  try {
    f()
  } finally {
    for (const [name, descriptor] of sound) Object.defineProperty(prototype, name, descriptor)
  }
}

describe("the cache equals its model under any interleaving", () => {
  it("CA1 to CA9, CA13 to CA15: as it comes", () => agrees(defaults))
  it("CA3: loads that linger", () => agrees({ ...defaults, linger: 25 }))
  it("CA13: refreshes ahead of time, two at a time", () =>
    agrees({ ...defaults, refreshConcurrency: 2, refreshAhead: 0.5 }))
})

describe("mutants: each defect is found by the model", () => {
  const flights = Flights.prototype as any
  const commits = Commits.prototype as any
  const { leave, refresh, settle, wait } = flights
  const { fail, settle: commit } = commits

  const mutants: Record<string, readonly [object, Record<string, (this: any, ...args: any) => any>]> = {
    "CA2: every caller loads for itself": [
      flights,
      {
        wait(call, key, ...rest) {
          this.current.delete(key)
          return wait.call(this, call, key, ...rest)
        }
      }
    ],
    "CA2: an old load that ends takes a newer one out of the map": [
      flights,
      {
        settle(flight, exit) {
          const current = this.current.get(flight.key)
          settle.call(this, flight, exit)
          if (current !== flight) this.current.delete(flight.key)
        }
      }
    ],
    "CA3: the load ends with the first caller who leaves": [
      flights,
      {
        leave(flight, member) {
          const left = leave.call(this, flight, member)
          flight.abandon()
          return left
        }
      }
    ],
    "CA3: the load goes on when the last caller has left": [
      flights,
      {
        leave(flight, member) {
          return flight.leave(member)
        }
      }
    ],
    "CA5: a failure is kept": [
      commits,
      {
        fail(flight, exit, own, now) {
          const write = { payload: exit, ages: { fresh: 5, stale: 0, spare: 0 }, weight: 0, tags: [], writtenAt: now }
          const answer = fail.call(this, flight, exit, own, now)
          if (own) this.entries.put(flight.key, write, now)
          return answer
        }
      }
    ],
    "CA6: a load overwrites what was set while it ran": [
      commits,
      {
        settle(flight, exit, _own, now) {
          return commit.call(this, flight, exit, true, now)
        }
      }
    ],
    "CA6: callers join a load that was invalidated": [flights, { detach() {} }],
    "CA7: nobody refreshes what is stale": [flights, { refresh() {} }],
    "CA8: an old value hides the chain's own answer": [
      commits,
      {
        fail(flight, _exit, ...rest) {
          return fail.call(this, flight, Exit.fail("broken"), ...rest)
        }
      }
    ],
    "CA8: a caller whose time is up gets nothing": [flights, { watch() {} }],
    "CA9: a failed refresh removes the value": [
      commits,
      {
        backOff(key) {
          this.counts.refreshFailures++
          this.entries.delete(key)
        }
      }
    ],
    "CA9: refreshes do not back off": [
      commits,
      {
        backOff() {
          this.counts.refreshFailures++
        }
      }
    ],
    "CA13: refreshes without bound": [
      flights,
      {
        refresh(...args) {
          const { refreshing } = this
          this.refreshing = 0
          refresh.apply(this, args)
          this.refreshing += refreshing
        }
      }
    ],
    "CA14: what is falsy is not kept": [
      Entries.prototype,
      {
        calm(key, now) {
          const entry = this.find(key, now())
          return entry?.payload.value ? entry : undefined
        }
      }
    ],
    "CA15: reads prolong": [
      Entries.prototype,
      {
        read(entry) {
          entry.freshUntil++
        }
      }
    ]
  }

  it.each(Object.entries(mutants))("%s", (_name, [prototype, defects]) => {
    defective(prototype, defects, () => assert.isTrue(differs(defaults, true).failed))
  })
})
