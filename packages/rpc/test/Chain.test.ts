import { assert, describe, it } from "@effect/vitest"
import { Call, JsonRpc, Outcome } from "@hawser/core"
import { Chain, RpcError } from "@hawser/rpc"
import { Interruption } from "@hawser/testkit"
import { Context, Deferred, Duration, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"

const read = JsonRpc.makeRequest("eth_getBalance", ["0x0", "latest"])
const write = JsonRpc.makeRequest("eth_sendRawTransaction", ["0x00"])
const chainId = JsonRpc.makeRequest("eth_chainId")

type Failing = RpcError.TransportError | JsonRpc.Rejected

/** An upstream of a chain, and what it was asked. */
class Upstream {
  readonly asked: Array<string> = []
  id: Effect.Effect<unknown, Failing> = Effect.succeed("0x1")
  answer: Effect.Effect<unknown, Failing> = Effect.succeed("0x7")

  readonly layer = Layer.succeed(JsonRpc.upstream<Failing>())({
    name: "a",
    request: ({ method }) =>
      Effect.suspend(() => {
        this.asked.push(method)
        return method === "eth_chainId" ? this.id : this.answer
      }),
    inspect: () => ({ name: "a" })
  })

  checked(chain: Chain.Chain | number) {
    return Effect.map(Layer.build(this.layer.pipe(Chain.layer(chain))), (context) =>
      Context.get(context, JsonRpc.upstream<Failing | Chain.WrongChain | Chain.Unverified>())
    )
  }
}

const fault = (reached: boolean) =>
  new RpcError.TransportError({ upstream: "a", reason: reached ? "closed" : "connect", message: "x", reached })

const refusal = new JsonRpc.Rejected({
  upstream: "a",
  code: 0,
  message: "refused",
  data: undefined,
  kind: "invalid",
  [Outcome.TypeId]: Outcome.refusal()
})

describe("a right upstream", () => {
  it.effect("is asked for its chain once, after the first answer", () =>
    Effect.gen(function* () {
      const upstream = new Upstream()
      const service = yield* upstream.checked(1)
      assert.strictEqual(yield* service.request(read), "0x7")
      assert.strictEqual(yield* service.request(read), "0x7")
      assert.deepStrictEqual(upstream.asked, ["eth_getBalance", "eth_chainId", "eth_getBalance"])
      assert.deepStrictEqual(service.inspect()["chain"], { expected: 1, verified: true, actual: 1 })
    })
  )

  it.effect("before a write", () =>
    Effect.gen(function* () {
      const upstream = new Upstream()
      const service = yield* upstream.checked(1)
      yield* service.request(write)
      assert.deepStrictEqual(upstream.asked, ["eth_chainId", "eth_sendRawTransaction"])
    })
  )

  it.effect("a write whose check fails was not sent; those that waited for it have cost nothing", () =>
    Effect.gen(function* () {
      const upstream = new Upstream()
      const end = yield* Deferred.make<unknown, Failing>()
      upstream.id = Deferred.await(end)
      const service = yield* upstream.checked(1)
      const fibers = yield* Effect.forEach([1, 2, 3], () =>
        Effect.forkChild(Effect.flip(service.request(write)), { startImmediately: true })
      )
      yield* Deferred.fail(end, fault(true))
      const verdicts: Array<Outcome.Verdict> = []
      for (const fiber of fibers) verdicts.push(Outcome.of(yield* Fiber.join(fiber)))
      assert.deepStrictEqual(upstream.asked, ["eth_chainId"])
      assert.isTrue(verdicts.every(({ ran }) => ran === "no"))
      assert.deepStrictEqual(
        verdicts.map(({ counts, refused }) => [counts, refused]),
        [
          ["failure", false],
          ["neutral", true],
          ["neutral", true]
        ]
      )
    })
  )

  it.effect("a check that is refused has cost no attempt", () =>
    Effect.gen(function* () {
      const upstream = new Upstream()
      const service = yield* upstream.checked(1)
      upstream.id = Effect.fail(refusal)
      const call = Object.assign(new Call.Call(), { attempts: 6 })
      yield* Effect.flip(Effect.provideService(service.request(write), Call.Current, call))
      assert.deepStrictEqual([call.attempts, call.sent], [6, 0])
      upstream.id = Effect.fail(fault(false))
      yield* Effect.flip(Effect.provideService(service.request(write), Call.Current, call))
      assert.deepStrictEqual([call.attempts, call.sent], [5, 1])
    })
  )

  it.effect("a call that has no attempt left cannot ask for the others", () =>
    Effect.gen(function* () {
      const upstream = new Upstream()
      const service = yield* upstream.checked(1)
      const spent = Object.assign(new Call.Call(), { attempts: 0 })
      const error = yield* Effect.flip(Effect.provideService(service.request(write), Call.Current, spent))
      assert.instanceOf(error, Chain.Unverified)
      assert.deepStrictEqual(upstream.asked, [])
      yield* service.request(write)
      assert.deepStrictEqual(upstream.asked, ["eth_chainId", "eth_sendRawTransaction"])
    })
  )

  it.effect("a call that may send one request alone has the check beside it, and no second one", () =>
    Effect.gen(function* () {
      for (const request of [read, write]) {
        const upstream = new Upstream()
        const service = yield* upstream.checked(1)
        // As the pool has spent it.
        const single = () => Object.assign(new Call.Call(), { attempts: 0, sent: 1 })
        const call = single()
        yield* Effect.provideService(service.request(request), Call.Current, call)
        assert.sameMembers(upstream.asked, ["eth_chainId", request.method])
        assert.deepStrictEqual([call.attempts, call.sent], [0, 1])
        const other = yield* new Upstream().checked(1)
        const resumed = Object.assign(single(), { resumed: true })
        const error = yield* Effect.flip(Effect.provideService(other.request(request), Call.Current, resumed))
        assert.instanceOf(error, Chain.Unverified)
      }
    })
  )

  it.effect("that was not sent is not taken back from a call that did not pay for it", () =>
    Effect.gen(function* () {
      const upstream = new Upstream()
      upstream.id = Effect.fail(refusal)
      const service = yield* upstream.checked(1)
      const call = Object.assign(new Call.Call(), { attempts: 0, sent: 1 })
      yield* Effect.flip(Effect.provideService(service.request(write), Call.Current, call))
      assert.deepStrictEqual([call.attempts, call.sent], [0, 1])
    })
  )

  it.effect("not before it has answered at all", () =>
    Effect.gen(function* () {
      const upstream = new Upstream()
      upstream.answer = Effect.fail(fault(true))
      const service = yield* upstream.checked(1)
      yield* Effect.flip(service.request(read))
      assert.deepStrictEqual(upstream.asked, ["eth_getBalance"])
    })
  )

  it.effect("a revert is an answer, and held likewise", () =>
    Effect.gen(function* () {
      const upstream = new Upstream()
      const revert = new JsonRpc.Rejected({
        upstream: "a",
        code: 3,
        message: "execution reverted",
        data: "0x",
        kind: "revert",
        [Outcome.TypeId]: Outcome.verdict({ counts: "success", again: "nowhere" })
      })
      upstream.answer = Effect.fail(revert)
      const service = yield* upstream.checked(1)
      assert.strictEqual(yield* Effect.flip(service.request(read)), revert)
      upstream.id = Effect.succeed("0x2")
      const other = yield* upstream.checked(1)
      assert.instanceOf(yield* Effect.flip(other.request(read)), Chain.WrongChain)
    })
  )

  it.effect("is asked once for many callers at once; they are answered together", () =>
    Effect.gen(function* () {
      const upstream = new Upstream()
      upstream.id = Effect.as(Effect.sleep("1 second"), "0x1")
      const service = yield* upstream.checked(1)
      const fibers = yield* Effect.forEach(Array.from({ length: 50 }), () =>
        Effect.forkChild(service.request(read), { startImmediately: true })
      )
      yield* TestClock.adjust("1 second")
      for (const fiber of fibers) assert.strictEqual(yield* Fiber.join(fiber), "0x7")
      assert.strictEqual(upstream.asked.filter((method) => method === "eth_chainId").length, 1)
    })
  )

  it.effect("when the caller who asks is cancelled, another takes over", () =>
    Effect.gen(function* () {
      const upstream = new Upstream()
      upstream.id = Effect.as(Effect.sleep("1 second"), "0x1")
      const service = yield* upstream.checked(1)
      const first = yield* Effect.forkChild(service.request(read), { startImmediately: true })
      const second = yield* Effect.forkChild(service.request(read), { startImmediately: true })
      yield* Fiber.interrupt(first)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(second), "0x7")
      assert.strictEqual(upstream.asked.filter((method) => method === "eth_chainId").length, 2)
    })
  )

  it.effect("is in doubt again when it cannot be reached", () =>
    Effect.gen(function* () {
      const upstream = new Upstream()
      const service = yield* upstream.checked(1)
      yield* service.request(read)
      upstream.answer = Effect.fail(fault(false))
      yield* Effect.flip(service.request(read))
      upstream.answer = Effect.succeed("0x8")
      upstream.id = Effect.succeed("0x5")
      assert.instanceOf(yield* Effect.flip(service.request(read)), Chain.WrongChain)
    })
  )

  it.effect("counts as an attempt of the call", () =>
    Effect.gen(function* () {
      const upstream = new Upstream()
      const service = yield* upstream.checked(1)
      const call = new Call.Call()
      Call.spend(call)
      yield* Effect.provideService(service.request(read), Call.Current, call)
      assert.strictEqual(call.sent, 2)
    })
  )
})

