import { hawser, type HawserTransport } from "@hawser/viem/v3"
import { Actions, Client as Clients, fallback, http, Transport } from "viem3"
import { mainnet, polygon } from "viem3/chains"
import { RpcResponse } from "viem3/utils"
import { abi, address, type Client, type Viem } from "./Viem.ts"

const chains = { 1: mainnet, 137: polygon }

const client = (transport: Transport.Transport, chainId: 1 | 137 | undefined): Client => {
  const client = Clients.create({
    chain: chainId === undefined ? undefined : chains[chainId],
    transport: transport as HawserTransport,
    pollingInterval: 10,
    cacheTime: 0
  })
  const pay = { abi, functionName: "pay", args: [1n] } as const
  return {
    uid: client.uid,
    transport: client.transport,
    request: client.request,
    head: () => Actions.block.getNumber(client),
    read: () => Actions.contract.read(client, { ...pay, address }),
    actions: {
      "a balance": () => Actions.address.getBalance(client, { address }),
      "a block with its transactions": () =>
        Actions.block.get(client, { blockNumber: 990n, includeTransactions: true }),
      logs: () => Actions.event.getLogs(client, { address, fromBlock: 990n, toBlock: 999n }),
      "a read": () => Actions.contract.read(client, { ...pay, address }),
      "an estimate": () => Actions.transaction.estimateGas(client, { to: address }),
      // It simulates, or takes Multicall3 where no node knows how.
      multicall: async () => {
        const { results } = await Actions.multicall(client, {
          calls: [
            { ...pay, to: address },
            { ...pay, to: address }
          ]
        })
        return results.map(({ error, result, status }) => [status, result, error?.name])
      }
    },
    watchHeads: (tell, onError) => {
      const watcher = Actions.block.watchNumber(client)
      watcher.onError(onError)
      watcher.onBlockNumber(tell)
      return watcher.off
    },
    watchPending: (tell, onError) => {
      const watcher = Actions.transaction.watchPending(client)
      watcher.onError(onError)
      watcher.onTransactions(tell)
      return watcher.off
    },
    subscribe: async (params, onData = () => {}, onError = () => {}) => {
      const subscription = await client.transport.subscribe!({ params } as never)
      subscription.onData(onData)
      subscription.onError(onError)
      return subscription
    }
  }
}

export const viem3: Viem<Transport.Transport> = {
  name: "viem 3",
  hawser,
  http: (url) => http(url, { retryCount: 0 }),
  fallback: (transports) => fallback(transports, { retryCount: 0 }),
  client,
  identity: (transport) => transport,
  isPushing: (transport) => "subscribe" in transport.setup(),
  errors: { http: Transport.HttpError, timeout: Transport.TimeoutError, unsupported: RpcResponse.MethodNotFoundError }
}
