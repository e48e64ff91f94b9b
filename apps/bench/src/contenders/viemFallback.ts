import { createPublicClient, fallback, http } from "viem"
import { mainnet } from "viem/chains"
import { type Contender, attemptMillis } from "../Contender.ts"

// Ranked every second and not every four, since a scenario is short.
const contender = (ranked: boolean): Contender => ({
  title: ranked ? "viem fallback, ranked" : "viem fallback",
  under: "viem",
  batched: false,
  configuration: ranked
    ? "fallback(urls.map((url) => http(url, { timeout: 4_000 })), { rank: { interval: 1_000 } })"
    : "fallback(urls.map((url) => http(url, { timeout: 4_000 })))",
  packages: ["viem"],
  make: (urls) => {
    const transports = urls.map((url) => http(url, { timeout: attemptMillis }))
    const transport = fallback(transports, { rank: ranked ? { interval: 1000 } : false })
    const client = createPublicClient({ chain: mainnet, transport })
    return { call: (request) => client.request(request as never), close: () => {} }
  }
})

export const plain = contender(false)
export const ranked = contender(true)
