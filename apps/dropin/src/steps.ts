/**
 * One step of a program: what it does, and how. `settled: false` where bad weather may leave open what a bare client knows:
 * whether a transaction that is rejected now was accepted by a node whose answer was lost, and whether a method is
 * missing that one node does not know and another cannot be asked about.
 */
export type Step = readonly [title: string, run: () => Promise<unknown>, certainty?: { readonly settled: false }]

export const unsettled = { settled: false } as const

/** What both programs read of the contract `Shapes`: values of every shape, then every kind of revert. */
export const reads = (read: (name: string, ...args: ReadonlyArray<unknown>) => Step[1]): ReadonlyArray<Step> => [
  ["reads a number", read("plain")],
  ["reads many values", read("many")],
  ["reads nothing", read("nothing")],
  ["reads a list of structs", read("points", 20n)],
  ["reads a megabyte", read("big", 300_000n)],
  ["a revert with a string", read("failString")],
  ["a revert with a custom error", read("failCustom", 7n)],
  ["a revert with a nested error", read("failNested")],
  ["a revert without data", read("failEmpty")],
  ["a revert with data of nobody", read("failRaw")],
  ["an assertion", read("failAssert")],
  ["an overflow", read("failOverflow", 1)],
  ["a division by zero", read("failDivision", 0n)],
  ["an index out of range", read("failIndex")],
  ["out of gas", read("failGas")]
]

/** Two of the accounts that anvil funds. */
export const keys = {
  alice: "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80",
  bob: "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"
} as const

export interface Played {
  readonly title: string
  readonly settled: boolean
  readonly value?: unknown
  readonly error?: unknown
}

/** Runs a program; what a step throws is kept in the words of `told`. */
export const play = async (
  steps: ReadonlyArray<Step>,
  told: (error: unknown) => unknown
): Promise<ReadonlyArray<Played>> => {
  const results: Array<Played> = []
  for (const [title, run, { settled } = { settled: true }] of steps) {
    try {
      results.push({ title, settled, value: await run() })
    } catch (error) {
      results.push({ title, settled, error: told(error) })
    }
  }
  return results
}
