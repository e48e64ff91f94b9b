/**
 * The parameters of every method of the execution API, and what each value of them means: written down a second time,
 * in another way than the table in the sources, so that the two check each other.
 */
import * as fc from "fast-check"

/** What a parameter is. */
export type Schema =
  | "any"
  | "bytes"
  | "quantity"
  | "block"
  | { readonly fields: Readonly<Record<string, Schema>> }
  | { readonly map: Schema }

const fields = (fields: Readonly<Record<string, Schema>>): Schema => ({ fields })
const of = (schema: Schema, names: string): Readonly<Record<string, Schema>> =>
  Object.fromEntries(names.split(" ").map((name) => [name, schema]))

const transaction = fields({
  ...of("quantity", "type chainId nonce gas gasPrice maxFeePerGas maxPriorityFeePerGas maxFeePerBlobGas value"),
  ...of("bytes", "from to data input blobVersionedHashes"),
  accessList: fields(of("bytes", "address storageKeys")),
  authorizationList: fields({ ...of("quantity", "chainId nonce yParity r s"), address: "bytes" })
})
const filter = fields({ ...of("block", "fromBlock toBlock"), ...of("bytes", "blockHash address topics") })
const overrides: Schema = {
  map: fields({
    ...of("quantity", "balance nonce"),
    ...of("bytes", "code movePrecompileToAddress"),
    state: { map: "bytes" },
    stateDiff: { map: "bytes" }
  })
}
const blockOverrides = fields({
  ...of("quantity", "number time gasLimit baseFeePerGas blobBaseFee"),
  ...of("bytes", "feeRecipient prevRandao")
})
const simulation = fields({
  blockStateCalls: fields({ blockOverrides, stateOverrides: overrides, calls: transaction })
})

/** Methods without an entry of their own in the sources take whatever they are given as it is. */
export const api: Readonly<Record<string, ReadonlyArray<Schema>>> = {
  debug_getBadBlocks: [],
  debug_getRawBlock: ["block"],
  debug_getRawHeader: ["block"],
  debug_getRawReceipts: ["block"],
  debug_getRawTransaction: ["bytes"],
  eth_accounts: [],
  eth_blobBaseFee: [],
  eth_blockNumber: [],
  eth_call: [transaction, "block", overrides, blockOverrides],
  eth_capabilities: [],
  eth_chainId: [],
  eth_coinbase: [],
  eth_config: [],
  eth_createAccessList: [transaction, "block", overrides],
  eth_estimateGas: [transaction, "block", overrides, blockOverrides],
  eth_feeHistory: ["quantity", "block", "any"],
  eth_gasPrice: [],
  eth_getBalance: ["bytes", "block"],
  eth_getBlockAccessList: ["block"],
  eth_getBlockByHash: ["bytes", "any"],
  eth_getBlockByNumber: ["block", "any"],
  eth_getBlockReceipts: ["block"],
  eth_getBlockTransactionCountByHash: ["bytes"],
  eth_getBlockTransactionCountByNumber: ["block"],
  eth_getCode: ["bytes", "block"],
  eth_getFilterChanges: ["any"],
  eth_getFilterLogs: ["any"],
  eth_getLogs: [filter],
  eth_getProof: ["bytes", "bytes", "block"],
  eth_getStorageAt: ["bytes", "quantity", "block"],
  eth_getStorageValues: ["any", "block"],
  eth_getTransactionByBlockHashAndIndex: ["bytes", "quantity"],
  eth_getTransactionByBlockNumberAndIndex: ["block", "quantity"],
  eth_getTransactionByHash: ["bytes"],
  eth_getTransactionCount: ["bytes", "block"],
  eth_getTransactionReceipt: ["bytes"],
  eth_getUncleCountByBlockHash: ["bytes"],
  eth_getUncleCountByBlockNumber: ["block"],
  eth_maxPriorityFeePerGas: [],
  eth_newBlockFilter: [],
  eth_newFilter: ["any"],
  eth_newPendingTransactionFilter: [],
  eth_sendRawTransaction: ["any"],
  eth_sendRawTransactionSync: ["any", "any"],
  eth_sendTransaction: ["any"],
  eth_sign: ["any", "any"],
  eth_signTransaction: ["any"],
  eth_simulateV1: [simulation, "block"],
  eth_syncing: [],
  eth_uninstallFilter: ["any"],
  net_version: [],
  testing_buildBlockV1: ["any", "any", "any", "any"],
  txpool_content: [],
  txpool_contentFrom: ["any"],
  txpool_inspect: [],
  txpool_status: []
}

/** What a value means. Two values that mean the same are deeply equal. */
export const meaning = (schema: Schema, value: unknown): unknown => {
  // As it goes over the wire.
  const wire: unknown = value === undefined ? null : JSON.parse(JSON.stringify(value) ?? "null")
  return read(schema, wire)
}

const isHex = (value: unknown): value is string => typeof value === "string" && /^0x[0-9a-fA-F]+$/.test(value)

