/**
 * Outages at random: upstreams behind breakers that go down and come back, callers with deadlines who come and go.
 *
 * A failing case prints fast-check's seed and its smallest counterexample.
 */
import { assert, describe, it } from "@effect/vitest"
import { Call, Outcome } from "@hawser/core"
import { Interruption } from "@hawser/testkit"
import { Clock, Data, Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { UpstreamPool } from "../src/index.ts"
import { LastResort } from "../src/internal/lastResort.ts"
import { Lease } from "../src/internal/lease.ts"
import { Member } from "../src/internal/member.ts"
import { Round } from "../src/internal/round.ts"

class Down extends Data.TaggedError("Down")<{}> {}
class Open extends Data.TaggedError("Open")<{ readonly [Outcome.TypeId]: Outcome.Verdict }> {}

const open = (millis: number) =>
  new Open({ [Outcome.TypeId]: Outcome.refusal(Duration.millis(Math.max(1, millis)), "probe") })

interface Plan {
  readonly latency: number
  /** When it is down, as pairs of beginning and end. */
  readonly outages: ReadonlyArray<readonly [from: number, until: number]>
  /** Failures in a row that open its breaker; 0: it is open from the start. */
  readonly threshold: number
}

interface Guest {
  readonly at: number
  readonly within: number
  /** When it leaves, after it came. */
  readonly leaves: number | undefined
}

/** An upstream behind a breaker of the simplest kind: open until somebody is answered. */
class Node {
  readonly name: string
  readonly plan: Plan
  streak = 0
  readonly probes: Array<{ readonly from: number; until: number; ends: Outcome.Outcome }> = []
  answers: Array<number> = []

  constructor(name: string, plan: Plan) {
    this.name = name
    this.plan = plan
    this.streak = plan.threshold === 0 ? 1 : 0
  }

  isUp(at: number): boolean {
    return this.plan.outages.every(([from, until]) => at < from || at >= until)
  }

  readonly ask = Effect.suspend(() => Effect.flatMap(Call.Insist, (insist) => this.request(insist === "probe")))

  private request(probe: boolean): Effect.Effect<string, Down | Open> {
    if (!probe && this.streak >= Math.max(1, this.plan.threshold)) return Effect.fail(open(5_000))
    return Effect.flatMap(time, (from) => {
      const one = { from, until: Infinity, ends: "neutral" as Outcome.Outcome }
      if (probe) this.probes.push(one)
      const wait = this.plan.latency === 0 ? Effect.void : Effect.sleep(Duration.millis(this.plan.latency))
      const answer = Effect.flatMap(time, (at) => (this.isUp(at) ? Effect.succeed(this.name) : Effect.fail(new Down())))
      return Effect.onExit(Effect.andThen(wait, answer), (exit) =>
        Effect.map(time, (at) => {
          one.until = at
          one.ends = Outcome.ofExit(exit)
          if (one.ends === "success") this.answers.push(at)
          if (one.ends === "success") this.streak = 0
          if (one.ends === "failure") this.streak++
        })
      )
    })
  }
}

const time = Effect.map(Clock.Clock, Call.now)

interface Visit {
  readonly guest: Guest
  readonly call: Call.Call
  exit: Exit.Exit<string, unknown> | undefined
  ended: number
}

/** Plays it all to the end, and tells what became of everybody. */
const play = (plans: ReadonlyArray<Plan>, guests: ReadonlyArray<Guest>, checked = false) =>
  Effect.gen(function* () {
    const nodes = plans.map((plan, i) => new Node("abc"[i]!, plan))
    const pool = yield* UpstreamPool.make(nodes.map((node) => ({ name: node.name, upstream: node })))
    const visits = guests.map((guest): Visit => ({ guest, call: new Call.Call(), exit: undefined, ended: Infinity }))
    const visit = (it: Visit) =>
      Effect.gen(function* () {
        it.call.deadline = (yield* time) + it.guest.within
        const fiber = yield* Effect.forkChild(
          Effect.provideService(
            pool.execute((node) => node.ask, checked ? { check: (node) => node.ask } : {}),
            Call.Current,
            it.call
          ),
          { startImmediately: true }
        )
        fiber.addObserver((exit) => void (it.exit = exit))
        yield* Effect.raceFirst(
          Effect.asVoid(Fiber.await(fiber)),
          it.guest.leaves === undefined ? Effect.never : Effect.sleep(Duration.millis(it.guest.leaves))
        )
        yield* Fiber.interrupt(fiber)
        it.ended = yield* time
      })
    for (const it of visits) yield* Effect.forkChild(Effect.delay(visit(it), Duration.millis(it.guest.at)))
    yield* TestClock.adjust("1 minute")
    return { nodes, pool, visits }
  }).pipe(Effect.scoped, Effect.provide(TestClock.layer()))

type Played = Effect.Success<ReturnType<typeof play>>

const isAtRest = ({ nodes, pool, visits }: Played): void => {
  for (const { exit } of visits) assert.isDefined(exit, "somebody hangs")
  for (const { inflight, name } of pool.inspect()) assert.strictEqual(inflight, 0, `under way at ${name}`)
  for (const { probes } of nodes) for (const { until } of probes) assert.isBelow(until, Infinity)
}

/** Nobody waits beyond the deadline: at most for the answer to what was sent before it. */
const isInTime = ({ nodes, visits }: Played): void => {
  const slowest = Math.max(...nodes.map(({ plan }) => plan.latency))
  for (const { ended, guest } of visits) assert.isAtMost(ended, guest.at + guest.within + slowest, "waits too long")
}

const isWithinAttempts = ({ visits }: Played): void => {
  for (const { call } of visits) assert.isAtMost(call.sent, 6)
}

/** One at a time, and after each failure in a row for twice as long, up to a second; by chance up to half shorter. */
const isSpaced = ({ nodes }: Played): void => {
  for (const { answers, name, probes } of nodes) {
    let gap = 0
    for (const [i, { ends, from, until }] of probes.entries()) {
      const next = probes[i + 1]
      if (ends === "failure") gap = Math.min(1_000, Math.max(50, 2 * gap))
      if (answers.some((at) => at >= from && (next === undefined || at <= next.from))) gap = 0
      if (next === undefined) break
      assert.isAtLeast(next.from, until, `two probes at once at ${name}`)
      if (ends === "failure") assert.isAtLeast(next.from - until, gap / 2 - 1e-6, `probes in a row at ${name}`)
    }
  }
}

const latency = fc.constantFrom(0, 0, 30, 200)

const plan: fc.Arbitrary<Plan> = fc.record({
  latency,
  outages: fc.array(
    fc.tuple(fc.nat(8_000), fc.integer({ min: 100, max: 9_000 })).map(([from, lasts]) => [from, from + lasts] as const),
    { maxLength: 3 }
  ),
  threshold: fc.constantFrom(0, 1, 3)
})

const guest: fc.Arbitrary<Guest> = fc.record({
  at: fc.nat(10_000),
  within: fc.integer({ min: 50, max: 10_000 }),
  leaves: fc.option(fc.nat(3_000), { nil: undefined, freq: 3 })
})

const holds = <T>(numRuns: number, arbitrary: fc.Arbitrary<T>, check: (input: T) => Effect.Effect<void, unknown>) =>
  fc.assert(
    fc.asyncProperty(arbitrary, (input) => Effect.runPromise(check(input))),
    { numRuns }
  )

const seen = fc.tuple(fc.array(plan, { minLength: 1, maxLength: 3 }), fc.array(guest, { minLength: 1, maxLength: 25 }))

/** Nobody hangs past the deadline, nothing is left, six attempts are six, probes are spaced. */
const sound = (played: Played): void => {
  isAtRest(played)
  isInTime(played)
  isWithinAttempts(played)
  isSpaced(played)
}

const crowds = fc.record({
  latencies: fc.array(latency, { minLength: 1, maxLength: 3 }),
  lasts: fc.integer({ min: 500, max: 6_000 }),
  leaving: fc.array(fc.option(fc.nat(400), { nil: undefined, freq: 4 }), { minLength: 80, maxLength: 80 })
})

/** One upstream is down and comes back, the others never do; somebody comes every tenth of a second. */
const isAnswered = ({ lasts, latencies, leaving }: typeof crowds extends fc.Arbitrary<infer C> ? C : never) => {
  const plans = latencies.map((latency, i) => ({
    latency,
    outages: [[0, i === 0 ? lasts : 1e9] as const],
    threshold: 0
  }))
  const guests = leaving.map((leaves, i) => ({ at: 100 * i, within: 10_000, leaves }))
  return Effect.map(play(plans, guests), (played) => {
    sound(played)
    // The gap, the next caller's coming, a probe of each other upstream, the answer of this one, twice.
    const slowest = Math.max(...latencies)
    const by = lasts + 1_000 + 100 + 4 * slowest
    for (const { call, ended, exit, guest } of played.visits) {
      if (guest.leaves !== undefined || call.sent === 6) continue
      assert.isTrue(Exit.isSuccess(exit!), `came at ${guest.at}, ended at ${ended}: ${String(exit)}`)
      assert.isAtMost(ended, Math.max(by, guest.at + 1_000 + 4 * slowest), `came at ${guest.at}`)
    }
  })
}

const alone = fc.record({
  latencies: fc.array(latency, { minLength: 1, maxLength: 3 }),
  lasts: fc.integer({ min: 500, max: 6_000 })
})

/** One caller has an outage for itself. */
const isAnsweredAlone = ({ lasts, latencies }: typeof alone extends fc.Arbitrary<infer C> ? C : never) => {
  const plans = latencies.map((latency, i) => ({
    latency,
    outages: [[0, i === 0 ? lasts : 1e9] as const],
    threshold: 0
  }))
  return Effect.map(play(plans, [{ at: 0, within: 10_000, leaves: undefined }], true), (played) => {
    sound(played)
    const [{ ended, exit }] = played.visits as [Visit]
    assert.isTrue(Exit.isSuccess(exit!), String(exit))
    // The gap, a check of each other upstream, the answer of this one, twice.
    assert.isAtMost(ended, lasts + 1_000 + 4 * Math.max(...latencies))
  })
}

describe("random outages", () => {
  it("nobody hangs past the deadline, nothing is left, six attempts are six, probes are spaced", () =>
    holds(150, seen, ([plans, guests]) => Effect.map(play(plans, guests), sound)))

  it("the same with checks", () => holds(150, seen, ([plans, guests]) => Effect.map(play(plans, guests, true), sound)))

  it("whoever waits is answered within a probe's gap after one upstream is back", () => holds(60, crowds, isAnswered))

  it("with a check, so is whoever is alone", () => holds(100, alone, isAnsweredAlone))
})

describe("a quorum in random outages", () => {
  it("nobody casts two ballots, whoever sits out what", () =>
    holds(
      300,
      fc.record({
        plans: fc.array(plan, { minLength: 2, maxLength: 3 }),
        of: fc.constantFrom(2, 3),
        at: fc.nat(9_000)
      }),
      ({ at, of, plans }) =>
        Effect.gen(function* () {
          const nodes = plans.map((plan, i) => new Node("abc"[i]!, plan))
          const pool = yield* UpstreamPool.make(nodes.map((node) => ({ name: node.name, upstream: node })))
          yield* TestClock.adjust(at)
          const call = Object.assign(new Call.Call(), { deadline: at + 10_000 })
          // Nobody agrees with anybody, so that the disagreement names all who answered.
          const poll = pool.quorum((node) => node.ask, { of, agree: of, equal: () => false })
          const fiber = yield* Effect.forkChild(Effect.flip(Effect.provideService(poll, Call.Current, call)))
          yield* TestClock.adjust("1 minute")
          const error = yield* Fiber.join(fiber)
          if (error._tag !== "Disagreement") return
          const voters = error.groups.flatMap(({ upstreams }) => upstreams)
          assert.strictEqual(new Set(voters).size, voters.length, voters.join())
        }).pipe(Effect.scoped, Effect.provide(TestClock.layer()))
    ))
})

/** A name with whatever a test wants it to do. */
interface Scripted {
  readonly name: string
  answer: (insist: Call.Insistence) => Effect.Effect<string, Down | Open>
}

const behindBreaker = (name: string, probe: Effect.Effect<string, Down | Open>): Scripted => ({
  name,
  answer: (insist) => (insist === "probe" ? probe : Effect.fail(open(5_000)))
})

const poolOf = (...nodes: ReadonlyArray<Scripted>) =>
  Effect.map(UpstreamPool.make(nodes.map((node) => ({ name: node.name, upstream: node }))), (pool) => {
    const counts: Record<string, number> = {}
    const ask = (node: Scripted) =>
      Effect.flatMap(Call.Insist, (insist) =>
        Effect.suspend(() => {
          counts[node.name] = (counts[node.name] ?? 0) + 1
          return node.answer(insist)
        })
      )
    const call = Effect.flatMap(time, (now) =>
      Effect.provideService(pool.execute(ask), Call.Current, Object.assign(new Call.Call(), { deadline: now + 10_000 }))
    )
    return { pool, ask, call, counts }
  })

const now = { startImmediately: true }
const down = Effect.fail(new Down())

describe("an outage", () => {
  it.effect("a probe that takes time and fails leaves the others waiting, not failed", () =>
    Effect.gen(function* () {
      const a = behindBreaker("a", Effect.andThen(Effect.sleep("200 millis"), down))
      const { call } = yield* poolOf(a)
      const fibers = yield* Effect.replicateEffect(Effect.forkChild(call, now), 5)
      yield* TestClock.adjust("300 millis")
      assert.isTrue(fibers.every((fiber) => fiber.pollUnsafe() === undefined))
      a.answer = () => Effect.succeed("a")
      yield* TestClock.adjust("2 seconds")
      for (const fiber of fibers) assert.strictEqual(yield* Fiber.join(fiber), "a")
    })
  )

  it.effect("a probe that its caller leaves is the next one's to send", () =>
    Effect.gen(function* () {
      const a = behindBreaker("a", Effect.never)
      const { call, counts } = yield* poolOf(a)
      const first = yield* Effect.forkChild(call, now)
      const second = yield* Effect.forkChild(call, now)
      assert.strictEqual(counts["a"], 3)
      a.answer = (insist) => (insist === "probe" ? Effect.succeed("a") : down)
      yield* Fiber.interrupt(first)
      assert.strictEqual(yield* Fiber.join(second), "a")
    })
  )

  it.effect("a probe that hangs keeps nobody from finding that another upstream is back", () =>
    Effect.gen(function* () {
      const a = behindBreaker("a", Effect.never)
      const b = behindBreaker("b", down)
      const { call } = yield* poolOf(a, b)
      const fibers = yield* Effect.replicateEffect(Effect.forkChild(call, now), 5)
      yield* TestClock.adjust("1 second")
      b.answer = () => Effect.succeed("b")
      yield* TestClock.adjust("1 second")
      // But for the one that hangs there.
      assert.lengthOf(
        fibers.filter((fiber) => fiber.pollUnsafe() !== undefined),
        4
      )
      yield* Effect.forEach(fibers, Fiber.interrupt)
    })
  )

  it.effect("where one upstream lets calls pass, and fails, it is for a retry to ask it again", () =>
    Effect.gen(function* () {
      const a: Scripted = { name: "a", answer: () => down }
      const { call } = yield* poolOf(a, behindBreaker("b", down))
      for (let i = 0; i < 3; i++) {
        const fiber = yield* Effect.forkChild(Effect.flip(call), now)
        yield* TestClock.adjust(0)
        assert.strictEqual(fiber.pollUnsafe()?._tag, "Success")
      }
    })
  )

  it.effect("one that is down, and then refuses for a reason that no probe lifts, is not asked over and over", () =>
    Effect.gen(function* () {
      const a = behindBreaker("a", down)
      const { call, counts } = yield* poolOf(a)
      const fiber = yield* Effect.forkChild(Effect.flip(call), now)
      a.answer = () => Effect.fail(new Open({ [Outcome.TypeId]: Outcome.refusal(Duration.hours(1), "wait") }))
      yield* TestClock.adjust("10 seconds")
      assert.instanceOf(yield* Fiber.join(fiber), Call.NoAnswer)
      assert.isAtMost(counts["a"]!, 4)
    })
  )

  it.effect("who is drained or replaced meanwhile is not probed", () =>
    Effect.gen(function* () {
      for (const gone of ["drained", "replaced"]) {
        const nodes = ["a", "b"].map((name) => behindBreaker(name, Effect.andThen(Effect.sleep("100 millis"), down)))
        const { call, counts, pool } = yield* poolOf(...nodes)
        const fiber = yield* Effect.forkChild(Effect.flip(call), now)
        // One was refused once, the other is being probed.
        const [stays, goes] = nodes.toSorted((a, b) => counts[b.name]! - counts[a.name]!)
        if (gone === "drained") yield* pool.drain(goes!.name)
        else yield* pool.set([{ name: stays!.name, upstream: stays! }])
        yield* TestClock.adjust("10 seconds")
        assert.strictEqual(counts[goes!.name], 1, gone)
        assert.instanceOf(yield* Fiber.join(fiber), Call.NoAnswer)
      }
    })
  )

  it.effect("interruption at every step: no two probes at once, nothing under way, nobody asleep", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.gen(function* () {
          const running: Record<string, number> = {}
          const probe = (name: string, result: Effect.Effect<string, Down>) =>
            Outcome.guard(
              Effect.andThen(Effect.sleep("30 millis"), result),
              () => {
                running[name] = (running[name] ?? 0) + 1
                assert.strictEqual(running[name], 1, "two probes at once")
                return running
              },
              () => void running[name]!--
            )
          const start = yield* time
          const result = (name: string) =>
            Effect.flatMap(time, (at) => (at - start > 150 ? Effect.succeed(name) : down))
          const nodes = ["a", "b"].map((name) => behindBreaker(name, probe(name, result(name))))
          const { call, pool } = yield* poolOf(...nodes)
          return {
            run: Effect.all([call, call, call], { concurrency: "unbounded" }),
            check: () => {
              for (const { inflight } of pool.inspect()) assert.strictEqual(inflight, 0)
              for (const n of Object.values(running)) assert.strictEqual(n, 0)
            }
          }
        })
      )
      assert.isAbove(steps, 100)
    })
  )
})

