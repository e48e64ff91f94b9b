// What a client costs that is not used, and what is left of one that is no longer.
import { assert, describe, it } from "@effect/vitest"
import { HawserProvider } from "@hawser/ethers"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { join } from "node:path"
import { type Client, viems } from "./viems.ts"

/** Runs a program until it ends by itself, and gives what it said. */
const run = (program: string, ...args: ReadonlyArray<string>) =>
  Effect.callback<ReadonlyArray<readonly [string, unknown]>>((resume) => {
    const child = execFile(
      process.execPath,
      [join(import.meta.dirname, "programs", program), ...args],
      (error, stdout, stderr) => {
        assert.isNull(error, stderr)
        assert.strictEqual(stderr, "")
        const lines = stdout.trimEnd().split("\n")
        resume(Effect.succeed(lines.map((line) => JSON.parse(line) as [string, unknown])))
      }
    )
    return Effect.sync(() => child.kill("SIGKILL"))
  })

describe("a process ends by itself", () => {
  for (const { error, name, program } of [
    ...viems.map(({ errors, name }) => ({ name, program: "viem.ts", error: errors.HttpRequestError })),
    { name: "ethers", program: "ethers.ts", error: "UNSUPPORTED_OPERATION" }
  ]) {
    it.live(`over ${name}: a hundred idle clients hold nothing, used ones do not hold it, closed ones let go`, () =>
      Effect.gen(function* () {
        const node = yield* FaultyNode.make({ scenario: Scenario.when({ method: "eth_gasPrice" }, Scenario.hang) })
        const said = yield* run(program, node.url, node.wsUrl, name)
        assert.deepStrictEqual(said.slice(0, 6), [
          ["idle", []],
          ["asked", 1000],
          ["watched", 1000],
          ["asked", 1000],
          ["watched", 1000],
          ["closed", error]
        ])
        yield* node.until(({ connections }) => connections.open === 0)
      })
    )
  }

  it("a hundred clients ask nothing, and open nothing", () => {
    const urls = ["http://127.0.0.1:1", "ws://127.0.0.1:1"]
    const before = process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length
    for (let i = 0; i < 100; i++) {
      for (const { hawser } of viems) hawser(urls)
      assert.isTrue(new HawserProvider(urls, 1).ready)
    }
    assert.strictEqual(process.getActiveResourcesInfo().filter((name) => name.startsWith("TCP")).length, before)
  })
})

describe("two clients with different headers", () => {
  const keys = ["one", "two"] as const

  const address = "0x00000000000000000000000000000000000000aa"

  /** Asks by both at once, again and again. */
  const both = (ask: (key: string, url: string) => Promise<unknown>) =>
    Effect.gen(function* () {
      const node = yield* FaultyNode.make()
      yield* Effect.promise(() =>
        Promise.all(Array.from({ length: 10 }).flatMap(() => keys.map((key) => ask(key, node.url))))
      )
      const seen = new Map<number, unknown>()
      for (const { connection, headers } of node.requests) {
        const key = headers["x-key"]
        assert.strictEqual(seen.get(connection) ?? key, key, "a connection carries the requests of one")
        seen.set(connection, key)
      }
      assert.sameMembers(Array.from(new Set(seen.values())), [...keys])
      // Each answer was asked for by each of them.
      for (const key of keys) {
        assert.isAtLeast(node.requests.filter(({ headers }) => headers["x-key"] === key).length, 2)
      }
    })

  for (const batch of [false, true]) {
    for (const { hawser, name } of viems) {
      it.live(`share nothing over ${name}${batch ? ", in batches neither" : ""}`, () =>
        Effect.gen(function* () {
          const clients = new Map<string, Client>()
          yield* both((key, url) => {
            const client = clients.get(key) ?? hawser([{ url, headers: { "x-key": key } }], { batch })
            clients.set(key, client)
            return client.request({ method: "eth_getBalance", params: [address, "latest"] })
          })
          yield* Effect.promise(() => Promise.all(Array.from(clients.values(), ({ transport }) => transport.close())))
        })
      )
    }

    it.live(`share nothing over ethers${batch ? ", in batches neither" : ""}`, () =>
      Effect.gen(function* () {
        const providers = new Map<string, HawserProvider>()
        yield* both((key, url) => {
          const provider = providers.get(key) ?? new HawserProvider([{ url, headers: { "x-key": key } }], 1, { batch })
          providers.set(key, provider)
          return provider.getBalance(address)
        })
        for (const provider of providers.values()) provider.destroy()
      })
    )
  }
})
