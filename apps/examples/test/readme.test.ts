import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { promisify } from "node:util"

const src = join(import.meta.dirname, "../src")
const readme = join(import.meta.dirname, "../../../README.md")

/** Runs a program as a newcomer would, with the nodes in place of the public endpoints. */
const run = (file: string, nodes: ReadonlyArray<FaultyNode.FaultyNode>) =>
  Effect.gen(function* () {
    const program = yield* Effect.promise(() => readFile(join(src, file), "utf8"))
    const urls = Array.from(program.matchAll(/https:\/\/[a-z.-]+/g), ([url]) => url)
    assert.isNotEmpty(urls)
    const local = urls.reduce((text, url, i) => text.replace(url, nodes[i]!.url), program)
    // Beside the sources, so that it resolves the same packages.
    const dir = yield* Effect.acquireRelease(
      Effect.promise(() => mkdtemp(join(src, ".run-"))),
      (dir) => Effect.promise(() => rm(dir, { recursive: true, force: true }))
    )
    yield* Effect.promise(() => writeFile(join(dir, file), local))
    return yield* Effect.promise(async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [join(dir, file)], { timeout: 20_000 })
      return stdout.trim()
    })
  })

describe("the README's programs", () => {
  const expected: Readonly<Record<string, string>> = {
    "viem.ts": "1000n",
    "ethers.ts": "1000",
    "effect.ts": "0x3e8",
    "layers.ts": "0x3e8"
  }

  for (const [file, answer] of Object.entries(expected)) {
    it.live(
      `${file} answers although one node is down, and ends by itself`,
      () =>
        Effect.gen(function* () {
          const nodes = [yield* FaultyNode.make({ scenario: Scenario.status(503) }), yield* FaultyNode.make()]
          assert.strictEqual(yield* run(file, nodes), answer)
        }),
      30_000
    )

    it(`${file} stands in the README word for word`, async () => {
      const text = await readFile(readme, "utf8")
      assert.include(text, await readFile(join(src, file), "utf8"))
    })
  }

  it("there are no others", async () => {
    const files = (await readdir(src)).filter((file) => file.endsWith(".ts"))
    assert.sameMembers(files, Object.keys(expected))
  })
})
