/** The invariants, each as a check of one trace. They look at what the circuit shows, not at how it works. */
import { assert } from "vitest"
import type { Inspection } from "../src/internal/snapshot.ts"
import { Permit } from "../src/internal/state.ts"
import { Model } from "./model.ts"
import type { Step, Trace } from "./trace.ts"
import { openFor, origin, same, settingsOf } from "./trace.ts"

export type Check = (trace: Trace) => void

const refusalOf = (step: Step) => (typeof step.call === "object" ? step.call : undefined)

/** The counters and rates that a call can move, without those that a refusal or an admission moves. */
const withCounters = (seen: Inspection, counters: Partial<Inspection["counters"]>): Inspection => ({
  ...seen,
  counters: { ...seen.counters, ...counters }
})

/** A call with the step that admitted it and the step at which its end counted. */
interface Life {
  readonly admitted: Step
  readonly epoch: number
  ended: Step | undefined
}

const isHealth = ({ admitted: { command } }: Life): boolean => command.do === "call" && command.insists === "health"

const counted = ({ counters }: Inspection): number => counters.successes + counters.failures + counters.neutrals

const lives = ({ steps }: Trace): ReadonlyArray<Life> => {
  const lives: Array<Life> = []
  for (const step of steps) {
    if (step.command.do === "call" && typeof step.call === "number") {
      // A call that makes the circuit half-open belongs to the new epoch.
      lives.push({ admitted: step, epoch: step.epoch, ended: undefined })
    }
    if (step.command.do === "end" && step.call !== undefined) {
      if (counted(step.after) > counted(step.before)) lives[step.call as number]!.ended ??= step
    }
  }
  return lives
}

/** All ends, with what they should have been: those that count, the second ones, those of an earlier epoch. */
const endings = (
  trace: Trace,
  f: (kind: "counts" | "again" | "late" | "lost", life: Life, step: Step) => void
): void => {
  const all = lives(trace)
  const ended = new Set<Life>()
  let epoch = 0
  for (const step of trace.steps) {
    if (step.command.do === "end" && step.call !== undefined) {
      const life = all[step.call as number]!
      const lost = life.ended !== step && step.before.state !== "closed"
      const expired = step.now - life.admitted.now >= trace.sketch.probeLease
      const kind = ended.has(life) ? "again" : life.epoch !== epoch ? "late" : lost && expired ? "lost" : "counts"
      ended.add(life)
      f(kind, life, step)
    }
    epoch = step.epoch
  }
}

