import { assert, describe, it } from "@effect/vitest"
import { Write } from "@hawser/rpc"
import { Call, Events, JsonRpc, Options, Outcome } from "@hawser/core"
import { Interruption } from "@hawser/testkit"
import { Context, Data, Duration, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { TestClock } from "effect/testing"
import { expectTypeOf } from "vitest"
import type * as RpcError from "../src/RpcError.ts"

// Types 2 and 0x7b, with content that only has to be RLP.
const raw = "0x02c20102"
const hash = Write.hash(raw)!
const foreign = "0x7bc20102"
const stranger = `0x${"ab".repeat(32)}` as const

class Trouble extends Data.TaggedError("Trouble")<{ readonly [Outcome.TypeId]: Outcome.Verdict }> {}

type Failing = Trouble | JsonRpc.Rejected | Call.NoAnswer<Trouble | Call.Defect> | Call.DeadlineExceeded

const trouble = (fields?: Partial<Outcome.Verdict>) => new Trouble({ [Outcome.TypeId]: Outcome.verdict(fields) })

const noAnswer = (upstream: string, error: Trouble | Call.Defect = trouble()) =>
  new Call.NoAnswer<Trouble | Call.Defect>({
    causes: [{ upstream, error }],
    [Outcome.TypeId]: Outcome.verdict({ again: "nowhere", ran: Outcome.of(error).ran })
  })

const rejected = (kind: JsonRpc.RejectedKind, upstream = "a") =>
  new JsonRpc.Rejected({
    upstream,
    code: -32000,
    message: `words for ${kind}`,
    data: "0xdada",
    kind,
    [Outcome.TypeId]: Outcome.verdict({ counts: "neutral", again: "nowhere" })
  })

const lost = Effect.fail(noAnswer("a"))
const notRun = Effect.fail(noAnswer("a", trouble({ ran: "no" })))
const found = Effect.succeed({ hash, blockNumber: null })
const missing = Effect.succeed(null)
const accepted = Effect.succeed(hash)

type Answer = Effect.Effect<unknown, Failing>

/** A client that gives one answer after another, and what it was asked. */
class Below {
  readonly requests: Array<JsonRpc.Request> = []
  private readonly answers: Array<Answer>

  constructor(answers: ReadonlyArray<Answer>) {
    this.answers = [...answers]
  }

  get asked(): string {
    return this.requests.map(({ method }) => ({ [send]: "send", [look]: "look" })[method] ?? method).join(" ")
  }

  readonly layer = Layer.succeed(JsonRpc.client<Failing>())({
    name: "below",
    request: (request) =>
      Effect.suspend(() => {
        this.requests.push(request)
        return this.answers.shift() ?? Effect.die(`nobody expected ${request.method}`)
      }),
    inspect: () => ({ name: "below" })
  })

  build(options?: Write.Options) {
    return Effect.map(Layer.build(this.layer.pipe(Write.layer(options))), (context) =>
      Context.get(context, JsonRpc.client<Failing | Write.InDoubt>())
    )
  }
}

const send = "eth_sendRawTransaction"
const look = "eth_getTransactionByHash"

const sending = (bytes: unknown) => JsonRpc.makeRequest(send, [bytes])

/** Sends one transaction to a client with these answers, all of which it has to use. */
const facing = (answers: ReadonlyArray<Answer>, bytes: unknown = raw, call = new Call.Call()) =>
  Effect.gen(function* () {
    const below = new Below(answers)
    const client = yield* below.build()
    const exit = yield* Effect.exit(Effect.provideService(client.request(sending(bytes)), Call.Current, call))
    assert.strictEqual(below.requests.length, answers.length, below.asked)
    for (const request of below.requests) {
      if (request.method === look) assert.deepStrictEqual(request.params, [hash])
      else assert.deepStrictEqual(request, sending(bytes))
    }
    return { asked: below.asked, exit, client, call }
  })

const errorOf = (exit: Exit.Exit<unknown, unknown>): unknown =>
  exit._tag === "Failure" ? exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error : undefined

describe("one transaction", () => {
  const table: ReadonlyArray<{
    readonly when: string
    readonly answers: ReadonlyArray<Answer>
    readonly asked: string
    /** `false`: in doubt. */
    readonly ends: typeof hash | JsonRpc.RejectedKind | false
  }> = [
    { when: "accepted", answers: [accepted], asked: "send", ends: hash },
    { when: "known", answers: [Effect.fail(rejected("known"))], asked: "send", ends: hash },
    {
      when: "a used nonce, and it is what used it",
      answers: [Effect.fail(rejected("nonce")), found],
      asked: "send look",
      ends: hash
    },
    {
      when: "a used nonce, and another used it",
      answers: [Effect.fail(rejected("nonce")), missing],
      asked: "send look",
      ends: "nonce"
    },
    {
      when: "a used nonce, and nobody to ask",
      answers: [Effect.fail(rejected("nonce")), lost],
      asked: "send look",
      ends: "nonce"
    },
    { when: "lost, and found", answers: [lost, found], asked: "send look", ends: hash },
    { when: "lost, and sent again", answers: [lost, missing, accepted], asked: "send look send", ends: hash },
    {
      when: "lost, nobody to ask, and known when sent again",
      answers: [lost, lost, Effect.fail(rejected("known"))],
      asked: "send look send",
      ends: hash
    },
    {
      when: "lost twice, and found",
      answers: [lost, missing, lost, found],
      asked: "send look send look",
      ends: hash
    },
    {
      when: "lost, and its nonce used, nobody says by whom",
      answers: [lost, missing, Effect.fail(rejected("nonce")), missing],
      asked: "send look send look",
      ends: false
    },
    {
      when: "lost, its nonce used, and nobody to ask by whom",
      answers: [lost, missing, Effect.fail(rejected("nonce")), lost],
      asked: "send look send look",
      ends: false
    },
    {
      when: "lost, its nonce used, and it was what used it",
      answers: [lost, missing, Effect.fail(rejected("nonce")), found],
      asked: "send look send look",
      ends: hash
    },
    {
      when: "lost, refused when sent again, and found after all",
      answers: [lost, missing, Effect.fail(rejected("transaction")), found],
      asked: "send look send look",
      ends: hash
    },
    {
      when: "lost, refused when sent again, and not found",
      answers: [lost, missing, Effect.fail(rejected("transaction")), missing],
      asked: "send look send look",
      ends: false
    },
    {
      when: "lost each time",
      answers: [lost, missing, lost, missing, lost, missing],
      asked: "send look send look send look",
      ends: false
    },
    {
      when: "lost, and a further send that ran nowhere does not change that",
      answers: [lost, missing, notRun, missing, notRun, missing],
      asked: "send look send look send look",
      ends: false
    },
    ...(["revert", "invalid", "transaction", "sender-limit", "filter"] as const).map((kind) => ({
      when: `finally refused: ${kind}`,
      answers: [Effect.fail(rejected(kind))],
      asked: "send",
      ends: kind
    })),
    ...[null, undefined, "0x", 42, {}, true, `${hash}00`, stranger].map((answer) => ({
      when: `answered with ${JSON.stringify(answer)}, which is not its hash`,
      answers: [Effect.succeed(answer), missing, accepted],
      asked: "send look send",
      ends: hash
    })),
    ...[undefined, "0x", {}, { hash: stranger }, { hash: null }, []].map((answer) => ({
      when: `looked for with ${JSON.stringify(answer)} in answer, which says nothing`,
      answers: [lost, Effect.succeed(answer), accepted],
      asked: "send look send",
      ends: hash
    }))
  ]

  for (const { answers, asked, ends, when } of table) {
    it.effect(when, () =>
      Effect.gen(function* () {
        const result = yield* facing(answers)
        assert.strictEqual(result.asked, asked)
        assert.strictEqual(result.call.sent, answers.length)
        const error = errorOf(result.exit)
        if (ends === hash) assert.deepStrictEqual(result.exit, Exit.succeed(hash))
        else if (ends === false) {
          assert.instanceOf(error, Write.InDoubt)
          assert.strictEqual(error.hash, hash)
          assert.deepStrictEqual(
            error.causes.map(({ upstream }) => upstream),
            ["a"]
          )
          assert.include(error.message, hash)
          assert.deepInclude(Outcome.of(error), { again: "nowhere", ran: "maybe" })
        } else assert.deepInclude(error, { _tag: "Rejected", kind: ends, data: "0xdada" })
        assert.deepInclude(result.client.inspect()["write"], {
          sent: asked.split(" ").filter((one) => one === "send").length,
          inDoubt: ends === false ? 1 : 0
        })
      })
    )
  }

  it.effect("the hash is the node's own word, in its own letters", () =>
    Effect.gen(function* () {
      const loud = `0x${hash.slice(2).toUpperCase()}`
      assert.deepStrictEqual((yield* facing([Effect.succeed(loud)])).exit, Exit.succeed(loud))
    })
  )

  it.effect("that provably ran nowhere is as it was: the error is that of below", () =>
    Effect.gen(function* () {
      const error = noAnswer("a", trouble({ ran: "no" }))
      assert.strictEqual(errorOf((yield* facing([Effect.fail(error)])).exit), error)
    })
  )

  it.effect("a rejection surfaces as it is", () =>
    Effect.gen(function* () {
      for (const kind of ["nonce", "transaction"] as const) {
        const error = rejected(kind)
        const answers = kind === "nonce" ? [Effect.fail(error), missing] : [Effect.fail(error)]
        assert.strictEqual(errorOf((yield* facing(answers)).exit), error)
      }
    })
  )

  it.effect("in doubt: what was lost stays the cause, whatever refuses later; who rejected it is named", () =>
    Effect.gen(function* () {
      const first = trouble()
      const refusing = noAnswer("a", trouble({ ran: "no" }))
      const answers = [
        Effect.fail(noAnswer("a", first)),
        missing,
        Effect.fail(refusing),
        missing,
        Effect.fail(rejected("transaction", "b")),
        missing
      ]
      const error = errorOf((yield* facing(answers)).exit)
      assert.instanceOf(error, Write.InDoubt)
      assert.deepStrictEqual(error.causes, [{ upstream: "a", error: first }])
      assert.strictEqual(error.rejected?.upstream, "b")
      assert.include(error.message, "although b rejects it: words for transaction")
    })
  )

  it.effect("a bug below is not sent to again, but looked for", () =>
    Effect.gen(function* () {
      const died = Effect.fail(noAnswer("a", new Call.Defect({ upstream: "a", cause: "bug" })))
      assert.deepStrictEqual((yield* facing([died, found])).exit, Exit.succeed(hash))
      assert.instanceOf(errorOf((yield* facing([died, missing])).exit), Write.InDoubt)
    })
  )

  it.effect("a defect is a defect", () =>
    Effect.gen(function* () {
      const { exit } = yield* facing([Effect.die("bug")])
      assert.deepStrictEqual(exit, Exit.die("bug"))
    })
  )

  it.effect("neither looks nor sends after the deadline, nor beyond its attempts", () =>
    Effect.gen(function* () {
      const over = new Call.DeadlineExceeded({ limit: Duration.seconds(1), causes: [] })
      const late = new Call.Call()
      const now = yield* Effect.clockWith((clock) => Effect.succeed(Call.now(clock)))
      late.deadline = now + 1_000
      const slow = Effect.andThen(TestClock.adjust("1 second"), Effect.fail(over))
      assert.strictEqual(errorOf((yield* facing([slow], raw, late)).exit), over)
      for (const [attempts, asked] of [
        [1, "send"],
        [2, "send look"],
        [3, "send look send"],
        [4, "send look send look"]
      ] as const) {
        const call = new Call.Call()
        call.attempts = attempts
        const answers = [lost, missing, lost, missing].slice(0, attempts)
        const result = yield* facing(answers, raw, call)
        assert.strictEqual(result.asked, asked)
        assert.instanceOf(errorOf(result.exit), Write.InDoubt)
        assert.deepStrictEqual([call.attempts, call.sent], [0, attempts])
      }
    })
  )

  it.effect("charges the budget for what it sends beyond the first, and asks it for a new round", () =>
    Effect.gen(function* () {
      const call = new Call.Call()
      let charged = 0
      call.budget = { deposit: () => {}, withdraw: () => false, charge: () => charged++, refund: () => {} }
      yield* facing([lost, missing, lost, found], raw, call)
      assert.strictEqual(charged, 3)
    })
  )

  it.effect("is a write, whatever its maker says", () =>
    Effect.gen(function* () {
      const below = new Below([accepted])
      const client = yield* below.build()
      yield* client.request(JsonRpc.makeRequest(send, [raw], "read"))
      assert.strictEqual(below.requests[0]?.nature, "write")
    })
  )

  it.effect("tells what happens, and counts it", () =>
    Effect.gen(function* () {
      const hub = Events.make<JsonRpc.Event>()
      const events: Array<JsonRpc.Event> = []
      hub.on((event) => void events.push(event))
      const below = new Below([lost, missing, lost, found])
      const client = yield* Effect.provideService(below.build(), JsonRpc.Observer, hub)
      yield* client.request(sending(raw))
      assert.deepStrictEqual(
        events.map(({ hash, layer, type }) => [layer, type, hash]),
        ["lost", "looked", "lost", "looked"].map((type) => ["write", type, hash])
      )
      assert.deepStrictEqual(client.inspect()["write"], { sent: 2, lost: 2, looks: 2, found: 1, inDoubt: 0 })
    })
  )
})

describe("a transaction of a type that nobody knows", () => {
  const candidate = { hash: "0x7bc20102 hashed as the others are" }
  it.effect("is accepted under whatever hash the node has for it", () =>
    Effect.gen(function* () {
      const below = new Below([Effect.succeed(stranger)])
      const client = yield* below.build()
      assert.strictEqual(yield* client.request(sending(foreign)), stranger)
    })
  )

  it.effect("'already known' is an error, unless it is found", () =>
    Effect.gen(function* () {
      const known = rejected("known")
      const asking = (answer: (hash: unknown) => unknown) =>
        Effect.gen(function* () {
          const below = new Below([
            Effect.fail(known),
            Effect.suspend(() => Effect.succeed(answer(below.requests[1]!.params[0])))
          ])
          const client = yield* below.build()
          const exit = yield* Effect.exit(client.request(sending(foreign)))
          candidate.hash = String(below.requests[1]!.params[0])
          return exit
        })
      assert.strictEqual(errorOf(yield* asking(() => null)), known)
      const exit = yield* asking((hash) => ({ hash }))
      assert.deepStrictEqual(exit, Exit.succeed(candidate.hash))
      assert.isUndefined(Write.hash(foreign))
    })
  )

  it.effect("in doubt, there is no hash to give", () =>
    Effect.gen(function* () {
      const below = new Below([lost, missing, lost, missing, lost, missing])
      const client = yield* below.build()
      const error = yield* Effect.flip(client.request(sending(foreign)))
      assert.instanceOf(error, Write.InDoubt)
      assert.isUndefined(error.hash)
    })
  )
})

describe("what is no transaction", () => {
  for (const bytes of [null, "0x", "hello", 42, "0x02", "0xc1"]) {
    it.effect(`${JSON.stringify(bytes)} is the node's to refuse, once`, () =>
      Effect.gen(function* () {
        const invalid = rejected("invalid")
        assert.strictEqual(errorOf((yield* facing([Effect.fail(invalid)], bytes)).exit), invalid)
        const known = rejected("known")
        assert.strictEqual(errorOf((yield* facing([Effect.fail(known)], bytes)).exit), known)
        const error = errorOf((yield* facing([lost], bytes)).exit)
        assert.instanceOf(error, Write.InDoubt)
        assert.isUndefined(error.hash)
        assert.instanceOf(errorOf((yield* facing([missing], bytes)).exit), Write.InDoubt)
        assert.deepStrictEqual((yield* facing([Effect.succeed(stranger)], bytes)).exit, Exit.succeed(stranger))
      })
    )
  }
})

describe("everything else", () => {
  for (const method of [
    "eth_sendTransaction",
    "eth_sendRawTransactionSync",
    "eth_sendPrivateTransaction",
    "eth_sendBundle",
    "personal_sendTransaction",
    "wallet_sendTransaction",
    "eth_getTransactionByHash",
    "eth_blockNumber"
  ]) {
    it.effect(`${method} passes through, once`, () =>
      Effect.gen(function* () {
        const request = JsonRpc.makeRequest(method, [raw])
        const answers: ReadonlyArray<Answer> = [
          lost,
          Effect.fail(rejected("known")),
          Effect.fail(rejected("nonce")),
          missing
        ]
        for (const answer of answers) {
          const below = new Below([answer])
          const client = yield* below.build({ broadcast: 3 })
          assert.deepStrictEqual(yield* Effect.exit(client.request(request)), yield* Effect.exit(answer))
          assert.deepStrictEqual(below.requests, [request])
        }
      })
    )
  }
})

describe("broadcast", () => {
  const after = (time: Duration.Input, answer: Answer): Answer => Effect.andThen(Effect.sleep(time), answer)

  it.effect("goes to so many at once; the first acceptance wins and the others go on", () =>
    Effect.gen(function* () {
      let finished = 0
      const counted = Effect.tap(accepted, () => Effect.sync(() => finished++))
      const below = new Below([after("3 seconds", counted), after("1 second", counted), after("2 seconds", lost)])
      const client = yield* below.build({ broadcast: 3 })
      const fiber = yield* Effect.forkChild(client.request(sending(raw)), { startImmediately: true })
      assert.strictEqual(below.asked, "send send send")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* Fiber.join(fiber), hash)
      assert.strictEqual(finished, 1)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(finished, 2)
      assert.strictEqual(below.asked, "send send send")
    })
  )

  it.effect("'known' is an acceptance; a rejection waits for the others", () =>
    Effect.gen(function* () {
      const known = after("2 seconds", Effect.fail(rejected("known")))
      const below = new Below([Effect.fail(rejected("transaction")), known])
      const client = yield* below.build({ broadcast: 2 })
      const fiber = yield* Effect.forkChild(client.request(sending(raw)), { startImmediately: true })
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* Fiber.join(fiber), hash)
    })
  )

  it.effect("of all rejections the one that tells most", () =>
    Effect.gen(function* () {
      const kinds = ["sender-limit", "transaction", "invalid"] as const
      const below = new Below(kinds.map((kind) => Effect.fail(rejected(kind))))
      const client = yield* below.build({ broadcast: 3 })
      assert.deepInclude(yield* Effect.flip(client.request(sending(raw))), { kind: "transaction" })
      const used = new Below([Effect.fail(rejected("transaction")), Effect.fail(rejected("nonce")), found])
      assert.strictEqual(yield* (yield* used.build({ broadcast: 2 })).request(sending(raw)), hash)
    })
  )

  it.effect("a lost answer among rejections is looked for", () =>
    Effect.gen(function* () {
      const both = [Effect.fail(rejected("transaction", "b")), lost]
      const below = new Below([...both, found])
      assert.strictEqual(yield* (yield* below.build({ broadcast: 2 })).request(sending(raw)), hash)
      const doubtful = new Below([...both, missing])
      const error = yield* Effect.flip((yield* doubtful.build({ broadcast: 2 })).request(sending(raw)))
      assert.instanceOf(error, Write.InDoubt)
      assert.strictEqual(error.rejected?.upstream, "b")
    })
  )

  it.effect("all lost: looked for, and sent again to one", () =>
    Effect.gen(function* () {
      const below = new Below([lost, Effect.fail(noAnswer("b")), missing, accepted])
      assert.strictEqual(yield* (yield* below.build({ broadcast: 2 })).request(sending(raw)), hash)
      assert.strictEqual(below.asked, "send send look send")
    })
  )

  it.effect("none reached: one error with a cause for each", () =>
    Effect.gen(function* () {
      const refuse = (upstream: string) => Effect.fail(noAnswer(upstream, trouble({ ran: "no" })))
      const below = new Below([refuse("a"), refuse("b")])
      const error = yield* Effect.flip((yield* below.build({ broadcast: 2 })).request(sending(raw)))
      assert.instanceOf(error, Call.NoAnswer)
      assert.notInstanceOf(error, Write.InDoubt)
      assert.deepStrictEqual(
        error.causes.map(({ upstream }) => upstream),
        ["a", "b"]
      )
      assert.strictEqual(Outcome.of(error).ran, "no")
    })
  )

  it.effect("who goes on stops at the deadline", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const hanging = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++))
      const below = new Below([accepted, hanging, hanging])
      const client = yield* below.build({ broadcast: 3 })
      const call = new Call.Call()
      call.deadline = (yield* Effect.clockWith((clock) => Effect.succeed(Call.now(clock)))) + 5_000
      assert.strictEqual(yield* Effect.provideService(client.request(sending(raw)), Call.Current, call), hash)
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual(interrupted, 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(interrupted, 2)
    })
  )

  it.effect("and with the layer", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const hanging = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++))
      const scope = yield* Scope.make()
      const below = new Below([accepted, hanging])
      const client = yield* Effect.provideService(below.build({ broadcast: 2 }), Scope.Scope, scope)
      assert.strictEqual(yield* client.request(sending(raw)), hash)
      assert.strictEqual(interrupted, 0)
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(interrupted, 1)
    })
  )

  it.effect("a caller who leaves before the first acceptance takes them all along", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const hanging = Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted++))
      const below = new Below([hanging, hanging, lost])
      const client = yield* below.build({ broadcast: 3 })
      const fiber = yield* Effect.forkChild(client.request(sending(raw)), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(interrupted, 2)
      assert.strictEqual(below.asked, "send send send")
    })
  )

  it("takes a whole number of at least one", () => {
    for (const broadcast of [0, -1, 1.5, "2", Infinity]) {
      assert.throws(() => Write.layer({ broadcast } as Write.Options), Options.InvalidOption)
    }
    assert.throws(() => Write.layer({ Broadcast: 2 } as Write.Options), Options.InvalidOption)
  })
})

