// Numbers and hashes as Ethereum's JSON-RPC writes them.

/** A number as a quantity. */
export const quantity = (number: number): string => `0x${number.toString(16)}`

/** The number that a quantity stands for, if it is one. */
export const numberOf = (value: unknown): number | undefined => {
  if (typeof value !== "string" || !value.startsWith("0x")) return undefined
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : undefined
}

/** Of a block, or of a transaction. */
export type Hash = `0x${string}`

export const isHash = (value: unknown): value is Hash =>
  typeof value === "string" && value.length === 66 && /^0x[0-9a-f]{64}$/i.test(value)
