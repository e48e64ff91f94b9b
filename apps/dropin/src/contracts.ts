// Compiles the contracts, so that no bytecode has to be trusted.
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { join } from "node:path"
import type { Abi, Hex } from "viem"

export interface Contract {
  readonly abi: Abi
  readonly bytecode: Hex
}

/** Every contract of `Contracts.sol`, by its name. */
export type Contracts = Readonly<Record<"Shapes" | "Names" | "Calls", Contract>>

export const compile = (): Contracts => (compiled ??= compiling())

let compiled: Contracts | undefined

const compiling = (): Contracts => {
  const solc = createRequire(import.meta.url)("solc") as { readonly compile: (input: string) => string }
  const output = JSON.parse(
    solc.compile(
      JSON.stringify({
        language: "Solidity",
        sources: { "Contracts.sol": { content: readFileSync(join(import.meta.dirname, "Contracts.sol"), "utf8") } },
        settings: {
          evmVersion: "cancun",
          optimizer: { enabled: true },
          outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } }
        }
      })
    )
  ) as Output
  const errors = (output.errors ?? []).filter(({ severity }) => severity === "error")
  if (errors.length > 0) throw new Error(errors.map(({ formattedMessage }) => formattedMessage).join("\n"))
  const of = (name: string): Contract => {
    const { abi, evm } = output.contracts["Contracts.sol"]![name]!
    return { abi, bytecode: `0x${evm.bytecode.object}` }
  }
  return { Shapes: of("Shapes"), Names: of("Names"), Calls: of("Calls") }
}

interface Output {
  readonly errors?: ReadonlyArray<{ readonly severity: string; readonly formattedMessage: string }>
  readonly contracts: Readonly<
    Record<
      string,
      Readonly<Record<string, { readonly abi: Abi; readonly evm: { readonly bytecode: { readonly object: string } } }>>
    >
  >
}
