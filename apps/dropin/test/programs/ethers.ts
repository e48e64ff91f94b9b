// A program over ethers that destroys some of its providers, and ends.
import { HawserProvider } from "@hawser/ethers"
import { resources, say, turn } from "./resources.ts"

const [, , url, wsUrl] = process.argv

const providerOf = (...urls: ReadonlyArray<string>) => new HawserProvider(urls, 1, { pollingInterval: 10 })

for (let i = 0; i < 100; i++) providerOf(url!, wsUrl!)
await turn()
say("idle", resources())

// Used, and left as it is. A WebSocket would hold the process for as long as it is kept: that one is destroyed.
for (const each of [url!, wsUrl!]) {
  const provider = providerOf(each)
  const nothing = () => {}
  await provider.on("block", nothing)
  await provider.on({ address: "0x00000000000000000000000000000000000000aa" }, nothing)
  say("asked", await provider.getBlockNumber())
  say("watched", (await provider.getBlock("latest"))!.number)
  await provider.removeAllListeners()
  if (each === wsUrl) provider.destroy()
}

// Destroyed while they ask and are listened to.
const destroyed = providerOf(url!, wsUrl!)
await destroyed.on("block", () => {})
await destroyed.on("pending", () => {})
const waiting = destroyed.waitForTransaction(`0x${"1".repeat(64)}`).catch((error: { code: string }) => error.code)
const gasPrice = destroyed.send("eth_gasPrice", []).catch((error: { code: string }) => error.code)
await turn()
destroyed.destroy()
say("closed", await gasPrice)
say("waiting", await waiting)
