/**
 * What is known of the standard methods: what their parameters are, and on what their answers depend. The key of a
 * request, the blocks it names, how long its answer is true and how much time it needs all follow from this table.
 *
 * Methods that are not here are asked and nothing else: their answers are neither kept nor shared.
 */

/**
 * What a parameter is. Lists of a kind are of that kind, too: `topics` are bytes within lists within a list.
 *
 * - `bytes`: an address, a hash, data; upper or lower case is the same.
 * - `quantity`: a number in hexadecimal; leading zeros say nothing.
 * - `count`: a quantity, as many blocks as there are up to the one that the next parameter names.
 * - `hash`: that of a block.
 * - `block`: a number, a tag, a hash, or an EIP-1898 object; when left out, the latest.
 * - `filter`: an object with `fromBlock` and `toBlock`, or `blockHash`.
 * - `list`: a list whose content is left as it is.
 * - `json`: left as it is.
 */
export type Kind =
  | "bytes"
  | "quantity"
  | "count"
  | "hash"
  | "block"
  | "filter"
  | "list"
  | "json"
  | "transaction"
  | "simulation"
  | "overrides"
  | "blockOverrides"
  | "tracing"

/**
 * On what an answer depends, and so how long it can be kept:
 *
 * - `constant`: on the chain alone.
 * - `blocks`: on the blocks that the request names.
 * - `mined`: on the block in which the answer says that its transaction is.
 * - `head`: on the newest block.
 * - `node`: on the node, too, or on a block that neither request nor answer name. Such answers are shared between those
 *   who ask at one time, but not kept.
 */
export type Basis = "constant" | "blocks" | "mined" | "head" | "node"

export interface Method {
  readonly basis: Basis
  readonly params: ReadonlyArray<Kind>
  /** Which parameter names the blocks; -1 if none does. */
  readonly place: number
}

const method =
  (basis: Basis) =>
  (...params: ReadonlyArray<Kind>): Method => ({
    basis,
    params,
    place: params.findIndex((kind) => kind === "hash" || kind === "block" || kind === "filter")
  })

const constant = method("constant")
const blocks = method("blocks")
const mined = method("mined")
const head = method("head")
const node = method("node")

export const methods: ReadonlyMap<string, Method> = new Map(
  Object.entries({
    eth_chainId: constant(),
    net_version: constant(),

    eth_blockNumber: head(),
    eth_gasPrice: head(),
    eth_maxPriorityFeePerGas: head(),
    eth_blobBaseFee: head(),
    eth_baseFee: head(),

    eth_getBlockByNumber: blocks("block", "json"),
    eth_getBlockByHash: blocks("hash", "json"),
    eth_getBlockTransactionCountByNumber: blocks("block"),
    eth_getBlockTransactionCountByHash: blocks("hash"),
    eth_getTransactionByBlockNumberAndIndex: blocks("block", "quantity"),
    eth_getTransactionByBlockHashAndIndex: blocks("hash", "quantity"),
    eth_getUncleByBlockNumberAndIndex: blocks("block", "quantity"),
    eth_getUncleByBlockHashAndIndex: blocks("hash", "quantity"),
    eth_getUncleCountByBlockNumber: blocks("block"),
    eth_getUncleCountByBlockHash: blocks("hash"),
    eth_getBlockReceipts: blocks("block"),
    eth_getBlockAccessList: blocks("block"),
    eth_getLogs: blocks("filter"),
    eth_feeHistory: blocks("count", "block", "json"),

    eth_getBalance: blocks("bytes", "block"),
    eth_getCode: blocks("bytes", "block"),
    eth_getTransactionCount: blocks("bytes", "block"),
    eth_getStorageAt: blocks("bytes", "quantity", "block"),
    eth_getStorageValues: blocks("json", "block"),
    // The proof repeats the slots as they were written, short or long.
    eth_getProof: blocks("bytes", "bytes", "block"),
    eth_getAccount: blocks("bytes", "block"),
    eth_call: blocks("transaction", "block", "overrides", "blockOverrides"),
    eth_simulateV1: blocks("simulation", "block"),

    // The limits and the search of the node decide.
    eth_estimateGas: node("transaction", "block", "overrides", "blockOverrides"),
    eth_createAccessList: node("transaction", "block", "overrides"),

    eth_getTransactionByHash: mined("bytes"),
    eth_getTransactionReceipt: mined("bytes"),
    trace_transaction: mined("bytes"),
    trace_get: mined("bytes", "json"),
    // Their answers do not say where the transaction is.
    debug_getRawTransaction: node("bytes"),
    debug_traceTransaction: node("bytes", "json"),
    trace_replayTransaction: node("bytes", "list"),

    debug_getRawBlock: blocks("block"),
    debug_getRawHeader: blocks("block"),
    debug_getRawReceipts: blocks("block"),
    debug_traceBlockByNumber: blocks("block", "json"),
    debug_traceBlockByHash: blocks("hash", "json"),
    debug_traceCall: blocks("transaction", "block", "tracing"),
    trace_block: blocks("block"),
    trace_replayBlockTransactions: blocks("block", "list"),
    trace_call: blocks("transaction", "list", "block"),
    trace_filter: blocks("filter")
  })
)

/** Whether a filter of this method begins with the first block, if it does not say where; others with the latest. */
export const fromTheFirst = (method: string): boolean => method === "trace_filter"
