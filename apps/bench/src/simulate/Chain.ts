/** The simulated chain: what is true of it, and at what time. */
import * as Effect from "effect/Effect"
import { JsonRpc, Outcome } from "hawser"

export const blockTime = 12_000

/** The number of the latest block at some time. */
export const headAt = (now: number): number => 1000 + Math.floor(now / blockTime)

export const hex = (n: number): string => `0x${n.toString(16)}`

export interface Knowledge {
  readonly now: number
  readonly lag: number
  readonly chainId: number
}

/** What the right answer to a request about an account or a transaction is. It follows from the request alone. */
export const truth = (request: JsonRpc.Request, chainId = 1): string =>
  `0x${digest(`${chainId} ${request.method} ${JSON.stringify(request.params)}`)}`

/** The data of a revert; `undefined` for what does not revert. */
export const revertOf = (request: JsonRpc.Request): string | undefined =>
  request.method === "eth_call" ? truth(request) : undefined

export const answerTo = (
  upstream: string,
  request: JsonRpc.Request,
  { chainId, lag, now }: Knowledge
): Effect.Effect<unknown, JsonRpc.Rejected> => {
  const head = headAt(now) - lag
  switch (request.method) {
    case "eth_chainId":
      return Effect.succeed(hex(chainId))
    case "eth_blockNumber":
      return Effect.succeed(hex(head))
    case "eth_getBlockByNumber":
      return Effect.succeed(block(request.params[0], head))
    case "eth_call":
      return Effect.fail(reverted(upstream, truth(request, chainId)))
  }
  return Effect.succeed(truth(request, chainId))
}

const block = (tag: unknown, head: number): unknown => {
  const number = typeof tag === "string" && tag.startsWith("0x") ? Number(tag) : head
  if (number > head) return null
  const hash = (n: number) => `0x${n.toString(16).padStart(64, "0")}`
  return {
    number: hex(number),
    hash: hash(number),
    parentHash: hash(number - 1),
    timestamp: hex((1_790_000_000_000 + (number - 1000) * blockTime) / 1000)
  }
}

const reverted = (upstream: string, data: string): JsonRpc.Rejected =>
  Outcome.stackless(
    () =>
      new JsonRpc.Rejected({
        upstream,
        code: 3,
        message: "execution reverted",
        data,
        kind: "revert",
        [Outcome.TypeId]: Outcome.verdict({ counts: "success", again: "nowhere" })
      })
  )

/** FNV-1a, twice. */
const digest = (text: string): string => {
  let [a, b] = [0x811c9dc5, 0x01000193]
  for (let i = 0; i < text.length; i++) {
    a = Math.imul(a ^ text.charCodeAt(i), 0x01000193)
    b = Math.imul(b ^ a, 0x85ebca6b)
  }
  return (a >>> 0).toString(16).padStart(8, "0") + (b >>> 0).toString(16).padStart(8, "0")
}
