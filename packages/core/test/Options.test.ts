import { assert, describe, it } from "@effect/vitest"
import { Options } from "@hawser/core"
import { Duration } from "effect"
import { inspect } from "node:util"

const readers = {
  failures: Options.integer({ min: 1, default: 10 }),
  rate: Options.number({ above: 0, max: 1, default: 0.5 }),
  openFor: Options.duration({ default: "5 seconds" }),
  limit: Options.duration({ infinite: true, default: undefined }),
  mode: Options.oneOf(["fast", "slow"], "fast"),
  on: Options.boolean({ default: true }),
  name: Options.string({ default: "upstream" }),
  while: Options.fn<(error: unknown) => boolean, undefined>({ default: undefined })
}

const refused = (options: unknown): string => {
  try {
    Options.read("Breaker", options, readers)
  } catch (error) {
    assert.instanceOf(error, Options.InvalidOption)
    return error.message
  }
  return "taken"
}

describe("read", () => {
  it("gives defaults, and durations in milliseconds", () => {
    assert.deepStrictEqual(Options.read("Breaker", undefined, readers), {
      failures: 10,
      rate: 0.5,
      openFor: 5000,
      limit: undefined,
      mode: "fast",
      on: true,
      name: "upstream",
      while: undefined
    })
    const read = Options.read(
      "Breaker",
      { openFor: Duration.minutes(2), limit: Infinity, failures: undefined },
      readers
    )
    assert.strictEqual(read.openFor, 120_000)
    assert.strictEqual(read.limit, Infinity)
    assert.strictEqual(read.failures, 10)
  })

  it("shows nothing that may be a key, neither in the message nor beside it", () => {
    for (const options of [
      "https://x/S3CRET",
      { apiKey: "S3CRET" },
      { failures: "https://x/S3CRET" },
      { failures: "S3CRET".repeat(10) },
      { failures: ["S3CRET"] },
      { failures: { key: "S3CRET" } }
    ]) {
      try {
        Options.read("Breaker", options, readers)
        assert.fail("taken")
      } catch (error) {
        assert.instanceOf(error, Options.InvalidOption)
        assert.notMatch(inspect(error, { depth: 10 }), /S3CRET/)
      }
    }
  })

  it("names the option and what it takes", () => {
    assert.strictEqual(refused({ failures: 0 }), "Breaker.failures takes a whole number of at least 1, got 0")
    assert.strictEqual(refused({ failures: 1.5 }), "Breaker.failures takes a whole number of at least 1, got 1.5")
    assert.strictEqual(refused({ rate: 0 }), "Breaker.rate takes a number above 0 and at most 1, got 0")
    assert.strictEqual(refused({ rate: NaN }), "Breaker.rate takes a number above 0 and at most 1, got NaN")
    for (const openFor of ["soon", -1, 0, NaN, Infinity, null, {}]) {
      assert.match(
        refused({ openFor }),
        /^Breaker\.openFor takes a duration of at least 1 ms such as "2 seconds", got /
      )
    }
    assert.match(refused({ limit: 0 }), /^Breaker\.limit takes a duration of at least 1 ms, or Infinity such as/)
    assert.strictEqual(refused({ mode: "medium" }), 'Breaker.mode takes one of "fast", "slow", got "medium"')
    assert.strictEqual(refused({ on: "yes" }), 'Breaker.on takes true or false, got "yes"')
    assert.strictEqual(refused({ name: "" }), 'Breaker.name takes a non-empty string, got ""')
    assert.strictEqual(refused({ while: true }), "Breaker.while takes a function, got true")
  })

  it("refuses names that nobody reads", () => {
    assert.strictEqual(
      refused({ failure: 3 }),
      "Breaker.failure takes no value: the options are failures, rate, openFor, limit, mode, on, name, while, got 3"
    )
    assert.match(refused([1]), /^Breaker takes a record of options, got a list$/)
    assert.match(refused("x"), /^Breaker takes a record of options/)
  })
})
