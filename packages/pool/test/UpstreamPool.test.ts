import { assert, describe, it } from "@effect/vitest"
import { Call, JsonRpc, Outcome } from "@hawser/core"
import { UpstreamPool } from "@hawser/pool"
import { Interruption } from "@hawser/testkit"
import { Cause, Clock, Data, Deferred, Duration, Effect, Exit, Fiber, Layer, Random } from "effect"
import { TestClock } from "effect/testing"
import { expectTypeOf } from "vitest"

class Down extends Data.TaggedError("Down")<{ readonly upstream: string }> {}
class Reverted extends Data.TaggedError("Reverted")<{}> {
  readonly [Outcome.TypeId] = Outcome.verdict({ counts: "success", again: "nowhere" })
}
class Refused extends Data.TaggedError("Refused")<{ readonly [Outcome.TypeId]: Outcome.Verdict }> {}

const refused = (insist?: "wait" | "probe", wait?: Duration.Input) =>
  new Refused({
    [Outcome.TypeId]: Outcome.refusal(wait === undefined ? undefined : Duration.fromInputUnsafe(wait), insist)
  })

type Failing = Down | Reverted | Refused

/** An upstream whose behaviour a test sets, and which counts the requests that reach it. */
class Node {
  readonly name: string
  answer: Effect.Effect<string, Failing>
  requests = 0

  constructor(name: string, answer?: Effect.Effect<string, Failing>) {
    this.name = name
    this.answer = answer ?? Effect.succeed(name)
  }

  down(): this {
    this.answer = Effect.fail(new Down({ upstream: this.name }))
    return this
  }

  readonly ask = Effect.suspend(() => {
    this.requests++
    return this.answer
  })
}

const poolOf = (nodes: ReadonlyArray<Node>, tiers: ReadonlyArray<number> = []) =>
  UpstreamPool.make(nodes.map((node, i) => ({ name: node.name, upstream: node, tier: tiers[i] ?? 0 })))

const ask = (node: Node) => node.ask

const atRest = (pool: UpstreamPool.UpstreamPool<Node>) =>
  assert.deepStrictEqual(
    pool.inspect().map(({ inflight }) => inflight),
    pool.inspect().map(() => 0)
  )

describe("failover", () => {
  it.effect("asks each upstream once and returns the first answer", () =>
    Effect.gen(function* () {
      const nodes = [new Node("a").down(), new Node("b").down(), new Node("c")]
      const pool = yield* poolOf(nodes)
      for (let i = 0; i < 20; i++) assert.strictEqual(yield* pool.execute(ask), "c")
      assert.strictEqual(nodes[2]!.requests, 20)
      assert.isAtMost(Math.max(nodes[0]!.requests, nodes[1]!.requests), 20)
      atRest(pool)
    })
  )

  it.effect("NoAnswer holds one cause for each upstream", () =>
    Effect.gen(function* () {
      const nodes = [new Node("a").down(), new Node("b", Effect.fail(refused("wait", "1 hour")))]
      const pool = yield* poolOf(nodes)
      const error = yield* Effect.flip(pool.execute(ask))
      assert.instanceOf(error, Call.NoAnswer)
      assert.sameDeepMembers(
        (error as Call.NoAnswer<Failing>).causes.map(({ error, upstream }) => [upstream, error._tag]),
        [
          ["a", "Down"],
          ["b", "Refused"]
        ]
      )
      assert.strictEqual(Outcome.of(error).again, "anywhere")
    })
  )

  it.effect("an answer of the chain is returned at once, from the first upstream", () =>
    Effect.gen(function* () {
      const nodes = ["a", "b", "c"].map((name) => new Node(name, Effect.fail(new Reverted())))
      const pool = yield* poolOf(nodes)
      assert.instanceOf(yield* Effect.flip(pool.execute(ask)), Reverted)
      assert.strictEqual(
        nodes.reduce((sum, { requests }) => sum + requests, 0),
        1
      )
      assert.strictEqual(
        pool.inspect().reduce((sum, { successes }) => sum + successes, 0),
        1
      )
    })
  )

  it.effect("sends no more requests than the call has attempts", () =>
    Effect.gen(function* () {
      const nodes = Array.from({ length: 9 }, (_, i) => new Node(`${i}`).down())
      const pool = yield* poolOf(nodes)
      yield* Effect.flip(pool.execute(ask))
      assert.strictEqual(
        nodes.reduce((sum, { requests }) => sum + requests, 0),
        6
      )
    })
  )

  it.effect("charges the budget for each failover, and never asks it", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf([new Node("a").down(), new Node("b").down(), new Node("c").down()])
      const call = new Call.Call()
      let charged = 0
      call.budget = {
        refund: () => {},
        deposit: () => {},
        charge: () => void charged++,
        withdraw: () => assert.fail("a failover is never denied")
      }
      yield* Effect.flip(Effect.provideService(pool.execute(ask), Call.Current, call))
      assert.strictEqual(charged, 2)
      assert.strictEqual(call.sent, 3)
    })
  )

  it.effect("starts nothing at or after the deadline", () =>
    Effect.gen(function* () {
      const node = new Node("a")
      const pool = yield* poolOf([node])
      const call = new Call.Call()
      call.deadline = 0
      assert.instanceOf(yield* Effect.flip(Effect.provideService(pool.execute(ask), Call.Current, call)), Call.NoAnswer)
      assert.strictEqual(node.requests, 0)
    })
  )

  it.effect("what must not run twice goes elsewhere only if it provably did not run", () =>
    Effect.gen(function* () {
      const untouched = new Refused({ [Outcome.TypeId]: Outcome.verdict({ ran: "no" }) })
      const first = new Node("a")
      const second = new Node("b")
      const pool = yield* poolOf([first, second], [0, 1])
      const write = pool.execute(ask, { repeatable: false })
      first.answer = Effect.fail(untouched)
      assert.strictEqual(yield* write, "b")
      first.down()
      const error = yield* Effect.flip(write)
      assert.strictEqual(second.requests, 1)
      assert.strictEqual(Outcome.of(error).again, "nowhere")
    })
  )

  it.effect(
    "a defect is a failure, is not tried elsewhere, and comes back as an error with the defect as its cause",
    () =>
      Effect.gen(function* () {
        const bug = new Error("bug")
        const nodes = [new Node("a", Effect.die(bug)), new Node("b", Effect.die(bug))]
        const pool = yield* poolOf(nodes)
        const error = (yield* Effect.flip(pool.execute(ask))) as Call.NoAnswer<Call.Defect>
        assert.strictEqual(error.causes.length, 1)
        assert.strictEqual(error.causes[0]!.error.cause, bug)
        assert.strictEqual(Outcome.of(error).again, "nowhere")
        const thrown = yield* Effect.flip(
          pool.execute((): Effect.Effect<string> => {
            throw bug
          })
        )
        assert.instanceOf(thrown, Call.NoAnswer)
        assert.strictEqual(
          pool.inspect().reduce((sum, { failures }) => sum + failures, 0),
          2
        )
        atRest(pool)
      })
  )

  it.effect("an upstream that fails at once attracts nothing (LB11)", () =>
    Effect.gen(function* () {
      const nodes = ["a", "b", "c", "d"].map((name) => new Node(name, Effect.as(Effect.sleep("100 millis"), name)))
      nodes[0]!.answer = Effect.delay(Effect.fail(new Down({ upstream: "a" })), "1 millis")
      const pool = yield* poolOf(nodes)
      const workers = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 8 }),
          () => Effect.forEach(Array.from({ length: 100 }), () => Effect.exit(pool.execute(ask)), { discard: true }),
          { concurrency: "unbounded", discard: true }
        ),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1 minute")
      yield* Fiber.join(workers)
      assert.isBelow(nodes[0]!.requests, 40)
    }).pipe(Random.withSeed("lb11"))
  )

  it.effect("one that hangs is left alone although callers cancel", () =>
    Effect.gen(function* () {
      const nodes = [new Node("a", Effect.never), new Node("b", Effect.as(Effect.sleep("20 millis"), "b"))]
      const pool = yield* poolOf(nodes)
      const impatient = Effect.timeoutOption(pool.execute(ask), "2 seconds")
      const calls = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 50 }), () => impatient),
        {
          startImmediately: true
        }
      )
      yield* TestClock.adjust("2 minutes")
      yield* Fiber.join(calls)
      assert.isAtMost(nodes[0]!.requests, 2)
      atRest(pool)
    }).pipe(Random.withSeed("hang"))
  )
})

