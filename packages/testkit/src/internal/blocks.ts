/** What a simulated chain shows of itself: blocks, transactions, receipts and logs in the shapes of execution-apis. */
import { type Chain, digest, quantity, type View, zeroHash } from "./chain.ts"

const zeroAddress = `0x${"0".repeat(40)}`
const bloom = `0x${"0".repeat(512)}`
const genesis = 1_600_000_000
const emptyRoot = "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
const noUncles = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347"

/** A block. The pending one, above the head, has no hash yet. */
export const block = (chain: Chain, view: View, number: number, full: boolean): unknown => {
  const pending = number > view.head
  const hash = chain.hash(view.chainId, number)
  const ids = chain.transactionsIn(number)
  return {
    number: quantity(number),
    hash: pending ? null : hash,
    parentHash: number === 0 ? zeroHash : chain.hash(view.chainId, number - 1),
    nonce: pending ? null : "0x0000000000000000",
    sha3Uncles: noUncles,
    logsBloom: pending ? null : bloom,
    transactionsRoot: emptyRoot,
    stateRoot: hash,
    receiptsRoot: emptyRoot,
    miner: pending ? null : zeroAddress,
    difficulty: "0x0",
    extraData: "0x",
    size: "0x220",
    gasLimit: "0x2255100",
    gasUsed: quantity(21_000 * ids.length),
    timestamp: quantity(genesis + 12 * number),
    transactions: full ? ids.map((id) => transaction(chain, view, id, number)) : ids,
    uncles: [],
    baseFeePerGas: "0x3b9aca00",
    mixHash: zeroHash
  }
}

const placed = (chain: Chain, view: View, id: string, number: number) =>
  number > view.head
    ? { blockHash: null, blockNumber: null, transactionIndex: null }
    : {
        blockHash: chain.hash(view.chainId, number),
        blockNumber: quantity(number),
        transactionIndex: quantity(chain.transactionsIn(number).indexOf(id))
      }

/** A transaction. All but its hash and place is made up: what was sent is not decoded. */
export const transaction = (chain: Chain, view: View, id: string, number: number): unknown => ({
  hash: id,
  ...placed(chain, view, id, number),
  type: "0x0",
  chainId: quantity(view.chainId),
  nonce: "0x0",
  from: zeroAddress,
  to: zeroAddress,
  value: "0x0",
  gas: "0x5208",
  gasPrice: "0x3b9aca00",
  input: "0x",
  r: digest(`${id}/r`),
  s: digest(`${id}/s`),
  v: quantity(2 * view.chainId + 35)
})

/** The receipt of a transaction in a block. */
export const receipt = (chain: Chain, view: View, id: string, number: number): unknown => ({
  transactionHash: id,
  ...placed(chain, view, id, number),
  type: "0x0",
  from: zeroAddress,
  to: zeroAddress,
  contractAddress: null,
  cumulativeGasUsed: quantity(21_000 * (chain.transactionsIn(number).indexOf(id) + 1)),
  gasUsed: "0x5208",
  effectiveGasPrice: "0x3b9aca00",
  logs: [],
  logsBloom: bloom,
  status: "0x1"
})

/** The one log of a block: whatever address and topics are asked for. */
export const log = (chain: Chain, view: View, number: number, address: unknown, topics: unknown): unknown => {
  const one = (value: unknown): unknown => (Array.isArray(value) ? value[0] : value)
  const blockHash = chain.hash(view.chainId, number)
  return {
    address: one(address) ?? zeroAddress,
    topics: Array.isArray(topics) ? topics.map((topic) => one(topic) ?? zeroHash) : [zeroHash],
    data: "0x",
    blockNumber: quantity(number),
    blockHash,
    transactionHash: digest(`${blockHash}/0`),
    transactionIndex: "0x0",
    logIndex: "0x0",
    removed: false
  }
}