describe("a wrong upstream", () => {
  it.effect("never answers, is left out, and asked again after a minute", () =>
    Effect.gen(function* () {
      const upstream = new Upstream()
      upstream.id = Effect.succeed("0x2")
      const service = yield* upstream.checked(1)
      const found = yield* Effect.flip(service.request(read))
      assert.deepInclude(found, { _tag: "WrongChain", expected: 1, actual: 2, retryAfter: undefined })
      assert.strictEqual(found.message, "is of chain 2, not 1")
      assert.deepInclude(Outcome.of(found), { counts: "failure", refused: false, ran: "no" })
      const refused = yield* Effect.flip(service.request(read))
      assert.deepInclude(Outcome.of(refused), { counts: "neutral", refused: true, retryAfter: Duration.minutes(1) })
      assert.deepStrictEqual(upstream.asked, ["eth_getBalance", "eth_chainId"])
      upstream.id = Effect.succeed("0x1")
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* service.request(read), "0x7")
    })
  )

  it.effect("is asked sooner where nobody else can answer, but not at every call", () =>
    Effect.gen(function* () {
      const upstream = new Upstream()
      upstream.id = Effect.succeed("0x2")
      const service = yield* upstream.checked(1)
      const probe = Effect.provideService(Effect.flip(service.request(read)), Call.Insist, "probe")
      yield* Effect.flip(service.request(read))
      assert.deepInclude(Outcome.of(yield* probe), { refused: true, insist: undefined })
      yield* TestClock.adjust("5 seconds")
      const refused = Outcome.of(yield* Effect.flip(service.request(read)))
      assert.deepInclude(refused, { refused: true, insist: "probe", retryAfter: Duration.seconds(55) })
      assert.deepStrictEqual(upstream.asked, ["eth_getBalance", "eth_chainId"])
      assert.deepInclude(Outcome.of(yield* probe), { refused: false, counts: "failure" })
      assert.deepInclude(Outcome.of(yield* probe), { refused: true, insist: undefined })
      assert.deepStrictEqual(upstream.asked, ["eth_getBalance", "eth_chainId", "eth_chainId"])
      upstream.id = Effect.succeed("0x1")
      yield* TestClock.adjust("5 seconds")
      const answer = Effect.provideService(service.request(read), Call.Insist, "probe")
      assert.strictEqual(yield* answer, "0x7")
    })
  )

  it.effect("never sees a write", () =>
    Effect.gen(function* () {
      const upstream = new Upstream()
      upstream.id = Effect.succeed("0x2")
      const service = yield* upstream.checked(1)
      const error = yield* Effect.flip(service.request(write))
      assert.strictEqual(Outcome.of(error).ran, "no")
      assert.deepStrictEqual(upstream.asked, ["eth_chainId"])
    })
  )

  it.effect("an eth_chainId that is no quantity is a fault, and verifies nothing", () =>
    Effect.gen(function* () {
      for (const answer of [null, "", "0x", "mainnet", 1, {}, "0xffffffffffffffffffff"]) {
        const upstream = new Upstream()
        upstream.id = Effect.succeed(answer)
        const service = yield* upstream.checked(1)
        assert.deepInclude(yield* Effect.flip(service.request(read)), { _tag: "TransportError", reason: "reply" })
        assert.deepInclude(service.inspect()["chain"], { verified: false })
      }
    })
  )
})

