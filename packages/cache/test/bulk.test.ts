import { assert, describe, it } from "@effect/vitest"
import { Call, JsonRpc } from "@hawser/core"
import { Interruption } from "@hawser/testkit"
import { Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { ResponseCache } from "../src/index.ts"
import {
  apart,
  broken,
  type Client,
  Hand,
  keysOf,
  Node,
  over,
  policies,
  read,
  rejected,
  routing,
  setup,
  together,
  values,
  whole
} from "./support/clients.ts"

const fork = <A, E>(self: Effect.Effect<A, E>) => Effect.forkChild(self, { startImmediately: true })

/** Runs it while the clock goes on as far as it needs. */
const timed = <A, E>(self: Effect.Effect<A, E>) =>
  Effect.gen(function* () {
    const fiber = yield* fork(Effect.exit(self))
    while (fiber.pollUnsafe() === undefined) yield* TestClock.adjust(1)
    return yield* yield* Fiber.join(fiber)
  })

const ask = (client: Client, keys: string) => timed(together(client, keys))

describe("a batch", () => {
  it.effect("goes on as one, in its order, and is kept", () =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      assert.deepStrictEqual(yield* ask(client, "k2 k1 k3"), values("k21", "k11", "k31"))
      assert.deepStrictEqual(node.asked, ["[k2 k1 k3]"])
      assert.deepInclude(cache.inspect(), { hits: 0, misses: 3, joined: 0, size: 3, inFlight: 0 })
    })
  )

  it.effect("is answered from what is fresh without asking, at once", () =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      yield* ask(client, "k1 k2")
      const again = yield* fork(together(client, "k2 k1 k2"))
      assert.deepStrictEqual(again.pollUnsafe(), Exit.succeed(values("k21", "k11", "k21")))
      assert.deepStrictEqual(node.asked, ["[k1 k2]"])
      assert.strictEqual(cache.inspect().hits, 3)
    })
  )

  it.effect("goes on without what is fresh", () =>
    Effect.gen(function* () {
      const { client, node } = yield* setup()
      yield* ask(client, "k2 k4")
      assert.deepStrictEqual(yield* ask(client, "k5 k4 k3 k2 k1"), values("k51", "k41", "k31", "k21", "k11"))
      assert.deepStrictEqual(node.asked, ["[k2 k4]", "[k5 k3 k1]"])
    })
  )

  it.effect("of which one is left goes on as that one", () =>
    Effect.gen(function* () {
      const { client, node } = yield* setup()
      yield* ask(client, "k1 k2")
      assert.deepStrictEqual(yield* ask(client, "k1 k3 k2"), values("k11", "k31", "k21"))
      assert.deepStrictEqual(yield* ask(client, "k4"), values("k41"))
      assert.deepStrictEqual(yield* ask(client, "k4 k1 k3"), values("k41", "k11", "k31"))
      assert.deepStrictEqual(node.asked, ["[k1 k2]", "k3", "k4"])
    })
  )

  it.effect("asks once for what it has twice", () =>
    Effect.gen(function* () {
      const { client, node } = yield* setup()
      assert.deepStrictEqual(yield* ask(client, "s1 s2 s1 s1 s2"), values("s11", "s21", "s11", "s11", "s21"))
      assert.deepStrictEqual(yield* ask(client, "s1 s1"), values("s12", "s12"))
      node.answer = () => JsonRpc.apart
      assert.deepStrictEqual(yield* ask(client, "s1 s2 s1"), [JsonRpc.apart, JsonRpc.apart, JsonRpc.apart])
      assert.deepStrictEqual(node.asked, ["[s1 s2]", "s1", "[s1 s2]"])
    })
  )

  it.effect("asks each time, and at each place, for what the policy does not cache", () =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      assert.deepStrictEqual(yield* ask(client, "u1 k1 u1"), values("u11", "k11", "u12"))
      assert.deepStrictEqual(yield* ask(client, "u1 k1 u1"), values("u13", "k11", "u14"))
      assert.deepStrictEqual(yield* ask(client, "k1 u2"), values("k11", "u21"))
      assert.deepStrictEqual(node.asked, ["[u1 k1 u1]", "[u1 u1]", "u2"])
      assert.deepInclude(cache.inspect(), { hits: 2, misses: 1, size: 1 })
    })
  )

  it.effect("runs as its caller's own", () =>
    Effect.gen(function* () {
      const { client, node } = yield* setup()
      const own = new Call.Call()
      yield* Effect.provideService(ask(client, "k1 k2"), Call.Current, own)
      yield* Effect.provideService(ask(client, "k1 k3"), Call.Current, own)
      assert.deepStrictEqual(node.calls, [own, own])
    })
  )

  it.effect("can be run again", () =>
    Effect.gen(function* () {
      const { client, node } = yield* setup()
      const batch = timed(together(client, "k1 s1"))
      assert.deepStrictEqual(yield* batch, values("k11", "s11"))
      assert.deepStrictEqual(yield* batch, values("k11", "s12"))
      assert.deepStrictEqual(node.asked, ["[k1 s1]", "s1"])
    })
  )
})