// An object of EIP-1898.
const named = fields({ blockHash: "bytes", blockNumber: "quantity" })

const read = (schema: Schema, value: unknown): unknown => {
  if (schema === "any") return { json: value }
  if (schema === "block" && typeof value === "object" && value !== null) return read(named, value)
  if (Array.isArray(value)) return value.map((element) => read(schema, element))
  if (typeof schema === "string") {
    if (!isHex(value)) return { json: value }
    if (schema === "quantity" || (schema === "block" && value.length !== 66)) return { quantity: BigInt(value) }
    return { bytes: value.toLowerCase() }
  }
  if (typeof value !== "object" || value === null) return { json: value }
  const entries = Object.entries(value)
  if ("map" in schema) {
    return {
      map: Object.fromEntries(entries.map(([name, v]) => [JSON.stringify(read("bytes", name)), read(schema.map, v)]))
    }
  }
  return { record: Object.fromEntries(entries.map(([name, v]) => [name, read(schema.fields[name] ?? "any", v)])) }
}

const address = "0x52908400098527886e0f7030069857d2e4169ee7"
const hash = `0x${"0a".repeat(32)}`

const odd = fc.constantFrom<unknown>(
  null,
  undefined,
  "0x",
  "0X1",
  "0xZ",
  "0xz",
  "",
  "latest",
  "Latest",
  1,
  true,
  [],
  {}
)
const quantities = fc.constantFrom("0x0", "0x1", "0xa", "0x10d4f", `0x${"f".repeat(40)}`)
const texts = fc.constantFrom(address, hash, "0x", "0x0", "0x00", "0xab", "0x0ab")
const blocks = fc.oneof(
  quantities,
  fc.constantFrom<unknown>("latest", "safe", "finalized", "pending", "earliest", hash),
  fc.record(
    { blockHash: fc.constant(hash), blockNumber: quantities, requireCanonical: fc.boolean() },
    { requiredKeys: [] }
  )
)

const listed = (one: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> =>
  fc.oneof(
    { weight: 6, arbitrary: one },
    { weight: 2, arbitrary: fc.array(one, { maxLength: 2 }) },
    {
      weight: 1,
      arbitrary: fc.array(fc.array(one, { maxLength: 2 }), { maxLength: 2 })
    }
  )

/** Values of a parameter, few enough that two of them are often equal. */
export const valueOf = (schema: Schema): fc.Arbitrary<unknown> => {
  const plain = (usual: fc.Arbitrary<unknown>) =>
    fc.oneof({ weight: 8, arbitrary: usual }, { weight: 1, arbitrary: odd })
  switch (schema) {
    case "any":
      return fc.oneof(
        fc.constantFrom<unknown>("0xAB", "0xab", "0x01", "0x1", true, false, 1, 12),
        fc.jsonValue({ maxDepth: 1 })
      )
    case "bytes":
      return listed(plain(texts))
    case "quantity":
      return listed(plain(quantities))
    case "block":
      return plain(blocks)
    default: {
      if ("map" in schema) return listed(plain(fc.dictionary(texts, valueOf(schema.map), { maxKeys: 2 })))
      const some = Object.entries(schema.fields).map(([name, field]) => [name, valueOf(field)] as const)
      const record = fc
        .subarray(some, { maxLength: Math.min(3, some.length) })
        .chain((chosen) => fc.record(Object.fromEntries(chosen) as Record<string, fc.Arbitrary<unknown>>))
      const strange = fc.tuple(record, fc.constantFrom("0xAB", "0xab")).map(([r, v]) => ({ ...r, vendor: v }))
      return listed(plain(fc.oneof({ weight: 5, arbitrary: record }, { weight: 1, arbitrary: strange })))
    }
  }
}

/** Writes a value in another way that means the same. */
export const rewritten = (schema: Schema, value: unknown, draw: () => number): unknown => {
  if (Array.isArray(value)) return schema === "any" ? value : value.map((v) => rewritten(schema, v, draw))
  if (typeof value === "string") return schema === "any" ? value : text(schema, value, draw)
  if (typeof value !== "object" || value === null || schema === "any") return value
  const inner = schema === "block" ? named : schema
  if (typeof inner === "string") return value
  const entries = Object.entries(value).map(([name, v]): [string, unknown] =>
    "map" in inner
      ? [text("bytes", name, draw), rewritten(inner.map, v, draw)]
      : [name, rewritten(inner.fields[name] ?? "any", v, draw)]
  )
  if (draw() < 0.5) entries.reverse()
  if (draw() < 0.2 && !("map" in inner)) entries.push(["gone", undefined])
  return Object.fromEntries(entries)
}

const text = (schema: Schema, value: string, draw: () => number): string => {
  if (!isHex(value)) return value
  const quantity = schema === "quantity" || (schema === "block" && value.length !== 66)
  const digits = quantity && draw() < 0.5 ? `00${value.slice(2)}` : value.slice(2)
  return `0x${Array.from(digits, (digit) => (draw() < 0.5 ? digit.toUpperCase() : digit)).join("")}`
}
