// A pool of JSON-RPC upstreams as one client.
import { Call, Events, JsonRpc, Outcome } from "@hawser/core"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { build } from "./build.ts"
import type { Event } from "./ground.ts"
import type { Spec } from "./member.ts"
import type { Disagreement } from "./quorum.ts"
import type { LayerQuorum, Settings, UpstreamLayer } from "./settings.ts"

/** Builds the upstreams, and what asks them. */
export const client = (
  specs: ReadonlyArray<Spec<UpstreamLayer>>,
  settings: Settings,
  quorum: LayerQuorum | undefined
) =>
  Effect.gen(function* () {
    const members = yield* Effect.forEach(specs, ({ capacity, tier, upstream, weight }) =>
      Effect.map(Layer.build(upstream), (context) => {
        const service = Context.get(context, JsonRpc.upstream<any>())
        return { name: service.name, upstream: service, tier, weight, capacity }
      })
    ).pipe(Effect.map(apart))
    const observer = yield* JsonRpc.Observer
    const sink = Events.into(observer, (event: Event) => ({ layer: "pool", upstream: "", ...event }))
    const pool = yield* build(members, settings, sink)
    return {
      name: "pool",
      request: (request: JsonRpc.Request): Effect.Effect<unknown, any> =>
        quorum !== undefined && request.nature === "read" && quorum.only(request)
          ? Effect.withFiber((fiber) =>
              // All who are to be asked are being asked already.
              fiber.getRef(Call.Insist) === "hedge"
                ? Effect.fail(nobody)
                : Effect.catchTag(
                    pool.quorum((upstream) => upstream.request(request), quorum),
                    "Disagreement",
                    (error) => Effect.fail(disagreeing(error as Disagreement))
                  )
            )
          : pool.run({
              ask: (upstream) => upstream.request(request),
              check,
              repeatable: request.nature === "read",
              isAnswer: isRejected
            }),
      inspect: () => ({
        name: "pool",
        upstreams: pool.inspect().map((pool, i) => ({ ...members[i]!.upstream.inspect(), pool }))
      })
    }
  })

const blockNumber = JsonRpc.makeRequest("eth_blockNumber")

const check = (upstream: JsonRpc.Service<any>) => upstream.request(blockNumber)

/** Two of one name, as two keys at one host are, become `name` and `name#2`: each has a cause of its own. */
const apart = <U>(specs: ReadonlyArray<Spec<U>>): ReadonlyArray<Spec<U>> => {
  const taken = new Map<string, number>()
  return specs.map((spec) => {
    const count = (taken.get(spec.name) ?? 0) + 1
    taken.set(spec.name, count)
    return count === 1 ? spec : { ...spec, name: `${spec.name}#${count}` }
  })
}

const nobody = new Call.NoAnswer<never>({
  causes: [],
  [Outcome.TypeId]: Outcome.verdict({ counts: "neutral", again: "nowhere", ran: "no" })
})

/** Those who have answered, each with its side. */
const disagreeing = (error: Disagreement): Call.NoAnswer<Disagreement> =>
  new Call.NoAnswer({
    causes: error.groups.flatMap(({ upstreams }) => upstreams.map((upstream) => ({ upstream, error }))),
    [Outcome.TypeId]: Outcome.verdict()
  })

const isRejected = (error: unknown): boolean => error instanceof JsonRpc.Rejected
