import { assert, describe, it } from "@effect/vitest"
import { Anvil, FaultyNode, Scenario } from "@hawser/testkit"
import { Effect, Exit, Fiber, Scope } from "effect"
import { spawn } from "node:child_process"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import { result } from "./client.ts"
import { find } from "../src/internal/anvilBinary.ts"
import { Child } from "../src/internal/child.ts"

const beside = (file: string) => fileURLToPath(new URL(file, import.meta.url))

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "hawser-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
)

const script = (file: string, text: string) => {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
  chmodSync(file, 0o755)
  return file
}

/** A file that runs the stand-in for anvil. */
const fake = Effect.map(folder, (folder) =>
  script(join(folder, "anvil"), `#!/bin/sh\nexec "${process.execPath}" "${beside("fake-anvil.mjs")}" "$@"\n`)
)

/** A connection that ends when the process behind the port does. */
const watch = (port: number) =>
  Effect.callback<{ readonly gone: Effect.Effect<void> }>((resume) => {
    const socket = net.connect({ host: "127.0.0.1", port })
    const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()))
    socket.on("error", () => {})
    socket.once("connect", () => resume(Effect.succeed({ gone: Effect.promise(() => closed) })))
  })

const refused = (port: number) =>
  Effect.callback<string | undefined>((resume) => {
    const socket = net.connect({ host: "127.0.0.1", port })
    socket.once("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code)))
    socket.once("connect", () => {
      socket.destroy()
      resume(Effect.succeed(undefined))
    })
  })

describe.skipIf(process.platform === "win32")("a stand-in for anvil", () => {
  it.live("is started as asked, answers, and is killed with the scope", () =>
    Effect.gen(function* () {
      const binary = yield* fake
      const scope = yield* Scope.make()
      const anvil = yield* Scope.provide(
        Anvil.make({ binary, chainId: 5, blockTime: "1500 millis", args: ["--accounts", "3"] }),
        scope
      )
      assert.strictEqual(anvil.url, `http://127.0.0.1:${anvil.port}`)
      assert.strictEqual(yield* anvil.rpc("eth_chainId"), "5")
      assert.deepStrictEqual(yield* anvil.rpc("fake_params", [1, { a: null }]), [1, { a: null }])
      const args = ["--host", "127.0.0.1", "--port", "0", "--block-time", "1.5", "--chain-id", "5", "--accounts", "3"]
      assert.deepStrictEqual(yield* anvil.rpc("fake_args"), args)
      const error = yield* Effect.flip(anvil.rpc("fake_fail"))
      assert.deepStrictEqual(
        [error._tag, error.message, error.code, error.data],
        ["AnvilError", "fake_fail: execution reverted", 3, "0xdead"]
      )
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual(yield* refused(anvil.port), "ECONNREFUSED")
      assert.throws(() => process.kill(anvil.pid, 0), "ESRCH")
      assert.strictEqual((yield* Effect.flip(anvil.rpc("eth_chainId"))).code, undefined)
    })
  )

  it.live("says why it did not start", () =>
    Effect.gen(function* () {
      const binary = yield* fake
      const failed = yield* Effect.flip(Anvil.make({ binary, args: ["--fail"] }))
      assert.strictEqual(failed.message, "exited with 1\nError: the fork's endpoint is unreachable")
      const missing = yield* Effect.flip(Anvil.make({ binary: `${binary}.not` }))
      assert.match(missing.message, /ENOENT/)
    })
  )

  it.live("says it again to whoever comes late", () =>
    Effect.gen(function* () {
      const child = new Child("/bin/sh", ["-c", "echo bye; exit 3"])
      const says = Effect.flip(child.says(/hello/))
      assert.strictEqual(yield* says, "exited with 3\nbye")
      assert.strictEqual(yield* says, "exited with 3\nbye")
      yield* child.kill
    })
  )

  it.live("can be given up while it starts", () =>
    Effect.gen(function* () {
      const binary = yield* fake
      const fiber = yield* Effect.forkChild(Effect.scoped(Anvil.make({ binary, args: ["--mute"] })), {
        startImmediately: true
      })
      // Ends only once the process is gone.
      yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.hasInterrupts(yield* Fiber.await(fiber)))
    })
  )

  it.live("is not stopped by a pipe that nobody reads", () =>
    Effect.gen(function* () {
      const anvil = yield* Anvil.make({ binary: yield* fake, args: ["--noise"] })
      assert.deepStrictEqual(yield* anvil.rpc("fake_params", ["still here"]), ["still here"])
    })
  )

  // The owner is TypeScript in a process of its own.
  it.live.skipIf(!process.features.typescript)(
    "does not outlive its owner, however that ends",
    () =>
      Effect.gen(function* () {
        const binary = yield* fake
        const outlived = (end: "SIGKILL" | "SIGTERM" | "exit" | "throw") =>
          Effect.gen(function* () {
            const owner = yield* Effect.acquireRelease(
              Effect.sync(() =>
                spawn(process.execPath, [beside("owner.ts"), binary, end], { stdio: ["pipe", "pipe", "ignore"] })
              ),
              (owner) => Effect.sync(() => owner.kill("SIGKILL"))
            )
            const port = yield* Effect.promise(
              () => new Promise<number>((resolve) => owner.stdout.once("data", (line) => resolve(Number(line))))
            )
            const { gone } = yield* watch(port)
            if (end === "exit" || end === "throw") owner.stdin.write("now\n")
            else owner.kill(end)
            yield* gone
          })
        yield* Effect.forEach(["SIGKILL", "SIGTERM", "exit", "throw"] as const, outlived, { concurrency: "unbounded" })
      }),
    30_000
  )
})

