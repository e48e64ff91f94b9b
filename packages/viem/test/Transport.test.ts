import { assert, describe, it } from "@effect/vitest"
import { hawser, type HawserTransport } from "@hawser/viem"
import type { Stack } from "hawser"
import { createPublicClient, createWalletClient, custom, fallback, http, type PublicClient, type Transport } from "viem"
import { mainnet } from "viem/chains"
import { expectTypeOf } from "vitest"
import { conformance } from "./conformance.ts"
import { viem2 } from "./support/viem2.ts"

conformance(viem2)

describe("an instance", () => {
  it("has what createTransport gives one", () => {
    const { config, request, value } = hawser("http://127.0.0.1:1")({})
    const { request: _, ...rest } = config
    assert.deepStrictEqual(rest, {
      key: "hawser",
      methods: undefined,
      name: "Hawser",
      retryCount: 0,
      retryDelay: 150,
      timeout: 10_000,
      type: "hawser"
    })
    assert.isFunction(request)
    assert.hasAllKeys(value!, ["close", "on", "status", "subscribe"])
  })

  it("is of type webSocket where watchers can subscribe, as viem's fallback and watchers look for it", () => {
    assert.strictEqual(hawser("ws://127.0.0.1:1")({}).config.type, "webSocket")
  })
})

describe("types", () => {
  it("is a transport wherever viem takes one", () => {
    const transport = hawser(["http://127.0.0.1:1"])
    expectTypeOf(transport).toEqualTypeOf<HawserTransport>()
    expectTypeOf(transport).toExtend<Transport>()
    const client = createPublicClient({ chain: mainnet, transport })
    expectTypeOf(client).toExtend<PublicClient>()
    expectTypeOf(client.transport.status).toEqualTypeOf<() => Stack.Status>()
    createWalletClient({ chain: mainnet, transport })
    fallback([transport, http(), custom({ request: () => Promise.resolve("0x1") })])
  })
})
