import { HawserProvider } from "@hawser/ethers"
import { Breaker, Chain, Deadline, Http, Retry, Timeout, UpstreamPool } from "hawser"

const upstream = (url: string) =>
  Http.layer({ url }).pipe(Timeout.layer("2 seconds"), Breaker.layer({ consecutive: 3 }), Chain.layer(1))

const stack = UpstreamPool.layer([
  upstream("https://ethereum-rpc.publicnode.com"),
  upstream("https://eth.drpc.org")
]).pipe(Retry.layer({ schedule: Retry.backoff({ base: "50 millis" }) }), Deadline.layer("5 seconds"))

const provider = new HawserProvider(stack, 1)

console.log(await provider.getBlockNumber())
