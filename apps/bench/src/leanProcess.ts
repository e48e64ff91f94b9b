/**
 * A node that answers at once and costs as little as it can, in a process of its own: just enough of HTTP/1.1 and of
 * JSON-RPC, batches included. What it answers is of the right shape and always the same.
 */
import { once } from "node:events"
import * as net from "node:net"
import { serve } from "./Child.ts"
import { firstHead, quantity } from "./Plan.ts"

interface Asked {
  readonly id: unknown
  readonly method: string
  readonly params?: ReadonlyArray<unknown>
}

const zeros = (bytes: number): string => `0x${"0".repeat(2 * bytes)}`
const hash = (number: number): string => `0x${number.toString(16).padStart(64, "ab")}`

const block = (tag: unknown): string => {
  const number = tag === "latest" ? firstHead : Number(tag)
  return `{"number":"${quantity(number)}","hash":"${hash(number)}","parentHash":"${hash(number - 1)}",${rest}`
}

const rest = JSON.stringify({
  nonce: zeros(8),
  sha3Uncles: zeros(32),
  logsBloom: zeros(256),
  transactionsRoot: zeros(32),
  stateRoot: zeros(32),
  receiptsRoot: zeros(32),
  miner: zeros(20),
  difficulty: "0x0",
  extraData: "0x",
  size: "0x220",
  gasLimit: "0x2255100",
  gasUsed: "0x0",
  timestamp: "0x65000000",
  transactions: [],
  uncles: [],
  baseFeePerGas: "0x3b9aca00",
  mixHash: zeros(32)
}).slice(1)

const results: Readonly<Record<string, string>> = {
  eth_chainId: '"0x1"',
  eth_blockNumber: `"${quantity(firstHead)}"`,
  eth_getBalance: '"0xde0b6b3a7640000"',
  eth_call: `"${zeros(32)}"`
}

const result = ({ method, params }: Asked): string =>
  method === "eth_getBlockByNumber" ? block(params?.[0]) : (results[method] ?? "true")

const reply = (asked: Asked): string => `{"jsonrpc":"2.0","id":${JSON.stringify(asked.id)},"result":${result(asked)}}`

const answer = (body: string): string => {
  const asked = JSON.parse(body) as Asked | ReadonlyArray<Asked>
  const text = Array.isArray(asked) ? `[${asked.map(reply).join(",")}]` : reply(asked as Asked)
  return `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\n\r\n${text}`
}

const listen = async (): Promise<string> => {
  const server = net.createServer({ noDelay: true }, (socket) => {
    // Everything that is sent is ASCII, so that characters are bytes.
    let text = ""
    socket.setEncoding("latin1")
    socket.on("error", () => {})
    socket.on("data", (chunk: string) => {
      text += chunk
      for (;;) {
        const end = text.indexOf("\r\n\r\n")
        if (end < 0) return
        const length = Number(/\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1] ?? 0)
        const until = end + 4 + length
        if (text.length < until) return
        const body = text.slice(end + 4, until)
        text = text.slice(until)
        socket.write(answer(body))
      }
    })
  })
  server.listen(0, "127.0.0.1")
  await once(server, "listening")
  return `http://127.0.0.1:${(server.address() as net.AddressInfo).port}`
}

const asks = {
  open: (): Promise<ReadonlyArray<string>> => Promise.all([listen(), listen(), listen()])
}

export type Asks = typeof asks

serve(asks)
