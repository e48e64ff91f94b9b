/** Which answers are right: told by the nodes themselves, once nothing is wrong with them. */
import type { Request } from "./Contender.ts"
import { type Call, quantity, request } from "./Plan.ts"

/** What a call came to. */
export interface Answer {
  /** The head its caller had been told of when it was due. */
  readonly floor: number
  /** Milliseconds from when it was due; `Infinity` if it never ended. */
  readonly took: number
  readonly answer?: unknown
  readonly error?: string
}

/**
 * `untrue`: the chain says otherwise, or did not say so yet. `back`: true once, but older than what the caller had been
 * told before.
 */
export type Verdict = "right" | "untrue" | "back" | "failed"

/** Asks a node that tells the truth. */
export type Truth = (requests: ReadonlyArray<Request>) => Promise<ReadonlyArray<unknown>>

/** When a block came, by {@link epoch}. */
export interface Block {
  readonly number: number
  readonly at: number
}

/** Milliseconds that two processes of one machine agree on. */
export const epoch = (): number => performance.timeOrigin + performance.now()

/** The head of the chain so many milliseconds after a beginning. */
export const headAt =
  (blocks: ReadonlyArray<Block>, began: number) =>
  (elapsed: number): number =>
    (blocks.findLast(({ at }) => at <= began + elapsed) ?? blocks[0]!).number

/** Clocks and timers of two processes differ by this much, in milliseconds. */
const slack = 10

/** Blocks below the floor that an answer may speak of. No node is further behind. */
const reach = 16

/** Judges answers to calls. `head` is the true one so many milliseconds after the calls began. */
export const judge = async (
  calls: ReadonlyArray<Call>,
  answers: ReadonlyArray<Answer>,
  head: (elapsed: number) => number,
  truth: Truth
): Promise<ReadonlyArray<Verdict>> => {
  const claims = answers.map((answer, i) => claimsOf(calls[i]!, answer, head))
  const told = await truth(claims.flatMap((all) => all.map(({ request }) => request)))
  let at = 0
  return claims.map((all, i) => {
    const truths = told.slice(at, (at += all.length))
    if (answers[i]!.error !== undefined) return "failed"
    const right = all.find((claim, n) => same(answers[i]!.answer, truths[n], claim))
    if (right === undefined) return "untrue"
    return right.old ? "back" : "right"
  })
}

/** What an answer says if it is right: the request that would confirm it, and whether it is older than it may be. */
interface Claim {
  readonly request: Request
  readonly old: boolean
}

const claimsOf = (
  call: Call,
  { answer, error, floor, took }: Answer,
  head: (elapsed: number) => number
): ReadonlyArray<Claim> => {
  if (error !== undefined) return []
  // Who was told of a block that did not exist must not be held to it.
  const lowest = Math.min(floor, head(call.at - slack))
  const highest = head(call.at + took + slack)
  switch (call.kind) {
    case "head":
      return blockClaim(answer, lowest, highest)
    case "latest":
      return blockClaim((answer as { readonly number?: unknown } | null)?.number, lowest, highest)
    case "call": {
      const { method, params } = request(call, floor)
      return Array.from({ length: highest - lowest + reach + 1 }, (_, n) => ({
        request: { method, params: [params[0], quantity(highest - n)] },
        old: highest - n < lowest
      }))
    }
    default:
      return [{ request: request(call, floor), old: false }]
  }
}

const blockClaim = (number: unknown, lowest: number, highest: number): ReadonlyArray<Claim> => {
  const height = typeof number === "string" ? Number(number) : NaN
  if (!Number.isSafeInteger(height) || height > highest) return []
  return [{ request: { method: "eth_getBlockByNumber", params: [quantity(height), false] }, old: height < lowest }]
}

const same = (answer: unknown, truth: unknown, { request }: Claim): boolean => {
  if (request.method !== "eth_getBlockByNumber") return answer === truth
  const block = truth as { readonly hash: string; readonly number: string } | null
  if (block === null) return false
  if (typeof answer === "string") return answer === block.number
  return (answer as { readonly hash?: unknown } | null)?.hash === block.hash
}

/** The truth from a node, in batches. */
export const ask =
  (url: string): Truth =>
  async (requests) => {
    const truths: Array<unknown> = []
    for (let from = 0; from < requests.length; from += 1000) {
      const batch = requests.slice(from, from + 1000).map((request, id) => ({ jsonrpc: "2.0", id, ...request }))
      const response = await fetch(url, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify(batch)
      })
      const replies = (await response.json()) as ReadonlyArray<{ readonly result?: unknown }>
      truths.push(...replies.map(({ result }) => result))
    }
    return truths
  }
