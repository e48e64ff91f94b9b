import { assert, describe, expectTypeOf, it } from "@effect/vitest"
import { JsonRpc, Options, Outcome } from "@hawser/core"
import { RpcError } from "@hawser/rpc"
import { Duration, Equal } from "effect"

const now = Date.parse("2026-11-25T00:00:00Z")

const reply = (fields: Partial<RpcError.Reply>): RpcError.Reply => ({
  method: "eth_call",
  nature: "read",
  status: 200,
  retryAfter: undefined,
  error: undefined,
  body: undefined,
  ...fields
})

const errorOf = (fields: Partial<RpcError.Reply>, table?: ReadonlyArray<RpcError.Row>) =>
  RpcError.make("a", reply(fields), RpcError.classify(reply(fields), now, table))

const millis = (duration: Duration.Duration | undefined) =>
  duration === undefined ? undefined : Duration.toMillis(duration)

describe("verdicts", () => {
  const brief = (kind: RpcError.Kind) => {
    const { again, counts, ran } = RpcError.verdictOf(kind)
    return [counts, again, ran]
  }

  it("the chain's own answer is final", () => {
    for (const kind of ["revert", "known"] as const) {
      assert.deepStrictEqual(brief(kind), ["success", "nowhere", "maybe"], kind)
    }
    assert.deepStrictEqual(brief("nonce"), ["neutral", "nowhere", "maybe"])
    for (const kind of ["invalid", "transaction", "filter", "sender-limit"] as const) {
      assert.deepStrictEqual(brief(kind), ["neutral", "nowhere", "no"], kind)
    }
  })

  it("trouble says where to go and whether a write may", () => {
    assert.deepStrictEqual(brief("rate"), ["neutral", "anywhere", "no"])
    for (const kind of ["plan", "unsupported", "range", "range-addresses", "missing"] as const) {
      assert.deepStrictEqual(brief(kind), ["neutral", "elsewhere", "no"], kind)
    }
    for (const kind of ["quota", "auth", "syncing"] as const) {
      assert.deepStrictEqual(brief(kind), ["failure", "elsewhere", "no"], kind)
    }
    assert.deepStrictEqual(brief("transient"), ["failure", "anywhere", "maybe"])
  })

  it("none of them refuses: the upstream was asked", () => {
    assert.isFalse(RpcError.verdictOf("rate").refused)
  })
})

