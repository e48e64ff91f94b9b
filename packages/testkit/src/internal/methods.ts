/** What a node with a simulated chain answers by itself. Messages and codes are geth's. */
import { block, log, receipt, transaction } from "./blocks.ts"
import { type Chain, digest, quantity, type View } from "./chain.ts"
import { type Answer, invalidParams, RpcError } from "./rpcError.ts"

export type Method = (chain: Chain, view: View, params: ReadonlyArray<unknown>) => Answer

const isHex = (value: unknown): value is string => typeof value === "string" && /^0x[0-9a-f]*$/i.test(value)

/** Safe and finalized blocks lag the head by this much. */
export const depth = { safe: 32, finalized: 64 } as const

/** One log a block: no wider range is answered. */
export const maxLogs = 10_000

/** The number a block parameter names, above the head for `pending` and blocks to come; `undefined`: no such block. */
const resolve = (chain: Chain, view: View, tag: unknown): number | RpcError | undefined => {
  switch (tag) {
    case undefined:
    case null:
    case "latest":
      return view.head
    case "pending":
      return view.head + 1
    case "safe":
      return Math.max(0, view.head - depth.safe)
    case "finalized":
      return Math.max(0, view.head - depth.finalized)
    case "earliest":
      return 0
  }
  if (isHex(tag) && tag.length > 2) return tag.length === 66 ? chain.find(view, tag) : Number(tag)
  if (typeof tag === "object") {
    const { blockHash, blockNumber } = tag as { readonly blockHash?: unknown; readonly blockNumber?: unknown }
    if (isHex(blockHash)) return chain.find(view, blockHash)
    if (blockNumber !== undefined) return resolve(chain, view, blockNumber)
  }
  return invalidParams("invalid argument: block number or hash expected")
}

/** Answers from the state of a block, which has to exist. */
const state = (
  chain: Chain,
  view: View,
  tag: unknown,
  answer: (number: number, blockHash: string) => Answer
): Answer => {
  const number = resolve(chain, view, tag)
  if (number instanceof RpcError) return number
  if (number === undefined || (number > view.head && tag !== "pending")) return new RpcError(-32000, "header not found")
  return answer(number, chain.hash(view.chainId, number))
}

/** A quantity that follows from a text. */
const drawn = (text: string): string => quantity(Number.parseInt(digest(text).slice(2, 14), 16))

const required = (params: ReadonlyArray<unknown>, answer: (first: string) => Answer): Answer =>
  typeof params[0] === "string" ? answer(params[0]) : invalidParams("missing value for required argument 0")

const byNumber: Method = (chain, view, [tag, full]) => {
  const number = resolve(chain, view, tag)
  if (number === undefined || number instanceof RpcError) return number ?? null
  return number > view.head && tag !== "pending" ? null : block(chain, view, number, full === true)
}

const logs: Method = (chain, view, [filter]) => {
  if (typeof filter !== "object" || filter === null) return invalidParams("missing value for required argument 0")
  const { address, blockHash, fromBlock, toBlock, topics } = filter as Record<string, unknown>
  const from = resolve(chain, view, blockHash ?? fromBlock)
  const to = resolve(chain, view, blockHash ?? toBlock)
  if (from instanceof RpcError) return from
  if (to instanceof RpcError) return to
  if (from === undefined || to === undefined) return new RpcError(-32000, "unknown block")
  if (from > to) return new RpcError(-32000, "invalid block range params")
  const last = Math.min(to, view.head)
  if (last - from >= maxLogs) return new RpcError(-32005, `query returned more than ${maxLogs} results`)
  const found: Array<unknown> = []
  for (let number = from; number <= last; number++) {
    found.push(log(chain, view, number, address, topics))
  }
  return found
}

const table: Readonly<Record<string, Method>> = {
  eth_chainId: (_, view) => quantity(view.chainId),
  net_version: (_, view) => String(view.chainId),
  web3_clientVersion: () => "FaultyNode/hawser",
  eth_syncing: () => false,
  eth_blockNumber: (_, view) => quantity(view.head),
  eth_gasPrice: () => "0x3b9aca00",
  eth_estimateGas: () => "0x5208",
  eth_getBlockByNumber: byNumber,
  eth_getBlockByHash: (chain, view, params) =>
    required(params, (hash) => {
      const number = chain.find(view, hash)
      return number === undefined ? null : block(chain, view, number, params[1] === true)
    }),
  eth_getBalance: (chain, view, params) =>
    required(params, (address) =>
      state(chain, view, params[1], (_, hash) => drawn(`balance/${address.toLowerCase()}/${hash}`))
    ),
  eth_getTransactionCount: (chain, view, params) =>
    required(params, () => state(chain, view, params[1], (number) => quantity(number))),
  eth_call: (chain, view, params) =>
    state(chain, view, params[1], (_, hash) => digest(`call/${JSON.stringify(params[0])}/${hash}`)),
  eth_getLogs: logs,
  eth_getTransactionByHash: (chain, view, params) =>
    required(params, (id) => {
      const number = chain.blockOf(id)
      return number === undefined ? null : transaction(chain, view, id.toLowerCase(), number)
    }),
  eth_getTransactionReceipt: (chain, view, params) =>
    required(params, (id) => {
      const number = chain.blockOf(id)
      return number === undefined || number > view.head ? null : receipt(chain, view, id.toLowerCase(), number)
    }),
  eth_sendRawTransaction: (chain, _, params) =>
    isHex(params[0]) && params[0].length > 2 && params[0].length % 2 === 0
      ? chain.send(params[0])
      : invalidParams("invalid argument 0: hex string expected")
}

// A Map, so that "constructor" is no method.
const methods = new Map(Object.entries(table))

/** Answers a call from a simulated chain. */
export const answer = (chain: Chain, view: View, method: string, params: unknown): Answer => {
  const known = methods.get(method)
  if (known === undefined) return new RpcError(-32601, `the method ${method} does not exist/is not available`)
  return known(chain, view, Array.isArray(params) ? params : [])
}
