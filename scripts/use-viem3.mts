// The entry point for viem 3 as an application has it.
import { hawser } from "@hawser/viem/v3"
import { Client, fallback, http } from "viem"
import { mainnet } from "viem/chains"

const transport = hawser(["http://127.0.0.1:1", "http://127.0.0.1:2"], { retry: false })
const client = Client.create({ chain: mainnet, transport })
fallback([transport, http("http://127.0.0.1:3")])

const error: unknown = await client.request({ method: "eth_blockNumber" }).catch((error: unknown) => error)
if (!(error instanceof Error) || !error.message.includes("127.0.0.1:2"))
  throw new Error(`not what was meant: ${String(error)}`)
await client.transport.close()
