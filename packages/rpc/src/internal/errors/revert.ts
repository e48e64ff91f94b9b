// Whether the EVM ran and reverted. Decided before anything else, since the reason is the contract's to choose: a contract
// may say "rate limit", "block not found" or "see /billing".

/** The code that means it, in execution-apis and all clients that follow it. */
const revertCode = 3

/**
 * How the clients say it: geth, Erigon, reth, Besu ("execution reverted"); Hardhat, Ganache, Frontier ("VM Exception while
 * processing transaction", "Transaction reverted"); Parity and Nethermind ("VM execution error.", "The execution
 * failed due to an exception.", both with the reason in the data); Filecoin ("message execution failed", "contract
 * reverted"); Tron ("REVERT opcode executed"); ERC-4337's entry point ("AA23 reverted: …"); Anvil ("EVM error InvalidJump", and
 * "EVM error FatalExternalError", which is its own trouble). Bare, it stands first.
 */
export const words =
  /execution reverted|vm exception|vm execution error|execution failed due to an exception|evm error:? (?!fatal)|transaction: revert|transaction reverted|message execution failed|contract reverted|\baa\d\d reverted|^revert(?:ed)?\b/

/** Error(string) and Panic(uint256), bare or as Parity writes them. */
const standard = /^(?:reverted )?0x(?:08c379a0|4e487b71)/i

const hex = /^(?:reverted )?0x[0-9a-f]*$/i

/** Where the returned bytes are found: geth, Nethermind; Hardhat; MetaMask; Ganache. */
const places = ["data", "originalError", "error", "cause", "result", "return", "output"]

const deepest = 4

/** `text` is the error's message and what it wraps, in lower case: not the body of an HTTP error, which no EVM wrote. */
export const isRevert = (code: number | undefined, text: string, data: unknown): boolean =>
  code === revertCode ||
  words.test(text) ||
  returned(data, standard, 0) ||
  (text.includes("revert") && returned(data, hex, 0))

const returned = (value: unknown, pattern: RegExp, depth: number): boolean => {
  if (typeof value === "string") return pattern.test(value.length > 10_000 ? value.slice(0, 32) : value)
  if (typeof value !== "object" || value === null || depth === deepest) return false
  for (const key of places) {
    if (Object.hasOwn(value, key) && returned((value as Record<string, unknown>)[key], pattern, depth + 1)) return true
  }
  // Ganache files the details under the transaction's hash.
  const [first] = Object.keys(value)
  return first?.startsWith("0x") === true && returned((value as Record<string, unknown>)[first], pattern, depth + 1)
}
