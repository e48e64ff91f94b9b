/**
 * Invariants of health checks, and of what is learned from traffic in their stead: that a node is of the right chain (HC8)
 * and where its head is (HC10).
 *
 * HC5, that a result for a node that was replaced is dropped, has nothing to hold: a check runs in the scope of its
 * upstream's layer and writes to that layer alone, so that no result outlives its node.
 */
import { assert, describe, it } from "@effect/vitest"
import { Interruption } from "@hawser/testkit"
import { Clock, Effect, Exit, Fiber, Layer, Random } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import { Breaker, Call, Chain, Events, JsonRpc, RpcError, Stack, UpstreamPool } from "hawser"
import * as Health from "../src/internal/health.ts"
import { hex, type Node, now, pool, run } from "./support/lagging.ts"
import { Broken, build, inVirtualTime, node, read, type Upstream } from "./support/upstream.ts"

const unreached = new RpcError.TransportError({ upstream: "a", reason: "connect", message: "refused", reached: false })

const every = 1_000
const timeout = 300
/** The longest from one check's start to the next one's. */
const longest = 1.1 * every + timeout + 2

const checked = (upstream: Upstream, options?: Partial<Health.Options>) =>
  Effect.gen(function* () {
    const layer = Health.layer({ every, timeout, ...options })(upstream)
    const service = yield* Effect.provide(JsonRpc.upstream<any>(), yield* Layer.build(layer))
    return { request: service.request, health: () => (service.inspect() as any).health as Health.Inspection }
  })

describe("a check", () => {
  const checks = (seed: number, answer: (nth: number) => Effect.Effect<unknown, Broken>) => {
    const { counts, layer } = node("a", answer)
    return Effect.map(Random.withSeed(checked(layer), seed), ({ health }) => ({ counts, health }))
  }

  it("HC2, HC3: one at a time, spread by a tenth, the first at a random time within the first interval", () =>
    fc.assert(
      fc.asyncProperty(fc.integer(), fc.nat(400), (seed, lasts) =>
        inVirtualTime(
          Effect.gen(function* () {
            const { counts } = yield* checks(seed, () => Effect.delay(Effect.succeed("0x1"), lasts))
            yield* TestClock.adjust("20 seconds")
            assert.isAtMost(counts.most, 1)
            assert.isAtMost(counts.at[0]!, every)
            const took = Math.min(lasts, timeout)
            for (const [i, at] of counts.at.entries()) {
              if (i === 0) continue
              const gap = at - counts.at[i - 1]! - took
              assert.isTrue(gap >= 0.9 * every - 2 && gap <= 1.1 * every + 2, `a gap of ${gap}`)
            }
          }),
          seed
        )
      ),
      { numRuns: 40 }
    ))

  it.effect("HC3: the first ones of many clients are spread over the interval", () =>
    Effect.gen(function* () {
      const firsts: Array<number> = []
      for (let seed = 0; seed < 200; seed++) {
        const scope = Effect.scoped(
          Effect.gen(function* () {
            const start = (yield* Clock.Clock).currentTimeMillisUnsafe()
            const { counts } = yield* checks(seed, () => Effect.succeed("0x1"))
            yield* TestClock.adjust(every)
            firsts.push(counts.at[0]! - start)
          })
        )
        yield* scope
      }
      for (let tenth = 0; tenth < 10; tenth++) {
        const inside = firsts.filter((at) => Math.floor(at / (every / 10)) === tenth).length
        assert.isAbove(inside, 5, `between ${tenth} and ${tenth + 1} tenths`)
      }
    })
  )

  it.effect("HC4: that hangs has failed", () =>
    Effect.gen(function* () {
      const { health } = yield* checks(1, (nth) => (nth === 1 ? Effect.succeed("0x10") : Effect.never))
      assert.deepStrictEqual(health(), { head: undefined, checked: undefined, ok: undefined, streak: 0 })
      yield* TestClock.adjust(every)
      assert.deepInclude(health(), { head: 16, ok: true, streak: 0 })
      yield* TestClock.adjust(longest)
      assert.deepInclude(health(), { head: 16, ok: true, streak: 1 })
      yield* TestClock.adjust(longest)
      assert.deepInclude(health(), { head: 16, ok: false, streak: 2 })
    }).pipe(Effect.scoped)
  )

  it.effect("HC4, HC6: closing leaves none under way and no timer, wherever it happens", () =>
    Interruption.everywhere(
      Effect.sync(() => {
        const seen: Array<{ readonly running: number }> = []
        return {
          run: Effect.scoped(
            Effect.gen(function* () {
              const { counts } = yield* checks(3, () => Effect.delay(Effect.succeed("0x1"), "50 millis"))
              seen.push(counts)
              yield* Effect.sleep("1 second")
            })
          ),
          check: () => {
            for (const { running } of seen) assert.strictEqual(running, 0)
          }
        }
      })
    )
  )

  // Nothing need turn unknown with age, since none of it grows old: a check always ends, and another follows.
  it("HC7: what is shown is no older than an interval and a check", () =>
    fc.assert(
      fc.asyncProperty(fc.integer(), fc.array(fc.option(fc.nat(400)), { minLength: 1 }), (seed, lasts) =>
        inVirtualTime(
          Effect.gen(function* () {
            const { health } = yield* checks(seed, (nth) => {
              const millis = lasts[nth % lasts.length]!
              return millis === null ? Effect.never : Effect.delay(Effect.succeed("0x1"), millis)
            })
            yield* TestClock.adjust(longest)
            for (let i = 0; i < 50; i++) {
              yield* TestClock.adjust(every / 7)
              assert.isAtMost(health().checked!, longest)
            }
          }),
          seed
        )
      ),
      { numRuns: 40 }
    ))
})

