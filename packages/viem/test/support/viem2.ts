import { hawser, type HawserTransport } from "@hawser/viem"
import {
  createPublicClient,
  fallback,
  http,
  HttpRequestError,
  MethodNotFoundRpcError,
  TimeoutError,
  type Transport
} from "viem"
import { mainnet, polygon } from "viem/chains"
import { abi, address, type Client, type Viem } from "./Viem.ts"

const chains = { 1: mainnet, 137: polygon }

const client = (transport: Transport, chainId: 1 | 137 | undefined): Client => {
  const client = createPublicClient({
    chain: chainId === undefined ? undefined : chains[chainId],
    transport: transport as HawserTransport,
    pollingInterval: 10,
    cacheTime: 0
  })
  const pay = { abi, address, functionName: "pay", args: [1n] } as const
  return {
    uid: client.uid,
    transport: client.transport,
    request: client.request as Client["request"],
    head: () => client.getBlockNumber(),
    read: () => client.readContract(pay),
    actions: {
      "a balance": () => client.getBalance({ address }),
      "a block with its transactions": () => client.getBlock({ blockNumber: 990n, includeTransactions: true }),
      logs: () => client.getLogs({ address, fromBlock: 990n, toBlock: 999n }),
      "a read": () => client.readContract(pay),
      "an estimate": () => client.estimateGas({ to: address }),
      multicall: async () => {
        const results = await client.multicall({ contracts: [pay, pay] })
        return results.map(({ error, result, status }) => [status, result, error?.name])
      }
    },
    watchHeads: (onBlockNumber, onError) => client.watchBlockNumber({ onBlockNumber, onError }),
    watchPending: (onTransactions, onError) => client.watchPendingTransactions({ onTransactions, onError }),
    subscribe: (params, onData = () => {}, onError) => client.transport.subscribe({ params, onData, onError })
  }
}

export const viem2: Viem<Transport> = {
  name: "viem 2",
  hawser,
  http: (url) => http(url, { retryCount: 0 }),
  fallback: (transports) => fallback(transports, { retryCount: 0 }),
  client,
  identity: (transport) => transport({}).config,
  isPushing: (transport) => transport({}).config.type === "webSocket",
  errors: { http: HttpRequestError, timeout: TimeoutError, unsupported: MethodNotFoundRpcError }
}
