/** Where anvil is. */
import { accessSync, constants, statSync } from "node:fs"
import { createRequire } from "node:module"
import { delimiter, dirname, join } from "node:path"

export interface Places {
  readonly env: Readonly<Record<string, string | undefined>>
  readonly platform: NodeJS.Platform
  readonly arch: string
  /** Files or URLs from whose packages `@foundry-rs/anvil` may be seen. */
  readonly from: ReadonlyArray<string | URL>
}

/** `ANVIL_BIN` if it is set, then the npm package, then the PATH. */
export const find = ({ arch, env, from, platform }: Places): string | undefined => {
  // Whoever names a binary wants that one or none.
  if (env["ANVIL_BIN"]) return executable(env["ANVIL_BIN"]) ? env["ANVIL_BIN"] : undefined
  const name = platform === "win32" ? "anvil.exe" : "anvil"
  const packaged = from.flatMap((place) => inPackage(place, name, platform, arch === "x64" ? "amd64" : arch))
  const onPath = (env["PATH"] ?? "").split(delimiter).filter(Boolean)
  return [...packaged, ...onPath.map((dir) => join(dir, name))].find(executable)
}

// The package holds no binary itself: one of its optional dependencies does, which pnpm shows to nobody else.
const inPackage = (place: string | URL, name: string, platform: string, arch: string): ReadonlyArray<string> => {
  const wrapper = resolve(place, "@foundry-rs/anvil/package.json")
  if (wrapper === undefined) return []
  const binary = resolve(wrapper, `@foundry-rs/anvil-${platform}-${arch}/bin/${name}`)
  return binary === undefined ? [join(dirname(wrapper), name)] : [binary, join(dirname(wrapper), name)]
}

const resolve = (from: string | URL, id: string): string | undefined => {
  try {
    return createRequire(from).resolve(id)
  } catch {
    return undefined
  }
}

const executable = (file: string): boolean => {
  try {
    accessSync(file, constants.X_OK)
    return statSync(file).isFile()
  } catch {
    return false
  }
}
