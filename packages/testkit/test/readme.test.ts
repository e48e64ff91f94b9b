import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { vi } from "vitest"

const read = (file: string) => readFileSync(new URL(file, import.meta.url), "utf8")

const blocks = Array.from(read("../README.md").matchAll(/```ts\n(.*?)```/gs), ([, code]) => code)

describe("README", () => {
  it("shows the programs that are checked here", () => {
    assert.deepStrictEqual(
      blocks,
      ["program", "scenario", "anvil"].map((name) => read(`readme/${name}.ts`))
    )
  })

  it("its program prints what it says", async () => {
    const log = vi.spyOn(console, "log").mockImplementation(() => {})
    await import("./readme/program.ts")
    const printed = log.mock.calls
    log.mockRestore()
    assert.deepStrictEqual(printed, [
      [429, "2"],
      [{ jsonrpc: "2.0", id: 1, result: "0x3e8" }],
      [["answered", "answered", "aborted"]]
    ])
  })
})
