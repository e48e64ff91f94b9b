import { HawserProvider } from "@hawser/ethers"

const provider = new HawserProvider(["https://ethereum-rpc.publicnode.com", "https://eth.drpc.org"], 1)

console.log(await provider.getBlockNumber())