describe("make", () => {
  it("a revert keeps its code, its words and its data", () => {
    const data = { originalError: { data: "0x08c379a0" } }
    const error = errorOf({ error: { code: -32603, message: "execution reverted: no", data } })
    assert.instanceOf(error, JsonRpc.Rejected)
    assert.strictEqual(error.data, data)
    assert.strictEqual(error.message, "execution reverted: no")
    assert.deepStrictEqual([error.upstream, error.code, error.kind], ["a", -32603, "revert"])
    assert.strictEqual(Outcome.of(error).counts, "success")
  })

  it("a throttled request says when to come back", () => {
    const error = errorOf({
      status: 429,
      error: { code: -32005, message: "Too many requests, retry in 10s", data: [1] }
    })
    assert.instanceOf(error, RpcError.ResponseError)
    assert.isTrue(RpcError.isResponseError(error))
    assert.deepStrictEqual([error.upstream, error.kind, error.code, error.status], ["a", "rate", -32005, 429])
    assert.deepStrictEqual(error.hints, {})
    assert.strictEqual(error.message, "Too many requests, retry in 10s")
    assert.deepStrictEqual(error.data, [1])
    assert.deepStrictEqual(error.retryAfter, Duration.seconds(10))
    assert.deepStrictEqual(
      Outcome.of(error),
      Outcome.verdict({ counts: "neutral", again: "anywhere", ran: "no", retryAfter: Duration.seconds(10) })
    )
  })

  it("waits a second when throttled, and a minute for a person, unless told otherwise", () => {
    const pause = (fields: Partial<RpcError.Reply>) => millis(Outcome.of(errorOf(fields)).retryAfter)
    assert.strictEqual(pause({ status: 429 }), 1_000)
    assert.strictEqual(pause({ status: 402 }), 60_000)
    assert.strictEqual(pause({ status: 401 }), 60_000)
    assert.strictEqual(pause({ status: 403 }), 5_000)
    assert.strictEqual(pause({ status: 404 }), 5_000)
    assert.strictEqual(pause({ status: 503 }), undefined)
    for (const status of [401, 402, 403, 404, 429, 503]) assert.strictEqual(pause({ status, retryAfter: "7" }), 7_000)
  })

  it("a range names what would be answered", () => {
    const error = errorOf({ method: "eth_getLogs", error: { code: -32602, message: "block range exceeds 1000" } })
    assert.deepStrictEqual((error as RpcError.ResponseError).hints, { range: { blocks: 1000 } })
  })

  it("has a message for whoever sent none", () => {
    const message = (fields: Partial<RpcError.Reply>) => errorOf(fields).message
    const page = "<html>\n<head><title>502 Bad Gateway</title></head><body>…</body></html>"
    assert.strictEqual(message({ status: 502, body: page }), "HTTP 502: 502 Bad Gateway")
    assert.strictEqual(
      message({ status: 503, body: "\n no healthy upstream\nat all" }),
      "HTTP 503: no healthy upstream"
    )
    assert.strictEqual(message({ status: 503, body: `{"status":"down"}` }), "HTTP 503")
    assert.strictEqual(message({ status: 503, body: "" }), "HTTP 503")
    assert.strictEqual(message({ status: 503 }), "HTTP 503")
    assert.strictEqual(message({ error: { code: -32005 } }), "JSON-RPC error -32005")
    assert.strictEqual(message({ error: { message: { text: "?" } } }), "JSON-RPC error without a code")
  })

  it("cuts a message that is no answer", () => {
    const long = "x".repeat(5_000)
    assert.strictEqual(errorOf({ error: { message: long } }).message.length, 1_001)
    assert.strictEqual(errorOf({ error: { code: 3, message: long } }).message, long)
  })

  it("takes a code that came as text, and none that is no whole number", () => {
    const code = (code: unknown) => (errorOf({ error: { code, message: "?" } }) as RpcError.ResponseError).code
    assert.strictEqual(code("-32099"), -32099)
    for (const other of [1.5, NaN, Infinity, "x", "1e3", "", null, {}, true]) assert.isUndefined(code(other))
    assert.strictEqual(errorOf({ error: { message: "execution reverted" } }).code, -32000)
  })

  it("is made of what may be shown, and classified as it came", () => {
    const found = RpcError.classify(reply({ status: 401, body: "invalid key 0123456789" }), now)
    const error = RpcError.make("a", reply({ status: 401, body: "invalid key ***" }), found)
    assert.strictEqual(error.message, "HTTP 401: invalid key ***")
    assert.notInclude(JSON.stringify(error), "0123456789")
  })

  it("takes no stack", () => {
    assert.notInclude(errorOf({ status: 429 }).stack ?? "", " at ")
  })

  it("is exact in its types", () => {
    expectTypeOf(errorOf).returns.toEqualTypeOf<JsonRpc.Rejected | RpcError.ResponseError>()
    expectTypeOf<RpcError.TroubleKind>().toEqualTypeOf<Exclude<RpcError.Kind, JsonRpc.RejectedKind>>()
    expectTypeOf<RpcError.ResponseError["kind"]>().toEqualTypeOf<RpcError.TroubleKind>()
    // @ts-expect-error: a kind that does not exist
    expectTypeOf<Parameters<typeof RpcError.verdictOf>[0]>("slow")
  })
})

describe("TransportError", () => {
  const of = (fields: Partial<ConstructorParameters<typeof RpcError.TransportError>[0]>) =>
    new RpcError.TransportError({ upstream: "a", reason: "closed", message: "gone", reached: true, ...fields })

  it("is a failure that may be tried anywhere, a write only if nothing was sent", () => {
    assert.deepStrictEqual(Outcome.of(of({})), Outcome.verdict())
    assert.deepStrictEqual(Outcome.of(of({ reason: "connect", reached: false })), Outcome.verdict({ ran: "no" }))
  })

  it("is not asked for twice when it was too large", () => {
    assert.deepStrictEqual(Outcome.of(of({ reason: "too-large" })), Outcome.verdict({ again: "elsewhere" }))
  })

  it("keeps its message and its cause", () => {
    const cause = new Error("ECONNRESET")
    const error = of({ cause, status: 200 })
    assert.strictEqual(error.message, "gone")
    assert.strictEqual(error.cause, cause)
    assert.strictEqual(error.status, 200)
    assert.isTrue(RpcError.isTransportError(error))
    assert.isFalse(RpcError.isTransportError(new Error("gone")))
    assert.isTrue(Equal.equals(of({}), of({})))
  })
})