describe("thresholds", () => {
  /** What results in a row say, the latest word first: each that many alike, or the first of all. */
  const model = (results: ReadonlyArray<boolean>, unhealthy: number, healthy: number): boolean | undefined => {
    const alike = (result: boolean, end: number, many: number) =>
      end >= many && results.slice(end - many, end).every((one) => one === result)
    for (let end = results.length; end > 1; end--) {
      if (alike(false, end, unhealthy)) return false
      if (alike(true, end, healthy)) return true
    }
    return results[0]
  }

  it("HC1: unhealthy after exactly u failures in a row, healthy after exactly h successes; the first decides alone", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.array(fc.constantFrom("answers", "fails", "hangs" as const), { minLength: 1, maxLength: 40 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 1, max: 4 }),
        (seed, results, unhealthyThreshold, healthyThreshold) =>
          inVirtualTime(
            Effect.gen(function* () {
              const shown: Array<boolean | undefined> = []
              const { layer } = node("a", (nth) => {
                if (nth <= results.length + 1) shown.push(health().ok)
                const result = results[nth - 1]
                if (result === "answers") return Effect.succeed("0x1")
                return result === "fails" ? Effect.fail(new Broken()) : Effect.never
              })
              const hub = Events.make<JsonRpc.Event>()
              const told: Array<string> = []
              hub.on(({ type }) => told.push(type))
              const { health } = yield* Effect.provideService(
                checked(layer, { unhealthyThreshold, healthyThreshold }),
                JsonRpc.Observer,
                hub
              )
              yield* TestClock.adjust((results.length + 1) * longest)
              const expected = Array.from({ length: results.length + 1 }, (_, n) =>
                model(
                  results.slice(0, n).map((result) => result === "answers"),
                  unhealthyThreshold,
                  healthyThreshold
                )
              )
              assert.deepStrictEqual(shown, expected)
              const turns = expected.filter((ok, n) => n > 0 && ok !== expected[n - 1])
              assert.deepStrictEqual(
                told.slice(0, turns.length),
                turns.map((ok) => (ok ? "healthy" : "unhealthy"))
              )
            }),
            seed
          )
      ),
      { numRuns: 200 }
    ))
})

