/** `node apps/bench/src/report.ts [page…]`: draws the charts and fills the marked places of pages from the results. */
import { readFileSync, writeFileSync } from "node:fs"
import * as Charts from "./Charts.ts"
import * as Markdown from "./Markdown.ts"
import * as Results from "./Results.ts"
import { say } from "./terminal.ts"

const faults = Results.faults()
const load = Results.load()
const runs: ReadonlyArray<Results.Run> = [faults, load].filter((run) => run !== undefined)

if (faults !== undefined) await Charts.write("faults", Charts.faults(faults))
if (load !== undefined) await Charts.write("load", Charts.load(load))

const blocks = {
  ...(faults && { "bench:faults": Markdown.faults(faults), "bench:faults:all": Markdown.matrix(faults) }),
  ...(load && { "bench:load": Markdown.load(load) }),
  "bench:configurations": Markdown.configurations(...runs)
}

const root = new URL("../../../", import.meta.url)
const named = process.argv.slice(2)
const pages = named.length > 0 ? named : [new URL("README.md", root), new URL("apps/bench/README.md", root)]

for (const page of pages) {
  const before = readFileSync(page, "utf8")
  const after = Markdown.fill(before, blocks)
  if (after !== before) writeFileSync(page, after)
  say(`${page instanceof URL ? page.pathname : page}: ${after === before ? "unchanged" : "written"}`)
}
