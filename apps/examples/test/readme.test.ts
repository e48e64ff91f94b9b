// Every program of a README is a file: those of the README at the top are in src, those of a page of docs in src/docs, those
// of a package in its test/examples. They stand in the README word for word, they run, and they print what their comments say.
import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { existsSync, globSync, readdirSync, readFileSync } from "node:fs"
import { rm, writeFile } from "node:fs/promises"
import { basename, join } from "node:path"
import { format, promisify } from "node:util"
import { vi } from "vitest"

const root = join(import.meta.dirname, "../../..")

const programsOf = (dir: string): ReadonlyArray<string> =>
  existsSync(dir)
    ? readdirSync(dir)
        .filter((file) => file.endsWith(".ts") && !file.startsWith("."))
        .map((file) => join(dir, file))
    : []

const blocksOf = (readme: string): ReadonlyArray<string> =>
  Array.from(readFileSync(readme, "utf8").matchAll(/^```ts\n(.*?)^```$/gms), ([, block]) => block!)

/** A copy of a program, with nodes of ours in place of public ones: of several the first is down. */
const localCopy = (file: string) =>
  Effect.gen(function* () {
    let source = readFileSync(file, "utf8")
    const urls = Array.from(new Set(source.match(/https:\/\/[a-z.-]+/g)))
    if (urls.length === 0) return file
    for (const [i, url] of urls.entries()) {
      const down = i === 0 && urls.length > 1
      const node = yield* FaultyNode.make({ scenario: down ? Scenario.status(503) : Scenario.healthy })
      source = source.replaceAll(url, node.url)
    }
    // Beside the original, so that it finds the same packages.
    const copy = join(file, "..", `.${basename(file)}`)
    yield* Effect.acquireRelease(
      Effect.promise(() => writeFile(copy, source)),
      () => Effect.promise(() => rm(copy, { force: true }))
    )
    return copy
  })

/** Runs a program as a newcomer would, and waits until it has ended by itself. */
const runApart = (file: string) =>
  Effect.flatMap(localCopy(file), (copy) =>
    Effect.promise(async () => {
      const { stdout } = await promisify(execFile)(process.execPath, [copy], { timeout: 20_000 })
      return stdout.trim()
    })
  )

/** Runs a program in this process, which is quicker. */
const runHere = (file: string) =>
  Effect.flatMap(localCopy(file), (copy) =>
    Effect.promise(async () => {
      const printed: Array<string> = []
      const log = vi.spyOn(console, "log").mockImplementation((...values) => void printed.push(format(...values)))
      await import(copy).finally(() => log.mockRestore())
      return printed.join("\n")
    })
  )

/** What the comments behind `console.log` announce. */
const announced = (source: string): ReadonlyArray<string> =>
  Array.from(source.matchAll(/console\.log\(.*\) \/\/ (.*)$/gm), ([, line]) => line!)

const readmes = [
  { readme: "README.md", programs: programsOf(join(root, "apps/examples/src")) },
  ...globSync("docs/*.md", { cwd: root }).map((readme) => ({
    readme,
    programs: programsOf(join(root, "apps/examples/src/docs", basename(readme, ".md")))
  })),
  ...globSync("packages/*/README.md", { cwd: root }).map((readme) => ({
    readme,
    programs: programsOf(join(root, readme, "../test/examples"))
  }))
]

for (const { programs, readme } of readmes) {
  describe(readme, () => {
    it("shows its programs word for word, and no others", () => {
      assert.sameMembers(
        Array.from(blocksOf(join(root, readme))),
        programs.map((file) => readFileSync(file, "utf8"))
      )
    })

    for (const file of programs) {
      const source = readFileSync(file, "utf8")
      if (!source.includes("console.log")) continue
      const lines = announced(source)
      if (lines.length === 0) {
        it.live(
          `${basename(file)} answers although one node is down, and ends by itself`,
          () => Effect.map(runApart(file), (printed) => assert.match(printed, /^(?:1000n?|0x3e8)$/)),
          30_000
        )
      } else {
        it.live(`${basename(file)} prints what it says`, () =>
          Effect.map(runHere(file), (printed) => assert.strictEqual(printed, lines.join("\n")))
        )
      }
    }
  })
}