export const checks: Record<string, Check> = {
  "the reference model": ({ core, sketch, steps }) => {
    const model = new Model(settingsOf(sketch), origin)
    let clock = origin
    for (const step of steps) {
      const { command } = step
      if (command.do === "wait") clock += command.millis
      if (command.do === "call") same(model.acquire(clock, command.insists), step.call, "answer")
      else if (command.do === "end" && step.call !== undefined) {
        model.settle(step.call as number, command.outcome, clock, command.hint)
      } else if (command.do === "isolate") model.isolate(clock)
      else if (command.do === "reset") model.reset(clock)
      same(step.moves, model.moves.splice(0), "moves")
      same(step.after, model.inspect(clock), "inspection")
    }
    assert.isDefined(core)
  },

  CB1: ({ steps }) => {
    let until = -Infinity
    for (const { after, before, call, command, moves, now } of steps) {
      if (before.state === "open" && now < until && command.do === "call") {
        if (command.insists === "none") assert.isObject(call, "nothing starts while open")
        const refusal = typeof call === "object" ? call : undefined
        if (refusal !== undefined) {
          same(refusal, { reason: "open", retryAfter: until - now }, "remaining time")
          same(after, withCounters(before, { refused: before.counters.refused + 1 }), "counters")
        }
      }
      for (const move of moves) if (move.to === "open") until = now + move.openFor
    }
  },

  CB2: (trace) => {
    const { probeLease, probes } = trace.sketch
    const all = lives(trace)
    // The success of a forced probe is the first of the epoch it begins.
    const forced = new Set<number>()
    for (const [index, step] of trace.steps.entries()) {
      const { after, command, epoch, moves } = step
      if (command.do === "end" && moves[0]?.to === "half-open" && !isHealth(all[step.call as number]!))
        forced.add(epoch)
      if (after.state !== "half-open") continue
      const mine = all.filter(
        (life) => life.epoch === epoch && !isHealth(life) && trace.steps.indexOf(life.admitted) <= index
      )
      const over = (life: Life) => life.ended !== undefined && trace.steps.indexOf(life.ended) <= index
      const running = mine.filter((life) => !over(life) && step.now - life.admitted.now < probeLease).length
      const successes = mine.filter(
        (life) => over(life) && life.ended!.command.do === "end" && life.ended!.command.outcome === "success"
      ).length
      assert.isAtMost(running + successes + (forced.has(epoch) ? 1 : 0), probes, "probes")
    }
  },

  CB3: (trace) =>
    endings(trace, (kind, _, { after, before, moves }) => {
      if (kind === "counts") return assert.strictEqual(counted(after), counted(before) + 1, "a result in time counts")
      same(after, before, "a late result changes nothing")
      same(moves, [], "a late result moves nothing")
    }),

  CB4: (trace) =>
    endings(trace, (kind, life, { after, before, command, moves, now }) => {
      if (kind !== "counts" || command.do !== "end" || command.outcome !== "neutral") return
      if (now - life.admitted.now >= trace.sketch.slowAfter) return
      const probes = before.state === "closed" || isHealth(life) ? before.probes : before.probes - 1
      const expected = withCounters({ ...before, probes }, { neutrals: before.counters.neutrals + 1 })
      same({ ...after, retryAfter: 0 }, { ...expected, retryAfter: 0 }, "a neutral ending frees its place")
      same(moves, [], "a neutral ending moves nothing")
    }),

  CB5: (trace) => {
    const { core, machine, permits, sketch } = trace
    if (machine.epoch.state === "isolated") return
    for (const permit of permits) core.settle(machine, permit, "neutral", trace.now)
    const later = trace.now + sketch.maxOpenFor + sketch.recovery
    assert.instanceOf(
      core.acquire(machine, later, () => "none"),
      Permit,
      "admitted again"
    )
    // Those probes never end.
    for (let i = 0; i < sketch.probes; i++) core.acquire(machine, later, () => "none")
    const atLast = later + sketch.probeLease
    assert.instanceOf(
      core.acquire(machine, atLast, () => "none"),
      Permit,
      "admitted after the lease"
    )
  },

  CB6: (trace) => {
    let state = "closed"
    for (const { command, moves } of trace.steps) {
      for (const move of moves) {
        assert.strictEqual(move.from, state, "the path is connected")
        const edge = `${move.from} > ${move.to}`
        const legal = ["closed > open", "open > half-open", "half-open > open", "half-open > closed"]
        if (command.do === "isolate") assert.strictEqual(move.to, "isolated")
        else if (command.do === "reset") assert.strictEqual(move.to, "closed")
        else assert.include(legal, edge)
        state = move.to
      }
    }
    endings(trace, (kind, _, { after, before, moves }) => {
      if (kind !== "again") return
      same(after, before, "settling twice is settling once")
      same(moves, [], "settling twice is settling once")
    })
  },

  CB8: ({ sketch, steps }) => {
    const { consecutive, minimumCalls, rate, slowRate } = sketch
    for (const { after, before, command, moves } of steps) {
      const tripped = moves.some(({ from, to }) => from === "closed" && to === "open")
      if (tripped) assert.isTrue(command.do === "end")
      if (command.do !== "end" || before.state !== "closed" || tripped) continue
      assert.isBelow(after.streak, consecutive, "the streak would have tripped it")
      if (after.failures === 0 || after.total < minimumCalls || command.outcome === "neutral") continue
      if (counted(after) === counted(before)) continue
      assert.isBelow(after.failures / after.total, rate, "the rate would have tripped it")
      if (after.slowRate > 0) assert.isBelow(after.slowRate, slowRate, "the slow rate would have tripped it")
    }
  },

  CB9: ({ sketch, steps }) => {
    let openings = 0
    let lasted = 0
    let closedAt = -Infinity
    let until = 0
    for (const { after, command, moves, now } of steps) {
      for (const move of moves) {
        if (move.to === "closed") {
          closedAt = now
          if (command.do === "reset") openings = lasted = 0
        }
        if (move.to !== "open") continue
        openings = move.from === "closed" && now - closedAt >= lasted ? 1 : openings + 1
        same(move.openings, openings, "openings in a row")
        const most = Math.min(openFor(sketch, openings), sketch.maxOpenFor)
        const failed = command.do === "end" && command.outcome === "failure"
        const hint = failed ? Math.min(command.hint, sketch.maxOpenFor) : 0
        assert.isAtLeast(move.openFor, Math.max(hint, most * (1 - sketch.jitter)), "not shorter")
        assert.isAtMost(move.openFor, Math.max(hint, most), "not longer")
        lasted = move.openFor
        until = now + lasted
      }
      if (command.do === "reset") {
        openings = lasted = 0
        closedAt = now
      }
      if (after.state === "open")
        assert.strictEqual(after.retryAfter, Math.max(0, until - now), "the end does not move")
    }
  },

  CB13: (trace) => {
    const { slowAfter } = trace.sketch
    let slow = 0
    endings(trace, (kind, life, { after, now }) => {
      if (kind === "counts" && now - life.admitted.now >= slowAfter) slow++
      assert.strictEqual(after.counters.slow, slow, "slow calls")
    })
  },

  CB15: ({ steps }) => {
    for (const step of steps) {
      const { after, before } = step
      const refusal = refusalOf(step)
      if (refusal === undefined || step.moves.length > 0) continue
      same(after, withCounters(before, { refused: before.counters.refused + 1 }), "a refusal is not a call")
    }
  },

  CB16: ({ sketch, steps }) => {
    let share = 0
    let closedAt = -Infinity
    for (const { after, command, moves, now } of steps) {
      const closed = moves.find(({ to }) => to === "closed")
      if (closed !== undefined || command.do === "reset") {
        share = 0
        closedAt = command.do === "reset" ? -Infinity : now
      }
      if (after.state !== "closed") continue
      assert.isAtLeast(after.share, Math.max(share, 0.1))
      assert.isAtMost(after.share, 1)
      if (now - closedAt >= sketch.recovery) assert.strictEqual(after.share, 1)
      share = after.share
    }
  }
}
