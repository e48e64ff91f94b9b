import { assert, describe, it } from "@effect/vitest"
import { weigh } from "../src/internal/weigh.ts"

const log = (i: number) => ({
  address: "0x52908400098527886e0f7030069857d2e4169ee7",
  topics: [`0x${"a".repeat(64)}`, `0x${"b".repeat(64)}`],
  data: `0x${"0".repeat(64 * (i % 3))}`,
  blockNumber: "0x10d4f",
  removed: false
})

describe("weigh", () => {
  it("grows with what a value holds", () => {
    assert.isBelow(weigh(null), weigh("0x1"))
    assert.isBelow(weigh("0x1"), weigh("0x1".repeat(10)))
    assert.isAbove(weigh(Array.from({ length: 10_000 }, (_, i) => log(i))), 100_000)
    assert.isAtLeast(weigh(new Uint8Array(500)), 500)
  })

  it("estimates a long list to within a tenth of weighing it whole", () => {
    const logs = Array.from({ length: 5_000 }, (_, i) => log(i))
    const exact = 16 + 8 * logs.length + logs.reduce((sum, one) => sum + weigh(one), 0)
    assert.approximately(weigh(logs) / exact, 1, 0.1)
  })

  it("looks at few elements of a long list", () => {
    let looks = 0
    const list = new Proxy(
      Array.from({ length: 100_000 }, () => 1),
      {
        get(target, name) {
          looks++
          return target[name as never]
        }
      }
    )
    weigh(list)
    assert.isBelow(looks, 50)
  })

  it("ends, even where a value holds itself", () => {
    const circle: Record<string, unknown> = {}
    circle["self"] = circle
    assert.isBelow(weigh(circle), 1_000)
  })
})