describe("loads are joined", () => {
  it.effect("a batch's by those who ask for one of its keys", () =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      const batch = yield* fork(together(client, "k1 s2"))
      yield* TestClock.adjust(5)
      const late = yield* fork(apart(client, "s2 k1 k3"))
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(batch.pollUnsafe(), Exit.succeed(values("k11", "s21")))
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(yield* Fiber.join(late), values("s21", "k11", "k31"))
      assert.deepStrictEqual(node.asked, ["[k1 s2]", "k3"])
      assert.deepInclude(cache.inspect(), { misses: 3, joined: 2 })
    })
  )

  it.effect("a batch's by another only when that asks by itself, as it is told at once", () =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      const one = yield* fork(together(client, "s1 s2"))
      const two = yield* fork(together(client, "s2 s1 s2"))
      assert.deepStrictEqual(two.pollUnsafe(), Exit.succeed([JsonRpc.apart, JsonRpc.apart, JsonRpc.apart]))
      assert.deepInclude(cache.inspect(), { misses: 2, joined: 0 })
      const three = yield* fork(whole(client, "s2 s1 s2"))
      assert.isUndefined(three.pollUnsafe())
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(one.pollUnsafe(), Exit.succeed(values("s11", "s21")))
      assert.deepStrictEqual(three.pollUnsafe(), Exit.succeed(values("s21", "s11", "s21")))
      assert.deepStrictEqual(node.asked, ["[s1 s2]"])
      assert.deepInclude(cache.inspect(), { misses: 2, joined: 3 })
    })
  )

  it.effect("but nobody in a batch waits for them", () =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      node.millis = 100
      const alone = yield* fork(apart(client, "s1 k2"))
      node.millis = 10
      const batch = yield* fork(together(client, "k3 s1 k2 k4"))
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(
        batch.pollUnsafe(),
        Exit.succeed([...values("k31"), JsonRpc.apart, JsonRpc.apart, ...values("k41")])
      )
      const later = yield* fork(whole(client, "k3 s1 k2 k4"))
      assert.isUndefined(later.pollUnsafe())
      yield* TestClock.adjust(90)
      assert.deepStrictEqual(alone.pollUnsafe(), Exit.succeed(values("s11", "k21")))
      assert.deepStrictEqual(later.pollUnsafe(), Exit.succeed(values("k31", "s11", "k21", "k41")))
      assert.deepStrictEqual(node.asked, ["s1", "k2", "[k3 k4]"])
      assert.deepInclude(cache.inspect(), { misses: 4, joined: 2, hits: 2, inFlight: 0 })
    })
  )

  it.effect("whoever joined gets the chain's refusal, too", () =>
    Effect.gen(function* () {
      const { client, node } = yield* setup()
      node.answer = () => rejected
      const batch = yield* fork(together(client, "s1 s2"))
      const late = yield* fork(apart(client, "s1"))
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(yield* Fiber.join(batch), [rejected, rejected])
      assert.deepStrictEqual(late.pollUnsafe(), Exit.succeed([rejected]))
      assert.deepStrictEqual(node.asked, ["[s1 s2]"])
    })
  )

  it.effect("each may leave, and the batch stays", () =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      const batch = yield* fork(together(client, "s1 s2"))
      const late = yield* fork(client.request(read("s1")))
      const later = yield* fork(whole(client, "s2 s1"))
      yield* Fiber.interrupt(late)
      yield* Fiber.interrupt(later)
      assert.deepInclude(cache.inspect(), { inFlight: 2 })
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(batch.pollUnsafe(), Exit.succeed(values("s11", "s21")))
      assert.deepStrictEqual(node.asked, ["[s1 s2]"])
      assert.strictEqual(cache.inspect().inFlight, 0)
    })
  )

  it.effect("a batch that leaves ends what only it waits for, and leaves others theirs", () =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      const alone = yield* fork(client.request(read("s1")))
      const batch = yield* fork(together(client, "s1 s2 s3"))
      const late = yield* fork(client.request(read("s3")))
      yield* Fiber.interrupt(batch)
      assert.deepStrictEqual(node.asked, ["s1", "[s2 s3]", "s3"])
      assert.deepInclude(cache.inspect(), { inFlight: 2 })
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(alone.pollUnsafe(), Exit.succeed("s11"))
      assert.deepStrictEqual(late.pollUnsafe(), Exit.succeed("s32"))
      assert.strictEqual(node.running, 0)
    })
  )
})

