import { Provider } from "hawser"
import type { Ground } from "./session.ts"

/** Hears of transactions that wait. Nobody tells of them over HTTP: there a filter is asked again and again. */
export const subscribeOrAsk = async (
  ground: Ground,
  listener: Provider.Listener
): Promise<{ readonly stop: () => void }> => {
  try {
    return await ground.subscribe(["newPendingTransactions"], listener)
  } catch (error) {
    if (error instanceof Provider.Closed) throw error
    return ask(ground, listener)
  }
}

const ask = async (
  { patience, provider }: Ground,
  { onLost, onNotification }: Provider.Listener
): Promise<{ readonly stop: () => void }> => {
  const id: unknown = await provider.send("eth_newPendingTransactionFilter", [])
  let over = false
  let timer: number | undefined
  const look = async () => {
    try {
      const hashes = (await provider.send("eth_getFilterChanges", [id])) as ReadonlyArray<unknown>
      if (over) return
      for (const hash of hashes) onNotification(hash)
      timer = provider._setTimeout(() => void look(), patience)
    } catch (error) {
      if (!over) onLost?.(error)
    }
  }
  timer = provider._setTimeout(() => void look(), patience)
  return {
    stop: () => {
      over = true
      if (timer !== undefined) provider._clearTimeout(timer)
      provider.send("eth_uninstallFilter", [id]).catch(() => {})
    }
  }
}
