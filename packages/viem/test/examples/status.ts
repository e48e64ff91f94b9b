import { hawser } from "@hawser/viem"
import { createPublicClient } from "viem"
import { mainnet } from "viem/chains"

const client = createPublicClient({
  chain: mainnet,
  transport: hawser([
    { url: "https://ethereum-rpc.publicnode.com", name: "public" },
    { url: "https://eth.drpc.org", name: "paid", tier: 1, rateLimit: { limit: 25, window: "1 second" } }
  ])
})

console.log(await client.getBlockNumber()) // 1000n

const { upstreams } = client.transport.status()
console.log(upstreams.map(({ name, pool }) => `${name}: ${pool?.failures} failed`).join(", ")) // public: 1 failed, paid: 0 failed

await client.transport.close()
