import { assert, describe, it } from "@effect/vitest"
import * as Losses from "../src/Losses.ts"
import * as Markdown from "../src/Markdown.ts"
import { faultCell, faults, load, loadCell } from "./runs.ts"

describe("Losses", () => {
  it("where all are alike nobody is better", () => {
    assert.deepStrictEqual(Losses.ofFaults(faults()), [])
    assert.deepStrictEqual(Losses.ofLoad(load()), [])
  })

  it("a peer that is better in something is named, with both numbers", () => {
    const run = faults(
      faultCell("hawser-viem", "dead", { answered: 990, p99: 300, requests: 1200 }),
      faultCell("viem-http", "slow", { p99: 60 })
    )
    assert.deepStrictEqual(Losses.ofFaults(run), [
      "**viem http** answers more calls than Hawser, viem: one dead (100 % against 99.00 %).",
      "**viem http** has 99 of 100 calls answered sooner than Hawser, viem: one dead (100 ms against 300 ms), one slow at p99 (60 ms against 100 ms).",
      "**viem http** sends fewer requests per call than Hawser, viem: one dead (1.00 against 1.20)."
    ])
  })

  it("answering less is no way to be cheap", () => {
    const run = faults(faultCell("viem-http", "dead", { answered: 0, p50: null, p99: null, requests: 0, cpu: 0 }))
    assert.deepStrictEqual(Losses.ofFaults(run), [])
  })

  it("what never came is later than anything", () => {
    const run = faults(faultCell("hawser-viem", "outage", { p99: null }))
    assert.deepStrictEqual(Losses.ofFaults(run), [
      "**viem http** has 99 of 100 calls answered sooner than Hawser, viem: all down for 5 s (100 ms against never)."
    ])
  })

  it("without faults: throughput and CPU", () => {
    assert.deepStrictEqual(Losses.ofLoad(load(loadCell("viem-http", 1, { perSecond: 12_000, cpu: 4 }))), [
      "**viem http** serves more calls a second than Hawser, viem: one caller (12,000 against 10,000).",
      "**viem http** costs less CPU per call than Hawser, viem: one caller (4.00 s per 100,000 against 5.00 s per 100,000)."
    ])
  })
})

describe("what does nothing about faults", () => {
  it("is no peer", () => {
    const run = load(loadCell("viem-http", 1, { perSecond: 12_000, cpu: 4 }))
    const contenders = run.contenders.map((one) => ({ ...one, under: "nothing" as const }))
    assert.deepStrictEqual(Losses.ofLoad({ ...run, contenders }), [])
  })
})

describe("Markdown", () => {
  it("the summary has a line for each contender", () => {
    const run = faults(faultCell("viem-http", "dead", { answered: 0, back: 0, requests: 4000 }))
    assert.strictEqual(
      Markdown.summary(run),
      `
|                | answered | wrong answers | requests a call, healthy | at worst | CPU s per 100,000 calls, healthy |
| -------------- | -------- | ------------- | ------------------------ | -------- | -------------------------------- |
| Hawser, viem   | 100 %    | 0             | 1.00                     | 1.00     | 10.0                             |
| viem http      | 88.8 %   | 0             | 1.00                     | 4.00     | 10.0                             |
| Hawser, ethers | 100 %    | 0             | 1.00                     | 1.00     | 10.0                             |
`.trim()
    )
  })

  it("says where a peer is better, or that none is, and on what it ran", () => {
    const text = Markdown.faults({
      ...faults(faultCell("viem-http", "slow", { p99: 60 })),
      promise: {
        calls: 100_000,
        failures: 5,
        requests: 126_000,
        atMost: { failures: 15, requestsPerCall: 1.35 },
        kept: true
      }
    })
    assert.include(text, "- **viem http** has 99 of 100 calls answered sooner")
    assert.include(text, "5 of 100,000 reads failed, at 1.26 requests a read")
    assert.include(text, "Measured on 2026-11-26 at abc1234, seed 1: 2 cores of CPU, Node.js 26.10.0, viem 2.57.20.")
    assert.include(Markdown.faults(faults()), "- Nowhere in this run.")
  })

  it("a budget that does not hold says so", () => {
    const text = Markdown.load(load())
    assert.match(text, /under viem, against viem http, 64 at once +\| 0\.20 +\| 0\.3 +\|/)
    assert.match(text, /under viem, against viem http, 1 at once +\| 0\.40 +\| 0\.3: over +\|/)
  })

  it("fills what is marked, again and again, and nothing else", () => {
    const page = "# Title\n\n<!-- bench:faults -->\n<!-- /bench:faults -->\n\nThe end <!-- /other --> <!-- other -->.\n"
    const once = Markdown.fill(page, { "bench:faults": "a table", other: "no", missing: "no" })
    assert.strictEqual(
      once,
      "# Title\n\n<!-- bench:faults -->\n\na table\n\n<!-- /bench:faults -->\n\nThe end <!-- /other --> <!-- other -->.\n"
    )
    assert.strictEqual(Markdown.fill(once, { "bench:faults": "a table" }), once)
  })
})