describe("tiers", () => {
  it.effect("a later tier is asked for what the earlier one cannot answer", () =>
    Effect.gen(function* () {
      const [own, paid] = [new Node("own"), new Node("paid")]
      const pool = yield* poolOf([paid, own], [1, 0])
      for (let i = 0; i < 10; i++) assert.strictEqual(yield* pool.execute(ask), "own")
      own.down()
      assert.strictEqual(yield* pool.execute(ask), "paid")
    })
  )

  it.effect("a hedge stays in the tier it hedges", () =>
    Effect.gen(function* () {
      const nodes = [new Node("own"), new Node("other"), new Node("paid")]
      const pool = yield* poolOf(nodes, [0, 0, 1])
      const call = new Call.Call()
      const hedge = Effect.provideService(pool.execute(ask), Call.Insist, "hedge")
      const answers = yield* Effect.provideService(
        Effect.gen(function* () {
          return [yield* pool.execute(ask), yield* hedge, (yield* Effect.flip(hedge))._tag]
        }),
        Call.Current,
        call
      )
      assert.sameMembers(answers, ["own", "other", "NoAnswer"])
      assert.strictEqual(nodes[2]!.requests, 0)
    })
  )
})

describe("capacity", () => {
  const slow = (name: string) => new Node(name, Effect.as(Effect.sleep("1 second"), name))

  const shares = (pool: UpstreamPool.UpstreamPool<Node>) => pool.inspect().map(({ inflight }) => inflight)

  const limited = (capacities: ReadonlyArray<number | undefined>) =>
    UpstreamPool.make(
      capacities.map((capacity, tier) => ({ name: `${tier}`, upstream: slow(`${tier}`), tier, capacity }))
    )

  const start = (pool: UpstreamPool.UpstreamPool<Node>, times: number) =>
    Effect.forEach(Array.from({ length: times }), () => Effect.forkChild(pool.execute(ask), { startImmediately: true }))

  it.effect("a tier that is full hands on to the next, and takes up again what it has room for", () =>
    Effect.gen(function* () {
      const pool = yield* limited([2, 3, undefined])
      const first = yield* start(pool, 4)
      assert.deepStrictEqual(shares(pool), [2, 2, 0])
      yield* TestClock.adjust("500 millis")
      const second = yield* start(pool, 3)
      assert.deepStrictEqual(shares(pool), [2, 3, 2])
      assert.deepStrictEqual(
        pool.inspect().map(({ capacity, leftOut, out }) => ({ capacity, leftOut, out })),
        [
          { capacity: 2, leftOut: undefined, out: "at capacity" },
          { capacity: 3, leftOut: undefined, out: "at capacity" },
          { capacity: undefined, leftOut: undefined, out: undefined }
        ]
      )
      yield* TestClock.adjust("500 millis")
      assert.deepStrictEqual(shares(pool), [0, 1, 2])
      assert.isUndefined(pool.inspect()[0]!.out)
      const third = yield* start(pool, 2)
      assert.deepStrictEqual(shares(pool), [2, 1, 2])
      yield* TestClock.adjust("1 second")
      const answers = yield* Effect.forEach([...first, ...second, ...third], Fiber.join)
      assert.deepStrictEqual(answers, ["0", "0", "1", "1", "1", "2", "2", "0", "0"])
      atRest(pool)
    })
  )

  it.effect("when all are full the first tier takes more, and nobody is refused", () =>
    Effect.gen(function* () {
      const pool = yield* limited([1, 2])
      const fibers = yield* start(pool, 6)
      assert.deepStrictEqual(shares(pool), [4, 2])
      yield* TestClock.adjust("1 second")
      yield* Effect.forEach(fibers, Fiber.join)
      atRest(pool)
    })
  )

  it.effect("what is full is asked all the same when those with room have failed", () =>
    Effect.gen(function* () {
      const full = slow("a")
      const pool = yield* UpstreamPool.make([
        { name: "a", upstream: full, capacity: 1 },
        { name: "b", upstream: new Node("b").down(), tier: 1 }
      ])
      yield* start(pool, 1)
      const second = yield* Effect.forkChild(pool.execute(ask), { startImmediately: true })
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(second), "a")
      assert.strictEqual(full.requests, 2)
    })
  )

  it.effect("interruption at every step gives the room back", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.gen(function* () {
          const pool = yield* limited([1, 1])
          const run = Effect.all([pool.execute(ask), pool.execute(ask)], { concurrency: 2 })
          return {
            run,
            check: () => {
              atRest(pool)
              assert.isUndefined(pool.inspect()[0]!.out)
            }
          }
        })
      )
      assert.isAbove(steps, 10)
    })
  )

  it.effect("it may be changed while requests run", () =>
    Effect.gen(function* () {
      const node = slow("a")
      const spare = { name: "b", upstream: slow("b"), tier: 1 }
      const pool = yield* UpstreamPool.make([{ name: "a", upstream: node, capacity: 1 }, spare])
      yield* start(pool, 2)
      assert.deepStrictEqual(shares(pool), [1, 1])
      yield* pool.set([{ name: "a", upstream: node, capacity: 2 }, spare])
      yield* start(pool, 1)
      assert.deepStrictEqual(shares(pool), [2, 1])
      yield* TestClock.adjust("1 second")
      atRest(pool)
    })
  )
})

