/** Whatever an upstream sends, it is an error of ours, and soon. */
import { assert, describe, it } from "@effect/vitest"
import { JsonRpc, Outcome } from "@hawser/core"
import { RpcError } from "@hawser/rpc"
import { Duration } from "effect"
import fc from "fast-check"
import { meanings } from "../../src/internal/errors/kind.ts"
import { allText, errorText } from "../../src/internal/errors/said.ts"
import { fixtures, now } from "./fixtures.ts"

/** Halves of pairs included. */
const character = fc.nat({ max: 0xffff }).map((code) => String.fromCharCode(code))

const words = fc.constantFrom(...fixtures.flatMap(({ message }) => (typeof message === "string" ? message : [])))

const text = fc.oneof(
  fc.string({ unit: character }),
  words,
  fc.array(words, { maxLength: 4 }).map((list) => list.join(" "))
)

const keys = "message data error code originalError cause rate backoff_seconds 0x5f3a result"
const odd = "__proto__ constructor prototype toString hasOwnProperty then length"
const key = fc.constantFrom(...`${keys} ${odd}`.split(" "))

/** As it comes out of `JSON.parse`, `__proto__` included. */
const parsed = (entries: ReadonlyArray<readonly [string, unknown]>): unknown =>
  JSON.parse(`{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(",")}}`)

const { json } = fc.letrec<{ json: unknown }>((tie) => ({
  json: fc.oneof(
    { maxDepth: 6 },
    fc.oneof(text, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.integer(), fc.boolean(), fc.constant(null)),
    fc.array(tie("json"), { maxLength: 4 }),
    fc.array(fc.tuple(key, tie("json")), { maxLength: 4 }).map(parsed)
  )
}))

const reply: fc.Arbitrary<RpcError.Reply> = fc.record({
  method: fc.constantFrom("eth_call", "eth_getLogs", "eth_sendRawTransaction", "eth_getFilterChanges", ""),
  nature: fc.constantFrom("read", "write", "session"),
  status: fc.oneof(fc.integer({ min: 100, max: 599 }), fc.constant(200)),
  retryAfter: fc.option(text, { nil: undefined }),
  error: json.map((error) => (error === null ? undefined : error)),
  body: fc.option(text, { nil: undefined })
})

const check = (reply: RpcError.Reply): void => {
  const found = RpcError.classify(reply, now)
  const error = RpcError.make("a", reply, found)
  const verdict = Outcome.of(error)
  assert.isTrue(Object.hasOwn(meanings, found.kind))
  assert.strictEqual(error.kind, found.kind)
  assert.strictEqual(verdict.counts, meanings[found.kind].counts)
  assert.strictEqual(verdict.again, meanings[found.kind].again)
  assert.typeOf(error.message, "string")
  // NaN is itself, too.
  assert.isTrue(Object.is(error.data, reply.error?.data))
  if (error instanceof JsonRpc.Rejected) {
    assert.isTrue(Number.isSafeInteger(error.code))
    assert.strictEqual(verdict.again, "nowhere")
    assert.isDefined(reply.error)
  } else {
    assert.isTrue(error.code === undefined || Number.isSafeInteger(error.code))
    assert.notStrictEqual(verdict.again, "nowhere")
  }
  if (verdict.retryAfter !== undefined) {
    const millis = Duration.toMillis(verdict.retryAfter)
    assert.isTrue(millis > 0 && Number.isFinite(millis))
  }
}

describe("any reply", () => {
  it("is an error of ours with the verdict of its kind", () => {
    fc.assert(fc.property(reply, check), { numRuns: 300 })
  })

  it("also from outside of JSON", () => {
    const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true })
    fc.assert(
      fc.property(reply, anything, (reply, it) => check({ ...reply, error: { code: it, message: it, data: it } }))
    )
  })

  it("also as deep as JSON goes", () => {
    let data: unknown = "rate limit"
    for (let i = 0; i < 5_000; i++) data = i % 2 === 0 ? { data } : [data]
    check({ method: "eth_call", nature: "read", status: 200, retryAfter: undefined, error: { data }, body: undefined })
  })

  // Each would take minutes if a pattern went back over what it has read, or if all of it were read.
  const some =
    "block |range |method |failed to load |1 filters. |max |retry in 1|(1 > |a_|try with this [|0x|[0x1, |1 | "
  const more = "\n|not |limit|exceeds |reverted 0x|<title>|İ|insufficient |code = |upgrade from |older than 1"
  it.each(`${some}|${more}`.split("|"))("also %j over and over", (word) => {
    const said = word.repeat(50_000)
    const error = { code: said, message: said, data: { message: said, data: said, error: [said, said] } }
    check({ method: "eth_getLogs", nature: "read", status: 503, retryAfter: said, error, body: said })
    check({ method: "eth_call", nature: "read", status: 503, retryAfter: said, error: undefined, body: said })
  })

  it("is read up to a limit, wherever the text is", () => {
    const long = "x".repeat(100_000)
    const data = { message: long, error: [long, { reason: long }, ...Array.from({ length: 99 }, () => long)] }
    const reply = { method: "eth_call", nature: "read", status: 503, retryAfter: undefined, body: long } as const
    const said = errorText({ ...reply, error: { message: long, data } })
    assert.closeTo(said.length, 8_192, 2)
    assert.closeTo(allText({ ...reply, error: undefined }, said).length, 12_288, 3)
  })

  it("is read the same however often it comes", () => {
    const table = RpcError.extend([{ kind: "quota", pattern: /spent/gy }])
    const reply = { method: "eth_call", nature: "read", status: 200, retryAfter: undefined, body: undefined } as const
    for (let i = 0; i < 3; i++) {
      assert.strictEqual(RpcError.classify({ ...reply, error: { message: "all spent" } }, now, table).kind, "quota")
    }
  })
})
