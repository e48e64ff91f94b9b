import { assert, describe, it } from "@effect/vitest"
import { RpcError } from "@hawser/rpc"
import { Duration } from "effect"
import fc from "fast-check"
import { hintsOf, sanitized } from "../../src/internal/errors/hints.ts"
import { meanings } from "../../src/internal/errors/kind.ts"
import { retryAfter } from "../../src/internal/errors/retryAfter.ts"
import { now } from "./fixtures.ts"

const inText = (text: string) => retryAfter(undefined, undefined, text, now)
const inHeader = (header: string) => retryAfter(header, undefined, "", now)
const inData = (data: unknown) => retryAfter(undefined, data, "", now)

describe("when to come back", () => {
  it.each([
    ["120", 120_000],
    [" 1.5 ", 1_500],
    ["1.25", 1_250],
    ["5".padStart(64, "0"), 5_000],
    ["5".padStart(65, "0"), undefined],
    ["0", undefined],
    ["-5", undefined],
    ["1e3", undefined],
    ["NaN", undefined],
    ["Infinity", undefined],
    ["soon", undefined],
    ["", undefined],
    ["9".repeat(400), undefined],
    ["Wed, 25 Nov 2026 00:01:00 GMT", 60_000],
    ["Wednesday, 25-Nov-26 00:01:00 GMT", 60_000],
    ["Wed Nov 25 00:01:00 2026", 60_000],
    ["Tue, 24 Nov 2026 23:59:00 GMT", undefined],
    ["25 Nov 2026 00:01:00 GMT", undefined],
    ["on Wed, 25 Nov 2026 00:01:00 GMT", undefined],
    ["Wed, 25 Nov 2026 00:01:00 GMT+0100", undefined],
    ["on Wed Nov 25 00:01:00 2026", undefined],
    ["Wed Nov 25 00:01:00 2026 CET", undefined],
    ["Wed, 99 Nov 2026 00:01:00 GMT", undefined],
    ["2026", 2_026_000]
  ])("the header %j", (header, millis) => assert.strictEqual(inHeader(header), millis))

  it.each([
    ["retry in 10s", 10_000],
    ["too many requests, retry in 10m0s", 600_000],
    ["retry in 1h2m3.5s", 3_723_500],
    ["try again in 4ms", 4],
    ["try again in 250µs", 1],
    ["try again in 1500us", 2],
    ["try again in 2500000ns", 3],
    ["retry in 1.25s", 1_250],
    ["retrying in 2s", 2_000],
    ["waiting for 12 sec", 12_000],
    ["wait 1d", undefined],
    ["wait 2 days", 172_800_000],
    ["retry in 3 seconds", 3_000],
    ["retry after 2 minutes", 120_000],
    ["please retry after: 30", 30_000],
    ["retry-after: 7", 7_000],
    ["please wait 1 minute", 60_000],
    ["try again in 1 min 30 sec", 90_000],
    ["retry in 1500 milliseconds", 1_500],
    ["retry in 0s", undefined],
    ["please retry, trace-id: d13566efdd917dc2", undefined],
    ["retry with the range 25766988-25775072", undefined],
    ["try again in a few minutes", undefined],
    ["retry in 5 parsecs", 5_000],
    ["100/second request limit reached", undefined]
  ])("the text %j", (text, millis) => assert.strictEqual(inText(text), millis))

  it.each([
    [{ backoff_seconds: 30 }, 30_000],
    [{ backoff_seconds: "1.5" }, 1_500],
    [{ rate: { backoff_seconds: 24 } }, 24_000],
    [{ backoff_seconds: -1 }, undefined],
    [{ backoff_seconds: Infinity }, undefined],
    [{ backoff_seconds: "soon" }, undefined],
    [{ backoff_seconds: [9] }, undefined],
    [JSON.parse(`{"__proto__": {"backoff_seconds": 9}}`), undefined],
    [[], undefined],
    [null, undefined]
  ])("the data %j", (data, millis) => assert.strictEqual(inData(data), millis))

  it("is the longest that is named", () => {
    assert.strictEqual(retryAfter("1", { backoff_seconds: 30 }, "retry in 5s", now), 30_000)
    assert.strictEqual(retryAfter("60", { backoff_seconds: 30 }, "retry in 5s", now), 60_000)
    assert.strictEqual(retryAfter("1", { backoff_seconds: 30 }, "retry in 45s", now), 45_000)
  })

  it("is read only for the kinds whose pause holds for the whole upstream", () => {
    const paused = (kind: RpcError.Kind) => {
      const table = RpcError.extend([{ kind, code: 7 }])
      const reply = { method: "eth_call", nature: "read", status: 200, retryAfter: "9", body: undefined } as const
      const found = RpcError.classify({ ...reply, error: { code: 7 } }, now, table).retryAfter
      return found === undefined ? undefined : Duration.toMillis(found)
    }
    for (const kind of Object.keys(meanings) as Array<RpcError.Kind>) {
      const whole = ["rate", "quota", "auth", "syncing", "transient"].includes(kind)
      assert.strictEqual(paused(kind), whole ? 9_000 : undefined, kind)
    }
  })

  it("is never negative, infinite or not a number", () => {
    const any = fc.anything({ withNullPrototype: true })
    fc.assert(
      fc.property(fc.string(), any, fc.string(), (header, data, text) => {
        const wait = retryAfter(header, data, `retry in ${text}`, now)
        assert.isTrue(wait === undefined || (Number.isSafeInteger(Math.min(wait, 1e15)) && wait > 0))
      })
    )
  })
})

describe("what an upstream says of its limits", () => {
  it("a span that cannot be is none", () => {
    for (const span of ["[0x5, 0x1]", "[0x0, 0xffffffffffffffff]", "[0x, 0x1]", "[latest, 0x1]"]) {
      assert.deepStrictEqual(hintsOf("range", `this block range should work: ${span}`), {}, span)
    }
  })

  it("a cap of nothing is none", () => {
    assert.deepStrictEqual(hintsOf("range", "max block range: 0"), {})
    assert.deepStrictEqual(hintsOf("range", "max block range: 1"), { range: { blocks: 1 } })
  })

  it("a cap on something else is none", () => {
    for (const text of ["query exceeds max results 20000", "response size exceeds limit 10000000 bytes"]) {
      assert.deepStrictEqual(hintsOf("range", text), {})
    }
  })

  it("only what the kind can have is read", () => {
    for (const kind of ["rate", "transient", "plan", "auth"] as const) {
      assert.deepStrictEqual(hintsOf(kind, "max block range: 500; block 5 not found"), {})
    }
  })

  it("a hash is no number", () => {
    assert.deepStrictEqual(hintsOf("missing", `block 0x${"0".repeat(63)}1 not found`), {})
  })

  it("what a user's row makes of it is checked", () => {
    const bad = [NaN, Infinity, -1, 1.5, 2 ** 60, "7", null]
    for (const value of bad as Array<number>) {
      const hints = { addresses: value, block: value, earliest: value, range: { blocks: value } }
      assert.deepStrictEqual(sanitized(hints), {})
      assert.deepStrictEqual(sanitized({ range: { from: value, to: 9 } }), {})
      assert.deepStrictEqual(sanitized({ range: { from: 0, to: value } }), {})
    }
    const good: RpcError.Hints = { addresses: 3, block: 0, earliest: 0, range: { from: 0, to: 0 } }
    assert.deepStrictEqual(sanitized(good), good)
  })
})
