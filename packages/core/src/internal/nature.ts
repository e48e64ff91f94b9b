import type { Nature } from "../JsonRpc.ts"

// Filters and subscriptions live on the node that made them.
const sessions = new Set([
  "eth_newFilter",
  "eth_newBlockFilter",
  "eth_newPendingTransactionFilter",
  "eth_getFilterChanges",
  "eth_getFilterLogs",
  "eth_uninstallFilter",
  "eth_subscribe",
  "eth_unsubscribe"
])

// Reads whose names do not say so.
const reads = new Set([
  "eth_accounts",
  "eth_baseFee",
  "eth_blobBaseFee",
  "eth_blockNumber",
  "eth_capabilities",
  "eth_chainId",
  "eth_coinbase",
  "eth_config",
  "eth_createAccessList",
  "eth_feeHistory",
  "eth_fillTransaction",
  "eth_gasPrice",
  "eth_hashrate",
  "eth_maxPriorityFeePerGas",
  "eth_mining",
  "eth_pendingTransactions",
  "eth_protocolVersion",
  "eth_simulateV1",
  "eth_syncing",
  "debug_storageRangeAt",
  "erigon_blockNumber",
  "rpc_modules"
])

// Reads whose names do: eth_getBalance, alchemy_getTokenBalances, eth_call, eth_callMany, zks_estimateFee,
// debug_traceCall, trace_block, net_version, web3_sha3, txpool_content.
const readPattern =
  /^(?:(?:net|web3|trace|arbtrace|txpool)_|debug_(?:trace|get)|[a-z0-9]+_(?:get|call|estimate)(?![a-z]))/

// eth_getWork hands out work and eth_callBundle only simulates: both are reads by name, and that is right.
const classify = (method: string): Nature =>
  sessions.has(method) ? "session" : reads.has(method) || readPattern.test(method) ? "read" : "write"

const known = new Map<string, Nature>()

/** Method names are few; a program that invents them without end gets no memory leak from it. */
export const natureOf = (method: string): Nature => {
  let nature = known.get(method)
  if (nature === undefined) {
    nature = classify(method)
    if (known.size >= 1_000) known.clear()
    known.set(method, nature)
  }
  return nature
}
