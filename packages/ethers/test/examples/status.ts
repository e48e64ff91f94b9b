import { HawserProvider } from "@hawser/ethers"

const provider = new HawserProvider(
  [
    { url: "https://ethereum-rpc.publicnode.com", name: "public" },
    { url: "https://eth.drpc.org", name: "paid", tier: 1, rateLimit: { limit: 25, window: "1 second" } }
  ],
  "mainnet"
)

console.log(await provider.getBlockNumber()) // 1000

const { upstreams } = provider.status()
console.log(upstreams.map(({ name, pool }) => `${name}: ${pool?.failures} failed`).join(", ")) // public: 1 failed, paid: 0 failed

provider.destroy()
