// The transport in a real browser, on a page that reaches loopback nodes through CORS.
import { assert, describe, it } from "@effect/vitest"
import { FaultyNode, Scenario } from "@hawser/testkit"
import { Effect } from "effect"
import { spawnSync } from "node:child_process"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { type Browser, chromium } from "playwright-core"
import { encodeErrorResult, parseAbi } from "viem"
import { build, type Rolldown } from "vite"
import type { Found } from "./browser/page.ts"

const lazy = <A>(make: () => A): (() => A) => {
  let made: { readonly value: A } | undefined
  return () => (made ??= { value: make() }).value
}

/** `CHROMIUM_BIN`, or a Chromium of the system. */
const browserBinary = [process.env["CHROMIUM_BIN"], "chromium", "chromium-browser", "google-chrome"]
  .filter((name) => name !== undefined && name !== "")
  .map((name) => spawnSync("sh", ["-c", 'command -v "$0"', name!], { encoding: "utf8" }).stdout.trim())
  .find((path) => path !== "")

if (browserBinary === undefined) console.log("no Chromium: what needs a browser is skipped (CHROMIUM_BIN names one)")

const bundleOf = (page: string) =>
  lazy(async (): Promise<Rolldown.OutputChunk> => {
    const built = await build({
      configFile: false,
      logLevel: "silent",
      build: {
        write: false,
        target: "es2022",
        rolldownOptions: { input: join(import.meta.dirname, "browser", page), output: { codeSplitting: false } }
      }
    })
    return (built as Rolldown.RolldownOutput).output[0]
  })

const serving = (script: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const server = createServer((request, response) => {
        const isPage = request.url === "/"
        response.setHeader("content-type", isPage ? "text/html" : "text/javascript")
        response.end(
          isPage
            ? '<!doctype html><link rel="icon" href="data:,"><script type="module" src="/page.js"></script>'
            : script
        )
      })
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
      return server
    }),
    (server) =>
      Effect.promise(() => {
        server.closeAllConnections()
        return new Promise((resolve) => server.close(resolve))
      })
  ).pipe(Effect.map((server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}/`))

for (const viem of ["viem 2", "viem 3"]) {
  const bundle = bundleOf(`${viem.replace(" ", "")}.ts`)

  describe(`the bundle for a browser, ${viem}`, () => {
    it.live(
      "pulls in no module of Node.js",
      () =>
        Effect.gen(function* () {
          const { code, imports, moduleIds } = yield* Effect.promise(bundle)
          assert.deepStrictEqual(imports, [])
          assert.deepStrictEqual(
            moduleIds.filter((id) => /undici|__vite-browser-external|node:/.test(id)),
            []
          )
          assert.notMatch(code, /["']node:/)
        }),
      30_000
    )

    it.live.skipIf(browserBinary === undefined)(
      "works in Chromium: failover, reverts, abortion",
      () =>
        Effect.gen(function* () {
          const data = encodeErrorResult({
            abi: parseAbi(["error Short(uint256 missing)"]),
            errorName: "Short",
            args: [7n]
          })
          const reverting = Scenario.when({ method: "eth_call" }, Scenario.error(3, "execution reverted", { data }))
          const bad = yield* FaultyNode.make({ cors: true, scenario: Scenario.status(503) })
          const good = yield* FaultyNode.make({ cors: true, scenario: reverting })
          const url = yield* serving((yield* Effect.promise(bundle)).code)
          const browser = yield* Effect.acquireRelease(
            Effect.promise(() => chromium.launch({ executablePath: browserBinary!, args: ["--no-sandbox"] })),
            (browser: Browser) => Effect.promise(() => browser.close())
          )
          const found = yield* Effect.promise(async () => {
            const page = await browser.newPage()
            const errors: Array<string> = []
            page.on("pageerror", (error) => errors.push(String(error)))
            await page.goto(url)
            const found = await page.evaluate(
              (urls) => (globalThis as unknown as { run: (urls: ReadonlyArray<string>) => Promise<Found> }).run(urls),
              [bad.url, good.url]
            )
            assert.deepStrictEqual(errors, [])
            return found
          })
          assert.deepStrictEqual(found.heads, [1000])
          assert.match(found.revert, /Short\(uint256 missing\)/)
          assert.strictEqual(found.aborted, "AbortError")
          assert.deepStrictEqual(found.failed, [true, false])
        }),
      60_000
    )
  })
}
