import { Provider } from "hawser"

const provider = Provider.make({
  chainId: 1,
  upstreams: [
    "https://ethereum-rpc.publicnode.com",
    { url: "https://eth.drpc.org", tier: 1, rateLimit: { limit: 25, window: "1 second" } }
  ]
})

console.log(await provider.request({ method: "eth_blockNumber" })) // 0x3e8

const [first, second] = provider.status().upstreams
console.log(first?.pool?.failures, second?.pool?.successes) // 1 1

await provider.close()
