// Puts small defects into the pure cores, one at a time, package by package: the tests are as good as the share of them they
// notice.
//
//   npm run mutation
//   npm run mutation -- retry pool
import { spawnSync } from "node:child_process"
import { readFileSync } from "node:fs"
import { cores, report } from "./cores.mjs"

const chosen = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(cores)
const unknown = chosen.find((name) => !(name in cores))
if (unknown !== undefined) {
  console.error(`no cores of ${unknown}: there are those of ${Object.keys(cores).join(", ")}`)
  process.exit(1)
}

const rows = chosen.map((name) => {
  const { status } = spawnSync("stryker", ["run", "scripts/mutation/stryker.config.mjs"], {
    stdio: "inherit",
    shell: process.platform === "win32",
    env: { ...process.env, MUTATED: name }
  })
  if (status !== 0) process.exit(status ?? 1)
  const { files } = JSON.parse(readFileSync(report(name), "utf8"))
  const mutants = Object.values(files).flatMap(({ mutants }) => mutants)
  const count = (...statuses) => mutants.filter(({ status }) => statuses.includes(status)).length
  const noticed = count("Killed", "Timeout")
  const missed = count("Survived", "NoCoverage")
  return [name, noticed + missed, `${((100 * noticed) / (noticed + missed)).toFixed(1)} %`, missed]
})

for (const row of [["core", "defects", "noticed", "not noticed"], ["---", "---:", "---:", "---:"], ...rows])
  console.log(`| ${row.join(" | ")} |`)