describe("an upstream of another chain", () => {
  const command = fc.record({
    wait: fc.oneof(fc.nat(10_000), fc.nat(100_000)),
    method: fc.constantFrom("eth_getBalance", "eth_blockNumber", "eth_chainId", "eth_sendRawTransaction"),
    insist: fc.constantFrom("none", "wait", "probe", "health" as const),
    answers: fc.constantFrom("well", "never", "not reached" as const)
  })

  it("HC8: answers nobody, whatever it is asked and however its checks end, until it is of the right one", () =>
    fc.assert(
      fc.asyncProperty(fc.integer(), fc.array(command, { maxLength: 40 }), (seed, commands) =>
        inVirtualTime(
          Effect.gen(function* () {
            let id = "0x2"
            let answers: (typeof commands)[number]["answers"] = "well"
            const asked = new Set<string>()
            const { layer } = node("a", (_, { method }) => {
              asked.add(method)
              if (answers === "never") return Effect.never
              if (answers === "not reached") return Effect.fail(unreached)
              return Effect.succeed(method === "eth_chainId" ? id : "0x7")
            })
            const { health, request } = yield* checked(Chain.layer(1)(layer))
            const ask = (method: string, insist: Call.Insistence) =>
              request(JsonRpc.makeRequest(method)).pipe(
                Effect.provideService(Call.Insist, insist),
                Effect.timeout(timeout),
                Effect.exit
              )
            yield* ask("eth_sendRawTransaction", "none")
            assert.deepStrictEqual(Array.from(asked), ["eth_chainId"])
            for (const command of commands) {
              answers = command.answers
              yield* TestClock.adjust(command.wait)
              const fiber = yield* Effect.forkChild(ask(command.method, command.insist), { startImmediately: true })
              yield* TestClock.adjust(timeout)
              assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
              assert.deepStrictEqual(Array.from(asked), ["eth_chainId"])
              assert.notStrictEqual(health().ok, true)
              assert.isUndefined(health().head)
            }
            id = "0x1"
            answers = "well"
            yield* TestClock.adjust("2 minutes")
            assert.isTrue(health().ok)
            assert.deepStrictEqual(yield* ask("eth_getBalance", "none"), Exit.succeed("0x7"))
          }),
          seed
        )
      ),
      { numRuns: 100 }
    ))
})

/** Whom a pool may ask is for breaker and ejection to say; checks are heard by the breaker like any other request. */
describe("HC9: eligible is who is not ejected", () => {
  /** An upstream whose checks and whose calls end as is said, behind a pool. */
  const facing = (guard: (upstream: Upstream) => Upstream, ejection?: UpstreamPool.Ejection) =>
    Effect.gen(function* () {
      const told = { checks: true, calls: true, called: 0 }
      const { layer } = node("a", (_, { method }) => {
        if (method !== "eth_blockNumber") told.called++
        const well = method === "eth_blockNumber" ? told.checks : told.calls
        return well ? Effect.succeed("0x1") : Effect.fail(new Broken())
      })
      // The last one is never ejected.
      const other = node("b", () => Effect.succeed("0x1"))
      const members = [{ upstream: Health.layer({ every, timeout })(guard(layer)), weight: 1_000 }, other.layer]
      const client = yield* build(UpstreamPool.layer(members, { balance: "weight", ejection: ejection ?? false }))
      const shown = () => (client.inspect() as any).upstreams[0]
      const calls = (n: number) => Effect.repeat(Effect.exit(client.request(read)), { times: n - 1 })
      return { told, shown, calls }
    })

  it.effect("checks that fail leave nobody out whose calls are answered", () =>
    Effect.gen(function* () {
      const { calls, shown, told } = yield* facing(Breaker.layer({ consecutive: 3 }))
      told.checks = false
      for (let i = 0; i < 50; i++) {
        yield* calls(5)
        yield* TestClock.adjust(every)
      }
      assert.isFalse(shown().health.ok)
      assert.strictEqual(told.called, 250)
    }).pipe(Effect.scoped)
  )

  it.effect("of an idle upstream they open its breaker", () =>
    Effect.gen(function* () {
      const { calls, shown, told } = yield* facing(Breaker.layer({ consecutive: 3, openFor: "1 hour" }))
      told.checks = false
      yield* TestClock.adjust(4 * longest)
      assert.strictEqual(shown().breaker.state, "open")
      yield* calls(5)
      assert.strictEqual(told.called, 0)
    }).pipe(Effect.scoped)
  )

  it.effect("checks that succeed let one probe through an open breaker, and close none", () =>
    Effect.gen(function* () {
      const { calls, shown, told } = yield* facing(Breaker.layer({ consecutive: 3, openFor: "1 hour" }))
      told.calls = false
      yield* calls(3)
      assert.strictEqual(shown().breaker.state, "open")
      yield* TestClock.adjust(10 * longest)
      assert.isTrue(shown().health.ok)
      assert.strictEqual(shown().breaker.state, "half-open")
      yield* calls(20)
      assert.strictEqual(told.called, 4)
      assert.strictEqual(shown().breaker.state, "open")
    }).pipe(Effect.scoped)
  )

  it.effect("checks that succeed end no ejection", () =>
    Effect.gen(function* () {
      const { calls, shown, told } = yield* facing((self) => self, {
        consecutive: 3,
        base: "1 hour",
        max: "1 hour",
        jitter: 0
      })
      told.calls = false
      yield* calls(3)
      told.calls = true
      yield* TestClock.adjust("59 minutes")
      assert.isTrue(shown().health.ok)
      yield* calls(20)
      assert.deepStrictEqual([shown().pool.out, told.called], ["ejected", 3])
      yield* TestClock.adjust("1 minute")
      yield* calls(20)
      assert.isAbove(told.called, 3)
    }).pipe(Effect.scoped)
  )
})

