import { assert, describe, it } from "@effect/vitest"
import { allText, codeOf, errorText, type Reply } from "../../src/internal/errors/said.ts"

const reply = (fields: Partial<Reply>): Reply => ({ method: "eth_call", nature: "read", status: 200, ...fields })

const textOf = (error: NonNullable<Reply["error"]>) => errorText(reply({ error }))

const nested = (depth: number): unknown => (depth === 0 ? "there" : { data: nested(depth - 1) })

describe("the text of an error", () => {
  it("is its message and what its data says, in lower case", () => {
    assert.strictEqual(errorText(reply({})), "")
    assert.strictEqual(textOf({ message: "Oh No" }), "oh no")
    assert.strictEqual(textOf({ message: "Oh", data: "No" }), "oh\nno")
    assert.strictEqual(textOf({ data: { message: "a", reason: { details: "b" } } }), "\na\nb")
  })

  it.each(["message", "error", "reason", "detail", "details", "description", "cause", "data", "errors"])(
    "may be under %s",
    (key) => assert.strictEqual(textOf({ message: { [key]: "Here" } }), "here")
  )

  it("is under no other key, and no inherited one", () => {
    assert.strictEqual(textOf({ message: { trace: "Here", code: "x" } }), "")
    assert.strictEqual(textOf({ message: Object.create({ message: "Here" }) as unknown }), "")
  })

  it("is joined from the first eight of a list", () => {
    const list = Array.from({ length: 10 }, (_, n) => ({ message: `m${n}` }))
    assert.strictEqual(textOf({ message: list }), "m0\nm1\nm2\nm3\nm4\nm5\nm6\nm7")
    assert.strictEqual(textOf({ message: { errors: ["a", "", "b"] } }), "a\nb")
  })

  it("is no hex, unless that is a hash with which a sentence begins", () => {
    for (const data of ["0x", "0x08c379a0", `0X${"aB".repeat(500)}`]) assert.strictEqual(textOf({ data }), "")
    assert.strictEqual(textOf({ message: "0x12 is not known" }), "0x12 is not known")
    assert.strictEqual(textOf({ message: `0x${"ab".repeat(32)} is not known` }), `0x${"ab".repeat(32)} is not known`)
  })

  it("is read four levels deep", () => {
    assert.strictEqual(textOf({ message: nested(4) }), "there")
    assert.strictEqual(textOf({ message: nested(5) }), "")
    assert.strictEqual(textOf({ message: 7, data: null }), "")
  })

  it("is read up to 4,096 characters, however many parts it comes in", () => {
    assert.lengthOf(textOf({ message: "a".repeat(9_000) }), 4_096)
    const parts = textOf({ message: Array.from({ length: 8 }, () => "a".repeat(1_000)) })
    assert.lengthOf(parts, 4_096)
    assert.lengthOf(textOf({ message: ["a".repeat(4_095), "b"] }), 4_095)
    assert.strictEqual(textOf({ message: ["a".repeat(4_094), "bc"] }), `${"a".repeat(4_094)}\nb`)
  })
})

describe("all that was said", () => {
  it("is the error's text and the beginning of the body", () => {
    assert.strictEqual(allText(reply({}), ""), "")
    assert.strictEqual(allText(reply({ body: "" }), "error"), "error")
    assert.strictEqual(allText(reply({}), "error"), "error")
    assert.strictEqual(allText(reply({ body: "Page" }), ""), "page")
    assert.strictEqual(allText(reply({ body: "Page" }), "error"), "error\npage")
    assert.lengthOf(allText(reply({ body: "a".repeat(9_000) }), ""), 4_096)
  })
})

describe("the code", () => {
  it.each([
    [-32000, -32000],
    ["-32005", -32005],
    ["429", 429],
    ["1234567890", undefined],
    ["4.5", undefined],
    [" 3", undefined],
    [4.5, undefined],
    [NaN, undefined],
    ["QUOTA", undefined],
    [null, undefined]
  ])("%j is %j", (code, expected) => assert.strictEqual(codeOf(reply({ error: { code } })), expected))
})
