import { readFileSync } from "node:fs"
import { inspect } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { vi } from "vitest"

const read = (path: string) => readFileSync(new URL(path, import.meta.url), "utf8")

const blocks = Array.from(read("../README.md").matchAll(/^```ts\n(.*?)^```$/gms), ([, block]) => block!)

const examples: Record<string, () => Promise<unknown>> = {
  quote: () => import("./examples/quote.ts"),
  client: () => import("./examples/client.ts"),
  budget: () => import("./examples/budget.ts"),
  fallback: () => import("./examples/fallback.ts")
}

describe("README", () => {
  for (const [name, run] of Object.entries(examples)) {
    it(`${name} prints what it says it prints`, async () => {
      const source = read(`./examples/${name}.ts`)
      assert.include(blocks, source, "the README shows this program")
      const printed: Array<string> = []
      const log = vi.spyOn(console, "log").mockImplementation((value) => {
        printed.push(typeof value === "string" ? value : inspect(value))
      })
      await run().finally(() => log.mockRestore())
      assert.strictEqual(printed.join("\n"), /console\.log\(.*\) \/\/ (.*)\n$/.exec(source)?.[1])
    })
  }

  it("shows no program that is not run", () => {
    assert.lengthOf(blocks, Object.keys(examples).length)
  })
})