describe("refusals", () => {
  it.effect("cost neither an attempt nor budget, and move no counter", () =>
    Effect.gen(function* () {
      const nodes = [new Node("a", Effect.fail(refused("wait", "1 second"))), new Node("b")]
      const pool = yield* poolOf(nodes, [0, 1])
      const call = new Call.Call()
      call.budget = { refund: () => {}, deposit: () => {}, charge: () => assert.fail("charged"), withdraw: () => true }
      assert.strictEqual(yield* Effect.provideService(pool.execute(ask), Call.Current, call), "b")
      assert.strictEqual(call.sent, 1)
      const [a] = pool.inspect()
      assert.deepInclude(a, { asked: 0, failures: 0, neutrals: 0, refusals: 1, failing: 0, latency: 0 })
      assert.strictEqual(a!.leftOut, "Refused")
      yield* TestClock.adjust("1 second")
      assert.isUndefined(pool.inspect()[0]!.leftOut)
    })
  )

  it.effect("when all refuse, the caller stands in the line that moves first", () =>
    Effect.gen(function* () {
      const insists: Array<[string, Call.Insistence]> = []
      const limited = (name: string, wait: Duration.Input) =>
        new Node(
          name,
          Effect.flatMap(Call.Insist, (insist) => {
            insists.push([name, insist])
            return insist === "wait" ? Effect.as(Effect.sleep(wait), name) : Effect.fail(refused("wait", wait))
          })
        )
      const pool = yield* poolOf([limited("slow", "3 seconds"), limited("soon", "2 seconds")])
      const fiber = yield* Effect.forkChild(JsonRpc.explain(pool.execute(ask)), { startImmediately: true })
      yield* TestClock.adjust("1999 millis")
      assert.isUndefined(fiber.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      const { report, value } = yield* Fiber.join(fiber)
      assert.strictEqual(value, "soon")
      assert.deepStrictEqual(insists.at(-1), ["soon", "wait"])
      assert.strictEqual(report.answeredBy, "soon")
      // The line is not the upstream's latency.
      assert.strictEqual(pool.inspect().find(({ name }) => name === "soon")!.latency, 0)
    })
  )

  it.effect("a wait that does not fit the deadline fails now and says when to come back", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf([new Node("a", Effect.fail(refused("wait", "3 seconds")))])
      const call = new Call.Call()
      call.deadline = 2_000
      const error = yield* Effect.flip(Effect.provideService(pool.execute(ask), Call.Current, call))
      assert.strictEqual(Duration.toMillis(Outcome.of(error).retryAfter!), 3_000)
      assert.strictEqual(call.sent, 0)
    })
  )

  it.effect("a refusal that neither time nor insistence lifts is not worth another round", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf([new Node("a", Effect.fail(refused())), new Node("b", Effect.fail(refused()))])
      const error = yield* Effect.flip(pool.execute(ask))
      assert.strictEqual(Outcome.of(error).again, "nowhere")
    })
  )
})

