/**
 * Several requests to one upstream: nodes differ in what they have seen, so the nonce, the estimate and the send of one
 * transaction belong together.
 *
 * ```ts
 * const hash = yield* Sticky.run(
 *   Effect.gen(function* () {
 *     const nonce = yield* client.request(JsonRpc.makeRequest("eth_getTransactionCount", [account, "pending"]))
 *     return yield* client.request(JsonRpc.makeRequest("eth_sendRawTransaction", [sign(nonce)]))
 *   })
 * )
 * ```
 */
import { Call } from "@hawser/core"
import * as Effect from "effect/Effect"

let runs = 0

/**
 * Sends what runs here to one upstream of each pool: the one that answers first. It moves to another when that one fails,
 * refuses or is excluded. Requests that begin before the first is answered may go elsewhere, and a cache above the pool may
 * answer from what another said.
 *
 * Within another `run` it is that one's upstream.
 */
export const run = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiber((fiber) =>
    fiber.getRef(Call.Sticky) === undefined ? Effect.provideService(self, Call.Sticky, `sticky#${++runs}`) : self
  )