describe("one node that reports any head", () => {
  /** Blocks above the head, or below. */
  const lie = fc.oneof(
    fc.integer({ min: -2, max: 6 }),
    fc.integer({ min: -1_000, max: 1_000 }),
    fc.constantFrom(1e4, 1e8, 1e12)
  )

  // But for the very next block, which may be the chain's: once it was told of, they are asked again when they have it.
  it("HC10: leaves the others as eligible as they were, where two of them have the head", () =>
    fc.assert(
      fc.asyncProperty(
        fc.integer(),
        fc.array(fc.tuple(fc.nat(2_000), lie), { minLength: 1, maxLength: 60 }),
        (seed, lies) =>
          inVirtualTime(
            Effect.gen(function* () {
              const { ask, client, ledger, nodes } = yield* pool(3, undefined, seed)
              const [a, b, liar] = nodes as [Node, Node, Node]
              const only = (asked: ReadonlyArray<Node>, method: string, ...params: ReadonlyArray<unknown>) => {
                const others = nodes.flatMap((node) => (asked.includes(node) ? [] : node.name))
                return Effect.provideService(ask(method, ...params), Call.Exclude, others)
              }
              const next = Effect.suspend(() => {
                ledger.head++
                return TestClock.adjust("1 second")
              })
              const everybody = Effect.forEach(nodes, (node) => run(only([node], "eth_blockNumber")))
              // It lies once the others and their pace are known.
              for (let i = 0; i < 10; i++) yield* Effect.andThen(everybody, next)
              for (const [wait, lie] of lies) {
                yield* TestClock.adjust(wait)
                liar.claims = ledger.head + lie
                yield* run(only([liar], "eth_getBlockByNumber", "latest", false))
                const isNext = lie === 1
                if (isNext) ledger.head++
                for (const asked of isNext ? [[a, b]] : [[a], [b]]) {
                  const answer = yield* (isNext ? run : now)(only(asked, "eth_call", {}, "latest"))
                  assert.deepStrictEqual(answer, Exit.succeed(hex(ledger.head)))
                }
                for (const { head, name } of Stack.status(client.inspect()).upstreams)
                  assert.isFalse(head!.late && name !== liar.name)
                yield* Effect.andThen(everybody, next)
              }
            }),
            seed
          )
      ),
      { numRuns: 250 }
    ))
})