describe("last resort", () => {
  /** Refuses as an open breaker does, unless asked as a probe. */
  const broken = (name: string, probe: Effect.Effect<string, Failing>) => {
    const node = new Node(name)
    let probes = 0
    node.answer = Effect.flatMap(Call.Insist, (insist): Effect.Effect<string, Failing> => {
      if (insist !== "probe") return Effect.fail(refused("probe", "5 seconds"))
      probes++
      return probe
    })
    return { node, probes: () => probes }
  }

  it.effect("when every breaker refuses, one request goes to each upstream until one answers", () =>
    Effect.gen(function* () {
      const a = broken("a", Effect.fail(new Down({ upstream: "a" })))
      const b = broken("b", Effect.succeed("b"))
      const pool = yield* poolOf([a.node, b.node])
      assert.strictEqual(yield* pool.execute(ask), "b")
      assert.isAtMost(a.probes(), 1)
      assert.strictEqual(b.probes(), 1)
    })
  )

  it.effect("also when those without a breaker in the way have been asked and failed", () =>
    Effect.gen(function* () {
      const a = new Node("a").down()
      const b = broken("b", Effect.succeed("b"))
      const pool = yield* poolOf([a, b.node])
      for (let i = 1; i <= 5; i++) {
        assert.strictEqual(yield* pool.execute(ask), "b")
        assert.strictEqual(b.probes(), i)
      }
      assert.isAtMost(a.requests, 5)
    })
  )

  it.effect("the others wait for its outcome and then start over", () =>
    Effect.gen(function* () {
      const back = yield* Deferred.make<string, Failing>()
      const a = broken("a", Deferred.await(back))
      const pool = yield* poolOf([a.node])
      const first = yield* Effect.forkChild(pool.execute(ask), { startImmediately: true })
      const others = yield* Effect.forEach(Array.from({ length: 20 }), () =>
        Effect.forkChild(pool.execute(ask), { startImmediately: true })
      )
      yield* TestClock.adjust("10 millis")
      assert.isTrue(others.every((fiber) => fiber.pollUnsafe() === undefined))
      assert.strictEqual(a.probes(), 1)
      a.node.answer = Effect.succeed("closed")
      yield* Deferred.succeed(back, "probe")
      assert.strictEqual(yield* Fiber.join(first), "probe")
      for (const fiber of others) assert.strictEqual(yield* Fiber.join(fiber), "closed")
      atRest(pool)
    })
  )

  it.effect("when the probe fails, those who waited fail without a request of their own", () =>
    Effect.gen(function* () {
      const back = yield* Deferred.make<string, Failing>()
      const a = broken("a", Deferred.await(back))
      const pool = yield* poolOf([a.node])
      const fibers = yield* Effect.forEach(Array.from({ length: 5 }), () =>
        Effect.forkChild(Effect.flip(pool.execute(ask)), { startImmediately: true })
      )
      yield* Deferred.fail(back, new Down({ upstream: "a" }))
      for (const fiber of fibers) assert.strictEqual((yield* Fiber.join(fiber))._tag, "NoAnswer")
      assert.strictEqual(a.probes(), 1)
    })
  )

  it.effect("a caller who leaves while waiting leaves nothing behind", () =>
    Effect.gen(function* () {
      const a = broken("a", Effect.never)
      const pool = yield* poolOf([a.node])
      const probe = yield* Effect.forkChild(pool.execute(ask), { startImmediately: true })
      const waiting = yield* Effect.forkChild(pool.execute(ask), { startImmediately: true })
      yield* Fiber.interrupt(waiting)
      yield* Fiber.interrupt(probe)
      atRest(pool)
      const next = yield* Effect.forkChild(pool.execute(ask), { startImmediately: true })
      assert.strictEqual(a.probes(), 2)
      yield* Fiber.interrupt(next)
    })
  )
})

