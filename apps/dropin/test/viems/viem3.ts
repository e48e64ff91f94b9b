import { hawser } from "@hawser/viem/v3"
import { Actions, Client as Clients, http, type Transport } from "viem3"
import { mainnet } from "viem3/chains"
import { Abi } from "viem3/utils"
import type { Client, Viem } from "../viems.ts"

const address = "0x00000000000000000000000000000000000000aa"

const abi = Abi.from(["event Ping()"])

const clientOf = (transport: Transport.Transport): Client => {
  const { block, contract, event, transaction } = Actions
  const client = Clients.create({ pollingInterval: 20, cacheTime: 0, chain: mainnet, transport })
  const blocks = { emitMissed: true } as const
  return {
    transport: client.transport as never,
    request: client.request,
    watchers: {
      "block.watchNumber": (tell, onError) =>
        heard(block.watchNumber(client, blocks), onError, (watcher) => watcher.onBlockNumber(tell)),
      "block.watch": (tell, onError) =>
        heard(block.watch(client, blocks), onError, (watcher) => watcher.onBlock(({ number }) => tell(number))),
      "event.watch": (tell, onError) =>
        heard(event.watch(client, { address }), onError, (watcher) =>
          watcher.onLogs((logs) => logs.forEach(({ blockNumber }) => tell(blockNumber)))
        ),
      "contract.watchEvent": (tell, onError) =>
        heard(contract.watchEvent(client, { abi, address, eventName: "Ping" }), onError, (watcher) =>
          watcher.onLogs((logs) => logs.forEach(({ blockNumber }) => tell(blockNumber)))
        )
    },
    firstBlock: async () => {
      const watcher = block.watch(client, { emitOnBegin: true })
      for await (const { block } of watcher) {
        watcher.off()
        return block.number
      }
      throw new Error("it ended")
    },
    waitForReceipt: async (hash, confirmations) =>
      (await transaction.waitForReceipt(client, { hash, confirmations }).receipt).blockNumber
  }
}

/** viem 3 gives a watcher first, which is listened to afterwards. */
const heard = <W extends { readonly off: () => void; readonly onError: (listener: (error: Error) => void) => unknown }>(
  watcher: W,
  onError: (error: Error) => void,
  listen: (watcher: W) => void
) => {
  watcher.onError(onError)
  listen(watcher)
  return watcher.off
}

export const viem3: Viem = {
  name: "viem 3",
  hawser: (source, options) => clientOf(hawser(source, options)),
  http: (url) => clientOf(http(url, { retryCount: 0 })),
  errors: {
    HttpRequestError: "RpcClient.HttpError",
    TimeoutError: "RpcClient.TimeoutError",
    InvalidInputRpcError: "RpcResponse.InvalidInputError"
  }
}
