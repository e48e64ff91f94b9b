// What holds for the transport on Node.js holds for the one that other runtimes get, except where a browser cannot know.
import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect } from "effect"
import type { Dispatch, Fault, Reply, Target } from "../src/internal/dispatch.ts"
import * as overFetch from "../src/internal/dispatch.fetch.ts"
import * as overUndici from "../src/internal/dispatch.undici.ts"

const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "eth_blockNumber", params: [] })

const targetOf = (url: string): Target => ({
  origin: new URL(url).origin,
  path: "/",
  headers: { "content-type": "application/json" },
  maxBodySize: 100_000,
  connections: 8,
  keepAlive: 4_000
})

for (const [name, { make }] of Object.entries({ fetch: overFetch, undici: overUndici })) {
  describe(name, () => {
    const facing = (scenario: Scenario.Scenario) =>
      Effect.gen(function* () {
        const node = yield* FaultyNode.make({ scenario })
        const dispatch = yield* Effect.acquireRelease(
          Effect.sync((): Dispatch => make(targetOf(node.url))),
          (dispatch) => Effect.promise(() => dispatch.close())
        )
        const post = Effect.callback<{ readonly fault: Fault | undefined; readonly reply: Reply | undefined }>(
          (resume) => {
            dispatch.post(body, { done: (fault, reply) => resume(Effect.succeed({ fault, reply })) })
          }
        )
        return { node, dispatch, post }
      })

    it.live("gives status, body and headers", () =>
      Effect.gen(function* () {
        const { post } = yield* facing(Scenario.status(429, { retryAfter: "2 seconds", body: "slow down" }))
        assert.deepStrictEqual(yield* post, {
          fault: undefined,
          reply: { status: 429, body: "slow down", retryAfter: "2", location: undefined }
        })
      })
    )

    it.live("gives the whole of a large body, and nothing of one that is too large", () =>
      Effect.gen(function* () {
        const { node, post } = yield* facing(Scenario.oversized(99_000))
        assert.strictEqual((yield* post).reply!.body.length, 99_000)
        for (const declared of [true, false]) {
          yield* node.play(Scenario.oversized(101_000, { declared }))
          assert.deepInclude((yield* post).fault, { reason: "too-large", reached: true })
        }
      })
    )

    for (const [fault, scenario] of Object.entries({ drop: Scenario.drop, dropMidway: Scenario.dropMidway })) {
      it.live(`tells a fault: ${fault}`, () =>
        Effect.gen(function* () {
          const { post } = yield* facing(scenario)
          assert.deepInclude((yield* post).fault, { reason: "closed", reached: true })
        })
      )
    }

    it.live("aborting closes the socket and calls nobody", () =>
      Effect.gen(function* () {
        const { dispatch, node } = yield* facing(Scenario.hang)
        let called = false
        const posted = dispatch.post(body, {
          done: () => {
            called = true
          }
        })
        yield* node.until((node) => node.requests.length === 1)
        posted.abort()
        yield* node.until(({ aborted }) => aborted === 1)
        assert.isFalse(called)
      })
    )

    it.live("closing ends what is under way with a fault", () =>
      Effect.gen(function* () {
        const { dispatch, node } = yield* facing(Scenario.hang)
        const ended = Effect.callback<Fault | undefined>((resume) => {
          dispatch.post(body, { done: (fault) => resume(Effect.succeed(fault)) })
          void node
            .until((node) => node.requests.length === 1)
            .pipe(Effect.runPromise)
            .then(() => dispatch.close())
        })
        assert.isDefined(yield* ended)
      })
    )
  })
}
