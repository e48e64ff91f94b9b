// Holds each entry point to a size: minified and gzipped, for a browser, what its user has anyway left out.
//
//   node scripts/check-sizes.mjs          checks the budgets, and what the README says of the viem adapter
//   node scripts/check-sizes.mjs --write  writes that into the README
//   node scripts/check-sizes.mjs --table  prints what each weighs, and how much of it is Effect
import { createRequire } from "node:module"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"
import { gzipSync } from "node:zlib"

const root = join(import.meta.dirname, "..")
const { build } = await import(
  pathToFileURL(createRequire(join(root, "packages/viem/package.json")).resolve("vite")).href
)

/** Kilobytes (1,000 bytes) at most. */
const budgets = {
  "@hawser/viem": { from: "packages/viem", without: ["viem"], kilobytes: 106 },
  "@hawser/ethers": { from: "packages/ethers", without: ["ethers"], kilobytes: 108 },
  hawser: { from: "packages/hawser", without: [], kilobytes: 112 },
  "@hawser/breaker": { from: "packages/breaker", without: [], kilobytes: 22 },
  "@hawser/cache": { from: "packages/cache", without: [], kilobytes: 24 },
  "@hawser/pool": { from: "packages/pool", without: [], kilobytes: 24 },
  "@hawser/ratelimit": { from: "packages/ratelimit", without: [], kilobytes: 24 },
  "@hawser/retry": { from: "packages/retry", without: [], kilobytes: 24 }
}

const bundle = async (entry, without) => {
  const built = await build({
    configFile: false,
    logLevel: "silent",
    build: {
      write: false,
      target: "es2022",
      minify: true,
      rolldownOptions: {
        input: entry,
        preserveEntrySignatures: "strict",
        external: without.map((name) => new RegExp(`^${name}(/|$)`)),
        output: { format: "es", codeSplitting: false }
      }
    }
  })
  const [chunk] = [built].flat()[0].output
  return gzipSync(chunk.code, { level: 9 }).length
}

let failed = false
const rows = []
for (const [name, { from, kilobytes, without }] of Object.entries(budgets)) {
  const entry = join(root, from, "src/index.ts")
  const all = await bundle(entry, without)
  const own = await bundle(entry, [...without, "effect"])
  rows.push([name, all, own])
  if (all > kilobytes * 1_000) {
    failed = true
    console.error(`${name}: ${(all / 1_000).toFixed(1)} kB gzipped, more than its budget of ${kilobytes} kB`)
  }
}
const kB = (bytes) => `${(bytes / 1_000).toFixed(0)} kB`

const [, viem, viemAlone] = rows.find(([name]) => name === "@hawser/viem")
const readme = join(root, "README.md")
const text = readFileSync(readme, "utf8")
const said = text.replace(
  /(<!-- size -->)[^]*?(<!-- \/size -->)/,
  `$1${kB(viem)} gzipped, of which ${kB(viem - viemAlone)} are Effect$2`
)
if (process.argv.includes("--write")) writeFileSync(readme, said)
else if (said !== text) {
  failed = true
  console.error("README.md says otherwise what @hawser/viem weighs: node scripts/check-sizes.mjs --write")
}
if (process.argv.includes("--table")) {
  console.log("| entry point | in all | of which Effect |\n| --- | --- | --- |")
  for (const [name, all, own] of rows) console.log(`| \`${name}\` | ${kB(all)} | ${kB(all - own)} |`)
} else if (!failed) console.log("sizes: every entry point is within its budget")
if (failed) process.exit(1)
