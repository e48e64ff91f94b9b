import { hawser } from "@hawser/viem"
import { Breaker, Chain, Deadline, Http, Retry, Timeout, UpstreamPool } from "hawser"
import { createPublicClient } from "viem"
import { mainnet } from "viem/chains"

const upstream = (url: string) =>
  Http.layer({ url }).pipe(Timeout.layer("2 seconds"), Breaker.layer({ consecutive: 3 }), Chain.layer(mainnet.id))

const stack = UpstreamPool.layer([
  upstream("https://ethereum-rpc.publicnode.com"),
  upstream("https://eth.drpc.org")
]).pipe(Retry.layer({ schedule: Retry.backoff({ base: "50 millis" }) }), Deadline.layer("5 seconds"))

const client = createPublicClient({ chain: mainnet, transport: hawser(stack) })

console.log(await client.getBlockNumber())
