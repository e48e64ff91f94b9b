import { hawser } from "@hawser/viem"
import { createPublicClient, http, parseAbi, type Transport } from "viem"
import { mainnet } from "viem/chains"
import type { Client, Viem } from "../viems.ts"

const address = "0x00000000000000000000000000000000000000aa"

const abi = parseAbi(["event Ping()"])

const clientOf = (transport: Transport): Client => {
  const client = createPublicClient({ pollingInterval: 20, cacheTime: 0, chain: mainnet, transport })
  const onLogs = (tell: (block: bigint) => void) => (logs: ReadonlyArray<{ readonly blockNumber: bigint }>) =>
    logs.forEach(({ blockNumber }) => tell(blockNumber))
  return {
    transport: client.transport as never,
    request: client.request as Client["request"],
    watchers: {
      watchBlockNumber: (onBlockNumber, onError) =>
        client.watchBlockNumber({ onBlockNumber, onError, emitMissed: true }),
      watchBlocks: (tell, onError) =>
        client.watchBlocks({ onBlock: ({ number }) => tell(number), onError, emitMissed: true }),
      watchEvent: (tell, onError) => client.watchEvent({ address, onLogs: onLogs(tell), onError }),
      watchContractEvent: (tell, onError) =>
        client.watchContractEvent({ abi, address, eventName: "Ping", onLogs: onLogs(tell), onError })
    },
    firstBlock: () =>
      new Promise((resolve, reject) => {
        const stop = client.watchBlocks({
          emitOnBegin: true,
          onBlock: ({ number }) => {
            stop()
            resolve(number)
          },
          onError: reject
        })
      }),
    waitForReceipt: async (hash, confirmations) =>
      (await client.waitForTransactionReceipt({ hash, confirmations })).blockNumber
  }
}

export const viem2: Viem = {
  name: "viem",
  hawser: (source, options) => clientOf(hawser(source, options)),
  http: (url) => clientOf(http(url, { retryCount: 0 })),
  errors: {
    HttpRequestError: "HttpRequestError",
    TimeoutError: "TimeoutError",
    InvalidInputRpcError: "InvalidInputRpcError"
  }
}
