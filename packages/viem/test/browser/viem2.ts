import { hawser } from "@hawser/viem"
import { createPublicClient, parseAbi } from "viem"
import { mainnet } from "viem/chains"
import { show } from "./page.ts"

const abi = parseAbi(["function pay() view returns (uint256)", "error Short(uint256 missing)"])

show((urls) => {
  const client = createPublicClient({ chain: mainnet, transport: hawser(urls) })
  return {
    head: () => client.getBlockNumber({ cacheTime: 0 }),
    read: () =>
      client.readContract({ abi, address: "0x00000000000000000000000000000000000000aa", functionName: "pay" }),
    request: (signal) => client.request({ method: "eth_gasPrice" }, { signal }),
    transport: client.transport
  }
})
