import { hawser } from "@hawser/viem/v3"
import { parseAbi } from "viem"
import { Actions, Client } from "viem3"
import { mainnet } from "viem3/chains"
import { show } from "./page.ts"

const abi = parseAbi(["function pay() view returns (uint256)", "error Short(uint256 missing)"])

show((urls) => {
  const client = Client.create({ chain: mainnet, transport: hawser(urls), cacheTime: 0 })
  return {
    head: () => Actions.block.getNumber(client),
    read: () =>
      Actions.contract.read(client, {
        abi,
        address: "0x00000000000000000000000000000000000000aa",
        functionName: "pay"
      }),
    request: (signal) => client.request({ method: "eth_gasPrice" }, { signal }),
    transport: client.transport
  }
})
