/**
 * One text for all ways to write the same parameter.
 *
 * Each text says where it ends (one that stands for itself has its length before it, all else ends with a comma or a
 * bracket), so that two parameters are never mistaken for one, nor a list for its elements. What has no JSON form throws.
 */
import type { Kind } from "./methods.ts"

export type Encode = (value: unknown) => string

// What JSON has no word for: left out of a record, null in a list.
const absent = (value: unknown): boolean =>
  value === undefined || typeof value === "function" || typeof value === "symbol"

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return (
    (prototype === Object.prototype || prototype === null) &&
    typeof (value as Record<string, unknown>)["toJSON"] !== "function"
  )
}

const list = (values: ReadonlyArray<unknown>, encode: Encode): string => {
  let text = "["
  for (let i = 0; i < values.length; i++) text += encode(values[i])
  return `${text}]`
}

// The names of most records come in order already, or nearly.
const sortedNames = (record: object): ReadonlyArray<string> => {
  const names = Object.keys(record)
  for (let i = 1; i < names.length; i++) {
    const name = names[i]!
    let j = i - 1
    for (; j >= 0 && names[j]! > name; j--) names[j + 1] = names[j]!
    names[j + 1] = name
  }
  return names
}

/** As JSON has it, with the names of records in order. */
export const exact: Encode = (value) => {
  if (absent(value)) return "null,"
  if (Array.isArray(value)) return list(value, exact)
  if (typeof value !== "object" || value === null) return `${JSON.stringify(value)},`
  if (!isRecord(value)) {
    const text = JSON.stringify(value) as string | undefined
    return text === undefined ? "null," : exact(JSON.parse(text))
  }
  let text = "{"
  for (const name of sortedNames(value)) {
    if (!absent(value[name])) text += `${JSON.stringify(name)}:${exact(value[name])}`
  }
  return `${text}}`
}

const hexadecimal = /^0x[0-9a-fA-F]+$/

// Whatever is in lower case stands for itself, hexadecimal or not: most texts need no second look.
const bytes: Encode = (value) => {
  if (typeof value !== "string") return Array.isArray(value) ? list(value, bytes) : exact(value)
  const text = value.toLowerCase()
  return text === value || hexadecimal.test(value) ? `${text.length}:${text}` : exact(value)
}

const quantity: Encode = (value) => {
  if (typeof value !== "string") return Array.isArray(value) ? list(value, quantity) : exact(value)
  return bytes(value.startsWith("0x0") && hexadecimal.test(value) ? withoutZeros(value) : value)
}

const zero = 48

const withoutZeros = (value: string): string => {
  let start = 2
  while (start < value.length - 1 && value.charCodeAt(start) === zero) start++
  return start === 2 ? value : `0x${value.slice(start)}`
}

const hashLength = 66

// A hash keeps its leading zeros.
const block: Encode = (value) => {
  if (typeof value === "string") return value.length === hashLength ? bytes(value) : quantity(value)
  return named(value)
}

// An encoder for each name that a record of this kind may have; others are left as they are.
const record = (fields: Readonly<Record<string, Encode>>): Encode => {
  const known = new Map(Object.entries(fields))
  const encode: Encode = (value) => {
    if (Array.isArray(value)) return list(value, encode)
    if (!isRecord(value)) return exact(value)
    let text = "{"
    for (const name of sortedNames(value)) {
      const field = value[name]
      if (absent(field)) continue
      const encodeField = known.get(name)
      text += encodeField === undefined ? `${JSON.stringify(name)}:${exact(field)}` : `${name}:${encodeField(field)}`
    }
    return `${text}}`
  }
  return encode
}

const named = record({ blockHash: bytes, blockNumber: quantity })

const accessList = record({ address: bytes, storageKeys: bytes })

const authorizationList = record({
  chainId: quantity,
  address: bytes,
  nonce: quantity,
  yParity: quantity,
  r: quantity,
  s: quantity
})

const transaction = record({
  type: quantity,
  chainId: quantity,
  nonce: quantity,
  from: bytes,
  to: bytes,
  gas: quantity,
  gasPrice: quantity,
  maxFeePerGas: quantity,
  maxPriorityFeePerGas: quantity,
  maxFeePerBlobGas: quantity,
  value: quantity,
  // Two names for one thing, but a node that is given both may refuse.
  data: bytes,
  input: bytes,
  accessList,
  blobVersionedHashes: bytes,
  authorizationList
})

const filter = record({
  fromBlock: block,
  toBlock: block,
  blockHash: bytes,
  address: bytes,
  topics: bytes,
  fromAddress: bytes,
  toAddress: bytes
})

// A record whose names are hexadecimal, too. Two names for one thing have no common text: which of them counts?
const map = (content: Encode): Encode => {
  const encode: Encode = (value) => {
    if (Array.isArray(value)) return list(value, encode)
    if (!isRecord(value)) return exact(value)
    const entries = new Map<string, string>()
    for (const name of Object.keys(value)) {
      if (absent(value[name])) continue
      const key = bytes(name)
      if (entries.has(key)) throw new TypeError("two names for one")
      entries.set(key, content(value[name]))
    }
    let text = "{"
    for (const key of Array.from(entries.keys()).toSorted()) text += `${key}${entries.get(key)!}`
    return `${text}}`
  }
  return encode
}

const overrides = map(
  record({
    balance: quantity,
    nonce: quantity,
    code: bytes,
    state: map(bytes),
    stateDiff: map(bytes),
    movePrecompileToAddress: bytes
  })
)

const blockOverrides = record({
  number: quantity,
  difficulty: quantity,
  time: quantity,
  gasLimit: quantity,
  feeRecipient: bytes,
  coinbase: bytes,
  prevRandao: bytes,
  random: bytes,
  baseFeePerGas: quantity,
  baseFee: quantity,
  blobBaseFee: quantity
})

const simulation = record({
  blockStateCalls: record({ blockOverrides, stateOverrides: overrides, calls: transaction })
})

const tracing = record({ stateOverrides: overrides, blockOverrides })

export const encoders: Readonly<Record<Kind, Encode>> = {
  bytes,
  quantity,
  count: quantity,
  hash: bytes,
  block,
  filter,
  list: exact,
  json: exact,
  transaction,
  simulation,
  overrides,
  blockOverrides,
  tracing
}
