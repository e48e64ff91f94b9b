// A program over viem that closes some of its clients, and ends.
import { resources, say, turn } from "./resources.ts"

const [, , url, wsUrl, name] = process.argv

// Only the one that is asked for: each takes its time to load.
const { hawser } =
  name === "viem" ? (await import("../viems/viem2.ts")).viem2 : (await import("../viems/viem3.ts")).viem3

for (let i = 0; i < 100; i++) hawser([url!, wsUrl!])
await turn()
say("idle", resources())

// Used, and left as it is. A WebSocket would hold the process for as long as it is kept: that one is closed.
for (const each of [url!, wsUrl!]) {
  const { firstBlock, request, transport } = hawser(each)
  say("asked", Number(await request({ method: "eth_blockNumber" })))
  say("watched", Number(await firstBlock()))
  if (each === wsUrl) await transport.close()
}

// Closed while they ask.
const { request, transport } = hawser([url!, wsUrl!])
const gasPrice = request({ method: "eth_gasPrice" }).catch((error: unknown) => (error as Error).name)
await turn()
await transport.close()
say("closed", await gasPrice)
