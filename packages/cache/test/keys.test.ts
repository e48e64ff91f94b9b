import { assert, describe, it } from "@effect/vitest"
import * as fc from "fast-check"
import { keyOf } from "../src/internal/keys.ts"

/** Texts full of the marks that the encoding itself uses. */
const text = fc.oneof(fc.string(), fc.stringMatching(/^[0-9s:[\]",{}]{0,6}$/))
const param = fc.oneof(text, fc.jsonValue({ maxDepth: 2 }), fc.constantFrom<unknown>(null, true, 0, -0, [], {}, [[]]))
const request = fc.record({ method: text, params: fc.array(param, { maxLength: 3 }) })

type Request = { readonly method: string; readonly params: ReadonlyArray<unknown> }

const wire = ({ method, params }: Request) => JSON.stringify([method, params])

/** Finds two requests that differ on the wire and share a key, or the reverse. */
const collides = (key: (method: string, params: ReadonlyArray<unknown>) => string | undefined) =>
  fc.check(
    fc.property(
      request,
      request,
      fc.constantFrom("as drawn", "one method", "one text", "joined", "nested", "run together", "swallowed"),
      (a, drawn, how) => {
        let b: Request = drawn
        if (how === "one method") b = { ...b, method: a.method }
        if (how === "one text") b = { method: a.method, params: [String(a.params), ...b.params] }
        if (how === "joined") b = { method: a.method, params: [a.params.join(",")] }
        if (how === "nested") b = { method: a.method, params: [a.params] }
        if (how === "run together") b = { method: a.method, params: [Number(a.params.join(""))] }
        if (how === "swallowed") b = { method: a.method + (key("", a.params) ?? ""), params: [] }
        const ours = key(a.method, a.params) === key(b.method, b.params)
        return ours === (wire(a) === wire(b))
      }
    ),
    { seed: 1, numRuns: 1_500 }
  )

describe("CA16: keys", () => {
  it("two requests share a key exactly when they are the same on the wire", () => {
    const { counterexample, failed } = collides(keyOf)
    assert.isFalse(failed, JSON.stringify(counterexample))
  })

  it("mutants: parts that are joined collide", () => {
    const joined = (method: string, params: ReadonlyArray<unknown>) => [method, ...params].join(",")
    const bare = (method: string, params: ReadonlyArray<unknown>) =>
      method + params.map((p) => JSON.stringify(p)).join("")
    const unmarked = (method: string, params: ReadonlyArray<unknown>) =>
      params.length === 0 ? method : keyOf(method, params)
    for (const mutant of [joined, bare, unmarked]) assert.isTrue(collides(mutant).failed, String(mutant))
  })

  it("numbers side by side are not one number", () => {
    assert.notStrictEqual(keyOf("m", [1, 2]), keyOf("m", [12]))
    assert.notStrictEqual(keyOf("m", [1, 23]), keyOf("m", [12, 3]))
  })

  it("a nested list is not the list itself", () => {
    assert.notStrictEqual(keyOf("m", [["a", "b"]]), keyOf("m", ["a", "b"]))
    assert.notStrictEqual(keyOf("m", ["a,b"]), keyOf("m", ["a", "b"]))
    assert.notStrictEqual(keyOf("m", []), keyOf("m", [[]]))
    assert.notStrictEqual(keyOf("m", ["1"]), keyOf("m", [1]))
    assert.notStrictEqual(keyOf("1:m", []), keyOf("m", []))
  })

  it("a method without parameters is its own key", () => {
    assert.strictEqual(keyOf("eth_chainId", []), "eth_chainId")
  })

  it("says what goes over the wire: undefined is null there, and case is kept", () => {
    assert.strictEqual(keyOf("m", [undefined]), keyOf("m", [null]))
    assert.notStrictEqual(keyOf("m", ["0xAB"]), keyOf("m", ["0xab"]))
  })

  it("none where there is no JSON", () => {
    const circle: Array<unknown> = []
    circle.push(circle)
    assert.isUndefined(keyOf("m", [1n]))
    assert.isUndefined(keyOf("m", [circle]))
  })
})
