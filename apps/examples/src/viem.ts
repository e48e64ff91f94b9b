import { hawser } from "@hawser/viem"
import { createPublicClient } from "viem"
import { mainnet } from "viem/chains"

const client = createPublicClient({
  chain: mainnet,
  transport: hawser(["https://ethereum-rpc.publicnode.com", "https://eth.drpc.org"])
})

console.log(await client.getBlockNumber())
