import { assert, describe, it } from "@effect/vitest"
import * as Charts from "../src/Charts.ts"
import { faultCell, faults, load } from "./runs.ts"

const size = (svg: string): number => Number(/ width="(\d+)"/.exec(svg)?.[1])

describe("Charts", () => {
  for (const theme of ["light", "dark"] as const) {
    it(`bad weather, ${theme}: every contender and every number, within the width of a page`, async () => {
      const run = faults(faultCell("viem-http", "lagging", { answered: 123, back: 45, p99: null }))
      const svg = await Charts.draw(Charts.faults(run)(theme))
      for (const text of ["Hawser, viem", "viem http", "Hawser, ethers", "12.3 %", "never", "45 wrong", "restarts"]) {
        assert.include(svg, `>${text}<`)
      }
      assert.isAtMost(size(svg), 840)
    })

    it(`load, ${theme}: a column for each number of callers`, async () => {
      const svg = await Charts.draw(Charts.load(load())(theme))
      for (const text of ["1 caller", "64 callers", "Hawser, viem", "5.00"]) assert.include(svg, `>${text}<`)
      assert.isAtMost(size(svg), 840)
    })
  }
})
