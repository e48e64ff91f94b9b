// A cache that keeps answers by finality: joins what the chain's heads tell to the cache above the pool.
import { ResponseCache } from "@hawser/cache"
import { JsonRpc } from "@hawser/core"
import { Finality, type Head } from "@hawser/rpc"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"

/** Those of the cache, and for how long it keeps what is not final. A `policy` or `key` takes the place of ours. */
export type Options = ResponseCache.Options & ResponseCache.Routing & Omit<Finality.Options, "chainId">

/**
 * Puts a cache over a client that drops what a new head or a reorganisation has made untrue.
 *
 * @throws `InvalidOption` at once.
 */
export const layer = (heads: Head.Heads, options: Options = {}, chainId?: number) => {
  const { latest, finalAfter, staleIfError, unfinal, ...cache } = options
  return keeping(Finality.make(heads, { latest, chainId, finalAfter, staleIfError, unfinal }), cache)
}

/** The same, by a finality of one's own. */
export const keeping = (finality: Finality.Finality, options: ResponseCache.Options & ResponseCache.Routing) => {
  const { key, policy, ...settings } = options
  const routing = { key: key ?? finality.key, policy: policy ?? finality.policy }
  const make = ResponseCache.make(settings)
  return <E, LE, R>(self: Layer.Layer<JsonRpc.Client<E>, LE, R>): Layer.Layer<JsonRpc.Client<E>, LE, R> =>
    Layer.unwrap(
      Effect.gen(function* () {
        const cache = yield* make
        const scope = yield* Effect.scope
        // What it does to memory it does at once; a store may take its time.
        const run = (effect: Effect.Effect<void>) => void Fiber.runIn(Effect.runFork(effect), scope)
        yield* Effect.acquireRelease(
          Effect.sync(() => finality.watch((tag) => run(cache.invalidateTag(tag)))),
          (off) => Effect.sync(off)
        )
        const put = (request: JsonRpc.Request, value: unknown) => {
          const known = routing.key(request)
          const kept = routing.policy(request)
          if (known === undefined || kept === undefined || cache.get(known)?.stale === false) return
          run(cache.set(known, value, kept))
        }
        return self.pipe(noting(finality, put), ResponseCache.layerOver(cache, routing))
      })
    )
}

// Below the cache, so that it sees each answer once, and before the cache does.
const noting =
  (finality: Finality.Finality, put: (request: JsonRpc.Request, value: unknown) => void) =>
  <E, LE, R>(self: Layer.Layer<JsonRpc.Client<E>, LE, R>): Layer.Layer<JsonRpc.Client<E>, LE, R> =>
    JsonRpc.transform(self, "finality", (below: JsonRpc.Service<E>) => {
      const note = (request: JsonRpc.Request, value: unknown): void => {
        for (const also of finality.note(request, value)) put(also, value)
      }
      return Effect.succeed({
        request: (request: JsonRpc.Request) => {
          if (request.nature !== "read") return below.request(request)
          const { batch } = request
          return Effect.map(below.request(request), (value) => {
            if (batch === undefined) note(request, value)
            else {
              for (const [i, exit] of (value as JsonRpc.Answers).entries()) {
                if (exit._tag === "Success") note(batch[i]!, exit.value)
              }
            }
            return value
          })
        },
        submit: JsonRpc.interpret(below, (request) =>
          request.nature === "read"
            ? (exit) => {
                if (exit._tag === "Success") note(request, exit.value)
                return exit
              }
            : undefined
        )
      })
    })
