import { Provider } from "hawser"

const provider = Provider.make({
  chainId: 1,
  upstreams: ["https://ethereum-rpc.publicnode.com"],
  cache: { unfinal: "30 seconds", staleIfError: "5 minutes" }
})
const ask = (method: string, ...params: ReadonlyArray<unknown>) => provider.request({ method, params })

const block = await ask("eth_getBlockByNumber", "latest", false)
const { hash, number } = block as { readonly hash: string; readonly number: string }

// The same block, and so no request.
await ask("eth_getBlockByNumber", number, false)
await ask("eth_getBlockByHash", hash, false)
console.log(provider.status().cache?.hits) // 2

// The same question, written in another way.
await ask("eth_getBalance", "0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045", number)
await ask("eth_getBalance", "0xd8da6bf26964af9d7eed9e03e53415d37aa96045", `0x0${number.slice(2)}`)
console.log(provider.status().cache?.hits) // 3

await provider.close()
