import { assert, describe, it } from "vitest"
import * as fc from "fast-check"
import * as Machine from "../src/internal/machine.ts"
import type { Inspection } from "../src/internal/snapshot.ts"
import * as Snapshot from "../src/internal/snapshot.ts"
import { admitted, commands, core, machineOf, run, settingsOf, sketch } from "./trace.ts"

describe("a snapshot", () => {
  const saved = (m: Machine.Machine, now: number): Snapshot.Snapshot =>
    JSON.parse(JSON.stringify(Snapshot.save(m, now))) as Snapshot.Snapshot

  const still = (seen: Inspection) => ({ ...seen, counters: null, probes: null, retryAfter: null })

  it("restores what was there, but for the calls under way", () => {
    fc.assert(
      fc.property(sketch, commands, (sketch, commands) => {
        const { machine, now } = run(core, sketch, commands)
        const snapshot = saved(machine, now)
        assert.isTrue(Snapshot.isSnapshot(snapshot))
        const copy = Machine.make(settingsOf(sketch), now)
        Snapshot.load(copy, snapshot, now)
        assert.deepStrictEqual(still(Snapshot.inspect(copy, now)), still(Snapshot.inspect(machine, now)))
        assert.deepStrictEqual(saved(copy, now), snapshot)
      }),
      { numRuns: 200 }
    )
  })

  it("CB11: goes on under another clock as it would have under this one", () => {
    fc.assert(
      fc.property(sketch, commands, commands, (sketch, before, after) => {
        const exact = { ...sketch, jitter: 0 }
        const { machine, now } = run(core, exact, before)
        const snapshot = saved(machine, now)
        const restoring = {
          ...core,
          make: (...args: Parameters<typeof core.make>) => {
            const copy = core.make(...args)
            Snapshot.load(copy, snapshot, args[1])
            return copy
          }
        }
        assert.deepStrictEqual(seenAfter(restoring, exact, after, now), seenAfter(restoring, exact, after, 31))
      }),
      { numRuns: 100 }
    )
  })

  const seenAfter = (...args: Parameters<typeof run>) =>
    run(...args).steps.map(({ after, call, moves }) => ({ after, call, moves }))

  it("is held to the settings of whoever restores it", () => {
    const m = machineOf({ consecutive: 1, base: 1_000 })
    Machine.settle(m, admitted(m, 0), "failure", 0)
    const snapshot = Snapshot.save(m, 0)
    const strict = machineOf({ maxOpenFor: 200 })
    Snapshot.load(strict, snapshot, 0)
    assert.strictEqual(Snapshot.inspect(strict, 0).retryAfter, 200)
    assert.strictEqual(strict.openedFor, 200)
    Snapshot.load(strict, { ...snapshot, state: "half-open", successes: 7 }, 0)
    admitted(strict, 0)
    const recovering = machineOf({ recovery: 300 })
    Snapshot.load(recovering, { ...snapshot, state: "closed", remaining: 5_000, openedFor: 0 }, 0)
    assert.strictEqual(Snapshot.inspect(recovering, 0).share, 0.1)
    assert.strictEqual(Snapshot.inspect(recovering, 300).share, 1)
  })

  it("holds the probes that have succeeded, and how far a recovery has come", () => {
    const options = { consecutive: 1, base: 100, probes: 3, successes: 3, recovery: 1_000 }
    const m = machineOf(options)
    Machine.settle(m, admitted(m, 0), "failure", 0)
    for (const now of [100, 110]) Machine.settle(m, admitted(m, now), "success", now)
    const half = saved(m, 120)
    assert.deepStrictEqual([half.state, half.successes], ["half-open", 2])
    const copy = machineOf(options)
    Snapshot.load(copy, half, 0)
    Machine.settle(copy, admitted(copy, 0), "success", 0)
    assert.strictEqual(copy.epoch.state, "closed")
    const recovering = saved(copy, 400)
    assert.deepStrictEqual([recovering.state, recovering.remaining], ["closed", 600])
    const other = machineOf(options)
    Snapshot.load(other, recovering, 0)
    assert.closeTo(Snapshot.inspect(other, 0).share, 0.4, 1e-9)
  })

  it("is taken over with a rule for slow calls or without one, whoever made it", () => {
    const slowRate = Infinity
    const [plain, slow] = [machineOf({ slowAfter: Infinity }), machineOf({ slowAfter: 10, slowRate })]
    for (const m of [plain, slow]) {
      Machine.settle(m, admitted(m, 0), "success", 50)
    }
    assert.isNull(saved(plain, 50).slow)
    for (const from of [plain, slow]) {
      for (const slowAfter of [10, Infinity]) {
        const copy = machineOf({ slowAfter, slowRate })
        Snapshot.load(copy, saved(from, 50), 0)
        assert.strictEqual(Snapshot.inspect(copy, 0).total, 1)
        assert.strictEqual(Snapshot.inspect(copy, 0).slowRate, from === slow && slowAfter === 10 ? 1 : 0)
      }
    }
  })

  it("is told from other data", () => {
    const snapshot = Snapshot.save(machineOf({ slowAfter: 1, window: { millis: 10 } }), 0)
    assert.isTrue(Snapshot.isSnapshot(snapshot))
    const broken: ReadonlyArray<unknown> = [
      null,
      "closed",
      {},
      { ...snapshot, state: "ajar" },
      { ...snapshot, since: null },
      { ...snapshot, remaining: -1 },
      { ...snapshot, failures: undefined },
      { ...snapshot, failures: { calls: 3 } },
      { ...snapshot, slow: { ...snapshot.slow, width: null } },
      { ...snapshot, slow: { ...snapshot.slow, elapsed: -1 } },
      { ...snapshot, slow: { ...snapshot.slow, totals: { length: 10 } } },
      { ...snapshot, slow: { ...snapshot.slow, bads: "0".repeat(10) } },
      { ...snapshot, slow: { ...snapshot.slow, bads: Array(10).fill(0).with(9, -1) } },
      { ...snapshot, slow: { ...snapshot.slow, totals: [1] } },
      { ...snapshot, slow: { ...snapshot.slow, bads: Array(10).fill("0") } }
    ]
    for (const data of broken) assert.isFalse(Snapshot.isSnapshot(data), JSON.stringify(data))
  })
})