describe("mutants: each defect is found", () => {
  const { settle } = Lease.prototype as any

  const mutants: Record<string, readonly [object, Record<string, (this: any, ...args: any) => any>]> = {
    "probes follow each other without a gap": [
      Member.prototype,
      {
        probeFailed() {
          this.probeGap = 50
        }
      }
    ],
    "two callers probe at once": [
      LastResort.prototype,
      {
        isDue(member) {
          return !this.spent.has(member) && Call.now(this.pool.clock) >= member.probeAt
        }
      }
    ],
    "all fail with the first probe": [
      LastResort.prototype,
      {
        sitOut() {
          return this.round.giveUp()
        }
      }
    ],
    "whoever wakes asks nobody again": [
      Round.prototype,
      {
        startOver() {
          this.refusals = undefined
          return this.next()
        }
      }
    ],
    "an upstream that is back is found out late": [
      Member.prototype,
      {
        probeFailed(now) {
          this.probeGap = 3_000
          this.probeAt = now + this.probeGap
        }
      }
    ],
    "the attempts are not counted": [
      Round.prototype,
      {
        settle(lease, exit) {
          const { sent } = this.call
          settleRound.call(this, lease, exit)
          if (lease.manner === "probe") this.call.attempts += 1
          this.call.sent = sent
        }
      }
    ],
    "a caller who leaves stays under way": [
      Lease.prototype,
      {
        settle(exit, ...rest) {
          const outcome = settle.call(this, exit, ...rest)
          if (Exit.isFailure(exit) && Exit.hasInterrupts(exit)) this.member.load.inflight++
          return outcome
        }
      }
    ]
  }
  const { settle: settleRound } = Round.prototype as any

  it.each(Object.entries(mutants))("%s", async (_name, [prototype, defects]) => {
    const originals = Object.fromEntries(Object.keys(defects).map((name) => [name, (prototype as any)[name]]))
    Object.assign(prototype, defects)
    try {
      const property = fc.asyncProperty(seen, crowds, ([plans, guests], crowd) =>
        Effect.runPromise(Effect.andThen(Effect.map(play(plans, guests), sound), isAnswered(crowd)))
      )
      const { failed } = await fc.check(property, { seed: 20_261_126, numRuns: 50, endOnFailure: true })
      assert.isTrue(failed, "no counterexample in 50 runs")
    } finally {
      Object.assign(prototype, originals)
    }
  })
})