describe("a read that has no answer in its batch", () => {
  const nothing = { "to be asked by itself": JsonRpc.apart, "a failure": broken, "a defect": Exit.die("bug") }

  it.effect.each(Object.entries(nothing))("leaves nothing, and whoever joined it a load of its own: %s", ([, exit]) =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      node.answer = (key, nth) => (nth === 1 && key !== "k2" ? exit : Exit.succeed(`${key}${nth}`))
      const batch = yield* fork(together(client, "k1 k2 k3"))
      const late = yield* fork(apart(client, "k1 k2"))
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(batch.pollUnsafe(), Exit.succeed([exit, Exit.succeed("k21"), exit]))
      assert.deepInclude(cache.inspect(), { inFlight: 1, size: 1, misses: 3, joined: 2 })
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(late.pollUnsafe(), Exit.succeed(values("k12", "k21")))
      assert.deepStrictEqual(yield* timed(apart(client, "k1 k2 k3")), values("k12", "k21", "k32"))
      assert.deepStrictEqual(node.asked, ["[k1 k2 k3]", "k1", "k3"])
    })
  )

  it.effect("is loaded again under the deadline of those who wait, and told to them", () =>
    Effect.gen(function* () {
      const { client, node } = yield* setup()
      node.answer = (key, nth) => (nth === 1 ? JsonRpc.apart : Exit.succeed(`${key}${nth}`))
      yield* fork(together(client, "s1 s2"))
      const late = new Call.Call()
      late.deadline = 5_000
      yield* fork(Effect.provideService(client.request(read("s1")), Call.Current, late))
      yield* TestClock.adjust(10)
      assert.strictEqual(node.calls[1]?.deadline, 5_000)
      assert.strictEqual(node.calls[1], late.worker)
      yield* TestClock.adjust(10)
    })
  )

  it.effect("whose own load fails afterwards fails for those who joined it, with that", () =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      node.answer = (_, nth) => (nth === 1 ? JsonRpc.apart : broken)
      yield* fork(together(client, "s1 s2"))
      const late = yield* fork(apart(client, "s1 s1"))
      yield* TestClock.adjust(20)
      assert.deepStrictEqual(late.pollUnsafe(), Exit.succeed([broken, broken]))
      assert.deepInclude(cache.inspect(), { inFlight: 0, size: 0 })
    })
  )
})

