// Holds the direction of dependencies: what each package's sources may import.
//
// 1. Of ours, only what the table below names (DESIGN: the import column). Tests may use the testkit, except core's.
// 2. Of others, only what the package declares as a dependency or a peer.
// 3. Of Effect, only stable exports where the package promises so.
import { globSync, readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"

const primitives = ["@hawser/breaker", "@hawser/ratelimit", "@hawser/retry", "@hawser/pool", "@hawser/cache"]
const core = "@hawser/core"
const table = {
  "@hawser/core": { ours: [], stable: true },
  "@hawser/breaker": { ours: [core], stable: true },
  "@hawser/ratelimit": { ours: [core], stable: true },
  "@hawser/retry": { ours: [core], stable: true },
  "@hawser/pool": { ours: [core], stable: true },
  "@hawser/cache": { ours: [core], stable: true },
  "@hawser/rpc": { ours: [core], stable: true },
  hawser: { ours: [core, ...primitives, "@hawser/rpc"], stable: true },
  "@hawser/viem": { ours: ["hawser"], stable: true },
  "@hawser/ethers": { ours: ["hawser"], stable: true },
  "@hawser/metrics": { ours: [core, "hawser"], stable: false },
  "@hawser/store": { ours: [core, ...primitives], stable: false },
  "@hawser/testkit": { ours: [core], stable: false }
}

const problems = []
const specifiers = (source) =>
  Array.from(source.matchAll(/(?:from|import)\s+"([^"]+)"|import\("([^"]+)"\)/g), (match) => match[1] ?? match[2])
const packageOf = (specifier) => specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/")
const isOurs = (name) => name === "hawser" || name.startsWith("@hawser/")

/** The stability that Effect's declarations give an export, or undefined when none is given. */
const stability = (() => {
  const files = new Map()
  const read = (module, from) => {
    if (!files.has(module)) {
      const resolved = createRequire(from).resolve(module === "effect" ? "effect" : module)
      files.set(module, readFileSync(resolved.replace(/\.js$/, ".d.ts"), "utf8"))
    }
    return files.get(module)
  }
  return (module, name, from) => {
    const text = read(module, from)
    const declaration = new RegExp(`export (?:declare )?(?:const|function|class|interface|type|namespace) ${name}\\b`)
    const at = text.search(declaration)
    if (at < 0) return undefined
    const doc = text.slice(0, at).match(/\/\*\*(?:(?!\*\/)[\s\S])*\*\/\s*$/)
    return doc?.[0].match(/@stability (\w+)/)?.[1]
  }
})()

for (const manifestPath of globSync("{packages,apps}/*/package.json")) {
  const dir = dirname(manifestPath)
  const manifest = JSON.parse(readFileSync(manifestPath, "utf8"))
  const isApp = dir.startsWith("apps")
  const rule = table[manifest.name]
  if (!isApp && rule === undefined) problems.push(`${manifest.name} is not in the table of scripts/check-imports.mjs`)
  const declared = { ...manifest.dependencies, ...manifest.peerDependencies }
  for (const name of Object.keys(declared)) {
    if (isOurs(name) && !isApp && !rule?.ours.includes(name)) problems.push(`${manifest.name} depends on ${name}`)
  }
  for (const file of globSync(`${dir}/{src,test,bench}/**/*.ts`)) {
    const inSource = file.startsWith(join(dir, "src"))
    const source = readFileSync(file, "utf8")
    for (const specifier of specifiers(source)) {
      if (specifier.startsWith(".") || specifier.startsWith("node:") || specifier.startsWith("#")) continue
      const name = packageOf(specifier)
      if (name === manifest.name) continue
      if (inSource && declared[name] === undefined) problems.push(`${file} imports ${name}, which is not declared`)
      if (!inSource && isOurs(name) && !isApp) {
        const allowed = [...(rule?.ours ?? []), ...(manifest.name === core ? [] : ["@hawser/testkit"])]
        if (!allowed.includes(name)) problems.push(`${file} imports ${name}`)
      }
    }
    if (!inSource || rule?.stable !== true) continue
    if (/from "effect"/.test(source)) problems.push(`${file} imports the barrel of effect`)
    for (const [, alias, module] of source.matchAll(/import (?:type )?\* as (\w+) from "(effect\/[^"]+)"/g)) {
      for (const name of new Set(Array.from(source.matchAll(new RegExp(`\\b${alias}\\.(\\w+)`, "g")), (m) => m[1]))) {
        const tag = stability(module, name, join(process.cwd(), file))
        if (tag !== undefined && tag !== "stable") problems.push(`${file} uses ${module} ${name}, which is ${tag}`)
      }
    }
  }
}

for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exit(1)
console.log("imports: every package imports what it may")
