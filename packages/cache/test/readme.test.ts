import { assert, describe, it } from "@effect/vitest"
import { readFileSync } from "node:fs"
import { afterEach, vi } from "vitest"

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8")
const programs = [...read("../README.md").matchAll(/```ts\n(.*?)```/gs)].map((match) => match[1])

afterEach(() => void vi.restoreAllMocks())

describe("the README", () => {
  it("shows the programs that are checked here, and no others", () => {
    assert.deepStrictEqual(programs, [read("./readme/first.ts"), read("./readme/client.ts")])
  })

  it("its first program asks once", async () => {
    const lines: Array<unknown> = []
    vi.spyOn(console, "log").mockImplementation((line) => void lines.push(line))
    await import("./readme/first.ts")
    assert.deepStrictEqual(lines, ["asking", [42, 42, 42]])
  })
})