describe("a batch that fails as a whole", () => {
  it.effect("fails, where it has no other answer", () =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      node.batches = broken
      const batch = yield* fork(together(client, "k1 k2 u1"))
      const late = yield* fork(apart(client, "k2 k1"))
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(batch.pollUnsafe(), broken)
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(late.pollUnsafe(), Exit.succeed(values("k22", "k12")))
      assert.deepStrictEqual(node.asked, ["[k1 k2 u1]", "k1", "k2"])
      assert.deepInclude(cache.inspect(), { inFlight: 0, size: 2 })
    })
  )

  it.effect("fails for those who were asked, where others have their answer or are asked apart", () =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      yield* ask(client, "k1")
      node.batches = broken
      assert.deepStrictEqual(yield* ask(client, "k2 k1 k3 k2"), [broken, Exit.succeed("k11"), broken, broken])
      const alone = yield* fork(apart(client, "s1"))
      assert.deepStrictEqual(yield* ask(client, "u1 s1 k2"), [broken, JsonRpc.apart, broken])
      assert.deepStrictEqual(yield* Fiber.join(alone), values("s11"))
      assert.deepInclude(cache.inspect(), { inFlight: 0, size: 1 })
    })
  )

  it.effect("a lone rest that fails, or is refused by the chain, does so alone", () =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      node.answer = () => rejected
      const batch = yield* fork(together(client, "k1 k1"))
      const late = yield* fork(apart(client, "k1"))
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(batch.pollUnsafe(), Exit.succeed([rejected, rejected]))
      assert.deepStrictEqual(late.pollUnsafe(), Exit.succeed([rejected]))
      assert.deepStrictEqual(yield* ask(client, "k1"), [rejected])
      node.answer = () => broken
      assert.deepStrictEqual(yield* ask(client, "k2 k2"), [broken, broken])
      assert.deepStrictEqual(node.asked, ["k1", "k2"])
      assert.strictEqual(cache.inspect().inFlight, 0)
    })
  )
})

describe("the same as single requests", () => {
  const bad = (): never => {
    throw new Error("bad")
  }

  interface Case {
    readonly options?: ResponseCache.Options
    /** What is loaded before, and how long before. */
    readonly before?: readonly [keys: string, millis: number]
    readonly policies?: Record<string, ResponseCache.Policy>
    readonly answer?: Node["answer"]
    readonly keys?: string
  }

  // None has both what is to be asked apart and what goes on: the former is asked later then than by itself.
  const cases: Record<string, Case> = {
    "hits, misses, duplicates": { before: ["k1 k2", 5], keys: "k1 k3 k2 k3 s1 s1 u1 k4 k1 k3" },
    "what is not there": { answer: () => Exit.succeed(null), keys: "k1 p1 s1 w1 e1 u1" },
    "values that are falsy": {
      answer: (key) => Exit.succeed({ k1: undefined, k2: 0, k3: "", k4: false }[key]),
      keys: "k1 k2 k3 k4"
    },
    "refusals of the chain": { answer: () => rejected, keys: "k1 p1 s1 w1 e1 u1" },
    "refusals of the chain, one that is kept": { before: ["k1", 5], answer: () => rejected, keys: "k1 k2 p1" },
    failures: { answer: () => broken, keys: "p1 s1 w1 e1 u1" },
    "old values that are renewed": { before: ["w1 w2 k1", 500], keys: "w1 k1 w2 w1" },
    "old values that cannot be renewed": {
      before: ["w1 w2", 500],
      answer: (key, nth) => (nth > 1 ? broken : Exit.succeed(key)),
      keys: "w1 w2 w1"
    },
    "spares that are renewed": { before: ["e1 e2 k1 k2", 500], keys: "e1 k1 e2 k2 e2" },
    "spares that stand in": {
      before: ["e1 e2 k1 k2", 500],
      answer: (key, nth) => (nth > 1 ? broken : Exit.succeed(key)),
      keys: "e1 k1 e2 k2"
    },
    "spares that give way": {
      before: ["e1 e2 k1 k2", 500],
      answer: (key, nth) => (nth > 1 ? rejected : Exit.succeed(key)),
      keys: "e1 k1 e2 k2"
    },
    "values that are renewed ahead of their time": {
      options: { refreshAhead: 0.5 },
      before: ["k1 k2", 0],
      keys: "k1 k2 k3"
    },
    "more than there is room for": { options: { capacity: 2 }, keys: "k1 k2 k3 k4" },
    "a weight that cannot be": { options: { maxWeight: 10, weigh: () => -1 }, keys: "k1 k2 s1" },
    "a weight that throws": { options: { maxWeight: 10, weigh: bad }, keys: "k1 k2" },
    "a ttl that throws": { policies: { k: { ttl: bad } }, keys: "k1 s1" },
    "tags that throw": { policies: { k: { ttl: 1, tags: bad } }, keys: "k1 s1" },
    "a choice of failures that throws": {
      policies: { k: { ttl: 1, negative: { ttl: 1, when: bad } } },
      answer: () => rejected,
      keys: "k1 s1"
    }
  }

  const outcome = (way: typeof together, { answer, before, keys = "", options, policies: others }: Case) =>
    Effect.scoped(
      Effect.gen(function* () {
        const rules = { ...routing, policy: ({ method }: JsonRpc.Request) => ({ ...policies, ...others })[method[0]!] }
        const { cache, client, node } = yield* setup(options, rules)
        const events: Array<unknown> = []
        cache.events.on((event) => events.push(event))
        if (answer !== undefined) node.answer = answer
        if (before !== undefined) {
          yield* timed(apart(client, before[0]))
          yield* TestClock.adjust(before[1])
        }
        const report = new Call.Recorder()
        const asking = Effect.provideService(way(client, keys), Call.Current, new Call.Call(report))
        const exits = yield* timed(asking)
        const said = report.steps.map((step) => JSON.stringify(step)).toSorted()
        const first = cache.inspect()
        yield* TestClock.adjust(20)
        const again = yield* timed(apart(client, keys))
        const held = [...new Set(keysOf(keys))].map((key) => cache.get(key))
        return { exits, said, first, again, held, events, last: cache.inspect(), running: node.running }
      })
    )

  it.effect.each(Object.entries(cases))("%s", ([, one]) =>
    Effect.gen(function* () {
      const [batch, single] = [yield* outcome(whole, one), yield* outcome(apart, one)]
      assert.deepStrictEqual(batch, single)
    })
  )

  it.effect("but of what fails only the chain's own refusals are kept", () =>
    Effect.gen(function* () {
      const { client, node } = yield* setup()
      node.answer = () => broken
      assert.deepStrictEqual(yield* ask(client, "k1 k2"), [broken, broken])
      assert.deepStrictEqual(yield* timed(apart(client, "k1 k1")), [broken, broken])
      assert.deepStrictEqual(yield* ask(client, "k1 k1"), [broken, broken])
      assert.deepStrictEqual(node.asked, ["[k1 k2]", "k1"])
    })
  )
})

