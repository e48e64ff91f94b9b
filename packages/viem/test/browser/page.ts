// Runs in a browser: what a page does with the transport. The test gives it nodes and reads what it found.
import { hawser } from "@hawser/viem"
import { createPublicClient, parseAbi } from "viem"
import { mainnet } from "viem/chains"

const abi = parseAbi(["function pay() view returns (uint256)", "error Short(uint256 missing)"])

const run = async (urls: ReadonlyArray<string>) => {
  const client = createPublicClient({ chain: mainnet, transport: hawser(urls) })
  const hasFailed = () => client.transport.status().upstreams.map(({ pool }) => (pool?.failures ?? 0) > 0)
  const heads = new Set<number>()
  // Whom the pool asks is drawn at random, so until the bad one has had its turn.
  for (let i = 0; i < 1_000 && !hasFailed().includes(true); i++) {
    heads.add(Number(await client.getBlockNumber({ cacheTime: 0 })))
  }
  const revert = await client
    .readContract({ abi, address: "0x00000000000000000000000000000000000000aa", functionName: "pay" })
    .then(String, (error: Error) => error.message)
  const controller = new AbortController()
  const aborted = client
    .request({ method: "eth_gasPrice" }, { signal: controller.signal })
    .then(String, (error: Error) => error.name)
  controller.abort()
  const found = { heads: [...heads], revert, aborted: await aborted, failed: hasFailed() }
  await client.transport.close()
  return found
}

Object.assign(globalThis, { run })
