import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import * as Settings from "../src/Settings.ts"

const read = (args: ReadonlyArray<string>, env: Record<string, string> = {}) =>
  Result.match(Settings.read(args, env), { onSuccess: (settings) => settings, onFailure: ({ message }) => message })

describe("read", () => {
  it("gives the settings", () => {
    assert.deepStrictEqual(read([]), { once: false, port: undefined, upstreams: undefined })
    assert.deepStrictEqual(read(["--once"], { PORT: "1" }), { once: true, port: 1, upstreams: undefined })
    assert.deepStrictEqual(read([], { PORT: "65535", HAWSER_UPSTREAMS: "https://a/k, http://u:p@b:8545?x=1" }), {
      once: false,
      port: 65_535,
      upstreams: ["https://a/k", "http://u:p@b:8545?x=1"]
    })
  })

  it("takes what is empty for what is not given", () => {
    assert.deepStrictEqual(read([], { PORT: "", HAWSER_UPSTREAMS: "" }), {
      once: false,
      port: undefined,
      upstreams: undefined
    })
  })

  it.each(["0", "65536", "-1", "8080.5", "8e3", "0x50", "http", " 80", "99999999999"])("PORT=%s is none", (port) => {
    assert.strictEqual(read([], { PORT: port }), "PORT takes a whole number from 1 to 65535")
  })

  it.each([
    "SECRET",
    "https://",
    "ftp://a/SECRET",
    "ws://a/SECRET",
    "https://a/SECRET,",
    ",",
    " ",
    "https://a b/SECRET"
  ])("HAWSER_UPSTREAMS=%s is told of without being repeated", (urls) => {
    const message = read([], { HAWSER_UPSTREAMS: urls })
    assert.isString(message)
    assert.match(message as string, /^HAWSER_UPSTREAMS takes http: or https: URLs, .* number \d of \d is none$/)
  })

  it("says which one is wrong", () => {
    assert.include(read([], { HAWSER_UPSTREAMS: "https://a,https://b,c" }) as string, "number 3 of 3")
  })

  it.each(["--twice", "-x", "once", "--once=1", "https://user:SECRET@host/SECRET", "HAWSER_UPSTREAMS=https://SECRET"])(
    "the argument %s is unknown, and repeated only if it cannot hold a key",
    (argument) => {
      const message = read(["--once", argument]) as string
      assert.match(message, /^unknown argument/)
      assert.notInclude(message, "SECRET")
    }
  )

  it("--once has nothing to judge without a storm", () => {
    assert.isString(read(["--once"], { HAWSER_UPSTREAMS: "https://a" }))
  })
})
