// One file for both adapters, so that the contracts are compiled once.
import { assert, describe, it } from "@effect/vitest"
import { HawserProvider } from "@hawser/ethers"
import { Anvil, type FaultyNode } from "@hawser/testkit"
import { hawser } from "@hawser/viem"
import * as Preview from "@hawser/viem/v3"
import { Effect } from "effect"
import { type JsonRpcApiProvider, JsonRpcProvider } from "ethers"
import { http, type Transport } from "viem"
import { http as http3, type Transport as Transport3 } from "viem3"
import { compile } from "../src/contracts.ts"
import * as Ethers from "../src/ethers.ts"
import { play, type Played } from "../src/steps.ts"
import * as Viem from "../src/viem.ts"
import * as Viem3 from "../src/viem3.ts"
import { chain, gateway, nodes, same, shared, weather } from "./nodes.ts"

const contracts = compile()

/** Plays a program once over a bare client, and over Hawser in every weather; where all goes wrong now and then, in batches, too. */
const compared = (
  bareOver: (node: string, gateway: string) => Effect.Effect<ReadonlyArray<Played>>,
  hawserOver: (
    nodes: ReadonlyArray<string>,
    gateway: string,
    options: { readonly batch?: boolean }
  ) => Effect.Effect<ReadonlyArray<Played>>,
  plain?: (played: unknown) => unknown
) => {
  const bare = shared(
    Effect.gen(function* () {
      const url = yield* gateway
      return { url, played: yield* bareOver((yield* chain).url, url) }
    })
  )

  it("meets errors of many kinds", () => {
    assert.isAbove(bare().played.filter(({ error }) => error !== undefined).length, 15)
  })

  const both = Object.entries(weather).flatMap(([name, scenarios]) =>
    name === "one down, one throttled"
      ? [{ name, scenarios, options: {} }]
      : [{}, { batch: true }].map((options) => ({ name, scenarios, options }))
  )
  for (const { name, options, scenarios } of both) {
    const how = "batch" in options ? ", in batches" : ""
    it.live(`sees over Hawser what it sees over a bare client: ${name}${how}`, () =>
      Effect.gen(function* () {
        const { played, url } = bare()
        const urls = (yield* nodes(scenarios)).map((node: FaultyNode.FaultyNode) => node.url)
        const ours = yield* hawserOver(urls, url, options)
        for (const [i, step] of played.entries()) same(name, ours[i]!, step, plain)
      })
    )
  }
}

describe.skipIf(Anvil.binary === undefined)("a viem application", () => {
  const program = (transport: Transport, url: string) =>
    Effect.promise(() => play(Viem.steps(transport, contracts, url), Viem.told))
  compared(
    (node, url) => program(http(node, { retryCount: 0 }), url),
    (urls, url, options) => program(hawser(urls, options), url)
  )
})

describe.skipIf(Anvil.binary === undefined)("a viem 3 application", () => {
  const program = (transport: Transport3.Transport, url: string) =>
    Effect.promise(() => play(Viem3.steps(transport, contracts, url), Viem3.told))
  compared(
    (node, url) => program(http3(node, { retryCount: 0 }), url),
    (urls, url, options) => program(Preview.hawser(urls, options), url)
  )
})

/** ethers' own provider leaves rejections unhandled if it is destroyed while it asks. This one can be waited for. */
class Bare extends JsonRpcProvider {
  private readonly asked = new Set<Promise<unknown>>()

  override send(method: string, params: Array<unknown>): Promise<unknown> {
    const answer = super.send(method, params)
    const asked: Promise<unknown> = answer.catch(() => {}).finally(() => this.asked.delete(asked))
    this.asked.add(asked)
    return answer
  }

  async drained(): Promise<void> {
    await this.removeAllListeners()
    while (this.asked.size > 0) {
      await Promise.all(this.asked)
      await new Promise((resolve) => setImmediate(resolve))
    }
  }
}

describe.skipIf(Anvil.binary === undefined)("an ethers application", () => {
  const program = <P extends JsonRpcApiProvider>(make: () => P, url: string, end: (provider: P) => Promise<void>) =>
    Effect.acquireUseRelease(
      Effect.sync(make),
      (provider) => Effect.promise(() => play(Ethers.steps(provider, contracts, url), Ethers.told)),
      (provider) => Effect.promise(() => end(provider).then(() => provider.destroy()))
    )
  const options = { staticNetwork: true, pollingInterval: 20, cacheTimeout: -1, batchStallTime: 0 }
  compared(
    (node, url) =>
      program(
        () => new Bare(node, Ethers.network(), options),
        url,
        (provider) => provider.drained()
      ),
    (urls, url, options) =>
      program(
        () => new HawserProvider(urls, Ethers.network(), { pollingInterval: 20, ...options }),
        url,
        () => Promise.resolve()
      ),
    Ethers.plain
  )
})