describe("rows of one's own", () => {
  const table = RpcError.extend([
    { kind: "quota", pattern: "team budget SPENT", pause: 600_000 },
    { kind: "range", pattern: /At most \d+ epochs/, hints: () => ({ range: { blocks: 32 } }) },
    { kind: "missing", code: [7, 8], method: /^foo_/ },
    { kind: "syncing", status: [521, 522] },
    { kind: "rate", status: 530, nature: "write" },
    { kind: "plan", status: "5xx", pattern: "enterprise" },
    { kind: "transient", pattern: "not handed on", ran: "no" }
  ])
  const read = (fields: Partial<RpcError.Reply>) => RpcError.classify(reply(fields), now, table)
  const said = (message: string) => ({ error: { code: -32000, message } })

  it("come first", () => {
    const found = read(said("429: Team Budget Spent, rate limit"))
    assert.strictEqual(found.kind, "quota")
    assert.strictEqual(millis(found.retryAfter), 600_000)
    assert.strictEqual(read(said("rate limit")).kind, "rate")
  })

  it("read their own hints, and none if that goes wrong", () => {
    assert.deepStrictEqual(read(said("at most 32 EPOCHS")).hints, { range: { blocks: 32 } })
    const throws = RpcError.extend([
      {
        kind: "range",
        pattern: "epochs",
        hints: () => {
          throw new Error("no")
        }
      }
    ])
    assert.deepStrictEqual(RpcError.classify(reply(said("epochs")), now, throws).hints, {})
  })

  it("hold when all their conditions do", () => {
    assert.strictEqual(read({ method: "FOO_bar", error: { code: 8 } }).kind, "missing")
    assert.strictEqual(read({ method: "eth_foo_", error: { code: 8 } }).kind, "transient")
    assert.strictEqual(read({ method: "foo_bar", error: { code: 9 } }).kind, "transient")
    assert.strictEqual(read({ status: 522 }).kind, "syncing")
    assert.strictEqual(read({ status: 523 }).kind, "transient")
    assert.strictEqual(read({ status: 530, nature: "write" }).kind, "rate")
    assert.strictEqual(read({ status: 530 }).kind, "transient")
    assert.strictEqual(read({ status: 599, body: "for our Enterprise" }).kind, "plan")
    assert.strictEqual(read({ status: 600, body: "for our Enterprise" }).kind, "transient")
  })

  it("may know that a write did not run", () => {
    assert.strictEqual(Outcome.of(errorOf(said("not handed on"), table)).ran, "no")
    assert.strictEqual(Outcome.of(errorOf(said("lost"), table)).ran, "maybe")
  })

  it("make no answer of the chain's out of a bare status", () => {
    const table = RpcError.extend([{ kind: "invalid", status: 400 }])
    assert.strictEqual(RpcError.classify(reply({ status: 400 }), now, table).kind, "transient")
    assert.strictEqual(RpcError.classify(reply({ status: 400, error: {} }), now, table).kind, "invalid")
  })

  it("may leave the upstream unpaused", () => {
    const table = RpcError.extend([{ kind: "quota", pattern: "spent", pause: 0 }])
    assert.isUndefined(RpcError.classify(reply(said("spent")), now, table).retryAfter)
  })

  it("read the body of a bare HTTP error only for what it may speak of", () => {
    const table = RpcError.extend([
      { kind: "missing", pattern: "gone" },
      { kind: "unsupported", status: 404 },
      { kind: "quota", pattern: "spent" }
    ])
    const kind = (status: number, body: string) => RpcError.classify(reply({ status, body }), now, table).kind
    assert.deepStrictEqual(
      [kind(503, "gone"), kind(404, "gone"), kind(503, "spent")],
      ["transient", "unsupported", "quota"]
    )
  })

  it("leave the table as it is", () => {
    assert.notInclude(RpcError.rows, table[0])
    assert.deepStrictEqual(table.slice(7), RpcError.rows)
  })

  it.each([
    [{}, "RpcError.extend takes a list of rows, got a record"],
    [[7], "RpcError.extend[0] takes a record of options, got 7"],
    [[{ kind: "rate", text: "x" }], "RpcError.extend[0].text takes no value: the options are kind, pattern,"],
    [[{ kind: "slow", code: 1 }], "RpcError.extend[0].kind takes one of revert, known, nonce,"],
    [[{ kind: "toString", code: 1 }], "RpcError.extend[0].kind takes one of"],
    [[{ kind: "rate" }], "RpcError.extend[0] takes at least one of pattern, code, status, method, nature"],
    [[{ kind: "rate", pattern: "" }], "RpcError.extend[0].pattern takes a non-empty string or a RegExp"],
    [[{ kind: "rate", code: ["1"] }], "RpcError.extend[0].code takes a code or a list of codes"],
    [
      [
        { kind: "rate", code: 1 },
        { kind: "rate", status: "4xx" }
      ],
      "RpcError.extend[1].status takes a status"
    ],
    [[{ kind: "rate", method: "eth_call" }], "RpcError.extend[0].method takes a RegExp"],
    [[{ kind: "rate", nature: "reads" }], "RpcError.extend[0].nature takes one of read, write, session"],
    [[{ kind: "rate", code: 1, pause: -1 }], "RpcError.extend[0].pause takes a whole number"],
    [[{ kind: "rate", code: 1, ran: "yes" }], 'RpcError.extend[0].ran takes "maybe" or "no"'],
    [[{ kind: "rate", code: 1, hints: {} }], "RpcError.extend[0].hints takes a function"]
  ])("that cannot be used are refused at once: %j", (rows, message) => {
    let thrown: unknown
    try {
      RpcError.extend(rows as never)
    } catch (error) {
      thrown = error
    }
    assert.instanceOf(thrown, Options.InvalidOption)
    assert.include(thrown.message, message)
  })

  it("are named as their owner says", () => {
    assert.throws(() => RpcError.extend([{ kind: "rate" }], "Http.errors"), "Http.errors[0] takes")
  })
})