describe.skipIf(process.platform === "win32")("the binary", () => {
  const places = { env: {}, platform: "linux", arch: "x64", from: [] } as const
  const sh = "#!/bin/sh\n"

  it.effect("is what ANVIL_BIN names, or nothing", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const named = script(join(dir, "a", "my-anvil"), sh)
      const other = script(join(dir, "b", "anvil"), sh)
      const env = { PATH: dirname(other) }
      assert.strictEqual(find({ ...places, env: { ...env, ANVIL_BIN: named } }), named)
      assert.isUndefined(find({ ...places, env: { ...env, ANVIL_BIN: join(dir, "none") } }))
      assert.strictEqual(find({ ...places, env: { ...env, ANVIL_BIN: "" } }), other)
    })
  )

  // For a processor without a package of its own, so that none that is really installed can answer.
  it.effect("is in the npm package, which pnpm shows to its dependents only", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      const root = join(dir, "node_modules", ".pnpm", "x", "node_modules", "@foundry-rs")
      script(join(root, "anvil", "package.json"), `{"name":"@foundry-rs/anvil"}`)
      script(join(root, "anvil-linux-mips", "package.json"), `{"name":"@foundry-rs/anvil-linux-mips"}`)
      const binary = script(join(root, "anvil-linux-mips", "bin", "anvil"), sh)
      const onPath = script(join(dir, "bin", "anvil"), sh)
      const from = [join(root, "anvil", "src", "index.js")]
      const given = { ...places, arch: "mips", env: { PATH: dirname(onPath) } }
      assert.strictEqual(find({ ...given, from }), binary)
      rmSync(binary)
      const copied = script(join(root, "anvil", "anvil"), sh)
      assert.strictEqual(find({ ...given, from }), copied)
      rmSync(copied)
      assert.strictEqual(find({ ...given, from }), onPath)
    })
  )

  it.effect("is the first on the PATH that can be run", () =>
    Effect.gen(function* () {
      const dir = yield* folder
      mkdirSync(join(dir, "a", "anvil"), { recursive: true })
      chmodSync(script(join(dir, "b", "anvil"), sh), 0o644)
      const binary = script(join(dir, "c", "anvil"), sh)
      const path = ["", "a", "b", "c"].map((name) => (name === "" ? "" : join(dir, name)))
      assert.strictEqual(find({ ...places, env: { PATH: path.join(":") } }), binary)
      assert.isUndefined(find(places))
    })
  )
})

if (Anvil.binary === undefined)
  console.warn("skipped: tests of a real anvil (set ANVIL_BIN or install @foundry-rs/anvil)")

describe.skipIf(Anvil.binary === undefined)("a real anvil", () => {
  it.live("mines and answers", () =>
    Effect.gen(function* () {
      const anvil = yield* Anvil.make({ chainId: 5 })
      assert.strictEqual(yield* anvil.rpc("eth_chainId"), "0x5")
      yield* anvil.rpc("anvil_mine", ["0x3"])
      assert.strictEqual(yield* anvil.rpc("eth_blockNumber"), "0x3")
      assert.strictEqual((yield* Effect.flip(anvil.rpc("eth_foo"))).code, -32601)
    })
  )

  it.live("behind a faulty node is a node that lags", () =>
    Effect.gen(function* () {
      const anvil = yield* Anvil.make()
      yield* anvil.rpc("anvil_mine", ["0x14"])
      const node = yield* FaultyNode.make({ behind: anvil.url, scenario: Scenario.behind(5) })
      assert.strictEqual(yield* result(node.url, "eth_blockNumber"), "0xf")
      assert.strictEqual((yield* result(node.url, "eth_getBlockByNumber", ["latest", false])).number, "0xf")
      assert.isNull(yield* result(node.url, "eth_getBlockByNumber", ["0x10", false]))
      yield* node.play(Scenario.healthy)
      assert.strictEqual((yield* result(node.url, "eth_getBlockByNumber", ["0x10", false])).number, "0x10")
    })
  )
})
