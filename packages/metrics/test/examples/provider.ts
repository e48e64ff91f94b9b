import { Metrics } from "@hawser/metrics"
import { Provider } from "hawser"

const provider = Provider.make({ upstreams: ["https://ethereum-rpc.publicnode.com", "https://eth.drpc.org"] })

await provider.request({ method: "eth_blockNumber" })

const text = Metrics.prometheus(provider)
console.log(text.split("\n").find((line) => line.startsWith("# TYPE hawser_hedges_total"))) // # TYPE hawser_hedges_total counter

await provider.close()
