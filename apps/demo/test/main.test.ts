import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { fileURLToPath } from "node:url"

const main = fileURLToPath(new URL("../src/main.ts", import.meta.url))

const run = (args: ReadonlyArray<string>, env: Record<string, string>) =>
  Effect.callback<{ readonly code: unknown; readonly stdout: string; readonly stderr: string }>((resume) => {
    const options = { env: { ...process.env, ...env } }
    const child = execFile(process.execPath, [main, ...args], options, (error, stdout, stderr) => {
      resume(Effect.succeed({ code: error?.code ?? 0, stdout, stderr }))
    })
    return Effect.sync(() => void child.kill("SIGKILL"))
  })

describe("main", () => {
  it.live("a wrong setting is one line on stderr and exit 1", () =>
    Effect.gen(function* () {
      const { code, stderr, stdout } = yield* run([], { PORT: "eighty" })
      assert.deepStrictEqual(
        { code, stderr, stdout },
        {
          code: 1,
          stderr: "PORT takes a whole number from 1 to 65535\n",
          stdout: ""
        }
      )
    })
  )
})