describe("gather", () => {
  it.effect("what is asked in one turn goes to one upstream, and not always to the same", () =>
    Effect.gen(function* () {
      const nodes = ["a", "b", "c"].map((name) => new Node(name))
      const pool = yield* UpstreamPool.make(
        nodes.map((node) => ({ name: node.name, upstream: node })),
        { gather: true }
      )
      const taken = new Set<string>()
      for (let turn = 0; turn < 50; turn++) {
        const answers = yield* Effect.all(
          Array.from({ length: 10 }, () => pool.execute(ask)),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(new Set(answers).size, 1)
        taken.add(answers[0]!)
        yield* Effect.yieldNow
      }
      assert.strictEqual(taken.size, 3)
    })
  )

  it.effect("one that is full, out or excluded is passed over", () =>
    Effect.gen(function* () {
      const nodes = ["a", "b"].map((name) => new Node(name, Effect.as(Effect.sleep("10 millis"), name)))
      const pool = yield* UpstreamPool.make(
        nodes.map((node) => ({ name: node.name, upstream: node, capacity: 3 })),
        { gather: true }
      )
      const fiber = yield* Effect.forkChild(
        Effect.all(
          Array.from({ length: 6 }, () => pool.execute(ask)),
          { concurrency: "unbounded" }
        )
      )
      yield* TestClock.adjust("10 millis")
      assert.deepStrictEqual((yield* Fiber.join(fiber)).toSorted(), ["a", "a", "a", "b", "b", "b"])
      for (let i = 0; i < 10; i++) {
        const asking = yield* Effect.forkChild(
          Effect.all(
            [pool.execute(ask), pool.execute(ask, { exclude: ["a"] }), pool.execute(ask, { exclude: ["b"] })],
            {
              concurrency: "unbounded"
            }
          )
        )
        yield* TestClock.adjust("10 millis")
        assert.deepStrictEqual((yield* Fiber.join(asking)).slice(1), ["b", "a"])
      }
    })
  )
})

describe("an outage", () => {
  /** Two nodes behind breakers that are open until they answer a probe. */
  const make = (options?: UpstreamPool.Options) =>
    Effect.gen(function* () {
      const state = { up: false, probes: 0 }
      const node = (name: string) => {
        let open = true
        return new Node(
          name,
          Effect.flatMap(Call.Insist, (insist): Effect.Effect<string, Failing> => {
            if (open && insist !== "probe") return Effect.fail(refused("probe", "5 seconds"))
            if (open) state.probes++
            if (!state.up) return Effect.fail(new Down({ upstream: name }))
            open = false
            return Effect.succeed(name)
          })
        )
      }
      const nodes = [node("a"), node("b")]
      const pool = yield* UpstreamPool.make(
        nodes.map((node) => ({ name: node.name, upstream: node })),
        options
      )
      /** A call that has ten seconds. */
      const call = Effect.suspend(() =>
        Effect.flatMap(Clock.Clock, (clock) =>
          Effect.provideService(
            pool.execute(ask),
            Call.Current,
            Object.assign(new Call.Call(), { deadline: Call.now(clock) + 10_000 })
          )
        )
      )
      return { state, pool, call }
    })

  it.effect("calls that have time wait it out, and one at a time looks whether it is over", () =>
    Effect.gen(function* () {
      const { call, pool, state } = yield* make()
      const fibers = yield* Effect.forEach(Array.from({ length: 100 }), () =>
        Effect.forkChild(call, { startImmediately: true })
      )
      yield* TestClock.adjust("5 seconds")
      assert.isTrue(fibers.every((fiber) => fiber.pollUnsafe() === undefined))
      // 50, 100, 200, 400, 800 ms and then every second, each up to half shorter, at each of two nodes.
      assert.isAtMost(state.probes, 2 * 14)
      state.up = true
      yield* TestClock.adjust("1 second")
      for (const fiber of fibers) assert.isString(yield* Fiber.join(fiber))
      atRest(pool)
    })
  )

  it.effect("a call that is alone spreads its attempts over its time", () =>
    Effect.gen(function* () {
      for (const millis of [1_000, 3_000, 5_000, 7_500]) {
        const { call, state } = yield* make()
        const fiber = yield* Effect.forkChild(call, { startImmediately: true })
        yield* TestClock.adjust(millis)
        assert.isUndefined(fiber.pollUnsafe())
        state.up = true
        yield* TestClock.adjust("2500 millis")
        assert.isString(yield* Fiber.join(fiber))
        assert.isAtMost(state.probes, 6)
      }
    })
  )

  it.effect("they give up in time, with a cause for each upstream", () =>
    Effect.gen(function* () {
      const { call, pool } = yield* make()
      const fiber = yield* Effect.forkChild(Effect.flip(call), { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      const error = yield* Fiber.join(fiber)
      assert.sameMembers(
        (error as Call.NoAnswer).causes.map(({ upstream }) => upstream),
        ["a", "b"]
      )
      atRest(pool)
    })
  )

  it.effect("without a deadline, or if so wanted, they fail as soon as each upstream has been asked", () =>
    Effect.gen(function* () {
      const endless = yield* make()
      assert.strictEqual((yield* Effect.flip(endless.pool.execute(ask)))._tag, "NoAnswer")
      assert.strictEqual(endless.state.probes, 2)
      const impatient = yield* make({ outage: "fail" })
      assert.strictEqual((yield* Effect.flip(impatient.call))._tag, "NoAnswer")
      assert.strictEqual(impatient.state.probes, 2)
    })
  )

  it.effect("interruption at every step leaves nobody waiting and nothing under way", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.gen(function* () {
          const { call, pool, state } = yield* make()
          const end = Effect.andThen(
            Effect.sleep("120 millis"),
            Effect.sync(() => {
              state.up = true
            })
          )
          const run = Effect.all([call, call, end], { concurrency: "unbounded" })
          return {
            run,
            check: () => {
              atRest(pool)
              state.up = true
            }
          }
        })
      )
      assert.isAbove(steps, 50)
    })
  )
})

describe("scopes", () => {
  it.effect("all of one scope go to one upstream, and move only when it fails", () =>
    Effect.gen(function* () {
      const nodes = ["a", "b", "c"].map((name) => new Node(name))
      const pool = yield* poolOf(nodes)
      const nonce = pool.execute(ask, { scope: "tx 7" })
      const first = yield* nonce
      for (let i = 0; i < 20; i++) assert.strictEqual(yield* nonce, first)
      nodes.find(({ name }) => name === first)!.down()
      const second = yield* Effect.provideService(pool.execute(ask), Call.Sticky, "tx 7")
      assert.notStrictEqual(second, first)
      for (const node of nodes) node.answer = Effect.succeed(node.name)
      for (let i = 0; i < 20; i++) assert.strictEqual(yield* nonce, second)
    })
  )
})

describe("exclusion", () => {
  it.effect("those who are excluded are not asked, whether all goes well or nobody else is left", () =>
    Effect.gen(function* () {
      const [a, b, c] = ["a", "b", "c"].map((name) => new Node(name)) as [Node, Node, Node]
      const pool = yield* poolOf([a, b, c])
      for (let i = 0; i < 20; i++) {
        assert.strictEqual(yield* pool.execute(ask, { exclude: ["a", "c", "nobody"] }), "b")
      }
      b.down()
      const error = yield* Effect.flip(pool.execute(ask, { exclude: ["a", "c"] }))
      assert.strictEqual(error._tag, "NoAnswer")
      if (error._tag === "NoAnswer")
        assert.deepStrictEqual(
          error.causes.map(({ upstream }) => upstream),
          ["b"]
        )
      const asked = b.requests
      const none = yield* Effect.flip(Effect.provideService(pool.execute(ask), Call.Exclude, ["a", "b", "c"]))
      assert.strictEqual(none.message, "No upstream was asked")
      assert.deepStrictEqual([a.requests, b.requests, c.requests], [0, asked, 0])
      atRest(pool)
    })
  )

  it.effect("a scope leaves the upstream it sticks to when that is excluded, and failover passes it by", () =>
    Effect.gen(function* () {
      const nodes = ["a", "b", "c"].map((name) => new Node(name))
      const pool = yield* poolOf(nodes)
      const first = yield* pool.execute(ask, { scope: "tx 7" })
      const [other, last] = nodes.filter(({ name }) => name !== first) as [Node, Node]
      const before = nodes.find(({ name }) => name === first)!.requests
      other.down()
      for (let i = 0; i < 20; i++) {
        assert.strictEqual(yield* pool.execute(ask, { scope: "tx 7", exclude: [first] }), last.name)
      }
      assert.strictEqual(nodes.find(({ name }) => name === first)!.requests, before)
      // It has moved: what follows stays together.
      for (let i = 0; i < 20; i++) assert.strictEqual(yield* pool.execute(ask, { scope: "tx 7" }), last.name)
    })
  )

  it.effect("a hedge does not go to them", () =>
    Effect.gen(function* () {
      const [a, b] = [new Node("a", Effect.never), new Node("b")]
      const pool = yield* poolOf([a, b])
      const hedged = Call.use((call) => {
        const first = Effect.provideService(pool.execute(ask, { exclude: ["b"] }), Call.Current, call)
        const second = Effect.provideService(pool.execute(ask, { exclude: ["b"] }), Call.Insist, "hedge" as const)
        return Effect.gen(function* () {
          const fiber = yield* Effect.forkChild(first, { startImmediately: true })
          const error = yield* Effect.flip(Effect.provideService(second, Call.Current, call))
          yield* Fiber.interrupt(fiber)
          return error
        })
      })
      assert.strictEqual((yield* hedged)._tag, "NoAnswer")
      assert.deepStrictEqual([a.requests, b.requests], [1, 0])
      atRest(pool)
    })
  )
})