describe("without a configured id", () => {
  it.effect("the first verified id is the chain of all", () =>
    Effect.gen(function* () {
      const chain = Chain.make()
      const first = new Upstream()
      first.id = Effect.succeed("0x89")
      const second = new Upstream()
      const a = yield* first.checked(chain)
      const b = yield* second.checked(chain)
      assert.strictEqual(yield* a.request(chainId), "0x89")
      assert.strictEqual(chain.expected, 137)
      assert.instanceOf(yield* Effect.flip(b.request(read)), Chain.WrongChain)
    })
  )
})

it.effect("interruption at every step leaves nobody waiting for a check that nobody makes", () =>
  Effect.gen(function* () {
    const steps = yield* Interruption.everywhere(
      Effect.gen(function* () {
        const upstream = new Upstream()
        upstream.id = Effect.as(Effect.sleep("20 millis"), "0x1")
        const service = yield* upstream.checked(1)
        return {
          run: Effect.all([service.request(read), service.request(write), service.request(read)], {
            concurrency: "unbounded"
          }),
          check: () => {
            upstream.id = Effect.succeed("0x1")
            assert.strictEqual(Effect.runSync(service.request(read)), "0x7")
          }
        }
      }).pipe(Effect.scoped)
    )
    assert.isAbove(steps, 20)
  })
)

it("refuses an id that is none", () => {
  assert.throws(() => Chain.make(0), /Chain\.chainId takes a whole number of at least 1, got 0/)
  assert.throws(() => Chain.layer(1.5), /Chain\.chainId/)
})
