import { createPublicClient, http } from "viem"
import { mainnet } from "viem/chains"
import { type Contender, attemptMillis } from "../Contender.ts"

// Its defaults, three retries among them, but for the timeout of 10 seconds.
const contender = (batched: boolean): Contender => ({
  title: batched ? "viem http, batched" : "viem http",
  under: "viem",
  batched,
  configuration: batched ? "http(url, { batch: true, timeout: 4_000 })" : "http(url, { timeout: 4_000 })",
  packages: ["viem"],
  make: ([url]) => {
    const transport = http(url, { batch: batched, timeout: attemptMillis })
    const client = createPublicClient({ chain: mainnet, transport })
    return { call: (request) => client.request(request as never), close: () => {} }
  }
})

export const single = contender(false)
export const batched = contender(true)