describe("quorum", () => {
  const says = (name: string, value: string) => new Node(name, Effect.succeed(value))

  it.effect("returns what enough upstreams agree on, and interrupts the rest", () =>
    Effect.gen(function* () {
      const hanging = new Node("c", Effect.never)
      // They answer only once all three have been asked.
      const slow = (name: string) => new Node(name, Effect.as(Effect.yieldNow, "1"))
      const pool = yield* poolOf([slow("a"), slow("b"), hanging])
      assert.strictEqual(yield* pool.quorum(ask, { of: 3, agree: 2 }), "1")
      assert.strictEqual(hanging.requests, 1)
      atRest(pool)
    })
  )

  it.effect("a failure is made good by another upstream", () =>
    Effect.gen(function* () {
      const nodes = [says("a", "1"), new Node("b").down(), says("c", "1")]
      const pool = yield* poolOf(nodes)
      assert.strictEqual(yield* pool.quorum(ask, { of: 2, agree: 2 }), "1")
      assert.isTrue(nodes.every(({ requests }) => requests <= 1))
    })
  )

  it.effect("says who said what when they disagree", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf([says("a", "1"), says("b", "2"), says("c", "3")])
      const error = yield* Effect.flip(pool.quorum(ask, { of: 3, agree: 2 }))
      assert.instanceOf(error, UpstreamPool.Disagreement)
      assert.strictEqual(error.groups.length, 3)
      assert.sameMembers(
        error.groups.flatMap(({ upstreams }) => upstreams),
        ["a", "b", "c"]
      )
    })
  )

  it.effect("an answer that is an error counts, too; equality is the user's", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf(["a", "b"].map((name) => new Node(name, Effect.fail(new Reverted()))))
      assert.instanceOf(yield* Effect.flip(pool.quorum(ask, { of: 2, agree: 2 })), Reverted)
      const close = yield* poolOf([says("a", "100"), says("b", "101")])
      const equal = (a: string, b: string) => Math.abs(Number(a) - Number(b)) < 2
      assert.include(["100", "101"], yield* close.quorum(ask, { of: 2, agree: 2, equal }))
    })
  )

  it.effect("too few answers are NoAnswer", () =>
    Effect.gen(function* () {
      const pool = yield* poolOf([says("a", "1"), new Node("b").down()])
      assert.strictEqual((yield* Effect.flip(pool.quorum(ask, { of: 2, agree: 2 })))._tag, "NoAnswer")
    })
  )

  it.effect("interruption at every step leaves no request under way", () =>
    Interruption.everywhere(
      Effect.gen(function* () {
        const slow = Effect.as(Effect.sleep("20 millis"), "1")
        const pool = yield* poolOf([new Node("a", slow), new Node("b", slow), new Node("c", slow)])
        return { run: pool.quorum(ask, { of: 3, agree: 3 }), check: () => atRest(pool) }
      })
    )
  )
})

describe("membership", () => {
  it.effect("set replaces the upstreams while requests run", () =>
    Effect.gen(function* () {
      const old = new Node("old", Effect.as(Effect.sleep("1 second"), "old"))
      const pool = yield* poolOf([old])
      const running = yield* Effect.forkChild(pool.execute(ask), { startImmediately: true })
      yield* pool.set([{ name: "new", upstream: new Node("new") }])
      assert.strictEqual(yield* pool.execute(ask), "new")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(running), "old")
      assert.strictEqual((yield* Effect.exit(pool.set([])))._tag, "Failure")
    })
  )

  it.effect("drain waits for what is under way and sends nothing more", () =>
    Effect.gen(function* () {
      const a = new Node("a", Effect.as(Effect.sleep("1 second"), "a"))
      const pool = yield* poolOf([a, new Node("b")], [0, 1])
      const running = yield* Effect.forkChild(pool.execute(ask), { startImmediately: true })
      const drained = yield* Effect.forkChild(pool.drain("a"), { startImmediately: true })
      assert.strictEqual(yield* pool.execute(ask), "b")
      assert.isUndefined(drained.pollUnsafe())
      assert.strictEqual(pool.inspect()[0]!.out, "draining")
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(drained)
      assert.strictEqual(yield* Fiber.join(running), "a")
    })
  )

  it.effect("an upstream that fails in a row is ejected for a while, if asked for", () =>
    Effect.gen(function* () {
      const nodes = [new Node("a").down(), new Node("b", Effect.as(Effect.sleep("1 second"), "b"))]
      const pool = yield* UpstreamPool.make(
        nodes.map((node, i) => ({ name: node.name, upstream: node, tier: i })),
        { ejection: { consecutive: 3, jitter: 0 }, panic: 0 }
      )
      const calls = Effect.forEach(Array.from({ length: 10 }), () => pool.execute(ask))
      const fiber = yield* Effect.forkChild(calls, { startImmediately: true })
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.join(fiber)
      assert.strictEqual(nodes[0]!.requests, 3)
      assert.strictEqual(pool.inspect()[0]!.out, "ejected")
      assert.strictEqual(pool.inspect()[0]!.leftOut, "3 failures in a row")
      yield* TestClock.adjust("30 seconds")
      assert.isUndefined(pool.inspect()[0]!.out)
      assert.isUndefined(pool.inspect()[0]!.leftOut)
    })
  )

  it.effect("one that fails too often of many says how often", () =>
    Effect.gen(function* () {
      const flaky = new Node("a")
      const nodes = [flaky, new Node("b")]
      const pool = yield* UpstreamPool.make(
        nodes.map((node, i) => ({ name: node.name, upstream: node, tier: i })),
        { ejection: { minimum: 4, jitter: 0 }, panic: 0 }
      )
      yield* pool.execute(ask)
      yield* pool.execute(ask)
      flaky.down()
      yield* pool.execute(ask)
      assert.isUndefined(pool.inspect()[0]!.leftOut)
      yield* pool.execute(ask)
      assert.strictEqual(pool.inspect()[0]!.leftOut, "2 of 4 requests failed")
    })
  )
})