describe("what was invalidated meanwhile", () => {
  const drops: Record<string, (cache: ResponseCache.ResponseCache) => Effect.Effect<void>> = {
    invalidate: (cache) => cache.invalidate("k1"),
    invalidateTag: (cache) => cache.invalidateTag("tag"),
    clear: (cache) => cache.clear()
  }

  it.effect.each(Object.entries(drops))("is for those who wait, and for nobody else: %s", ([, drop]) =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      const batch = yield* fork(together(client, "k1 p2"))
      const early = yield* fork(apart(client, "k1"))
      yield* TestClock.adjust(5)
      yield* drop(cache)
      const late = yield* fork(apart(client, "k1"))
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(batch.pollUnsafe(), Exit.succeed(values("k11", "p21")))
      assert.deepStrictEqual(early.pollUnsafe(), Exit.succeed(values("k11")))
      assert.isUndefined(cache.get("k1"))
      assert.deepInclude(cache.inspect(), { inFlight: 1 })
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(late.pollUnsafe(), Exit.succeed(values("k12")))
      assert.strictEqual(cache.get("k1")?.value, "k12")
      assert.deepStrictEqual(node.asked, ["[k1 p2]", "k1"])
      assert.strictEqual(cache.inspect().inFlight, 0)
    })
  )

  it.effect("does not come back, though nobody asked for it again", () =>
    Effect.gen(function* () {
      const { cache, client } = yield* setup()
      const batch = yield* fork(together(client, "k1 p2"))
      yield* cache.invalidateTag("tag")
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(batch.pollUnsafe(), Exit.succeed(values("k11", "p21")))
      assert.isUndefined(cache.get("k1"))
      assert.strictEqual(cache.get("p2")?.value, "p21")
      assert.strictEqual(cache.inspect().inFlight, 0)
    })
  )

  it.effect("does not replace what was set", () =>
    Effect.gen(function* () {
      const { cache, client } = yield* setup()
      const batch = yield* fork(together(client, "k1 k2"))
      yield* cache.set("k1", "set", { ttl: 1_000 })
      assert.deepStrictEqual(yield* apart(client, "k1"), values("set"))
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(batch.pollUnsafe(), Exit.succeed(values("k11", "k21")))
      assert.strictEqual(cache.get("k1")?.value, "set")
    })
  )

  it.effect("and has no answer in its batch, is loaded once more for those who wait, and not kept", () =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      node.answer = (key, nth) => (nth === 1 ? JsonRpc.apart : Exit.succeed(`${key}${nth}`))
      yield* fork(together(client, "k1 k2"))
      const early = yield* fork(apart(client, "k1"))
      yield* cache.invalidate("k1")
      yield* TestClock.adjust(20)
      assert.deepStrictEqual(early.pollUnsafe(), Exit.succeed(values("k12")))
      assert.isUndefined(cache.get("k1"))
      assert.deepInclude(cache.inspect(), { inFlight: 0, size: 0 })
    })
  )

  it.effect("and has no answer in its batch, leaves a newer load alone", () =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      node.answer = (key, nth) => (nth === 1 ? JsonRpc.apart : Exit.succeed(`${key}${nth}`))
      yield* fork(together(client, "k1 k2"))
      yield* cache.invalidate("k1")
      yield* TestClock.adjust(5)
      const newer = yield* fork(apart(client, "k1"))
      yield* TestClock.adjust(5)
      const late = yield* fork(apart(client, "k1"))
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(newer.pollUnsafe(), Exit.succeed(values("k12")))
      assert.deepStrictEqual(late.pollUnsafe(), Exit.succeed(values("k12")))
      assert.deepStrictEqual(node.asked, ["[k1 k2]", "k1"])
    })
  )

  it.effect("and whose waiters have left, is nobody's any more", () =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      node.answer = () => JsonRpc.apart
      const batch = yield* fork(together(client, "k1 k2"))
      const early = yield* fork(apart(client, "k1"))
      yield* cache.invalidate("k1")
      yield* Fiber.interrupt(early)
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(batch.pollUnsafe(), Exit.succeed([JsonRpc.apart, JsonRpc.apart]))
      assert.deepStrictEqual(node.asked, ["[k1 k2]"])
      assert.strictEqual(cache.inspect().inFlight, 0)
    })
  )
})