describe("interrupted anywhere", () => {
  const slow = (answer: Answer) => Effect.andThen(Effect.sleep("20 millis"), answer)
  for (const [when, broadcast, answers] of [
    ["a send, a look and a further send", 1, [lost, missing, accepted]],
    ["a rejection and its look", 1, [Effect.fail(rejected("nonce")), missing]],
    ["a broadcast", 3, [lost, Effect.fail(rejected("transaction")), lost, missing, missing]],
    ["a broadcast that is won", 2, [lost, accepted]]
  ] as const) {
    it.effect(`${when}: nothing is left running, and nothing more is sent`, () =>
      Effect.gen(function* () {
        const steps = yield* Interruption.everywhere(
          Effect.gen(function* () {
            let running = 0
            const watched = (answer: Answer) =>
              Outcome.guard(
                slow(answer),
                () => ({ n: ++running }),
                () => void running--
              )
            const below = new Below(answers.map(watched))
            const client = yield* below.build({ broadcast })
            let after = 0
            return {
              run: Effect.ensuring(
                client.request(sending(raw)),
                Effect.sync(() => void (after = below.requests.length))
              ),
              check: (exit: Exit.Exit<unknown, unknown>, step: number) => {
                const interruptedEarly = Exit.hasInterrupts(exit)
                assert.isTrue(interruptedEarly || exit._tag === "Success" || errorOf(exit) !== undefined, String(step))
                assert.strictEqual(running, 0, `at step ${step}`)
                assert.strictEqual(below.requests.length, after || below.requests.length, `at step ${step}`)
              }
            }
          })
        )
        assert.isAbove(steps, 5)
      }).pipe(Effect.scoped)
    )
  }
})

describe("types", () => {
  it("adds its own error to those of the client, and keeps what they may hold", () => {
    const below = null as unknown as Layer.Layer<JsonRpc.Client<JsonRpc.Rejected | Call.NoAnswer<Trouble>>>
    const wrap = Write.layer()
    expectTypeOf<
      JsonRpc.ErrorOf<ReturnType<typeof wrap<JsonRpc.Rejected | Call.NoAnswer<Trouble>, never, never>>>
    >().toEqualTypeOf<JsonRpc.Rejected | Call.NoAnswer<Trouble> | Write.InDoubt<Trouble | RpcError.TransportError>>()
    expectTypeOf<Write.InDoubt<Trouble>>().toExtend<Call.NoAnswer<Trouble>>()
    const upstream = null as unknown as Layer.Layer<JsonRpc.Upstream<Trouble>>
    // @ts-expect-error a write is the caller's, not one upstream's
    const wrong = () => wrap(upstream)
    assert.isFunction(wrong)
    assert.isNull(below)
  })
})
