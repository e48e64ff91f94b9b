import { assert, describe, it } from "@effect/vitest"
import { Options } from "@hawser/core"
import { Duration } from "effect"
import { readLimit } from "../src/internal/limit.ts"

describe("readLimit", () => {
  it("reads a constant at once", () => {
    assert.strictEqual(readLimit<void>("limit", "2 seconds")(), 2000)
    assert.strictEqual(readLimit<void>("limit", Infinity)(), Infinity)
    assert.throws(() => readLimit("limit", "soon" as "1 second"), Options.InvalidOption)
  })

  it("reads whatever a function gives, each time as if for the first", () => {
    const limit = readLimit("limit", (n: number) => [`${n} seconds` as const, n, Duration.minutes(n)][n % 3]!)
    // More texts than are remembered, and each twice.
    for (let round = 0; round < 2; round++) {
      for (let n = 1; n <= 600; n++) {
        assert.strictEqual(limit(n), n % 3 === 0 ? n * 1000 : n % 3 === 1 ? n : n * 60_000)
      }
    }
  })

  it("refuses what a function should not give, every time", () => {
    const limit = readLimit("limit", () => "soon" as "1 second")
    for (let i = 0; i < 2; i++) assert.throws(() => limit({}), Options.InvalidOption)
  })
})