describe("old values and other levels", () => {
  it.effect("an old value is there for whoever asks by itself, and renewed by itself", () =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup()
      yield* ask(client, "w1 w2 k1")
      yield* TestClock.adjust(500)
      assert.deepStrictEqual(yield* together(client, "w1 k1 w2"), [JsonRpc.apart, ...values("k11"), JsonRpc.apart])
      assert.strictEqual(cache.inspect().refreshing, 0)
      const { report, value } = yield* JsonRpc.explain(whole(client, "w1 k1 w2"))
      assert.deepStrictEqual(value, values("w11", "k11", "w21"))
      assert.isTrue(report.stale)
      assert.strictEqual(cache.inspect().refreshing, 2)
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(yield* together(client, "w2 w1"), values("w22", "w12"))
      assert.deepStrictEqual(node.asked, ["[w1 w2 k1]", "w1", "w2"])
    })
  )

  it.effect("what has a spare is to be loaded by itself", () =>
    Effect.gen(function* () {
      const { client, node } = yield* setup()
      yield* ask(client, "e1 e2")
      yield* TestClock.adjust(500)
      node.answer = (key, nth) => (key === "e1" ? broken : Exit.succeed(`${key}${nth}`))
      assert.deepStrictEqual(yield* timed(whole(client, "k1 e1 e2 k2")), values("k11", "e11", "e22", "k21"))
      assert.deepStrictEqual(node.asked.slice(1).toSorted(), ["[k1 k2]", "e1", "e2"])
    })
  )

  it.effect("a spare is there before the deadline of who makes the batch", () =>
    Effect.gen(function* () {
      const { client, node } = yield* setup()
      yield* ask(client, "e1 e2")
      yield* TestClock.adjust(490)
      node.millis = 10_000
      const call = new Call.Call()
      call.deadline = 1_000
      const batch = yield* fork(Effect.provideService(whole(client, "e1 e2"), Call.Current, call))
      yield* TestClock.adjust(449)
      assert.isUndefined(batch.pollUnsafe())
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(batch.pollUnsafe(), Exit.succeed(values("e11", "e21")))
      assert.strictEqual(node.running, 0)
    })
  )

  it.effect("with a second level each read is to look there, and be loaded, by itself", () =>
    Effect.gen(function* () {
      const texts = new Map<string, ResponseCache.Stored>()
      const store: ResponseCache.Store = {
        get: (key) => Effect.as(Effect.sleep(1), texts.get(key)),
        set: (key, entry) => Effect.sync(() => void texts.set(key, entry)),
        invalidate: () => Effect.void,
        invalidateTag: () => Effect.void,
        clear: () => Effect.void
      }
      const [one, two] = [yield* setup({ store }), yield* setup({ store })]
      assert.deepStrictEqual(yield* timed(whole(one.client, "k1 k2")), values("k11", "k21"))
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(
        yield* timed(whole(two.client, "k3 k1 u1 k2 k3")),
        values("k31", "k11", "u11", "k21", "k31")
      )
      assert.deepStrictEqual(
        [one.node.asked, two.node.asked],
        [
          ["k1", "k2"],
          ["u1", "k3"]
        ]
      )
      assert.deepStrictEqual(two.cache.inspect().store, { hits: 2, failures: 0 })
      yield* TestClock.adjust(1)
      assert.isTrue(texts.has("k3"))
    })
  )
})

