// A program over viem that closes some of its clients, and ends.
import { hawser } from "@hawser/viem"
import { createPublicClient } from "viem"
import { mainnet } from "viem/chains"
import { resources, say, turn } from "./resources.ts"

const [, , url, wsUrl] = process.argv

const clientOf = (...urls: ReadonlyArray<string>) =>
  createPublicClient({ chain: mainnet, transport: hawser(urls), pollingInterval: 10, cacheTime: 0 })

for (let i = 0; i < 100; i++) clientOf(url!, wsUrl!)
await turn()
say("idle", resources())

// Used, and left as it is. A WebSocket would hold the process for as long as it is kept: that one is closed.
for (const each of [url!, wsUrl!]) {
  const client = clientOf(each)
  say("asked", Number(await client.getBlockNumber()))
  const first = await new Promise<number>((resolve) => {
    const stop = client.watchBlocks({
      emitOnBegin: true,
      onBlock: (block) => {
        stop()
        resolve(Number(block.number))
      }
    })
  })
  say("watched", first)
  if (each === wsUrl) await client.transport.close()
}

// Closed while they ask.
const closed = clientOf(url!, wsUrl!)
const gasPrice = closed.getGasPrice().catch((error: unknown) => (error as Error).name)
await turn()
await closed.transport.close()
say("closed", await gasPrice)
