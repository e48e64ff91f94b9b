import { assert, describe, it } from "@effect/vitest"
import { hawser } from "@hawser/viem"
import { Effect } from "effect"
import { createPublicClient, parseAbi, type PublicClient } from "viem"
import { mainnet } from "viem/chains"
import { begun, chainOf3, consecutive, Heard, type Nodes } from "./chains.ts"
import { raw } from "./faults.ts"

const address = "0x00000000000000000000000000000000000000aa"

const abi = parseAbi(["event Ping()"])

/** Watches, and tells of the number of each block. Returns the function that stops it. */
type Watch = (client: PublicClient, tell: (block: bigint) => void, onError: (error: Error) => void) => () => void

const watches: Readonly<Record<string, Watch>> = {
  watchBlockNumber: (client, onBlockNumber, onError) =>
    client.watchBlockNumber({ onBlockNumber, onError, emitMissed: true }),
  watchBlocks: (client, tell, onError) =>
    client.watchBlocks({ onBlock: ({ number }) => tell(number), onError, emitMissed: true }),
  watchEvent: (client, tell, onError) =>
    client.watchEvent({ address, onLogs: (logs) => logs.forEach((log) => tell(log.blockNumber)), onError }),
  watchContractEvent: (client, tell, onError) =>
    client.watchContractEvent({
      abi,
      address,
      eventName: "Ping",
      onLogs: (logs) => logs.forEach((log) => tell(log.blockNumber)),
      onError
    })
}

const over = ({ all }: Nodes, wire: "url" | "wsUrl") =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const transport = hawser(
        all.map((node) => node[wire]),
        { subscription: { interval: "20 millis" } }
      )
      return createPublicClient({ chain: mainnet, transport, pollingInterval: 20, cacheTime: 0 })
    }),
    ({ transport }) => Effect.promise(() => transport.close())
  )

for (const wire of ["url", "wsUrl"] as const) {
  describe(`viem over ${wire === "url" ? "HTTP" : "WebSocket"}: nodes are lost while an application watches`, () => {
    for (const [name, watch] of Object.entries(watches)) {
      it.live(`${name} tells of each block once, in order`, () =>
        Effect.gen(function* () {
          const nodes = yield* chainOf3
          const client = yield* over(nodes, wire)
          const heard = new Heard<number>()
          const errors: Array<Error> = []
          yield* Effect.acquireRelease(
            Effect.sync(() =>
              watch(
                client as never,
                (block) => heard.add(Number(block)),
                (error) => errors.push(error)
              )
            ),
            (stop) => Effect.sync(stop)
          )
          if (wire === "wsUrl") yield* Effect.raceAll(nodes.all.map((node) => node.until((it) => it.subscriptions > 0)))
          yield* begun(nodes, heard)
          for (let i = 0; i < 3; i++) {
            yield* nodes.lose
            const head = nodes.mine(3)
            yield* heard.until((all) => all.at(-1)! >= head)
          }
          assert.deepStrictEqual(heard.all, consecutive(heard.all[0]!, nodes.all[0]!.head))
          assert.deepStrictEqual(errors, [])
        })
      )
    }

    it.live("waitForTransactionReceipt gets its receipt", () =>
      Effect.gen(function* () {
        const nodes = yield* chainOf3
        const client = yield* over(nodes, wire)
        yield* nodes.send(raw)
        const hash = "0x0326e8fff8c1d5ae462424f725713d9953275b0c5a639de5d17f334e0b4e86de"
        const waiting = client.waitForTransactionReceipt({ hash, confirmations: 3 })
        yield* Effect.raceAll(nodes.all.map((node) => node.until((it) => it.count("eth_getTransactionReceipt") > 0)))
        yield* nodes.lose
        const included = nodes.mine()
        yield* nodes.lose
        nodes.mine(2)
        const receipt = yield* Effect.promise(() => waiting)
        assert.strictEqual(receipt.blockNumber, BigInt(included))
      })
    )
  })
}
