import { assert, describe, it } from "@effect/vitest"
import { HawserProvider } from "@hawser/ethers"
import { Effect } from "effect"
import { type Log, type ProviderEvent, type TransactionReceipt, Wallet } from "ethers"
import { keys } from "../src/steps.ts"
import { chainOf3, Heard, type Nodes, toldOfEach } from "./chains.ts"
import { raw } from "./faults.ts"

const address = "0x00000000000000000000000000000000000000aa"

const hash = "0x0326e8fff8c1d5ae462424f725713d9953275b0c5a639de5d17f334e0b4e86de"

const over = ({ all }: Nodes, wire: "url" | "wsUrl") =>
  Effect.acquireRelease(
    Effect.sync(
      () =>
        new HawserProvider(
          all.map((node) => node[wire]),
          1,
          { pollingInterval: 20, write: { broadcast: 3 } }
        )
    ),
    (provider) => Effect.sync(() => provider.destroy())
  )

const events: Readonly<Record<string, readonly [ProviderEvent, (told: unknown) => number]>> = {
  block: ["block", (block) => block as number],
  "a filter": [{ address }, (log) => (log as Log).blockNumber]
}

for (const wire of ["url", "wsUrl"] as const) {
  const subscribed = (nodes: Nodes) =>
    wire === "url"
      ? Effect.void
      : Effect.raceAll(nodes.all.map((node) => node.until(({ subscriptions }) => subscriptions > 0)))

  describe(`ethers over ${wire === "url" ? "HTTP" : "WebSocket"}: nodes are lost while an application listens`, () => {
    for (const [name, [event, blockOf]] of Object.entries(events)) {
      it.live(`on(${name}) tells of each block once, in order`, () =>
        Effect.gen(function* () {
          const nodes = yield* chainOf3
          const provider = yield* over(nodes, wire)
          const heard = new Heard<number>()
          yield* Effect.promise(() => provider.on(event, (told: unknown) => heard.add(blockOf(told))))
          yield* subscribed(nodes)
          yield* toldOfEach(nodes, heard)
        })
      )
    }

    it.live("on(hash) tells of the receipt with each block, as ethers does", () =>
      Effect.gen(function* () {
        const nodes = yield* chainOf3
        const provider = yield* over(nodes, wire)
        const heard = new Heard<TransactionReceipt>()
        yield* nodes.send(raw)
        yield* Effect.promise(() => provider.on(hash, (receipt: TransactionReceipt) => heard.add(receipt)))
        yield* Effect.raceAll(nodes.all.map((node) => node.until((it) => it.count("eth_getTransactionReceipt") > 0)))
        yield* nodes.lose
        const included = nodes.mine()
        yield* heard.until((all) => all.length === 1)
        yield* nodes.lose
        nodes.mine()
        yield* heard.until((all) => all.length === 2)
        assert.deepStrictEqual(
          heard.all.map(({ blockNumber }) => blockNumber),
          [included, included]
        )
      })
    )

    for (const [name, wait] of [
      [
        "wait()",
        (provider: HawserProvider, signed: string) => provider.broadcastTransaction(signed).then((sent) => sent.wait(3))
      ],
      [
        "waitForTransaction()",
        (provider: HawserProvider, signed: string) =>
          provider.broadcastTransaction(signed).then((sent) => provider.waitForTransaction(sent.hash, 3))
      ]
    ] as const) {
      it.live(`${name} gets its receipt after as many blocks as it asks for`, () =>
        Effect.gen(function* () {
          const nodes = yield* chainOf3
          const provider = yield* over(nodes, wire)
          const transaction = { chainId: 1, nonce: 5, to: address, gasLimit: 21_000, gasPrice: 1_000_000_000n, type: 0 }
          const signed = yield* Effect.promise(() => new Wallet(keys.alice).signTransaction(transaction))
          const waiting = wait(provider, signed)
          yield* Effect.forEach(nodes.all, (node) => node.until((it) => it.count("eth_sendRawTransaction") > 0))
          yield* Effect.raceAll(nodes.all.map((node) => node.until((it) => it.count("eth_getTransactionReceipt") > 0)))
          yield* subscribed(nodes)
          yield* nodes.lose
          const included = nodes.mine()
          yield* nodes.lose
          nodes.mine(2)
          const receipt = yield* Effect.promise(() => waiting)
          assert.strictEqual(receipt!.blockNumber, included)
        })
      )
    }
  })
}
