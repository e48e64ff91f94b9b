import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { chainOf3, Heard, type Nodes, toldOfEach } from "./chains.ts"
import { raw } from "./faults.ts"
import { type Viem, viems } from "./viems.ts"

const hash = "0x0326e8fff8c1d5ae462424f725713d9953275b0c5a639de5d17f334e0b4e86de"

const over = ({ hawser }: Viem, { all }: Nodes, wire: "url" | "wsUrl") =>
  Effect.acquireRelease(
    Effect.sync(() =>
      hawser(
        all.map((node) => node[wire]),
        { subscription: { interval: "20 millis" } }
      )
    ),
    ({ transport }) => Effect.promise(transport.close)
  )

for (const viem of viems) {
  for (const wire of ["url", "wsUrl"] as const) {
    const by = wire === "url" ? "HTTP" : "WebSocket"
    describe(`${viem.name} over ${by}: nodes are lost while an application watches`, () => {
      for (const name of Object.keys(viem.http("http://127.0.0.1:1").watchers)) {
        it.live(`${name} tells of each block once, in order`, () =>
          Effect.gen(function* () {
            const nodes = yield* chainOf3
            const { watchers } = yield* over(viem, nodes, wire)
            const heard = new Heard<number>()
            const errors: Array<Error> = []
            yield* Effect.acquireRelease(
              Effect.sync(() =>
                watchers[name]!(
                  (block) => heard.add(Number(block)),
                  (error) => errors.push(error)
                )
              ),
              (stop) => Effect.sync(stop)
            )
            if (wire === "wsUrl") {
              yield* Effect.raceAll(nodes.all.map((node) => node.until((it) => it.subscriptions > 0)))
            }
            yield* toldOfEach(nodes, heard)
            assert.deepStrictEqual(errors, [])
          })
        )
      }

      it.live("waiting for a receipt gets it", () =>
        Effect.gen(function* () {
          const nodes = yield* chainOf3
          const client = yield* over(viem, nodes, wire)
          yield* nodes.send(raw)
          const waiting = client.waitForReceipt(hash, 3)
          yield* Effect.raceAll(nodes.all.map((node) => node.until((it) => it.count("eth_getTransactionReceipt") > 0)))
          yield* nodes.lose
          const included = nodes.mine()
          yield* nodes.lose
          nodes.mine(2)
          assert.strictEqual(yield* Effect.promise(() => waiting), BigInt(included))
        })
      )
    })
  }
}