describe("the user's functions", () => {
  const throwing: Record<string, ResponseCache.Routing> = {
    "a policy that throws": {
      policy: (request) => {
        if (request.method === "k2") throw new Error("bad")
        return routing.policy!(request)
      },
      key: routing.key
    },
    "a key that throws": {
      policy: routing.policy,
      key: ({ method }) => {
        if (method === "k2") throw new Error("bad")
        return method
      }
    },
    "a policy that cannot be": {
      policy: (request) => (request.method === "k2" ? { ttl: -1 } : routing.policy!(request)),
      key: routing.key
    }
  }

  it.effect.each(Object.entries(throwing))("%s fails the batch, which has asked nobody then", ([, rules]) =>
    Effect.gen(function* () {
      const { cache, client, node } = yield* setup({}, rules)
      const exit = yield* Effect.exit(together(client, "k1 k2 k3"))
      assert.deepStrictEqual([exit], yield* apart(client, "k2"))
      assert.strictEqual(exit._tag === "Failure" && exit.cause.reasons[0]?._tag, "Die")
      assert.deepStrictEqual(node.asked, [])
      assert.deepInclude(cache.inspect(), { inFlight: 0, size: 0 })
      assert.deepStrictEqual(yield* ask(client, "k1 k3"), values("k11", "k31"))
    })
  )
})

describe("the end of the scope", () => {
  it.effect("interrupts who waits for a batch; from then on nothing is kept or shared", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const { cache, client, node } = yield* Effect.provideService(setup(), Scope.Scope, scope)
      const alone = yield* fork(client.request(read("s3")))
      const batch = yield* fork(together(client, "k1 k2 s3"))
      const late = yield* fork(client.request(read("k1")))
      yield* TestClock.adjust(5)
      yield* Scope.close(scope, Exit.void)
      for (const fiber of [alone, late]) {
        const exit = fiber.pollUnsafe()
        assert.strictEqual(exit?._tag === "Failure" && exit.cause.reasons[0]?._tag, "Interrupt")
      }
      assert.strictEqual(cache.inspect().inFlight, 0)
      yield* TestClock.adjust(5)
      const answers = yield* Fiber.join(batch)
      assert.deepStrictEqual(answers, [...values("k11", "k21"), JsonRpc.apart])
      assert.deepInclude(cache.inspect(), { inFlight: 0, size: 0 })
      const [one, two] = [yield* fork(whole(client, "k1 k2")), yield* fork(apart(client, "k1"))]
      yield* TestClock.adjust(10)
      assert.deepStrictEqual(one.pollUnsafe(), Exit.succeed(values("k12", "k22")))
      assert.deepStrictEqual(two.pollUnsafe(), Exit.succeed(values("k13")))
      assert.deepStrictEqual(node.asked, ["s3", "[k1 k2]", "k1", "k2", "k1"])
      assert.deepInclude(cache.inspect(), { inFlight: 0, size: 0 })
      assert.strictEqual(node.running, 0)
    })
  )
})