describe("interruption", () => {
  it.effect("LB2: at every step leaves no request under way", () =>
    Effect.gen(function* () {
      const slow = Effect.as(Effect.sleep("20 millis"), "slow")
      const steps = yield* Interruption.everywhere(
        Effect.gen(function* () {
          const nodes = [
            new Node("a", Effect.andThen(slow, Effect.fail(new Down({ upstream: "a" })))),
            new Node("b", Effect.fail(refused("wait", "10 millis"))),
            new Node("c", slow)
          ]
          const pool = yield* poolOf(nodes, [0, 1, 2])
          return { run: pool.execute(ask), check: () => atRest(pool) }
        })
      )
      assert.isAbove(steps, 20)
    })
  )
})

describe("layer", () => {
  const upstream = <E>(name: string, answer: Effect.Effect<unknown, E>): Layer.Layer<JsonRpc.Upstream<E>> =>
    Layer.succeed(JsonRpc.upstream<E>())({ name, request: () => answer, inspect: () => ({ name }) })

  const rejected = new JsonRpc.Rejected({
    upstream: "a",
    code: 3,
    message: "execution reverted",
    data: "0x",
    kind: "revert",
    [Outcome.TypeId]: Outcome.verdict({ counts: "success", again: "nowhere" })
  })

  const request = (method: string) =>
    Effect.flatMap(JsonRpc.client<any>(), (client) => client.request(JsonRpc.makeRequest(method)))

  it.effect("serves requests, shows every upstream, tells what happens", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* request("eth_chainId"), "0x1")
      const client = yield* JsonRpc.client<any>()
      const inspection = client.inspect() as any
      assert.deepStrictEqual(
        inspection.upstreams.map(({ name, pool }: any) => [name, pool.tier, pool.asked]),
        [
          ["a", 0, 1],
          ["b", 1, 1]
        ]
      )
    }).pipe(
      Effect.provide(
        UpstreamPool.layer([
          upstream("a", Effect.fail(new Down({ upstream: "a" }))),
          { upstream: upstream("b", Effect.succeed("0x1")), tier: 1 }
        ])
      )
    )
  )

  it.effect("two upstreams of one name are told apart", () =>
    Effect.gen(function* () {
      const down = () => upstream("host", Effect.fail(new Down({ upstream: "host" })))
      const error: Call.NoAnswer = yield* Effect.flip(
        Effect.provide(request("eth_call"), UpstreamPool.layer([down(), down()]))
      )
      assert.sameMembers(
        error.causes.map(({ upstream }) => upstream),
        ["host", "host#2"]
      )
    })
  )

  it("what is no upstream is refused at once, and not shown", () => {
    assert.throws(
      () => UpstreamPool.layer(["https://x/S3CRET"] as never),
      "UpstreamPool.upstreams[0] takes a layer of an upstream, or a record with one, got something else"
    )
  })

  describe("quorum", () => {
    const counted = (answers: ReadonlyArray<string>) => {
      const asked = answers.map(() => 0)
      const layers = answers.map((answer, i) =>
        upstream(
          String(i),
          Effect.sync(() => {
            asked[i]!++
            return answer
          })
        )
      )
      return { asked, pool: (quorum: UpstreamPool.LayerQuorum) => UpstreamPool.layer(layers, { quorum }) }
    }

    it.effect("takes the answer that enough give", () =>
      Effect.gen(function* () {
        const { asked, pool } = counted(["0x1", "0xbad", "0x1"])
        assert.strictEqual(yield* Effect.provide(request("eth_call"), pool({ of: 3, agree: 2 })), "0x1")
        assert.isAtMost(Math.max(...asked), 1)
      })
    )

    it.effect("otherwise nobody has answered, and the causes say who was on which side", () =>
      Effect.gen(function* () {
        const { pool } = counted(["0x1", "0x2", "0x3"])
        const error: Call.NoAnswer = yield* Effect.flip(Effect.provide(request("eth_call"), pool({ of: 3, agree: 2 })))
        assert.sameMembers(
          error.causes.map(({ upstream }) => upstream),
          ["0", "1", "2"]
        )
        assert.instanceOf(error.causes[0]!.error, UpstreamPool.Disagreement)
      })
    )

    it.effect("is for the reads it is for; a write goes to one, a hedge to nobody", () =>
      Effect.gen(function* () {
        const { asked, pool } = counted(["0x1", "0x1", "0x1"])
        const layer = pool({ of: 3, agree: 3, only: ({ method }) => method === "eth_call" })
        yield* Effect.gen(function* () {
          yield* request("eth_gasPrice")
          yield* request("eth_sendTransaction")
          yield* Effect.flip(Effect.provideService(request("eth_call"), Call.Insist, "hedge"))
        }).pipe(Effect.provide(layer))
        assert.strictEqual(asked[0]! + asked[1]! + asked[2]!, 2)
      })
    )

    it("is checked at once", () => {
      const { pool } = counted(["0x1"])
      assert.throws(() => pool({ of: 2, agree: 3 }), "UpstreamPool.quorum.agree takes a whole number up to 2, got 3")
      assert.throws(() => pool({ of: 2 } as never), /^UpstreamPool\.quorum\.agree takes a whole number/)
    })
  })

  it.effect("a write that may have run is not handed on", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* Effect.flip(request("eth_sendRawTransaction")))._tag, "NoAnswer")
      assert.strictEqual(yield* request("eth_getBalance"), "0x1")
    }).pipe(
      Effect.provide(
        UpstreamPool.layer([
          upstream("a", Effect.fail(new Down({ upstream: "a" }))),
          { upstream: upstream("b", Effect.succeed("0x1")), tier: 1 }
        ])
      )
    )
  )

  it.effect("the chain's own answer passes untouched", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Effect.flip(request("eth_call")), rejected)
    }).pipe(Effect.provide(UpstreamPool.layer([upstream("a", Effect.fail(rejected))])))
  )

  it("has exact errors, for tuples and for lists", () => {
    const a = upstream<Down | JsonRpc.Rejected>("a", Effect.succeed(1))
    const b = upstream<Refused>("b", Effect.succeed(1))
    type Of<E> = Layer.Layer<JsonRpc.Client<E>>
    expectTypeOf(UpstreamPool.layer([a, { upstream: b, weight: 2 }])).toEqualTypeOf<
      Of<JsonRpc.Rejected | Call.NoAnswer<Down | Refused | Call.Defect>>
    >()
    const list = ["a", "b"].map(() => a)
    expectTypeOf(UpstreamPool.layer(list)).toEqualTypeOf<Of<JsonRpc.Rejected | Call.NoAnswer<Down | Call.Defect>>>()
    const judge = (_error: Down | Refused | JsonRpc.Rejected) => Outcome.verdict()
    expectTypeOf(UpstreamPool.layer([a, b], { judge })).toEqualTypeOf<
      Of<JsonRpc.Rejected | Call.NoAnswer<Down | Refused | Call.Defect>>
    >()
    // @ts-expect-error: Refused cannot occur below
    UpstreamPool.layer([a], { judge: (error) => (error._tag === "Refused" ? Outcome.verdict() : Outcome.verdict()) })
    // @ts-expect-error: a pool is made of upstreams, not of clients
    UpstreamPool.layer([UpstreamPool.layer([a])])
  })

  it("refuses options it cannot use, by name", () => {
    const a = upstream<Down>("a", Effect.succeed(1))
    assert.throws(() => UpstreamPool.layer([]), /UpstreamPool\.upstreams takes at least one upstream, got a list/)
    assert.throws(() => UpstreamPool.layer([a], { decay: -1 }), /UpstreamPool\.decay takes a duration/)
    assert.throws(() => UpstreamPool.layer([a], { decays: 1 } as never), /UpstreamPool\.decays takes no value/)
    assert.throws(() => UpstreamPool.layer([{ upstream: a, tier: 1.5 }]), /UpstreamPool\.upstreams\.tier takes a whole/)
    assert.throws(
      () => UpstreamPool.layer([{ upstream: a, wieght: 2 } as never]),
      /UpstreamPool\.upstreams\.wieght takes no/
    )
    assert.throws(() => UpstreamPool.make([{ name: "a", upstream: a, weight: 0 }]), /weight takes a number above 0/)
    assert.throws(
      () => UpstreamPool.layer([{ upstream: a, capacity: 0 }]),
      /capacity takes a whole number of at least 1/
    )
    assert.throws(() => UpstreamPool.layer([{ upstream: a, capacity: 1.5 }]), /UpstreamPool\.upstreams\.capacity/)
  })

  it.effect("hands the capacity of an upstream to the pool", () =>
    Effect.gen(function* () {
      const slow = Effect.as(Effect.sleep("1 second"), "0x1")
      const client = UpstreamPool.layer([
        { upstream: upstream<Down>("a", slow), capacity: 1 },
        { upstream: upstream<Down>("b", slow), tier: 1 }
      ])
      yield* Effect.gen(function* () {
        const rpc = yield* JsonRpc.client<JsonRpc.ErrorOf<typeof client>>()
        const fibers = yield* Effect.forEach([1, 2, 3], () =>
          Effect.forkChild(rpc.request(JsonRpc.makeRequest("eth_blockNumber")), { startImmediately: true })
        )
        const upstreams = rpc.inspect()["upstreams"] as ReadonlyArray<{ readonly pool: UpstreamPool.MemberInspection }>
        assert.deepStrictEqual(
          upstreams.map(({ pool }) => pool.inflight),
          [1, 2]
        )
        yield* TestClock.adjust("1 second")
        yield* Effect.forEach(fibers, Fiber.join)
      }).pipe(Effect.provide(client))
    })
  )
})

it.effect("interruption of the upstream itself passes through", () =>
  Effect.gen(function* () {
    const pool = yield* poolOf([new Node("a", Effect.interrupt)])
    const exit = yield* Effect.exit(pool.execute(ask))
    assert.isTrue(Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause))
    assert.strictEqual(pool.inspect()[0]!.neutrals, 1)
  })
)
