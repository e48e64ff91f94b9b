// A caller who leaves: wherever the call is, it ends at once, takes nobody along, and leaves nothing behind.
import { assert, describe, it } from "@effect/vitest"
import { HawserProvider } from "@hawser/ethers"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Deferred, Effect } from "effect"
import { isError } from "ethers"
import { Retry, type Stack } from "hawser"
import { viems } from "./viems.ts"

/** Where a call is when it is left: what keeps it there, and how to tell that it is there. */
interface Place {
  readonly scenario: Scenario.Scenario
  readonly upstream?: Pick<Stack.Particulars, "rateLimit" | "concurrency">
  readonly there: (node: FaultyNode.FaultyNode, upstream: () => Stack.UpstreamStatus) => Effect.Effect<void>
}

// Looks again after whatever is under way now.
const until = (condition: () => boolean): Effect.Effect<void> =>
  Effect.suspend(() =>
    condition()
      ? Effect.void
      : Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void))).pipe(
          Effect.andThen(until(condition))
        )
  )

const places: Readonly<Record<string, Place>> = {
  "in flight": {
    scenario: Scenario.hang,
    there: (node) => node.until((node) => node.requests.length === 1)
  },
  // The check of its chain finds no token left.
  "queued for a rate limit": {
    scenario: Scenario.healthy,
    upstream: { rateLimit: { limit: 1, window: "20 seconds" } },
    there: (_, upstream) => until(() => upstream().rateLimit?.waiting === 1)
  },
  "waiting to ask again": {
    scenario: Scenario.status(500),
    there: (node, upstream) => until(() => node.requests[0]?.ended === "answered" && upstream().http?.inflight === 0)
  }
}

const patient = {
  deadline: "1 hour",
  timeout: "1 hour",
  hedge: false,
  retry: { schedule: Retry.backoff({ base: "1 minute", cap: "1 minute", jitter: "none" }) }
} as const

const question = { method: "eth_getBalance", params: ["0x00000000000000000000000000000000000000aa", "0x3e8"] } as const

/** A promise that will reject, watched from the beginning. */
const rejection = (promise: Promise<unknown>) => {
  const settled = promise.then(
    (value) => assert.fail(`resolved with ${String(value)}`),
    (error: unknown) => error
  )
  return Effect.promise(() => settled)
}

const isIdle = ({ http, rateLimit }: Stack.UpstreamStatus) => http?.inflight === 0 && rateLimit?.waiting === 0

for (const [name, { scenario, there, upstream }] of Object.entries(places)) {
  describe(`a call ${name}`, () => {
    for (const { hawser, name: viem } of viems) {
      it.live(`${viem}: ends with its signal, and another goes on from there`, () =>
        Effect.gen(function* () {
          const node = yield* FaultyNode.make({ scenario })
          const client = hawser([{ url: node.url, ...upstream }], patient)
          const first = () => client.transport.status().upstreams[0]!
          const controller = new AbortController()
          const ended = rejection(client.request(question, { signal: controller.signal }))
          yield* there(node, first)
          const reason = new Error("enough")
          controller.abort(reason)
          assert.strictEqual(yield* ended, reason)
          yield* until(() => isIdle(first()))
          if (name === "in flight") yield* node.until(({ aborted }) => aborted === 1)
          if (upstream === undefined) {
            yield* node.play(Scenario.healthy)
            assert.isString(yield* Effect.promise(() => client.request(question)))
          }
          yield* Effect.promise(() => client.transport.close())
          yield* node.until(({ connections }) => connections.open === 0)
        })
      )
    }

    it.live("ethers: ends with its provider", () =>
      Effect.gen(function* () {
        const node = yield* FaultyNode.make({ scenario })
        const provider = new HawserProvider([{ url: node.url, ...upstream }], 1, patient)
        const ended = rejection(provider.send(question.method, [...question.params]))
        yield* there(node, () => provider.status().upstreams[0]!)
        provider.destroy()
        assert.isTrue(isError(yield* ended, "UNSUPPORTED_OPERATION"))
        yield* node.until(({ connections }) => connections.open === 0)
      })
    )
  })
}

for (const viem of viems) {
  describe(`${viem.name}: a call that others share`, () => {
    const shared = Effect.gen(function* () {
      const gate = yield* Deferred.make<string>()
      const node = yield* FaultyNode.make({ methods: { eth_getBalance: () => Deferred.await(gate) } })
      const client = viem.hawser(node.url, patient)
      const callers = [new AbortController(), new AbortController()]
      const asked = callers.map(({ signal }) => client.request(question, { signal }))
      const settled = asked.map((promise) => promise.catch((error: unknown) => error))
      yield* node.until((node) => node.requests.length === 1)
      return { callers, client, gate, node, settled }
    })

    it.live("goes on for the others when one leaves", () =>
      Effect.gen(function* () {
        const { callers, client, gate, node, settled } = yield* shared
        const reason = new Error("enough")
        callers[0]!.abort(reason)
        assert.strictEqual(yield* Effect.promise(() => settled[0]!), reason)
        yield* Deferred.succeed(gate, "0x7")
        assert.strictEqual(yield* Effect.promise(() => settled[1]!), "0x7")
        assert.strictEqual(node.count("eth_getBalance"), 1)
        assert.strictEqual(node.aborted, 0)
        yield* Effect.promise(() => client.transport.close())
      })
    )

    it.live("ends when the last leaves", () =>
      Effect.gen(function* () {
        const { callers, client, node, settled } = yield* shared
        for (const caller of callers) caller.abort()
        for (const error of yield* Effect.promise(() => Promise.all(settled))) {
          assert.strictEqual((error as Error).name, "AbortError")
        }
        yield* node.until(({ aborted }) => aborted === 1)
        yield* Effect.promise(() => client.transport.close())
      })
    )
  })
}