describe("interrupted at every step", () => {
  it.effect("a batch leaves nothing behind: no load, no waiter, no timer", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.gen(function* () {
          const { cache, client, node } = yield* setup()
          yield* Effect.forEach(["k1", "w1"], (key) => cache.set(key, key, policies["k"] as never))
          return {
            run: Effect.andThen(whole(client, "k1 s1 s2 s1 u1 k2"), whole(client, "k2 s1")),
            check: () => {
              assert.strictEqual(node.running, 0)
              assert.strictEqual(cache.inspect().inFlight, 0)
            }
          }
        })
      )
      assert.isAbove(steps, 10)
    })
  )

  it.effect("a batch whose reads come back apart, with one that is loaded already and one that has a spare", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.gen(function* () {
          const { cache, client, node } = yield* setup()
          yield* cache.set("e1", "old", { ttl: 0, staleIfError: "1 hour" })
          node.answer = () => JsonRpc.apart
          const batch = whole(client, "s1 e1 s2 s3")
          return {
            run: Effect.all([client.request(read("s2")), batch, whole(client, "s3 s1 s2")].map(Effect.exit), {
              concurrency: "unbounded"
            }),
            check: () => {
              assert.strictEqual(node.running, 0)
              assert.strictEqual(cache.inspect().inFlight, 0)
            }
          }
        })
      )
      assert.isAbove(steps, 20)
    })
  )

  it.effect("those who joined a batch that goes have loads of their own", () =>
    Effect.gen(function* () {
      let left = 0
      yield* Interruption.everywhere(
        Effect.gen(function* () {
          const hand = new Hand()
          const { cache, client } = yield* over(hand)
          const late: Array<Fiber.Fiber<unknown, unknown>> = []
          hand.heard = (batch, fiber) => {
            if (!batch.together) return
            const ask = (key: string) => Effect.runForkWith(fiber.context)(client.request(read(key)))
            late.push(...batch.keys.map(ask), Effect.runForkWith(fiber.context)(whole(client, "s1 s2")))
          }
          return {
            run: Effect.timeoutOption(together(client, "s1 s2"), 30),
            check: () => {
              if (late.length > 0) left++
              assert.deepStrictEqual(
                hand.open.map(({ keys }) => keys.join()),
                late.length > 0 ? ["s1", "s2"] : []
              )
              assert.strictEqual(cache.inspect().inFlight, hand.open.length)
              for (const request of hand.open.slice()) request.end(request.keys.map((key) => Exit.succeed(key)))
              if (late.length > 0) {
                const ends = late.slice(0, 2).map((fiber) => fiber.pollUnsafe())
                assert.deepStrictEqual(ends, [Exit.succeed("s1"), Exit.succeed("s2")])
              }
              assert.strictEqual(cache.inspect().inFlight, 0)
            }
          }
        })
      )
      assert.isAbove(left, 3)
    })
  )

  it.effect("a batch beside a load of one of its keys goes, and the load knows nothing of it", () =>
    Effect.gen(function* () {
      yield* Interruption.everywhere(
        Effect.gen(function* () {
          const hand = new Hand()
          const { cache, client } = yield* over(hand)
          const leader = yield* Effect.forkDetach(client.request(read("s1")), { startImmediately: true })
          return {
            run: Effect.timeoutOption(together(client, "s1 s2 s3"), 30),
            check: () => {
              assert.deepStrictEqual(
                hand.open.map(({ keys }) => keys.join()),
                ["s1"]
              )
              hand.open[0]!.end(values("s1"))
              assert.deepStrictEqual(leader.pollUnsafe(), Exit.succeed("s1"))
              assert.strictEqual(cache.inspect().inFlight, 0)
            }
          }
        })
      )
    })
  )

  it.effect("the whole cache, made and used and closed", () =>
    Effect.gen(function* () {
      const steps = yield* Interruption.everywhere(
        Effect.sync(() => {
          const node = new Node()
          const use = Effect.gen(function* () {
            const { cache, client } = yield* over(node, { linger: 5 })
            const drop = Effect.andThen(Effect.sleep(5), cache.invalidate("k1"))
            yield* Effect.all([whole(client, "k1 s1 s2"), client.request(read("s2")), drop], {
              concurrency: "unbounded"
            })
            yield* Effect.forkChild(whole(client, "k1 s1"))
            yield* Effect.forkChild(whole(client, "s1 k1"))
            yield* Effect.sleep(5)
          })
          return { run: Effect.scoped(use), check: () => assert.strictEqual(node.running, 0) }
        })
      )
      assert.isAbove(steps, 50)
    })
  )
})
