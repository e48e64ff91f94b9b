import { Provider } from "hawser"

const provider = Provider.make({
  chainId: 1,
  upstreams: [
    { url: "https://eth.drpc.org/free", name: "free", rateLimit: { limit: 10, window: "1 day", burst: 10 } },
    { url: "https://eth.drpc.org/paid", name: "paid", tier: 1 }
  ]
})

for (let block = 1; block <= 12; block++) {
  await provider.request({ method: "eth_getBlockByNumber", params: [`0x${block.toString(16)}`, false] })
}

// The tenth was to ask for its chain.
const answers = provider.status().upstreams.map(({ name, pool }) => `${name} ${pool?.successes}`)
console.log(answers.join(", ")) // free 9, paid 3

await provider.close()
